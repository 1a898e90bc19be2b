"""The bot container's healthcheck: is the bot alive and writing its books?

Run as ``python /home/hummingbot/controllers/epp/health.py``; exit code 0 is healthy, 1 is not, and one line says why.
Only the standard library is imported and nothing is asked of the bot itself, so that the check costs a fraction of a
second and works while the engine is busy, latched or parked: a stub, a Bot D and a bot in ``hard_stop`` are healthy
containers.

Healthy means: the engine's process lives; every book of EPP has a row for the last minute or two; books and state can
be written. A bot that runs another script has no EPP books: there a growing log must do.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

MINUTE_ROW_MAX_AGE_S = 150.0
"""A row is written every minute; two missed ones and a slow half minute are a stuck bot."""

LOG_MAX_AGE_S = 600.0
"""Hummingbot's own strategies may say nothing for minutes."""

MIN_FREE_BYTES = 1 << 20

_ENGINE = b"hummingbot.cli.engine"
_EPP_SCRIPT = re.compile(r"^script_file_name:\s*['\"]?epp_v2_4\.py", re.MULTILINE)
_TAIL_BYTES = 16384


class UnwellError(Exception):
    """The bot is not healthy; the message is the reason."""


def engine_is_running(proc: Path) -> bool:
    """Whether any process below ``proc`` (``/proc``) is Hummingbot's engine."""
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if _ENGINE in (entry / "cmdline").read_bytes():
                return True
        except OSError:  # it ended while we looked
            continue
    return False


def newest_row_age(minute_csv: Path, now: float) -> float:
    """Age in seconds of the last complete row of ``minute.csv``.

    Raises:
        UnwellError: there is no readable row.
    """
    try:
        with minute_csv.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            tail = file.read()
    except OSError as error:
        raise UnwellError(f"{minute_csv} cannot be read: {error.strerror}") from error
    complete = tail[: tail.rfind(b"\n") + 1].splitlines()
    for line in reversed(complete):
        stamp = line.split(b",", 1)[0].decode("ascii", "replace").strip('"')
        try:
            moment = datetime.fromisoformat(stamp)
        except ValueError:
            continue
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return now - moment.timestamp()
    raise UnwellError(f"{minute_csv} has no row yet")


def check_writable(directory: Path) -> None:
    """Raise :class:`UnwellError` when ``directory`` cannot take another row."""
    if not os.access(directory, os.W_OK | os.X_OK):
        raise UnwellError(f"{directory} is not writable")
    space = os.statvfs(directory)
    if space.f_bavail * space.f_frsize < MIN_FREE_BYTES:
        raise UnwellError(f"the file system of {directory} is full")


def runs_epp(home: Path) -> bool:
    """Whether a deployed script configuration runs EPP's runner, or EPP has already left books behind."""
    for config in (home / "conf" / "scripts").glob("*.yml"):
        try:
            if _EPP_SCRIPT.search(config.read_text(encoding="utf-8", errors="replace")):
                return True
        except OSError:
            continue
    return False


def check_epp(home: Path, now: float) -> str:
    """Check EPP's books and say how fresh they are."""
    books = sorted((home / "logs" / "epp_v24").glob("*/minute.csv"))
    if not books:
        raise UnwellError(f"no {home}/logs/epp_v24/*/minute.csv: the controller has not started")
    # A directory of an earlier variant stays behind as history: the newest one is the running bot's.
    ages = {book: newest_row_age(book, now) for book in books}
    newest = min(ages, key=lambda book: ages[book])
    if ages[newest] > MINUTE_ROW_MAX_AGE_S:
        raise UnwellError(f"the last row of {newest} is {ages[newest]:.0f} s old (limit {MINUTE_ROW_MAX_AGE_S:.0f} s)")
    check_writable(newest.parent)
    state = home / "data" / "epp_v24" / newest.parent.name
    if state.is_dir():
        check_writable(state)
    return f"last minute row {max(ages[newest], 0.0):.0f} s ago"


def check_log(home: Path, now: float) -> str:
    """Check that a bot without EPP still logs."""
    logs = list((home / "logs").glob("logs_*.log"))
    if not logs:
        raise UnwellError(f"no {home}/logs/logs_*.log: the bot has not started")
    age = now - max(log.stat().st_mtime for log in logs)
    if age > LOG_MAX_AGE_S:
        raise UnwellError(f"nothing was logged for {age:.0f} s (limit {LOG_MAX_AGE_S:.0f} s)")
    check_writable(home / "logs")
    return f"last log line {age:.0f} s ago"


def check(home: Path, proc: Path, now: float) -> str:
    """Check everything and say what was found.

    Raises:
        UnwellError: the bot is not healthy.
    """
    if not engine_is_running(proc):
        raise UnwellError("the engine's process is gone")
    return check_epp(home, now) if runs_epp(home) else check_log(home, now)


def main(arguments: list[str] | None = None) -> int:
    """Print one line and return the exit code."""
    parser = argparse.ArgumentParser(description="healthcheck of a Hummingbot container")
    parser.add_argument("--home", type=Path, default=Path(__file__).resolve().parents[2], help="Hummingbot's directory")
    parser.add_argument("--proc", type=Path, default=Path("/proc"), help="where processes are listed")
    options = parser.parse_args(arguments)
    try:
        said = check(options.home, options.proc, time.time())
    except UnwellError as reason:
        print(f"unhealthy: {reason}")
        return 1
    print(f"healthy: {said}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
