"""Hummingbot's database: how old, how large, and how many trades it holds.

It is opened ``immutable``: SQLite then takes no lock at all, so that a bot never waits for a scrape. What is read while
the bot writes may be torn; then the count of before stands, and the next scrape reads again.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from .reading import status

LEAST_S = 60.0
"""A count costs a pass over an index; once a minute is enough."""


@dataclass
class Database:
    """One database file, as it was last read."""

    trades: int | None = None
    readable: bool = True
    _seen: tuple[int, int, int] | None = None
    _counted: float = float("-inf")

    def read(self, path: Path, now: float) -> None:
        """Count the trades, if the file changed and the last count is a minute old."""
        info = status(path)
        if info is None:
            return
        seen = (info.st_ino, info.st_size, info.st_mtime_ns)
        if seen == self._seen or now - self._counted < LEAST_S:
            return
        self._counted = now
        try:
            connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True, timeout=0)
            try:
                (self.trades,) = connection.execute("SELECT count(*) FROM TradeFill").fetchone()
            finally:
                connection.close()
            self.readable = True
            self._seen = seen
        except sqlite3.Error:
            self.readable = False
