"""What a person watching is told. Whether anybody still listens must not matter to the work."""

from __future__ import annotations

import sys
from contextlib import suppress


def say(text: str) -> None:
    """One line of progress."""
    with suppress(OSError):
        print(text, flush=True)


def complain(text: str) -> None:
    """One line about what went wrong."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)
