"""What EPP asks Bitget itself, through the connector's own signed REST.

Hummingbot's connector has no call for open orders of the account, for fills since a moment, for candles or for the
account's fee; and a sweep at start or at stop must not depend on what its order tracker believes. Every answer here is
what the exchange said just now.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hummingbot.core.api_throttler.data_types import RateLimit
from hummingbot.core.web_assistant.connections.data_types import RESTMethod

from ..core import Bar, ClockSample, Fill, RestTicker, Side

TIMEOUT_S = 10.0
"""Of one request. The connector's own default is minutes."""

PAGE = 100
"""Rows per page; Bitget's most."""

OPEN_ORDERS = "/api/v2/spot/trade/unfilled-orders"
FILLS = "/api/v2/spot/trade/fills"
ORDER_INFO = "/api/v2/spot/trade/orderInfo"
CANCEL_ORDER = "/api/v2/spot/trade/cancel-order"
CANDLES = "/api/v2/spot/market/candles"
TICKERS = "/api/v2/spot/market/tickers"
TIME = "/api/v2/public/time"
TRADE_RATE = "/api/v2/common/trade-rate"
ASSETS = "/api/v2/spot/account/assets"

_LIMITS = (
    # The connector signs the throttler's limit id as the request's path: every path needs a limit of its own name.
    RateLimit(limit_id=OPEN_ORDERS, limit=20, time_interval=1),
    RateLimit(limit_id=CANDLES, limit=20, time_interval=1),
    RateLimit(limit_id=TRADE_RATE, limit=10, time_interval=1),
)

_ORDER_GONE = ("40768", "80011", "40819", "43020", "43025", "43001", "45057", "31007", "43033")
"""Bitget's codes for an order that is not there (any more)."""

_KEY_UNKNOWN = ("40006", "40009", "40012", "40036", "40037")
"""Bitget's codes for a key that is not one of this exchange's, a wrong passphrase or secret included."""


@dataclass(frozen=True, slots=True)
class ExchangeOrder:
    """An open order as the exchange lists it."""

    order_id: str
    """The exchange's own id."""
    client_id: str
    symbol: str
    side: Side
    price: Decimal
    remaining: Decimal
    created: float
    """Unix seconds."""


class BitgetSpot:
    """Bitget's spot REST behind one connector.

    Args:
        connector: Hummingbot's ``bitget`` connector, which signs and throttles.
        trading_pair: Hummingbot's name of the pair, as ``BTC-USDT``.
    """

    def __init__(self, connector: Any, trading_pair: str) -> None:
        self._connector = connector
        self._trading_pair = trading_pair
        self.answered = 0.0
        """When the exchange last answered a request, unix seconds; only a good answer counts."""
        self.base, self.quote = trading_pair.split("-")
        self.symbol = self.base + self.quote
        connector.throttler.add_rate_limits(list(_LIMITS))

    async def key_refusal(self) -> str:
        """Why the exchange does not take the connector's key for one of its own; empty when it does.

        Raises:
            OSError: the exchange did not answer, or refused for another reason.
        """
        try:
            await self._request(RESTMethod.GET, ASSETS, signed=True)
        except OSError as error:
            codes = [code for code in _KEY_UNKNOWN if f'"code":"{code}"' in str(error).replace(" ", "")]
            if codes:
                return f"Bitget's code {codes[0]}"
            raise
        return ""

    async def open_orders(self) -> list[ExchangeOrder]:
        """All open orders of the account, whatever the pair and whoever placed them.

        Raises:
            OSError: the exchange did not answer, or refused.
        """
        found: dict[str, ExchangeOrder] = {}
        before: str | None = None
        while True:
            parameters = {"limit": str(PAGE)} | ({"idLessThan": before} if before else {})
            page = await self._get(OPEN_ORDERS, parameters, signed=True)
            for item in page:
                size = Decimal(item["size"])
                found[item["orderId"]] = ExchangeOrder(
                    order_id=item["orderId"],
                    client_id=item.get("clientOid") or "",
                    symbol=item["symbol"].upper(),
                    side=Side(item["side"]),
                    # Bitget's list gives a resting order's own price as priceAvg.
                    price=Decimal(item.get("price") or item.get("priceAvg") or "0"),
                    remaining=size - Decimal(item.get("baseVolume") or "0"),
                    created=int(item["cTime"]) / 1000,
                )
            if len(page) < PAGE:
                return list(found.values())
            before = min((item["orderId"] for item in page), key=int)

    async def cancel(self, order: ExchangeOrder) -> None:
        """Cancel one order; an order that is gone by now is fine.

        Raises:
            OSError: the exchange did not answer, or refused for another reason.
        """
        await self.cancel_by_client_id(order.client_id, order.symbol)

    async def cancel_by_client_id(self, client_id: str, symbol: str | None = None) -> None:
        """Cancel one order by its client id; an order that is gone by now is fine.

        Raises:
            OSError: the exchange did not answer, or refused for another reason.
        """
        try:
            await self._request(
                RESTMethod.POST,
                CANCEL_ORDER,
                data={"symbol": symbol or self.symbol, "clientOid": client_id},
                signed=True,
            )
        except OSError as error:
            if not any(code in str(error) for code in _ORDER_GONE):
                raise

    async def fills_since(self, start: float) -> list[tuple[Fill, str]]:
        """Own executions on the pair from ``start`` (unix seconds) on, oldest first, each with its exchange order id.

        Raises:
            OSError: the exchange did not answer, or refused.
        """
        found: dict[str, tuple[Fill, str]] = {}
        before: str | None = None
        while True:
            parameters = {"symbol": self.symbol, "startTime": str(int(start * 1000)), "limit": str(PAGE)}
            if before:
                parameters["idLessThan"] = before
            page = await self._get(FILLS, parameters, signed=True)
            for item in page:
                fill = self.parse_fill(item)
                found[fill.trade_id] = (fill, str(item["orderId"]))
            if len(page) < PAGE:
                return sorted(found.values(), key=lambda pair: (pair[0].ts, int(pair[0].trade_id)))
            before = min((str(item["tradeId"]) for item in page), key=int)

    def parse_fill(self, item: Mapping[str, Any]) -> Fill:
        """One entry of Bitget's fills, REST or WebSocket. ``order_id`` is the exchange's."""
        detail = item["feeDetail"]
        charged = detail[0] if isinstance(detail, list) else detail
        return Fill(
            trade_id=str(item["tradeId"]),
            order_id=str(item["orderId"]),
            ts=int(item.get("uTime") or item["cTime"]) / 1000,
            side=Side(item["side"]),
            price=Decimal(item["priceAvg"]),
            amount=Decimal(item["size"]),
            fee_amount=-Decimal(charged["totalFee"]),  # Bitget writes what it takes as negative
            fee_asset=str(charged["feeCoin"]),
            is_maker=item.get("tradeScope") != "taker",
        )

    async def client_id_of(self, order_id: str) -> str | None:
        """The client id of an order by the exchange's id; ``None`` when the exchange no longer knows the order.

        Raises:
            OSError: the exchange did not answer, or refused for another reason.
        """
        try:
            found = await self._get(ORDER_INFO, {"orderId": order_id}, signed=True)
        except OSError as error:
            if any(code in str(error) for code in _ORDER_GONE):
                return None
            raise
        return str(found[0].get("clientOid") or "") if found else None

    async def closed_bars(self, limit: int) -> list[Bar]:
        """The newest one-minute candles that are over, oldest first.

        Raises:
            OSError: the exchange did not answer, or refused.
        """
        page = await self._get(CANDLES, {"symbol": self.symbol, "granularity": "1min", "limit": str(limit + 1)})
        this_minute = time.time() // 60 * 60
        bars = [
            Bar(
                start=int(row[0]) / 1000, open=float(row[1]), high=float(row[2]), low=float(row[3]), close=float(row[4])
            )
            for row in page
        ]
        return sorted((bar for bar in bars if bar.start < this_minute), key=lambda bar: bar.start)

    async def ticker(self) -> RestTicker:
        """Best bid and ask over REST.

        Raises:
            OSError: the exchange did not answer, or refused.
        """
        found = (await self._get(TICKERS, {"symbol": self.symbol}))[0]
        return RestTicker(ts=time.time(), bid=float(found["bidPr"]), ask=float(found["askPr"]))

    async def clock(self) -> ClockSample:
        """Compare the clocks.

        Raises:
            OSError: the exchange did not answer, or refused.
        """
        sent, started = time.time(), time.perf_counter()
        answer = await self._request(RESTMethod.GET, TIME)
        round_trip = time.perf_counter() - started
        data = answer.get("data") or {}
        exchange = int(data.get("serverTime") or answer["requestTime"]) / 1000
        return ClockSample(ts=time.time(), offset_s=exchange - (sent + round_trip / 2), round_trip_s=round_trip)

    async def maker_fee(self) -> float:
        """The account's own maker fee on the pair, as a fraction.

        Raises:
            OSError: the exchange did not answer, or refused.
        """
        answer = await self._request(
            RESTMethod.GET, TRADE_RATE, {"symbol": self.symbol, "businessType": "spot"}, signed=True
        )
        return float(answer["data"]["makerFeeRate"])

    async def _get(self, path: str, parameters: Mapping[str, str], *, signed: bool = False) -> list[Any]:
        data = (await self._request(RESTMethod.GET, path, parameters, signed=signed))["data"]
        return list(data or [])

    async def _request(
        self,
        method: RESTMethod,
        path: str,
        parameters: Mapping[str, str] | None = None,
        *,
        data: Mapping[str, str] | None = None,
        signed: bool = False,
    ) -> dict[str, Any]:
        try:
            answer = await asyncio.wait_for(
                self._connector._api_request(
                    path_url=path,
                    method=method,
                    params=dict(parameters) if parameters else None,
                    data=dict(data) if data else None,
                    is_auth_required=signed,
                ),
                TIMEOUT_S,
            )
        except TimeoutError:
            raise OSError(f"{path}: no answer within {TIMEOUT_S:.0f} s") from None
        self.answered = time.time()
        if not isinstance(answer, dict) or answer.get("code", "00000") != "00000":
            raise OSError(f"{path}: {answer}")
        return answer
