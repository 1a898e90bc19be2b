"""Quotes: where orders should be, which of the open ones stay, and what is placed.

Every placement keeps these, whatever the state: at least the least distance from mid after skew, levels and rounding;
no crossing; all open orders together within ``total_amount_quote`` and the free balances; and the inventory inside
its limits even if every buy, or every sell, that is or may still be open fills. Orders on their way out count as
open.
"""

from dataclasses import dataclass
from decimal import Decimal

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
    return f"{side.value}:{level}"


def distances(parameters: EppParameters, inputs: QuoteInputs, side: Side) -> list[float]:
    """Distances from mid, as fractions, of a side's levels, innermost first.

    The skew moves the whole side; towards mid only as far as the innermost level keeps the least distance.
    """
    half = inputs.spread / 2
    shift = inputs.skew if side is Side.BUY else -inputs.skew
    if half + shift < inputs.min_distance:
        shift = inputs.min_distance - half
    return [half * (1 + parameters.level_step * level) + shift for level in range(inputs.levels)]


def ladder(parameters: EppParameters, inputs: QuoteInputs, rules: TradingRules) -> list[dict[Side, Decimal]]:
    """Prices of both sides' levels on the tick, innermost first.

    The side that the skew pushes away is at least as far as the other one after rounding, too.
    """
    mid = inputs.mid
    buys, sells = distances(parameters, inputs, Side.BUY), distances(parameters, inputs, Side.SELL)
    rungs = []
    for buy, sell in zip(buys, sells, strict=True):
        if inputs.skew > 0:
            ask = sizing.round_price(Side.SELL, mid * (1 + sell), rules.tick)
            bid = sizing.round_price(Side.BUY, min(mid * (1 - buy), 2 * mid - float(ask)), rules.tick)
        else:
            bid = sizing.round_price(Side.BUY, mid * (1 - buy), rules.tick)
            ask = sizing.round_price(Side.SELL, mid * (1 + sell), rules.tick)
            if inputs.skew < 0:
                ask = max(ask, sizing.round_price(Side.SELL, 2 * mid - float(bid), rules.tick))
        rungs.append({Side.BUY: bid, Side.SELL: ask})
    return rungs


def plan(
    parameters: EppParameters, inputs: QuoteInputs, rules: TradingRules, orders: tuple[OpenOrder, ...], *, hold: bool
) -> Plan:
    """Keep, pull, replace and place. With ``hold`` nothing is placed."""
    rungs = ladder(parameters, inputs, rules)
    cancel: list[str] = []
    taken: set[str] = set()
    kept: list[OpenOrder] = []
    for order in orders:
        name = slot(order.side, order.level)
        if order.state is not OrderState.CANCELLING:
            if (
                name in taken
                or not (inputs.buys if order.side is Side.BUY else inputs.sells)
                or not 0 <= order.level < len(rungs)
                or not _stays(parameters, inputs, rules, order, float(rungs[order.level][order.side]))
            ):
                cancel.append(order.order_id)
            else:
                kept.append(order)
        taken.add(name)
    cancel.extend(_surplus(parameters, inputs, kept))
    placed = () if hold else _placements(parameters, inputs, rules, orders, rungs, taken)
    return Plan(tuple(cancel), placed)


def _stays(
    parameters: EppParameters, inputs: QuoteInputs, rules: TradingRules, order: OpenOrder, wanted: float
) -> bool:
    """Whether an order may stay, where ``wanted`` is the price it should be at."""
    price = float(order.price)
    inward = 1 if order.side is Side.BUY else -1
    old = order.age_s >= inputs.regime.refresh_s
    if old and inward * (1 - price / inputs.mid) < inputs.fee:
        return False
    off = inward * (price / wanted - 1)
    # On a coarse tick the wanted price itself jumps by a tick.
    tolerance = max(parameters.keep_tolerance_bps / 1e4, float(rules.tick) / wanted)
    if abs(off) > tolerance * (1 + 1e-9):
        return not (old or (off > 0 and order.age_s >= inputs.requote_older_than))
    # In its place; but what partial fills left below the exchange's minimum is no quote any more.
    return not (old and order.state is OrderState.OPEN and order.remaining * order.price < rules.min_notional)


def _surplus(parameters: EppParameters, inputs: QuoteInputs, kept: list[OpenOrder]) -> list[str]:
    """Kept orders that no longer fit the limits, outermost first; what is being cancelled is not theirs to free."""
    cancel = []
    for side, limit in ((Side.BUY, inputs.buy_to), (Side.SELL, inputs.sell_to)):
        own = sorted((order for order in kept if order.side is side), key=lambda order: -order.level)
        sign = 1 if side is Side.BUY else -1
        base = inputs.base + sign * sum(float(order.remaining) for order in own)
        quote = inputs.quote - sign * sum(float(order.remaining * order.price) for order in own)
        for order in own:
            share = inventory.base_share(base, quote, inputs.mid)
            if (share <= limit) if side is Side.BUY else (share >= limit):
                break
            base -= sign * float(order.remaining)
            quote += sign * float(order.remaining * order.price)
            kept.remove(order)
            cancel.append(order.order_id)
    total = sum(float(order.remaining * order.price) for order in kept)
    for order in sorted(kept, key=lambda order: -order.level):
        if total <= parameters.total_amount_quote:
            break
        total -= float(order.remaining * order.price)
        cancel.append(order.order_id)
    return cancel


def _placements(
    parameters: EppParameters,
    inputs: QuoteInputs,
    rules: TradingRules,
    orders: tuple[OpenOrder, ...],
    rungs: list[dict[Side, Decimal]],
    taken: set[str],
) -> tuple[Placement, ...]:
    mid = inputs.mid
    base = {Side.BUY: inputs.base, Side.SELL: inputs.base}  # if every buy, or every sell, fills
    quote = {Side.BUY: inputs.quote, Side.SELL: inputs.quote}
    free_base, free_quote = inputs.free_base, inputs.free_quote
    room = parameters.total_amount_quote
    highest_buy, lowest_sell = 0.0, float("inf")
    for order in orders:
        amount, price = float(order.remaining), float(order.price)
        notional = amount * price
        room -= notional
        if order.side is Side.BUY:
            base[Side.BUY] += amount
            quote[Side.BUY] -= notional
            highest_buy = max(highest_buy, price)
            if order.state is OrderState.PENDING:  # perhaps not yet taken from the free balance
                free_quote -= notional * (1 + inputs.fee)
        else:
            base[Side.SELL] -= amount
            quote[Side.SELL] += notional
            lowest_sell = min(lowest_sell, price)
            if order.state is OrderState.PENDING:
                free_base -= amount

    placed: list[Placement] = []
    for level in range(len(rungs)):
        for side in (Side.BUY, Side.SELL):
            if len(placed) >= inputs.budget:
                return tuple(placed)
            name = slot(side, level)
            if not (inputs.buys if side is Side.BUY else inputs.sells) or name in taken or name in inputs.resting_slots:
                continue
            price_decimal = rungs[level][side]
            price = float(price_decimal)
            if price <= 0 or abs(price / inputs.last - 1) > parameters.price_collar_pct:
                continue
            if side is Side.BUY:
                if price >= inputs.ask or price >= lowest_sell:
                    continue
                fits = inventory.room_to_buy(base[side], quote[side], mid, inputs.buy_to, price)
                balance = free_quote / (1 + inputs.fee)
            else:
                if price <= inputs.bid or price <= highest_buy:
                    continue
                fits = inventory.room_to_sell(base[side], quote[side], mid, inputs.sell_to, price)
                balance = free_base * price
            cap = min(parameters.max_order_notional_quote, room, balance, fits * price)
            amount_decimal = sizing.order_amount(
                price_decimal, inputs.regime.order_size_pct * inputs.equity, cap, rules
            )
            if amount_decimal is None:
                continue
            placed.append(Placement(side, level, price_decimal, amount_decimal))
            amount = float(amount_decimal)
            notional = amount * price
            room -= notional
            if side is Side.BUY:
                base[side] += amount
                quote[side] -= notional
                free_quote -= notional * (1 + inputs.fee)
                highest_buy = max(highest_buy, price)
            else:
                base[side] -= amount
                quote[side] += notional
                free_base -= amount
                lowest_sell = min(lowest_sell, price)
    return tuple(placed)
