"""How long a message is under way: to the exchange, and from it to a subscriber."""

import asyncio
import random
import time
from collections.abc import Callable


class Latency:
    """Delays of ``mean_ms`` ± ``jitter_ms``, evenly spread. Messages of one stream never overtake one another.

    Args:
        mean_ms: the mean, in milliseconds.
        jitter_ms: the most above or below it.
        clock: a monotonic clock in seconds, the event loop's.
    """

    def __init__(self, mean_ms: float, jitter_ms: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._mean, self._jitter = mean_ms / 1000, jitter_ms / 1000
        self._clock = clock
        self._last: dict[str, float] = {}
        self._chance = random.Random()  # noqa: S311 - jitter, no secret

    def due(self, stream: str, extra_s: float = 0.0) -> float:
        """When a message that is sent now arrives, by the clock; 0 for at once."""
        if not (self._mean or extra_s) and self._last.get(stream, 0.0) <= self._clock():
            return 0.0
        arrival = self._clock() + max(self._mean + self._chance.uniform(-self._jitter, self._jitter), 0.0) + extra_s
        # Later than the one before by enough for the event loop to tell them apart.
        arrival = max(arrival, self._last.get(stream, 0.0) + 1e-6)
        self._last[stream] = arrival
        return arrival

    async def travel(self, stream: str) -> None:
        """Wait until a message that is sent now has arrived."""
        due = self.due(stream)
        if due:
            await asyncio.sleep(max(due - self._clock(), 0.0))
