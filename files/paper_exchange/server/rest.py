"""Bitget's REST side: routes, signatures, limits of calls, and misbehaviour."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from ..config import FurtherKey
from ..market.feed import MarketUnavailableError
from . import wire
from .auth import Authenticator, require_authority
from .errors import ApiError
from .exchange import Account, Exchange
from .limits import CallLimits
from .market_endpoints import MarketEndpoints
from .requests import Body, Parameters, parse_body
from .trade_endpoints import Caller, TradeEndpoints

_log = logging.getLogger(__name__)

PublicHandler = Callable[[Parameters], Awaitable[object]]
ReadHandler = Callable[[Caller, Parameters], Awaitable[object]]
TradeHandler = Callable[[Caller, Body], Awaitable[object]]

# What answers while the exchange is closed.
_OPEN_IN_MAINTENANCE = frozenset({"/api/v2/public/time", "/api/v2/spot/public/symbols", "/api/v2/paper/market"})


@dataclass(frozen=True, slots=True)
class _Routes:
    public: Mapping[str, PublicHandler]
    read: Mapping[str, ReadHandler]
    trade: Mapping[str, TradeHandler]


class RestServer:
    """The REST side of the exchange.

    Args:
        exchange: what it acts on.
        authenticator: checks signed requests.
        market: the public endpoints.
        trade: the signed endpoints.
        limits: the limits of calls; None for none.
    """

    def __init__(
        self,
        exchange: Exchange,
        authenticator: Authenticator,
        market: MarketEndpoints,
        trade: TradeEndpoints,
        limits: CallLimits | None,
    ) -> None:
        self._exchange = exchange
        self._authenticator = authenticator
        self._limits = limits
        self._routes = _Routes(market.routes(), trade.read_routes(), trade.trade_routes())

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer any REST request."""
        faults = self._exchange.faults
        endpoint = request.path.rsplit("/", 1)[-1]
        try:
            await self._misbehave(request.path, endpoint)
            data = await self._dispatch(request, endpoint)
            answer, status = wire.envelope(data, self._exchange.now_ms()), 200
        except MarketUnavailableError as error:
            answer, status = self._failure(ApiError("40015", str(error), 503), endpoint)
        except ApiError as error:
            answer, status = self._failure(error, endpoint)
        except Exception:
            _log.exception("request failed", extra={"endpoint": endpoint})
            answer, status = self._failure(ApiError("40015", "System is abnormal", 500), endpoint)
        text = wire.dump(answer)
        if faults.use("malformed", endpoint) is not None:
            text = "<html><body><h1>502 Bad Gateway</h1>" + text[: len(text) // 2]
        if faults.use("lost-reply", endpoint) is not None and request.transport is not None:
            request.transport.abort()
        if faults.use("truncated", endpoint) is not None:
            return await _break_off(request, text, status)
        return web.Response(text=text, status=status, content_type="application/json")

    async def _misbehave(self, path: str, endpoint: str) -> None:
        faults = self._exchange.faults
        if path not in _OPEN_IN_MAINTENANCE and (fault := faults.use("maintenance")) is not None:
            raise ApiError(fault["code"], fault["message"], int(fault["status"]))
        if faults.exceeds_rate(endpoint):
            raise ApiError("429", "Too Many Requests", 429)
        if (fault := faults.use("http-error", endpoint)) is not None:
            raise ApiError(fault["code"], fault["message"], int(fault["status"]))
        if delay := faults.delay_s("latency", endpoint):
            await asyncio.sleep(delay)

    def _failure(self, error: ApiError, endpoint: str) -> tuple[dict[str, object], int]:
        _log.info("request refused", extra={"endpoint": endpoint, "code": error.code, "why": error.message})
        return wire.envelope(None, self._exchange.now_ms(), error.code, error.message), error.status

    async def _dispatch(self, request: web.Request, endpoint: str) -> object:
        path, routes = request.path, self._routes
        if request.method == "GET" and path in routes.public:
            self._count(f"ip {request.remote}", endpoint)
            return await routes.public[path](request.query)
        if request.method == "GET" and path in routes.read:
            caller = await self._authenticate(request, "", endpoint, to_trade=False)
            return await routes.read[path](caller, request.query)
        if request.method == "POST" and path in routes.trade:
            text = await request.text()
            caller = await self._authenticate(request, text, endpoint, to_trade=True)
            return await routes.trade[path](caller, parse_body(text))
        raise ApiError("40404", "Request URL NOT FOUND", 404)

    async def _authenticate(self, request: web.Request, body: str, endpoint: str, *, to_trade: bool) -> Caller:
        headers = {name.upper(): value for name, value in request.headers.items()}
        key = self._authenticator.check_request(
            headers, request.method, request.raw_path, body, self._exchange.now_ms(), request.remote
        )
        require_authority(key, to_trade=to_trade)
        account = self._account(key)
        self._count(f"uid {account.user_id}", endpoint)
        return Caller(account, key)

    def _account(self, key: FurtherKey) -> Account:
        return self._exchange.accounts[key.account]

    def _count(self, caller: str, endpoint: str) -> None:
        if self._limits is not None and self._limits.exceeds(caller, endpoint):
            raise ApiError("429", "Too Many Requests", 429)


async def _break_off(request: web.Request, text: str, status: int) -> web.StreamResponse:
    """Promise the whole answer, send half of it, and cut the connection."""
    whole = text.encode()
    response = web.StreamResponse(status=status, headers={"Content-Type": "application/json"})
    response.content_length = len(whole)
    await response.prepare(request)
    await response.write(whole[: len(whole) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
