"""What holds for every order, whatever the state of market, account, orders and configuration."""

from decimal import Decimal

from epp.core import GuardState, OrderState, Side
from epp.tests.core.situations import SITUATIONS, Situation
from epp.tests.core.stage import PROPERTY, Stage
from hypothesis import Phase, find, given, settings

ROUNDING = 1e-9
"""Relative; what binary fractions may add or take."""


@PROPERTY
@given(SITUATIONS)
def test_every_order_is_at_least_its_costs_and_the_fees_share_away_from_mid(situation: Situation) -> None:
    """After skew, levels and rounding: distance >= max(f + s + a + e, f/rho)."""
    for placed in situation.decision.place:
        assert situation.distance(placed.price) >= situation.least_distance - ROUNDING


@PROPERTY
@given(SITUATIONS)
def test_no_order_crosses_the_market_or_an_own_order(situation: Situation) -> None:
    snapshot = situation.snapshot
    bid, ask = snapshot.bid, snapshot.ask
    assert bid is not None
    assert ask is not None
    place = situation.decision.place
    orders = [(order.side, order.price) for order in situation.resting]
    orders += [(placed.side, placed.price) for placed in place]
    for placed in place:
        if placed.side is Side.BUY:
            assert float(placed.price) < ask
            assert all(placed.price < price for side, price in orders if side is Side.SELL)
        else:
            assert float(placed.price) > bid
            assert all(placed.price > price for side, price in orders if side is Side.BUY)


@PROPERTY
@given(SITUATIONS)
def test_all_open_orders_together_fit_the_amount_and_the_free_balances(situation: Situation) -> None:
    """Orders on their way in or out count as open; nothing is added to what is over the amount already."""
    place, resting = situation.decision.place, situation.resting
    total = sum((order.price * order.remaining for order in resting), Decimal(0))
    total += sum((placed.price * placed.amount for placed in place), Decimal(0))
    if place:
        assert float(total) <= situation.stage.parameters.total_amount_quote * (1 + ROUNDING)
    arriving = [order for order in resting if order.state is OrderState.PENDING]
    buying = sum((o.price * o.remaining for o in arriving if o.side is Side.BUY), Decimal(0))
    selling = sum((o.remaining for o in arriving if o.side is Side.SELL), Decimal(0))
    buys = [placed for placed in place if placed.side is Side.BUY]
    sells = [placed for placed in place if placed.side is Side.SELL]
    fee = Decimal(repr(situation.stage.fee))
    needed = (sum((placed.price * placed.amount for placed in buys), Decimal(0)) + buying) * (1 + fee)
    free_quote, free_base = situation.snapshot.quote_available, situation.snapshot.base_available
    assert free_quote is not None
    assert free_base is not None
    if buys:
        assert float(needed) <= float(free_quote) * (1 + ROUNDING)
    if sells:
        assert float(sum((p.amount for p in sells), Decimal(0)) + selling) <= float(free_base) * (1 + ROUNDING)


@PROPERTY
@given(SITUATIONS)
def test_the_inventory_stays_inside_its_limits_even_if_every_open_order_fills(situation: Situation) -> None:
    """The hard band; the target while only one side may trade. In-flight cancels are counted as open."""
    least, most = situation.limits
    sides = {placed.side for placed in situation.decision.place}
    if Side.BUY in sides:
        assert situation.share_if_filled(Side.BUY, orders=situation.resting) <= most + ROUNDING
    if Side.SELL in sides:
        assert situation.share_if_filled(Side.SELL, orders=situation.resting) >= least - ROUNDING


@PROPERTY
@given(SITUATIONS)
def test_orders_that_no_longer_fit_the_limits_are_taken_back(situation: Situation) -> None:
    """What is kept could all fill: the market moved since it was placed, or the limits did."""
    if situation.decision.state not in (GuardState.RUNNING, GuardState.REDUCE_ONLY):
        assert not situation.kept
        return
    least, most = situation.limits
    kept = situation.kept
    if any(order.side is Side.BUY for order in kept):
        assert situation.share_if_filled(Side.BUY, with_placed=False, orders=kept) <= most + ROUNDING
    if any(order.side is Side.SELL for order in kept):
        assert situation.share_if_filled(Side.SELL, with_placed=False, orders=kept) >= least - ROUNDING
    worth = sum((order.price * order.remaining for order in kept), Decimal(0))
    assert float(worth) <= situation.stage.parameters.total_amount_quote * (1 + ROUNDING)


@PROPERTY
@given(SITUATIONS)
def test_the_skew_always_works_against_the_inventory_error(situation: Situation) -> None:
    """Base above target: the bid of a level is never closer to mid than its ask; below, the other way round."""
    figures = situation.stage.engine.minute_row()
    if figures.skew is None:
        return
    error = situation.stage.base_share() - situation.target
    assert figures.skew * error >= 0
    placed = {(placed.side, placed.level): situation.distance(placed.price) for placed in situation.decision.place}
    for (side, level), distance in placed.items():
        other = placed.get((Side.SELL if side is Side.BUY else Side.BUY, level))
        if other is None or figures.skew == 0:
            continue
        pushed_away = Side.BUY if figures.skew > 0 else Side.SELL
        assert distance >= other - ROUNDING if side is pushed_away else distance <= other + ROUNDING


@PROPERTY
@given(SITUATIONS)
def test_outside_the_band_only_the_side_that_reduces_the_error_trades(situation: Situation) -> None:
    parameters, share = situation.stage.parameters, situation.stage.base_share()
    sides = {placed.side for placed in situation.decision.place} | {order.side for order in situation.kept}
    if share > parameters.max_base_pct:
        assert Side.BUY not in sides
    if share < parameters.min_base_pct:
        assert Side.SELL not in sides


@PROPERTY
@given(SITUATIONS)
def test_every_order_is_on_the_exchanges_grid_and_between_its_minimum_and_the_cap(situation: Situation) -> None:
    rules, parameters = situation.stage.rules, situation.stage.parameters
    for placed in situation.decision.place:
        worth = placed.price * placed.amount
        assert placed.price > 0
        assert placed.price % rules.tick == 0
        assert placed.amount % rules.step == 0
        assert worth >= rules.min_notional
        assert float(worth) <= parameters.max_order_notional_quote * (1 + ROUNDING)
        last = situation.snapshot.last
        assert last is not None
        assert abs(float(placed.price) / last - 1) <= parameters.price_collar_pct + ROUNDING


@PROPERTY
@given(SITUATIONS)
def test_one_order_a_slot_and_none_cancelled_and_placed_at_once(situation: Situation) -> None:
    """A slot is quoted anew only when its old order is known to be gone."""
    taken = {(order.side, order.level) for order in situation.resting}
    slots = [(placed.side, placed.level) for placed in situation.decision.place]
    assert len(set(slots)) == len(slots)
    assert not taken & set(slots)
    assert len(set(situation.decision.cancel)) == len(situation.decision.cancel)


def test_the_situations_are_worth_looking_at() -> None:
    """Orders on both sides, orders kept and taken back: the properties above are not true of nothing."""

    def rich(situation: Situation) -> bool:
        sides = {placed.side for placed in situation.decision.place}
        return len(sides) == 2 and bool(situation.kept) and bool(situation.decision.cancel)

    found = find(SITUATIONS, rich, settings=settings(PROPERTY, max_examples=2000, phases=[Phase.generate]))
    assert isinstance(found.stage, Stage)
