# Copyright: hbot.infra maintainers. Not for redistribution.
"""An operator's own scripts and controllers: where they are, what they may be called, and where a bot finds them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ansible.errors import AnsibleFilterError

SCRIPT = "own_"
"""Begins the name of a script: it may hide none of Hummingbot's."""


def own_files_root(bot_files: str, sources: Iterable[str]) -> str:
    """The directory that `bot_files` names; a relative one stands beside the inventory."""
    path = Path(bot_files).expanduser()
    if path.is_absolute():
        return str(path)
    source = Path(str(next(iter(sources))))
    inventory = source if source.is_dir() else source.parent
    return str((inventory.absolute().parent / path).resolve())


def own_files_fault(names: Iterable[str]) -> str:
    """Why these files (paths below the directory) cannot be a bot's; empty when they can."""
    found = [PurePosixPath(name) for name in names]
    if not found:
        return "it holds no file"
    for path in found:
        if path.parts[0] == "scripts":
            if len(path.parts) != 2 or path.suffix != ".py" or not path.name.startswith(SCRIPT):
                return f"{path}: a script is scripts/{SCRIPT}<name>.py"
        elif path.parts[0] != "controllers" or len(path.parts) < 2:
            return f"{path}: there are scripts/ and controllers/ in it, and nothing else"
    return ""


def own_mounts(names: Iterable[str], directory: str, home: str) -> list[dict[str, str]]:
    """What is mounted for a bot: each script beside Hummingbot's, and the controllers as a package `controllers.own`.

    Raises:
        AnsibleFilterError: the files are no bot's.
    """
    found = sorted(names)
    if not found:
        return []
    if why := own_files_fault(found):
        raise AnsibleFilterError(f"bot_files: {why}")
    mounts = [
        {"source": f"{directory}/{name}", "target": f"{home}/{name}"} for name in found if name.startswith("scripts/")
    ]
    if any(name.startswith("controllers/") for name in found):
        mounts.append({"source": f"{directory}/controllers", "target": f"{home}/controllers/own"})
    return mounts


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, object]:
        """By name."""
        return {"own_files_root": own_files_root, "own_mounts": own_mounts}
