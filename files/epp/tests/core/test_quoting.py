"""What happens to an order over its life: kept, pulled, replaced, waited for."""

from dataclasses import replace
from decimal import Decimal

import pytest
from epp.core import Engine, GuardState, OpenOrder, OrderState, Placement, Side, TradingRules
from epp.core.guard import CancelTrack
from epp.core.quoting import RENEWED_AFTER_S, Plan, QuoteInputs, Standing, distances, ladder, plan
from epp.tests.core.stage import NOON, PRICE, PROPERTY, RULES, Stage, configured, quoting
from hypothesis import given
from hypothesis import strategies as st

D = Decimal


def test_both_sides_are_quoted_level_by_level() -> None:
    """Level i at half·(1 + 0.4·i): 0.35, 0.49, 0.63 and 0.77 %."""
    stage = quoting()
    for side, sign in ((Side.BUY, -1), (Side.SELL, 1)):
        away = [sign * (float(order.price) / PRICE - 1) for order in stage.of(side)]
        assert away == pytest.approx([0.0035, 0.0049, 0.0063, 0.0077], abs=1e-6)


def test_a_calm_market_leaves_every_order_where_it_is_for_eight_minutes() -> None:
    """Then it is placed anew at its price, before the watchdog takes it for one that nobody looks after."""
    stage = quoting()
    before = dict(stage.orders)
    stage.run(470, 10)
    assert set(stage.orders) == set(before)
    ages = []
    for _ in range(1800):
        stage.tick()
        ages += [stage.ts - order.asked_ts for order in stage.orders.values()]
    assert max(ages) <= RENEWED_AFTER_S + 2
    assert not set(stage.orders) & set(before)

    def places(orders: dict[str, OpenOrder]) -> set[tuple[Side, int, Decimal]]:
        return {(order.side, order.level, order.price) for order in orders.values()}

    assert places(stage.orders) == places(before)


@pytest.mark.parametrize(("move", "kept"), [(1.00049, True), (1.00052, False), (0.99951, True), (0.99948, False)])
def test_a_quote_within_five_bp_of_where_it_should_be_is_kept(move: float, kept: bool) -> None:
    stage = quoting()
    stage.run(100, 10)
    before = set(stage.orders)
    stage.mid *= move
    stage.tick(10)
    assert (set(stage.last.cancel) == set()) is kept
    if not kept:
        assert set(stage.last.cancel) == before
        assert not stage.last.place, "a slot is quoted anew when its order is known to be gone"
        stage.tick()
        assert len(stage.last.place) == 8


def test_a_misplaced_order_younger_than_a_refresh_is_left() -> None:
    stage = quoting()
    stage.mid *= 1.001
    stage.run(88)
    assert not stage.last.cancel
    stage.run(2)
    assert stage.last.cancel or len(stage.last.place) == 8


def test_an_order_nearer_than_the_fee_and_older_than_a_refresh_is_pulled() -> None:
    """However generous the tolerance is."""
    stage = Stage(parameters=configured(keep_tolerance_bps=100.0))
    stage.tick()
    stage.run(80, 10)
    inner = stage.of(Side.BUY)[0]
    stage.mid = float(inner.price) * 1.00095
    stage.tick(9)
    assert not stage.last.cancel
    stage.tick(1)
    assert list(stage.last.cancel) == [inner.order_id]


def test_an_order_a_little_further_than_the_fee_is_not() -> None:
    stage = Stage(parameters=configured(keep_tolerance_bps=100.0))
    stage.tick()
    stage.mid = float(stage.of(Side.BUY)[0].price) * 1.00105
    stage.run(100, 10)
    assert len(stage.orders) == 8
    assert not stage.last.cancel


def test_on_a_coarse_tick_an_order_one_tick_off_is_kept() -> None:
    rules = replace(RULES, tick=D(50))  # 10 bp
    stage = quoting(rules=rules)
    stage.run(100, 10)
    stage.mid += 20
    stage.run(100, 10)
    assert all(order.order_id.startswith("o") and order.asked_ts < stage.ts - 150 for order in stage.orders.values())


@pytest.mark.parametrize("state", [OrderState.PENDING, OrderState.OPEN, OrderState.CANCELLING])
def test_a_slot_is_not_quoted_anew_while_its_order_may_exist(state: OrderState) -> None:
    stage = quoting()
    name = stage.of(Side.BUY)[0].order_id
    stage.orders[name] = replace(stage.orders[name], state=state)
    stage.deaf = True
    for decision in stage.run(9):
        assert not decision.place


def test_a_filled_slot_is_quoted_anew() -> None:
    stage = quoting()
    stage.fill(stage.of(Side.BUY)[0].order_id)
    stage.tick()
    assert [(placed.side, placed.level) for placed in stage.last.place] == [(Side.BUY, 0)]


def test_two_orders_in_a_slot_become_one() -> None:
    stage = quoting()
    twin = stage.put(Placement(Side.BUY, 0, stage.of(Side.BUY)[0].price, D("0.001")))
    stage.tick()
    assert stage.last.cancel == (twin,)


def test_an_order_of_an_unknown_level_is_cancelled() -> None:
    stage = quoting()
    name = stage.put(Placement(Side.BUY, -1, D(49000), D("0.001")))
    stage.tick()
    assert stage.last.cancel == (name,)


def test_a_remainder_below_the_minimum_is_dust_booked_but_not_quoted() -> None:
    stage = quoting()
    order = stage.of(Side.BUY)[0]
    booked = stage.fill(order.order_id, order.remaining - D("0.00009"))
    assert booked is not None
    assert booked.notional_quote > 90
    stage.tick()
    assert not stage.last.cancel, "it may still fill; it is young"
    stage.run(90, 10)
    stage.tick(10)
    assert order.order_id not in stage.orders


def test_a_partly_filled_order_above_the_minimum_stays() -> None:
    stage = quoting()
    order = stage.of(Side.BUY)[0]
    stage.fill(order.order_id, order.remaining / 2)
    stage.run(200, 10)
    assert order.order_id in stage.orders


# ---- limits


def test_no_order_is_further_than_the_collar_from_the_last_trade() -> None:
    """Mid may be 1 % from the last trade; an order then another 5 % from it no further."""
    parameters = configured(level_step=5.0, price_collar_pct=0.03)
    stage = Stage(parameters=parameters)
    stage.tick()
    assert [order.level for order in stage.of(Side.BUY)] == [0, 1]  # 0.35 and 2.1 %; 3.85 and 5.6 % are too far
    assert [order.level for order in stage.of(Side.SELL)] == [0, 1]


def test_at_most_sixty_placements_a_minute() -> None:
    stage = Stage(parameters=configured(cancel_budget_per_min=600))
    times = []
    for _ in range(120):
        stage.orders.clear()
        stage.tick()
        times += [stage.ts] * len(stage.last.place)
    assert len(times) > 100
    for end in times:
        assert sum(1 for at in times if end - 60 < at <= end) <= 60


def test_a_refused_order_rests_twice_as_long_each_time_up_to_five_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("epp.core.quoting.RENEWED_AFTER_S", 1e9)  # the others shall stay where they are meanwhile
    stage = quoting()
    stage.run(100, 10)
    waits = []
    for _ in range(7):
        del stage.orders[stage.of(Side.BUY)[0].order_id]
        stage.engine.on_placement_failure(Side.BUY, 0, stage.ts, "no")
        waited = 0
        while not stage.tick().place:
            waited += 1
            assert all(order.level for order in stage.of(Side.BUY))
        waits.append(waited + 1)
        name = stage.of(Side.BUY)[0].order_id
        stage.orders[name] = replace(stage.orders[name], state=OrderState.PENDING)
    assert waits == [10, 20, 40, 80, 160, 300, 300]


def test_an_order_that_rests_ends_the_back_off() -> None:
    stage = quoting()
    for _ in range(2):
        del stage.orders[stage.of(Side.BUY)[0].order_id]
        stage.engine.on_placement_failure(Side.BUY, 0, stage.ts, "no")
        stage.run(11)
        assert len(stage.orders) == 8
        stage.tick()


def test_other_slots_do_not_rest_with_it() -> None:
    stage = quoting()
    del stage.orders[stage.of(Side.BUY)[0].order_id]
    stage.fill(stage.of(Side.SELL)[1].order_id)
    stage.engine.on_placement_failure(Side.BUY, 0, stage.ts, "no")
    stage.tick()
    assert [(placed.side, placed.level) for placed in stage.last.place] == [(Side.SELL, 1)]


def test_orders_that_are_each_fine_do_not_leave_the_band_together() -> None:
    """One percent of equity each, with 2.5 % of room: two and a half of four bids."""
    stage = quoting(share=0.825)
    worth = [float(order.price * order.remaining) for order in stage.of(Side.BUY)]
    assert sum(worth) < 0.0251 * 10_000
    assert len(worth) == 3
    for order in stage.of(Side.BUY):
        stage.fill(order.order_id)
    assert stage.base_share() <= 0.85


@pytest.mark.parametrize(
    ("share", "bought", "left"),
    [
        (0.8, "0.0044", [0, 1]),
        (0.8, "0.0059", [0, 1]),
        (0.8, "0.0065", [0]),
        (0.8, "0.0099", []),
        (0.5, "0.01", [0, 1, 2, 3]),
    ],
)
def test_an_inventory_that_moved_takes_back_the_outermost_orders_and_no_more(
    share: float, bought: str, left: list[int]
) -> None:
    """Each bid is one percent of equity; 0.002 of base are, too."""
    stage = quoting(share=share)
    assert len(stage.of(Side.BUY)) == 4
    stage.trade(Side.BUY, D(50_000), D(bought), order_id="elsewhere")
    stage.tick()
    assert [order.level for order in stage.of(Side.BUY) if order.order_id not in stage.last.cancel] == left
    assert len(stage.of(Side.SELL)) == 4
    assert not {order.order_id for order in stage.of(Side.SELL)} & set(stage.last.cancel)


@pytest.mark.parametrize(
    ("share", "sold", "left"),
    [(0.2, "0.0044", [0, 1]), (0.2, "0.0065", [0]), (0.2, "0.0099", []), (0.5, "0.01", [0, 1, 2, 3])],
)
def test_and_so_does_one_that_moved_the_other_way(share: float, sold: str, left: list[int]) -> None:
    stage = quoting(share=share)
    stage.trade(Side.SELL, D(50_000), D(sold), order_id="elsewhere")
    stage.tick()
    assert [order.level for order in stage.of(Side.SELL) if order.order_id not in stage.last.cancel] == left
    assert not {order.order_id for order in stage.of(Side.BUY)} & set(stage.last.cancel)


@pytest.mark.parametrize(("amount", "levels"), [(800.0, 8), (799.0, 7), (450.0, 4), (99.0, 0)])
def test_orders_over_the_amount_are_taken_back_outermost_first(amount: float, levels: int) -> None:
    stage = quoting()
    stage.engine.parameters = configured(total_amount_quote=amount)
    stage.tick()
    kept = [order.level for order in stage.orders.values() if order.order_id not in stage.last.cancel]
    assert len(kept) == levels
    assert all(level <= levels // 2 for level in kept)
    gone = [stage.orders[name].level for name in stage.last.cancel]
    assert not gone or min(gone) >= max(kept, default=0)


def test_while_only_one_side_trades_it_stops_at_the_target() -> None:
    """Reducing is not turning the error round."""
    stage = quoting(share=0.51)
    stage.state.ledger.day.notional = stage.state.ledger.day.equity_open * 3
    stage.tick()
    stage.tick()
    assert stage.doing == "reduce_only"
    assert not stage.of(Side.BUY)
    for order in stage.of(Side.SELL):
        stage.fill(order.order_id)
    assert stage.base_share() == pytest.approx(0.5, abs=0.0005)
    stage.run(5)
    assert not stage.orders


def test_buys_take_no_more_of_the_free_quote_than_there_is_fee_included() -> None:
    """Of 250 USDT: 100 and 0.1 % twice, and what is left, in whole steps."""
    stage = Stage(given={"quote_available": D(250)})
    stage.tick()
    worth = [float(order.price * order.remaining) for order in stage.of(Side.BUY)]
    assert len(worth) == 3
    assert worth[:2] == pytest.approx([100, 100], abs=0.06)
    assert 250 - 0.06 <= sum(worth) * 1.001 <= 250
    assert len(stage.of(Side.SELL)) == 4


def test_sells_take_no_more_of_the_free_base_than_there_is() -> None:
    stage = Stage(given={"base_available": D("0.005")})
    stage.tick()
    sells = [order.remaining for order in stage.of(Side.SELL)]
    assert len(sells) == 3
    assert sum(sells) == D("0.005")
    assert sells[0] > D("0.00199")
    assert len(stage.of(Side.BUY)) == 4


@pytest.mark.parametrize("side", Side)
def test_a_side_without_balance_does_not_keep_the_other_from_quoting(side: Side) -> None:
    stage = Stage(given={"quote_available" if side is Side.BUY else "base_available": D(0)})
    stage.tick()
    assert {order.side for order in stage.orders.values()} == set(Side) - {side}
    assert len(stage.orders) == 4


@pytest.mark.parametrize(("last", "side"), [(1.009, Side.SELL), (0.991, Side.BUY)])
def test_a_side_out_of_the_collar_does_not_keep_the_other_from_quoting(last: float, side: Side) -> None:
    stage = Stage(parameters=configured(price_collar_pct=0.012), given={"last": PRICE * last})
    stage.tick()
    assert {order.side for order in stage.orders.values()} == {side}
    assert len(stage.orders) == 4


@pytest.mark.parametrize("side", Side)
def test_an_own_order_on_its_way_out_is_not_crossed_nor_touched(side: Side) -> None:
    """The market moved through it and it may still rest: the other side waits, its own does not."""
    stage = Stage()
    other = Side.SELL if side is Side.BUY else Side.BUY
    wanted = D(49825) if side is Side.BUY else D(50175)
    stage.orders["old"] = OpenOrder("old", other, wanted, D("0.001"), 9, stage.ts, OrderState.CANCELLING)
    stage.deaf = True
    stage.tick()
    assert [order.level for order in stage.of(side)] == [1, 2, 3]
    assert [order.level for order in stage.of(other)] == [0, 1, 2, 3, 9]


@pytest.mark.parametrize(("bids", "asks"), [(1, 3), (3, 1)])
def test_a_smaller_total_amount_takes_orders_back_until_all_of_them_fit(bids: int, asks: int) -> None:
    """After a start with other parameters: both sides count, whichever has more."""
    stage = quoting()
    stage.orders = {order.order_id: order for order in (*stage.of(Side.BUY)[:bids], *stage.of(Side.SELL)[:asks])}
    worth = float(sum(order.price * order.remaining for order in stage.orders.values()))
    stage.engine = Engine(configured(total_amount_quote=worth * 0.9), stage.state)
    assert len(stage.tick().cancel) == 1
    stage.run(3)
    left = [order for order in stage.orders.values() if order.state is OrderState.OPEN]
    assert float(sum(order.price * order.remaining for order in left)) <= worth * 0.9


def test_an_order_whose_cancel_was_asked_for_costs_no_other_order_its_place() -> None:
    """The connector still calls it open: it is no quote any more, and both together would pass the total."""
    stage = quoting()
    inner, outer = stage.of(Side.BUY)[:2]
    room = outer.price * outer.remaining
    stage.orders = {order.order_id: order for order in (inner, outer)}
    stage.engine = Engine(configured(total_amount_quote=float(room * D("1.1"))), stage.state)
    stage.state.guard.cancelling[inner.order_id] = CancelTrack(stage.ts)
    stage.tick()
    assert stage.last.state is GuardState.RUNNING
    assert not stage.last.cancel


@pytest.mark.parametrize("side", Side)
def test_two_new_orders_do_not_cross_each_other_either(side: Side) -> None:
    """Should mid and width ever disagree: what is placed first stands in the way of what is placed after it."""
    inputs = replace(
        inputs_of(100.0, 0.02, 0.0, levels=1), equity=1e6, free_base=1e4, free_quote=1e6, base=5e3, quote=5e5
    )
    crossing = replace(inputs, ask=99.0) if side is Side.BUY else replace(inputs, bid=101.0)
    rules = TradingRules(D("0.5"), D("0.001"), D(5))
    placed = plan(configured(), crossing, rules, standing(crossing), hold=False).place
    assert {one.side for one in placed} == set(Side) - {side}
    apart = replace(inputs, ask=99.5) if side is Side.BUY else replace(inputs, bid=100.5)
    assert len(plan(configured(), apart, rules, standing(apart), hold=False).place) == 2


def test_a_tick_as_large_as_the_price_leaves_no_bid() -> None:
    inputs = replace(
        inputs_of(0.7, 0.02, 0.0, levels=1), equity=1e4, free_base=1e4, free_quote=1e4, base=7e3, quote=5e3
    )
    placed = plan(configured(), inputs, TradingRules(D(1), D("0.001"), D(5)), standing(inputs), hold=False).place
    assert not placed


def test_while_placing_has_to_wait_orders_are_still_taken_back() -> None:
    inputs = replace(
        inputs_of(100.0, 0.02, 0.0, levels=1), equity=1e6, free_base=1e4, free_quote=1e6, base=5e3, quote=5e5
    )
    stray = OpenOrder("old", Side.BUY, D(90), D(1), 7, NOON - 500)
    found = plan(configured(), inputs, TradingRules(D("0.5"), D("0.001"), D(5)), standing(inputs, stray), hold=True)
    assert found == Plan(("old",), ())


def test_an_order_not_yet_acknowledged_is_taken_from_the_free_balance_fee_included() -> None:
    """Three bids of 100 are under way; of 350.30 free they will take 300.30, and leave 49.95 and its fee."""
    stage = quoting()
    stage.run(60, 10)
    for order in stage.of(Side.BUY):
        stage.orders[order.order_id] = replace(order, price=D(50_000), remaining=D("0.002"), state=OrderState.PENDING)
    gone = stage.of(Side.BUY)[3].order_id
    del stage.orders[gone]
    stage.tick(quote_available=D("350.3"))
    (placed,) = [placed for placed in stage.last.place if placed.side is Side.BUY]
    assert float(placed.price * placed.amount) == pytest.approx(49.95, abs=0.05)
    assert placed.price * placed.amount * D("1.001") <= D("50")


def test_sells_not_yet_acknowledged_are_taken_from_the_free_base() -> None:
    stage = quoting()
    for order in stage.of(Side.SELL):
        stage.orders[order.order_id] = replace(order, remaining=D("0.002"), state=OrderState.PENDING)
    del stage.orders[stage.of(Side.SELL)[3].order_id]
    stage.tick(base_available=D("0.007"))
    (placed,) = [placed for placed in stage.last.place if placed.side is Side.SELL]
    assert placed.amount == D("0.001")


@pytest.mark.parametrize("state", OrderState)
@pytest.mark.parametrize(("share", "side"), [(0.825, Side.BUY), (0.175, Side.SELL)])
def test_orders_that_may_still_fill_take_their_part_of_the_bands_room(
    share: float, side: Side, state: OrderState
) -> None:
    """Of two and a half orders' room one is lost and quoted anew; there is none for a fourth."""
    stage = Stage(share=share)
    stage.deaf = True
    stage.tick()
    assert [order.level for order in stage.of(side)] == [0, 1, 2]
    lost = stage.of(side)[0]
    del stage.orders[lost.order_id]
    for order in stage.of(side):
        stage.orders[order.order_id] = replace(order, state=state)
    stage.tick()
    (placed,) = [placed for placed in stage.last.place if placed.side is side]
    assert (placed.level, placed.price) == (0, lost.price)
    for order in stage.of(side):
        stage.fill(order.order_id)
    edge = 0.85 if side is Side.BUY else 0.15
    assert stage.base_share() == pytest.approx(edge, abs=0.0003)


def test_orders_that_may_still_fill_count_in_the_amount() -> None:
    stage = quoting()
    stage.engine.parameters = configured(total_amount_quote=740.0)
    del stage.orders[stage.of(Side.SELL)[1].order_id]
    stage.tick()
    (placed,) = stage.last.place
    assert 39.9 <= float(placed.price * placed.amount) <= 40.6
    worth = sum((order.price * order.remaining for order in stage.orders.values()), D(0))
    assert 739.9 < worth <= 740


def test_what_the_band_takes_back_no_longer_counts_against_the_amount() -> None:
    """Two bids go for the band; of the six orders left, each of 100, one goes for the amount."""
    stage = quoting(share=0.8)
    stage.trade(Side.BUY, D(50_000), D("0.0044"), order_id="elsewhere")
    stage.engine.parameters = configured(total_amount_quote=550.0)
    stage.tick()
    kept = [order for order in stage.orders.values() if order.order_id not in stage.last.cancel]
    assert sorted((order.side, order.level) for order in kept) == [
        (Side.BUY, 0), (Side.BUY, 1), (Side.SELL, 0), (Side.SELL, 1), (Side.SELL, 2),
    ]  # fmt: skip


def standing(inputs: QuoteInputs, *orders: OpenOrder) -> Standing:
    """Orders of the account that the inputs are of."""
    return Standing(orders, inputs.base, inputs.quote)


def inputs_of(mid: float, spread: float, skew: float, levels: int = 3) -> QuoteInputs:
    """Quotes of a market at a mid, with nothing in their way."""
    parameters = configured()
    return QuoteInputs(
        ts=NOON, bid=mid * 0.9999, ask=mid * 1.0001, mid=mid, last=mid, spread=spread, skew=skew,
        min_distance=spread / 4, fee=0.0, levels=levels, regime=parameters.regimes.up, equity=1000.0, base=1.0,
        quote=1.0, free_base=1.0, free_quote=1.0, buy_to=0.9, sell_to=0.1, notional_to=float("inf"),
        buys=True, sells=True, requote_older_than=float("inf"), budget=9, resting_slots=frozenset(),
    )  # fmt: skip


@PROPERTY
@given(mid=st.floats(1e-3, 1e6), digits=st.integers(-8, 0))
def test_rounding_never_brings_an_order_nearer_to_mid(mid: float, digits: int) -> None:
    inputs, tick = inputs_of(mid, 0.02, 0.0), 10.0**digits
    wanted = zip(distances(configured(), inputs, Side.BUY), distances(configured(), inputs, Side.SELL), strict=True)
    for (bid, ask), (buy, sell) in zip(ladder(configured(), inputs, tick), wanted, strict=True):
        assert -1e-12 * mid <= mid * (1 - buy) - bid * tick <= tick * (1 + 1e-6) + 1e-12 * mid
        assert -1e-12 * mid <= ask * tick - mid * (1 + sell) <= tick * (1 + 1e-6) + 1e-12 * mid


@PROPERTY
@given(
    mid=st.integers(10_000, 100_000).map(lambda units: units / 100),
    spread=st.integers(10, 400).map(lambda units: units / 1e4),
    skew=st.integers(-30, 30).map(lambda units: units / 1e4) | st.integers(-30, 30).map(lambda units: units / 1e6),
    tick=st.sampled_from([0.01, 0.5, 1.0, 2.5]),
)
def test_rounding_to_a_coarse_tick_never_turns_the_skew_round(
    mid: float, spread: float, skew: float, tick: float
) -> None:
    """The side that is pushed away is at least as far from mid as the other, level by level, on the grid itself."""
    inputs = inputs_of(mid, spread, skew)
    rungs = ladder(configured(), inputs, tick)
    assert len(rungs) == 3
    for (bid, ask), wanted_bid, wanted_ask in zip(
        rungs, distances(configured(), inputs, Side.BUY), distances(configured(), inputs, Side.SELL), strict=True
    ):
        below, above = mid - bid * tick, ask * tick - mid
        assert below >= wanted_bid * mid - 1e-9
        assert above >= wanted_ask * mid - 1e-9
        assert below <= max(wanted_bid * mid + tick, above + tick if skew > 0 else 0) + 1e-9
        assert above <= max(wanted_ask * mid + tick, below + tick if skew < 0 else 0) + 1e-9
        if skew > 0:
            assert below >= above - 1e-9
        if skew < 0:
            assert above >= below - 1e-9
        if skew == 0:
            assert below < wanted_bid * mid + tick + 1e-9
            assert above < wanted_ask * mid + tick + 1e-9


@pytest.mark.parametrize(
    ("mid", "skew", "expected"),
    [
        (100.3, 0.0, (99, 102)),  # 1.3 below and 1.7 above mid
        (100.3, 1e-6, (98, 102)),
        (100.3, -1e-6, (99, 102)),
        (100.7, 0.0, (99, 102)),  # 1.7 below and 1.3 above mid
        (100.7, 1e-6, (99, 102)),
        (100.7, -1e-6, (99, 103)),
    ],
)
def test_on_a_coarse_tick_a_small_skew_moves_the_side_that_it_pushes_away(
    mid: float, skew: float, expected: tuple[int, int]
) -> None:
    (found,) = ladder(configured(), inputs_of(mid, 0.02, skew, levels=1), 1.0)
    assert found == expected


@PROPERTY
@given(
    moves=st.lists(st.integers(-30, 30), min_size=1, max_size=8),
    share=st.sampled_from([0.2, 0.5, 0.8]),
    quiet=st.sets(st.integers(0, 7)),
)
def test_no_fill_takes_the_inventory_out_of_the_band(moves: list[int], share: float, quiet: set[int]) -> None:
    """Steps of mid in units of 10 bp; but for some quiet ones, every order that the price went through fills.

    The market alone may take it out: then no fill takes it further.
    """
    stage = Stage(share=share, bars=14, parameters=configured(cancel_budget_per_min=600))
    stage.tick()
    for number, move in enumerate(moves):
        stage.mid *= 1 + move / 1000
        for order in list(stage.orders.values()):
            buys = order.side is Side.BUY
            if number not in quiet and (stage.mid < float(order.price) if buys else stage.mid > float(order.price)):
                before = stage.base_share()
                stage.fill(order.order_id)
                after = stage.base_share()
                assert after <= max(0.85, before) + 1e-9 if buys else after >= min(0.15, before) - 1e-9
        for _ in range(2):
            stage.tick(15, rest=stage.rest())
