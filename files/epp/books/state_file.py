"""The state that survives a restart: one JSON file per mode, replaced as a whole.

The file is written beside its place, synced and renamed over, so that a reader finds the old state or the new one and a
crash loses nothing already acknowledged. It says whose state it is; a file that is torn, foreign or of another schema
is set aside under a telling name, never overwritten and never read halfway.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import durable_file

SCHEMA = 1
"""Raise it when an older program could not read what this one writes."""


@dataclass(frozen=True)
class Owner:
    """Whose state a file holds: paper and live never mix, nor two instances."""

    instance: str
    variant: str
    mode: str


@dataclass(frozen=True)
class Loaded:
    """What reading the state gave."""

    body: dict[str, Any] | None
    """The state, or ``None`` when there is none to use."""

    set_aside: str | None = None
    """Why an existing file was not used and where it is now; ``None`` when there was none, or it was good."""


class StateFile:
    """The state file of one bot in one mode.

    Args:
        directory: where it lives; made when missing.
        owner: written into the file and demanded when it is read.
    """

    def __init__(self, directory: Path, owner: Owner) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / f"state_{owner.mode}.json"
        self.owner = owner

    def load(self, now: datetime) -> Loaded:
        """Read the state; set a file aside that cannot be trusted.

        Args:
            now: used in the name of a file set aside.
        """
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return Loaded(None)
        reason = "it is not whole JSON"
        try:
            document = json.loads(raw)
            reason = self._objection(document)
        except ValueError:
            document = None
        if not reason:
            return Loaded(dict(document["body"]))
        return self.set_aside(reason, now)

    def set_aside(self, reason: str, now: datetime) -> Loaded:
        """Move the file out of the way, for a reason that the log and the state that follows will tell."""
        aside = self._free_name(now)
        self.path.rename(aside)
        return Loaded(None, f"{self.path.name}: {reason}; set aside as {aside.name}")

    def save(self, body: Mapping[str, Any]) -> None:
        """Replace the state; when this returns it survives a power cut.

        Raises:
            OSError: the disk refused; the old state is still whole.
        """
        document = {
            "schema": SCHEMA,
            "instance": self.owner.instance,
            "variant": self.owner.variant,
            "mode": self.owner.mode,
            "saved_at": datetime.now(tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "body": body,
        }
        data = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
        durable_file.replace(self.path, data)

    def _objection(self, document: Any) -> str:
        if not isinstance(document, dict) or not isinstance(document.get("body"), dict):
            return "it is not a state file"
        if document.get("schema") != SCHEMA:
            return f"its schema is {document.get('schema')!r}, this program writes {SCHEMA}"
        for field in ("instance", "variant", "mode"):
            if document.get(field) != getattr(self.owner, field):
                return f"it belongs to {field} {document.get(field)!r}, not {getattr(self.owner, field)!r}"
        return ""

    def _free_name(self, now: datetime) -> Path:
        stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        number = 0
        while True:
            suffix = f".{number}" if number else ""
            candidate = self.path.with_name(f"{self.path.stem}.{stamp}{suffix}.set-aside.json")
            if not candidate.exists():
                return candidate
            number += 1
