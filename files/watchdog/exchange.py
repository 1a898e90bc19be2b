"""Bitget's spot REST, signed: what a watchdog reads, and the one thing it does, which is to cancel."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from .facts import Holdings, Movement, Order

TIMEOUT_S = 4.0
"""Of one request. A pass that waited for longer could not see a heartbeat age."""

PAGE = 100
"""Rows per page; Bitget's most."""

CANCELS_AT_ONCE = 4
"""Bitget takes ten a second."""

OPEN_ORDERS = "/api/v2/spot/trade/unfilled-orders"
CLOSED_ORDERS = "/api/v2/spot/trade/history-orders"
FILLS = "/api/v2/spot/trade/fills"
CANCEL_ORDER = "/api/v2/spot/trade/cancel-order"
PLACE_ORDER = "/api/v2/spot/trade/place-order"
ASSETS = "/api/v2/spot/account/assets"
ACCOUNT_INFO = "/api/v2/spot/account/info"
TICKERS = "/api/v2/spot/market/tickers"
SYMBOLS = "/api/v2/spot/public/symbols"
TIME = "/api/v2/public/time"

GONE = frozenset({"40768", "80011", "40819", "43020", "43025", "43001", "45057", "31007", "43033"})
"""Bitget's codes for an order that is not there (any more)."""

_EXPIRED = "40008"


class ExchangeError(OSError):
    """The exchange did not answer, or refused; the message says which."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Key:
    """An API key that may read and trade, nothing else."""

    api_key: str
    secret_key: str
    passphrase: str

    def __repr__(self) -> str:
        return f"Key({self.api_key[:6]}…)"


def read_key(path: Path) -> Key:
    """Read a key's JSON file.

    Raises:
        ValueError: naming the file and what is missing, never a value.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        return Key(*(str(plain[name]) for name in ("api_key", "secret_key", "passphrase")))
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError):
        # The parser's own words may quote what it read.
        raise ValueError(f"{path}: is not a JSON object with api_key, secret_key and passphrase") from None


class BitgetSpot:
    """One account of Bitget, over TLS.

    Args:
        key: the watchdog's own.
        trading_pair: as ``BTC-USDT``.
        url: ``https://`` and the host.
        ca_file: the only authority that is trusted; the system's when there is none.
        address: connect to this in the place of what the host's name resolves to.
    """

    def __init__(
        self,
        key: Key,
        trading_pair: str,
        url: str = "https://api.bitget.com",
        ca_file: Path | None = None,
        address: str = "",
    ) -> None:
        self._key = key
        self.base, self.quote = trading_pair.split("-")
        self.symbol = self.base + self.quote
        target = urlsplit(url)
        self._host, self._port = target.hostname or "", target.port or 443
        self._address = address
        self._ca_file = ca_file
        self._local = threading.local()
        self._pool = ThreadPoolExecutor(CANCELS_AT_ONCE, thread_name_prefix="cancel")
        self.ahead = 0.0
        """What the exchange's clock is ahead of ours, seconds, by :meth:`synchronise`."""

    # -- questions

    def synchronise(self) -> None:
        """Compare the clocks.

        Raises:
            ExchangeError: the exchange did not answer.
        """
        sent = time.time()
        answer = self._request("GET", TIME, signed=False)
        data = answer.get("data") or {}
        stamp = float(data.get("serverTime") or answer["requestTime"]) / 1000
        self.ahead = stamp - (sent + time.time()) / 2

    def now(self) -> float:
        """The exchange's clock, unix seconds."""
        return time.time() + self.ahead

    def open_orders(self) -> list[Order]:
        """All open orders of the account, whatever the pair and whoever placed them.

        Raises:
            ExchangeError: the exchange did not answer, or refused.
        """
        return [
            Order(
                order_id=str(item["orderId"]),
                client_id=str(item.get("clientOid") or ""),
                symbol=str(item["symbol"]).upper(),
                is_buy=item["side"] == "buy",
                # Bitget's list gives a resting order's own price as priceAvg.
                price=Decimal(item.get("price") or item.get("priceAvg") or "0"),
                remaining=Decimal(item["size"]) - Decimal(item.get("baseVolume") or "0"),
                created=int(item["cTime"]) / 1000,
            )
            for item in self._pages(OPEN_ORDERS, {}, "orderId")
        ]

    def closed_order_ids(self, since: float) -> dict[str, float]:
        """Client ids of orders placed since ``since`` (the exchange's clock) that have ended, with when they were
        placed; at most :data:`PAGE` of them.

        Raises:
            ExchangeError: the exchange did not answer, or refused.
        """
        found = self._rows(CLOSED_ORDERS, {"startTime": str(int(since * 1000)), "limit": str(PAGE)})
        return {str(item.get("clientOid") or ""): int(item["cTime"]) / 1000 for item in found}

    def holdings(self) -> Holdings:
        """Base and quote of the account, frozen amounts included.

        Raises:
            ExchangeError: the exchange did not answer, or refused.
        """
        held = {
            str(item["coin"]).upper(): sum(
                (Decimal(item.get(part) or "0") for part in ("available", "frozen", "locked")), Decimal(0)
            )
            for item in self._rows(ASSETS, {})
        }
        # Bitget lists only coins that are held.
        return Holdings(held.get(self.base, Decimal(0)), held.get(self.quote, Decimal(0)))

    def fills(self, since: float) -> list[Movement]:
        """What own executions on the pair did to the account since ``since``, by the exchange's clock.

        Raises:
            ExchangeError: the exchange did not answer, or refused.
        """
        query = {"symbol": self.symbol, "startTime": str(int(since * 1000))}
        return [self._movement(item) for item in self._pages(FILLS, query, "tradeId")]

    def account_id(self) -> str:
        """The exchange's own id of the account that the key belongs to.

        Raises:
            ExchangeError: the exchange did not answer, or refused.
        """
        return str((self._request("GET", ACCOUNT_INFO).get("data") or {}).get("userId", ""))

    def mid(self) -> Decimal:
        """The middle of best bid and ask.

        Raises:
            ExchangeError: the exchange did not answer, or refused.
        """
        ticker = self._rows(TICKERS, {"symbol": self.symbol}, signed=False)[0]
        return (Decimal(ticker["bidPr"]) + Decimal(ticker["askPr"])) / 2

    # -- cancels

    def cancel(self, orders: Iterable[tuple[str, str]]) -> list[str]:
        """Cancel orders, each given as symbol and client id; an order that is gone by now is fine.

        Returns:
            What was refused or not answered, one line an order.
        """
        return [line for line in self._pool.map(self._cancel_one, list(orders)) if line]

    def _cancel_one(self, order: tuple[str, str]) -> str:
        symbol, client_id = order
        try:
            self._request("POST", CANCEL_ORDER, body={"symbol": symbol, "clientOid": client_id})
        except ExchangeError as error:
            return "" if error.code in GONE else f"{client_id}: {error}"
        return ""

    def place_far_away(self, client_id: str, notional: Decimal, mid: Decimal, places: tuple[int, int]) -> None:
        """Place a post-only buy at 4 % below mid, which a drill then finds and cancels.

        Args:
            client_id: its id.
            notional: what it is worth, in quote.
            mid: the price to keep away from.
            places: decimals of a price and of an amount.

        Raises:
            ExchangeError: the exchange did not answer, or refused.
        """
        price = round(mid * Decimal("0.96"), places[0])
        step = Decimal(1).scaleb(-places[1])
        size = (notional / price).quantize(step) + step
        self._request(
            "POST",
            PLACE_ORDER,
            body={
                "symbol": self.symbol,
                "side": "buy",
                "orderType": "limit",
                "force": "post_only",
                "price": format(price, "f"),
                "size": format(size, "f"),
                "clientOid": client_id,
            },
        )

    def rules(self) -> tuple[int, int, Decimal]:
        """Decimals of a price, decimals of an amount, least value of an order in quote.

        Raises:
            ExchangeError: the exchange did not answer, or refused.
        """
        rules = self._rows(SYMBOLS, {"symbol": self.symbol}, signed=False)[0]
        return int(rules["pricePrecision"]), int(rules["quantityPrecision"]), Decimal(rules["minTradeUSDT"])

    # -- one request

    def _movement(self, item: Mapping[str, Any]) -> Movement:
        sign = 1 if item["side"] == "buy" else -1
        base, quote = sign * Decimal(item["size"]), -sign * Decimal(item["amount"])
        detail = item.get("feeDetail") or {}
        for charged in detail if isinstance(detail, list) else [detail]:
            # Bitget writes what it takes as negative. A fee in a third coin moves neither.
            fee = Decimal(charged.get("totalFee") or "0")
            if charged.get("feeCoin") == self.base:
                base += fee
            elif charged.get("feeCoin") == self.quote:
                quote += fee
        return Movement(str(item["tradeId"]), int(item.get("cTime") or item["uTime"]) / 1000, base, quote)

    def _pages(self, path: str, query: Mapping[str, str], key: str) -> list[Any]:
        rows: dict[str, Any] = {}
        before: str | None = None
        while True:
            page = self._rows(path, {**query, "limit": str(PAGE)} | ({"idLessThan": before} if before else {}))
            rows |= {str(row[key]): row for row in page}
            if len(page) < PAGE:
                return list(rows.values())
            before = min((str(row[key]) for row in page), key=int)

    def _rows(self, path: str, query: Mapping[str, str], *, signed: bool = True) -> list[Any]:
        return list(self._request("GET", path, query=query, signed=signed).get("data") or [])

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, str] | None = None,
        signed: bool = True,
    ) -> dict[str, Any]:
        target = f"{path}?{urlencode(query)}" if query else path
        payload = json.dumps(body) if body else ""
        for attempt in (1, 2):
            kept = getattr(self._local, "connection", None)
            try:
                answer = self._exchange(method, target, payload, signed=signed)
                break
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                # A connection that was kept open may have been closed by the other side: that is no answer either way,
                # and everything asked here may be asked twice.
                if kept is None or attempt == 2 or isinstance(error, TimeoutError):
                    raise ExchangeError(f"{path}: {error or type(error).__name__}") from error
        status, text = answer
        try:
            plain = json.loads(text)
            code = str(plain["code"])
        except (ValueError, KeyError, TypeError):
            raise ExchangeError(f"{path}: HTTP {status}, {text[:80]!r}") from None
        if code == _EXPIRED and path != TIME:
            self.synchronise()
        if code != "00000" or status >= 300:
            raise ExchangeError(f"{path}: {code} {plain.get('msg', '')} (HTTP {status})", code)
        return dict(plain)

    def _exchange(self, method: str, target: str, payload: str, *, signed: bool) -> tuple[int, str]:
        headers = {"Content-Type": "application/json", "locale": "en-US"}
        if signed:
            stamp = str(int(self.now() * 1000))
            digest = hmac.new(
                self._key.secret_key.encode(), f"{stamp}{method}{target}{payload}".encode(), hashlib.sha256
            )
            headers |= {
                "ACCESS-KEY": self._key.api_key,
                "ACCESS-PASSPHRASE": self._key.passphrase,
                "ACCESS-TIMESTAMP": stamp,
                "ACCESS-SIGN": base64.b64encode(digest.digest()).decode(),
            }
        connection = self._connection()
        connection.request(method, target, body=payload or None, headers=headers)
        response = connection.getresponse()
        return response.status, response.read().decode("utf-8", "replace")

    def _connection(self) -> http.client.HTTPSConnection:
        connection: http.client.HTTPSConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            # Read anew each time: a paper exchange makes its authority at its first start, and another when told to.
            context = ssl.create_default_context(cafile=str(self._ca_file) if self._ca_file else None)
            connection = _Connection(self._host, self._port, self._address, context)
            self._local.connection = connection
        return connection

    def _drop(self) -> None:
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
        self._local.connection = None


class _Connection(http.client.HTTPSConnection):
    """A connection for a name that may lead to a given address."""

    def __init__(self, host: str, port: int, address: str, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=TIMEOUT_S, context=context)
        self._to = (address or host, port)
        self._tls = context

    def connect(self) -> None:
        plain = socket.create_connection(self._to, TIMEOUT_S)
        try:
            self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise


MALFORMED = (KeyError, ValueError, TypeError, InvalidOperation, IndexError)
"""What an answer raises whose form is not Bitget's."""
