"""Quotes: where orders should be, which of the open ones stay, and what is placed.

Every placement keeps these, whatever the state: at least the least distance from mid after skew, levels and rounding;
no crossing; all open orders together within ``total_amount_quote`` and the free balances; and the inventory inside
its limits even if every buy, or every sell, that is or may still be open fills. Orders on their way out count as
open.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor
from typing import Final

from . import inventory, sizing
from .config import LEVELS_MOST, EppParameters, RegimeParameters
from .values import OpenOrder, OrderState, Placement, Side, TradingRules

RENEWED_AFTER_S: Final = 480.0
"""An order is placed anew at this age, though it is in its place: one of ten minutes is what the watchdog takes for an
order that nobody looks after."""


@dataclass(slots=True, kw_only=True)
class QuoteInputs:
    """What the quotes depend on."""

    ts: float
    bid: float
    ask: float
    mid: float
    last: float
    spread: float
    """Quoted width."""
    skew: float
    min_distance: float
    fee: float
    levels: int
    regime: RegimeParameters
    equity: float
    base: float
    """Total base."""
    quote: float
    """Total quote."""
    free_base: float
    free_quote: float
    buy_to: float
    """Share of equity in base that buying may reach at most; buying is off when it is there."""
    sell_to: float
    """Share of equity in base that selling may reach at least."""
    notional_to: float
    """Most that inventory at mid and all bids at their own prices may be worth together; infinite without a limit."""
    buys: bool
    sells: bool
    requote_older_than: float
    """Age from which an order nearer to mid than it should be goes at once (a shock began); else infinite."""
    budget: int
    """Placements left in this minute."""
    resting_slots: frozenset[str]
    """Slots that rest after a refusal."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Cancels and placements of one decision."""

    cancel: tuple[str, ...]
    place: tuple[Placement, ...]


def slot(side: Side, level: int) -> str:
    """Name of a slot: one order at a time."""
    return f"{side}:{level}"


_SLOTS: Final = [[(side, slot(side, level)) for side in (Side.BUY, Side.SELL)] for level in range(LEVELS_MOST)]
"""Sides of each level, with the names of their slots."""
_HAIR: Final = 1 + 1e-9


@dataclass(slots=True)
class _Resting:
    """An open order with its slot, and its numbers as floats."""

    order: OpenOrder
    buys: bool
    slot: str
    price: float
    amount: float
    notional: float


class Standing:
    """The open orders, and what the account comes to when every one of a side fills.

    Nothing in it moves with the market: it holds until an order or a balance changes.
    """

    def __init__(
        self, orders: tuple[OpenOrder, ...], base: float, quote: float, before: "Standing | None" = None
    ) -> None:
        self.orders = orders
        self.base = base
        self.quote = quote
        known = {} if before is None else {rest.order.order_id: rest for rest in before.resting}
        self.resting: list[_Resting] = [
            rest if (rest := known.get(order.order_id)) is not None and rest.order is order else _as_numbers(order)
            for order in orders
        ]
        self.if_bought = _filled(Side.BUY, self.resting, base, quote)
        self.if_sold = _filled(Side.SELL, self.resting, base, quote)
        self.notional = _notional(self.resting)


def _as_numbers(order: OpenOrder) -> _Resting:
    price, amount = float(order.price), float(order.remaining)
    return _Resting(order, order.side is Side.BUY, slot(order.side, order.level), price, amount, price * amount)


def _filled(side: Side, resting: Iterable[_Resting], base: float, quote: float) -> tuple[float, float]:
    """Base and quote when every order of a side fills."""
    buys = side is Side.BUY
    sign = 1 if buys else -1
    for rest in resting:
        if rest.buys is buys:
            base += sign * rest.amount
            quote -= sign * rest.notional
    return base, quote


def _notional(resting: list[_Resting]) -> float:
    """Value of orders, buys first."""
    total = 0.0
    for buys in (True, False):
        for rest in resting:
            if rest.buys is buys:
                total += rest.notional
    return total


def distances(parameters: EppParameters, inputs: QuoteInputs, side: Side) -> list[float]:
    """Distances from mid, as fractions, of a side's levels, innermost first.

    The skew moves the whole side; towards mid only as far as the innermost level keeps the least distance.
    """
    half = inputs.spread / 2
    shift = inputs.skew if side is Side.BUY else -inputs.skew
    if half + shift < inputs.min_distance:
        shift = inputs.min_distance - half
    step = parameters.level_step
    return [half * (1 + step * level) + shift for level in range(inputs.levels)]


def ladder(parameters: EppParameters, inputs: QuoteInputs, tick: float) -> list[tuple[int, int]]:
    """Bid and ask of each level in ticks, innermost first.

    The side that the skew pushes away is at least as far as the other one after rounding, too.
    """
    mid, skew = inputs.mid, inputs.skew
    rungs = []
    for buy, sell in zip(
        distances(parameters, inputs, Side.BUY), distances(parameters, inputs, Side.SELL), strict=True
    ):
        # Rounded away from mid: rounding never brings an order nearer.
        bid = floor(mid * (1 - buy) / tick)
        ask = ceil(mid * (1 + sell) / tick)
        if skew > 0:
            bid = min(bid, floor((2 * mid - ask * tick) / tick))
        elif skew < 0:
            ask = max(ask, ceil((2 * mid - bid * tick) / tick))
        rungs.append((bid, ask))
    return rungs


def plan(
    parameters: EppParameters, inputs: QuoteInputs, rules: TradingRules, standing: Standing, *, hold: bool
) -> Plan:
    """Keep, pull, replace and place. With ``hold`` nothing is placed."""
    tick, least = float(rules.tick), float(rules.min_notional)
    # A hair more, for what rounding does to a distance that is just so.
    tolerance = parameters.keep_tolerance_bps / 1e4 * _HAIR
    rungs = ladder(parameters, inputs, tick)
    cancel: list[str] = []
    taken: set[str] = set()
    kept: list[_Resting] = []
    for rest in standing.resting:
        order = rest.order
        if order.state is not OrderState.CANCELLING:
            if (
                rest.slot in taken
                or not (inputs.buys if rest.buys else inputs.sells)
                or not 0 <= order.level < len(rungs)
                or not _stays(inputs, rest, rungs[order.level][0 if rest.buys else 1] * tick, tolerance, tick, least)
            ):
                cancel.append(order.order_id)
            else:
                kept.append(rest)
        taken.add(rest.slot)
    if len(kept) < len(standing.resting) or not _fits(parameters, inputs, standing):
        cancel.extend(_surplus(parameters, inputs, kept))
    placed: tuple[Placement, ...] = ()
    if not hold and len(kept) < 2 * len(rungs):
        wanted = [
            (side, level)
            for level in range(len(rungs))
            for side, name in _SLOTS[level]
            if name not in taken
            and (inputs.buys if side is Side.BUY else inputs.sells)
            and name not in inputs.resting_slots
        ]
        if wanted:
            placed = _placements(parameters, inputs, rules, standing, rungs, wanted)
    return Plan(tuple(cancel), placed)


def _stays(inputs: QuoteInputs, rest: _Resting, wanted: float, tolerance: float, tick: float, least: float) -> bool:
    """Whether an order may stay, where ``wanted`` is the price it should be at."""
    order = rest.order
    inward = 1 if rest.buys else -1
    age = inputs.ts - order.asked_ts
    old = age >= inputs.regime.refresh_s
    if age >= RENEWED_AFTER_S:
        return False
    if old and inward * (1 - rest.price / inputs.mid) < inputs.fee:
        return False
    off = inward * (rest.price / wanted - 1)
    # On a coarse tick the wanted price itself jumps by a tick.
    if abs(off) > tolerance and abs(off) > tick / wanted * _HAIR:
        return not (old or (off > 0 and age >= inputs.requote_older_than))
    # In its place; but what partial fills left below the exchange's minimum is no quote any more.
    return not (old and rest.notional < least and order.state is OrderState.OPEN)


def _fits(parameters: EppParameters, inputs: QuoteInputs, standing: Standing) -> bool:
    """Whether all open orders together keep the limits."""
    return (
        inventory.base_share(*standing.if_bought, inputs.mid) <= inputs.buy_to
        and _at_stake(inputs, standing.if_bought[1]) <= inputs.notional_to
        and inventory.base_share(*standing.if_sold, inputs.mid) >= inputs.sell_to
        and standing.notional <= parameters.total_amount_quote
    )


def _at_stake(inputs: QuoteInputs, quote_if_bought: float) -> float:
    """What inventory and bids are worth together; a bid counts as what it would cost, be it over or under mid."""
    return inputs.base * inputs.mid + inputs.quote - quote_if_bought


def _surplus(parameters: EppParameters, inputs: QuoteInputs, kept: list[_Resting]) -> list[str]:
    """Kept orders that no longer fit the limits, outermost first; what is being cancelled is not theirs to free."""
    cancel: list[str] = []
    total = 0.0
    for side, limit in ((Side.BUY, inputs.buy_to), (Side.SELL, inputs.sell_to)):
        sign = 1 if side is Side.BUY else -1
        own = [rest for rest in kept if rest.buys is (side is Side.BUY)]
        for rest in own:
            total += rest.notional
        base, quote = _filled(side, own, inputs.base, inputs.quote)
        while own and (
            sign * (inventory.base_share(base, quote, inputs.mid) - limit) > 0
            or (side is Side.BUY and _at_stake(inputs, quote) > inputs.notional_to)
        ):
            rest = max(own, key=lambda rest: rest.order.level)
            own.remove(rest)
            kept.remove(rest)
            cancel.append(rest.order.order_id)
            base -= sign * rest.amount
            quote += sign * rest.notional
            total -= rest.notional
    while kept and total > parameters.total_amount_quote:
        rest = max(kept, key=lambda rest: rest.order.level)
        kept.remove(rest)
        cancel.append(rest.order.order_id)
        total -= rest.notional
    return cancel


def _placements(
    parameters: EppParameters,
    inputs: QuoteInputs,
    rules: TradingRules,
    standing: Standing,
    rungs: list[tuple[int, int]],
    wanted: list[tuple[Side, int]],
) -> tuple[Placement, ...]:
    """New orders for the wanted slots, as far as distance, collar, balances and limits let them be."""
    mid = inputs.mid
    up_base, up_quote = standing.if_bought
    down_base, down_quote = standing.if_sold
    free_base, free_quote = inputs.free_base, inputs.free_quote
    room = parameters.total_amount_quote
    highest_buy, lowest_sell = 0.0, float("inf")
    for rest in standing.resting:
        room -= rest.notional
        # An order not yet acknowledged is perhaps not yet taken from the free balance.
        pending = rest.order.state is OrderState.PENDING
        if rest.buys:
            highest_buy = max(highest_buy, rest.price)
            if pending:
                free_quote -= rest.notional * (1 + inputs.fee)
        else:
            lowest_sell = min(lowest_sell, rest.price)
            if pending:
                free_base -= rest.amount

    placed: list[Placement] = []
    size = inputs.regime.order_size_pct * inputs.equity
    for side, level in wanted:
        if len(placed) >= inputs.budget:
            break
        exact_price = (rungs[level][0 if side is Side.BUY else 1] * rules.tick).quantize(rules.tick)
        price = float(exact_price)
        if abs(price / inputs.last - 1) > parameters.price_collar_pct:
            continue
        if side is Side.BUY:
            if price >= inputs.ask or price >= lowest_sell:
                continue
            fits = inventory.room_to_buy(up_base, up_quote, mid, inputs.buy_to, price)
            balance = min(free_quote / (1 + inputs.fee), inputs.notional_to - _at_stake(inputs, up_quote))
        else:
            if price <= inputs.bid or price <= highest_buy:
                continue
            fits = inventory.room_to_sell(down_base, down_quote, mid, inputs.sell_to, price)
            balance = free_base * price
        cap = min(parameters.max_order_notional_quote, room, balance, fits * price)
        exact_amount = sizing.order_amount(exact_price, size, cap, rules)
        if exact_amount is None:
            continue
        placed.append(Placement(side, level, exact_price, exact_amount))
        amount = float(exact_amount)
        notional = amount * price
        room -= notional
        if side is Side.BUY:
            up_base += amount
            up_quote -= notional
            free_quote -= notional * (1 + inputs.fee)
            highest_buy = max(highest_buy, price)
        else:
            down_base -= amount
            down_quote += notional
            free_base -= amount
            lowest_sell = min(lowest_sell, price)
    return tuple(placed)
