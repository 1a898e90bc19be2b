"""A bot brought to a VPS that does not have it: from another VPS's archive, or from a repository after a disaster."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from . import aside, sets
from .errors import BackupError
from .manifest import Manifest, now
from .progress import say
from .settings import Settings

PARTS = ("conf", "data", "logs", "scripts", "pmm_scripts", "exchange")
GATE_MARK = "golive.json"
"""What lets a bot trade live is given by the gate on this VPS alone."""


def adopt(settings: Settings, bot: str, snapshot: str = "") -> Manifest:
    """Put a bot's data in place. Its fragment, and with it the containers, is made by site.yml.

    :param snapshot: a snapshot's name, an exported archive, or nothing for the newest in any repository.
    :raises BackupError: it is here already, or what was brought is not whole. Nothing was changed.
    """
    target = settings.bot_data(bot)
    if target.exists():
        raise BackupError(f"{target} is there already: nothing is put over a bot's data")
    place = settings.backups / ".aside" / bot
    try:
        manifest = aside.fetch(settings, bot, snapshot, place)
        _own(place, manifest, PARTS)
        restored = place / "data" / bot
        if not restored.is_dir():
            raise BackupError(f"{manifest.name} has no data of {bot}")
        for state in restored.glob("data/epp_v24/*/state_*.json"):
            if "set-aside" not in state.name:
                _reconcile(state, manifest)
        for command in restored.glob("data/epp_v24/*/commands/*.json"):
            command.unlink()  # asked of the bot before; whoever asked will have had an answer by now
        owner = manifest.files.get(f"data/{bot}")
        os.chown(restored, owner.uid if owner else settings.uid, owner.gid if owner else settings.gid)
        restored.chmod(0o750)
        target.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        restored.rename(target)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    say(f"{bot}: its data of {manifest.name} is here; it starts in soft_pause: reconcile")
    return manifest


def rebuild(settings: Settings, bots: Iterable[str]) -> list[str]:
    """Bring bots and their secrets back from the repositories; returns those that were brought.

    A bot that is here already is left alone.

    :raises BackupError: one of them cannot be brought back. The others were.
    """
    brought, faults = [], []
    missing = [bot for bot in bots if not settings.bot_data(bot).exists()]
    if missing:
        _secrets(settings, missing)
    for bot in missing:
        try:
            adopt(settings, bot)
            brought.append(bot)
        except BackupError as fault:
            faults.append(str(fault))
    if faults:
        raise BackupError("; ".join(faults))
    return brought


def _secrets(settings: Settings, bots: list[str]) -> None:
    """A paper bot's password and credentials: its exchange's books know them."""
    place = settings.backups / ".aside" / sets.ENVIRONMENT
    try:
        manifest = aside.fetch(settings, sets.ENVIRONMENT, "", place)
        for name in [name for bot in bots for name in (bot, f"{bot}-exchange")]:
            source, target = place / "env" / name, settings.root / "env" / name
            if source.is_dir() and not target.exists():
                (source / GATE_MARK).unlink(missing_ok=True)
                _own(place, manifest, (name,))
                source.rename(target)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _own(place: Path, manifest: Manifest, names: tuple[str, ...]) -> None:
    """Give files the modes and owners that the manifest has: a plain archive does not keep them."""
    for path, file in manifest.files.items():
        target = place / path
        if set(names) & set(Path(path).parts) and target.exists():
            os.chown(target, file.uid, file.gid)
            target.chmod(int(file.mode, 8))


def _reconcile(state: Path, manifest: Manifest) -> None:
    """Have the bot book what it missed before it quotes: its state is of the snapshot's moment, the exchange is not."""
    try:
        document: dict[str, Any] = json.loads(state.read_text(encoding="utf-8"))
        document["body"]["engine"]["guard"]["reconcile"] = f"restored from {manifest.name} at {now()}"
    except (KeyError, TypeError, ValueError):
        return  # no state that EPP would use: it sets it aside, and reconciles for that reason
    state.write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")
