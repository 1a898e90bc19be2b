"""Replace a small file: a reader finds the old content or the new, and a power cut loses nothing acknowledged."""

from __future__ import annotations

import os
from pathlib import Path


def replace(path: Path, data: bytes) -> None:
    """Write ``data`` beside ``path``, sync it, and rename it over; when this returns it survives a power cut.

    Raises:
        OSError: the disk refused; the old file is still whole.
    """
    temporary = path.with_suffix(f"{path.suffix}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def remove(path: Path) -> None:
    """Remove a file, if it is there; when this returns a power cut does not bring it back."""
    if path.exists():
        path.unlink()
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make names that were added to or removed from a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
