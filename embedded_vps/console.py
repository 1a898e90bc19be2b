"""What a person sees: progress with elapsed seconds, and errors that name the fix."""

import sys
import time


class EmbeddedVpsError(Exception):
    """Something the person at the keyboard has to know or do; its text says what, and the fix."""


class Console:
    """Prints progress lines to standard error, each with the seconds since the command began."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._begun = time.monotonic()
        self._quiet = quiet

    @property
    def elapsed(self) -> float:
        """Seconds since the command began."""
        return time.monotonic() - self._begun

    def say(self, text: str) -> None:
        """Print one progress line."""
        if not self._quiet:
            print(f"[{self.elapsed:6.1f} s] {text}", file=sys.stderr, flush=True)

    def error(self, text: str) -> None:
        """Print an error, even when quiet."""
        print(f"[{self.elapsed:6.1f} s] ERROR: {text}", file=sys.stderr, flush=True)
