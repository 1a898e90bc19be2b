"""Bitget's spot v2 REST endpoints."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from aiohttp import web

from ..market.feed import GRANULARITIES, MarketUnavailableError
from ..matching import Force, OrderRequest, OrderType, Side
from . import wire
from .auth import Authenticator
from .errors import ApiError, bad_parameter, empty_parameter, unknown_symbol
from .exchange import Exchange

_log = logging.getLogger(__name__)

Parameters = Mapping[str, str]
Handler = Callable[[Parameters], Awaitable[object]]

# What this one API key may do: read spot, trade spot; never withdraw or transfer.
_AUTHORITIES = ["stor", "stow"]


class RestServer:
    """The REST side of the exchange.

    Args:
        exchange: what it acts on.
        authenticator: checks signed requests.
    """

    def __init__(self, exchange: Exchange, authenticator: Authenticator) -> None:
        self._exchange = exchange
        self._authenticator = authenticator
        self._public: dict[tuple[str, str], Handler] = {
            ("GET", "/api/v2/public/time"): self._time,
            ("GET", "/api/v2/spot/public/symbols"): self._symbols,
            ("GET", "/api/v2/spot/market/tickers"): self._tickers,
            ("GET", "/api/v2/spot/market/orderbook"): self._orderbook,
            ("GET", "/api/v2/spot/market/candles"): self._candles,
            ("GET", "/api/v2/spot/market/history-candles"): self._history_candles,
            ("GET", "/api/v2/paper/market"): self._paper_market,
        }
        self._private: dict[tuple[str, str], Handler] = {
            ("GET", "/api/v2/spot/account/assets"): self._assets,
            ("GET", "/api/v2/spot/account/info"): self._account_info,
            ("GET", "/api/v2/common/trade-rate"): self._trade_rate,
            ("POST", "/api/v2/spot/trade/place-order"): self._place_order,
            ("POST", "/api/v2/spot/trade/cancel-order"): self._cancel_order,
            ("GET", "/api/v2/spot/trade/orderInfo"): self._order_info,
            ("GET", "/api/v2/spot/trade/unfilled-orders"): self._unfilled_orders,
            ("GET", "/api/v2/spot/trade/history-orders"): self._history_orders,
            ("GET", "/api/v2/spot/trade/fills"): self._fills,
        }

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer any REST request."""
        faults = self._exchange.faults
        endpoint = request.path.rsplit("/", 1)[-1]
        try:
            await self._misbehave(endpoint)
            data = await self._dispatch(request)
            answer, status = wire.envelope(data, self._exchange.now_ms()), 200
        except MarketUnavailableError as error:
            answer, status = self._failure(ApiError("40015", str(error), 503), endpoint)
        except ApiError as error:
            answer, status = self._failure(error, endpoint)
        except Exception:
            _log.exception("request failed", extra={"endpoint": endpoint})
            answer, status = self._failure(ApiError("40015", "System is abnormal", 500), endpoint)
        if faults.use("lost-reply", endpoint) is not None and request.transport is not None:
            request.transport.abort()
        return web.Response(text=wire.dump(answer), status=status, content_type="application/json")

    async def _misbehave(self, endpoint: str) -> None:
        faults = self._exchange.faults
        if faults.exceeds_rate(endpoint):
            raise ApiError("429", "Too Many Requests", 429)
        if (fault := faults.use("http-error", endpoint)) is not None:
            raise ApiError(fault["code"], fault["message"], int(fault["status"]))
        if (fault := faults.use("latency", endpoint)) is not None:
            await asyncio.sleep(int(fault["ms"]) / 1000)

    def _failure(self, error: ApiError, endpoint: str) -> tuple[dict[str, object], int]:
        _log.info("request refused", extra={"endpoint": endpoint, "code": error.code, "why": error.message})
        return wire.envelope(None, self._exchange.now_ms(), error.code, error.message), error.status

    async def _dispatch(self, request: web.Request) -> object:
        route = request.method, request.path
        if route in self._public:
            return await self._public[route](request.query)
        if route not in self._private:
            raise ApiError("40404", "Request URL NOT FOUND", 404)
        body = await request.text()
        headers = {name.upper(): value for name, value in request.headers.items()}
        self._authenticator.check_request(headers, request.method, request.raw_path, body, self._exchange.now_ms())
        return await self._private[route](_parse_body(body) if request.method == "POST" else request.query)

    async def _time(self, _: Parameters) -> object:
        return {"serverTime": str(self._exchange.now_ms())}

    async def _symbols(self, query: Parameters) -> object:
        if query.get("symbol"):
            self._check_symbol(query)
        return [wire.symbol(self._exchange.rules)]

    async def _tickers(self, query: Parameters) -> object:
        if query.get("symbol"):
            self._check_symbol(query)
        exchange = self._exchange
        now = await exchange.market.ticker()
        return [wire.ticker(now, exchange.market.depth(), exchange.rules, exchange.now_ms())]

    async def _orderbook(self, query: Parameters) -> object:
        self._check_symbol(query)
        limit = _whole(query, "limit", 100, 1, 150)
        book = self._exchange.market.book_snapshot()
        if not book.bids:
            raise MarketUnavailableError("the market has no book yet")
        return {
            "asks": wire.levels(book.asks, limit),
            "bids": wire.levels(book.bids, limit),
            "ts": str(book.time_ms),
        }

    async def _candles(self, query: Parameters) -> object:
        return await self._bars(query, _whole(query, "limit", 100, 1, 1000))

    async def _history_candles(self, query: Parameters) -> object:
        if not query.get("endTime"):
            raise empty_parameter("endTime")
        return await self._bars(query, _whole(query, "limit", 100, 1, 200))

    async def _bars(self, query: Parameters, limit: int) -> object:
        self._check_symbol(query)
        length = GRANULARITIES.get(query.get("granularity", ""))
        if length is None:
            raise bad_parameter("granularity")
        # Without an end, the running candle is the last one.
        end = _whole(query, "endTime", self._exchange.true_ms() + 1, 0, 2**53)
        start = _whole(query, "startTime", end - limit * length * 1000, 0, 2**53)
        start = max(start, end - limit * length * 1000)
        bars = await self._exchange.market.candles(length, start, end)
        return [wire.candle(bar) for bar in bars[-limit:]]

    async def _paper_market(self, _: Parameters) -> object:
        exchange = self._exchange
        return {**exchange.market.describe(), "faults": [fault["kind"] for fault in exchange.faults.active()]}

    async def _assets(self, query: Parameters) -> object:
        wanted = query.get("coin", "").upper()
        now_ms = self._exchange.true_ms()
        return [
            wire.balance(coin, amounts, now_ms)
            for coin, amounts in self._exchange.engine.balances.items()
            if wanted in ("", coin)
        ]

    async def _account_info(self, _: Parameters) -> object:
        return {
            "userId": wire.USER_ID,
            "inviterId": "",
            "ips": "127.0.0.1",
            "authorities": _AUTHORITIES,
            "parentId": wire.USER_ID,
            "traderType": "not_trader",
            "channelCode": "",
            "channel": "",
            "regisTime": str(self._exchange.books.meta("created_ms")),
        }

    async def _trade_rate(self, query: Parameters) -> object:
        self._check_symbol(query)
        if query.get("businessType") != "spot":
            raise bad_parameter("businessType")
        rules = self._exchange.rules
        return {"makerFeeRate": wire.plain(rules.maker_fee), "takerFeeRate": wire.plain(rules.taker_fee)}

    async def _place_order(self, body: Parameters) -> object:
        self._check_symbol(body)
        for name in ("side", "orderType", "size"):
            if not body.get(name):
                raise empty_parameter(name)
        is_limit = body["orderType"] == OrderType.LIMIT
        for name, needed in (("force", is_limit), ("price", is_limit)):
            if needed and not body.get(name):
                raise empty_parameter(name)
        request = OrderRequest(
            # Bitget makes an id where the client gives none.
            body.get("clientOid") or f"paper-{self._exchange.true_ms()}-{id(body) & 0xFFFF:x}",
            _choice(body, "side", Side),
            _choice(body, "orderType", OrderType),
            _decimal(body, "size"),
            _decimal(body, "price") if is_limit else None,
            _choice(body, "force", Force) if is_limit else Force.GTC,
        )
        if len(request.client_id) > 64:
            raise bad_parameter("clientOid")
        order = self._exchange.place(request)
        return {"orderId": str(order.order_id), "clientOid": order.client_id}

    async def _cancel_order(self, body: Parameters) -> object:
        self._check_symbol(body)
        order = self._exchange.cancel(**_order_reference(body))
        return {"orderId": str(order.order_id), "clientOid": order.client_id}

    async def _order_info(self, query: Parameters) -> object:
        order = self._exchange.find(**_order_reference(query))
        return [] if order is None else [wire.order_info(order, self._exchange.rules)]

    async def _unfilled_orders(self, query: Parameters) -> object:
        if query.get("symbol"):
            self._check_symbol(query)
        start, end, before, limit = _window(query)
        order_id = _whole(query, "orderId", 0, 0, 2**62)
        orders = [
            order
            for order in reversed(self._exchange.engine.open_orders)
            if start <= order.created_ms <= end and order.order_id < before and order_id in (0, order.order_id)
        ]
        return [wire.unfilled_order(order, self._exchange.rules) for order in orders[:limit]]

    async def _history_orders(self, query: Parameters) -> object:
        if query.get("symbol"):
            self._check_symbol(query)
        start, end, before, limit = _window(query)
        if query.get("orderId"):
            order = self._exchange.find(order_id=_whole(query, "orderId", 0, 0, 2**62))
            orders = [] if order is None or order.status.is_open else [order]
        else:
            orders = self._exchange.books.closed_orders(start_ms=start, end_ms=end, before_id=before, limit=limit)
        return [wire.order_info(order, self._exchange.rules) for order in orders]

    async def _fills(self, query: Parameters) -> object:
        if query.get("symbol"):
            self._check_symbol(query)
        start, end, before, limit = _window(query)
        order_id = _whole(query, "orderId", 0, 0, 2**62) or None
        fills = self._exchange.books.fills(order_id=order_id, start_ms=start, end_ms=end, before_id=before, limit=limit)
        return [wire.fill(fill, self._exchange.rules) for fill in fills]

    def _check_symbol(self, query: Parameters) -> None:
        symbol = query.get("symbol")
        if not symbol:
            raise empty_parameter("symbol")
        if symbol.upper() != self._exchange.rules.symbol:
            raise unknown_symbol(symbol)


def _parse_body(body: str) -> Parameters:
    try:
        parsed: Any = json.loads(body)
    except ValueError:
        raise ApiError("40020", "Parameter body is not JSON") from None
    if not isinstance(parsed, dict):
        raise ApiError("40020", "Parameter body is not a JSON object")
    return {str(name): str(value) for name, value in parsed.items() if value is not None}


def _order_reference(query: Parameters) -> dict[str, Any]:
    if query.get("orderId"):
        return {"order_id": _whole(query, "orderId", 0, 0, 2**62)}
    if query.get("clientOid"):
        return {"client_id": query["clientOid"]}
    raise empty_parameter("orderId")


def _window(query: Parameters) -> tuple[int, int, int, int]:
    """startTime, endTime, idLessThan and limit."""
    start = _whole(query, "startTime", 0, 0, 2**53)
    end = _whole(query, "endTime", 2**53, 0, 2**53)
    if start > end:
        raise bad_parameter("startTime")
    return start, end, _whole(query, "idLessThan", 2**62, 0, 2**62), _whole(query, "limit", 100, 1, 100)


def _whole(query: Parameters, name: str, default: int, least: int, most: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not text.isdigit() or not least <= int(text):
        raise bad_parameter(name)
    return min(int(text), most)


def _decimal(query: Parameters, name: str) -> Decimal:
    try:
        value = Decimal(query[name])
    except InvalidOperation:
        raise bad_parameter(name) from None
    # Beyond these no balance reaches and exact arithmetic would end.
    if not value.is_finite() or value.adjusted() > 15 or value.as_tuple().exponent < -18:  # type: ignore[operator]  # finite: a number
        raise bad_parameter(name)
    return value


def _choice[Choice: (Side, OrderType, Force)](query: Parameters, name: str, kind: type[Choice]) -> Choice:
    try:
        return kind(query[name])
    except ValueError:
        raise bad_parameter(name) from None
