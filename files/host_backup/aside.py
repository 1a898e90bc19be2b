"""A snapshot brought back beside what is there, and judged before anything of it is used."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from . import archive, sqlite_copy, staging
from .errors import BackupError
from .manifest import NAME, SNAPSHOT, Manifest, read
from .restic import Repository, Snapshot, repositories
from .settings import Settings

ARCHIVE = ".tar.gz"


def listed(settings: Settings, set_name: str) -> list[tuple[Snapshot, str]]:
    """A set's snapshots and the repository each is in, oldest first; the local one where both have it.

    :raises BackupError: no repository can be read.
    """
    found: dict[str, tuple[Snapshot, str]] = {}
    faults = []
    for repository in repositories(settings):
        try:
            for one in repository.snapshots(set_name):
                found.setdefault(one.name, (one, repository.where))
        except BackupError as fault:
            faults.append(str(fault))
    if faults and not found:
        raise BackupError("; ".join(faults))
    return [found[name] for name in sorted(found)]


def fetch(settings: Settings, set_name: str, wanted: str, target: Path) -> Manifest:
    """Bring a snapshot into an empty directory and check it.

    :param wanted: a snapshot's name, the path of an exported archive, or nothing for the newest.
    :raises BackupError: there is none, it is another set's, or it is not whole. The next older one is named.
    """
    staging.empty(target)
    try:
        path = settings.backups / wanted  # an absolute path stays what it is
        if wanted.endswith(ARCHIVE) and ("/" in wanted or path.is_file()):
            archive.unpack(path, target)
            return check(target, set_name, str(path))
        chosen = _choose(settings, set_name, wanted.removesuffix(ARCHIVE))
        return _restore(settings, set_name, chosen, target)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _choose(settings: Settings, set_name: str, wanted: str) -> str:
    names = [one.name for one, _ in listed(settings, set_name)]
    if not names:
        raise BackupError(f"there is no backup of {set_name} yet: scripts/backup.sh {set_name} makes one")
    if not wanted:
        return names[-1]
    match = SNAPSHOT.match(wanted)
    if match and match["set"] != set_name:
        raise BackupError(f"{wanted} is a backup of {match['set']}, not of {set_name}: it is refused")
    if wanted not in names:
        raise BackupError(f"there is no backup {wanted}; there are: {', '.join(reversed(names[-5:]))}")
    return wanted


def _restore(settings: Settings, set_name: str, name: str, target: Path) -> Manifest:
    faults = []
    for repository in repositories(settings):
        try:
            found = _find(repository, set_name, name)
            if found is None:
                continue
            staging.empty(target)
            repository.restore(found, target)
            return check(target, set_name, f"{name} of the {repository.where} repository")
        except BackupError as fault:
            faults.append(str(fault))
    older = [one.name for one, _ in listed(settings, set_name) if one.name < name]
    hint = f" The next older one is {older[-1]}." if older else ""
    raise BackupError("; ".join(faults or [f"{name} is in no repository"]) + hint)


def _find(repository: Repository, set_name: str, name: str) -> Snapshot | None:
    for one in repository.snapshots(set_name):
        if one.name == name:
            return one
    return None


def check(directory: Path, set_name: str, where: str) -> Manifest:
    """Judge what was brought back: all of its files and no others, whole, of this set, with sound databases.

    :raises BackupError: it is not so; the message names the first few faults.
    """
    if not (directory / NAME).is_file() or (directory / NAME).is_symlink():
        raise BackupError(f"{where} has no {NAME}: it is no backup of this program")
    manifest = read(directory / NAME)
    if manifest.set != set_name:
        raise BackupError(f"{where} is a backup of {manifest.set}, not of {set_name}: it is refused")
    faults = _entries(directory, manifest)
    for path, file in manifest.files.items():
        place = directory / path
        if file.sha256 is None or not place.is_file():
            continue
        if place.stat().st_size != file.size or staging.sha256(place) != file.sha256:
            faults.append(f"{path} is not what was backed up")
        elif file.schema is not None and (fault := sqlite_copy.fault_of(place)):
            faults.append(f"{path} is damaged: {fault}")
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise BackupError(f"{where} is not whole: {'; '.join(faults[:3])}{more}")
    return manifest


def _entries(directory: Path, manifest: Manifest) -> list[str]:
    """Entries that are missing, too many, or neither a file nor a directory."""
    found: dict[str, int] = {}
    for parent, directories, files in os.walk(directory, followlinks=False):
        for name in (*directories, *files):
            path = Path(parent, name)
            found[str(path.relative_to(directory))] = stat.S_IFMT(path.lstat().st_mode)
    found.pop(NAME)
    faults = []
    for name, kind in found.items():
        if kind not in (stat.S_IFREG, stat.S_IFDIR):
            faults.append(f"{name} is a link or a device")
        elif name not in manifest.files and kind == stat.S_IFREG:
            faults.append(f"{name} was not backed up and is there")
    for name, file in manifest.files.items():
        expected = stat.S_IFREG if file.sha256 is not None else stat.S_IFDIR
        if found.get(name) != expected:
            faults.append(f"{name} is missing" if name not in found else f"{name} is of another kind")
    return faults
