"""Costs of a fill, and the markout that own fills measure."""

import pytest
from epp.core import Side
from epp.core.costs import MarkoutState, PendingMarkout, costs, current_markout, markout, observe
from epp.tests.core.stage import NOON, PRICE, PROPERTY, configured, quoting
from hypothesis import given
from hypothesis import strategies as st

PARAMETERS = configured()
HOUR = 3600.0


@pytest.mark.parametrize(
    ("side", "later", "expected"),
    [(Side.BUY, 99.0, 0.01), (Side.BUY, 101.0, 0.0), (Side.SELL, 101.0, 0.01), (Side.SELL, 99.0, 0.0)],
)
def test_the_markout_is_how_far_mid_went_against_the_fills_own_price(side: Side, later: float, expected: float) -> None:
    assert markout(side, 100.0, later) == pytest.approx(expected)


@PROPERTY
@given(side=st.sampled_from(Side), price=st.floats(1e-3, 1e6), later=st.floats(1e-3, 1e6))
def test_a_markout_is_never_negative_and_the_other_sides_is_its_mirror(side: Side, price: float, later: float) -> None:
    other = Side.SELL if side is Side.BUY else Side.BUY
    assert markout(side, price, later) >= 0
    assert markout(side, price, later) + markout(other, price, later) == pytest.approx(abs(later / price - 1))


def test_without_fills_it_is_its_prior() -> None:
    assert current_markout(MarkoutState(), PARAMETERS, NOON) == 0.0003


@pytest.mark.parametrize(("hours", "left"), [(0, 1.0), (6, 0.5), (12, 0.25), (-1, 1.0)])
def test_it_decays_to_its_prior_with_a_half_life_of_six_hours(hours: float, left: float) -> None:
    """Without any fill: what only fills could cure would be a deadlock."""
    state = MarkoutState(value=0.0103, ts=NOON)
    assert current_markout(state, PARAMETERS, NOON + hours * HOUR) == pytest.approx(0.0003 + 0.01 * left)


@PROPERTY
@given(value=st.floats(0, 0.05), hours=st.floats(0, 200))
def test_it_never_leaves_the_way_between_what_was_measured_and_the_prior(value: float, hours: float) -> None:
    found = current_markout(MarkoutState(value=value, ts=NOON), PARAMETERS, NOON + hours * HOUR)
    assert min(value, 0.0003) - 1e-15 <= found <= max(value, 0.0003) + 1e-15


def _pending(side: Side = Side.BUY, price: float = 100.0) -> MarkoutState:
    return MarkoutState(pending=[PendingMarkout(NOON, side, price)])


def test_a_fill_is_measured_thirty_seconds_later() -> None:
    state = _pending()
    observe(state, PARAMETERS, NOON + 29.9, 90.0)
    assert state.value is None
    assert len(state.pending) == 1
    observe(state, PARAMETERS, NOON + 30, 99.0)
    assert state.value == pytest.approx(0.0003 + 0.1 * (0.01 - 0.0003))
    assert state.ts == NOON + 30
    assert not state.pending


def test_each_fill_weighs_a_tenth() -> None:
    state = MarkoutState(value=0.002, ts=NOON + 30, pending=[PendingMarkout(NOON, Side.SELL, 100.0)])
    observe(state, PARAMETERS, NOON + 30, 100.4)
    assert state.value == pytest.approx(0.002 + 0.1 * (0.004 - 0.002))


@pytest.mark.parametrize(("late", "counts"), [(150.0, True), (150.1, False)])
def test_a_mid_that_comes_much_too_late_says_nothing_of_a_fill(late: float, counts: bool) -> None:
    state = _pending()
    observe(state, PARAMETERS, NOON + late, 90.0)
    assert (state.value is not None) is counts
    assert not state.pending


def test_own_fills_reach_the_costs() -> None:
    """Bought, and the market went on falling: the next quotes ask for more."""
    stage = quoting()
    before = stage.engine.minute_row().markout_30s_pct
    bought = stage.fill(stage.of(Side.BUY)[0].order_id)
    assert bought is not None
    stage.mid = float(bought.price) * 0.995
    stage.run(30)
    after = stage.engine.minute_row().markout_30s_pct
    assert after == pytest.approx(before + 0.1 * (0.005 - before), rel=1e-3)


def test_a_fill_is_measured_from_its_own_price_and_not_from_mid_at_quoting_time() -> None:
    """A bid 35 bp under mid that fills and sees mid come back was no adverse fill."""
    stage = quoting()
    stage.fill(stage.of(Side.BUY)[0].order_id)
    stage.run(31)
    assert stage.engine.minute_row().markout_30s_pct == pytest.approx(0.00027, rel=1e-4)


# ---- the sum


@pytest.mark.parametrize(
    ("drift", "measured", "adverse"),
    [(0.0, 0.0003, 0.0003), (0.0005, 0.0003, 0.0005), (0.0, 0.0015, 0.0010), (0.0020, 0.0015, 0.0020)],
)
def test_adverse_selection_is_the_larger_of_drift_and_the_capped_markout(
    drift: float, measured: float, adverse: float
) -> None:
    assert costs(PARAMETERS, 0.001, drift, measured).adverse == adverse


def test_the_margin_is_what_a_distance_leaves_after_costs() -> None:
    cost = costs(PARAMETERS, 0.001, 0.0, 0.0003)
    assert cost.margin(0.0035) == pytest.approx(0.0035 - 0.001 - 0.00025 - 0.0003)


@PROPERTY
@given(fee=st.floats(0, 0.01), drift=st.floats(0, 0.05), measured=st.floats(0, 0.05))
def test_the_least_distance_pays_all_costs_and_keeps_the_fees_share(fee: float, drift: float, measured: float) -> None:
    cost = costs(PARAMETERS, fee, drift, measured)
    assert cost.margin(cost.min_distance) >= PARAMETERS.min_net_edge_bps / 1e4 - 1e-15
    assert fee <= PARAMETERS.max_fee_share * cost.min_distance * (1 + 1e-12)
    assert cost.fee == fee
    assert cost.slippage == 0.00025
    assert cost.edge == pytest.approx(0.0002)


@pytest.mark.parametrize(
    ("configured_fee", "account", "counted"),
    [(None, 0.0, 0.0), (None, 0.0008, 0.0008), (0.002, 0.0008, 0.002), (None, -0.0002, 0.0), (0.0, 0.001, 0.0)],
)
def test_the_fee_is_the_configured_one_or_the_accounts_and_zero_is_a_fee(
    configured_fee: float | None, account: float, counted: float
) -> None:
    """A rebate is not counted on."""
    stage = quoting(parameters=configured(maker_fee_pct=configured_fee), fee=account)
    inner = float(stage.of(Side.SELL)[0].price) / PRICE - 1
    widths = 0.0035 * max(counted / 0.001, 0.003 / 0.007)
    floor = counted / 0.35 + 0.00025 + 0.0003
    assert inner == pytest.approx(max(widths, floor), rel=1e-3)
