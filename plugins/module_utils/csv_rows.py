"""Rows of the bots' CSV books, read on the VPS from the files' ends."""

from __future__ import annotations

import csv
import os
from pathlib import Path

TAIL_BYTES = 16384
"""A row is less than one kilobyte."""


def last_row(path: Path) -> dict[str, str] | None:
    """The last whole row of a book; ``None`` when there is no book or it has no row yet.

    A row without its line end is still being written (or was torn by a crash), so the one before it counts.
    """
    try:
        with path.open("rb") as book:
            header = book.readline()
            start = book.tell()
            size = book.seek(0, os.SEEK_END)
            book.seek(max(start, size - TAIL_BYTES))
            tail = book.read()
    except OSError:
        return None
    whole = tail[: tail.rfind(b"\n") + 1].splitlines()
    if not whole:
        return None
    columns, row = csv.reader([header.decode("utf-8"), whole[-1].decode("utf-8", "replace")])
    return dict(zip(columns, row))  # noqa: B905 (a torn row is shorter; Python 3.9 has no `strict`)


def count_rows(path: Path) -> int:
    """How many whole rows a book has, its header not counted; none when there is no book."""
    try:
        with path.open("rb") as book:
            return max(0, sum(chunk.count(b"\n") for chunk in iter(lambda: book.read(1 << 20), b"")) - 1)
    except OSError:
        return 0
