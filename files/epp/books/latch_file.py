"""A latched hard stop on disk, apart from the state: ``latch_<mode>.json``, there as long as the bot is latched.

The state file has a schema, and a program that cannot read it starts from nothing. A latch must outlive that: its file
keeps to three fields that every version reads, and one that cannot be read is a latch all the same.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from . import durable_file


@dataclass(frozen=True)
class Latched:
    """Why the bot is stopped until an operator resets it."""

    code: str
    detail: str
    ts: float
    """When it was latched, unix seconds."""


class LatchFile:
    """The latch of one bot in one mode.

    Args:
        directory: where the state file is, too.
        mode: ``paper`` or ``live``.
    """

    def __init__(self, directory: Path, mode: str) -> None:
        self.path = directory / f"latch_{mode}.json"
        self._written: Latched | None = self.read()

    def read(self) -> Latched | None:
        """What is latched; ``None`` when nothing is."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            plain = json.loads(raw)
            return Latched(str(plain["code"]), str(plain["detail"]), float(plain["ts"]))
        except (ValueError, KeyError, TypeError):
            return Latched("latch_file", f"{self.path.name} is there and cannot be read", self.path.stat().st_mtime)

    def write(self, latched: Latched | None) -> None:
        """Make the file say what is latched, or remove it when nothing is.

        Raises:
            OSError: the disk refused; the file is as it was.
        """
        if latched == self._written:
            return
        if latched is None:
            durable_file.remove(self.path)
        else:
            durable_file.replace(self.path, json.dumps(asdict(latched)).encode())
        self._written = latched
