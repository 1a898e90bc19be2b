"""Misbehaviour on demand: what a real exchange does on a bad day, switched on by hand or by a test.

A fault lasts until cleared, for a number of uses or for a time, and never across a restart.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation

# Kind: what it does, and its parameters with their defaults.
KINDS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "refuse-place": (
        "orders are refused",
        {"status": "400", "code": "40015", "message": "System is abnormal, please try again later"},
    ),
    "refuse-cancel": (
        "cancels are refused, the order stays",
        {"status": "400", "code": "40015", "message": "System is abnormal, please try again later"},
    ),
    "lost-cancel": ("cancels are acknowledged, the order stays", {}),
    "http-error": (
        "an endpoint answers an HTTP error",
        {"endpoint": "*", "status": "500", "code": "40015", "message": "System is abnormal, please try again later"},
    ),
    "rate-limit": ("an endpoint answers 429 beyond so many calls a second", {"endpoint": "*", "per_s": "10"}),
    "latency": ("an endpoint answers late", {"endpoint": "*", "ms": "1000"}),
    "lost-reply": ("an endpoint does its work and closes the connection unanswered", {"endpoint": "*"}),
    "stale-book": ("book pushes stop, trades and REST go on", {}),
    "silent-feed": ("all public pushes stop, the socket stays open", {}),
    "silent-account": ("all private pushes stop, the socket stays open", {}),
    "clock-skew": ("the exchange's clock is off", {"ms": "2000"}),
    "partial-fills": ("fills take a tiny share of the volume printed through", {"participation": "0.0001"}),
}


class FaultError(Exception):
    """A fault that does not exist or cannot be set so; the message says what can."""


@dataclass(slots=True)
class Fault:
    """A fault that is on. ``left``: uses left; ``until``: end by the monotonic clock; None: no limit."""

    kind: str
    parameters: dict[str, str]
    left: int | None = None
    until: float | None = None


class Faults:
    """The faults that are on.

    Args:
        clock: a monotonic clock in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._on: dict[tuple[str, str], Fault] = {}
        self._calls: dict[str, deque[float]] = {}

    def set(self, kind: str, parameters: Mapping[str, str], count: int | None, seconds: float | None) -> Fault:
        """Switch a fault on, replacing the same one.

        Raises:
            FaultError: no such kind, no such parameter, or a value that is no number where one is needed.
        """
        if kind not in KINDS:
            raise FaultError(f"no fault {kind!r}: one of {', '.join(KINDS)}")
        defaults = KINDS[kind][1]
        for name in parameters:
            if name not in defaults:
                raise FaultError(f"{kind} has no parameter {name!r}: {', '.join(defaults) or 'none'}")
        values = {**defaults, **parameters}
        for name in ("status", "ms", "per_s"):
            if name in values and not values[name].lstrip("-").isdigit():
                raise FaultError(f"{kind}: {name} must be a whole number")
        if "participation" in values:
            try:
                share = Decimal(values["participation"])
            except InvalidOperation:
                share = Decimal(0)
            if not 0 < share <= 1:
                raise FaultError(f"{kind}: participation must be in (0, 1]")
        fault = Fault(kind, values, count, None if seconds is None else self._clock() + seconds)
        self._on[kind, values.get("endpoint", "")] = fault
        return fault

    def clear(self, kind: str | None = None) -> int:
        """Switch one kind off, or everything; returns how many were on."""
        gone = [key for key in self._on if kind in (None, key[0])]
        for key in gone:
            del self._on[key]
        return len(gone)

    def active(self) -> list[Mapping[str, object]]:
        """What is on, for people."""
        now = self._clock()
        return [
            {**asdict(fault), "until": None if fault.until is None else round(fault.until - now, 1)}
            for fault in (self._live(key) for key in list(self._on))
            if fault is not None
        ]

    def use(self, kind: str, endpoint: str | None = None) -> Mapping[str, str] | None:
        """The parameters of a fault if it strikes now, None otherwise; counts as one use."""
        for key in ((kind, ""),) if endpoint is None else ((kind, endpoint), (kind, "*")):
            fault = self._live(key)
            if fault is not None:
                if fault.left is not None:
                    fault.left -= 1
                return fault.parameters
        return None

    def exceeds_rate(self, endpoint: str) -> bool:
        """Whether this call to an endpoint is one too many under a rate-limit fault."""
        parameters = self.use("rate-limit", endpoint)
        if parameters is None:
            return False
        now = self._clock()
        calls = self._calls.setdefault(endpoint, deque())
        while calls and calls[0] <= now - 1:
            calls.popleft()
        if len(calls) >= int(parameters["per_s"]):
            return True
        calls.append(now)
        return False

    def _live(self, key: tuple[str, str]) -> Fault | None:
        fault = self._on.get(key)
        if fault is None:
            return None
        if fault.left == 0 or (fault.until is not None and fault.until <= self._clock()):
            del self._on[key]
            return None
        return fault
