"""A directory made what it was, in its place: a running bot has it mounted, and would not see another one there."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def put_back(kept: Path, target: Path) -> None:
    """Make `target` what `kept` is: contents, modes and owners. What is so already is not written.

    The bot may write into `target` meanwhile, so no step follows a link in it.
    """
    with suppress(FileExistsError):
        target.mkdir(mode=0o700)
    directory = os.open(target, _DIRECTORY)
    try:
        _contents(kept, directory)
        _attributes(kept.lstat(), directory)
    finally:
        os.close(directory)


def _contents(kept: Path, directory: int) -> None:
    wanted = {path.name: path for path in kept.iterdir()}
    for name in os.listdir(directory):
        if name not in wanted:
            _remove(name, directory)
    for name, path in wanted.items():
        if path.is_symlink():
            _link(path, name, directory)
        elif path.is_dir():
            _directory(path, name, directory)
        else:
            _file(path, name, directory)


def _directory(path: Path, name: str, directory: int) -> None:
    if not _is(name, directory, stat.S_ISDIR):
        _remove(name, directory)
        os.mkdir(name, 0o700, dir_fd=directory)
    inner = os.open(name, _DIRECTORY, dir_fd=directory)
    try:
        _contents(path, inner)
        _attributes(path.lstat(), inner)
    finally:
        os.close(inner)


def _file(path: Path, name: str, directory: int) -> None:
    data, status = path.read_bytes(), path.lstat()
    if _is(name, directory, stat.S_ISREG):
        with os.fdopen(os.open(name, _FILE, dir_fd=directory), "rb") as there:
            if there.read() == data:
                _attributes(status, there.fileno())
                return
    elif _is(name, directory, stat.S_ISDIR):
        _remove(name, directory)
    temporary = f".{name}.new"
    _remove(temporary, directory)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(temporary, flags, 0o600, dir_fd=directory), "wb") as new:
        new.write(data)
        new.flush()
        _attributes(status, new.fileno())
        os.utime(new.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
        os.fsync(new.fileno())
    os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)


def _link(path: Path, name: str, directory: int) -> None:
    where, status = path.readlink(), path.lstat()
    _remove(name, directory)
    os.symlink(where, name, dir_fd=directory)
    os.chown(name, status.st_uid, status.st_gid, dir_fd=directory, follow_symlinks=False)


def _attributes(status: os.stat_result, descriptor: int) -> None:
    os.fchown(descriptor, status.st_uid, status.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(status.st_mode))


def _is(name: str, directory: int, kind: Callable[[int], bool]) -> bool:
    try:
        return kind(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _remove(name: str, directory: int) -> None:
    """Remove what has this name, with all that is in it; nothing may have it."""
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        inner = os.open(name, _DIRECTORY, dir_fd=directory)
        try:
            for below in os.listdir(inner):  # noqa: PTH208 (a descriptor has no path)
                _remove(below, inner)
        finally:
            os.close(inner)
        os.rmdir(name, dir_fd=directory)
