"""Quotes: where orders should be, which of the open ones stay, and what is placed.

Every placement keeps these, whatever the state: at least the least distance from mid after skew, levels and rounding;
no crossing; all open orders together within ``total_amount_quote`` and the free balances; and the inventory inside
its limits even if every buy, or every sell, that is or may still be open fills. Orders on their way out count as
open.
"""

from dataclasses import dataclass

from . import inventory, sizing
from .config import EppParameters, RegimeParameters
from .values import OpenOrder, OrderState, Placement, Side, TradingRules


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteInputs:
    """What the quotes depend on."""

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


@dataclass(frozen=True, slots=True)
class _Resting:
    """An open order with its numbers as floats."""

    order: OpenOrder
    price: float
    amount: float
    notional: float


def distances(parameters: EppParameters, inputs: QuoteInputs, side: Side) -> list[float]:
    """Distances from mid, as fractions, of a side's levels, innermost first.

    The skew moves the whole side; towards mid only as far as the innermost level keeps the least distance.
    """
    half = inputs.spread / 2
    shift = inputs.skew if side is Side.BUY else -inputs.skew
    if half + shift < inputs.min_distance:
        shift = inputs.min_distance - half
    return [half * (1 + parameters.level_step * level) + shift for level in range(inputs.levels)]


def ladder(parameters: EppParameters, inputs: QuoteInputs, tick: float) -> list[tuple[int, int]]:
    """Bid and ask of each level in ticks, innermost first.

    The side that the skew pushes away is at least as far as the other one after rounding, too.
    """
    mid = inputs.mid
    rungs = []
    for buy, sell in zip(
        distances(parameters, inputs, Side.BUY), distances(parameters, inputs, Side.SELL), strict=True
    ):
        bid = sizing.ticks(Side.BUY, mid * (1 - buy), tick)
        ask = sizing.ticks(Side.SELL, mid * (1 + sell), tick)
        if inputs.skew > 0:
            bid = min(bid, sizing.ticks(Side.BUY, 2 * mid - ask * tick, tick))
        elif inputs.skew < 0:
            ask = max(ask, sizing.ticks(Side.SELL, 2 * mid - bid * tick, tick))
        rungs.append((bid, ask))
    return rungs


def plan(
    parameters: EppParameters, inputs: QuoteInputs, rules: TradingRules, orders: tuple[OpenOrder, ...], *, hold: bool
) -> Plan:
    """Keep, pull, replace and place. With ``hold`` nothing is placed."""
    tick = float(rules.tick)
    least = float(rules.min_notional)
    rungs = ladder(parameters, inputs, tick)
    cancel: list[str] = []
    taken: set[str] = set()
    kept: list[_Resting] = []
    resting: list[_Resting] = []
    for order in orders:
        price, amount = float(order.price), float(order.remaining)
        rest = _Resting(order, price, amount, price * amount)
        resting.append(rest)
        name = slot(order.side, order.level)
        if order.state is not OrderState.CANCELLING:
            buys = order.side is Side.BUY
            if (
                name in taken
                or not (inputs.buys if buys else inputs.sells)
                or not 0 <= order.level < len(rungs)
                or not _stays(parameters, inputs, rest, rungs[order.level][0 if buys else 1] * tick, tick, least)
            ):
                cancel.append(order.order_id)
            else:
                kept.append(rest)
        taken.add(name)
    cancel.extend(_surplus(parameters, inputs, kept))
    wanted = [
        (side, level)
        for level in range(len(rungs))
        for side in (Side.BUY, Side.SELL)
        if (inputs.buys if side is Side.BUY else inputs.sells)
        and (name := slot(side, level)) not in taken
        and name not in inputs.resting_slots
    ]
    placed = _placements(parameters, inputs, rules, resting, rungs, wanted) if wanted and not hold else ()
    return Plan(tuple(cancel), placed)


def _stays(
    parameters: EppParameters, inputs: QuoteInputs, rest: _Resting, wanted: float, tick: float, least: float
) -> bool:
    """Whether an order may stay, where ``wanted`` is the price it should be at."""
    order = rest.order
    inward = 1 if order.side is Side.BUY else -1
    old = order.age_s >= inputs.regime.refresh_s
    if old and inward * (1 - rest.price / inputs.mid) < inputs.fee:
        return False
    off = inward * (rest.price / wanted - 1)
    # On a coarse tick the wanted price itself jumps by a tick.
    tolerance = max(parameters.keep_tolerance_bps / 1e4, tick / wanted) * (1 + 1e-9)
    if abs(off) > tolerance:
        return not (old or (off > 0 and order.age_s >= inputs.requote_older_than))
    # In its place; but what partial fills left below the exchange's minimum is no quote any more.
    return not (old and rest.notional < least and order.state is OrderState.OPEN)


def _surplus(parameters: EppParameters, inputs: QuoteInputs, kept: list[_Resting]) -> list[str]:
    """Kept orders that no longer fit the limits, outermost first; what is being cancelled is not theirs to free."""
    cancel: list[str] = []
    total = 0.0
    for side, limit in ((Side.BUY, inputs.buy_to), (Side.SELL, inputs.sell_to)):
        sign = 1 if side is Side.BUY else -1
        own = [rest for rest in kept if rest.order.side is side]
        base, quote = inputs.base, inputs.quote
        for rest in own:
            base += sign * rest.amount
            quote -= sign * rest.notional
            total += rest.notional
        while own and sign * (inventory.base_share(base, quote, inputs.mid) - limit) > 0:
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
    resting: list[_Resting],
    rungs: list[tuple[int, int]],
    wanted: list[tuple[Side, int]],
) -> tuple[Placement, ...]:
    """New orders for the wanted slots, as far as distance, collar, balances and limits let them be."""
    mid = inputs.mid
    up_base = down_base = inputs.base  # if every buy, or every sell, fills
    up_quote = down_quote = inputs.quote
    free_base, free_quote = inputs.free_base, inputs.free_quote
    room = parameters.total_amount_quote
    highest_buy, lowest_sell = 0.0, float("inf")
    for rest in resting:
        room -= rest.notional
        # An order not yet acknowledged is perhaps not yet taken from the free balance.
        pending = rest.order.state is OrderState.PENDING
        if rest.order.side is Side.BUY:
            up_base += rest.amount
            up_quote -= rest.notional
            highest_buy = max(highest_buy, rest.price)
            if pending:
                free_quote -= rest.notional * (1 + inputs.fee)
        else:
            down_base -= rest.amount
            down_quote += rest.notional
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
            balance = free_quote / (1 + inputs.fee)
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
