"""What a journal's lines say: the calls of the core, to and from plain data, exactly.

A segment is one file of JSON lines. The first is its head: whose it is, the code, the parameters, and the core's memory
before the first call. Every other line is one call, in the order they were made: what went in and what came out. Of
``decide``, which is called once a second, a line has only the fields that differ from the call before it in the file.

Floats are written so that they read back to the bit, money and amounts as the text of their decimals.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from inspect import signature
from typing import Any, Final, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter

from ..core import Engine

SCHEMA: Final = 1
"""Raise it when an older program could not read what this one writes."""

DECIDE: Final = "decide"

CALLS: Final = (
    DECIDE, "on_fill", "on_cancel", "on_cancel_failure", "on_placement_failure", "on_exception", "seed_bars",
    "reconcile_done", "pause", "resume", "reset", "transfer", "day_row_written",
)  # fmt: skip
"""The core's methods that change what it decides later."""

_LENIENT: Final = ConfigDict(allow_inf_nan=True)
"""A balance that is not a number is what the core must be shown, and so must the journal."""


class Head(BaseModel):
    """First line of a segment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    journal: Literal[1] = SCHEMA
    instance: str
    variant: str
    mode: str
    market_source: str
    speed: float
    strategy_hash: str
    """Of the strategy's files, as deployed."""
    config_hash: str
    core_hash: str
    """Of the core's source, as it ran."""
    python: str
    began: float
    """When the segment was begun, unix seconds."""
    after: str | None
    """Name of the segment that this one goes on from without a gap; None after a start, and after a loss."""
    lost: int
    """Calls that could not be written before this segment: the disk refused, or was too slow."""
    parameters: dict[str, Any]
    state: dict[str, Any]
    """The core's state before the first call."""
    run: dict[str, Any]
    """What it remembers beyond that."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the core."""

    name: str
    arguments: Mapping[str, Any]
    outcome: Any = None
    raised: str = ""
    """``Type: message`` when the core raised; there is no outcome then."""


@dataclass(frozen=True, slots=True)
class _Types:
    arguments: dict[str, TypeAdapter[Any]]
    outcome: TypeAdapter[Any]


@cache
def _types(name: str) -> _Types:
    method = getattr(Engine, name)
    hints = get_type_hints(method)
    # A tuple around each: pydantic hands a configuration on to dataclasses inside, but not to one at the top.
    adapters = {
        argument: TypeAdapter(tuple[hints[argument]], config=_LENIENT)  # type: ignore[valid-type]  # a type made here
        for argument in list(signature(method).parameters)[1:]
    }
    returned = hints["return"]
    return _Types(adapters, TypeAdapter(tuple[returned], config=_LENIENT))  # type: ignore[valid-type]  # a type made here


def plain_arguments(call: Call) -> dict[str, Any]:
    """What went in, as JSON's types."""
    types = _types(call.name).arguments
    plain = {name: types[name].dump_python((value,), mode="json")[0] for name, value in call.arguments.items()}
    return plain["snapshot"] if call.name == DECIDE else plain


def plain_outcome(name: str, outcome: Any) -> Any:
    """What came out, as JSON's types."""
    return _types(name).outcome.dump_python((outcome,), mode="json")[0]


def arguments(name: str, plain: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that :func:`plain_arguments` was given.

    Raises:
        ValueError: an unknown call, or a value of the wrong kind.
    """
    if name not in CALLS:
        raise ValueError(f"the core has no call {name!r}")
    if name == DECIDE:
        plain = {"snapshot": plain}
    types = _types(name).arguments
    return {argument: types[argument].validate_python((value,))[0] for argument, value in plain.items()}


def text(plain: Any) -> str:
    """One value's JSON. Two values are the same when this is."""
    return json.dumps(plain, separators=(",", ":"))


@dataclass(slots=True)
class Changes:
    """Mappings of which only what differs from the one before is written."""

    before: dict[str, str] = field(default_factory=dict)

    def line(self, plain: Mapping[str, Any]) -> str:
        """JSON of the fields that changed."""
        now = {name: text(value) for name, value in plain.items()}
        changed = ",".join(f'"{name}":{value}' for name, value in now.items() if self.before.get(name) != value)
        self.before = now
        return "{" + changed + "}"


class Encoder:
    """Calls to lines. One per segment."""

    def __init__(self) -> None:
        self._number = 0
        self._snapshots = Changes()
        self._decisions = Changes()

    def line(self, call: Call) -> str:
        """One line, without its end."""
        plain = plain_arguments(call)
        self._number += 1
        given = self._snapshots.line(plain) if call.name == DECIDE else text(plain)
        if call.raised:
            result = f'"raised":{text(call.raised)}'
        else:
            came = plain_outcome(call.name, call.outcome)
            result = f'"out":{self._decisions.line(came) if call.name == DECIDE else text(came)}'
        return f'{{"n":{self._number},"call":"{call.name}","in":{given},{result}}}'


class Decoder:
    """Lines to plain calls, in the order they were written. One per segment."""

    def __init__(self) -> None:
        self._number = 0
        self._snapshot: dict[str, Any] = {}
        self._decision: dict[str, Any] = {}

    def read(self, document: Mapping[str, Any]) -> PlainCall:
        """One call.

        Raises:
            ValueError: not a line of a journal, or a line is missing before it.
        """
        try:
            number, name, given = document["n"], document["call"], document["in"]
            raised = document.get("raised", "")
            came: Any = None if raised else document["out"]
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a journal's line: {error} is missing") from error
        if number != self._number + 1:
            raise ValueError(f"call {number} follows call {self._number}: lines are missing")
        self._number = number
        if name == DECIDE:
            given = self._snapshot = {**self._snapshot, **given}
            if not raised:
                came = self._decision = {**self._decision, **came}
        return PlainCall(number, name, given, came, raised)


@dataclass(frozen=True, slots=True)
class PlainCall:
    """One call as its line says, the unchanged fields filled in."""

    number: int
    name: str
    given: Mapping[str, Any]
    came: Any
    raised: str

    @property
    def ts(self) -> float | None:
        """When it was made; None when the call has no time."""
        found = self.given.get("ts")
        if found is None and isinstance(self.given.get("fill"), Mapping):
            found = self.given["fill"].get("ts")
        return None if found is None else float(found)
