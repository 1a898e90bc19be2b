"""The CSV books of a replay: the bot's own columns and format, written through a buffer.

The live writer flushes every row and survives a crash; a replay that dies is simply run again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from contextlib import ExitStack
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from ..books.columns import DAILY, FILLS, MINUTE, PROVENANCE
from ..books.csv_book import format_timestamp, format_value
from ..core import BookedFill, DayRow, MinuteRow

_BUFFER = 1 << 20
_FIRST = 1 + len(PROVENANCE)


def cell(value: object) -> str:
    """One cell's text: what :func:`..books.csv_book.format_value` writes, by a shorter way for what is common."""
    kind = type(value)
    if kind is float:
        text = f"{value:.10g}"
        if "e" not in text and "n" not in text:
            return text
    elif kind is Decimal:
        text = str(value)
        if "E" not in text and "N" not in text and "I" not in text:
            return text.rstrip("0").rstrip(".") if "." in text else text
    elif value is None:
        return ""
    elif kind is int:
        return str(value)
    elif isinstance(value, StrEnum):
        return value
    return format_value(value)  # type: ignore[arg-type]  # it refuses what it cannot write


class ReplayBooks:
    """fills.csv, minute.csv, daily.csv and events.log of one run.

    Args:
        directory: where they are written; made when missing, and what an earlier replay left there is replaced.
        provenance: cells of the provenance columns, in their order.
        exchange: cell of the column ``exchange``.
        trading_pair: cell of the column ``trading_pair``.
    """

    def __init__(self, directory: Path, provenance: Sequence[str], exchange: str, trading_pair: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._provenance = _quoted(provenance)
        self._market = _quoted((exchange, trading_pair))
        self._cells_of_fill = attrgetter(*FILLS[_FIRST + 2 :])
        self._cells_of_minute = attrgetter(*(name for name in MINUTE[_FIRST + 2 :] if name != "tick_ms"))
        self._cells_of_day = attrgetter(*DAILY[_FIRST + 3 :])
        with ExitStack() as stack:
            self._fills = stack.enter_context(_open(directory / "fills.csv", FILLS))
            self._minutes = stack.enter_context(_open(directory / "minute.csv", MINUTE))
            self._days = stack.enter_context(_open(directory / "daily.csv", DAILY))
            self._events = stack.enter_context(
                (directory / "events.log").open("w", encoding="utf-8", buffering=_BUFFER)
            )
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def fill(self, row: BookedFill) -> None:
        """Write one fill."""
        cells = ",".join(map(cell, self._cells_of_fill(row)))
        self._fills.write(f"{format_timestamp(row.ts)},{self._provenance},{self._market},{cells}\r\n")

    def minute(self, row: MinuteRow) -> None:
        """Write one minute; ``tick_ms`` stays empty, a replay has no tick."""
        cells = ",".join(map(cell, self._cells_of_minute(row)))
        self._minutes.write(f"{format_timestamp(row.ts)},{self._provenance},{self._market},{cells},\r\n")

    def day(self, row: DayRow) -> None:
        """Write one day."""
        cells = ",".join(map(cell, self._cells_of_day(row)))
        self._days.write(f"{format_timestamp(row.ts)},{self._provenance},{row.day},{self._market},{cells}\r\n")

    def event(self, ts: float, code: str, detail: str) -> None:
        """Write one line of the log."""
        self._events.write(f"{format_timestamp(ts)} {code}: {detail}\n")


def _quoted(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()


def _open(path: Path, columns: Sequence[str]) -> IO[str]:
    file = path.open("w", encoding="utf-8", newline="", buffering=_BUFFER)
    file.write(",".join(columns) + "\r\n")
    return file
