"""What a snapshot holds, written down for people and for the checks that follow a restore."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path, PurePosixPath
from typing import Any

from .errors import BackupError

FORMAT = 1
NAME = "manifest.json"
SNAPSHOT = re.compile(r"^(?P<set>[a-z][a-z0-9-]*)_(?P<moment>\d{8}_\d{6})$")
MOMENT = "%Y%m%d_%H%M%S"
CLOCK_MAY_LEAD = timedelta(days=1)


@dataclass(frozen=True)
class File:
    """One file of a snapshot, or a directory, which has no hash."""

    mode: str
    uid: int
    gid: int
    size: int = 0
    sha256: str | None = None
    schema: str | None = None
    """For an SQLite database, a fingerprint of its schema."""


@dataclass(frozen=True)
class Container:
    """What a bot ran on when it was backed up."""

    image: str
    """The image as the fragment names it."""

    image_id: str
    digests: list[str]
    """``name@sha256:…`` as the registry knows it; empty for an image that no registry gave."""

    state: str


@dataclass(frozen=True)
class Manifest:
    """The whole of it."""

    set: str
    kind: str
    taken_at: str
    """UTC, ``YYYYMMDD_HHMMSS``."""

    vps: str
    collection: str
    mode: str | None = None
    variant: str | None = None
    strategy: str | None = None
    """Hash of the strategy's code."""

    container: Container | None = None
    files: dict[str, File] = field(default_factory=dict)
    """By path relative to ``/opt/hbot``."""

    @property
    def name(self) -> str:
        """``bot1_20260115_040000``: what a rollback takes."""
        return f"{self.set}_{self.taken_at}"

    def text(self, **more: Any) -> str:
        """As JSON, figures that a person wants first and the list of files last."""
        whole = {"format": FORMAT, "snapshot": self.name, **asdict(self)}
        files = whole.pop("files")
        size = sum(one["size"] for one in files.values())
        return json.dumps({**whole, **more, "bytes": size, "files": files}, indent=1) + "\n"


def now() -> str:
    """The moment of what happens now."""
    return datetime.now(tz=timezone.utc).strftime(MOMENT)


def following(newest: str | None) -> str:
    """The moment of a set's next snapshot: now, or just after its newest one where the clock was put back since.

    So their names sort in the order in which they were taken. A clock that was ahead by a day is not followed.
    """
    present = datetime.now(tz=timezone.utc)
    with suppress(ValueError):  # a file that somebody called like a snapshot of the 99th of a month
        last = datetime.strptime(newest or "", MOMENT).replace(tzinfo=timezone.utc)
        if last - present < CLOCK_MAY_LEAD:
            present = max(present, last + timedelta(seconds=1))
    return present.strftime(MOMENT)


def parsed(text: str | bytes, where: str) -> Manifest:
    """Read a manifest.

    :param where: named in what is raised.
    :raises BackupError: it is none, or one of another format, or names a path that leads out.
    """
    try:
        found = json.loads(text)
        if found["format"] != FORMAT:
            raise BackupError(f"{where} is of format {found['format']}; this version reads {FORMAT}")
        container = found["container"]
        manifest = Manifest(
            **{name: found[name] for name in ("set", "kind", "taken_at", "vps", "collection")},
            **{name: found[name] for name in ("mode", "variant", "strategy")},
            container=Container(**container) if container else None,
            files={path: File(**one) for path, one in found["files"].items()},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BackupError(f"{where} is no manifest of a backup ({error})") from error
    for path in manifest.files:
        plain = PurePosixPath(path)
        if plain.is_absolute() or ".." in plain.parts or not plain.parts or str(plain) != path:
            raise BackupError(f"{where} names {path!r}, which leads out of the backup: it is refused")
    if not SNAPSHOT.match(manifest.name):
        raise BackupError(f"{where} is of {manifest.name!r}, which is no name of a snapshot")
    return manifest


def read(path: Path) -> Manifest:
    """Read a manifest from a file.

    :raises BackupError: it cannot be read, or is none.
    """
    try:
        return parsed(path.read_bytes(), str(path))
    except OSError as error:
        raise BackupError(f"{path}: {error.strerror}") from error
