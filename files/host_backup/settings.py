"""What the role wrote down for this program, and where things lie below the root."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import BackupError


@dataclass(frozen=True)
class Retention:
    """How many snapshots of each set are kept: the newest ones, and one for each of so many days, weeks and months."""

    last: int
    daily: int
    weekly: int
    monthly: int


@dataclass(frozen=True)
class Offsite:
    """A second repository elsewhere."""

    repository: str
    """As restic writes it: ``s3:https://host/bucket/path`` or ``sftp:user@host:/path``."""

    verify: str
    """How much of its data each run reads back: a percentage, ``100%`` for all."""

    timeout_s: int
    """After this long a command of restic's against it is given up."""


@dataclass(frozen=True)
class Settings:
    """All of it."""

    root: Path
    """``/opt/hbot``."""

    vps: str
    """The machine's name in the inventory, also restic's host."""

    collection: str
    """The version of the collection that the role came from."""

    uid: int
    gid: int
    """Owner of a bot's files."""

    retention: Retention
    offsite: Offsite | None
    reserve_mb: int
    """Free space that a backup leaves on the disk."""

    @property
    def backups(self) -> Path:
        """Where manifests and exports lie, and the repository."""
        return self.root / "backups"

    @property
    def secrets(self) -> Path:
        """What only root reads: the repositories' key, the offsite's credentials."""
        return self.root / "env" / "backup"

    @property
    def repository(self) -> Path:
        """The local repository."""
        return self.backups / "repository"

    @property
    def fragments(self) -> Path:
        """Where each bot has its compose fragment."""
        return self.root / "compose"

    def bot_data(self, bot: str) -> Path:
        """A bot's directory."""
        return self.root / "data" / bot


def load(path: Path) -> Settings:
    """Read the settings.

    :raises BackupError: they are not there, or not what this version writes.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BackupError(f"{path} is missing: site.yml puts it there") from None
    try:
        found: dict[str, Any] = json.loads(text)
        offsite = found["offsite"]
        return Settings(
            root=Path(found["root"]),
            vps=found["vps"],
            collection=found["collection"],
            uid=int(found["uid"]),
            gid=int(found["gid"]),
            retention=Retention(**found["retention"]),
            offsite=Offsite(**offsite) if offsite else None,
            reserve_mb=int(found["reserve_mb"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BackupError(f"{path} is not what site.yml writes ({error}): run site.yml") from error
