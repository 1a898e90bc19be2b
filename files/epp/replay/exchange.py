"""The exchange of a replay: the paper exchange's matching engine, with latency in front and a price path behind it."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final, Protocol

from paper_exchange.matching import (
    Balance,
    Change,
    Depth,
    Force,
    MatchingEngine,
    OrderRequest,
    OrderType,
    RejectedError,
    TradingRules,
)
from paper_exchange.matching import Fill as EngineFill
from paper_exchange.matching import Side as EngineSide

from .. import core
from .settings import Settings

_FAR: Final = float("inf")
_ONE: Final = Decimal(1)


class Listener(Protocol):
    """What the exchange tells; an :class:`Account` passes it on to the core."""

    def filled(self, fill: core.Fill) -> None:
        """An own order traded."""

    def cancelled(self, order_id: str, ts: float) -> None:
        """An own order is known to be gone."""

    def refused(self, placement: core.Placement, ts: float, detail: str) -> None:
        """An own order was not taken."""


@dataclass(slots=True)
class _Own:
    """An own order from the decision that asked for it on."""

    placement: core.Placement
    order: core.OpenOrder
    """As the core sees it."""
    price: float
    number: int = 0
    """The engine's id; 0 while pending."""

    def become(self, state: core.OrderState, remaining: Decimal) -> None:
        """Take another state or amount."""
        was = self.order
        self.order = core.OpenOrder(was.order_id, was.side, was.price, remaining, was.level, was.asked_ts, state)


@dataclass(frozen=True, slots=True)
class _Request:
    due: float
    own: _Own
    is_cancel: bool


class ReplayExchange:
    """One account on one pair.

    Args:
        settings: fees, rules, latency and the rest.
        base: base asset.
        quote: quote asset.
        start_base: amount of base at the start.
        start_quote: amount of quote at the start.
        listener: told what happens to own orders.
    """

    def __init__(
        self, settings: Settings, base: str, quote: str, start_base: Decimal, start_quote: Decimal, listener: Listener
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._base, self._quote = base, quote
        rules = TradingRules(
            base=base,
            quote=quote,
            price_precision=settings.price_precision,
            quantity_precision=settings.quantity_precision,
            min_notional=settings.min_notional,
            maker_fee=settings.maker_fee,
            taker_fee=settings.maker_fee,
        )
        self.rules = core.TradingRules(tick=rules.tick, step=rules.step, min_notional=rules.min_notional)
        self._engine = MatchingEngine(
            rules, {base: Balance(start_base), quote: Balance(start_quote)}, participation=settings.participation
        )
        self._tick, self._step = rules.tick, rules.step
        self._tick_size = float(rules.tick)
        self._half = settings.market_spread / 2
        self._serial = itertools.count(1)
        self._own: dict[str, _Own] = {}
        self._view: tuple[core.OpenOrder, ...] | None = None
        self._funds: tuple[Decimal, Decimal, Decimal, Decimal] | None = None
        self.resting_count = 0
        """Own orders resting at the exchange."""
        self._requests: deque[_Request] = deque()
        self.next_due = _FAR
        """When the next order or cancel reaches the exchange."""
        self.highest_buy = -_FAR
        """Price of the best resting own buy."""
        self.lowest_sell = _FAR

    # ---- what the core sees and asks for

    def balances(self) -> tuple[Decimal, Decimal, Decimal, Decimal]:
        """Base total, base available, quote total, quote available; the same objects until one of them changes."""
        if self._funds is None:
            base, quote = self._engine.balance(self._base), self._engine.balance(self._quote)
            self._funds = base.total, base.available, quote.total, quote.available
        return self._funds

    def book_at(self, price: float) -> tuple[float, float]:
        """Best bid and ask of the market around a price, on the tick grid as far as floats tell."""
        half = max(self._half * price, self._tick_size / 2)
        return price - half, price + half

    def orders(self) -> tuple[core.OpenOrder, ...]:
        """Own orders, those on their way in and out as well; the same tuple until one of them changes."""
        if self._view is None:
            self._view = tuple([own.order for own in self._own.values()])
        return self._view

    def place(self, placement: core.Placement, ts: float) -> None:
        """Send an order."""
        name = f"r{next(self._serial)}"
        order = core.OpenOrder(
            name, placement.side, placement.price, placement.amount, placement.level, ts, core.OrderState.PENDING
        )
        own = self._own[name] = _Own(placement, order, float(placement.price))
        self._request(_Request(ts + self._settings.latency_s, own, is_cancel=False))

    def cancel(self, client_id: str, ts: float) -> None:
        """Send a cancel; of an order that is gone already it is confirmed at once."""
        own = self._own.get(client_id)
        if own is None:
            self._listener.cancelled(client_id, ts)
            return
        if own.order.state is not core.OrderState.CANCELLING:
            own.become(core.OrderState.CANCELLING, own.order.remaining)
            self._request(_Request(ts + self._settings.latency_s, own, is_cancel=True))

    def cancel_all(self, ts: float) -> None:
        """Send a cancel for every own order."""
        for client_id in list(self._own):
            self.cancel(client_id, ts)

    def _request(self, request: _Request) -> None:
        self._view = None
        self._requests.append(request)  # one latency for all: they arrive in the order they were sent
        self.next_due = self._requests[0].due

    # ---- what happens

    def arrive(self, ts: float, price: float) -> None:
        """Carry out what has reached the exchange by ``ts``."""
        self._view = None
        while self._requests and self._requests[0].due <= ts:
            request = self._requests.popleft()
            if request.is_cancel:
                self._cancel(request.own, ts)
            else:
                self._place(request.own, ts, price)
        self.next_due = self._requests[0].due if self._requests else _FAR
        self._find_extremes()

    def _place(self, own: _Own, ts: float, price: float) -> None:
        placement, name = own.placement, own.order.order_id
        request = OrderRequest(
            name,
            EngineSide.BUY if placement.side is core.Side.BUY else EngineSide.SELL,
            OrderType.LIMIT,
            placement.amount,
            placement.price,
            Force.POST_ONLY,
        )
        try:
            change = self._engine.plan_place(request, self._opposite(request.side, price), round(ts * 1000))
        except RejectedError as refusal:
            del self._own[name]
            self._listener.refused(placement, ts, refusal.detail)
            return
        self._apply(change)
        order = change.orders[0]
        if not order.status.is_open:
            del self._own[name]
            self._listener.refused(placement, ts, order.cancel_reason)
            return
        own.number = order.order_id
        if own.order.state is core.OrderState.PENDING:
            own.become(core.OrderState.OPEN, own.order.remaining)

    def _cancel(self, own: _Own, ts: float) -> None:
        name = own.order.order_id
        if name in self._own:
            self._apply(self._engine.plan_cancel(own.number, round(ts * 1000)))
            del self._own[name]
        self._listener.cancelled(name, ts)

    def _opposite(self, side: EngineSide, price: float) -> Depth:
        """The side of the market's book that an order would trade with."""
        bid, ask = self.book_at(price)
        if side is EngineSide.BUY:
            return Depth(asks=((self._on_grid(ask, ROUND_CEILING), _ONE),))
        return Depth(bids=((self._on_grid(bid, ROUND_FLOOR), _ONE),))

    def _on_grid(self, price: float, rounding: str) -> Decimal:
        return Decimal(price).quantize(self._tick, rounding=rounding)

    def move(
        self, start: float, end: float, start_ts: float, end_ts: float, volume: float, sides: tuple[bool, bool]
    ) -> None:
        """The market trades ``volume`` base evenly along a straight way from one price to another.

        Args:
            start: price at the beginning.
            end: price at the end.
            start_ts: when it begins.
            end_ts: when it ends.
            volume: base printed on the way.
            sides: whether what is traded through own buys, and through own sells, may fill them.
        """
        low, high = (start, end) if start <= end else (end, start)
        if low < self.highest_buy and sides[0]:
            self._through(start, end, start_ts, end_ts, volume, core.Side.BUY)
        if high > self.lowest_sell and sides[1]:
            self._through(start, end, start_ts, end_ts, volume, core.Side.SELL)

    def trade(self, price: float, amount: float, ts: float, sides: tuple[bool, bool]) -> None:
        """The market trades once."""
        self.move(price, price, ts, ts, amount, sides)

    def _through(
        self, start: float, end: float, start_ts: float, end_ts: float, volume: float, side: core.Side
    ) -> None:
        """Cut the way at own prices; what is printed between two cuts goes to the orders it is wholly through."""
        length = abs(end - start)
        if not length:
            self._print(start, volume, end_ts, side)
            return
        low, high = min(start, end), max(start, end)
        inside = {own.price for own in self._own.values() if own.placement.side is side and low < own.price < high}
        cuts = sorted({low, high, *inside}, reverse=end < start)
        for near, far in itertools.pairwise(cuts):
            # Any price of the stretch is through the orders beyond it; the one named is strictly so.
            price = min(near, far) if side is core.Side.BUY else max(near, far)
            ts = start_ts + (end_ts - start_ts) * abs(far - start) / length
            self._print(price, volume * abs(far - near) / length, ts, side)

    def _print(self, price: float, volume: float, ts: float, side: core.Side) -> None:
        # Rounded away from the orders' good: a print within a tick of an order has not gone through it.
        rounding = ROUND_CEILING if side is core.Side.BUY else ROUND_FLOOR
        change = self._engine.plan_print(
            self._on_grid(round(price, 10), rounding),
            Decimal(volume).quantize(self._step, ROUND_FLOOR),
            round(ts * 1000),
        )
        if not change:
            return
        self._apply(change)
        self._view = None
        for order in change.orders:
            own = self._own[order.client_id]
            own.become(own.order.state, order.remaining)
            if not order.status.is_open:
                del self._own[order.client_id]
        self._find_extremes()
        for fill in change.fills:
            self._listener.filled(_booked(fill))

    def _apply(self, change: Change) -> None:
        self._engine.apply(change)
        self._funds = None

    def _find_extremes(self) -> None:
        buys, sells = -_FAR, _FAR
        self.resting_count = 0
        for own in self._own.values():
            if own.number:
                self.resting_count += 1
                price = own.price
                if own.placement.side is core.Side.BUY:
                    buys = max(buys, price)
                else:
                    sells = min(sells, price)
        self.highest_buy, self.lowest_sell = buys, sells


def _booked(fill: EngineFill) -> core.Fill:
    return core.Fill(
        trade_id=str(fill.trade_id),
        order_id=fill.client_id,
        ts=fill.time_ms / 1000,
        side=core.Side.BUY if fill.side is EngineSide.BUY else core.Side.SELL,
        price=fill.price,
        amount=fill.base,
        fee_amount=fill.fee,
        fee_asset=fill.fee_coin,
        is_maker=fill.is_maker,
    )
