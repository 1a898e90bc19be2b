# Copyright: hbot.infra maintainers. Not for redistribution.
"""Single files in directories that no bot can write to. What lies in a bot's reach is hbot.infra.tree's business."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path


def read(path: Path) -> bytes | None:
    """The bytes of a regular file, None when there is nothing. A symbolic link is an OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read()


def write(path: Path, data: bytes, mode: int, uid: int, gid: int) -> None:
    """Puts a file in place by rename, so that a reader sees the old or the new one, whole and never too open."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fchown(stream.fileno(), uid, gid)
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise


def as_wanted(path: Path, mode: int, uid: int, gid: int) -> bool:
    """Whether a file or directory is there with this mode and owner."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    return (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (mode, uid, gid)


def make_directory(path: Path, mode: int, uid: int, gid: int) -> None:
    """Makes a directory, or sets the mode and owner of one that is there. A symbolic link is an OSError."""
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)
