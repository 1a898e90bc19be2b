"""What lies about a watchdog on its machine: the bot's heartbeat and journal of order ids, the host's record."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from .facts import Container, ContainerState, Heartbeat


def read_heartbeat(pattern: Path) -> Heartbeat | None:
    """The bot's last sign of life: the newest of the files that the pattern names.

    A file that is no JSON is a log: its time is the sign, and nobody knows what the bot hears.
    """
    newest: Heartbeat | None = None
    for path in pattern.parent.parent.glob(f"{pattern.parent.name}/{pattern.name}"):
        try:
            beat = _read_beat(path)
        except OSError:  # it went away while we looked
            continue
        if newest is None or beat.at > newest.at:
            newest = beat
    return newest


def _read_beat(path: Path) -> Heartbeat:
    if path.suffix != ".json":
        at = path.stat().st_mtime
        return Heartbeat(at, at)
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        return Heartbeat(float(plain["at"]), float(plain["heard"]), frozenset(map(str, plain["orders"])))
    except (ValueError, KeyError, TypeError):
        # Not a heartbeat of ours: what is known is when somebody wrote it.
        at = path.stat().st_mtime
        return Heartbeat(at, at)


def read_container(path: Path) -> Container:
    """The host's record of the bot's container; unknown when there is none."""
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        return Container(ContainerState(plain["state"]), float(plain["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Container()


class OrderJournal:
    """Ids of all orders that the bot ever placed, from Hummingbot's own database.

    Args:
        pattern: names its files.
    """

    def __init__(self, pattern: Path) -> None:
        self._pattern = pattern
        self._known: set[str] = set()
        self._rows: dict[Path, int] = {}

    def ids(self) -> set[str]:
        """All ids so far. What cannot be read just now (the bot is writing) is read the next time."""
        for path in self._pattern.parent.glob(self._pattern.name):
            try:
                with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=0.5)) as database:
                    found = database.execute(
                        'select rowid, id from "Order" where rowid > ?', (self._rows.get(path, 0),)
                    ).fetchall()
            except sqlite3.Error:
                continue
            for row, client_id in found:
                self._rows[path] = max(self._rows.get(path, 0), int(row))
                self._known.add(str(client_id))
        return self._known
