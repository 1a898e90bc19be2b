"""What Prometheus reads of the backups, as a file for node-exporter's textfile collector. docs/backup.md names them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

from .progress import complain
from .restic import LOCAL
from .settings import Settings
from .whole_file import write

PREFIX = "hbot_backup"
HELP = {
    "last_attempt_timestamp_seconds": "When a set was last to be backed up.",
    "last_success_timestamp_seconds": "When a set was last backed up and the repository passed its check.",
    "last_attempt_succeeded": "Whether the last attempt succeeded.",
    "duration_seconds": "How long copying a set and taking it into the repository took.",
    "size_bytes": "Bytes of a set's files.",
    "snapshots": "Snapshots of a set in a repository.",
    "verified_timestamp_seconds": "When a repository last passed its check, data read.",
    "verify_succeeded": "Whether the last check of a repository passed.",
    "repository_bytes": "Bytes of the local repository on the disk.",
    "run_duration_seconds": "How long the last run took.",
    "drill_timestamp_seconds": "When the restore drill last ran.",
    "drill_succeeded": "Whether the last restore drill succeeded for a set.",
}


class Results:
    """The results so far, kept over runs: a run of one bot says nothing about the others."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._path = settings.backups / ".results.json"
        try:
            self._values: dict[str, dict[str, Any]] = json.loads(self._path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            self._values = {}

    def _set(self, metric: str, value: float, **labels: str) -> None:
        key = ",".join(f'{name}="{text}"' for name, text in labels.items())
        self._values.setdefault(metric, {})[key] = value

    def taken(self, set_name: str, repository: str, size: int, seconds: float) -> None:
        """A set is in a repository, which is still to pass its check."""
        self._set("last_attempt_timestamp_seconds", time.time(), set=set_name, repository=repository)
        self._set("size_bytes", size, set=set_name)
        self._set("duration_seconds", round(seconds, 2), set=set_name, repository=repository)

    def succeeded(self, set_name: str, repository: str) -> None:
        """A set was backed up and read back."""
        self._set("last_success_timestamp_seconds", time.time(), set=set_name, repository=repository)
        self._set("last_attempt_succeeded", 1, set=set_name, repository=repository)

    def failed(self, set_name: str, repository: str) -> None:
        """It was not."""
        self._set("last_attempt_timestamp_seconds", time.time(), set=set_name, repository=repository)
        self._set("last_attempt_succeeded", 0, set=set_name, repository=repository)

    def verified(self, repository: str, *, good: bool) -> None:
        """A repository was read back."""
        if good:
            self._set("verified_timestamp_seconds", time.time(), repository=repository)
        self._set("verify_succeeded", int(good), repository=repository)

    def counted(self, repository: str, sets: Iterable[str]) -> None:
        """These are the sets of all snapshots in a repository."""
        names = list(sets)
        for name in set(names):
            self._set("snapshots", names.count(name), set=name, repository=repository)

    def finished(self, _began: float, seconds: float) -> None:
        """A run is over."""
        self._set("run_duration_seconds", round(seconds, 2))
        size = sum(path.stat().st_size for path in self._settings.repository.rglob("*") if path.is_file())
        self._set("repository_bytes", size, repository=LOCAL)

    def drilled(self, set_name: str, *, good: bool) -> None:
        """A set was restored into a scratch directory and checked."""
        self._set("drill_timestamp_seconds", time.time(), set=set_name)
        self._set("drill_succeeded", int(good), set=set_name)

    def forget(self, set_name: str) -> None:
        """A set is no longer of this VPS: nothing is to alert about it."""
        for values in self._values.values():
            for key in [key for key in values if f'set="{set_name}"' in key]:
                del values[key]

    def write(self) -> None:
        """Put both files in place. What a full disk refuses is said, and keeps neither from being tried."""
        textfile = self._settings.root / "monitoring" / "textfile"
        for path, text, mode in (
            (textfile / "hbot_backup.prom", self.text(), 0o644),  # the first: alerts come of it
            (self._path, json.dumps(self._values, indent=1) + "\n", 0o600),
        ):
            try:
                path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
                write(path, text, mode=mode)
            except OSError as error:
                complain(f"{path} could not be written: {error.strerror}")

    def text(self) -> str:
        """In Prometheus's text format."""
        lines = []
        for metric, values in sorted(self._values.items()):
            lines.append(f"# HELP {PREFIX}_{metric} {HELP[metric]}")
            lines.append(f"# TYPE {PREFIX}_{metric} gauge")
            for labels, value in sorted(values.items()):
                lines.append(f"{PREFIX}_{metric}{{{labels}}} {value}" if labels else f"{PREFIX}_{metric} {value}")
        return "\n".join(lines) + "\n"
