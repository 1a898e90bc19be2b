"""EPP's state file: what the day opened with. Read as plain data, whatever schema is behind it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .reading import open_regular

_LARGEST = 16 << 20


@dataclass(frozen=True)
class Day:
    """The open of the running UTC day, in quote. ``None``: not taken yet."""

    equity_open: float | None
    trading_open: float | None


@dataclass
class State:
    """A state file, read again only when it was replaced."""

    _seen: tuple[int, int, int] | None = None
    _day: Day | None = None

    def day(self, path: Path) -> Day | None:
        """The running day; ``None`` when the file is not what EPP writes.

        Raises:
            OSError: it cannot be read.
        """
        with open_regular(path) as file:
            info = os.fstat(file.fileno())
            seen = (info.st_ino, info.st_size, info.st_mtime_ns)
            if seen != self._seen:
                self._day = _day(file.read(_LARGEST))
                self._seen = seen
        return self._day


def _day(data: bytes) -> Day | None:
    try:
        day: dict[str, Any] = json.loads(data)["body"]["engine"]["ledger"]["day"]
        if not day["marked"]:
            return Day(None, None)
        return Day(float(day["equity_open"]), float(day["trading_open"]))
    except (ValueError, KeyError, TypeError):
        return None
