"""The spread floor, the quoted width and the edge gate."""

from decimal import Decimal

import pytest
from epp.core import Side
from epp.core.costs import Costs, costs
from epp.core.spread import EdgeState, floor, gate, quoted
from epp.core.turnover import levels, penalty, ratio
from epp.tests.core.stage import NOON, PRICE, PROPERTY, Stage, configured, quoting
from hypothesis import given
from hypothesis import strategies as st

PARAMETERS = configured()
RATES = st.floats(0, 0.01)


def calm(fee: float = 0.001, adverse: float = 0.0003) -> Costs:
    return costs(PARAMETERS, fee, adverse, 0.0)


def floor_of(cost: Costs, *, band: float = 0, more: float = 0, tick: float = 0, market: float = 0) -> float:
    return floor(PARAMETERS, cost, band=band, penalty=more, tick=tick, market_spread=market)


@pytest.mark.parametrize(
    ("fee", "adverse", "rest", "expected"),
    [
        (0.001, 0.0003, {}, 2 * (0.001 / 0.35 + 0.0003 + 0.00025)),
        (0.0, 0.0003, {}, 2 * (0.00025 + 0.0003 + 0.0002)),
        (0.0, 0.0003, {"band": 0.002}, 2 * (0.00025 + 0.0003 + 0.0002) + 0.001),
        (0.0, 0.0003, {"more": 0.0005}, 2 * (0.00025 + 0.0003 + 0.0002) + 0.0005),
        (0.0, 0.0003, {"tick": 0.004}, 0.008),
        (0.0, 0.0003, {"market": 0.004}, 0.0042),
        (0.001, 0.004, {}, 2 * (0.001 / 0.35 + 0.004 + 0.00025)),
    ],
    ids=["the fee's share", "costs and edge", "half the band", "turnover", "two ticks", "the market's own", "adverse"],
)
def test_the_floor_is_the_largest_of_its_four_bounds(
    fee: float, adverse: float, rest: dict[str, float], expected: float
) -> None:
    assert floor_of(calm(fee, adverse), **rest) == pytest.approx(expected, rel=1e-12)


@PROPERTY
@given(fee=RATES, adverse=RATES, band=RATES, more=RATES, tick=RATES, market=RATES)
def test_the_floor_is_never_under_any_of_its_bounds(
    fee: float, adverse: float, band: float, more: float, tick: float, market: float
) -> None:
    found = floor_of(calm(fee, adverse), band=band, more=more, tick=tick, market=market)
    bounds = (
        2 * (fee / 0.35 + adverse + 0.00025),
        2 * (fee + 0.00025 + adverse + 0.0002) + 0.5 * band + more,
        2 * tick,
        market + 0.0002,
    )
    assert found == pytest.approx(max(bounds), rel=1e-12)
    assert found / 2 >= calm(fee, adverse).min_distance * (1 - 1e-12), "the gate would be stricter than the floor"


# ---- turnover's share of it


@pytest.mark.parametrize(
    ("turnover_x", "expected"), [(0, 0), (1, 0), (1.5, 0.25), (2, 0.5), (3, 1), (9, 1), (0.999, 0)]
)
def test_from_a_turnover_of_one_on_up_to_the_cap(turnover_x: float, expected: float) -> None:
    assert ratio(PARAMETERS, turnover_x) == pytest.approx(expected)


@pytest.mark.parametrize(("turnover_x", "expected"), [(0, 0), (2, 0), (2.5, 0.0005), (3, 0.001), (5, 0.003)])
def test_over_the_target_the_floor_rises(turnover_x: float, expected: float) -> None:
    assert penalty(PARAMETERS, turnover_x) == pytest.approx(expected)


@pytest.mark.parametrize(("turnover_ratio", "expected"), [(0, 4), (0.24, 4), (0.26, 3), (0.74, 3), (0.76, 2), (1, 2)])
def test_levels_shrink_with_turnover(turnover_ratio: float, expected: int) -> None:
    assert levels(PARAMETERS.regimes.neutral_low_vol, turnover_ratio) == expected


@PROPERTY
@given(first=st.floats(0, 10), second=st.floats(0, 10))
def test_more_turnover_never_narrows_and_never_adds_a_level(first: float, second: float) -> None:
    low, high = sorted((first, second))
    regime = PARAMETERS.regimes.neutral_low_vol
    assert 0 <= ratio(PARAMETERS, low) <= ratio(PARAMETERS, high) <= 1
    assert penalty(PARAMETERS, low) <= penalty(PARAMETERS, high)
    assert levels(regime, ratio(PARAMETERS, low)) >= levels(regime, ratio(PARAMETERS, high))
    assert regime.levels_min <= levels(regime, ratio(PARAMETERS, high)) <= regime.levels_max


# ---- the quoted width


@pytest.mark.parametrize(
    ("turnover_ratio", "least", "expected"),
    [(0, 0, 0.007), (0.5, 0, 0.0095), (1, 0, 0.012), (0, 0.008, 0.008), (1, 0.013, 0.013)],
)
def test_the_width_runs_from_least_to_most_with_turnover_and_not_under_the_floor(
    turnover_ratio: float, least: float, expected: float
) -> None:
    assert quoted(0.007, 0.012, turnover_ratio, least) == pytest.approx(expected)


def test_a_widened_minimum_over_the_maximum_is_quoted_as_it_is() -> None:
    assert quoted(0.014, 0.012, 0.5, 0.0) == pytest.approx(0.014)


@PROPERTY
@given(low=RATES, more=RATES, turnover_ratio=st.floats(0, 1), least=RATES)
def test_no_width_is_under_the_floor_or_the_minimum(
    low: float, more: float, turnover_ratio: float, least: float
) -> None:
    width = quoted(low, low + more, turnover_ratio, least)
    assert width >= max(low, least)
    assert width <= max(low + more, least) * (1 + 1e-12)


# ---- the gate


def test_the_gate_shuts_over_spread_max_and_opens_after_a_minute_under_ninety_percent_of_it() -> None:
    state = EdgeState()
    steps = [
        (0, 0.0120, True), (1, 0.0121, False), (2, 0.0120, False), (3, 0.0109, False), (4, 0.0108, False),
        (63, 0.0108, False), (63.9, 0.0108, False), (64, 0.0108, True), (65, 0.0120, True),
    ]  # fmt: skip
    for after, least, is_open in steps:
        assert gate(state, PARAMETERS, least, 0.012, NOON + after) is is_open, after
    assert state == EdgeState()


def test_a_floor_that_rises_again_starts_the_minute_anew() -> None:
    state = EdgeState()
    for after, least in ((0, 0.02), (10, 0.01), (69, 0.0109), (70, 0.01), (129, 0.01)):
        assert not gate(state, PARAMETERS, least, 0.012, NOON + after), after
    assert gate(state, PARAMETERS, 0.01, 0.012, NOON + 130)


@PROPERTY
@given(st.lists(st.tuples(st.floats(0.005, 0.02), st.floats(0.1, 100)), max_size=40))
def test_the_gate_is_never_shut_for_good(steps: list[tuple[float, float]]) -> None:
    state, ts = EdgeState(), NOON
    for least, after in steps:
        ts += after
        gate(state, PARAMETERS, least, 0.012, ts)
    gate(state, PARAMETERS, 0.0108, 0.012, ts + 1)
    assert gate(state, PARAMETERS, 0.0108, 0.012, ts + 61)


def test_without_edge_quotes_are_pulled_and_come_back_by_themselves() -> None:
    stage = quoting()
    stage.state.market.drift_ewma = 0.003  # 2·(0.0029 + 0.003 + 0.00025) is over 1.20 %
    stage.tick()
    assert stage.codes == ["edge"]
    assert set(stage.last.cancel) == set(stage.orders)
    assert "neutral_low_vol" in stage.reason("edge").detail
    assert "60 s" in stage.reason("edge").ends
    ticks = 0
    while stage.doing == "soft_pause":
        stage.tick()
        ticks += 1
        assert ticks < 200
    assert ticks >= 60
    assert stage.of(Side.BUY)
    assert stage.state.ledger.fills_total == 0


def test_the_minute_under_ninety_percent_has_to_be_seen() -> None:
    """A floor that nobody could compute was not known to be low."""
    stage = quoting()
    stage.state.market.drift_ewma = 0.003
    stage.tick()
    stage.state.market.drift_ewma = 0.0
    stage.run(30)
    for _ in range(3):
        stage.tick(20, bid=None)
        assert "edge" in stage.codes
    stage.run(59)
    assert stage.codes == ["edge"]
    stage.run(3)
    assert stage.doing == "running"


@pytest.mark.parametrize(
    ("turnover_x", "width", "levels_quoted"), [("0", 0.007, 4), ("1", 0.007, 4), ("1.4", 0.008, 4), ("2.4", 0.0105, 3)]
)
def test_turnover_widens_and_thins_what_is_quoted(turnover_x: str, width: float, levels_quoted: int) -> None:
    stage = Stage()
    stage.tick()
    stage.state.ledger.day.notional = stage.state.ledger.day.equity_open * Decimal(turnover_x)
    stage.orders.clear()
    stage.tick()
    inner = stage.of(Side.SELL)[0].price - stage.of(Side.BUY)[0].price
    assert float(inner) / PRICE == pytest.approx(width, abs=1e-6)
    assert len(stage.of(Side.BUY)) == levels_quoted
