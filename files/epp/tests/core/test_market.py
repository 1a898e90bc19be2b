"""Market state: samples, bars, EMA, band, drift, price sanity, staleness."""

import math
from collections.abc import Callable
from decimal import Decimal

import pytest
from epp.core import Bar, EppParameters, GuardState, RestTicker, Snapshot, TradingRules, market
from epp.core.market import MarketState
from epp.tests.core.stage import NOON, PRICE, PROPERTY, RULES, Stage, configured, flat_bars, quoting
from hypothesis import given
from hypothesis import strategies as st

PARAMETERS = configured()
PATHS = st.lists(st.integers(-150, 150), min_size=5, max_size=40)
"""Steps of mid between two samples, in units of 1 bp."""


def seen(ts: float, mid: float, **changes: object) -> Snapshot:
    values: dict[str, object] = {
        "ts": ts, "bid": mid, "ask": mid, "last": mid, "book_age_s": 0.0, "base_total": None, "base_available": None,
        "quote_total": None, "quote_available": None, "maker_fee": None, "rules": RULES, "orders": (),
        "connector_ready": True,
    }  # fmt: skip
    return Snapshot(**(values | changes))  # type: ignore[arg-type]  # any of its fields


def walk(prices: list[float], every: float = 10.0, parameters: EppParameters = PARAMETERS) -> MarketState:
    """A market state that saw these mids."""
    state = MarketState()
    for number, mid in enumerate(prices):
        ts = NOON + number * every
        market.sample(state, parameters, seen(ts, mid, rest=RestTicker(ts, mid, mid)), mid)
    return state


# ---- samples and bars


def test_mid_is_sampled_every_ten_seconds_whatever_the_pace_of_ticks() -> None:
    state = MarketState()
    taken = [second for second in range(61) if market.sample(state, PARAMETERS, seen(NOON + second, PRICE), PRICE)]
    assert taken == [0, 10, 20, 30, 40, 50, 60]


def test_the_sampling_interval_is_configuration() -> None:
    state = MarketState()
    parameters = configured(sample_interval_s=5)
    taken = [second for second in range(21) if market.sample(state, parameters, seen(NOON + second, PRICE), PRICE)]
    assert taken == [0, 5, 10, 15, 20]


def test_samples_are_folded_into_one_minute_bars() -> None:
    state = walk([100.0, 101.0, 99.0, 100.5, 100.2, 100.1, 100.0])
    assert state.bars == [Bar(NOON, 100.0, 101.0, 99.0, 100.1)]
    assert state.building == Bar(NOON + 60, 100.0, 100.0, 100.0, 100.0)


def test_a_clock_set_back_does_not_stop_the_sampling() -> None:
    state = walk([PRICE] * 3)
    assert market.sample(state, PARAMETERS, seen(NOON - 3600, PRICE), PRICE)
    assert market.sample(state, PARAMETERS, seen(NOON - 3590, PRICE), PRICE)


def test_a_long_gap_starts_the_bars_anew() -> None:
    """What was before ten minutes without a bar says nothing of the market after them."""
    for minutes, left in ((10, True), (12, False)):
        state = MarketState()
        market.seed(state, PARAMETERS, flat_bars(NOON, PRICE, 20))
        ts = NOON - 60 + minutes * 60
        market.sample(state, PARAMETERS, seen(ts, PRICE), PRICE)
        assert bool(state.bars) is left
        assert (state.band is not None) is left
        assert (state.ema is not None) is left


def test_no_more_bars_are_kept_than_are_needed() -> None:
    state = MarketState()
    market.seed(state, PARAMETERS, flat_bars(NOON, PRICE, 1000))
    assert len(state.bars) == market.BARS_KEPT
    assert state.bars[0].start == NOON - market.BARS_KEPT * 60
    assert state.ema_count == 1000


# ---- EMA and band


@given(st.lists(st.floats(90, 110), min_size=1, max_size=80))
@PROPERTY
def test_the_ema_is_that_of_fifty_closes(closes: list[float]) -> None:
    state = MarketState()
    bars = [Bar(NOON + minute * 60, close, close, close, close) for minute, close in enumerate(closes)]
    market.seed(state, PARAMETERS, bars)
    expected = closes[0]
    for close in closes[1:]:
        expected = expected * (1 - 2 / 51) + close * 2 / 51
    assert state.ema == pytest.approx(expected, rel=1e-12)


LONG_BARS = st.lists(st.tuples(st.floats(95, 105), st.floats(0, 1), st.floats(0, 1)), min_size=14, max_size=18)
BARS = st.lists(st.tuples(st.floats(95, 105), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20)


def test_the_band_counts_gaps_between_bars_and_the_newest_fourteen_only() -> None:
    """Bar k closes at 100 + 3k and spans 1 around it: 3.5 from the close before it to its high."""
    closes = [100.0 + 3 * number for number in range(16)]
    bars = [Bar(NOON + number * 60, close, close + 0.5, close - 0.5, close) for number, close in enumerate(closes)]
    bars[1] = Bar(NOON + 60, 103.0, 999.0, 1.0, 103.0)
    assert market.band(bars) == pytest.approx(3.5 / 145)
    assert market.band(bars[2:]) == pytest.approx((13 * 3.5 + 1) / 14 / 145)
    assert market.band(bars[3:]) is None


@PROPERTY
@given(BARS | LONG_BARS)
def test_the_band_is_the_mean_of_fourteen_true_ranges_over_the_close(made: list[tuple[float, float, float]]) -> None:
    bars = [
        Bar(NOON + minute * 60, mid, mid + up, mid - down, mid + (up - down) / 2)
        for minute, (mid, up, down) in enumerate(made)
    ]
    found = market.band(bars)
    if len(bars) < 14:
        assert found is None
        return
    ranges = []
    for index, bar in enumerate(bars):
        spans = [bar.high - bar.low]
        if index:
            before = bars[index - 1].close
            spans += [abs(bar.high - before), abs(bar.low - before)]
        ranges.append(max(spans))
    assert found == pytest.approx(sum(ranges[-14:]) / 14 / bars[-1].close, rel=1e-9)


@pytest.mark.parametrize(("bars", "quotes"), [(0, False), (13, False), (14, True)])
def test_nothing_is_quoted_before_fourteen_real_bars(bars: int, quotes: bool) -> None:
    stage = Stage(bars=bars)
    stage.tick()
    assert bool(stage.orders) is quotes
    assert ("bars" in stage.codes) is not quotes
    assert stage.last.bars_wanted


def test_bars_of_its_own_end_the_wait_without_candles() -> None:
    stage = Stage(bars=0)
    stage.run(13 * 60, 10)
    assert stage.codes == ["bars"]
    stage.run(2 * 60, 10)
    assert stage.last.state is GuardState.RUNNING


def test_candles_are_wanted_until_the_ema_is_whole() -> None:
    for bars, wanted in ((49, True), (50, False)):
        stage = Stage(bars=bars)
        assert stage.tick().bars_wanted is wanted


def test_candles_take_the_place_of_own_bars_and_later_own_bars_stay() -> None:
    state = walk([PRICE * (1 + 0.0001 * number) for number in range(25)])
    assert [bar.start for bar in state.bars] == [NOON, NOON + 60, NOON + 120, NOON + 180]
    candles = [Bar(NOON + minute * 60, 1, 1, 1, 1) for minute in (-1, 0, 1)]
    own = state.bars[2:]
    market.seed(state, PARAMETERS, candles)
    assert state.bars == [*candles, *own]
    assert state.building is not None
    assert state.building.start == NOON + 240


def test_candles_with_a_long_gap_count_from_after_it() -> None:
    state = MarketState()
    old, new = flat_bars(NOON - 7200, PRICE, 30), flat_bars(NOON, PRICE, 5)
    market.seed(state, PARAMETERS, [*old, *new])
    assert state.bars == new


def test_a_minute_in_the_making_that_a_candle_covers_is_dropped() -> None:
    state = walk([PRICE])
    market.seed(state, PARAMETERS, [Bar(NOON, 1, 1, 1, 1)])
    assert state.building is None


@pytest.mark.parametrize(
    "bars",
    [
        [Bar(NOON + 60, 1, 1, 1, 1), Bar(NOON, 1, 1, 1, 1)],
        [Bar(NOON, 1, 1, 1, 1), Bar(NOON, 1, 1, 1, 1)],
        [Bar(NOON + 1, 1, 1, 1, 1)],
        [Bar(NOON, 1, 1, 0, 1)],
        [Bar(NOON, 1, 1, -1, 1)],
        [Bar(NOON, 1, 0.5, 0.5, 1)],
        [Bar(NOON, 1, 2, 1.5, 2)],
        [Bar(NOON, 3, 2, 1, 2)],
        [Bar(NOON, 1, math.nan, 1, 1)],
    ],
    ids=["unsorted", "twice", "off the minute", "zero", "negative", "high under close", "low over open", "open", "nan"],
)
def test_impossible_candles_are_refused(bars: list[Bar]) -> None:
    state = MarketState()
    market.seed(state, PARAMETERS, flat_bars(NOON - 600, PRICE, 20))
    before = list(state.bars)
    with pytest.raises(ValueError, match="candle"):
        market.seed(state, PARAMETERS, bars)
    assert state.bars == before


def test_no_candles_change_nothing() -> None:
    state = walk([PRICE])
    market.seed(state, PARAMETERS, [])
    assert state.building is not None


# ---- drift


@pytest.mark.parametrize("move", [0.01, -0.01])
def test_drift_sees_falls_as_it_sees_rises(move: float) -> None:
    state = walk([100.0, 100.0, 100.0, 100.0 * (1 + move)])
    assert state.drift_30s == pytest.approx(0.01)
    assert state.drift_ewma == pytest.approx(0.0025)


@PROPERTY
@given(PATHS)
def test_drift_is_the_absolute_move_over_thirty_seconds_and_its_ewma_weighs_a_quarter(steps: list[int]) -> None:
    prices = [100.0]
    for step in steps:
        prices.append(max(1.0, prices[-1] * (1 + step / 1e4)))
    expected_30s = expected_ewma = 0.0
    for index in range(3, len(prices)):
        expected_30s = abs(prices[index] / prices[index - 3] - 1)
        expected_ewma = 0.75 * expected_ewma + 0.25 * expected_30s
    state = walk(prices)
    assert state.drift_30s == pytest.approx(expected_30s, abs=1e-15)
    assert state.drift_ewma == pytest.approx(expected_ewma, abs=1e-15)


def test_there_is_no_drift_over_a_gap() -> None:
    state = walk([100.0, 100.1, 100.2])
    later = NOON + 20 + 61
    market.sample(state, PARAMETERS, seen(later, 101.0), 101.0)
    assert state.drift_30s == 0


# ---- price sanity


@pytest.mark.parametrize(
    ("bid", "ask", "last", "sane"),
    [
        (PRICE, PRICE + 1, PRICE, True),
        (PRICE, PRICE, PRICE, False),
        (PRICE + 1, PRICE, PRICE, False),
        (None, PRICE, PRICE, False),
        (PRICE, None, PRICE, False),
        (0.0, PRICE, PRICE, False),
        (-PRICE, PRICE, PRICE, False),
        (math.nan, PRICE, PRICE, False),
        (PRICE, math.nan, PRICE, False),
        (PRICE, math.inf, PRICE, False),
        (PRICE, PRICE + 1, None, False),
        (PRICE, PRICE + 1, 0.0, False),
        (PRICE, PRICE + 1, math.nan, False),
        (PRICE * 0.99751, PRICE * 1.00249, PRICE, True),
        (PRICE * 0.99749, PRICE * 1.00251, PRICE, False),
        (PRICE - 1, PRICE + 1, PRICE / 1.0099, True),
        (PRICE - 1, PRICE + 1, PRICE / 1.0101, False),
        (PRICE - 1, PRICE + 1, PRICE / 0.9901, True),
        (PRICE - 1, PRICE + 1, PRICE / 0.9899, False),
    ],
)
def test_an_insane_price_pulls_the_quotes_until_it_is_sane_again(
    bid: float | None, ask: float | None, last: float | None, sane: bool
) -> None:
    """bid >= ask; a market spread over 0.50 %; mid more than 1 % from the last trade."""
    stage = quoting()
    equity = stage.state.ledger.equity
    stage.tick(bid=bid, ask=ask, last=last)
    assert (stage.last.state is GuardState.RUNNING) is sane
    if sane:
        return
    assert stage.codes == ["price_sanity"]
    assert stage.state.ledger.equity == equity, "an insane price must not value the books"
    assert set(stage.last.cancel) == set(stage.orders)
    assert not stage.last.place
    stage.run(3)
    assert stage.last.state is GuardState.RUNNING
    assert stage.orders


def test_a_pair_priced_far_below_one_is_quoted_like_any_other() -> None:
    rules = TradingRules(Decimal("1e-9"), Decimal(1), Decimal(5))
    stage = quoting(mid=0.0005, rules=rules)
    assert len(stage.orders) == 8


@pytest.mark.parametrize(("jump", "waits"), [(1.0199, False), (1.0201, True), (0.9801, False), (0.9799, True)])
def test_a_sample_that_jumps_waits_for_a_rest_ticker(jump: float, waits: bool) -> None:
    stage = quoting()
    stage.mid = PRICE * jump
    stage.tick(10)
    assert ("price_sanity" in stage.codes) is waits
    assert (len(stage.state.market.samples) == 2) is not waits


def test_a_jump_is_noticed_between_two_samples() -> None:
    """Nine seconds at a price that may be an error would be long."""
    stage = quoting()
    stage.mid = PRICE * 0.97
    stage.tick(1)
    assert stage.codes == ["price_sanity"]
    assert set(stage.last.cancel) == set(stage.orders)


def test_a_jump_that_a_later_rest_ticker_confirms_is_a_price() -> None:
    stage = quoting()
    stage.given["rest"] = stage.rest()  # from before the jump: says nothing of it
    stage.tick()
    stage.mid = PRICE * 0.97
    stage.run(30)
    assert stage.codes[:1] == ["price_sanity"]
    stage.given["rest"] = stage.rest(PRICE)  # from after it, but it disagrees
    stage.run(30)
    assert stage.codes == ["feed"]
    stage.given["rest"] = stage.rest()
    stage.tick()
    assert "price_sanity" not in stage.codes
    assert stage.state.market.samples[-1][1] == pytest.approx(PRICE * 0.97)
    del stage.given["rest"]
    stage.run(40)
    assert stage.last.state is GuardState.RUNNING
    assert stage.orders


@pytest.mark.parametrize(
    ("off", "agrees"), [(0.0, True), (0.0049, True), (-0.0049, True), (0.0051, False), (-0.0051, False)]
)
def test_a_rest_ticker_confirms_a_jump_within_half_a_percent_of_it(off: float, agrees: bool) -> None:
    state = walk([100.0])
    rest = RestTicker(NOON + 10, 105.0 * (1 + off), 105.0 * (1 + off))
    assert not market.sample(state, PARAMETERS, seen(NOON + 10, 105.0), 105.0)
    assert market.sample(state, PARAMETERS, seen(NOON + 10, 105.0, rest=rest), 105.0) is agrees
    assert (state.jump_since is None) is agrees
    assert [mid for _, mid in state.samples] == ([100.0, 105.0] if agrees else [100.0])


def test_without_a_trade_there_is_nothing_to_compare_with() -> None:
    stage = quoting()
    stage.tick(last=None)
    assert stage.reason("price_sanity").detail == "no trade seen"


def test_a_jump_that_takes_itself_back_needs_no_ticker() -> None:
    stage = quoting()
    stage.mid = PRICE * 1.05
    stage.run(20)
    assert stage.codes == ["price_sanity"]
    stage.mid = PRICE
    stage.tick()
    assert stage.last.state is GuardState.RUNNING
    assert all(mid == pytest.approx(PRICE) for _, mid in stage.state.market.samples)


# ---- staleness


@pytest.mark.parametrize(("age", "stale"), [(30.0, False), (30.1, True)])
def test_the_feed_is_stale_without_any_public_message_for_thirty_seconds(age: float, stale: bool) -> None:
    stage = quoting()
    stage.tick(book_age_s=age)
    assert (stage.codes == ["feed"]) is stale
    assert (set(stage.last.cancel) == set(stage.orders)) is stale
    stage.run(3)
    assert stage.last.state is GuardState.RUNNING


def test_an_unchanged_price_is_not_staleness() -> None:
    """A quiet pair: hours at one price, with a pong now and then."""
    stage = quoting()
    for decision in stage.run(2 * 3600, 10, book_age_s=29.0):
        assert decision.state is GuardState.RUNNING
    assert stage.orders


def _gap(ticks: float, bps: float) -> float:
    return (ticks * 0.01 + bps / 1e4 * PRICE) / PRICE


@pytest.mark.parametrize(
    ("off", "stale"),
    [(_gap(2, 4.9), False), (_gap(2, 5.1), True), (-_gap(2, 4.9), False), (-_gap(2, 5.1), True), (0.0, False)],
)
def test_the_feed_is_stale_when_a_rest_book_differs_by_more_than_two_ticks_and_five_bp(off: float, stale: bool) -> None:
    stage = quoting()
    stage.given["rest"] = stage.rest(PRICE * (1 + off))
    stage.run(60)
    assert (stage.codes == ["feed"]) is stale
    stage.given["rest"] = stage.rest()
    stage.run(3)
    assert stage.last.state is GuardState.RUNNING


@pytest.mark.parametrize(("tick", "stale"), [("0.01", True), ("50", False)])
def test_the_tick_counts_in_the_tolerance_of_a_coarse_pair(tick: str, stale: bool) -> None:
    stage = quoting(rules=TradingRules(Decimal(tick), RULES.step, RULES.min_notional))
    stage.tick(rest=RestTicker(stage.ts + 1, PRICE + 110, PRICE + 110))
    assert ("feed" in stage.codes) is stale


def test_a_rest_ticker_that_is_old_by_now_is_not_compared() -> None:
    """The market moved on since it was read."""
    for age, stale in ((5.0, True), (5.1, False)):
        stage = quoting()
        stage.tick(rest=RestTicker(stage.ts + 1 - age, PRICE * 1.01, PRICE * 1.01))
        assert ("feed" in stage.codes) is stale


def test_one_rest_ticker_is_compared_once() -> None:
    """It is repeated until there is a newer one, while the market moves away from it."""
    stage = quoting()
    stage.given["rest"] = stage.rest()
    stage.tick()
    stage.mid = PRICE * 1.002
    for _ in range(4):
        assert "feed" not in [reason.code for reason in stage.tick().reasons]


@pytest.mark.parametrize("change", [lambda s: s.tick(book_age_s=31), lambda s: s.tick(bid=None)])
def test_the_books_are_not_valued_by_a_market_that_is_not_there(change: Callable[[Stage], object]) -> None:
    stage = quoting()
    stage.base += 1
    equity = stage.state.ledger.equity
    change(stage)
    assert stage.state.ledger.equity == equity
