"""Signed requests to Bitget's spot v2 REST API, and its answers as plain values."""

from __future__ import annotations

import base64
import hmac
import http.client
import json
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

URL = "https://api.bitget.com"
TIMEOUT_S = 10.0
TRIES = 3
"""Of a request that only reads, when the exchange does not answer, is too busy or is out of order."""

_PAUSE_S = 0.5
_PAGE = 100
_DONE = "00000"
_BUSY = ("429", "40015", "40725")


class UnreachableError(Exception):
    """The exchange gave no usable answer: nothing is known, nothing may be concluded."""


class BitgetError(Exception):
    """The exchange refused a request; ``code`` is its own."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{message} (code {code})")
        self.code = code


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key with what signs for it. Its text shows the key's first characters only."""

    api_key: str
    secret_key: str = field(repr=False)
    passphrase: str = field(repr=False)

    def sign(self, text: str) -> str:
        """Bitget's signature: base64 of HMAC-SHA256."""
        return base64.b64encode(hmac.digest(self.secret_key.encode(), text.encode(), "sha256")).decode()


@dataclass(frozen=True, slots=True)
class Account:
    """What the exchange tells of the key that asks: whose it is, what it may do, and from where."""

    user_id: str
    ips: tuple[str, ...]
    """The key's whitelist; empty when it works from anywhere."""
    authorities: tuple[str, ...]
    """Bitget's permission codes."""


@dataclass(frozen=True, slots=True)
class SymbolRules:
    """The exchange's rules for a pair, and whether it can be traded."""

    status: str
    min_trade_quote: Decimal
    price_precision: int
    quantity_precision: int


@dataclass(frozen=True, slots=True)
class Balance:
    """One coin of the account."""

    available: Decimal
    frozen: Decimal
    """Held by open orders, or locked."""

    @property
    def total(self) -> Decimal:
        """Both together."""
        return self.available + self.frozen


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order that rests on the exchange."""

    order_id: str
    client_id: str
    symbol: str
    side: str
    price: Decimal
    size: Decimal
    """As it was placed, base."""


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution."""

    trade_id: str
    side: str
    price: Decimal
    amount: Decimal
    ts: float
    """Unix seconds."""


class _Connection(http.client.HTTPSConnection):
    """TLS for a name at an address of our choice."""

    def __init__(self, host: str, port: int | None, address: str | None, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=TIMEOUT_S, context=context)
        self._address = address or host
        self._tls = context

    def connect(self) -> None:
        plain = socket.create_connection((self._address, self.port), TIMEOUT_S)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)


class Bitget:
    """One account on Bitget, or on an exchange that speaks like it.

    Args:
        key: signs the private requests.
        url: where the exchange is.
        ca_file: the only authority to trust; the system's when there is none.
        address: where to connect instead of looking the name up.
    """

    def __init__(self, key: ApiKey, *, url: str = URL, ca_file: Path | None = None, address: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise ValueError(f"{url!r} is no https address")
        self._key = key
        self._host, self._port, self._address = parts.hostname, parts.port, address
        self._context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))

    def certifier(self) -> tuple[str, str]:
        """The address that answers and the common name of who certifies it.

        Raises:
            UnreachableError: no handshake.
        """
        connection = self._connect()
        try:
            connection.connect()
            sock: Any = connection.sock
            issuer = dict(pair[0] for pair in (sock.getpeercert() or {}).get("issuer", ()))
            return str(sock.getpeername()[0]), str(issuer.get("commonName", ""))
        except OSError as error:
            raise UnreachableError(f"{self._host}: {error}") from error
        finally:
            connection.close()

    def clock_offset(self) -> tuple[float, float]:
        """The exchange's clock less this machine's, and the round trip, seconds."""
        before = time.time()
        data = self._read("/api/v2/public/time", signed=False)
        after = time.time()
        return int(_text(data, "serverTime")) / 1000 - (before + after) / 2, after - before

    def account(self) -> Account:
        """What this key is."""
        data = self._read("/api/v2/spot/account/info")
        ips = _text(data, "ips").replace(";", ",").replace(" ", ",")
        codes = data.get("authorities")
        if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
            raise UnreachableError("account info: authorities is no list of codes")
        return Account(_text(data, "userId"), tuple(ip for ip in ips.split(",") if ip), tuple(codes))

    def rules(self, symbol: str) -> SymbolRules:
        """The pair's rules."""
        data = self._read("/api/v2/spot/public/symbols", {"symbol": symbol}, signed=False)
        first = data[0] if isinstance(data, list) and data else {}
        return SymbolRules(
            _text(first, "status"),
            _number(first, "minTradeUSDT"),
            int(_number(first, "pricePrecision")),
            int(_number(first, "quantityPrecision")),
        )

    def fees(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Maker and taker fee of this account, fractions."""
        data = self._read("/api/v2/common/trade-rate", {"symbol": symbol, "businessType": "spot"})
        return _number(data, "makerFeeRate"), _number(data, "takerFeeRate")

    def last_price(self, symbol: str) -> Decimal:
        """The last traded price."""
        data = self._read("/api/v2/spot/market/tickers", {"symbol": symbol}, signed=False)
        return _number(data[0] if isinstance(data, list) and data else {}, "lastPr")

    def balances(self) -> dict[str, Balance]:
        """Every coin that is held."""
        data = self._read("/api/v2/spot/account/assets")
        return {
            _text(coin, "coin"): Balance(_number(coin, "available"), _number(coin, "frozen") + _locked(coin))
            for coin in _rows(data)
        }

    def open_orders(self, symbol: str | None = None) -> list[OpenOrder]:
        """All open orders, newest first; of one pair when a symbol is given."""
        found: list[OpenOrder] = []
        query = {"limit": str(_PAGE)} | ({"symbol": symbol} if symbol else {})
        while True:
            page = _rows(self._read("/api/v2/spot/trade/unfilled-orders", query))
            found += [
                OpenOrder(
                    _text(row, "orderId"),
                    str(row.get("clientOid") or ""),
                    _text(row, "symbol"),
                    _text(row, "side"),
                    _number(row, "priceAvg"),
                    _number(row, "size"),
                )
                for row in page
            ]
            if len(page) < _PAGE:
                return found
            query = {**query, "idLessThan": found[-1].order_id}

    def fills(self, symbol: str, since: float) -> list[Fill]:
        """All executions of a pair from a moment (unix seconds) on, oldest first."""
        found: list[Fill] = []
        query = {"symbol": symbol, "startTime": str(int(since * 1000)), "limit": str(_PAGE)}
        while True:
            page = _rows(self._read("/api/v2/spot/trade/fills", query))
            found += [fill(row) for row in page]
            if len(page) < _PAGE:
                return sorted(found, key=lambda each: each.ts)
            query = {**query, "idLessThan": found[-1].trade_id}

    def cancel(self, order: OpenOrder) -> None:
        """Ask for an order's end; the answer proves nothing, :meth:`open_orders` does."""
        self._ask("POST", "/api/v2/spot/trade/cancel-order", {"symbol": order.symbol, "orderId": order.order_id})

    def _read(self, path: str, query: Mapping[str, str] | None = None, *, signed: bool = True) -> Any:
        for attempt in range(TRIES):
            try:
                return self._ask("GET", path, query or {}, signed=signed)
            except (UnreachableError, BitgetError) as error:
                busy = isinstance(error, UnreachableError) or error.code in _BUSY
                if not busy or attempt + 1 == TRIES:
                    raise
                time.sleep(_PAUSE_S * 2**attempt)
        raise AssertionError

    def _ask(self, method: str, path: str, given: Mapping[str, str], *, signed: bool = True) -> Any:
        body = json.dumps(given) if method == "POST" else ""
        target = path if method == "POST" or not given else f"{path}?{urlencode(given)}"
        headers = {"Content-Type": "application/json", "locale": "en-US"}
        if signed:
            stamp = str(int(time.time() * 1000))
            headers |= {
                "ACCESS-KEY": self._key.api_key,
                "ACCESS-PASSPHRASE": self._key.passphrase,
                "ACCESS-TIMESTAMP": stamp,
                "ACCESS-SIGN": self._key.sign(stamp + method + target + body),
            }
        connection = self._connect()
        try:
            connection.request(method, target, body or None, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(f"{self._host}{path}: {error or type(error).__name__}") from error
        finally:
            connection.close()
        return _data(text, answer.status, f"{self._host}{path}")

    def _connect(self) -> _Connection:
        return _Connection(self._host, self._port, self._address, self._context)


def fill(row: Mapping[str, Any]) -> Fill:
    """An execution as the exchange lists it.

    Raises:
        UnreachableError: it is none.
    """
    return Fill(
        _text(row, "tradeId"),
        _text(row, "side"),
        _number(row, "priceAvg"),
        _number(row, "size"),
        int(_number(row, "cTime")) / 1000,
    )


def _data(text: bytes, status: int, what: str) -> Any:
    try:
        document = json.loads(text)
        code = str(document["code"])
    except (ValueError, KeyError, TypeError) as error:
        raise UnreachableError(f"{what}: status {status}, and no answer of Bitget's") from error
    if code != _DONE:
        raise BitgetError(code, str(document.get("msg") or f"status {status}"))
    return document.get("data")


def _rows(data: Any) -> list[Mapping[str, Any]]:
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise UnreachableError("the answer is no list of objects")
    return data


def _text(row: Any, name: str) -> str:
    value = row.get(name) if isinstance(row, dict) else None
    if value is None:
        raise UnreachableError(f"the answer has no {name}")
    return str(value)


def _number(row: Any, name: str) -> Decimal:
    text = _text(row, name)
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise UnreachableError(f"{name} {text!r} is no number") from None
    if not value.is_finite():
        raise UnreachableError(f"{name} {text!r} is no number")
    return value


def _locked(coin: Mapping[str, Any]) -> Decimal:
    return _number(coin, "locked") if coin.get("locked") not in (None, "") else Decimal(0)
