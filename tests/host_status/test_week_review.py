"""The review of a week: what it says of the figures, and what it asks to be done."""

from __future__ import annotations

import importlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC).timestamp()

CALM: dict[str, dict[str, float]] = {
    "uptime": {"hbot-bot1": 1.0, "hbot-bot1-exchange": 0.999},
    "restarts": {"hbot-bot1": 0.0},
    "fills_a_day": {"bot1": 40.0},
    "fills_last_day": {"bot1": 35.0},
    "errors": {"bot1": 0.0},
    "network_errors": {"bot1": 0.0},
    "known_s": {"": 7 * 86400.0},
    "latency_mean": {"": 0.12},
    "latency_worst": {"": 0.6},
    "cpu_mean": {"": 0.21},
    "cpu_worst": {"": 0.7},
    "memory_mean": {"": 0.5},
    "memory_worst": {"": 0.6},
    "disk_used": {"/": 0.31},
    "disk_growth": {"/": 50e6},
    "disk_free": {"/": 30e9},
    "backup_succeeded": {"bot1": NOW - 8 * 3600},
    "backup_drill": {"": NOW - 9 * 86400},
    "backup_drill_good": {"": 1.0},
    "alerts": {},
}


@pytest.fixture(scope="module")
def review(importable_collection: None) -> Any:
    """The program."""
    return importlib.import_module("host_status.review")


@pytest.fixture(scope="module")
def reading_of(review: Any) -> Any:
    """A week in which nothing asks for action, but for what is given."""
    week_reading = importlib.import_module("host_status.week_reading")
    week = week_reading.Week(7, 12.5, 9.25, 3.1, 280, 0.004)

    def make(answers: dict[str, dict[str, float]] | None = None, **changes: Any) -> Any:
        usual = {
            "now": NOW, "answers": CALM if answers is None else CALM | answers, "bots": {"bot1": week}, "banned": 2,
            "banned_in_all": 31, "clock_synchronised": True, "clock_is_anothers": False,
        }  # fmt: skip
        return week_reading.Reading(**(usual | changes))

    return make


def test_a_calm_week_asks_for_nothing(review: Any, reading_of: Any) -> None:
    reading = reading_of()
    assert review.faults(reading) == []
    text = "\n".join(review.lines(reading))
    figures = ["+12.50", "+9.25", "280", "0.40%", "99.95%", "99.90% (hbot-bot1-exchange)", "120 ms", "600 ms", "21%"]
    for expected in [*figures, "31% (/)", "2 banned now", "full in 600 days", "read back 8 h ago", "none in the week"]:
        assert expected in text


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"uptime": {"hbot-bot1": 0.99}}, "hbot-bot1 ran 99.00% of the week"),
        ({"restarts": {"hbot-bot1": 2.0}}, "hbot-bot1 2 times"),
        ({"fills_last_day": {"bot1": 3.0}}, "fills of bot1 dropped"),
        ({"fills_last_day": {}}, "fills of bot1 dropped"),
        ({"latency_worst": {"": 2.4}}, "took 2.4 s"),
        ({"cpu_mean": {"": 0.83}}, "host CPU was 83%"),
        ({"memory_mean": {"": 0.9}}, "host memory was 90%"),
        ({"disk_used": {"/": 0.84}}, "/ is 84% full"),
        ({"disk_growth": {"/": 2e9}}, "full in 15 days"),
        ({"network_errors": {"bot1": 3.0}}, "network errors: bot1 3"),
        ({"errors": {"bot1": 4.0}}, "bot1 logged 4 errors"),
        ({"backup_succeeded": {"bot1": NOW - 50 * 3600}}, "bot1 was last backed up 2 d ago"),
        ({"backup_succeeded": {}}, "no backup was ever made"),
        ({"backup_drill_good": {"": 0.0}}, "restore drill failed"),
        ({"backup_drill": {"": NOW - 40 * 86400}}, "restore drill is 40 d old"),
    ],
)
def test_what_is_beyond_its_threshold_is_to_do(
    review: Any, reading_of: Any, answers: dict[str, dict[str, float]], said: str
) -> None:
    (fault,) = review.faults(reading_of(answers))
    assert said in fault


def test_figures_just_within_their_thresholds_ask_for_nothing(review: Any, reading_of: Any) -> None:
    within = {
        "uptime": {"hbot-bot1": 0.995}, "fills_last_day": {"bot1": 12.0}, "latency_worst": {"": 2.0},
        "cpu_mean": {"": 0.80}, "memory_mean": {"": 0.85}, "disk_used": {"/": 0.80}, "network_errors": {"bot1": 0.4},
    }  # fmt: skip
    assert review.faults(reading_of(within)) == []


def test_a_first_days_figures_are_no_trend(review: Any, reading_of: Any) -> None:
    """Installing everything fills a processor and a disk; that is no reason for a larger machine."""
    first_hour = {"known_s": {"": 3600.0}, "cpu_mean": {"": 1.0}, "memory_mean": {"": 0.9}, "disk_growth": {"/": 90e9}}
    reading = reading_of(first_hour)
    assert review.faults(reading) == []
    assert "no trend yet" in "\n".join(review.lines(reading))


def test_few_fills_are_no_rate_that_could_drop(review: Any, reading_of: Any) -> None:
    assert review.faults(reading_of({"fills_a_day": {"bot1": 2.0}, "fills_last_day": {"bot1": 0.0}})) == []


def test_a_machine_that_tells_nothing_is_told_of(review: Any, reading_of: Any) -> None:
    """Nothing unknown passes for good."""
    reading = reading_of(answers=None)
    blind = type(reading)(NOW, {}, {"bot1": None}, None, None, clock_synchronised=False, clock_is_anothers=False)
    said = "\n".join(review.faults(blind))
    for expected in ("no time server", "fail2ban does not watch sshd", "Prometheus does not answer"):
        assert expected in said
    assert "?" in "\n".join(review.lines(blind))


def test_the_json_says_what_the_table_says(review: Any, reading_of: Any) -> None:
    found = json.loads(review.as_json(reading_of({"errors": {"bot1": 4.0}})))
    assert found["bots"][0] | {"pnl": "+12.50", "errors": "4", "days": "7"} == found["bots"][0]
    assert [metric["name"] for metric in found["key_metrics"]] == [
        "bot uptime", "fill rate", "exchange API latency", "host CPU", "host memory", "disk", "network errors",
    ]  # fmt: skip
    assert len(found["faults"]) == 1


def test_a_week_is_the_last_row_of_each_of_the_seven_days_before_today(review: Any, tmp_path: Path) -> None:
    week_reading = importlib.import_module("host_status.week_reading")
    rows = [
        ("2026-03-02", 100, 9),
        ("2026-03-03", 1, 1),
        ("2026-03-09", 5, 3),
        ("2026-03-09", 2, 4),
        ("2026-03-10", 50, 7),
    ]
    header = "day,pnl_quote,trading_pnl_quote,fees_quote,fills_count,max_drawdown_pct"
    book = [header, *(f"{day},{pnl},{pnl / 2},0.5,{fills},0.01" for day, pnl, fills in rows), "2026-03-08,9"]
    (tmp_path / "daily.csv").write_text("\r\n".join(book))
    week = week_reading.week(tmp_path, datetime.fromtimestamp(NOW, tz=UTC))
    assert (week.days, week.pnl, week.trading_pnl, week.fees, week.fills) == (2, 3.0, 1.5, 1.0, 5)
    assert week_reading.week(tmp_path / "none", datetime.fromtimestamp(NOW, tz=UTC)) is None


def test_bans_are_read_from_fail2bans_own_words(review: Any) -> None:
    week_reading = importlib.import_module("host_status.week_reading")
    said = "Status for the jail: sshd\n|- Filter\n`- Actions\n   |- Currently banned:\t2\n   |- Total banned:\t31\n"
    assert week_reading.bans(said) == (2, 31)
    assert week_reading.bans("") == (None, None)
