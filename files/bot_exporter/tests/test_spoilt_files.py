"""Whatever one bot's files hold, the exporter answers at once, says so, and every other bot's metrics are whole."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from bot_exporter.database import Database
from bot_exporter.tests.fleet import Fleet

FILES: dict[str, Callable[[Fleet], Path]] = {
    "minute": lambda fleet: fleet.books("bot1") / "minute.csv",
    "fills": lambda fleet: fleet.books("bot1") / "fills.csv",
    "state": lambda fleet: fleet.state("bot1"),
    "log": lambda fleet: fleet.log("bot1"),
    "database": lambda fleet: fleet.database("bot1"),
}


def gone(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def noise(path: Path) -> None:
    path.write_bytes(os.urandom(5000) + b"\n")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def torn(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 3])


SPOILERS = [gone, empty, noise, pipe, link, directory, torn]
STILL_READABLE = {("log", name) for name in ("empty", "noise", "torn")}
"""A log has no form that it could fail."""


@pytest.mark.parametrize("spoil", SPOILERS)
@pytest.mark.parametrize("file", FILES)
def test_one_spoilt_file_is_said_and_costs_no_other_bot_a_sample(
    tmp_path: Path, file: str, spoil: Callable[[Path], None]
) -> None:
    fleet = Fleet(tmp_path)
    fleet.add("bot1")
    fleet.add("bot2")
    before = fleet.samples()
    fleet.now += 61
    spoil(FILES[file](fleet))
    after = fleet.samples()
    assert {name: len([key for key in of if ("bot", "bot2") in key]) for name, of in after.items()} == {
        name: len([key for key in of if ("bot", "bot2") in key]) for name, of in before.items() if name in after
    }
    if (file, spoil.__name__) not in STILL_READABLE:
        assert fleet.value("hbot_bot_file_readable", bot="bot1", file=file) == 0
    assert fleet.value("hbot_bot_file_readable", bot="bot2", file=file) == 1


def test_a_bot_that_left_nothing_yet_is_there_all_the_same(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    fleet.add("bot1")
    shutil.rmtree(fleet.root / "data" / "bot1")
    assert fleet.value("hbot_bot_enabled", bot="bot1") == 1
    for file in FILES:
        assert fleet.value("hbot_bot_file_readable", bot="bot1", file=file) == 0


def test_a_torn_last_row_leaves_the_row_before_it(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    fleet.add("bot1")
    with (fleet.books("bot1") / "minute.csv").open("a") as book:
        book.write("2026-03-08T00:00:30.000Z,bot1,a,pap")
    assert fleet.value("hbot_bot_equity_quote", bot="bot1") == 5010


def test_a_row_torn_by_a_crash_and_followed_by_whole_ones_is_passed_over(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    fleet.add("bot1")
    with (fleet.books("bot1") / "minute.csv").open("a") as book:
        book.write('2026-03-08T00:00:30.000Z,bot1,"a,pap\n')
    assert fleet.value("hbot_bot_equity_quote", bot="bot1") == 5010


@pytest.mark.parametrize("registration", ["", "{}", "[]", '[{"labels": {"bot": "bot2"}}]', "\0\0"])
def test_a_registration_that_is_none_is_counted(tmp_path: Path, registration: str) -> None:
    fleet = Fleet(tmp_path)
    fleet.add("bot1")
    (fleet.targets / "bot2.json").write_text(registration)
    own = {family.name: family.samples[0].value for family in fleet.exporter.itself()}
    assert own == {"hbot_exporter_bots": 1, "hbot_exporter_faulty_registrations": 1}
    assert fleet.value("hbot_bot_equity_quote", bot="bot1") == 5010


def test_a_database_that_a_bot_holds_locked_is_read_without_waiting(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    fleet.add("bot1")
    writer = sqlite3.connect(fleet.database("bot1"), isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    started = time.perf_counter()
    assert fleet.value("hbot_bot_database_trades", bot="bot1") == 1
    assert time.perf_counter() - started < 4, "SQLite's own patience is 5 s"
    writer.close()


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_a_writing_bot_never_waits_for_the_exporter(tmp_path: Path, journal: str) -> None:
    """The bot asks for its locks without any patience; the exporter reads as fast as it can."""
    path = tmp_path / "bot.sqlite"
    writer = sqlite3.connect(path, isolation_level=None, timeout=0)
    writer.execute(f"PRAGMA journal_mode={journal}")
    writer.execute("CREATE TABLE TradeFill (exchange_trade_id TEXT PRIMARY KEY, data BLOB)")
    ends = threading.Event()
    read = [0]

    def scrape() -> None:
        while not ends.is_set():
            Database().read(path, 0.0)
            read[0] += 1

    reader = threading.Thread(target=scrape)
    reader.start()
    began = time.monotonic()
    number = 0
    while (passed := time.monotonic() - began) < 3 or (min(number, read[0]) <= 50 and passed < 60):
        writer.execute("INSERT INTO TradeFill VALUES (?, ?)", (str(number), os.urandom(500)))  # raises when locked
        number += 1
    ends.set()
    reader.join()
    assert writer.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert writer.execute("SELECT count(*) FROM TradeFill").fetchone() == (number,)
    assert min(number, read[0]) > 50
    writer.close()
