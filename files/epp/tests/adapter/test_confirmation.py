"""A bot for money trades by a mark of the go-live gate, for what runs and while it holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from epp.adapter.confirmation import is_rehearsal, read_confirmation

NOW = 1_800_000_000.0
MARK = {
    "schema": 1,
    "bot": "bot1",
    "strategy_hash": "5" * 16,
    "config_hash": "c" * 16,
    "expires_at": NOW + 1,
    "max_notional_quote": "300.5",
}


def said(tmp_path: Path, mark: dict[str, Any] | str | None) -> tuple[str, float | None]:
    path = tmp_path / "golive.json"
    if mark is not None:
        path.write_text(mark if isinstance(mark, str) else json.dumps(mark))
    found = read_confirmation("bot1", "5" * 16, "c" * 16, NOW, path)
    return found.objection, found.max_notional


def test_a_mark_of_what_runs_lets_it_trade(tmp_path: Path) -> None:
    assert said(tmp_path, MARK) == ("", 300.5)


@pytest.mark.parametrize(
    ("mark", "objection"),
    [
        (None, "No such file"),
        ("{", "no mark of the go-live gate"),
        ("[]", "no mark of the go-live gate"),
        (MARK | {"expires_at": "soon"}, "no mark of the go-live gate"),
        (MARK | {"max_notional_quote": None}, "no mark of the go-live gate"),
        (MARK | {"expires_at": NOW}, "it ended at 2027-01-15 08:00 UTC"),
        (MARK | {"bot": "bot7"}, "something else"),
        (MARK | {"schema": 2}, "something else"),
        (MARK | {"strategy_hash": "f" * 16}, "something else"),
        (MARK | {"config_hash": "f" * 16}, "something else"),
        (json.dumps(MARK | {"expires_at": float("nan")}), "it ended"),
    ],
)
def test_anything_else_stops_it(tmp_path: Path, mark: dict[str, Any] | str | None, objection: str) -> None:
    why, most = said(tmp_path, mark)
    assert objection in why
    assert most == 0.0


@pytest.mark.parametrize(
    ("mark", "rehearses"),
    [
        (None, False),
        ("{", False),
        ("[]", False),
        (MARK, False),
        (MARK | {"profile": "money"}, False),
        (MARK | {"profile": "rehearsal"}, True),
    ],
)
def test_only_a_rehearsals_mark_lets_it_meet_a_paper_exchange(
    tmp_path: Path, mark: dict[str, Any] | str | None, rehearses: bool
) -> None:
    path = tmp_path / "golive.json"
    if mark is not None:
        path.write_text(mark if isinstance(mark, str) else json.dumps(mark))
    assert is_rehearsal(path) is rehearses
