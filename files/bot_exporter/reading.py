"""Reading files that a bot is writing, or that something has spoilt: without waiting, and without following anything.

A bot owns the directories below ``data/<bot>``. So a name there may be a link, a pipe, or gone.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

READ_AT_ONCE = 4 << 20
"""Bytes of one growing file that one scrape reads at most; the next scrape goes on from there."""


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading, at once.

    Raises:
        OSError: there is none, it is a link, a pipe or a directory, or it may not be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is no regular file")
    return os.fdopen(descriptor, "rb")


def status(path: Path) -> os.stat_result | None:
    """What the file system says of a regular file; ``None`` when there is none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def newest(directory: Path, pattern: str) -> Path | None:
    """The regular file of a pattern that was written last."""
    found = [(info.st_mtime, path) for path in directory.glob(pattern) if (info := status(path)) is not None]
    return max(found)[1] if found else None


@dataclass
class Growing:
    """How far a growing file was read. A file that was replaced or cut is read from its start."""

    inode: int = -1
    offset: int = 0

    def new_lines(self, path: Path, *, from_end: bool = False) -> tuple[bool, list[bytes]]:
        """The whole lines that came since the last call, and whether this is another file than then.

        Args:
            path: the file.
            from_end: of the very first file, leave out what is there already.

        Raises:
            OSError: it cannot be read.
        """
        with open_regular(path) as file:
            info = os.fstat(file.fileno())
            first, other = self.inode < 0, info.st_ino != self.inode or info.st_size < self.offset
            if other:
                self.inode, self.offset = info.st_ino, 0
            if first and from_end:
                self.offset = info.st_size
            file.seek(self.offset)
            data = file.read(READ_AT_ONCE)
        end = data.rfind(b"\n") + 1
        if end == 0 and len(data) == READ_AT_ONCE:
            end = len(data)  # a line of that length is no line
        self.offset += end
        return other, data[:end].splitlines()
