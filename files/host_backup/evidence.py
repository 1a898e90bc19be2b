"""The mark that a backup was verified, which the go-live gate reads: docs/golive.md."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

from .progress import complain
from .restic import Snapshot
from .settings import Settings
from .whole_file import write

FRESH = timedelta(hours=24)
"""An older snapshot of a bot is no backup of what it is now, however whole it is."""


def held(snapshots: Iterable[Snapshot], bots: Iterable[str], now: datetime) -> list[str]:
    """The bots of which a repository has a fresh snapshot.

    :param now: in UTC.
    """
    newest: dict[str, datetime] = {}
    for one in snapshots:
        taken = datetime.strptime(one.name[len(one.set) + 1 :], "%Y%m%d_%H%M%S").replace(tzinfo=timezone.utc)
        newest[one.set] = max(taken, newest.get(one.set, taken))
    return [bot for bot in bots if bot in newest and now - newest[bot] <= FRESH]


def leave(settings: Settings, *, ok: bool, detail: str, bots: list[str]) -> None:
    """Put the mark in the place of the one before; a check that failed takes the older proof away.

    :param detail: one line for a person.
    :param bots: the bots that the verified backup holds.
    """
    now = datetime.now(tz=timezone.utc)
    mark = {"schema": 1, "kind": "backup_verified", "at": now.isoformat(timespec="seconds"), "ok": ok}
    mark |= {"detail": " ".join(detail.split()), "bots": bots}
    directory = settings.root / "evidence"
    try:
        directory.mkdir(mode=0o755, exist_ok=True)
        write(directory / "backup_verified.json", json.dumps(mark, indent=2) + "\n", mode=0o644)
    except OSError as error:
        complain(f"{directory / 'backup_verified.json'} could not be written: {error.strerror}")
