"""What is booked: fills once, fees in quote, round trips first in first out, what trading is to blame for, the day."""

import time
from collections import deque
from dataclasses import replace
from decimal import Decimal

import pytest
from epp.core import BookedFill, Fill, GuardState, Side, State
from epp.core import ledger as books
from epp.core.ledger import DayBook, DayPeak, LedgerState, RoundTrip
from epp.tests.core.stage import DAY_S, MIDNIGHT, NOON, PRICE, PROPERTY, Stage, configured, quoting
from hypothesis import given
from hypothesis import strategies as st

D = Decimal
PARAMETERS = configured()
BOUGHT = Fill(
    trade_id="1", order_id="x", ts=NOON, side=Side.BUY, price=D(100), amount=D(2), fee_amount=D("0.002"),
    fee_asset="BTC",
)  # fmt: skip


def booked(stage: Stage, fill: Fill) -> BookedFill:
    found = stage.engine.on_fill(fill)
    assert found is not None
    return found


# ---- a fill


@pytest.mark.parametrize(
    ("changes", "fee"),
    [
        ({}, "0.2"),
        ({"fee_asset": "USDT", "fee_amount": D("0.3")}, "0.3"),
        ({"fee_asset": "BGB", "fee_amount": D("0.1"), "fee_asset_price": D(4)}, "0.4"),
        ({"fee_asset": "BGB", "fee_amount": D("0.1")}, "0.5"),
        ({"fee_asset": "XYZ", "fee_amount": D("0.1")}, "0.2"),
        ({"fee_asset": "XYZ", "fee_amount": D(0)}, "0"),
        ({"fee_amount": D("-0.001")}, "-0.1"),
    ],
    ids=[
        "coin received",
        "quote",
        "coin with its price",
        "coin known by config",
        "the account's rate",
        "none",
        "rebate",
    ],
)
def test_fees_are_booked_in_quote(changes: dict[str, object], fee: str) -> None:
    stage = Stage(parameters=configured(fee_coin="BGB", fee_coin_price_quote=5.0))
    stage.tick()
    found = booked(stage, replace(BOUGHT, **changes))  # type: ignore[arg-type]  # any of its fields
    assert found.fee_quote == D(fee)
    estimated = [event for event in stage.tick().events if event.code == "fee_estimated"]
    assert bool(estimated) is (changes.get("fee_asset") == "XYZ" and bool(changes["fee_amount"]))


@pytest.mark.parametrize(
    ("fill", "base", "quote"),
    [
        (BOUGHT, "1.998", "-200"),
        (replace(BOUGHT, fee_asset="USDT"), "2", "-200.002"),
        (replace(BOUGHT, fee_asset="BGB"), "2", "-200"),
        (replace(BOUGHT, side=Side.SELL, fee_asset="USDT", fee_amount=D("0.2")), "-2", "199.8"),
    ],
)
def test_the_balances_to_expect_follow_the_fills_and_their_fees(fill: Fill, base: str, quote: str) -> None:
    state = LedgerState()
    books.book(state, PARAMETERS, fill, 0.001)
    assert (state.expected_base, state.expected_quote) == (D(base), D(quote))


def test_a_fill_counts_once_whatever_is_replayed() -> None:
    stage = quoting()
    booked(stage, BOUGHT)
    ledger = stage.state.ledger
    before = (ledger.expected_base, ledger.day.notional, ledger.fills_total, len(ledger.lots))
    assert stage.engine.on_fill(BOUGHT) is None
    assert stage.engine.on_fill(replace(BOUGHT, ts=NOON + 5, amount=D(7))) is None
    stage.restart()
    assert stage.engine.is_booked("1", NOON)
    assert stage.engine.on_fill(BOUGHT) is None
    ledger = stage.state.ledger
    assert (ledger.expected_base, ledger.day.notional, ledger.fills_total, len(ledger.lots)) == before


@PROPERTY
@given(st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.integers(1, 5)), max_size=40), st.data())
def test_no_replay_changes_the_books(made: list[tuple[int, bool, int]], data: st.DataObject) -> None:
    """Ids repeat at random; the books are those of each id's first appearance."""
    once, replayed = Stage(bars=0), Stage(bars=0)
    seen: set[int] = set()
    for trade_id, buys, amount in made:
        fill = replace(
            BOUGHT, trade_id=str(trade_id), ts=NOON + trade_id, side=Side.BUY if buys else Side.SELL, amount=D(amount)
        )
        if trade_id not in seen:
            assert once.engine.on_fill(fill) is not None
        seen.add(trade_id)
        replayed.engine.on_fill(fill)
    assert replayed.state.ledger == once.state.ledger


def test_ids_are_forgotten_by_age_and_what_is_older_still_counts_as_booked() -> None:
    state = LedgerState()
    for number in range(5001):
        books.book(state, PARAMETERS, replace(BOUGHT, trade_id=str(number), ts=NOON + number), 0.001)
    assert len(state.booked) == 2500
    assert all(books.is_booked(state, str(number), NOON + number) for number in range(5001))
    assert not books.is_booked(state, "5001", NOON + 5001)
    assert not books.is_booked(state, "new", NOON + 2501)


def test_what_a_fill_was_worth_when_its_order_was_placed_is_in_its_row() -> None:
    stage = quoting()
    row = stage.fill(stage.of(Side.BUY)[1].order_id)
    assert row is not None
    assert row.spread_pct == pytest.approx(0.007)
    assert row.quote_margin_pct == pytest.approx(0.0049 - 0.001 - 0.00025 - 0.0003, abs=1e-6)
    assert row.mid == pytest.approx(PRICE)
    assert row.notional_quote == row.price * row.amount_base
    assert row.base_pct == pytest.approx(stage.base_share(), abs=1e-4)
    assert (row.regime.value, row.state.value) == ("neutral_low_vol", "running")


def test_a_fill_of_an_order_from_before_has_no_such_figures() -> None:
    stage = quoting()
    row = booked(stage, BOUGHT)
    assert row.spread_pct is None
    assert row.quote_margin_pct is None


def test_a_fill_before_the_first_price_has_no_mid() -> None:
    row = booked(Stage(bars=0), BOUGHT)
    assert row.mid is None
    assert row.base_pct is None


# ---- round trips


def test_a_round_trip_is_first_in_first_out_and_pays_both_fees() -> None:
    stage = quoting()
    fills = [
        (Side.BUY, 100, 1), (Side.BUY, 110, 1), (Side.SELL, 120, 1), (Side.SELL, 105, 2), (Side.BUY, 100, 1),
    ]  # fmt: skip
    realized = [
        booked(
            stage,
            replace(
                BOUGHT, trade_id=str(number), side=side, price=D(price), amount=D(amount), fee_asset="USDT",
                fee_amount=D(amount),
            ),
        ).realized_pnl_quote
        for number, (side, price, amount) in enumerate(fills)
    ]  # fmt: skip
    assert realized == [0, 0, 20 - 2, -5 - 2, 5 - 2]
    ledger = stage.state.ledger
    assert ledger.round_trips == [RoundTrip(D(20), D(2)), RoundTrip(D(-5), D(2)), RoundTrip(D(5), D(2))]
    assert not ledger.lots
    assert ledger.realized_total == ledger.day.realized == 14
    assert ledger.fees_total == ledger.day.fees == 6
    assert [int(sum_) for sum_ in (ledger.day.gross, ledger.day.gains, ledger.day.losses)] == [20, 21, 7]
    assert (ledger.day.round_trips, ledger.round_trips_total) == (3, 3)


@PROPERTY
@given(st.lists(st.tuples(st.booleans(), st.integers(90, 110), st.integers(1, 6)), max_size=25))
def test_the_matching_is_that_of_a_plain_queue_of_units(made: list[tuple[bool, int, int]]) -> None:
    """Every unit bought or sold is a lot of its own; gross, fees and what is left must agree to the last digit."""
    state = LedgerState()
    units: deque[tuple[bool, int]] = deque()
    gross = 0
    for number, (buys, price, amount) in enumerate(made):
        fill = replace(
            BOUGHT, trade_id=str(number), side=Side.BUY if buys else Side.SELL, price=D(price), amount=D(amount),
            fee_asset="USDT", fee_amount=D(amount) / 8,
        )  # fmt: skip
        books.book(state, PARAMETERS, fill, 0.001)
        for _ in range(amount):
            if units and units[0][0] is not buys:
                other = units.popleft()[1]
                gross += price - other if not buys else other - price
            else:
                units.append((buys, price))
    traded = sum(amount for _, _, amount in made)
    assert sum((trip.gross for trip in state.round_trips), D(0)) == gross
    assert sum((lot.amount for lot in state.lots), D(0)) == len(units)
    closed_fees = sum((trip.fees for trip in state.round_trips), D(0))
    open_fees = sum((lot.fee_quote for lot in state.lots), D(0))
    assert float(closed_fees + open_fees) == pytest.approx(traded / 8)
    assert float(closed_fees) == pytest.approx((traded - len(units)) / 8)
    assert len({lot.side for lot in state.lots}) <= 1


# ---- what trading is to blame for


def test_holding_is_nobodys_gain_or_loss() -> None:
    stage = quoting()
    for factor in (0.99, 1.01, 0.95, 1.2):
        stage.mid = PRICE * factor
        stage.tick(20, rest=stage.rest())
        assert stage.state.ledger.trading_pnl == 0


@PROPERTY
@given(
    fills=st.lists(st.tuples(st.booleans(), st.integers(-100, 100), st.integers(1, 400)), max_size=15),
    end=st.integers(-100, 100),
)
def test_trading_pnl_is_what_the_fills_made_of_it_at_the_price_they_are_valued_at(
    fills: list[tuple[bool, int, int]], end: int
) -> None:
    """Equity less the mix held when the window opened: each fill's own gain against mid, less its fee."""
    stage = Stage(bars=0)
    stage.tick()
    expected = D(0)
    mid = D(PRICE) * (1 + D(end) / 10_000)
    for buys, away, amount in fills:
        price, units = D(PRICE) * (1 + D(away) / 10_000), D(amount) / 100_000
        row = stage.trade(Side.BUY if buys else Side.SELL, price, units)
        assert row is not None
        sign = 1 if buys else -1
        fee = units * D("0.001") * (mid if buys else price)
        expected += sign * units * (mid - price) - fee
    stage.mid = float(mid)
    stage.tick(20, rest=stage.rest())
    assert float(stage.state.ledger.trading_pnl) == pytest.approx(float(expected), abs=1e-6)


@PROPERTY
@given(
    base=st.integers(-50, 500).map(lambda units: D(units) / 1000),
    quote=st.integers(-4000, 100_000).map(D),
    move=st.integers(-100, 100),
)
def test_a_transfer_is_no_gain_no_loss_and_no_drawdown(base: Decimal, quote: Decimal, move: int) -> None:
    stage = quoting()
    stage.mid *= 1 + move / 10_000
    stage.tick(20)
    ledger = stage.state.ledger
    before = (ledger.trading_pnl, books.day_loss(ledger), books.drawdown(ledger), books.trading_drawdown(ledger))
    lost = ledger.day.equity_open - ledger.equity
    stage.engine.transfer(stage.ts, base=base, quote=quote, reason="test")
    stage.base += base
    stage.quote += quote
    stage.tick()
    after = stage.state.ledger
    assert after.trading_pnl == before[0]
    assert after.day.equity_open - after.equity == lost
    assert books.trading_drawdown(after) == before[3] == 0
    assert (books.drawdown(after) > 0) is (before[2] > 0)
    assert "balances" not in stage.codes


def test_a_transfer_moves_everything_that_equity_is_measured_against() -> None:
    state = LedgerState(
        opened=True, expected_base=D(3), expected_quote=D(70), reference_base=D(2), reference_quote=D(50),
        window_equity=D(500), equity=D(400), mid=100.0, peaks=[DayPeak(1, D(600))],
        day=DayBook(equity_open=D(450), equity_peak=D(480)),
    )  # fmt: skip
    assert books.transfer(state, D("0.5"), D(-20)) == 30
    assert (state.expected_base, state.expected_quote) == (D("3.5"), D(50))
    assert (state.reference_base, state.reference_quote) == (D("2.5"), D(30))
    assert (state.window_equity, state.equity) == (D(530), D(430))
    assert (state.day.equity_open, state.day.equity_peak, state.peaks[0].equity) == (D(480), D(510), D(630))


def test_a_reset_takes_all_of_them_anew() -> None:
    state = LedgerState(
        equity=D(400), trading_pnl=D(-30), trading_peak=D(9), trading_soft_peak=D(5),
        peaks=[DayPeak(1, D(600)), DayPeak(2, D(500))], day=DayBook(day=2, equity_open=D(450), equity_peak=D(480)),
    )  # fmt: skip
    books.rebase(state)
    assert (state.trading_peak, state.trading_soft_peak, state.day.trading_open) == (D(-30), D(-30), D(-30))
    assert (state.day.equity_open, state.day.equity_peak) == (D(400), D(400))
    assert state.peaks == [DayPeak(2, D(400))]


def test_a_transfer_before_the_books_are_open_is_refused() -> None:
    with pytest.raises(ValueError, match="opening balances"):
        Stage().engine.transfer(NOON, quote=D(100))


# ---- peaks and drawdowns


def test_the_peak_looks_back_thirty_days() -> None:
    state = LedgerState()
    books.mark(state, D(0), D(200), 1.0, MIDNIGHT)
    for day in range(1, 31):
        books.roll(state, Stage().state.guard.state, MIDNIGHT + day * DAY_S)
        books.mark(state, D(0), D(100), 1.0, MIDNIGHT + day * DAY_S)
        assert books.drawdown(state) == (0.5 if day < 30 else 0.0)


@PROPERTY
@given(marks=st.lists(st.tuples(st.integers(0, 12), st.integers(50, 200)), min_size=1, max_size=30))
def test_the_drawdown_is_from_the_highest_equity_of_thirty_days(marks: list[tuple[int, int]]) -> None:
    state, day, seen = LedgerState(), 0, list[tuple[int, int]]()
    for later, equity in marks:
        for _ in range(later):
            day += 1
            books.roll(state, GuardState.RUNNING, MIDNIGHT + day * DAY_S)
        books.mark(state, D(0), D(equity), 1.0, MIDNIGHT + day * DAY_S)
        seen.append((day, equity))
        peak = max(worth for when, worth in seen if when > day - 30)
        assert books.drawdown(state) == pytest.approx((peak - equity) / peak)


def test_drawdowns_are_shares_of_their_own_bases() -> None:
    state = LedgerState()
    books.mark(state, D(10), D(1000), 100.0, NOON)
    books.open_window(state, D(10), D(1000), NOON)
    books.mark(state, D(10), D(1100), 100.0, NOON)  # a trading gain of 100
    books.mark(state, D(10), D(1040), 110.0, NOON)  # the market's rise of 100, a trading loss of 60
    assert state.equity == 2140
    assert state.trading_pnl == 40
    assert books.trading_drawdown(state) == pytest.approx(60 / 2000)
    assert books.trading_day_loss(state) == pytest.approx(-40 / 2000)
    assert books.day_loss(state) == pytest.approx(-140 / 2000)
    books.mark(state, D(10), D(1040), 80.0, NOON)
    assert books.drawdown(state) == pytest.approx(300 / 2140)
    assert books.trading_drawdown(state) == pytest.approx(60 / 2000)
    assert state.day.max_drawdown == pytest.approx(300 / 2140)
    assert state.day.max_trading_drawdown == pytest.approx(60 / 2000)


def test_before_the_window_opens_the_strategy_is_blamed_for_nothing() -> None:
    state = LedgerState()
    books.mark(state, D(10), D(0), 100.0, NOON)
    books.mark(state, D(10), D(-500), 100.0, NOON)
    assert books.trading_drawdown(state) == books.trading_soft_drawdown(state) == books.trading_day_loss(state) == 0


# ---- the day


def test_turnover_is_the_days_traded_value_over_its_opening_equity() -> None:
    stage = quoting()
    for side in (Side.BUY, Side.SELL):
        stage.trade(side, D(PRICE), D("0.1"))
    stage.tick()
    assert stage.engine.minute_row().turnover_x == pytest.approx(1.0)
    stage.ts = MIDNIGHT + DAY_S
    stage.tick(0)
    assert stage.engine.minute_row().turnover_x == 0


def test_the_day_rolls_at_midnight_and_hands_out_its_row_until_it_is_written() -> None:
    stage = quoting()
    stage.trade(Side.BUY, D(49_000), D("0.01"))
    stage.trade(Side.SELL, D(51_000), D("0.01"))
    stage.tick()
    stage.ts = MIDNIGHT + DAY_S - 1
    stage.tick(0)
    assert not stage.last.day_rows
    row = stage.tick().day_rows[0]
    assert row.day == "2024-10-04"
    assert row.ts == MIDNIGHT + DAY_S
    assert row.fills_count == 2
    assert row.gross_profit_quote == 20
    assert row.fees_quote == D("0.49") + D("0.51")
    assert row.turnover_x == pytest.approx(0.1)
    assert row.equity_open_quote == 10_000
    assert row.pnl_quote == row.equity_now_quote - 10_000
    assert row.pnl_quote == D("18.99"), "the coin that was taken as a fee is worth more than it was"
    assert row.pnl_pct == pytest.approx(0.001899)
    assert row.trading_pnl_quote == row.pnl_quote
    assert row.profit_factor is None
    assert row.equity_peak_quote == row.equity_now_quote
    assert stage.last.persist, "the new day's open must survive a crash"
    stage.restart()
    assert stage.tick().day_rows == (row,)
    stage.engine.day_row_written("2024-10-04")
    assert not stage.tick().day_rows
    day = stage.state.ledger.day
    assert not any((day.fills, day.notional, day.fees, day.gross, day.max_drawdown))
    assert day.equity_open == row.equity_now_quote


def test_a_day_that_ended_while_the_bot_was_down_is_written_with_the_fills_made_in_it() -> None:
    """They are fetched and booked before the day is closed; those of the new day are the new day's."""
    stage = quoting()
    stage.orders.clear()
    stage.restart()
    stage.ts = MIDNIGHT + DAY_S + 3600
    stage.given["start_swept"] = False
    stage.tick()
    assert not stage.last.day_rows
    late = replace(
        BOUGHT, trade_id="late", ts=MIDNIGHT + DAY_S - 60, price=D(PRICE), amount=D("0.01"), fee_amount=D("0.00001")
    )
    booked(stage, late)
    booked(stage, replace(late, trade_id="early", ts=MIDNIGHT + DAY_S + 60))
    stage.base += D("0.02") - D("0.00002")
    stage.quote -= 1000
    stage.tick(start_swept=True)
    (row,) = stage.last.day_rows
    assert (row.day, row.fills_count) == ("2024-10-04", 1)
    assert stage.state.ledger.day.fills == 1
    assert stage.state.ledger.day.notional == 500
    assert "balances" not in stage.codes


def test_a_fill_of_a_day_that_has_ended_counts_in_the_totals_only() -> None:
    stage = quoting()
    booked(stage, replace(BOUGHT, fee_amount=D(0)))
    stage.ts = MIDNIGHT + DAY_S
    stage.tick(0)
    sold = replace(BOUGHT, trade_id="2", side=Side.SELL, price=D(110), ts=NOON + 60, fee_amount=D(0))
    assert booked(stage, sold).realized_pnl_quote == 20
    ledger = stage.state.ledger
    day = ledger.day
    assert not any((day.fills, day.notional, day.realized, day.gross, day.gains, day.round_trips))
    assert ledger.realized_total == 20
    assert (ledger.fills_total, ledger.round_trips_total) == (2, 1)


def test_the_days_open_is_taken_from_real_balances() -> None:
    stage = quoting()
    stage.ts = MIDNIGHT + DAY_S
    stage.mid *= 1.01
    stage.tick(0, bid=None)
    assert stage.state.ledger.day.equity_open == 10_000, "the last one known, until there is a price"
    stage.tick()
    assert stage.state.ledger.day.equity_open == D(10_050)


def test_a_days_row_holds_that_days_trading_pnl_only() -> None:
    stage = quoting()
    stage.quote -= 50
    stage.state.ledger.expected_quote -= 50
    stage.tick()
    stage.ts = MIDNIGHT + DAY_S
    stage.tick(0)
    stage.quote += 20
    stage.state.ledger.expected_quote += 20
    stage.tick()
    row = stage.engine.day_row(stage.ts)
    assert (row.trading_pnl_quote, row.pnl_quote) == (D(20), D(20))
    assert row.equity_peak_quote == 9970


def test_a_day_without_a_price_has_no_pnl_yet() -> None:
    stage = quoting()
    stage.trade(Side.BUY, D(49_000), D("0.01"))
    stage.tick()
    stage.ts = MIDNIGHT + DAY_S
    stage.tick(0, bid=None)
    stage.state.ledger.equity += 5
    stage.state.ledger.trading_pnl += 5
    row = stage.engine.day_row(stage.ts)
    assert (row.pnl_quote, row.trading_pnl_quote, row.pnl_pct) == (D(0), D(0), 0.0)


def test_a_day_is_utcs_wherever_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert books.day_name(20_000) == "2024-10-04"
        assert books.day_of(MIDNIGHT) == 20_000
        assert books.day_of(MIDNIGHT - 0.001) == 19_999
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_clean_stop_writes_the_running_day() -> None:
    stage = quoting()
    row = stage.engine.day_row(stage.ts)
    assert (row.day, row.state.value) == ("2024-10-04", "running")
    assert row.equity_open_quote == 10_000


def test_a_day_says_how_often_each_reason_began() -> None:
    stage = quoting()
    for _ in range(2):
        stage.run(3, book_age_s=31.0)
        stage.run(3)
    stage.tick(bid=None)
    assert stage.engine.day_row(stage.ts).ops_events == "feed:2;price_sanity:1"


@pytest.mark.parametrize(
    ("round_trips", "losses", "factor"), [(100, "0.5", 19.8), (99, "0.5", None), (100, "0", None), (101, "9.9", 1.0)]
)
def test_a_profit_factor_needs_a_hundred_round_trips_and_a_loss(
    round_trips: int, losses: str, factor: float | None
) -> None:
    state = LedgerState(day=DayBook(day=1, round_trips=round_trips, gains=D("9.9"), losses=D(losses)))
    found = books.day_row(state, Stage().state.guard.state, NOON).profit_factor
    assert found == (pytest.approx(factor) if factor is not None else None)


def test_a_fee_share_of_small_gains_is_one_all_the_same() -> None:
    state = LedgerState(round_trips=[RoundTrip(D("0.001"), D("0.0003"))] * 100)
    assert books.fee_share(state, PARAMETERS) == pytest.approx(0.3)
    assert books.fee_share(LedgerState(), PARAMETERS) is None


def test_opening_balances_hold_no_fill_that_is_yet_to_be_booked() -> None:
    """Starting over without a state: the day's fills are in the balances, and only then in the books."""
    stage = Stage(state=State.new(reconcile="the state file was torn"), given={"start_swept": False})
    stage.base += D("0.05")
    stage.quote -= 2500
    stage.run(5)
    assert not stage.state.ledger.opened
    booked(stage, replace(BOUGHT, price=D(PRICE), amount=D("0.05"), fee_amount=D(0)))
    stage.engine.reconcile_done(stage.ts, "booked")
    stage.given.clear()
    stage.run(300, 10)
    assert stage.doing == "running"
    assert stage.state.ledger.expected_base == stage.base
    assert stage.state.ledger.day.notional == 2500
