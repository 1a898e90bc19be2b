# Copyright: hbot.infra maintainers. Not for redistribution.
"""What one task changed and a later one has yet to follow, kept in case the run is stopped between the two."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ansible_collections.hbot.infra.plugins.module_utils import host_files


class Pending:
    """Words in a file, which whoever follows them removes; none without one.

    It is best below /run: a boot starts everything anew.
    """

    def __init__(self, path: str | None) -> None:
        self._path = Path(path) if path else None
        data = host_files.read(self._path) if self._path else None
        self.left: list[str] = json.loads(data) if data else []
        """What an earlier run changed and nothing followed."""

    def note(self, words: list[str]) -> None:
        """Keep words besides those that are left."""
        if self._path is None or not set(words) - {*self.left}:
            return
        for directory in (self._path.parent.parent, self._path.parent):
            directory.mkdir(mode=0o755, exist_ok=True)
        host_files.write(
            self._path, json.dumps(list(dict.fromkeys(self.left + words))).encode(), 0o644, os.getuid(), os.getgid()
        )

    def followed(self) -> None:
        """Nothing is left."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def diff(self) -> list[dict[str, str]]:
        """For a difference: what was left, which is followed now."""
        header = {"before_header": str(self._path), "after_header": str(self._path)}
        return [header | {"before": "".join(f"{word}\n" for word in self.left), "after": ""}] if self.left else []
