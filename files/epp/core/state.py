"""The engine's whole memory as one value, to and from plain data.

A restart from ``to_dict`` resumes exactly. ``from_dict`` takes nothing on trust: whatever is not, to the last key, a
state that this version would have written is refused, so that a torn or alien file never becomes a silent reset.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Self

from pydantic import ConfigDict, TypeAdapter, ValidationError

from . import guard
from .costs import MarkoutState
from .guard import GuardMemory
from .inventory import TargetState
from .ledger import LedgerState
from .market import MarketState
from .regime import RegimeState

SCHEMA: Final = 1


class StateError(ValueError):
    """The data is not a state of this schema."""


@dataclass(slots=True)
class QuotedOrder:
    """What was expected of an order when it was placed, for the books of its fills."""

    spread_pct: float
    margin_pct: float


@dataclass(slots=True)
class State:
    """Everything that the engine remembers."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    schema: int = SCHEMA
    market: MarketState = field(default_factory=MarketState)
    regime: RegimeState = field(default_factory=RegimeState)
    markout: MarkoutState = field(default_factory=MarkoutState)
    target: TargetState = field(default_factory=TargetState)
    guard: GuardMemory = field(default_factory=GuardMemory)
    ledger: LedgerState = field(default_factory=LedgerState)
    quoted: dict[str, QuotedOrder] = field(default_factory=dict)
    """Recent placements by side and price, oldest first."""

    @classmethod
    def new(cls, *, reconcile: str = "") -> Self:
        """A first state; ``reconcile`` says why history is missing and makes it start in ``soft_pause: reconcile``."""
        state = cls()
        state.guard.reconcile = reconcile
        return state

    def stay_latched(self, code: str, detail: str, ts: float) -> None:
        """Take over a hard stop that was latched before and that this state may not know."""
        guard.latch(self.guard, code, detail, ts)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: JSON's types only, amounts of money as strings."""
        plain: dict[str, Any] = _ADAPTER.dump_python(self, mode="json")
        return plain

    @classmethod
    def from_dict(cls, plain: object) -> "State":
        """The state that ``to_dict`` was called on.

        Raises:
            StateError: another schema version, a key too many or too few, or a value of the wrong kind.
        """
        if not isinstance(plain, dict):
            raise StateError(f"not an object but {type(plain).__name__}")
        if plain.get("schema") != SCHEMA:
            raise StateError(f"schema {plain.get('schema')!r} instead of {SCHEMA}")
        try:
            state = _ADAPTER.validate_python(plain)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise StateError(f"{where}: {first['msg']}") from error
        # A key left out would have been filled with its default, a key unknown dropped: both show when written again.
        difference = _difference(plain, state.to_dict(), "")
        if difference:
            raise StateError(difference)
        return state


_ADAPTER: Final = TypeAdapter(State)


def _difference(given: object, written: object, where: str) -> str:
    """The first place where two plain values differ, or an empty string."""
    if isinstance(given, dict) and isinstance(written, dict):
        for key in given.keys() | written.keys():
            place = f"{where}.{key}" if where else str(key)
            if key not in given:
                return f"{place} is missing"
            if key not in written:
                return f"{place} is unknown"
            found = _difference(given[key], written[key], place)
            if found:
                return found
        return ""
    if isinstance(given, list) and isinstance(written, list) and len(given) == len(written):
        for index, (one, other) in enumerate(zip(given, written, strict=True)):
            found = _difference(one, other, f"{where}.{index}")
            if found:
                return found
        return ""
    return "" if given == written else f"{where} is {given!r}, which is not how a state is written"
