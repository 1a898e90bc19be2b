"""The minute's row: what the books' readers see of the core."""

import dataclasses

import pytest
from epp.books.columns import DAILY, FILLS, MINUTE, PROVENANCE
from epp.core import BookedFill, ClockSample, DayRow, MinuteRow, Side
from epp.tests.core.stage import NOON, PRICE, Stage, quoting

ADAPTERS = {"ts", *PROVENANCE, "exchange", "trading_pair", "tick_ms"}
"""Columns that the core has no part in, and the time that each row has."""


@pytest.mark.parametrize(("row", "columns"), [(MinuteRow, MINUTE), (DayRow, DAILY), (BookedFill, FILLS)])
def test_the_cores_rows_are_the_books_columns(
    row: type[MinuteRow | DayRow | BookedFill], columns: tuple[str, ...]
) -> None:
    assert {field.name for field in dataclasses.fields(row)} | ADAPTERS == set(columns) | ADAPTERS


def test_there_is_no_row_before_the_first_decision() -> None:
    with pytest.raises(RuntimeError, match="first decision"):
        Stage().engine.minute_row()


def test_a_minute_row_says_what_the_last_decision_was_made_of() -> None:
    stage = quoting(share=0.55)
    stage.fill(stage.of(Side.SELL)[0].order_id)
    stage.run(10)
    stage.tick(clock=ClockSample(stage.ts, -0.25, 0.1), book_age_s=1.5)
    row = stage.engine.minute_row()
    assert row.ts == stage.ts
    assert (row.state.value, row.reasons, row.regime.value) == ("running", "", "neutral_low_vol")
    assert (row.mid, row.best_bid, row.best_ask) == (PRICE, PRICE - 1, PRICE + 1)
    assert row.equity_quote == stage.state.ledger.equity
    assert row.trading_pnl_quote == stage.state.ledger.trading_pnl
    assert (row.base_balance, row.quote_balance) == (stage.base, stage.quote)
    assert row.base_pct == pytest.approx(stage.base_share())
    assert row.target_base_pct == 0.5
    assert row.spread_pct == pytest.approx(0.007)
    assert row.spread_floor_pct == pytest.approx(2 * (0.001 / 0.35 + 0.0003 + 0.00025))
    assert row.adverse_pct == 0.0003
    assert row.markout_30s_pct == pytest.approx(0.0003)
    assert row.band_pct == 0
    assert row.skew == pytest.approx(0.002 * (stage.base_share() - 0.5) / 0.35)
    assert row.skew is not None
    assert row.quote_margin_pct == pytest.approx(0.0035 - row.skew - 0.00155)
    assert row.turnover_x == pytest.approx(0.01, rel=0.01)
    assert row.fees_quote == stage.state.ledger.fees_total
    assert row.fills_count == 1
    assert row.orders_active == 8
    assert row.oldest_order_age_s == 11
    assert row.book_age_s == 1.5
    assert row.clock_skew_s == -0.25


def test_what_is_not_known_is_empty_and_never_zero() -> None:
    stage = Stage(bars=0)
    stage.tick(bid=None, base_total=None, clock=None)
    row = stage.engine.minute_row()
    for name in (
        "mid", "best_bid", "equity_quote", "trading_pnl_quote", "base_balance", "base_pct", "spread_pct",
        "spread_floor_pct", "quote_margin_pct", "adverse_pct", "band_pct", "skew", "oldest_order_age_s",
        "clock_skew_s",
    ):  # fmt: skip
        assert getattr(row, name) is None, name
    assert row.reasons == "price_sanity;balances;bars"
    assert row.target_base_pct == 0.5


def test_the_margin_is_that_of_the_nearest_quote() -> None:
    """Of the side that trades, while only one does."""
    stage = Stage(share=0.9)
    stage.tick()
    row = stage.engine.minute_row()
    assert row.reasons == "inventory"
    inner = float(stage.of(Side.SELL)[0].price) / PRICE - 1
    assert row.quote_margin_pct == pytest.approx(inner - 0.00155, abs=1e-6)


def test_cancels_and_reasons_are_counted() -> None:
    stage = quoting()
    stage.tick(book_age_s=99.0)
    row = stage.engine.minute_row()
    assert row.cancels_per_min == 8
    assert row.reasons == "feed"
    assert row.orders_active == 8
    stage.run(61, book_age_s=99.0)
    row = stage.engine.minute_row()
    assert row.cancels_per_min == 0
    assert row.orders_active == 0
    assert row.ts == NOON + 63
