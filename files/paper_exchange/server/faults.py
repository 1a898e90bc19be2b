"""Misbehaviour on demand: what a real exchange does on a bad day, switched on by hand or by a test.

A fault lasts until cleared, for a number of uses or for a time, and never across a restart.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation

_ABNORMAL = "System is abnormal, please try again later"

# Kind: what it does, and its parameters with their defaults.
KINDS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "refuse-place": ("orders are refused", {"status": "400", "code": "40015", "message": _ABNORMAL}),
    "refuse-cancel": (
        "cancels are refused, the order stays",
        {"status": "400", "code": "40015", "message": _ABNORMAL},
    ),
    "lost-cancel": ("cancels are acknowledged, the order stays", {}),
    "http-error": (
        "an endpoint answers an HTTP error",
        {"endpoint": "*", "status": "500", "code": "40015", "message": _ABNORMAL},
    ),
    "rate-limit": ("an endpoint answers 429 beyond so many calls a second", {"endpoint": "*", "per_s": "10"}),
    "latency": (
        "an endpoint answers late, by up to jitter_ms more or less",
        {"endpoint": "*", "ms": "1000", "jitter_ms": "0"},
    ),
    "lost-reply": ("an endpoint does its work and closes the connection unanswered", {"endpoint": "*"}),
    "malformed": ("an endpoint does its work and answers something that is no JSON", {"endpoint": "*"}),
    "truncated": ("an endpoint does its work and its answer breaks off half-way", {"endpoint": "*"}),
    "maintenance": (
        "the exchange is closed: sockets are cut and refused, everything answers 503 but the time and the symbols, "
        "which say halt",
        {"status": "503", "code": "40200", "message": "Server upgrade, please try again later"},
    ),
    "drop-sockets": ("sockets are cut again and again", {"side": "all", "every_s": "20"}),
    "refuse-socket": ("new WebSocket connections are refused", {"side": "all"}),
    "silent-sockets": ("nothing at all comes through the sockets, pongs neither; they stay open", {}),
    "stale-book": ("book pushes stop, trades and REST go on", {}),
    "silent-feed": ("all public pushes stop, the socket stays open", {}),
    "silent-account": ("all private pushes stop, the socket stays open", {}),
    "late-feed": ("all pushes come late, by up to jitter_ms more or less", {"ms": "2000", "jitter_ms": "1000"}),
    "duplicate-events": ("every push of trades, fills, orders and balances comes twice", {}),
    "shuffled-events": ("private pushes come in any order, each up to so late", {"ms": "1500"}),
    "crossed-book": ("the book that is pushed and asked for has its bids above its asks", {"bps": "5"}),
    "thin-book": ("nobody quotes nearer to mid than so many basis points: a wide market", {"bps": "40"}),
    "price-jump": ("the whole market trades so many per cent higher, or lower", {"percent": "3"}),
    "clock-skew": ("the exchange's clock is off", {"ms": "2000"}),
    "wrong-balance": ("a coin's free balance is shown off by an amount", {"coin": "", "amount": "-100"}),
    "partial-fills": ("fills take a tiny share of the volume printed through", {"participation": "0.0001"}),
}

_WHOLE = ("status", "ms", "jitter_ms", "per_s")
# Name: (exclusive lower bound, inclusive upper bound).
_RANGES: Mapping[str, tuple[Decimal, Decimal]] = {
    "participation": (Decimal(0), Decimal(1)),
    "every_s": (Decimal(0), Decimal(86400)),
    "bps": (Decimal(0), Decimal(9999)),
    "amount": (Decimal("-1e12"), Decimal("1e12")),
    "percent": (Decimal(-90), Decimal(900)),
}


class FaultError(Exception):
    """A fault that does not exist or cannot be set so; the message says what can."""


def check(kind: str, parameters: Mapping[str, str]) -> dict[str, str]:
    """The parameters of a fault, defaults filled in.

    Raises:
        FaultError: no such kind, no such parameter, or a value out of its range.
    """
    if kind not in KINDS:
        raise FaultError(f"no fault {kind!r}: one of {', '.join(KINDS)}")
    defaults = KINDS[kind][1]
    for name in parameters:
        if name not in defaults:
            raise FaultError(f"{kind} has no parameter {name!r}: {', '.join(defaults) or 'none'}")
    values = {**defaults, **parameters}
    for name in _WHOLE:
        if name in values and not values[name].removeprefix("-").isdigit():
            raise FaultError(f"{kind}: {name} must be a whole number")
    for name, (above, most) in _RANGES.items():
        if name in values:
            try:
                number = Decimal(values[name])
            except InvalidOperation:
                number = Decimal("NaN")
            if not (number.is_finite() and above < number <= most):
                raise FaultError(f"{kind}: {name} must be a number above {above}, up to {most}")
    if values.get("side", "all") not in ("public", "private", "all"):
        raise FaultError(f"{kind}: side must be public, private or all")
    return values


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
        noted: called when one is switched on, so that it can be told later that it was.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, noted: Callable[[], None] = lambda: None) -> None:
        self._clock = clock
        self._noted = noted
        self._on: dict[tuple[str, str], Fault] = {}
        self._calls: dict[str, deque[float]] = {}
        self._chance = random.Random()  # noqa: S311 - jitter, no secret

    def set(self, kind: str, parameters: Mapping[str, str], count: int | None, seconds: float | None) -> Fault:
        """Switch a fault on, replacing the same one.

        Raises:
            FaultError: see `check`.
        """
        values = check(kind, parameters)
        fault = Fault(kind, values, count, None if seconds is None else self._clock() + seconds)
        self._on[kind, values.get("endpoint", "")] = fault
        self._noted()
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

    def delay_s(self, kind: str, endpoint: str | None = None) -> float:
        """How long a fault that delays holds up this use, in seconds; 0 without it."""
        parameters = self.use(kind, endpoint)
        if parameters is None:
            return 0.0
        jitter = int(parameters.get("jitter_ms", "0"))
        return max(int(parameters["ms"]) + self._chance.uniform(-jitter, jitter), 0) / 1000

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
