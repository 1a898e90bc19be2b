"""Inventory: target, skew, band, and the room in it."""

import pytest
from epp.core import Regime, Side
from epp.core.inventory import TargetState, base_share, move_target, room_to_buy, room_to_sell, skew
from epp.tests.core.stage import NOON, PRICE, PROPERTY, Stage, configured, quoting
from hypothesis import given
from hypothesis import strategies as st

PARAMETERS = configured()
SHARES = st.floats(0, 1)
TARGETS = st.floats(0.2, 0.8)


# ---- skew


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.5, 0), (0.85, 0.002), (0.15, -0.002), (0.675, 0.001), (0.325, -0.001), (1.0, 0.002), (0.0, -0.002)],
)
def test_the_skew_is_linear_full_at_the_bands_edge_and_capped(share: float, expected: float) -> None:
    assert skew(PARAMETERS, share, 0.5) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("share", "target", "expected"),
    [(0.55, 0.25, 0.001), (0.2, 0.25, -0.001), (0.8, 0.75, 0.001), (0.45, 0.75, -0.001)],
)
def test_each_side_of_a_target_off_the_middle_has_room_of_its_own(share: float, target: float, expected: float) -> None:
    """Half way from the target to the band's edge on that side is half of the skew."""
    assert skew(PARAMETERS, share, target) == pytest.approx(expected)


@PROPERTY
@given(share=SHARES, target=TARGETS)
def test_the_skew_has_the_sign_of_the_error_and_never_exceeds_its_cap(share: float, target: float) -> None:
    found = skew(PARAMETERS, share, target)
    assert found * (share - target) >= 0
    assert abs(found) <= PARAMETERS.max_skew_pct
    if share >= PARAMETERS.max_base_pct:
        assert found == pytest.approx(PARAMETERS.max_skew_pct)
    if share <= PARAMETERS.min_base_pct:
        assert found == pytest.approx(-PARAMETERS.max_skew_pct)


@PROPERTY
@given(first=SHARES, second=SHARES, target=TARGETS)
def test_more_base_never_skews_less(first: float, second: float, target: float) -> None:
    low, high = sorted((first, second))
    assert skew(PARAMETERS, low, target) <= skew(PARAMETERS, high, target)


@pytest.mark.parametrize(("share", "away", "near"), [(0.7, Side.BUY, Side.SELL), (0.3, Side.SELL, Side.BUY)])
def test_with_too_much_base_the_bid_steps_back_and_the_ask_forward(share: float, away: Side, near: Side) -> None:
    stage = quoting(share=share)
    distances = {side: abs(float(stage.of(side)[0].price) / PRICE - 1) for side in Side}
    shift = 0.002 * 0.2 / 0.35
    assert distances[away] == pytest.approx(0.0035 + shift, rel=1e-3)
    assert distances[near] == pytest.approx(max(0.0035 - shift, 0.001 / 0.35), rel=1e-3)


def test_the_whole_side_is_shifted() -> None:
    stage = quoting(share=0.7)
    bids = [1 - float(order.price) / PRICE for order in stage.of(Side.BUY)]
    assert [bid - bids[0] for bid in bids] == pytest.approx([0, 0.0014, 0.0028, 0.0042], abs=1e-6)


# ---- target


def test_the_first_target_is_taken_as_it_is() -> None:
    assert move_target(TargetState(), PARAMETERS, 0.45, NOON) == 0.45


@pytest.mark.parametrize(("wanted", "after", "expected"), [(0.45, 60, 0.49), (0.45, 30, 0.495), (0.45, 600, 0.45)])
def test_it_moves_a_point_a_minute_at_most(wanted: float, after: float, expected: float) -> None:
    assert move_target(TargetState(0.5, NOON), PARAMETERS, wanted, NOON + after) == pytest.approx(expected)
    back = move_target(TargetState(wanted, NOON), PARAMETERS, 0.5, NOON + after)
    assert back == pytest.approx(wanted + 0.5 - expected)


@PROPERTY
@given(st.lists(st.tuples(st.floats(0.45, 0.55), st.floats(-5, 200)), min_size=1, max_size=20))
def test_it_never_moves_faster_nor_overshoots(steps: list[tuple[float, float]]) -> None:
    state, ts = TargetState(0.5, NOON), NOON
    for wanted, after in steps:
        before, ts = state.base_pct, ts + after
        assert before is not None
        found = move_target(state, PARAMETERS, wanted, ts)
        assert abs(found - before) <= max(0.0, after) / 60 * 0.01 + 1e-9
        assert min(before, wanted) - 1e-12 <= found <= max(before, wanted) + 1e-12


def test_a_regimes_target_is_approached_not_jumped_to() -> None:
    parameters = configured(regime_hold_s=3600)
    stage = quoting(parameters=parameters)
    stage.state.regime.regime, stage.state.regime.since = Regime.HIGH_VOL_SHOCK, stage.ts
    stage.run(120)
    assert stage.engine.minute_row().target_base_pct == pytest.approx(0.48)
    stage.run(300)
    assert stage.engine.minute_row().target_base_pct == pytest.approx(0.45)


# ---- the band


@pytest.mark.parametrize(
    ("share", "sides"),
    [
        (0.149, {Side.BUY}),
        (0.151, {Side.BUY, Side.SELL}),
        (0.849, {Side.BUY, Side.SELL}),
        (0.851, {Side.SELL}),
    ],
)
def test_outside_the_hard_band_only_the_side_that_reduces_the_error_is_quoted(share: float, sides: set[Side]) -> None:
    """Just inside it an order of one percent would leave it: what room is left is what is quoted."""
    stage = Stage(share=share, equity=100_000.0)
    stage.tick()
    assert {order.side for order in stage.orders.values()} == sides
    assert ("inventory" in stage.codes) is (len(sides) == 1)
    assert stage.doing == ("reduce_only" if len(sides) == 1 else "running")


def test_coming_back_into_the_band_ends_it() -> None:
    stage = Stage(share=0.86)
    stage.tick()
    assert stage.codes == ["inventory"]
    while stage.base_share() > 0.85:
        stage.fill(stage.of(Side.SELL)[0].order_id)
        stage.tick(30)
    stage.tick()
    assert stage.doing == "running"


@PROPERTY
@given(
    base=st.floats(0, 10),
    quote=st.floats(0, 1e6),
    mid=st.floats(1, 1e5),
    limit=st.sampled_from([0.15, 0.5, 0.85, 1.0]),
    away=st.floats(0, 0.05),
)
def test_the_room_in_the_band_is_exactly_what_fills_it(
    base: float, quote: float, mid: float, limit: float, away: float
) -> None:
    price = mid * (1 - away)
    room = room_to_buy(base, quote, mid, limit, price)
    after = (base + room) * mid
    assert after == pytest.approx(limit * (after + quote - room * price), rel=1e-9, abs=1e-6)
    price = mid * (1 + away)
    room = room_to_sell(base, quote, mid, limit, price)
    after = (base - room) * mid
    assert after == pytest.approx(limit * (after + quote + room * price), rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(
    ("base", "quote", "expected"),
    [(1.0, 1.0, 2 / 3), (0.0, 1.0, 0.0), (1.0, 0.0, 1.0), (0.0, 0.0, 0.0), (0.1, 0.1, 2 / 3)],
)
def test_the_share_of_base(base: float, quote: float, expected: float) -> None:
    assert base_share(base, quote, 2.0) == pytest.approx(expected)


# ---- the window


@pytest.mark.parametrize(("share", "opens"), [(0.551, False), (0.549, True), (0.451, True), (0.449, False)])
def test_the_validation_window_opens_within_five_points_of_target(share: float, opens: bool) -> None:
    stage = Stage(share=share)
    stage.tick()
    assert (stage.state.ledger.window_since is not None) is opens
    assert ("window" in {event.code for event in stage.last.events}) is opens


def test_the_window_opens_once() -> None:
    stage = quoting()
    opened = stage.state.ledger.window_since
    stage.base *= 2
    stage.run(5)
    stage.base /= 2
    stage.run(5)
    assert stage.state.ledger.window_since == opened
