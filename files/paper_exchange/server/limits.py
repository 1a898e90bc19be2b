"""Bitget's limits of calls: so many in a second per endpoint, by account where signed, by address where public."""

import time
from collections import deque
from collections.abc import Callable, Mapping

# Calls a second by the last part of the path; what is not here may be called 20 times.
PER_SECOND: Mapping[str, int] = {
    "time": 20,
    "coins": 3,
    "symbols": 20,
    "vip-fee-rate": 10,
    "tickers": 20,
    "orderbook": 20,
    "merge-depth": 20,
    "candles": 20,
    "history-candles": 20,
    "fills-history": 10,
    "info": 1,
    "assets": 10,
    "trade-rate": 10,
    "place-order": 10,
    "cancel-order": 10,
    "batch-orders": 5,
    "batch-cancel-order": 10,
    "cancel-symbol-order": 5,
    "cancel-replace-order": 5,
    "batch-cancel-replace-order": 5,
    "orderInfo": 20,
    "unfilled-orders": 20,
    "history-orders": 20,
    "fills": 10,
}
_OTHERWISE = 20


class CallLimits:
    """Counts calls over the second that is passing.

    Args:
        clock: a monotonic clock in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._calls: dict[tuple[str, str], deque[float]] = {}

    def exceeds(self, caller: str, endpoint: str) -> bool:
        """Whether this call is one too many; only calls that are let through count."""
        now = self._clock()
        calls = self._calls.setdefault((caller, endpoint), deque())
        while calls and calls[0] <= now - 1:
            calls.popleft()
        if len(calls) >= PER_SECOND.get(endpoint, _OTHERWISE):
            return True
        calls.append(now)
        return False
