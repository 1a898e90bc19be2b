# Copyright: hbot.infra maintainers. Not for redistribution.
"""Marks of what was proven on a host, which the go-live gate reads: docs/golive.md lists them.

Root alone can write them: their directories are root's, and a mark that another could have written counts for nothing.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from ansible_collections.hbot.infra.plugins.module_utils import host_files

SCHEMA = 1


def leave(root: Path, kind: str, *, ok: bool, detail: str, bot: str = "", **fields: object) -> None:
    """Put a mark in the place of the one before; a failed trial takes the older proof away.

    :param root: of the installation.
    :param kind: what was tried, which names the file.
    :param detail: one line for a person.
    :param bot: the bot that it was tried on; empty for what is the host's.
    :param fields: what else the mark says, by kind.
    :raises OSError: it cannot be written.
    """
    mark: dict[str, object] = {"schema": SCHEMA, "kind": kind}
    mark |= {"at": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()), "ok": ok}
    mark |= {"detail": " ".join(detail.split())} | ({"bot": bot} if bot else {}) | fields
    directory = root / "evidence"
    host_files.make_directory(directory, 0o755, 0, 0)
    if bot:
        directory /= bot
        host_files.make_directory(directory, 0o755, 0, 0)
    host_files.write(directory / f"{kind}.json", (json.dumps(mark, indent=2) + "\n").encode(), 0o644, 0, 0)
