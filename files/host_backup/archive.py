"""Plain archives: a snapshot as a ``tar.gz`` that any machine can read, and the way back."""

from __future__ import annotations

import os
import tarfile
from contextlib import suppress
from pathlib import Path, PurePosixPath

from .errors import BackupError

LEVEL = 1
"""gzip's fastest: six times as fast as its default here, for a tenth more bytes."""


def export(directory: Path, target: Path) -> str:
    """Write what is in a directory as an archive, which is there whole or not at all; returns what to say.

    :raises OSError: the disk refused.
    """
    temporary = target.with_name(f".{target.name}.partial")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            with tarfile.open(fileobj=file, mode="w:gz", compresslevel=LEVEL) as archive:
                for entry in sorted(directory.iterdir()):
                    archive.add(entry, entry.name)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    return f"exported to {target}, {target.stat().st_size >> 10} KiB, not encrypted"


def unpack(archive: Path, target: Path) -> None:
    """Unpack an archive into an empty directory.

    :raises BackupError: it is damaged, or holds what no backup holds: a link, a device, a path that leads out. Nothing
        is written outside of the directory.
    """
    try:
        with tarfile.open(archive, "r:gz") as opened:
            for member in opened:
                _unpack_one(archive, opened, member, target)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BackupError(f"{archive} is damaged or no archive of a backup ({error})") from error


def _unpack_one(archive: Path, opened: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise BackupError(f"{archive} holds {member.name!r}, which leads out of it: it is refused")
    place = target.joinpath(*path.parts)
    if member.isdir():
        place.mkdir(parents=True, exist_ok=True)
    elif member.isreg():
        place.parent.mkdir(parents=True, exist_ok=True)
        content = opened.extractfile(member)
        if content is None:
            raise BackupError(f"{archive} does not hold the bytes of {member.name!r}: it is refused")
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            while data := content.read(1 << 20):
                file.write(data)
    else:
        raise BackupError(f"{archive} holds {member.name!r}, which is a link or a device: it is refused")
