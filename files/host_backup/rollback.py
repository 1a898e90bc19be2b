"""A bot's configuration, scripts and image as they were at a snapshot; what it did since stays.

State, latches, the kill file and the CSV books are never rewound: the exchange has not forgotten either. The database
goes back only when a newer program had migrated it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from . import aside, containers, sets, sqlite_copy
from .backup_run import Run
from .change import Change, Done, keep_secrets, replace_directory, replace_file, set_database
from .errors import BackupError
from .manifest import Manifest
from .progress import say
from .settings import Settings


def rollback(settings: Settings, bot: str, snapshot: str, *, within_s: float, soak_s: float, live: bool) -> Done:
    """Roll one bot back.

    :param snapshot: the name of a snapshot, the path of an exported archive, or nothing for the newest.
    :param live: whether a snapshot in live mode may start live.
    :raises BackupError: it was refused before the bot was touched, or it did not go well and what was there runs again;
        the message says which.
    """
    change = Change(settings, bot)
    with change.locked():
        change.heal()
        change.refuse_latched()
        place = settings.backups / ".aside" / bot
        try:
            manifest = aside.fetch(settings, bot, snapshot, place)
            say(f"{bot}: {manifest.name} is restored aside and whole, {len(manifest.files)} entries")
            fragment = _judge(settings, bot, manifest, place, live=live)
            _safety_backup(settings, bot)
            change.begin("rollback")
            done = change.switch(
                lambda: _swap(settings, bot, manifest, place, fragment), within_s=within_s, soak_s=soak_s
            )
        finally:
            shutil.rmtree(place, ignore_errors=True)
    say(f"{bot}: rolled back to {manifest.name}; {done.downtime_s:.1f} s without a healthy bot")
    return done


def _judge(settings: Settings, bot: str, manifest: Manifest, place: Path, *, live: bool) -> str:
    """Whether this VPS can run what was restored; returns its compose fragment."""
    path = f"compose/{bot}.yml"
    if path not in manifest.files:
        raise BackupError(f"{manifest.name} has no {path}: it cannot be run")
    text = (place / path).read_text(encoding="utf-8")
    if containers.mode_of(text) == "live" and not live:
        raise BackupError(
            f"{manifest.name} is of a live bot, and a rollback comes back in paper mode: set bot_mode: paper in the "
            f"bot's file and converge it (site.yml --limit {bot}), or confirm with -e mode=live"
        )
    if not containers.enabled(text):
        raise BackupError(f"{bot} was disabled when {manifest.name} was taken: choose another snapshot")
    _judge_exchange(settings, bot, manifest)
    _have_image(manifest, containers.image_of(text))
    for code in sets.mounted_code(text, settings.root):
        if not (settings.root / code).is_dir():
            _put_code(settings, manifest, place, code)
    keep_secrets(settings, settings.bot_data(bot) / "conf", place / "data" / bot / "conf")
    for name in sets.CONFIGURATION:
        _own(place, manifest, Path("data", bot, name))
    trial = place / "trial"
    shutil.copytree(place / "data" / bot / "conf", trial)
    for entry in (trial, *trial.rglob("*")):
        os.chown(entry, settings.uid, settings.gid)
    place.chmod(0o711)  # the trial's user passes through; it can list nothing
    try:
        containers.trial(settings, text, trial)
    finally:
        shutil.rmtree(trial)
    say(f"{bot}: {containers.image_of(text)} accepts the configuration of {manifest.name}")
    return text


def _judge_exchange(settings: Settings, bot: str, manifest: Manifest) -> None:
    """An older paper exchange does not read a newer one's books, and books are never rewound.

    :raises BackupError: the snapshot's is such a one.
    """
    for path, file in manifest.files.items():
        current = settings.root / path
        if file.schema is None or Path(path).parent != Path("data", bot, "exchange", "state") or not current.is_file():
            continue
        if sqlite_copy.schema(current) != file.schema:
            raise BackupError(
                f"{manifest.name} has an older paper exchange, which cannot read the books of today's, and those are "
                "not rewound: choose a newer snapshot, or go back by the inventory (bot_image, bot_parameters)"
            )


def _have_image(manifest: Manifest, reference: str) -> None:
    """Have the image of the snapshot, by its digest where the name has come to mean another one."""
    held = manifest.container
    here = containers.image(reference)
    if held is None or (here is not None and here["Id"] == held.image_id):
        containers.pull(reference)
        return
    for exact in (held.image_id, *held.digests):
        if containers.image(exact) is None and exact != held.image_id:
            containers.run("pull", "--quiet", exact, timeout_s=containers.PULL_S)
        found = containers.image(exact)
        if found is not None:
            if "@" not in reference:
                containers.checked("tag", found["Id"], reference)
            return
    if here is None:
        containers.pull(reference)
    say(f"{reference} is not the image that {manifest.name} ran, which is nowhere to be had: today's is used")


def _put_code(settings: Settings, manifest: Manifest, place: Path, code: Path) -> None:
    """Code that the fragment mounts and that is no longer here comes from the snapshot."""
    if not (place / code).is_dir():
        raise BackupError(f"{settings.root / code} is missing, and {manifest.name} does not have it")
    _own(place, manifest, code)
    target = settings.root / code
    target.parent.mkdir(mode=0o755, exist_ok=True)
    shutil.copytree(place / code, target)


def _own(place: Path, manifest: Manifest, below: Path) -> None:
    """Give restored files the modes and owners that the manifest has: a plain archive does not keep them."""
    for path, file in manifest.files.items():
        if Path(path) == below or below in Path(path).parents:
            target = place / path
            if target.exists() and not target.is_symlink():
                os.chown(target, file.uid, file.gid)
                target.chmod(int(file.mode, 8))


def _safety_backup(settings: Settings, bot: str) -> None:
    # Nothing is dropped for it: the snapshot that is gone back to may be the next to go, and will be asked for again.
    faults = Run(settings, [sets.of_bot(settings, bot)], drops=False).run()
    local = [fault for fault in faults if "offsite" not in fault]
    if local:
        raise BackupError(f"the safety backup failed, so nothing was touched: {'; '.join(local)}")


def _swap(settings: Settings, bot: str, manifest: Manifest, place: Path, fragment: str) -> None:
    """Put the restored files in place; the bot is stopped."""
    data = settings.bot_data(bot)
    for name in sets.CONFIGURATION:
        if (place / "data" / bot / name).is_dir():
            replace_directory(place / "data" / bot / name, data / name)
    replace_file(place / "compose" / f"{bot}.yml", settings.fragments / f"{bot}.yml", owner=(0, 0))
    for path, file in manifest.files.items():
        if file.schema is None or Path(path).parent != Path("data", bot, "data"):
            continue
        current = settings.root / path
        if current.is_file() and sqlite_copy.schema(current) != file.schema:
            say(set_database(settings, bot, place / path, current))
