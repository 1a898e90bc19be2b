"""EPP's books as the exporter reads them: the last minute row, and the fills summed up as they come."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from epp.books.columns import DAILY, FILLS, MINUTE

from .reading import Growing, open_regular, status

COLUMNS = {"minute": MINUTE, "fills": FILLS, "daily": DAILY}
_TAIL = 16384
_HEADER = 8192

Row = dict[str, str]


def moment(text: str) -> float | None:
    """A UTC time of the books, in seconds since the epoch."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


def number(row: Row, column: str) -> float | None:
    """A cell as a finite number; ``None`` for an empty one, or one that is none."""
    try:
        value = float(row[column])
    except (KeyError, ValueError):
        return None
    return value if math.isfinite(value) else None


def cells(line: bytes, columns: tuple[str, ...]) -> Row | None:
    """A line as a row; ``None`` when it is torn or is not a row of this book."""
    try:
        values = next(csv.reader([line.decode()], strict=True), [])
    except (csv.Error, UnicodeDecodeError):
        return None
    return dict(zip(columns, values, strict=True)) if len(values) == len(columns) else None


@dataclass
class MinuteBook:
    """The last whole row of minute.csv, read again only when the file changed."""

    _seen: tuple[int, int, int] | None = None
    _row: Row | None = None

    def last(self, path: Path) -> Row | None:
        """The newest row that is whole; ``None`` when there is none, or the file is no minute book.

        Raises:
            OSError: it cannot be read.
        """
        with open_regular(path) as file:
            info = os.fstat(file.fileno())
            seen = (info.st_ino, info.st_size, info.st_mtime_ns)
            if seen != self._seen:
                self._row = self._read(file.read(_HEADER), info.st_size, path)
                self._seen = seen
        return self._row

    @staticmethod
    def _read(head: bytes, size: int, path: Path) -> Row | None:
        header = head.partition(b"\n")[0]
        if header.decode("utf-8", "replace").strip().split(",") != list(MINUTE):
            return None
        with open_regular(path) as file:
            file.seek(max(len(header) + 1, size - _TAIL))
            tail = file.read(_TAIL)
        for line in reversed(tail[: tail.rfind(b"\n") + 1].splitlines()):
            row = cells(line, MINUTE)
            if row is not None and moment(row["ts"]) is not None:
                return row
        return None


@dataclass
class Fills:
    """Sums over fills.csv. They begin anew with another file, as a counter may."""

    count: dict[tuple[str, str], int] = field(default_factory=dict)
    """By side and liquidity (maker or taker)."""
    notional: dict[str, Decimal] = field(default_factory=dict)
    """Traded, in quote, by side."""
    fees: Decimal = Decimal(0)
    """In quote."""
    last_price: dict[str, float] = field(default_factory=dict)
    last_ts: float | None = None
    unreadable: int = 0
    """Rows that are none."""

    def add(self, row: Row) -> None:
        """Sum up one row."""
        try:
            side, maker = row["side"], row["is_maker"]
            notional, fee, price = Decimal(row["notional_quote"]), Decimal(row["fee_quote"]), float(row["price"])
            ts = moment(row["ts"])
        except (ValueError, InvalidOperation):
            self.unreadable += 1
            return
        whole = side in ("buy", "sell") and maker in ("true", "false") and notional.is_finite() and fee.is_finite()
        if not whole or ts is None:
            self.unreadable += 1
            return
        key = (side, "maker" if maker == "true" else "taker")
        self.count[key] = self.count.get(key, 0) + 1
        self.notional[side] = self.notional.get(side, Decimal(0)) + notional
        self.fees += fee
        self.last_price[side] = price
        self.last_ts = ts if self.last_ts is None else max(ts, self.last_ts)


@dataclass
class FillsBook:
    """fills.csv, read on from where the last scrape ended."""

    _growing: Growing = field(default_factory=Growing)
    _fills: Fills = field(default_factory=Fills)
    _header_is_right: bool = True

    def read(self, path: Path) -> Fills | None:
        """The sums so far; ``None`` when the file is no fills book.

        Raises:
            OSError: it cannot be read.
        """
        other, lines = self._growing.new_lines(path)
        if other:
            self._fills = Fills()
            header, lines = (lines[:1], lines[1:])
            self._header_is_right = bool(header) and header[0].decode("utf-8", "replace").split(",") == list(FILLS)
        if not self._header_is_right:
            return None
        for row in self._rows(lines):
            self._fills.add(row)
        return self._fills

    def _rows(self, lines: list[bytes]) -> Iterator[Row]:
        for line in lines:
            row = cells(line, FILLS)
            if row is None:
                self._fills.unreadable += 1
            else:
                yield row


def ages(directory: Path, now: float) -> dict[str, float]:
    """Seconds since each book was last written, by book."""
    found = {book: status(directory / f"{book}.csv") for book in COLUMNS}
    return {book: max(0.0, now - info.st_mtime) for book, info in found.items() if info is not None}
