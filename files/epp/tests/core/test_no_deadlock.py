"""Every pause ends: with its cause gone and time passing, the bot trades again without a fill."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from epp.core import ClockSample, OrderState, Reason, RestTicker, Side
from epp.core.ledger import RoundTrip
from epp.tests.core.situations import SITUATIONS, Situation
from epp.tests.core.stage import DAY_S, MIDNIGHT, PRICE, PROPERTY, Stage, flat_bars, quoting
from hypothesis import given
from hypothesis import strategies as st

D = Decimal


def _lose(stage: Stage, share: str) -> None:
    stage.quote -= 10_000 * D(share)
    stage.state.ledger.expected_quote -= 10_000 * D(share)


def _jump(stage: Stage) -> None:
    stage.mid = PRICE * 0.97


def _rest(stage: Stage) -> None:
    stage.given["rest"] = RestTicker(stage.ts, PRICE * 1.01, PRICE * 1.01)


def _clock(stage: Stage) -> None:
    for _ in range(5):
        stage.given["clock"] = ClockSample(stage.ts, 2.0, 0.1)
        stage.tick()


def _markout(stage: Stage) -> None:
    stage.state.markout.value, stage.state.markout.ts = 0.05, stage.ts


def _drift(stage: Stage) -> None:
    stage.state.market.drift_ewma = 0.02


def _turnover(stage: Stage) -> None:
    stage.state.ledger.day.notional = 4 * stage.state.ledger.day.equity_open


def _fees(stage: Stage) -> None:
    stage.state.ledger.round_trips = [RoundTrip(D(1), D(9)) for _ in range(100)]
    stage.trade(Side.BUY, D(PRICE), D("0.000001"))


def _deaf(stage: Stage) -> None:
    stage.deaf = True
    stage.run(30, book_age_s=99.0)


def _cancels(stage: Stage) -> None:
    stage.state.guard.cancels.extend([stage.ts] * 60)


def _exception(stage: Stage) -> None:
    stage.engine.on_exception(stage.ts, "oops")


def _refused(stage: Stage) -> None:
    for _ in range(9):
        for side in Side:
            for level in range(4):
                stage.engine.on_placement_failure(side, level, stage.ts, "no")


def seen(**changes: Any) -> Callable[[Stage], None]:
    return lambda stage: stage.given.update(changes)


FAULTS: dict[str, Callable[[Stage], None]] = {
    "feed": seen(book_age_s=99.0),
    "rest": _rest,
    "connector": seen(connector_ready=False),
    "no book": seen(bid=None),
    "crossed": seen(bid=PRICE, ask=PRICE - 1),
    "wide": seen(bid=PRICE * 0.9, ask=PRICE * 1.1),
    "far": seen(last=PRICE * 0.9),
    "jump": _jump,
    "balances": seen(base_total=None),
    "rules": seen(rules=None),
    "fee": seen(maker_fee=None),
    "sweep": seen(start_swept=False),
    "drawdown": lambda stage: _lose(stage, "0.021"),
    "day's loss": lambda stage: _lose(stage, "0.011"),
    "markout": _markout,
    "drift": _drift,
    "turnover": _turnover,
    "fees": _fees,
    "clock": _clock,
    "stuck": _deaf,
    "cancels": _cancels,
    "exception": _exception,
    "refused": _refused,
    "restart": lambda stage: stage.restart(),
}


def heal(stage: Stage) -> None:
    """The causes end: the world is as it should be, from now on."""
    stage.given.clear()
    stage.deaf = False
    for _ in range(5):
        stage.given["clock"] = ClockSample(stage.ts, 0.0, 0.1)
        stage.tick(1, rest=RestTicker(stage.ts + 1, stage.mid, stage.mid))


@PROPERTY
@given(st.lists(st.sampled_from(sorted(FAULTS)), min_size=1, max_size=5, unique=True), st.sampled_from([0.2, 0.5, 0.8]))
def test_no_mixture_of_faults_pauses_for_good(names: list[str], share: float) -> None:
    """Six hours, the next UTC day, and no fill: enough for all but a loss that latches."""
    stage = quoting(share=share, bars=60)
    for name in names:
        FAULTS[name](stage)
        for _ in range(3):
            for reason in stage.tick(3).reasons:
                assert reason.ends
    fills = stage.state.ledger.fills_total
    heal(stage)
    for ts in (stage.ts + 6 * 3600, MIDNIGHT + DAY_S):
        stage.ts = max(stage.ts, ts)
        stage.engine.seed_bars(flat_bars(stage.ts, stage.mid, 60))
        for _ in range(15):
            stage.tick(10, rest=RestTicker(stage.ts + 10, stage.mid, stage.mid))
    if stage.state.guard.latch is not None:
        assert stage.state.guard.latch.code in ("trading_drawdown", "trading_day_loss", "mtm_day_loss")
        return
    assert stage.doing == "running", stage.last.reasons
    assert stage.of(Side.BUY)
    assert stage.of(Side.SELL)
    assert stage.state.ledger.fills_total == fills


PUBLIC_AGAIN = "ends with a public message, or a REST book that agrees with ours"
SANE_AGAIN = "ends when book, last trade and REST ticker agree"
CONSISTENT_AGAIN = "ends when balances are consistent again; a deposit or withdrawal has to be booked"


@pytest.mark.parametrize(
    ("fault", "code", "detail", "ends"),
    [
        ("feed", "feed", "no public message for 99 s", PUBLIC_AGAIN),
        ("rest", "feed", "the REST book is 1.00% away from ours", PUBLIC_AGAIN),
        ("connector", "connector", "not ready for 34 s", "ends when the connector is ready"),
        ("no book", "price_sanity", "no book", SANE_AGAIN),
        ("crossed", "price_sanity", "bid 50000.0 at or above ask 49999.0", SANE_AGAIN),
        ("wide", "price_sanity", "market spread 20.00%", SANE_AGAIN),
        ("far", "price_sanity", "mid +11.11% from the last trade", SANE_AGAIN),
        ("jump", "price_sanity", "a jump to 48500.0 that no REST ticker confirms yet", SANE_AGAIN),
        ("balances", "balances", "unreadable", CONSISTENT_AGAIN),
        ("rules", "rules", "the pair's trading rules are unknown", "ends when they are known"),
        ("fee", "fee_unknown", "maker fee None", "ends when the account's fee is known"),
        ("sweep", "start_sweep", "own leftover orders, fills made meanwhile", "ends when they are gone and booked"),
        ("day's loss", "trading_day_loss", "1.10% of the day's opening equity", "ends at 00:00 UTC"),
        ("drawdown", "trading_drawdown", "2.10% of opening equity from its peak", "ends by itself in 6.0 h"),
        ("turnover", "turnover_cap", "4.00x today", "ends at 00:00 UTC"),
        ("clock", "clock", "off by 1.9 s beyond half the round trip", "ends when the median of five is in step"),
        ("stuck", "cancel_stuck", "an order outlives its cancel by 64 s", "ends when the order is known to be gone"),
        ("cancels", "cancel_rate", "68 cancels in 60 s", "ends by itself in 86 s"),
        ("exception", "exception", "oops", "ends by itself in 25 s"),
    ],
)  # fmt: skip
def test_each_fault_has_its_reason_which_says_what_ends_it(fault: str, code: str, detail: str, ends: str) -> None:
    stage = quoting(bars=60)
    FAULTS[fault](stage)
    stage.run(35)
    reason = stage.reason(code)
    assert (reason.detail, reason.ends) == (detail, ends)


@PROPERTY
@given(SITUATIONS)
def test_every_reason_names_what_ends_it(situation: Situation) -> None:
    def names_its_end(reason: Reason) -> bool:
        return reason.ends.startswith(("ends ", "never: ")) and bool(reason.detail) and bool(reason.code)

    assert all(names_its_end(reason) for reason in situation.decision.reasons)
    assert bool(situation.decision.reasons) is (situation.decision.state.value != "running")
    gone = {order.order_id for order in situation.resting if order.state is not OrderState.CANCELLING}
    if situation.decision.state.value in ("soft_pause", "hard_stop"):
        assert set(situation.decision.cancel) == gone, "a pause pulls every quote"
