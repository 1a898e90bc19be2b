"""A copy of a set as of one moment, hashed while it is copied; the bot goes on meanwhile."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

from . import sqlite_copy
from .errors import BackupError
from .manifest import File
from .sets import BackupSet, walk
from .settings import Settings

CHUNK = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def require_space(settings: Settings, wanted: list[BackupSet]) -> None:
    """Refuse, before anything is written, what the disk cannot take: the largest set, copied and in the repository.

    :raises BackupError: there is too little space, or are too few inodes, or no file can be written.
    """
    sizes = {one.name: size(settings.root, one) for one in wanted}
    largest = max(sizes.values(), default=0)
    needed = 2 * largest + (settings.reserve_mb << 20)
    space = os.statvfs(settings.backups)
    free = space.f_bavail * space.f_frsize
    if free < needed:
        raise BackupError(
            f"{settings.backups} has {free >> 20} MiB free, and this backup wants {needed >> 20} MiB: make room, or "
            "keep fewer snapshots (host_backup_keep_*)"
        )
    if space.f_files and space.f_favail < 10_000:
        raise BackupError(f"{settings.backups} has {space.f_favail} inodes left: make room")
    try:
        # Found out here at once: restic tries to write its lock again and again, for a quarter of an hour.
        with tempfile.TemporaryFile(dir=settings.backups):
            pass
    except OSError as fault:
        raise BackupError(f"{settings.backups} takes no file: {fault.strerror}") from fault


def size(root: Path, wanted: BackupSet) -> int:
    """Bytes of a set's files, about: they grow."""
    total = 0
    for relative in wanted.paths:
        for path, _ in walk(root, relative):
            try:
                total += path.lstat().st_size
            except FileNotFoundError:
                continue
    return total


def stage(root: Path, wanted: BackupSet, target: Path) -> tuple[dict[str, File], list[str]]:
    """Copy a set to ``target`` and say what is in the copy, and what was left out because it is no file.

    A file that grows is copied as long as it was when it was opened, a CSV book up to its last whole line, an SQLite
    database through its online backup. A file that vanishes meanwhile was none of the set's.

    :raises BackupError: something cannot be copied.
    """
    files: dict[str, File] = {}
    odd: list[str] = []
    for begin in wanted.paths:
        for source, relative in walk(root, begin):
            try:
                copied = _copy(root, source, relative, target / relative)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise BackupError(f"{source} cannot be copied to {target}: {error.strerror}") from error
            if copied is None:
                odd.append(str(relative))
            elif copied is not _NO_PART:
                files[str(relative)] = copied
    return files, odd


_NO_PART = File("", 0, 0)


def _copy(root: Path, source: Path, relative: Path, target: Path) -> File | None:
    """Copy one entry; None for what is no file and no directory."""
    status = source.lstat()
    mode = f"{stat.S_IMODE(status.st_mode):04o}"
    if stat.S_ISDIR(status.st_mode):
        target.mkdir(parents=True, exist_ok=True)
        return File(mode, status.st_uid, status.st_gid)
    if stat.S_ISSOCK(status.st_mode) or stat.S_ISFIFO(status.st_mode):
        return _NO_PART  # a door to a process that runs, and nothing without it
    if not stat.S_ISREG(status.st_mode):
        return None
    target.parent.mkdir(parents=True, exist_ok=True)
    if _is_side_file(source):
        return _NO_PART
    descriptor = _open(root, relative)
    try:
        if os.pread(descriptor, len(sqlite_copy.MAGIC), 0) == sqlite_copy.MAGIC:
            return _copy_database(source, target, status)
        digest, length = _copy_bytes(descriptor, target, whole_lines=source.suffix == ".csv")
    finally:
        os.close(descriptor)
    target.chmod(stat.S_IMODE(status.st_mode))
    os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns))
    return File(mode, status.st_uid, status.st_gid, length, digest)


def _copy_database(source: Path, target: Path, before: os.stat_result) -> File:
    sqlite_copy.copy(source, target)
    after = source.lstat()
    if (before.st_dev, before.st_ino) != (after.st_dev, after.st_ino) or not stat.S_ISREG(after.st_mode):
        target.unlink()
        raise BackupError(f"{source} was replaced while it was copied: run the backup again")
    target.chmod(stat.S_IMODE(before.st_mode))
    mode = f"{stat.S_IMODE(before.st_mode):04o}"
    return File(mode, before.st_uid, before.st_gid, target.stat().st_size, sha256(target), sqlite_copy.schema(target))


def _is_side_file(path: Path) -> bool:
    for suffix in sqlite_copy.SIDE_FILES:
        if path.name.endswith(suffix):
            database = path.with_name(path.name[: -len(suffix)])
            return database.is_file() and not database.is_symlink() and sqlite_copy.is_database(database)
    return False


def _open(root: Path, relative: Path) -> int:
    """Open a file below the root without following a link at any step: what a bot owns, it could swap for one."""
    directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in relative.parts[:-1]:
            below = os.open(part, _DIRECTORY, dir_fd=directory)
            os.close(directory)
            directory = below
        return os.open(relative.parts[-1], _FILE, dir_fd=directory)
    finally:
        os.close(directory)


def _copy_bytes(origin: int, target: Path, *, whole_lines: bool) -> tuple[str, int]:
    """Copy what the file holds now; returns hash and length of the copy."""
    left = os.fstat(origin).st_size
    digest = hashlib.sha256()
    written = 0
    with target.open("wb") as copied:
        while left:
            data = os.read(origin, min(CHUNK, left))
            if not data:
                break
            left -= len(data)
            if not left and whole_lines and not data.endswith(b"\n") and b"\n" in data:
                data = data[: data.rindex(b"\n") + 1]
            digest.update(data)
            copied.write(data)
            written += len(data)
    return digest.hexdigest(), written


def sha256(path: Path) -> str:
    """A file's hash."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(CHUNK):
            digest.update(data)
    return digest.hexdigest()


def empty(directory: Path) -> None:
    """Make a directory of one's own anew, empty and closed to others."""
    if directory.is_symlink():
        raise BackupError(f"{directory} is a symbolic link: remove it")
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700, parents=True)
