"""What the core says: each line of the log has its time, its code and the facts; each reason says what ends it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from epp.core import Event, Fill, GuardState, OrderState, Side
from epp.tests.core.stage import MIDNIGHT, Stage, configured, quoting

EARLIER_S = 7.0
"""What happens between two ticks has a time of its own."""


def said(stage: Stage, code: str) -> Event:
    """The event of a code that the next decision hands out; there is exactly one."""
    (event,) = [event for event in stage.tick().events if event.code == code]
    return event


def test_a_refused_cancel() -> None:
    stage = quoting()
    name = next(iter(stage.orders))
    when = stage.ts - EARLIER_S
    stage.engine.on_cancel_failure(name, when, "order not found")
    assert stage.engine.state.guard.cancelling[name].since == when
    assert said(stage, "cancel_refused") == Event(when, "cancel_refused", f"{name}: order not found")


def test_a_refused_order_and_how_long_its_slot_rests() -> None:
    stage = quoting()
    wait = stage.parameters.placement_backoff_s
    when = stage.ts - EARLIER_S
    stage.engine.on_placement_failure(Side.SELL, 2, when, "43012")
    assert said(stage, "placement_refused") == Event(when, "placement_refused", f"sell:2: 43012; rests {wait:.0f} s")


def test_an_exception() -> None:
    stage = quoting()
    when = stage.ts - EARLIER_S
    stage.engine.on_exception(when, "KeyError: 'bid'")
    assert said(stage, "exception") == Event(when, "exception", "KeyError: 'bid'")


def test_an_operators_pause_and_its_end() -> None:
    stage = quoting()
    when = stage.ts - EARLIER_S
    stage.engine.pause(when, "lunch")
    assert said(stage, "pause") == Event(when, "pause", "lunch")
    assert stage.reason("operator_pause").detail == "lunch"
    assert stage.reason("operator_pause").ends == "ends with the operator's resume"
    stage.engine.resume(when, "back")
    assert said(stage, "resume") == Event(when, "resume", "back")
    assert stage.engine.state.guard.operator_pause == ""
    assert stage.engine.state.guard.reconcile == ""
    stage.engine.pause(when, "")
    stage.tick()
    assert stage.reason("operator_pause").detail == "no reason given"


def test_fills_that_are_fetched_after_a_lost_state() -> None:
    stage = quoting()
    stage.engine.state.guard.reconcile = "no state file, but own fills of today"
    stage.tick()
    assert stage.doing == GuardState.SOFT_PAUSE.value
    assert stage.reason("reconcile").detail == "no state file, but own fills of today"
    assert stage.reason("reconcile").ends == "ends when the day's fills are fetched and booked, or with a resume"
    when = stage.ts - EARLIER_S
    stage.engine.reconcile_done(when, "3 fills")
    assert said(stage, "reconciled") == Event(when, "reconciled", "3 fills")
    assert stage.engine.state.guard.reconcile == ""


def test_a_reset_tells_the_old_and_the_new() -> None:
    stage = quoting()
    stage.tick(kill_file=True)
    when = stage.ts - EARLIER_S
    with pytest.raises(ValueError, match=r"^a reset needs a reason$"):
        stage.engine.reset(when, " ")
    record = stage.engine.reset(when, "looked at it")
    assert (record.ts, record.reason) == (when, "looked at it")
    assert record.cleared.startswith("kill_file: ")
    assert {"expected_base", "expected_quote"} <= record.old.keys() == record.new.keys()
    assert Decimal(record.new["expected_base"]) == stage.base
    assert Decimal(record.new["expected_quote"]) == stage.quote
    detail = f"looked at it; cleared {record.cleared}; was {record.old}, is {record.new}"
    assert said(stage, "reset") == Event(when, "reset", detail)
    again = stage.engine.reset(when, "once more")
    assert said(stage, "reset").detail.startswith("once more; cleared nothing; was ")
    assert again.cleared == ""


def test_a_reset_of_another_latch_leaves_the_expected_balances() -> None:
    stage = quoting()
    stage.tick(kill_file=True)
    ledger = stage.engine.state.ledger
    ledger.expected_quote += 5
    before = (ledger.expected_base, ledger.expected_quote)
    stage.engine.reset(stage.ts, "the kill file's")
    assert (ledger.expected_base, ledger.expected_quote) == before


def test_a_transfer_is_told_with_its_coins_and_its_worth() -> None:
    stage = quoting()
    when = stage.ts - EARLIER_S
    stage.engine.transfer(when, base=Decimal("0.01"), quote=Decimal("-5"), reason="a deposit")
    stage.base += Decimal("0.01")
    stage.quote -= 5
    assert said(stage, "transfer") == Event(when, "transfer", "+0.01 BTC, -5 USDT (+495.00): a deposit")


def test_no_transfer_before_the_opening_balances() -> None:
    stage = Stage()
    with pytest.raises(ValueError, match=r"^no transfer before the opening balances were read: they will contain it$"):
        stage.engine.transfer(stage.ts, quote=Decimal(5), reason="a deposit")


def test_a_fill_after_midnight_ends_the_day() -> None:
    stage = quoting(ts=MIDNIGHT - 30)
    stage.ts = MIDNIGHT + 5
    stage.trade(Side.BUY, Decimal("49900"), Decimal("0.01"))
    when = stage.ts
    event = said(stage, "day_roll")
    assert (event.ts, event.detail) == (when, "2024-10-04")
    (row,) = stage.last.day_rows
    assert (row.day, row.state) == ("2024-10-03", GuardState.RUNNING)


def test_a_fee_in_a_coin_without_a_price_is_estimated_by_the_accounts_rate() -> None:
    stage = quoting(fee=0.0004)
    when = stage.ts
    fill = Fill(
        trade_id="t1", order_id="o1", ts=when, side=Side.SELL, price=Decimal(50_000), amount=Decimal("0.01"),
        fee_amount=Decimal("0.02"), fee_asset="BGB",
    )  # fmt: skip
    booked = stage.engine.on_fill(fill)
    assert booked is not None
    assert booked.fee_quote == pytest.approx(Decimal("0.2"))
    event = said(stage, "fee_estimated")
    assert event.ts == when
    assert event.detail == f"t1: no price for 0.02 BGB, booked {booked.fee_quote}"


def test_a_booked_fill_is_what_was_executed() -> None:
    stage = quoting()
    order = stage.of(Side.BUY)[0]
    stage.ts += EARLIER_S
    fill = Fill(
        trade_id="t77", order_id=order.order_id, ts=stage.ts, side=Side.BUY, price=order.price, amount=order.remaining,
        fee_amount=Decimal(0), fee_asset="BTC", is_maker=False,
    )  # fmt: skip
    booked = stage.engine.on_fill(fill)
    assert booked is not None
    assert (booked.ts, booked.side, booked.price, booked.amount_base) == (
        fill.ts, Side.BUY, order.price, order.remaining
    )  # fmt: skip
    assert (booked.order_id, booked.trade_id, booked.is_maker) == (order.order_id, "t77", False)
    assert booked.spread_pct is not None
    assert booked.base_pct is not None


def test_a_fill_before_the_opening_balances_has_no_share() -> None:
    stage = Stage()
    booked = stage.trade(Side.BUY, Decimal("49900"), Decimal("0.01"))
    assert booked is not None
    assert (booked.mid, booked.base_pct) == (None, None)


def test_an_ended_confirmation() -> None:
    stage = Stage(given={"unconfirmed": "it ended"})
    stage.tick()
    assert stage.reason("expired").detail == "it ended"
    assert stage.reason("expired").ends == "ends with a new go-live confirmation"


def test_too_few_minutes() -> None:
    stage = Stage(bars=5)
    stage.tick()
    assert stage.reason("bars").detail == "5 of 14 minutes"
    assert stage.reason("bars").ends == "ends with as many minutes or candles"


def test_too_little_capital_ends_with_more_and_a_bad_configuration_with_another() -> None:
    poor = Stage(equity=20.0)
    poor.tick()
    assert poor.reason("capital").ends == "ends with enough capital"
    small = Stage(parameters=configured(max_order_notional_quote=5))
    small.tick()
    assert small.reason("order_cap").ends == "ends with another configuration"


def test_an_order_whose_cancel_was_asked_for_is_on_its_way_out_whatever_the_connector_says() -> None:
    """Its slot is not filled again, and it is not asked again, while the exchange has not confirmed."""
    stage = quoting()
    name = stage.of(Side.BUY)[0].order_id
    stage.engine.on_cancel_failure(name, stage.ts, "refused")
    level = stage.orders[name].level
    assert stage.orders[name].state is OrderState.OPEN
    decision = stage.tick()
    assert name not in decision.cancel
    assert not [place for place in decision.place if (place.side, place.level) == (Side.BUY, level)]


def test_a_minute_row_has_the_days_results() -> None:
    stage = quoting()
    with pytest.raises(RuntimeError, match=r"^no minute row before the first decision$"):
        Stage(parameters=configured()).engine.minute_row()
    stage.trade(Side.BUY, Decimal("50100"), Decimal("0.01"))
    stage.trade(Side.SELL, Decimal("49900"), Decimal("0.01"))
    stage.tick()
    row = stage.engine.minute_row()
    assert row.realized_pnl_quote < -2
    assert row.trading_drawdown_pct > 0
    assert stage.engine.day_row(stage.ts + EARLIER_S).ts == stage.ts + EARLIER_S


def test_a_new_day_a_regime_the_window_and_a_latch_have_their_time() -> None:
    stage = Stage(ts=MIDNIGHT - 30)
    first = stage.tick()
    (window,) = [event for event in first.events if event.code == "window"]
    assert window == Event(stage.ts, "window", f"opened with {stage.base} BTC and {stage.quote} USDT")
    assert first.ts == stage.ts
    stage.ts = MIDNIGHT
    assert said(stage, "day_roll") == Event(MIDNIGHT + 1, "day_roll", "2024-10-04")
    stage.tick(kill_file=True)
    (latch,) = [event for event in stage.last.events if event.code == "latch"]
    (change,) = [event for event in stage.last.events if event.code == "state"]
    assert latch.ts == change.ts == stage.ts
    assert stage.reason("kill_file").detail.endswith(f"; holds {stage.base} BTC")
    unknown = stage.tick(base_total=None)
    assert "holds" not in unknown.reasons[0].detail


def test_a_change_of_regime_has_its_time() -> None:
    stage = quoting()
    for _ in range(60 * 45):
        stage.mid *= 1.00001
        changes = [event for event in stage.tick(1.0).events if event.code == "regime"]
        if changes:
            assert changes[0].ts == stage.ts
            assert changes[0].detail.startswith("neutral_low_vol to ")
            return
    pytest.fail("a market that rises by 3 % an hour is a regime of its own")


def test_every_reason_in_force_is_in_the_line_of_the_change() -> None:
    stage = quoting()
    stage.engine.pause(stage.ts, "lunch")
    stage.given["unconfirmed"] = "it ended"
    change = said(stage, "state")
    assert change.detail == (
        "running to soft_pause: operator_pause (lunch; ends with the operator's resume); "
        "expired (it ended; ends with a new go-live confirmation)"
    )
