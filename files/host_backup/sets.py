"""What is backed up together: a bot, the environment, the monitoring."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import BackupError
from .settings import Settings

ENVIRONMENT = "environment"
MONITORING = "monitoring"

CONFIGURATION = ("conf", "scripts", "pmm_scripts", "exchange/config")
"""Directories of a bot that a rollback puts back. Its data and its logs are what it did, and stay; so do the books of
its paper exchange. The exchange's code refuses another version's configuration, so that goes with it."""

LOG = re.compile(r"\.log(\.|$)")
"""Hummingbot's logs, also rotated ones. The CSV books below logs/ are no logs."""

MOUNTED_CODE = re.compile(r"source: \"?(?P<path>[^\s\",]*/(?:strategies|paper_exchange)/[0-9a-f]{16})/")


@dataclass(frozen=True)
class BackupSet:
    """One set: where it begins, and what of it is left out."""

    name: str
    kind: str
    """``bot``, ``environment`` or ``monitoring``."""

    paths: tuple[Path, ...]
    """Files and directories, relative to the root, in the order in which they are copied."""


def bots(settings: Settings) -> list[str]:
    """The bots that this VPS has, by their compose fragments."""
    known = (path.stem for path in sorted(settings.fragments.glob("*.yml")) if path.stem != "docker-compose")
    return [name for name in known if settings.bot_data(name).is_dir()]


def all_sets(settings: Settings) -> list[BackupSet]:
    """Every set of this VPS."""
    found = [of_bot(settings, bot) for bot in bots(settings)]
    found.append(environment())
    if (settings.fragments / "monitoring.yml").exists():
        found.append(monitoring())
    return found


def named(settings: Settings, name: str) -> BackupSet:
    """One set.

    :raises BackupError: this VPS has no such set.
    """
    known = {one.name: one for one in all_sets(settings)}
    if name not in known:
        raise BackupError(f"there is nothing called {name!r} to back up on this VPS; there are: {', '.join(known)}")
    return known[name]


def of_bot(settings: Settings, bot: str) -> BackupSet:
    """A bot's set.

    The order matters: a fill is in the exchange's books before it is in the bot's, and there before the state knows it.
    Copied the other way round, no copy of the state knows a fill that the copy of a book lacks.
    """
    data = Path("data", bot)
    fragment = Path("compose", f"{bot}.yml")
    below = [data / name for name in ("data", "logs", "exchange", "conf", "scripts", "pmm_scripts")]
    code = mounted_code((settings.root / fragment).read_text(encoding="utf-8"), settings.root)
    return BackupSet(bot, "bot", (*below, fragment, *code))


def mounted_code(fragment: str, root: Path) -> list[Path]:
    """The directories of code that a fragment mounts, relative to the root."""
    found = {match["path"] for match in MOUNTED_CODE.finditer(fragment)}
    return sorted(Path(path).relative_to(root) for path in found if path.startswith(f"{root}/"))


def environment() -> BackupSet:
    """The secrets and what the bots share, but not the key of the repository: it would lie in what it locks."""
    return BackupSet(ENVIRONMENT, "environment", (Path("env"), Path("compose", "docker-compose.yml")))


def monitoring() -> BackupSet:
    """The monitoring's configuration, not what it has measured."""
    return BackupSet(MONITORING, "monitoring", (Path("monitoring"), Path("compose", "monitoring.yml")))


def belongs(relative: Path) -> bool:
    """Whether a file is part of its set."""
    parts = relative.parts
    if parts[:2] == ("env", "backup") or relative == Path("env", "stopped_bots"):
        return False
    if parts[0] == "monitoring" and parts[1:2] in (("data",), ("textfile",)):
        return False
    return not (parts[0] == "data" and parts[2:3] == ("logs",) and LOG.search(relative.name))


def walk(root: Path, relative: Path) -> Iterator[tuple[Path, Path]]:
    """Every entry at or below ``root/relative`` that belongs to a set, as its path and its path relative to the root.

    Directories come before what is in them; symbolic links are never followed.
    """
    whole = root / relative
    if not whole.is_symlink() and not whole.exists():
        return
    if not belongs(relative):
        return
    yield whole, relative
    if whole.is_dir() and not whole.is_symlink():
        for entry in sorted(whole.iterdir(), key=lambda path: path.name):
            yield from walk(root, relative / entry.name)
