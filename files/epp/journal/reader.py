"""Reads a journal's segments, strictly; only what a crash leaves at a file's end is forgiven, and said."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from pydantic import ValidationError

from .entries import SCHEMA, Decoder, Head, PlainCall
from .writer import JOURNAL, segments


class JournalError(Exception):
    """The journal cannot be used; the message names file and line."""


def find_segments(path: Path) -> list[Path]:
    """The segments of a journal's directory, of a bot's books, or the one that is named; oldest first.

    Raises:
        JournalError: there is none.
    """
    if path.is_dir():
        found = segments(path) or segments(path / JOURNAL)
        if not found:
            raise JournalError(
                f"{path}: no journal here (*.jsonl, *.jsonl.gz): name a bot's books or its journal; journal_max_mb 0 "
                "keeps none"
            )
        return found
    if not path.exists():
        raise JournalError(f"{path}: is not there")
    return [path]


def name_of(path: Path) -> str:
    """A segment's name, compressed or not."""
    return path.name.removesuffix(".gz").removesuffix(".jsonl")


class Segment:
    """One file.

    Args:
        path: the file.

    Raises:
        JournalError: its first line is not a head that this version reads.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = name_of(path)
        self.cut = ""
        """What a crash did to the end of the file, known once all calls were read."""
        with self._open() as file:
            line = self._next(file, 1)
        if line is None:
            raise JournalError(f"{path}: line 1: there is no head: a crash came before it was written")
        try:
            plain = json.loads(line)
            if isinstance(plain, dict) and "journal" in plain and plain["journal"] != SCHEMA:
                raise JournalError(f"{path}: line 1: schema {plain['journal']!r}; this program reads {SCHEMA}")
            self.head = Head.model_validate(plain)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise JournalError(f"{path}: line 1: not a journal's head: {where}: {first['msg']}") from error
        except ValueError as error:
            raise JournalError(f"{path}: line 1: not a journal's head: {error}") from error

    def calls(self) -> Iterator[PlainCall]:
        """All calls, in order.

        Raises:
            JournalError: a line is malformed or missing.
        """
        self.cut = ""
        decoder = Decoder()
        with self._open() as file:
            self._next(file, 1)
            number = 1
            while True:
                number += 1
                line = self._next(file, number)
                if line is None:
                    return
                try:
                    yield decoder.read(json.loads(line))
                except ValueError as error:
                    raise JournalError(f"{self.path}: line {number}: {error}") from error

    def _open(self) -> BinaryIO:
        try:
            # Typeshed's GzipFile is no BinaryIO, though it reads like one.
            return cast(BinaryIO, gzip.open(self.path)) if self.path.suffix == ".gz" else self.path.open("rb")
        except OSError as error:
            raise JournalError(f"{self.path}: cannot be read: {error.strerror}") from error

    def _next(self, file: BinaryIO, number: int) -> bytes | None:
        """A whole line; None at the end, and at a line that a crash cut short."""
        try:
            line = file.readline()
        except (OSError, EOFError, zlib.error) as error:
            raise JournalError(f"{self.path}: line {number}: cannot be read: {error}") from error
        if not line:
            return None
        # A cut line has no end; a power cut may leave zero bytes in its place.
        if not line.endswith(b"\n") or line.startswith(b"\0"):
            self.cut = f"line {number} is not whole (a crash, or it is just being written) and is left out"
            return None
        return line
