"""Bitget's signed spot v2 endpoints: the account, its orders and its fills.

A request that places or cancels takes effect when it has arrived, and is answered then: until a cancel arrives, its
order may fill.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..config import FurtherKey
from ..matching import Order, OrderRequest, OrderType
from . import wire
from .errors import ApiError, bad_parameter, empty_parameter
from .exchange import Account, Exchange
from .latency import Latency
from .market_endpoints import MarketEndpoints
from .requests import MAX_CLIENT_ID, Body, Parameters, decimal, order_reference, order_request, whole, window

# Bitget's own limit of a batch.
_MAX_BATCH = 50


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: an account, by one of its keys."""

    account: Account
    key: FurtherKey


class TradeEndpoints:
    """What a key is needed for.

    Args:
        exchange: what it acts on.
        market: the public side, which knows the pair.
        latency: how long requests are under way.
    """

    def __init__(self, exchange: Exchange, market: MarketEndpoints, latency: Latency) -> None:
        self._exchange = exchange
        self._market = market
        self._latency = latency
        self._generated = 0

    def read_routes(self) -> Mapping[str, Callable[[Caller, Parameters], Awaitable[object]]]:
        """Handlers of GET by path."""
        return {
            "/api/v2/spot/account/info": self._account_info,
            "/api/v2/spot/account/assets": self._assets,
            "/api/v2/common/trade-rate": self._trade_rate,
            "/api/v2/spot/trade/orderInfo": self._order_info,
            "/api/v2/spot/trade/unfilled-orders": self._unfilled_orders,
            "/api/v2/spot/trade/history-orders": self._history_orders,
            "/api/v2/spot/trade/fills": self._fills,
        }

    def trade_routes(self) -> Mapping[str, Callable[[Caller, Body], Awaitable[object]]]:
        """Handlers of POST by path."""
        return {
            "/api/v2/spot/trade/place-order": self._place_order,
            "/api/v2/spot/trade/batch-orders": self._batch_orders,
            "/api/v2/spot/trade/cancel-order": self._cancel_order,
            "/api/v2/spot/trade/batch-cancel-order": self._batch_cancel,
            "/api/v2/spot/trade/cancel-symbol-order": self._cancel_symbol,
            "/api/v2/spot/trade/cancel-replace-order": self._cancel_replace,
            "/api/v2/spot/trade/batch-cancel-replace-order": self._batch_cancel_replace,
        }

    # ---- the account

    async def _account_info(self, caller: Caller, _: Parameters) -> object:
        return {
            "userId": caller.account.user_id,
            "inviterId": "",
            "ips": ",".join(map(str, caller.key.ips)),
            "authorities": list(caller.key.authorities),
            "parentId": caller.account.user_id,
            "traderType": "not_trader",
            "channelCode": "",
            "channel": "",
            "regisTime": str(self._exchange.books.created_ms),
        }

    async def _assets(self, caller: Caller, query: Parameters) -> object:
        wanted = query.get("coin", "").upper()
        now_ms = self._exchange.true_ms()
        return [
            wire.balance(coin, amounts, now_ms)
            for coin, amounts in self._exchange.shown_balances(caller.account).items()
            if wanted in ("", coin)
        ]

    async def _trade_rate(self, caller: Caller, query: Parameters) -> object:
        self._market.check_symbol(query)
        if query.get("businessType") != "spot":
            raise bad_parameter("businessType")
        rules = caller.account.engine.rules
        return {"makerFeeRate": wire.plain(rules.maker_fee), "takerFeeRate": wire.plain(rules.taker_fee)}

    # ---- orders in

    async def _place_order(self, caller: Caller, body: Body) -> object:
        self._market.check_symbol(body.parameters)
        request = order_request(body.parameters, self._new_client_id())
        await self._arrive(caller)
        return _named(self._exchange.place(caller.account, request))

    async def _batch_orders(self, caller: Caller, body: Body) -> object:
        self._check_batch(body)
        if body.parameters.get("symbol"):
            self._market.check_symbol(body.parameters)
        await self._arrive(caller)

        def place(parameters: Parameters) -> Order:
            self._market.check_symbol({**body.parameters, **parameters})
            return self._exchange.place(caller.account, order_request(parameters, self._new_client_id()))

        return _each(body.orders, place)

    async def _cancel_order(self, caller: Caller, body: Body) -> object:
        self._market.check_symbol(body.parameters)
        reference = order_reference(body.parameters)
        await self._arrive(caller)
        return _named(self._exchange.cancel(caller.account, **reference))

    async def _batch_cancel(self, caller: Caller, body: Body) -> object:
        self._check_batch(body)
        if body.parameters.get("symbol"):
            self._market.check_symbol(body.parameters)
        await self._arrive(caller)

        def cancel(parameters: Parameters) -> Order:
            self._market.check_symbol({**body.parameters, **parameters})
            return self._exchange.cancel(caller.account, **order_reference(parameters))

        return _each(body.orders, cancel)

    async def _cancel_symbol(self, caller: Caller, body: Body) -> object:
        self._market.check_symbol(body.parameters)
        await self._arrive(caller)
        for order in caller.account.engine.open_orders:
            self._exchange.cancel(caller.account, order_id=order.order_id)
        return {"symbol": self._exchange.rules.symbol}

    async def _cancel_replace(self, caller: Caller, body: Body) -> object:
        self._market.check_symbol(body.parameters)
        replacement = self._read_replacement(caller, body.parameters)
        await self._arrive(caller)
        return self._replace(caller, body.parameters, replacement)

    async def _batch_cancel_replace(self, caller: Caller, body: Body) -> object:
        self._check_batch(body)
        await self._arrive(caller)
        answers = []
        for parameters in body.orders:
            try:
                self._market.check_symbol(parameters)
                answers.append(self._replace(caller, parameters, self._read_replacement(caller, parameters)))
            except ApiError as error:
                answers.append(_not_replaced(parameters, error))
        return answers

    def _read_replacement(self, caller: Caller, parameters: Parameters) -> OrderRequest:
        """The order to put in place of another one: its side and force, another price and size."""
        for name in ("price", "size"):
            if not parameters.get(name):
                raise empty_parameter(name)
        order = self._exchange.find(caller.account, **order_reference(parameters))
        if order is None:
            raise ApiError("43001", "The order does not exist")
        if order.order_type is not OrderType.LIMIT:
            raise bad_parameter("orderType")
        client_id = parameters.get("newClientOid") or self._new_client_id()
        if len(client_id) > MAX_CLIENT_ID:
            raise bad_parameter("newClientOid")
        return OrderRequest(
            client_id,
            order.side,
            order.order_type,
            decimal(parameters, "size"),
            decimal(parameters, "price"),
            order.force,
        )

    def _replace(self, caller: Caller, parameters: Parameters, request: OrderRequest) -> dict[str, object]:
        """Cancel, then place. Without the cancel nothing is placed; a replacement that is refused leaves neither."""
        self._exchange.cancel(caller.account, **order_reference(parameters))
        try:
            order = self._exchange.place(caller.account, request)
        except ApiError as error:
            return _not_replaced(parameters, error)
        return {**_named(order), "success": "success", "msg": None}

    def _check_batch(self, body: Body) -> None:
        if not body.orders:
            raise empty_parameter("orderList")
        if len(body.orders) > _MAX_BATCH:
            raise ApiError("40306", f"Batch processing orders can only process up to {_MAX_BATCH}")

    async def _arrive(self, caller: Caller) -> None:
        await self._latency.travel(caller.account.name)

    def _new_client_id(self) -> str:
        # Bitget makes an id where the client gives none.
        self._generated += 1
        return f"{self._exchange.true_ms()}{self._generated % 1_000_000:06d}"

    # ---- orders and fills out

    async def _order_info(self, caller: Caller, query: Parameters) -> object:
        order = self._exchange.find(caller.account, **order_reference(query))
        return [] if order is None else self._told(caller, [order])

    async def _unfilled_orders(self, caller: Caller, query: Parameters) -> object:
        if query.get("symbol"):
            self._market.check_symbol(query)
        part = window(query)
        order_id = whole(query, "orderId", 0, 0, 2**62)
        orders = [
            order
            for order in reversed(caller.account.engine.open_orders)
            if part.start_ms <= order.created_ms <= part.end_ms
            and order.order_id < part.before_id
            and order_id in (0, order.order_id)
        ]
        rules, user_id = self._exchange.rules, caller.account.user_id
        return [wire.unfilled_order(order, rules, user_id) for order in orders[: part.limit]]

    async def _history_orders(self, caller: Caller, query: Parameters) -> object:
        if query.get("symbol"):
            self._market.check_symbol(query)
        part = window(query)
        if query.get("orderId"):
            order = self._exchange.find(caller.account, order_id=whole(query, "orderId", 0, 0, 2**62))
            orders = [] if order is None or order.status.is_open else [order]
        else:
            orders = self._exchange.books.closed_orders(
                caller.account.name,
                start_ms=part.start_ms,
                end_ms=part.end_ms,
                before_id=part.before_id,
                limit=part.limit,
            )
        return self._told(caller, orders)

    async def _fills(self, caller: Caller, query: Parameters) -> object:
        if query.get("symbol"):
            self._market.check_symbol(query)
        part = window(query)
        fills = self._exchange.books.fills(
            caller.account.name,
            order_id=whole(query, "orderId", 0, 0, 2**62) or None,
            start_ms=part.start_ms,
            end_ms=part.end_ms,
            before_id=part.before_id,
            limit=part.limit,
        )
        return [wire.fill(fill, self._exchange.rules, caller.account.user_id) for fill in fills]

    def _told(self, caller: Caller, orders: list[Order]) -> object:
        fees = self._exchange.books.fees(orders)
        rules, user_id = self._exchange.rules, caller.account.user_id
        return [wire.order_info(order, rules, user_id, fees.get(order.order_id)) for order in orders]


def _named(order: Order) -> dict[str, object]:
    return {"orderId": str(order.order_id), "clientOid": order.client_id}


def _not_replaced(parameters: Parameters, error: ApiError) -> dict[str, object]:
    return {
        "orderId": parameters.get("orderId", ""),
        "clientOid": parameters.get("clientOid"),
        "success": "failure",
        "msg": error.message,
    }


def _each(orders: tuple[Parameters, ...], act: Callable[[Parameters], Order]) -> object:
    """Act on every order of a batch; one that fails does not stop the others."""
    done: list[Any] = []
    failed: list[Any] = []
    for parameters in orders:
        try:
            done.append(_named(act(parameters)))
        except ApiError as error:
            failed.append(
                {
                    "orderId": parameters.get("orderId", ""),
                    "clientOid": parameters.get("clientOid", ""),
                    "errorMsg": error.message,
                    "errorCode": error.code,
                }
            )
    return {"successList": done, "failureList": failed}
