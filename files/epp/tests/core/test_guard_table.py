"""The guard's table, row by row and both sides of every threshold: the state, what latches, and what ends it.

Pauses end without a fill here: no order ever trades in this module unless a test says so.
"""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from epp.core import ClockSample, GuardState, OrderState, Reason, Side
from epp.core import ledger as books
from epp.core.guard import Backoff, CancelTrack, GuardMemory, Latch, cancel_rate, clear, limits
from epp.core.ledger import DayBook, DayPeak, LedgerState, RoundTrip
from epp.tests.core.stage import DAY_S, MIDNIGHT, NOON, PRICE, Stage, configured, flat_bars, quoting

D = Decimal
RUNNING, REDUCE, PAUSE, STOP = GuardState.RUNNING, GuardState.REDUCE_ONLY, GuardState.SOFT_PAUSE, GuardState.HARD_STOP


def ends_without_a_fill(stage: Stage, code: str, seconds: float, *, step: float = 1.0) -> float:
    """How long a reason stays in force from now on; it must say what ends it, and no fill may be needed."""
    fills = stage.state.ledger.fills_total
    assert code in stage.codes
    began = stage.ts
    while stage.ts - began <= seconds:
        assert stage.reason(code).ends.startswith("ends ")
        assert stage.reason(code).detail
        stage.tick(step)
        if code not in stage.codes:
            assert stage.state.ledger.fills_total == fills
            return stage.ts - began
    raise AssertionError(f"{code} is still in force after {seconds} s")


def latched(stage: Stage, code: str) -> bool:
    """Whether this is a hard stop that stays: when the cause is gone, over a restart, over days; until a reset."""
    if stage.doing != "hard_stop":
        return False
    latch = stage.state.guard.latch
    assert latch is not None
    assert latch.code == code
    assert stage.reason(code).ends == "ends with an operator's reset, with a reason"
    return True


def stays_until_reset(stage: Stage, code: str, heal: Callable[[Stage], None] = lambda stage: None) -> None:
    """The whole promise of a latch."""
    assert latched(stage, code)
    assert "holds" in stage.reason(code).detail, "the alert says what keeps moving with the market"
    heal(stage)
    stage.deaf = False
    for _ in range(3):
        stage.tick(10, rest=stage.rest())
        assert latched(stage, code)
        assert not stage.last.place
    assert not stage.orders
    stage.restart()
    stage.tick()
    assert latched(stage, code)
    stage.ts = MIDNIGHT + DAY_S + 60
    stage.engine.seed_bars(flat_bars(stage.ts, stage.mid, 60))
    stage.tick(0, rest=stage.rest())
    assert latched(stage, code)
    with pytest.raises(ValueError, match="reason"):
        stage.engine.reset(stage.ts, "  ")
    record = stage.engine.reset(stage.ts, "looked into it")
    assert record.cleared.startswith(code)
    assert record.reason == "looked into it"
    stage.run(300, 10, rest=None)
    assert stage.doing in ("running", "reduce_only"), stage.last.reasons
    assert stage.orders


# ---- connector and feed


@pytest.mark.parametrize(("seconds", "expected"), [(30, "running"), (31, "soft_pause")])
def test_a_connector_not_ready_for_over_thirty_seconds_pauses(seconds: int, expected: str) -> None:
    stage = quoting()
    stage.tick(connector_ready=False)
    stage.run(seconds, connector_ready=False)
    assert stage.doing == expected
    assert ("connector" in stage.codes) is (expected == "soft_pause")
    stage.tick()
    stage.tick()
    assert stage.doing == "running"
    assert len(stage.orders) == 8


def test_nothing_is_placed_while_the_connector_is_not_ready() -> None:
    stage = quoting()
    stage.fill(stage.of(Side.BUY)[0].order_id)
    stage.tick(connector_ready=False)
    assert not stage.last.place
    stage.tick()
    assert stage.last.place


@pytest.mark.parametrize(("minutes", "pages"), [(29.9, False), (30.1, True)])
@pytest.mark.parametrize("out", [{"connector_ready": False}, {"book_age_s": 999.0}], ids=["connector", "feed"])
def test_half_an_hour_of_it_pages_and_it_recovers_by_itself(out: dict[str, Any], minutes: float, pages: bool) -> None:
    stage = quoting()
    stage.run(33, **out)
    assert not stage.orders
    stage.tick(minutes * 60 - 32, **out)
    assert ("connector_30min" in stage.last.alerts) is pages
    assert stage.doing == "soft_pause"
    stage.engine.seed_bars(flat_bars(stage.ts, PRICE, 60))
    stage.tick()
    assert not stage.last.alerts
    stage.tick()
    assert stage.doing == "running"


def test_an_outage_latches_only_when_own_orders_cannot_be_proven_absent() -> None:
    for deaf in (False, True):
        stage = quoting()
        stage.deaf = deaf
        for _ in range(200):
            stage.tick(10, connector_ready=False)
        assert stage.doing == ("hard_stop" if deaf else "soft_pause")
        if deaf:
            stays_until_reset(stage, "connector")


def test_a_stale_feed_alone_never_latches() -> None:
    stage = quoting()
    stage.deaf = False
    stage.run(3 * 3600, 10, book_age_s=999.0)
    assert stage.doing == "soft_pause"
    assert stage.state.guard.latch is None


def test_the_way_back_from_an_outage_is_no_stuck_cancel() -> None:
    """Cancels sent into an outage cannot be confirmed in it: their clock begins when the exchange is back."""
    stage = quoting()
    stage.deaf = True
    stage.run(600, 5, connector_ready=False)
    assert {order.state for order in stage.orders.values()} == {OrderState.CANCELLING}
    stage.tick(5)
    assert stage.doing == "soft_pause"
    assert stage.codes == ["cancel_stuck"]
    stage.run(100, 5)
    assert stage.doing == "soft_pause"
    stage.deaf = False
    stage.run(3)
    assert stage.doing == "running"
    stage.deaf = True
    for order in stage.orders.values():
        stage.orders[order.order_id] = replace(order, state=OrderState.CANCELLING)
    stage.run(125, 5)
    assert latched(stage, "cancel_stuck")


# ---- balances


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_total": None}, {"quote_total": None}, {"base_available": None}, {"quote_available": None},
        {"base_total": D(-1)}, {"quote_total": D(-1)}, {"base_available": D(-1)}, {"quote_available": D(-1)},
        {"base_available": D(9)}, {"quote_available": D(9999)},
    ],
    ids=str,
)  # fmt: skip
def test_impossible_balances_pause_at_once_and_latch_at_the_third_check(wrong: dict[str, Any]) -> None:
    stage = quoting()
    equity = stage.state.ledger.equity
    stage.tick(**wrong)
    assert stage.doing == "soft_pause"
    assert stage.codes == ["balances"]
    assert set(stage.last.cancel) == set(stage.orders)
    stage.run(119, **wrong)
    assert stage.doing == "soft_pause"
    assert stage.state.ledger.equity == equity, "what cannot be is not booked"
    stage.tick(**wrong)
    assert latched(stage, "balances")
    stage.engine.reset(stage.ts, "mended")
    stage.run(3)
    assert stage.doing == "running"


def test_balances_that_are_right_again_end_the_pause_and_the_count() -> None:
    stage = quoting()
    for _ in range(5):
        stage.tick(60, base_total=None)
        assert ends_without_a_fill(stage, "balances", 1) == 1
        stage.run(60, 20)
    assert stage.state.guard.latch is None


def test_free_over_total_by_rounding_is_none() -> None:
    stage = quoting()
    stage.orders.clear()
    stage.tick(base_available=stage.base + D("1e-8"), quote_available=stage.quote + D("1e-8"))
    assert stage.doing == "running"


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_an_empty_balance_is_none_that_is_missing(share: float) -> None:
    stage = Stage(share=share)
    stage.run(3)
    assert stage.codes == ["inventory"]


OFF = [
    ("0.00019", "0", False),
    ("0.00021", "0", True),
    ("-0.00021", "0", True),
    ("0", "9.9", False),
    ("0", "10.1", True),
    ("0", "-10.1", True),
]
"""0.1 % of an equity of 10,000, in base at 50,000 and in quote."""


@pytest.mark.parametrize(("base", "quote", "off"), OFF)
def test_balances_off_from_the_fills_sum_pause_and_latch_at_the_third_check(base: str, quote: str, off: bool) -> None:
    stage = quoting()
    stage.base += D(base)
    stage.quote += D(quote)
    stage.run(20)
    assert stage.doing == "running", "a fill's news may be under way for 20 s"
    stage.tick()
    assert (stage.codes == ["balances"]) is off
    stage.run(119)
    assert (stage.doing == "soft_pause") is off
    stage.tick()
    assert latched(stage, "balances") is off


@pytest.mark.parametrize(("base", "quote"), [("0.0002", "0"), ("0", "10"), ("-0.0002", "-10")])
def test_exactly_the_tolerance_is_within_it(base: str, quote: str) -> None:
    stage = quoting()
    stage.tick(25, base_total=stage.base + D(base), quote_total=stage.quote + D(quote))
    stage.tick(25, base_total=stage.base + D(base), quote_total=stage.quote + D(quote))
    assert "balances" not in stage.codes


def test_a_mismatch_says_by_how_much() -> None:
    stage = quoting()
    stage.base -= D("0.01")
    stage.quote += D("12.5")
    stage.run(22)
    assert stage.reason("balances").detail == "off from the fills' sum by -0.010000 BTC, +12.50000000 USDT"


def test_without_trading_rules_the_tolerance_is_the_share_of_equity() -> None:
    for off, bad in (("0.49", False), ("0.51", True)):
        stage = quoting(equity=500.0)
        stage.quote += D(off)
        stage.run(25, rules=None)
        assert ("balances" in stage.codes) is bad


def test_the_tolerance_is_a_minimum_order_when_that_is_more() -> None:
    for off, bad in (("4.9", False), ("5.1", True)):
        stage = quoting(equity=1000.0)
        stage.quote += D(off)
        stage.run(25)
        assert ("balances" in stage.codes) is bad


def test_after_a_fill_the_balances_have_twenty_seconds() -> None:
    stage = quoting()
    before = stage.base, stage.quote
    stage.fill(stage.of(Side.BUY)[0].order_id)
    late: dict[str, Any] = {
        "base_total": before[0], "quote_total": before[1], "base_available": D(0), "quote_available": D(0),
    }  # fmt: skip
    stage.run(20, **late)
    assert stage.doing == "running"
    stage.tick(**late)
    assert stage.codes == ["balances"]
    stage.tick()
    assert stage.doing == "running"


@pytest.mark.parametrize("told_first", [True, False])
def test_no_figure_is_made_of_a_fill_whose_other_half_is_under_way(told_first: bool) -> None:
    """Equity would be off by an order, and the room in the band too."""
    stage = quoting()
    before = stage.base, stage.quote
    equity, trading = stage.state.ledger.equity, stage.state.ledger.trading_peak
    order = stage.of(Side.SELL)[0]
    stage.fill(order.order_id, told=told_first)
    late: dict[str, Any] = {"base_total": before[0], "quote_total": before[1]} if told_first else {}
    stage.tick(**late)
    assert stage.doing == "running"
    assert (stage.state.ledger.equity, stage.state.ledger.trading_peak) == (equity, trading)
    assert not stage.last.place
    assert not stage.last.cancel


def test_a_mismatch_that_changes_all_the_time_is_one_mismatch() -> None:
    stage = quoting()
    for _ in range(25):
        stage.quote += 20
        stage.tick()
    assert stage.codes == ["balances"]


def test_a_transfer_that_is_booked_ends_the_mismatch() -> None:
    stage = quoting()
    stage.quote += 1000
    stage.run(30)
    assert stage.codes == ["balances"]
    stage.engine.transfer(stage.ts, quote=D(1000), reason="deposit")
    stage.tick()
    assert stage.doing == "running"


def test_a_latch_for_balances_is_reset_to_what_the_exchange_says() -> None:
    stage = quoting()
    stage.quote += 100
    stage.run(145)
    stays_until_reset(stage, "balances")


def test_before_the_sweep_at_start_is_done_balances_are_not_compared() -> None:
    """Fills made while the bot was down are in the balances already, and in the books soon."""
    stage = quoting()
    stage.orders.clear()
    stage.restart()
    stage.ts += 3600
    stage.base += D("0.01")
    stage.quote -= 490
    stage.engine.seed_bars(flat_bars(stage.ts, PRICE, 60))
    stage.run(300, 10, start_swept=False)
    assert stage.codes == ["start_sweep"]
    stage.base -= D("0.01")
    stage.quote += 490
    stage.trade(Side.BUY, D(49_000), D("0.01"))
    stage.tick()
    assert stage.doing == "running"


# ---- cancels


def test_an_order_that_outlives_its_cancel() -> None:
    """Direct cancels every 5 s from 10 s on, nothing placed meanwhile; soft_pause at 30 s, hard_stop at 120 s."""
    stage = quoting()
    stage.deaf = True
    name = stage.put(replace(stage.last.place[0], level=-1))
    stage.tick()
    assert list(stage.last.cancel) == [name]
    direct = {}
    for second in range(1, 121):
        if second == 10:
            stage.fill(stage.of(Side.SELL)[3].order_id)  # a slot that waits to be quoted anew
        decision = stage.tick()
        if decision.direct_cancel:
            assert list(decision.direct_cancel) == [name] or second > 30
            direct[second] = True
        assert not decision.cancel or second == 30, "an order is asked for once; then directly"
        assert not decision.place
        assert stage.doing == ("running" if second < 30 else "soft_pause" if second < 120 else "hard_stop"), second
    assert [second for second in direct if second <= 30] == [10, 15, 20, 25, 30]
    stays_until_reset(stage, "cancel_stuck")


@pytest.mark.parametrize("after", [9, 15, 29, 100])
def test_an_order_that_is_gone_at_last_ends_it(after: int) -> None:
    stage = quoting()
    stage.deaf = True
    stage.put(replace(stage.last.place[0], level=-1))
    stage.run(after + 1)
    stage.deaf = False
    stage.run(2)
    assert stage.doing == "running"
    assert len(stage.orders) == 8
    assert stage.engine.minute_row().cancel_fail_streak == 0


def test_an_order_that_vanishes_without_a_word_ends_it_too() -> None:
    stage = quoting()
    stage.deaf = True
    stage.put(replace(stage.last.place[0], level=-1))
    stage.run(20)
    assert stage.engine.minute_row().cancel_fail_streak == 2
    stage.orders.popitem()
    stage.tick()
    assert stage.engine.minute_row().cancel_fail_streak == 0
    assert not stage.state.guard.cancelling


def test_without_a_cancel_on_its_way_nothing_waits() -> None:
    assert quoting(parameters=configured(cancel_direct_s=1.0)).orders


def test_a_refused_cancel_counts_from_the_first_cancel_on() -> None:
    stage = quoting()
    stage.deaf = True
    name = stage.put(replace(stage.last.place[0], level=-1))
    stage.tick()
    for _ in range(9):
        stage.tick()
        stage.engine.on_cancel_failure(name, stage.ts, "refused")
    assert not stage.last.direct_cancel
    stage.tick()
    assert list(stage.last.direct_cancel) == [name]
    assert stage.engine.minute_row().cancel_fail_streak == 10


def _cancel_many(stage: Stage, count: int) -> None:
    """Orders that nobody knows, all cancelled in one decision."""
    template = stage.of(Side.BUY)[0]
    for number in range(count):
        name = f"c{stage.ts:.0f}-{number}"
        stage.orders[name] = replace(template, order_id=name, level=-1, remaining=D("0.000001"), asked_ts=stage.ts)
    stage.tick()
    assert len(stage.last.cancel) == count


@pytest.mark.parametrize(("count", "pauses"), [(50, False), (51, True)])
def test_more_than_fifty_cancels_a_minute_pause_for_two(count: int, pauses: bool) -> None:
    stage = quoting()
    _cancel_many(stage, count)
    stage.tick()
    assert (stage.codes == ["cancel_rate"]) is pauses
    if pauses:
        assert ends_without_a_fill(stage, "cancel_rate", 130) == 120
        stage.tick()
        assert stage.doing == "running"


def test_cancels_of_over_a_minute_ago_do_not_count() -> None:
    stage = quoting()
    _cancel_many(stage, 30)
    stage.run(60)
    _cancel_many(stage, 30)
    stage.tick()
    assert stage.doing == "running"


@pytest.mark.parametrize(("ago", "pauses"), [(60.0, False), (59.9, True)])
def test_a_minute_is_sixty_seconds(ago: float, pauses: bool) -> None:
    memory, reasons = GuardMemory(cancels=[NOON - ago] * 51), list[Reason]()
    cancel_rate(memory, configured(), NOON, reasons)
    assert bool(reasons) is pauses


def test_too_many_cancels_right_after_a_pause_are_another_one() -> None:
    memory, reasons = GuardMemory(cancels=[NOON - 1] * 51, cancel_pause_until=NOON), list[Reason]()
    cancel_rate(memory, configured(), NOON, reasons)
    assert memory.cancel_pauses == [NOON]
    assert memory.cancel_pause_until == NOON + 120
    assert reasons


@pytest.mark.parametrize(("between", "stops"), [(1600, True), (1900, False)])
def test_the_third_such_pause_within_an_hour_latches(between: int, stops: bool) -> None:
    stage = quoting()
    for number in range(3):
        _cancel_many(stage, 51)
        stage.tick()
        assert stage.doing == ("hard_stop" if stops and number == 2 else "soft_pause")
        if number < 2:
            stage.run(between, 10)
            assert stage.doing == "running"
    if stops:
        stays_until_reset(stage, "cancel_rate")


# ---- limits


def lose(stage: Stage, share: float) -> None:
    """Trading costs so much of equity, in quote, and both the books and the account know."""
    amount = D(repr(stage.equity)) * D(repr(share))
    stage.quote -= amount
    stage.state.ledger.expected_quote -= amount


@pytest.mark.parametrize(
    ("loss", "state"), [(0.0199, "running"), (0.0200, "soft_pause"), (0.0299, "soft_pause"), (0.0301, "hard_stop")]
)
def test_trading_drawdown(loss: float, state: str) -> None:
    stage = quoting(parameters=configured(trading_day_soft_pct=0.5, trading_day_hard_pct=0.6))
    lose(stage, loss)
    stage.tick()
    assert stage.doing == state
    if state == "hard_stop":
        stays_until_reset(stage, "trading_drawdown")
    elif state == "soft_pause":
        assert stage.codes == ["trading_drawdown"]
        assert ends_without_a_fill(stage, "trading_drawdown", 6 * 3600 + 60, step=60) == 6 * 3600
        stage.run(20, 10)
        assert stage.doing == "running", "measured anew from here, or it would never end"
        stage.restart()
        assert stage.tick().state is RUNNING


def test_after_a_pause_for_drawdown_another_two_percent_pause_again_and_three_from_the_true_peak_latch() -> None:
    stage = quoting(parameters=configured(trading_day_soft_pct=0.5, trading_day_hard_pct=0.6))
    lose(stage, 0.021)
    stage.tick()
    ends_without_a_fill(stage, "trading_drawdown", 7 * 3600, step=60)
    lose(stage, 0.008)
    stage.run(20, 10)
    assert stage.doing == "running"
    lose(stage, 0.002)
    stage.tick()
    assert latched(stage, "trading_drawdown")


@pytest.mark.parametrize(
    ("loss", "state"), [(0.0099, "running"), (0.0101, "soft_pause"), (0.0149, "soft_pause"), (0.0151, "hard_stop")]
)
def test_trading_loss_on_the_utc_day(loss: float, state: str) -> None:
    stage = quoting()
    lose(stage, loss)
    stage.tick()
    assert stage.doing == state
    if state == "hard_stop":
        stays_until_reset(stage, "trading_day_loss")
    elif state == "soft_pause":
        assert stage.codes == ["trading_day_loss"]
        stage.ts = MIDNIGHT + DAY_S - 600
        stage.engine.seed_bars(flat_bars(stage.ts, PRICE, 60))
        stage.tick(0)
        assert ends_without_a_fill(stage, "trading_day_loss", 601) == 600
        stage.tick()
        assert stage.doing == "running"


def test_a_loss_that_is_made_good_still_pauses_to_the_roll() -> None:
    stage = quoting()
    lose(stage, 0.012)
    stage.tick()
    lose(stage, -0.012)
    stage.tick()
    assert stage.codes == ["trading_day_loss"]


def hold(stage: Stage, price: float) -> None:
    """The market goes somewhere, in steps that are no jumps."""
    while abs(price / stage.mid - 1) > 0.015:
        stage.mid *= 1.015 if price > stage.mid else 1 / 1.015
        stage.tick(60)
    stage.mid = price
    stage.tick(60)


LIMITS = [
    ("trading_drawdown_soft_pct", "trading_drawdown", PAUSE),
    ("trading_drawdown_hard_pct", "trading_drawdown", STOP),
    ("trading_day_soft_pct", "trading_day_loss", PAUSE),
    ("trading_day_hard_pct", "trading_day_loss", STOP),
    ("mtm_day_soft_pct", "mtm_day_loss", REDUCE),
    ("mtm_day_hard_pct", "mtm_day_loss", STOP),
    ("mtm_drawdown_soft_pct", "mtm_drawdown", REDUCE),
    ("mtm_drawdown_hard_pct", "mtm_drawdown", STOP),
]


@pytest.mark.parametrize(("limit", "code", "state"), LIMITS, ids=[limit for limit, _, _ in LIMITS])
@pytest.mark.parametrize("reached", [True, False])
def test_a_limit_is_reached_at_exactly_its_value(limit: str, code: str, state: GuardState, reached: bool) -> None:
    loss = (D(repr(getattr(configured(), limit))) - (0 if reached else D("1e-6"))) * 1000
    ledger = LedgerState(
        window_since=NOON, window_equity=D(1000), equity=D(1000), day=DayBook(day=7, marked=True, equity_open=D(1000))
    )
    if code == "trading_drawdown":
        ledger.trading_peak = ledger.trading_soft_peak = loss
        ledger.day.trading_open = D(0)
    elif code == "trading_day_loss":
        ledger.day.trading_open = loss
    elif code == "mtm_day_loss":
        ledger.equity -= loss
    else:
        ledger.peaks = [DayPeak(6, D(1000))]
        ledger.equity -= loss
        ledger.day.equity_open = ledger.equity
    memory, reasons = GuardMemory(), list[Reason]()
    limits(memory, configured(), ledger, NOON, reasons)
    if state is STOP:
        assert memory.latch == (Latch(code, memory.latch.detail, NOON) if reached and memory.latch else None)
        assert (memory.latch is not None) is reached
        assert not reached or f"{loss / 10:.2f}%" in str(memory.latch)
    else:
        assert memory.latch is None
        assert [(reason.code, reason.state) for reason in reasons] == ([(code, state)] if reached else [])
        assert not reached or f"{loss / 10:.2f}%" in reasons[0].detail
        assert not reached or reasons[0].ends == (
            "ends by itself in 6.0 h" if code == "trading_drawdown" else "ends at 00:00 UTC"
        )


@pytest.mark.parametrize(
    ("fall", "state"), [(0.079, "running"), (0.081, "reduce_only"), (0.119, "reduce_only"), (0.121, "hard_stop")]
)
def test_mark_to_market_loss_on_the_utc_day(fall: float, state: str) -> None:
    """With half of equity in base, a fall of 8 % is a loss of 4 %; it says nothing of the strategy."""
    stage = quoting()
    hold(stage, PRICE * (1 - fall))
    stage.state.market.drift_30s = stage.state.market.drift_ewma = 0.0
    stage.run(200, 10)
    codes = [code for code in stage.codes if code != "edge"]
    assert ("mtm_day_loss" in codes) is (state != "running")
    if state == "hard_stop":
        assert latched(stage, "mtm_day_loss")
    elif state == "reduce_only":
        assert codes == ["mtm_day_loss"]
        assert stage.reason("mtm_day_loss").state is REDUCE
        stage.ts = MIDNIGHT + DAY_S
        stage.engine.seed_bars(flat_bars(stage.ts, stage.mid, 60))
        stage.run(30, 10)
        assert stage.doing == "running"


@pytest.mark.parametrize(("fall", "state"), [(0.099, RUNNING), (0.101, REDUCE), (0.149, REDUCE), (0.151, STOP)])
def test_drawdown_from_the_thirty_day_peak(fall: float, state: GuardState) -> None:
    stage = quoting()
    ledger = stage.state.ledger
    ledger.peaks[-1].day -= 5
    ledger.peaks[-1].equity = ledger.equity / D(repr(1 - fall))
    stage.tick()
    assert stage.last.state is state
    if state is STOP:
        assert latched(stage, "mtm_drawdown")
        stage.engine.reset(stage.ts, "the market fell")
        stage.run(3)
        assert stage.doing == "running"
    elif state is REDUCE:
        assert stage.codes == ["mtm_drawdown"]
        assert stage.reason("mtm_drawdown").ends == "ends at 00:00 UTC"


def test_reduce_only_for_a_drawdown_ends_at_the_roll_when_the_peak_is_made_good_or_forgotten() -> None:
    stage = quoting()
    ledger = stage.state.ledger
    ledger.peaks[-1].day -= 29
    ledger.peaks[-1].equity = ledger.equity * 2 / D("1.75")
    stage.tick()
    assert stage.codes == ["mtm_drawdown"]
    stage.ts = MIDNIGHT + DAY_S
    stage.engine.seed_bars(flat_bars(stage.ts, PRICE, 60))
    stage.run(2)
    assert stage.doing == "running"


def test_a_reset_re_bases_peaks_and_the_days_open_and_tells_old_and_new() -> None:
    stage = quoting()
    lose(stage, 0.04)
    stage.tick()
    assert latched(stage, "trading_drawdown")
    record = stage.engine.reset(stage.ts, "a bad parameter")
    assert D(record.old["equity_open_quote"]) == D(record.old["equity_peak_quote"]) == 10_000
    assert D(record.new["equity_open_quote"]) == D(record.new["equity_peak_quote"]) == 9_600
    assert D(record.old["trading_peak_quote"]) == 0
    assert D(record.new["trading_peak_quote"]) == D(record.new["trading_open_quote"]) == -400
    ledger = stage.state.ledger
    assert books.drawdown(ledger) == books.trading_drawdown(ledger) == books.trading_day_loss(ledger) == 0
    (event,) = [event for event in stage.tick().events if event.code == "reset"]
    assert "a bad parameter" in event.detail
    assert "9600" in event.detail
    assert "trading_drawdown" in event.detail


def test_what_is_still_wrong_after_a_reset_stops_it_again() -> None:
    stage = quoting()
    stage.tick(kill_file=True)
    stage.engine.reset(stage.ts, "but the file is still there")
    stage.tick(kill_file=True)
    assert latched(stage, "kill_file")


def test_a_reset_forgets_all_that_counts_or_lasts() -> None:
    memory = GuardMemory(
        latch=Latch("x", "y", NOON), not_ready_since=NOON, outage_since=NOON, balance_strikes=2,
        cancelling={"o": CancelTrack(NOON)}, cancels=[NOON], cancel_pause_until=NOON, cancel_pauses=[NOON],
        cancel_fail_streak=3, drawdown_pause_until=NOON, trading_loss_day=5, mtm_loss_day=5, mtm_drawdown_day=5,
        exception_streak=2, exception_until=NOON, clock_excess=[9.0], stop_cancel_ts=NOON,
    )  # fmt: skip
    clear(memory)
    assert memory == GuardMemory()


def test_a_reset_keeps_what_is_no_incident() -> None:
    """An operator's pause, the widening for the fee share, the rests of refused orders, the budget of placements."""
    kept = GuardMemory(
        operator_pause="lunch", widened_until=[NOON], widened_at_trip=100, backoff={"buy:0": Backoff(NOON, 2)},
        placements=[NOON], reconcile="torn", balance_base=D(1), balance_quote=D(1),
    )  # fmt: skip
    before = replace(kept)
    clear(kept)
    assert kept == before


def test_a_reset_with_nothing_latched_says_so() -> None:
    assert quoting().engine.reset(NOON, "to be sure").cleared == ""


# ---- turnover


@pytest.mark.parametrize(("turnover_x", "state"), [("2.999", "running"), ("3", "reduce_only")])
def test_at_the_turnover_cap_only_the_error_is_reduced_until_the_roll(turnover_x: str, state: str) -> None:
    stage = quoting(share=0.55)
    stage.state.ledger.day.notional = stage.state.ledger.day.equity_open * D(turnover_x)
    stage.run(2)
    assert stage.doing == state
    if state == "reduce_only":
        assert stage.codes == ["turnover_cap"]
        assert not stage.of(Side.BUY)
        assert stage.of(Side.SELL)
        stage.ts = MIDNIGHT + DAY_S - 120
        stage.engine.seed_bars(flat_bars(stage.ts, PRICE, 60))
        stage.tick(0)
        assert ends_without_a_fill(stage, "turnover_cap", 121) == 120
        stage.tick()
        assert stage.of(Side.BUY)


def test_buying_that_only_reduces_ends_at_the_target() -> None:
    """Bids of one tick, all filled, would not pass it, and less than a tick's bids may be missing to it."""
    stage = quoting(share=0.47, parameters=configured(regimes={"neutral_low_vol": {"order_size_pct": 0.05}}))
    target = stage.state.target.base_pct
    assert target is not None
    stage.state.ledger.day.notional = stage.state.ledger.day.equity_open * D("3.1")
    stage.run(3)
    assert stage.codes == ["turnover_cap"]
    assert not stage.of(Side.SELL)
    bids = stage.of(Side.BUY)
    assert bids
    base = float(stage.base + sum(order.remaining for order in bids))
    quote = float(stage.quote - sum(order.remaining * order.price for order in bids))
    assert base * stage.mid / (base * stage.mid + quote) <= target + 1e-9


# ---- fee share


def trips(stage: Stage, share: str, count: int = 100) -> None:
    """Round trips of which fees take so much of the gross."""
    ledger = stage.state.ledger
    ledger.round_trips = [RoundTrip(D(1), D(share)) for _ in range(count)]
    ledger.round_trips_total += count


def note(stage: Stage) -> None:
    """Another fill makes the guard look at the fee share."""
    stage.trade(Side.BUY, D(PRICE), D("0.000001"))


@pytest.mark.parametrize(("share", "bad"), [("0.399", False), ("0.40", True), ("1.5", True), ("-1", False)])
def test_fees_that_take_forty_percent_of_the_gross_alert_and_widen_for_a_day_and_never_pause(
    share: str, bad: bool
) -> None:
    stage = quoting()
    trips(stage, share)
    note(stage)
    stage.orders.clear()
    stage.tick()
    assert stage.doing == "running"
    assert ("fee_share" in stage.last.alerts) is bad
    width = float(stage.of(Side.SELL)[0].price - stage.of(Side.BUY)[0].price) / PRICE
    assert width == pytest.approx(0.007 * (1.25 if bad else 1), abs=1e-5)
    stage.ts += 24 * 3600 - 2
    stage.engine.seed_bars(flat_bars(stage.ts, PRICE, 60))
    for after in (0, 1):
        stage.orders.clear()
        stage.tick(after)
        width = float(stage.of(Side.SELL)[0].price - stage.of(Side.BUY)[0].price) / PRICE
        assert width == pytest.approx(0.007 * (1.25 if bad and not after else 1), abs=1e-5)
    width = float(stage.of(Side.SELL)[0].price - stage.of(Side.BUY)[0].price) / PRICE
    assert width == pytest.approx(0.007, abs=1e-5), "after a day without a fill it is over"


def test_a_gross_that_is_not_positive_is_the_worst_share() -> None:
    stage = quoting()
    stage.state.ledger.round_trips = [RoundTrip(D(-1), D("0.1")) for _ in range(100)]
    note(stage)
    assert "fee_share" in stage.tick().alerts


def test_fewer_than_a_hundred_round_trips_are_no_verdict() -> None:
    stage = quoting()
    trips(stage, "0.9", 99)
    note(stage)
    assert not stage.tick().alerts


def test_it_widens_at_most_twice_and_only_on_new_evidence() -> None:
    stage = quoting()
    widths = []
    for new in (100, 50, 50, 100, 100):
        trips(stage, "0.9", 100)
        stage.state.ledger.round_trips_total += new - 100
        note(stage)
        stage.orders.clear()
        stage.tick()
        widths.append(round(float(stage.of(Side.SELL)[0].price - stage.of(Side.BUY)[0].price) / PRICE / 0.007, 2))
    assert widths == [1.25, 1.25, 1.56, 1.56, 1.56]


def test_after_they_are_over_new_evidence_widens_again() -> None:
    stage = quoting()
    for _ in range(2):
        trips(stage, "0.9")
        note(stage)
    assert len(stage.state.guard.widened_until) == 2
    stage.ts += 25 * 3600
    trips(stage, "0.9")
    note(stage)
    assert stage.state.guard.widened_until == [stage.ts + 24 * 3600]


# ---- clock


def clocks(stage: Stage, offsets: list[float], round_trip: float = 0.2) -> None:
    for offset in offsets:
        stage.ts += 1
        stage.given["clock"] = ClockSample(stage.ts, offset, round_trip)
        stage.tick(0)


@pytest.mark.parametrize(
    ("offset", "state"),
    [
        (1.09, "running"), (1.11, "soft_pause"), (-1.11, "soft_pause"), (5.09, "soft_pause"), (5.11, "hard_stop"),
        (-5.11, "hard_stop"),
    ],
)  # fmt: skip
def test_a_clock_that_is_off_beyond_half_the_round_trip(offset: float, state: str) -> None:
    stage = quoting()
    clocks(stage, [offset] * 5)
    assert stage.doing == state
    if state == "soft_pause":
        assert stage.codes == ["clock"]
        clocks(stage, [0.0, 0.0, 0.0])
        stage.run(2)
        assert stage.doing == "running"
    elif state == "hard_stop":
        stays_until_reset(stage, "clock", lambda stage: clocks(stage, [0.0] * 5))


def test_one_odd_sample_of_five_is_none() -> None:
    stage = quoting()
    clocks(stage, [0.0, 0.0, 9.0, 9.0, 0.0])
    assert stage.doing == "running"
    assert stage.engine.minute_row().clock_skew_s == 0.0


def test_four_samples_do_not_latch() -> None:
    stage = quoting()
    clocks(stage, [9.0] * 4)
    assert stage.doing == "soft_pause"
    clocks(stage, [9.0])
    assert latched(stage, "clock")


def test_only_the_newest_five_count() -> None:
    stage = quoting()
    clocks(stage, [9.0, 0.0, 0.0, 9.0, 9.0])
    assert stage.codes[0] == "clock"
    stage = quoting()
    clocks(stage, [9.0, 0.0, 0.0, 9.0, 0.0, 9.0])
    assert stage.doing == "running"


@pytest.mark.parametrize(("offset", "state"), [(1.0, "running"), (5.0, "soft_pause")])
def test_exactly_a_clock_limit_is_within_it(offset: float, state: str) -> None:
    stage = quoting()
    clocks(stage, [offset] * 5, round_trip=0.0)
    assert stage.doing == state


def test_a_clock_in_step_is_off_by_nothing() -> None:
    stage = quoting(parameters=configured(clock_soft_s=0.5))
    clocks(stage, [0.05] * 5)
    assert stage.doing == "running"
    assert stage.state.guard.clock_excess == [0.0] * 5


def test_a_sample_is_counted_once() -> None:
    stage = quoting()
    clocks(stage, [0.0, 9.0])
    stage.run(20)
    assert len(stage.state.guard.clock_excess) == 2


# ---- exceptions


@pytest.mark.parametrize(("count", "state"), [(1, "soft_pause"), (2, "soft_pause"), (3, "hard_stop")])
def test_exceptions_in_a_row(count: int, state: str) -> None:
    stage = quoting()
    for _ in range(count):
        stage.tick()
        stage.engine.on_exception(stage.ts, "KeyError: 'bid'")
    stage.tick()
    assert stage.doing == state
    if state == "hard_stop":
        stays_until_reset(stage, "exception")
    else:
        assert stage.codes == ["exception"]
        assert "KeyError" in stage.reason("exception").detail
        assert ends_without_a_fill(stage, "exception", 61) == 59
        stage.tick()
        assert stage.doing == "running"


def test_exceptions_with_a_whole_tick_between_them_are_no_row() -> None:
    stage = quoting()
    for _ in range(6):
        stage.engine.on_exception(stage.ts, "oops")
        stage.run(2)
    assert stage.doing == "soft_pause"
    assert stage.state.guard.latch is None


def test_a_stop_for_exceptions_looks_at_nothing_but_its_orders() -> None:
    """What raised may raise again."""
    stage = quoting()
    for _ in range(3):
        stage.engine.on_exception(stage.ts, "oops")
    stage.tick(bid="nonsense", rules="nonsense", maker_fee="nonsense")
    assert latched(stage, "exception")
    assert set(stage.last.cancel) == set(stage.orders)
    assert stage.last.direct_cancel_all


# ---- at once


@pytest.mark.parametrize(
    ("code", "seen", "detail"),
    [
        ("routing", {"routing_agrees": False}, "mode, connector, key and routing disagree on paper or live"),
        ("foreign_order", {"foreign_orders": 1}, "1 open orders without the bot's prefix"),
        ("kill_file", {"kill_file": True}, "the operator's kill file is there"),
    ],
)
def test_what_latches_at_once(code: str, seen: dict[str, Any], detail: str) -> None:
    stage = quoting()
    stage.tick(**seen)
    assert stage.state.guard.latch == Latch(code, detail, stage.ts)
    assert stage.reason(code).detail == f"{detail}; holds {stage.base} BTC"
    assert set(stage.last.cancel) == set(stage.orders)
    assert stage.last.direct_cancel_all
    assert stage.last.persist
    assert code in {event.detail.partition(":")[0] for event in stage.last.events if event.code == "latch"}
    stays_until_reset(stage, code)


@pytest.mark.parametrize("seen", [{"routing_agrees": False}, {"foreign_orders": 1}, {"kill_file": True}])
def test_a_start_under_it_places_nothing(seen: dict[str, Any]) -> None:
    stage = Stage(given=seen)
    for decision in stage.run(10):
        assert decision.state is STOP
        assert not decision.place


def test_the_kill_file_stops_a_bot_that_hears_nothing() -> None:
    stage = quoting()
    stage.tick(connector_ready=False, bid=None, ask=None, book_age_s=90.0, kill_file=True)
    assert latched(stage, "kill_file")


def test_the_first_latch_stays() -> None:
    stage = quoting()
    stage.tick(kill_file=True)
    stage.tick(kill_file=True, foreign_orders=3, routing_agrees=False)
    assert latched(stage, "kill_file")


def test_a_latch_is_saved_even_under_another_hard_stop() -> None:
    stage = quoting()
    stage.run(3, maker_fee=None)
    assert stage.codes == ["fee_unknown"]
    assert not stage.last.persist
    clocks(stage, [9.0] * 4)
    stage.tick(maker_fee=None)
    before = stage.codes
    stage.given["clock"] = ClockSample(stage.ts + 1, 9.0, 0.2)
    stage.tick(maker_fee=None)
    assert stage.codes[:1] == before[:1]
    assert stage.state.guard.latch is not None
    assert stage.last.persist


# ---- a hard stop's cancels


def test_a_hard_stop_cancels_everything_until_the_exchange_shows_none_open() -> None:
    stage = quoting()
    stage.given["orders_on_exchange"] = 0  # read a while ago: proves nothing
    stage.deaf = True
    asked = [stage.tick(kill_file=True).direct_cancel_all]
    stage.given["orders_on_exchange"] = 8
    asked += [decision.direct_cancel_all for decision in stage.run(20)]
    assert [second for second, now in enumerate(asked) if now] == [0, 5, 10, 15, 20]
    stage.orders.clear()
    assert any(decision.direct_cancel_all for decision in stage.run(6))
    stage.given["orders_on_exchange"] = 0
    assert not any(decision.direct_cancel_all for decision in stage.run(60))
    stage.given["orders_on_exchange"] = 1
    assert stage.tick().direct_cancel_all, "one turned up late"
    stage.restart()
    stage.given["orders_on_exchange"] = None
    assert any(decision.direct_cancel_all for decision in stage.run(6))


def test_a_hard_stop_that_knows_of_no_order_looks_once_all_the_same() -> None:
    stage = quoting()
    stage.orders.clear()
    stage.given["orders_on_exchange"] = 0
    assert stage.tick(kill_file=True).direct_cancel_all
    assert not any(decision.direct_cancel_all for decision in stage.run(30))


def test_a_hard_stop_never_sells() -> None:
    stage = quoting()
    held = stage.base
    stage.tick(kill_file=True)
    for decision in stage.run(100):
        assert not decision.place
    assert stage.base == held
    assert f"holds {held} BTC" in stage.reason("kill_file").detail


# ---- fee, operator, start


def test_an_unknown_fee_stops_and_a_known_one_ends_it() -> None:
    for fee in (None, float("nan"), 0.0101):
        stage = quoting()
        stage.tick(maker_fee=fee)
        assert stage.doing == "hard_stop"
        assert stage.codes == ["fee_unknown"]
        assert set(stage.last.cancel) == set(stage.orders)
        assert not stage.last.direct_cancel_all
        stage.run(2)
        assert stage.doing == "running"


def test_unknown_trading_rules_pause() -> None:
    stage = quoting()
    stage.tick(rules=None)
    assert stage.codes == ["rules"]
    stage.run(2)
    assert stage.doing == "running"


def test_an_operators_pause_lasts_until_his_resume_and_over_restarts() -> None:
    stage = quoting()
    stage.engine.pause(stage.ts, "lunch")
    stage.run(3)
    assert stage.codes == ["operator_pause"]
    assert stage.reason("operator_pause").detail == "lunch"
    assert "resume" in stage.reason("operator_pause").ends
    assert not stage.orders
    stage.restart()
    stage.run(3)
    assert stage.codes == ["operator_pause"]
    stage.engine.resume(stage.ts, "back")
    stage.tick()
    assert stage.doing == "running"
    assert stage.orders


def test_a_pause_without_a_reason_is_a_pause() -> None:
    stage = quoting()
    stage.engine.pause(stage.ts, "")
    stage.tick()
    assert stage.codes == ["operator_pause"]


def test_a_resume_does_not_clear_a_latch() -> None:
    stage = quoting()
    stage.tick(kill_file=True)
    stage.engine.resume(stage.ts, "please")
    stage.tick()
    assert latched(stage, "kill_file")


def test_nothing_is_quoted_before_the_start_is_swept() -> None:
    stage = Stage(given={"start_swept": False})
    stage.run(5)
    assert stage.codes == ["start_sweep"]
    assert not stage.orders
    assert ends_without_a_fill(replaced(stage), "start_sweep", 1) == 1
    assert stage.orders


def replaced(stage: Stage) -> Stage:
    """The same stage with nothing wrong any more."""
    stage.given.clear()
    return stage


@pytest.mark.parametrize("how", ["done", "resume"])
def test_a_lost_state_waits_until_the_days_fills_are_booked(how: str) -> None:
    stage = quoting()
    stage.state.guard.reconcile = "state_paper.json is torn"
    stage.run(3)
    assert stage.codes == ["reconcile"]
    assert stage.reason("reconcile").detail == "state_paper.json is torn"
    if how == "done":
        stage.engine.reconcile_done(stage.ts, "3 fills")
        stage.engine.reconcile_done(stage.ts, "again")
    else:
        stage.engine.resume(stage.ts, "checked by hand")
    stage.tick()
    assert stage.doing == "running"
    assert [event.code for event in stage.last.events].count("reconciled") == (1 if how == "done" else 0)


# ---- several at once


def test_the_gravest_reason_decides_and_comes_first() -> None:
    stage = quoting(share=0.55)
    stage.state.ledger.day.notional = stage.state.ledger.day.equity_open * 3
    stage.tick()
    assert stage.codes == ["turnover_cap"]
    stage.engine.pause(stage.ts, "x")
    stage.tick()
    assert stage.codes == ["operator_pause", "turnover_cap"]
    assert stage.doing == "soft_pause"
    stage.tick(kill_file=True)
    assert stage.codes == ["kill_file", "operator_pause", "turnover_cap"]
    assert stage.doing == "hard_stop"
    assert [reason.state for reason in stage.last.reasons] == [STOP, PAUSE, REDUCE]


def test_each_change_is_told_and_saved_once() -> None:
    stage = quoting()
    stage.tick()
    assert not stage.last.events
    assert not stage.last.persist
    stage.tick(book_age_s=31.0)
    (event,) = stage.last.events
    assert event.code == "state"
    assert "running to soft_pause" in event.detail
    assert "feed" in event.detail
    assert "ends with" in event.detail
    assert stage.last.persist
    assert not stage.tick(book_age_s=32.0).persist
    (event,) = stage.tick().events
    assert "soft_pause to running; over: feed" in event.detail
