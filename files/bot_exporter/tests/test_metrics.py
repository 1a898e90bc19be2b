"""What a scrape says of a bot: units, states, what is not known, and what came since the last one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bot_exporter.tests.fleet import Fleet
from bot_exporter.week import Report


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    """One bot, bot1."""
    fleet = Fleet(tmp_path)
    fleet.add("bot1")
    return fleet


def test_the_last_minute_row_is_shown_in_the_units_that_the_names_say(fleet: Fleet) -> None:
    assert fleet.value("hbot_bot_equity_quote", bot="bot1") == 5010
    assert fleet.value("hbot_bot_spread_ratio", bot="bot1") == 0.007
    assert fleet.value("hbot_bot_tick_seconds", bot="bot1") == 0.0025
    assert fleet.value("hbot_bot_snapshot_age_seconds", bot="bot1") == 30
    assert fleet.value("hbot_bot_state", bot="bot1", state="running") == 1
    assert fleet.value("hbot_bot_state", bot="bot1", state="hard_stop") == 0


def test_every_metric_of_a_bot_has_the_four_labels(fleet: Fleet) -> None:
    for name, samples in fleet.samples().items():
        assert name.startswith("hbot_bot_")
        for labels in samples:
            known = dict(labels)
            assert {known["bot"], known["variant"], known["mode"], known["pair"]} == {"bot1", "a", "paper", "BTC-USDT"}


def test_a_cell_that_is_empty_has_no_sample(fleet: Fleet) -> None:
    fleet.minute("bot1", mid="", state="soft_pause", reasons="start_sweep;bars")
    assert fleet.value("hbot_bot_mid_price_quote", bot="bot1") is None
    assert fleet.value("hbot_bot_equity_quote", bot="bot1") == 5010
    assert fleet.value("hbot_bot_reason", bot="bot1", reason="bars") == 1


@pytest.mark.parametrize("cell", ["NaN", "inf", "much"])
def test_a_cell_that_is_no_number_has_no_sample(fleet: Fleet, cell: str) -> None:
    fleet.minute("bot1", equity_quote=cell)
    assert fleet.value("hbot_bot_equity_quote", bot="bot1") is None
    assert fleet.value("hbot_bot_mid_price_quote", bot="bot1") == 50000


def test_the_days_pnl_is_reckoned_from_the_days_open_in_the_state_file(fleet: Fleet) -> None:
    assert fleet.value("hbot_bot_day_pnl_quote", bot="bot1") == 10
    assert fleet.value("hbot_bot_day_pnl_ratio", bot="bot1") == 0.002
    assert fleet.value("hbot_bot_day_trading_pnl_quote", bot="bot1") == 3


def test_fills_add_up_from_scrape_to_scrape(fleet: Fleet) -> None:
    assert fleet.value("hbot_bot_fills_total", bot="bot1", side="buy", liquidity="maker") == 1
    fleet.fill("bot1", side="sell", is_maker="false", price="50100", notional_quote="50.1", fee_quote="0.0501")
    assert fleet.value("hbot_bot_fills_total", bot="bot1", side="buy", liquidity="maker") == 1
    assert fleet.value("hbot_bot_fills_total", bot="bot1", side="sell", liquidity="taker") == 1
    assert fleet.value("hbot_bot_fees_quote_total", bot="bot1") == 0.1001
    assert fleet.value("hbot_bot_last_fill_price_quote", bot="bot1", side="sell") == 50100


def test_a_fill_that_is_being_written_counts_when_it_is_whole(fleet: Fleet) -> None:
    book = fleet.books("bot1") / "fills.csv"
    fleet.fill("bot1")
    whole = book.read_bytes()
    book.write_bytes(whole[:-20])
    assert fleet.value("hbot_bot_fills_total", bot="bot1", side="buy", liquidity="maker") == 1
    with book.open("ab") as file:
        file.write(whole[-20:])
    assert fleet.value("hbot_bot_fills_total", bot="bot1", side="buy", liquidity="maker") == 2
    assert fleet.value("hbot_bot_file_readable", bot="bot1", file="fills") == 1


def test_a_book_that_was_rotated_begins_anew(fleet: Fleet) -> None:
    fleet.fill("bot1")
    assert fleet.value("hbot_bot_fills_total", bot="bot1", side="buy", liquidity="maker") == 2
    book = fleet.books("bot1") / "fills.csv"
    header = book.read_text().splitlines()[0]
    book.rename(book.with_name("fills.old.csv"))
    book.write_text(header + "\n")
    fleet.fill("bot1")
    assert fleet.value("hbot_bot_fills_total", bot="bot1", side="buy", liquidity="maker") == 1


def test_log_lines_are_counted_by_level_from_now_on(fleet: Fleet) -> None:
    log = fleet.log("bot1")
    log.write_text(log.read_text() + "2026-03-08 00:00:00,002 - 7 - hummingbot.core - ERROR - before\n")
    assert fleet.value("hbot_bot_log_lines_total", bot="bot1", level="error") == 0
    with log.open("a") as file:
        file.write("2026-03-08 00:00:01,002 - 7 - hummingbot.core - ERROR - after\nTraceback - ERROR - no line\n")
        file.write("2026-03-08 00:00:01,003 - 7 - hummingbot.connector - NETWORK - Error getting server time.\n")
    assert fleet.value("hbot_bot_log_lines_total", bot="bot1", level="error") == 1
    assert fleet.value("hbot_bot_network_errors_total", bot="bot1") == 1


def test_the_log_that_midnight_began_is_read_from_its_start(fleet: Fleet) -> None:
    fleet.samples()
    log = fleet.log("bot1")
    log.rename(log.with_name("logs_bot.log.2026-03-08"))
    log.write_text("2026-03-09 00:00:01,002 - 7 - hummingbot.core - WARNING - new\n")
    assert fleet.value("hbot_bot_log_lines_total", bot="bot1", level="warning") == 1


def test_ages_say_since_when_a_file_stands_still(fleet: Fleet) -> None:
    for path in (fleet.log("bot1"), fleet.database("bot1"), fleet.books("bot1") / "minute.csv"):
        os.utime(path, (fleet.now - 600, fleet.now - 600))
    assert fleet.value("hbot_bot_log_age_seconds", bot="bot1") == 600
    assert fleet.value("hbot_bot_database_age_seconds", bot="bot1") == 600
    assert fleet.value("hbot_bot_csv_age_seconds", bot="bot1", book="minute") == 600
    assert fleet.value("hbot_bot_database_trades", bot="bot1") == 1


def test_the_weeks_figures_are_the_reports(fleet: Fleet) -> None:
    figures = {
        "ratios": {"fees_to_gross": 0.37, "profit_factor": "Infinity"},
        "edge": {"30s": 0.0004},
        "round_trips": 120,
        "cancel_failures": 0,
        "balance_mismatches": 1,
        "state_seconds": {"running": 600000.0, "not_running": 4800.0},
        "days": 7.0,
    }
    fleet.reports["bot1"] = Report(fleet.now - 60, figures)
    assert fleet.value("hbot_bot_week_fees_to_gross_ratio", bot="bot1") == 0.37
    assert fleet.value("hbot_bot_week_profit_factor", bot="bot1") == float("inf")
    assert fleet.value("hbot_bot_week_realised_edge_ratio", bot="bot1", horizon="30s") == 0.0004
    assert fleet.value("hbot_bot_week_state_seconds", bot="bot1", state="not_running") == 4800
    assert fleet.value("hbot_bot_week_report_age_seconds", bot="bot1") == 60


def test_books_that_the_report_refuses_are_said(fleet: Fleet) -> None:
    fleet.reports["bot1"] = Report(fleet.now, None, "minute.csv: line 3: mid 'x' is not a number")
    assert fleet.value("hbot_bot_week_report_ok", bot="bot1") == 0


def test_a_bot_of_another_strategy_is_known_by_its_log_and_database(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    fleet.add("grid", strategy="other")
    assert fleet.value("hbot_bot_database_trades", bot="grid") == 1
    assert fleet.value("hbot_bot_equity_quote", bot="grid") is None
    assert fleet.value("hbot_bot_container_expected", bot="grid", name="hbot-grid") == 1


def test_a_bot_that_is_not_enabled_is_expected_nowhere(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    fleet.add("bot1", enabled=False)
    assert fleet.value("hbot_bot_container_expected", bot="bot1", name="hbot-bot1") == 0


def test_a_bot_that_left_is_gone_with_the_next_scrape(fleet: Fleet) -> None:
    fleet.add("bot2")
    assert fleet.value("hbot_bot_equity_quote", bot="bot2") == 5010
    (fleet.targets / "bot2.json").unlink()
    assert fleet.value("hbot_bot_equity_quote", bot="bot2") is None
    assert fleet.exporter.bot("bot2") is None
