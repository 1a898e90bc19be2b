"""Files that are there whole or not at all, and still there after a power cut."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write(path: Path, content: Mapping[str, Any], *, durable: bool = True) -> None:
    """Put a JSON object in the place of a file.

    Args:
        path: the file.
        content: what it shall hold.
        durable: wait until the disk has it.

    Raises:
        OSError: the disk refused; the file is as it was.
    """
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        json.dump(content, file)
        file.write("\n")
        if durable:
            file.flush()
            os.fsync(file.fileno())
    partial.replace(path)
    if durable:
        _sync(path.parent)


def remove(path: Path) -> None:
    """Remove a file, for good.

    Raises:
        OSError: the disk refused.
    """
    path.unlink(missing_ok=True)
    _sync(path.parent)


def read(path: Path) -> dict[str, Any] | None:
    """A JSON object; ``None`` when there is none or it is not whole.

    Raises:
        OSError: it is there and cannot be read.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return plain if isinstance(plain, dict) else None


def append(path: Path, line: Mapping[str, Any]) -> None:
    """Add one JSON line to a file, and wait until the disk has it.

    Raises:
        OSError: the disk refused.
    """
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
