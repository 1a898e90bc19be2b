"""The record of a kill campaign counts what it may, and no more."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from epp.tests.adapter.kill_record import KillRecord, Round, in_table, row

ONE = Round(1, "2026-11-24T12:00:00+00:00", "3.1 s after the start", True, 8, 2, 10)


def test_an_interrupted_campaign_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "build" / "kills.jsonl"
    KillRecord(path).add(ONE)
    KillRecord(path).add(replace(ONE, number=2))
    assert [one.number for one in KillRecord(path).rounds()] == [1, 2]


def test_rounds_before_a_failure_or_of_other_code_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kills.jsonl"
    KillRecord(path).add(ONE)
    KillRecord(path).fail("a fill is booked twice")
    KillRecord(path).add(replace(ONE, number=2))
    assert [one.number for one in KillRecord(path).rounds()] == [2]
    monkeypatch.setattr("epp.tests.adapter.kill_record.source_hash", lambda: "other")
    assert KillRecord(path).rounds() == []


def test_the_row_adds_up_over_an_interruption() -> None:
    """A new exchange begins with no fill; what the one before had is not forgotten."""
    rounds = [
        replace(ONE, fills=fills, while_starting=starting) for fills, starting in ((10, True), (25, False), (4, True))
    ]
    now = datetime(2026, 11, 24, tzinfo=UTC)
    assert row(rounds, 3, "0123abc", now) == "| 0123abc | 2026-11-24 | 3 | 2 | 24 | 29 | 6 | none |"
    assert row(rounds, 50, "0123abc", now) == "| 0123abc | 2026-11-24 | 3 of 50 | 2 | 24 | 29 | 6 | none so far |"


def test_a_finished_campaign_takes_the_place_of_its_unfinished_row() -> None:
    table, other = (
        "text\n\n| commit | date | kills |\n|---|---|---|\n",
        "\n| commit | date | orders |\n|---|\n| 0123abc | x |\n",
    )
    page = table + "| 0123abc | x | 3 of 50 |\n| 9999fff | x | 50 |\n" + other
    assert in_table(page, "| 0123abc | y | 50 |") == table + "| 0123abc | y | 50 |\n| 9999fff | x | 50 |\n" + other
