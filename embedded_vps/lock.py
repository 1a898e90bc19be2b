"""Locks between commands: of a checkout, of a machine, of what a machine's checkouts share."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedded_vps.console import Console


@contextmanager
def alone(path: Path, console: Console) -> Iterator[None]:
    """Hold a lock, which is waited for and said to be waited for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.say("waiting for another embedded_vps command to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
