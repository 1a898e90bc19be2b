"""One append-only CSV file that survives a crash at any byte.

RFC 4180: commas, CRLF, quotes where needed, one header. A row is flushed when it is written. What a crash can leave
behind, a last row cut short or blocks of zero bytes after a power cut, is cut off when the file is opened again; a file
whose header is not today's is moved aside whole, never rewritten.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO

Value = str | int | float | bool | Decimal | datetime | None
"""What a cell may hold; ``None`` is an empty cell: not known, which is not zero."""

_BLOCK = 65536


@dataclass(frozen=True)
class Repair:
    """What opening a book had to mend, for the log."""

    path: Path
    what: str


def format_value(value: Value) -> str:
    """One cell's text.

    Decimals and floats are written without an exponent, so that every spreadsheet and ``awk`` reads them. A float is a
    measurement, not money: ten digits of it are written, and one that is not a number is an empty cell.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            return ""
        value = Decimal(f"{value:.10g}")
    if isinstance(value, Decimal):
        if not value.is_finite():
            return ""
        text = format(value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    return str(value).replace("\r", " ").replace("\n", " ")  # a row is a line


def format_time(moment: datetime) -> str:
    """UTC, ISO 8601 with milliseconds and a ``Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def format_timestamp(seconds: float) -> str:
    """Seconds since the epoch as :func:`format_time` writes them."""
    return format_time(datetime.fromtimestamp(seconds, tz=UTC))


def _line(cells: Sequence[str]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue().encode("utf-8")


class CsvBook:
    """An open book of fixed columns.

    Args:
        path: the file; its directory is made when missing.
        columns: the header, in order.
        now: the moment of opening (UTC), used in the name of a file moved aside.
    """

    def __init__(self, path: Path, columns: Sequence[str], now: datetime) -> None:
        self.path = path
        self.columns = tuple(columns)
        self.repairs: list[Repair] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        header = _line(self.columns)
        self._cut_torn_tail()
        if self._first_line() not in (b"", header):
            aside = self._free_name(now)
            path.rename(aside)
            self.repairs.append(Repair(path, f"its header is not today's columns: moved aside as {aside.name}"))
        self._file: IO[bytes] = path.open("ab", buffering=0)
        if self._file.tell() == 0:
            self._write(header)
            self.sync()

    def append(self, row: Mapping[str, Value]) -> None:
        """Write one row.

        Raises:
            KeyError: ``row`` has a column the book has not, or lacks one.
            OSError: the disk refused; nothing is kept in memory, and the torn rest is cut off at the next opening.
        """
        if row.keys() != set(self.columns):
            odd = sorted(set(row) ^ set(self.columns))
            raise KeyError(f"{self.path.name}: columns do not match: {', '.join(odd)}")
        self._write(_line([format_value(row[column]) for column in self.columns]))

    def sync(self) -> None:
        """Make what was written survive a power cut."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file; the book cannot be used afterwards."""
        self._file.close()

    def rows(self) -> Iterator[dict[str, str]]:
        """All rows of the present file, oldest first."""
        return read_rows(self.path)

    def _write(self, data: bytes) -> None:
        # One write(2) of a whole row: readers see rows, not halves.
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def _first_line(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                return file.readline()
        except FileNotFoundError:
            return b""

    def _cut_torn_tail(self) -> None:
        """Cut an unfinished last row, and everything from the first zero byte of the last block on."""
        try:
            file = self.path.open("r+b")
        except FileNotFoundError:
            return
        with file:
            size = file.seek(0, os.SEEK_END)
            keep = size
            while keep > 0:
                start = max(0, keep - _BLOCK)
                file.seek(start)
                block = file.read(keep - start)
                zero = block.find(b"\0")
                if zero >= 0:
                    keep = start + zero
                    continue
                newline = block.rfind(b"\n")
                if newline >= 0:
                    keep = start + newline + 1
                    break
                keep = start
            if keep < size:
                file.truncate(keep)
                os.fsync(file.fileno())
                self.repairs.append(Repair(self.path, f"cut {size - keep} bytes of a row torn by a crash"))

    def _free_name(self, now: datetime) -> Path:
        stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        number = 0
        while True:
            suffix = f".{number}" if number else ""
            candidate = self.path.with_name(f"{self.path.stem}.{stamp}{suffix}.csv")
            if not candidate.exists():
                return candidate
            number += 1


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a book by column name; a missing file has none, a last row cut short is left out."""
    try:
        file = path.open(encoding="utf-8", newline="")
    except FileNotFoundError:
        return
    with file:
        reader = csv.reader(file)
        header = next(reader, None)
        if header is None:
            return
        for cells in reader:
            if len(cells) == len(header):
                yield dict(zip(header, cells, strict=True))
