"""The steps after a trip: stop the bot, cancel, see zero twice. Pure.

The latch is on the disk before the first step. A first cancel goes out at once, because a bot that is frozen or gone
takes ten seconds to be stopped; only what is seen after the stop is proof.
"""

from __future__ import annotations

from dataclasses import dataclass

STOP_WITHIN_S = 13.0
"""The host stops the container within ten seconds, by a kill at the end. After this the cancels no longer wait."""

APART_S = 10.0
"""Between the two looks that prove it."""


@dataclass(slots=True)
class Steps:
    """How far a stop has come; all times are unix seconds, 0 while a step is not done."""

    latched: float
    stopped: float = 0.0
    """The container was seen stopped, or :data:`STOP_WITHIN_S` are over."""
    stop_proven: bool = False
    zero: float = 0.0
    """First of the looks in a row that showed no own order."""
    proved: float = 0.0
    """Second such look, :data:`APART_S` after the first."""

    def look_at_bot(self, now: float, *, stopped: bool, watched: bool) -> bool:
        """Take in what is known of the container; whether this is news.

        Args:
            now: when it was looked at.
            stopped: whether the container is known not to run.
            watched: whether this machine has the container at all; a second watchdog elsewhere waits for nothing.
        """
        if stopped and not self.stop_proven:
            self.stopped, self.stop_proven = now, True
            self.zero = self.proved = 0.0
            return True
        if not stopped and self.stop_proven:
            self.stop_proven = False  # somebody started it again; the host stops it again
            return True
        if not self.stopped and (not watched or now - self.latched > STOP_WITHIN_S):
            self.stopped = now
            return True
        return False

    def look_at_orders(self, now: float, own: int) -> bool:
        """Take in the exchange's list; whether this look completes the proof, or breaks one that was complete."""
        if own:
            broken = bool(self.proved)
            self.zero = self.proved = 0.0
            return broken
        if not self.stopped:
            return False
        if not self.zero:
            self.zero = now
        if not self.proved and now - self.zero >= APART_S:
            self.proved = now
            return True
        return False
