"""Regimes: thresholds on both sides, hysteresis, the hold, and what each of them does."""

import pytest
from epp.core import Bar, GuardState, Regime, Side
from epp.core.market import MarketState
from epp.core.regime import RegimeState, classify, update
from epp.tests.core.stage import NOON, PRICE, PROPERTY, Stage, configured, flat_bars, quoting
from hypothesis import given
from hypothesis import strategies as st

PARAMETERS = configured()
NEUTRAL, UP, DOWN, SHOCK = Regime.NEUTRAL_LOW_VOL, Regime.UP, Regime.DOWN, Regime.HIGH_VOL_SHOCK


def market(*, deviation: float = 0.0, band: float | None = 0.0, drift: float = 0.0, count: int = 50) -> MarketState:
    """A market whose last close is so far from its EMA."""
    close = 100 * (1 + deviation)
    return MarketState(
        bars=[Bar(NOON, close, close, close, close)], ema=100.0, ema_count=count, band=band, drift_30s=drift
    )


@pytest.mark.parametrize(
    ("current", "seen", "expected"),
    [
        (NEUTRAL, {"deviation": 0.00299}, NEUTRAL),
        (NEUTRAL, {"deviation": 0.00301}, UP),
        (UP, {"deviation": 0.00151}, UP),
        (UP, {"deviation": 0.00149}, NEUTRAL),
        (NEUTRAL, {"deviation": -0.00299}, NEUTRAL),
        (NEUTRAL, {"deviation": -0.00301}, DOWN),
        (DOWN, {"deviation": -0.00151}, DOWN),
        (DOWN, {"deviation": -0.00149}, NEUTRAL),
        (UP, {"deviation": -0.00151}, NEUTRAL),
        (UP, {"deviation": -0.00301}, DOWN),
        (DOWN, {"deviation": 0.00301}, UP),
        (NEUTRAL, {"band": 0.00349}, NEUTRAL),
        (NEUTRAL, {"band": 0.0035}, SHOCK),
        (NEUTRAL, {"drift": 0.00399}, NEUTRAL),
        (NEUTRAL, {"drift": 0.004}, SHOCK),
        (UP, {"deviation": 0.01, "drift": 0.004}, SHOCK),
        (SHOCK, {"band": 0.00281}, SHOCK),
        (SHOCK, {"band": 0.00279}, NEUTRAL),
        (SHOCK, {"drift": 0.00321}, SHOCK),
        (SHOCK, {"drift": 0.00319}, NEUTRAL),
        (SHOCK, {"deviation": 0.00301}, UP),
        (NEUTRAL, {"band": None}, NEUTRAL),
        (NEUTRAL, {"deviation": 0.01, "count": 49}, NEUTRAL),
        (NEUTRAL, {"deviation": 0.01, "count": 49, "drift": 0.004}, SHOCK),
    ],
)
def test_which_regime_the_market_asks_for(current: Regime, seen: dict[str, float], expected: Regime) -> None:
    assert classify(current, PARAMETERS, market(**seen)) is expected  # type: ignore[arg-type]  # any of its fields


def test_a_regime_is_held_for_three_minutes() -> None:
    for after, expected in ((179.9, UP), (180.0, NEUTRAL)):
        state = RegimeState(UP, NOON)
        assert update(state, PARAMETERS, market(), NOON + after) is (expected is NEUTRAL)
        assert state.regime is expected
        assert state.since == (NOON + after if expected is NEUTRAL else NOON)


def test_a_shock_does_not_wait() -> None:
    state = RegimeState(UP, NOON)
    assert update(state, PARAMETERS, market(drift=0.005), NOON + 1)
    assert (state.regime, state.since) == (SHOCK, NOON + 1)


def test_the_same_regime_goes_on() -> None:
    state = RegimeState(UP, NOON)
    for deviation in (0.01, 0.002):  # in by the one threshold, out by the other
        assert not update(state, PARAMETERS, market(deviation=deviation), NOON + 1000)
    assert state.since == NOON


@PROPERTY
@given(
    st.lists(st.tuples(st.integers(-40, 40), st.integers(0, 50), st.integers(0, 50), st.integers(1, 100)), max_size=30)
)
def test_no_regime_but_a_shock_cuts_another_short(moves: list[tuple[int, int, int, int]]) -> None:
    """Deviation, band and drift in units of 1 bp, at random intervals: no flapping."""
    state, ts = RegimeState(NEUTRAL, NOON), NOON
    for deviation, band, drift, after in moves:
        ts += after
        before, since = state.regime, state.since
        seen = market(deviation=deviation / 1e4, band=band / 1e4, drift=drift / 1e4)
        if update(state, PARAMETERS, seen, ts):
            assert state.regime is not before
            assert state.regime is SHOCK or ts - since >= 180
            assert state.since == ts


# ---- what a regime does


def in_regime(regime: Regime) -> Stage:
    """A stage that quotes in a regime, in an otherwise dead-calm market."""
    stage = Stage(parameters=configured(regime_hold_s=3600))
    stage.state.regime.regime, stage.state.regime.since = regime, NOON
    stage.tick()
    assert stage.last.regime is regime
    assert stage.last.state is GuardState.RUNNING
    return stage


@pytest.mark.parametrize(
    ("regime", "width", "levels", "size"),
    [(NEUTRAL, 0.007, 4, 100), (UP, 0.007, 3, 100), (DOWN, 0.008, 3, 100), (SHOCK, 0.012, 2, 50)],
)
def test_each_regime_has_its_width_levels_and_size(regime: Regime, width: float, levels: int, size: float) -> None:
    stage = in_regime(regime)
    for side in Side:
        orders = stage.of(side)
        assert [order.level for order in orders] == list(range(levels))
        for order in orders:
            assert float(order.price * order.remaining) == pytest.approx(size, abs=0.06)
    inner = float(stage.of(Side.SELL)[0].price - stage.of(Side.BUY)[0].price)
    assert inner / PRICE == pytest.approx(width, rel=0.01 if regime is not SHOCK else 0.2)


@pytest.mark.parametrize(("regime", "refresh"), [(NEUTRAL, 90), (UP, 70), (DOWN, 60), (SHOCK, 120)])
def test_a_misplaced_order_is_replaced_after_the_regimes_refresh_time(regime: Regime, refresh: int) -> None:
    stage = in_regime(regime)
    stage.mid *= 1.002
    waited = 0
    while not stage.tick().cancel:
        waited += 1
        assert waited < 200
    assert waited + 1 == refresh


def test_a_shock_pulls_what_is_now_too_near_at_once_and_leaves_what_is_far() -> None:
    stage = quoting()
    stage.run(29)
    asks, bids = stage.of(Side.SELL), stage.of(Side.BUY)
    stage.mid *= 1.0045  # within 30 s; no order is as old as a refresh
    decision = stage.tick()
    assert decision.regime is SHOCK
    assert {order.order_id for order in asks} <= set(decision.cancel)
    far = [order for order in bids if order.order_id not in decision.cancel]
    assert far
    assert all(1 - float(order.price) / stage.mid > 0.006 for order in far)


def test_a_trend_in_the_bars_becomes_a_regime_and_is_told() -> None:
    stage = Stage()
    rising = [
        Bar(bar.start, price, price, price, price)
        for number, bar in enumerate(flat_bars(NOON, PRICE, 100))
        if (price := PRICE * (1 + 0.0002 * number))
    ]
    stage.mid = rising[-1].close
    stage.engine.seed_bars(rising)
    stage.tick()
    assert stage.last.regime is UP
    assert [event.detail for event in stage.last.events if event.code == "regime"] == ["neutral_low_vol to up"]
