"""The validation figures, against sums done by hand."""

from __future__ import annotations

import json
import math
import tracemalloc
from decimal import Decimal

import pytest
from epp.report import UnavailableError, as_text, figures_of
from epp.report.figures import day_of
from epp.tests.report.made_books import START, BookMaker

D = Decimal


def round_trips(books: BookMaker, count: int, *, gain: str = "101", loss: str = "99.5", losses: int = 0) -> None:
    """Buy one tenth at 100 and sell it again; ``losses`` of them below what was paid. Both legs cost 0.01."""
    for number in range(count):
        books.minute()
        books.fill("buy", "100", "0.1", "0.01", after=20)
        books.fill("sell", loss if number < losses else gain, "0.1", "0.01", after=40)
    books.minute()


def test_profit_factor_and_fee_share_are_of_round_trips_after_both_fees(books: BookMaker) -> None:
    round_trips(books, 100, losses=20)
    figures = figures_of(books.write())
    trips = figures.round_trips
    # A gain is 0.1 - 0.02, a loss 0.05 + 0.02.
    assert (trips.count, trips.gains, trips.losses) == (100, 80, 20)
    assert trips.profit_factor == pytest.approx(80 * 0.08 / (20 * 0.07))
    assert trips.gross_quote == D("7.0")
    assert trips.fees_to_gross == pytest.approx(2 / 7)
    assert trips.net_quote == D("5.0")
    assert figures.versus_holding_quote == D("5.0")
    assert figures.books_agree
    assert trips.median_hold_s == 20


def test_profit_factor_is_not_defined_under_a_hundred_round_trips(books: BookMaker) -> None:
    round_trips(books, 99, losses=1)
    trips = figures_of(books.write()).round_trips
    assert trips.profit_factor is None
    assert "100" in trips.profit_factor_note
    assert trips.profitable_probability is None


def test_profit_factor_without_a_loss_is_infinite_and_says_so_in_json(books: BookMaker) -> None:
    round_trips(books, 100)
    figures = figures_of(books.write())
    assert figures.round_trips.profit_factor == math.inf
    plain = json.loads(json.dumps(figures.as_dict(), allow_nan=False))
    assert plain["round_trips"]["profit_factor"] == "Infinity"
    assert plain["round_trips"]["net_gains_quote"] == "8"


def test_a_gross_that_is_not_positive_fails_the_fee_share(books: BookMaker) -> None:
    round_trips(books, 3, losses=3)
    trips = figures_of(books.write()).round_trips
    assert trips.fees_to_gross is None
    assert "fails" in trips.fees_to_gross_note


def test_trading_drawdown_ignores_what_the_market_does_to_the_inventory(books: BookMaker) -> None:
    for mid in (100, 120, 60, 100):
        books.minute(mid)
    figures = figures_of(books.write())
    assert figures.trading_drawdown_pct == 0
    assert figures.mark_to_market_drawdown_pct == pytest.approx(60 / 220)
    assert figures.versus_holding_quote == 0
    assert figures.holding_quote == 0


def test_trading_drawdown_is_peak_to_trough_over_the_opening_equity(books: BookMaker) -> None:
    books.minute()
    books.fill("buy", "98", "1")
    books.minute()  # two made
    books.fill("buy", "103", "1")
    books.minute()  # three lost
    figures = figures_of(books.write())
    assert figures.trading_drawdown_pct == pytest.approx(3 / 200)
    assert figures.versus_holding_quote == -1


def test_the_window_opens_when_the_inventory_is_first_near_its_target(books: BookMaker) -> None:
    books.quote = D(400)  # 20 % in base
    books.minute()
    books.fill("buy", "100", "1.5")
    books.minute()  # 50 %
    books.fill("buy", "100", "0.1", "0.05")
    books.minute()
    directory = books.write()
    figures = figures_of(directory)
    assert figures.opening_base == D("2.5")
    assert figures.fills == 1
    assert figures.versus_holding_quote == D("-0.05")
    assert figures_of(directory, whole=True).fills == 2


def test_without_a_row_near_the_target_there_are_no_figures(books: BookMaker) -> None:
    books.quote = D(400)
    books.minute()
    with pytest.raises(UnavailableError, match="never opens"):
        figures_of(books.write())


def test_turnover_is_over_the_days_opening_equity_mean_and_worst_day(books: BookMaker) -> None:
    books.minute()
    books.fill("buy", "100", "1")
    books.minute()
    books.ts = START + 86_400
    books.minute()
    books.fill("sell", "100", "1.6")
    books.minute()
    books.day(day_of(START + 86_400), "100")  # after a withdrawal, say
    figures = figures_of(books.write())
    assert [day.turnover_x for day in figures.per_day] == [0.5, 1.6]
    assert figures.turnover_mean_x == pytest.approx(1.05)
    assert (figures.turnover_worst_x, figures.turnover_worst_day) == (1.6, "2022-01-04")
    assert figures.state_seconds["not_running"] == pytest.approx(86_400 - 60)


def test_realised_edge_is_what_the_mid_did_after_the_fill_price(books: BookMaker) -> None:
    books.minute(100)
    books.fill("buy", "99", "1", "0.099", after=30)
    for _ in range(70):
        books.minute(102)
    edges = {edge.horizon_s: edge for edge in figures_of(books.write()).realised_edge}
    # The mid reached 102 thirty seconds after the fill and stayed.
    for horizon in (30, 300, 3600):
        assert edges[horizon].fills == 1
        assert edges[horizon].mean_pct == pytest.approx(102 / 99 - 1)
        assert edges[horizon].mean_after_fee_pct == pytest.approx(102 / 99 - 1 - 0.001)


def test_realised_edge_between_two_rows_is_read_off_the_line(books: BookMaker) -> None:
    books.minute(100)
    books.fill("sell", "100", "1", after=0.001)
    books.minute(102)
    edge = figures_of(books.write()).realised_edge[0]
    assert edge.mean_pct == pytest.approx(-0.01, rel=1e-3)


def test_a_fill_followed_by_a_gap_is_not_measured(books: BookMaker) -> None:
    books.minute()
    books.fill("buy", "99", "1")
    books.ts += 3600
    books.minute()
    assert [edge.fills for edge in figures_of(books.write()).realised_edge] == [0, 0, 0]


def test_states_reasons_cancel_failures_and_balance_mismatches(books: BookMaker) -> None:
    books.minute()
    books.minute(state="soft_pause", reasons="edge")
    books.minute(state="soft_pause", reasons="balances;edge", cancel_fail_streak=2)
    books.minute(cancel_fail_streak=0)
    books.minute(state="soft_pause", reasons="edge", cancel_fail_streak=1)
    books.minute(state="hard_stop", reasons="edge")
    figures = figures_of(books.write())
    assert figures.state_seconds == {"running": 120, "soft_pause": 180}
    assert figures.cancel_failures == 3
    assert figures.balance_mismatches == 1
    edge = figures.pauses[0]
    assert (edge.reason, edge.state, edge.episodes, edge.total_s, edge.longest_s, edge.still_on) == (
        "edge", "hard_stop", 2, 180, 120, True,
    )  # fmt: skip
    assert "still on at the end" in as_text(figures)


def test_bootstrap_resamples_whole_days_and_repeats_itself(books: BookMaker) -> None:
    for day in range(10):
        books.ts = START + day * 86_400
        round_trips(books, 12, losses=12 if day % 3 == 0 else 0)
    directory = books.write()
    trips = figures_of(directory).round_trips
    # Days make 12·0.08 or lose 12·0.07; with k of 10 bad ones the sum is positive while k is at most 5.
    good = sum(math.comb(10, k) * 0.4**k * 0.6 ** (10 - k) for k in range(6))
    assert trips.profitable_probability == pytest.approx(good, abs=0.03)
    assert figures_of(directory).round_trips == trips
    assert "seed" in trips.profitable_probability_note


def test_a_mixture_of_configurations_is_called_one(books: BookMaker) -> None:
    books.minute()
    books.minute(config_hash="d" * 16)
    figures = figures_of(books.write())
    assert figures.provenance["config_hash"] == ("c" * 16, "d" * 16)
    assert "MIXED" in as_text(figures)


def test_books_that_contradict_each_other_are_called_so(books: BookMaker) -> None:
    books.minute()
    books.fill("buy", "90", "1")
    books.minute(trading_pnl_quote=0)
    figures = figures_of(books.write())
    assert not figures.books_agree
    assert figures.trading_pnl_from_fills_quote == 10


def test_a_clock_stepped_back_counts_no_time_twice(books: BookMaker) -> None:
    books.minute()
    books.minute()
    books.ts -= 90
    books.minute()
    books.minute()
    assert sum(figures_of(books.write()).state_seconds.values()) == pytest.approx(90)


def test_from_and_to_cut_the_window(books: BookMaker) -> None:
    round_trips(books, 10)
    directory = books.write()
    figures = figures_of(directory, begin=START + 120, end=START + 300)
    assert figures.fills == 6
    assert figures.minutes == 3


def test_memory_does_not_grow_with_the_books(books: BookMaker) -> None:
    def peak() -> int:
        directory = books.write()
        tracemalloc.start()
        figures_of(directory, resamples=10)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    round_trips(books, 600)
    peak()  # what is made once, whatever the books
    short = peak()
    round_trips(books, 6000)
    assert peak() < 2 * short, "eleven times the books"
