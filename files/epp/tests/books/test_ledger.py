"""A fill is in the book once, whatever dies when."""

import errno
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from epp.books.columns import DAILY, FILLS, MINUTE
from epp.books.csv_book import Value, read_rows
from epp.books.ledger import Ledger, Provenance
from epp.books.requests import RequestBox

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PROVENANCE = Provenance("bot1", "a", "paper", "recorded", 10.0, "s" * 16, "c" * 16)
COMMON: dict[str, Value] = {"exchange": "bitget", "trading_pair": "BTC-USDT"}
OWN = {"ts", "instance", "variant", "mode", "market_source", "speed", "strategy_hash", "config_hash", *COMMON}


def ledger(root: Path, provenance: Provenance = PROVENANCE) -> Ledger:
    return Ledger(root / "logs", root / "data", provenance, COMMON, NOW)


def cells(columns: tuple[str, ...], **given: Value) -> Mapping[str, Value]:
    return {column: None for column in columns if column not in OWN} | given


def ids(root: Path) -> list[str]:
    return [row["trade_id"] for row in read_rows(root / "logs/epp_v24/bot1_a/fills.csv")]


def test_the_three_books_begin_with_their_headers_only(tmp_path: Path) -> None:
    ledger(tmp_path).close()
    directory = tmp_path / "logs/epp_v24/bot1_a"
    for name, columns in (("fills", FILLS), ("minute", MINUTE), ("daily", DAILY)):
        assert (directory / f"{name}.csv").read_text() == ",".join(columns) + "\n"  # universal newlines


def test_every_row_says_where_it_comes_from(tmp_path: Path) -> None:
    books = ledger(tmp_path)
    books.book_fill(0.5, "7", cells(FILLS, trade_id="7", side="buy"))
    books.write_minute(60.0, cells(MINUTE, state="running"))
    books.write_day(86400.0, "1970-01-01", {k: v for k, v in cells(DAILY).items() if k != "day"})
    books.close()
    for name in ("fills", "minute", "daily"):
        (row,) = read_rows(tmp_path / f"logs/epp_v24/bot1_a/{name}.csv")
        assert row["instance"] == "bot1"
        assert row["mode"] == "paper"
        assert row["market_source"] == "recorded"
        assert row["speed"] == "10"
        assert row["strategy_hash"] == "s" * 16
        assert row["config_hash"] == "c" * 16
        assert row["exchange"] == "bitget"
        assert row["ts"].endswith("Z")


def test_a_fill_is_written_once_even_over_restarts(tmp_path: Path) -> None:
    books = ledger(tmp_path)
    assert books.book_fill(1, "7", cells(FILLS, trade_id="7"))
    assert not books.book_fill(1, "7", cells(FILLS, trade_id="7"))
    # kill -9 here: the state file never heard of it
    again = ledger(tmp_path)
    assert again.load_state().body is None
    assert again.fills_written == 1
    assert not again.book_fill(1, "7", cells(FILLS, trade_id="7"))
    assert again.book_fill(2, "8", cells(FILLS, trade_id="8"))
    assert ids(tmp_path) == ["7", "8"]


def test_a_row_torn_by_a_crash_is_written_again(tmp_path: Path) -> None:
    books = ledger(tmp_path)
    books.book_fill(1, "7", cells(FILLS, trade_id="7"))
    books.book_fill(2, "8", cells(FILLS, trade_id="8"))
    path = books.fills.path
    path.write_bytes(path.read_bytes()[:-5])
    again = ledger(tmp_path)
    assert again.fills_written == 1
    assert again.book_fill(2, "8", cells(FILLS, trade_id="8"))
    assert ids(tmp_path) == ["7", "8"]


def test_paper_and_live_fills_are_not_mistaken_for_each_other(tmp_path: Path) -> None:
    ledger(tmp_path).book_fill(1, "7", cells(FILLS, trade_id="7"))
    live = ledger(tmp_path, Provenance("bot1", "a", "live", "exchange", 1.0, "", ""))
    assert live.fills_written == 0
    assert live.book_fill(1, "7", cells(FILLS, trade_id="7"))


def test_fills_in_a_book_moved_aside_still_count(tmp_path: Path) -> None:
    books = ledger(tmp_path)
    books.book_fill(1, "7", cells(FILLS, trade_id="7"))
    path = books.fills.path
    path.write_text(path.read_text().replace(",state\n", ",state_of_old\n"))
    again = ledger(tmp_path)
    assert len(again.repairs) == 1
    assert not again.book_fill(1, "7", cells(FILLS, trade_id="7"))
    assert ids(tmp_path) == []


def test_a_full_disk_loses_no_row_and_lets_no_state_run_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    books = ledger(tmp_path)
    books.save_state({"fills": 0})
    with monkeypatch.context() as full:

        def refuse(_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        full.setattr(books.fills, "append", refuse)
        with pytest.raises(OSError, match="No space"):
            books.book_fill(1, "7", cells(FILLS, trade_id="7"))
        with pytest.raises(OSError, match="No space"):
            books.save_state({"fills": 1})
    assert ledger(tmp_path).load_state().body == {"fills": 0}
    books.save_state({"fills": 1})
    assert ids(tmp_path) == ["7"]


def test_a_day_that_ended_is_written_once(tmp_path: Path) -> None:
    row = {k: v for k, v in cells(DAILY).items() if k != "day"}
    books = ledger(tmp_path)
    books.write_day(80000.0, "1970-01-01", row)  # a clean stop within the day
    books.write_day(86401.0, "1970-01-01", row)
    books.write_day(86402.0, "1970-01-01", row)
    again = ledger(tmp_path)
    again.write_day(86403.0, "1970-01-01", row)
    again.write_day(2 * 86400.0, "1970-01-02", row)
    days = [(r["day"], r["ts"][:10]) for r in again.days.rows()]
    assert days == [("1970-01-01", "1970-01-01"), ("1970-01-01", "1970-01-02"), ("1970-01-02", "1970-01-03")]


def test_the_kill_file(tmp_path: Path) -> None:
    books = ledger(tmp_path)
    assert not books.killed
    (tmp_path / "data/epp_v24/bot1_a/kill").touch()
    assert books.killed


def test_requests_are_answered_once(tmp_path: Path) -> None:
    box = RequestBox(tmp_path)
    (tmp_path / "commands/1.json").write_text('{"action": "transfer", "reason": "deposit", "quote": "100.5"}')
    (tmp_path / "commands/2.json").write_text('{"action": "sell everything", "reason": "x"}')
    (tmp_path / "commands/3.json").write_text('{"action": "reset"}')
    (request,) = box.pending()
    assert (request.action, request.reason, str(request.quote)) == ("transfer", "deposit", "100.5")
    box.answer(request, "done")
    assert box.pending() == []
    answers = {path.name: json.loads(path.read_text())["answer"] for path in (tmp_path / "commands/answered").iterdir()}
    assert answers["1.json"] == "done"
    assert "not one of pause, resume, reset, transfer" in answers["2.json"]
    assert answers["3.json"] == "refused: a reason is required"
