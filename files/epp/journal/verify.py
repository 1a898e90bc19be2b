"""Makes every decision of a journal again and compares."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..core import Engine, EppParameters, RunMemory, State, StateError
from .entries import DECIDE, PlainCall, arguments, plain_outcome, text
from .reader import JournalError, Segment

_PROGRESS_EVERY = 2000


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the core, called again, did otherwise."""

    segment: Path
    call: int
    """Number of the call in its segment; 0 is the state that the segment begins with."""
    name: str
    ts: float | None
    where: str
    """Path of the value that differs."""
    journal: str
    again: str


@dataclass(slots=True)
class Comparison:
    """What a verification found."""

    segments: int = 0
    starts: int = 0
    """Segments that begin with a start of the bot, or after a loss."""
    calls: int = 0
    ticks: int = 0
    placed: int = 0
    cancelled: int = 0
    fills: int = 0
    lost: int = 0
    """Calls that the bot could not write down."""
    cut: list[str] = field(default_factory=list)
    """Segments whose end a crash cut."""
    difference: Difference | None = None


class Replayer:
    """A core that goes through one segment.

    Args:
        segment: the segment.

    Raises:
        JournalError: its head's parameters or state are refused by this core.
    """

    def __init__(self, segment: Segment) -> None:
        head = segment.head
        try:
            self.engine = Engine(
                EppParameters.model_validate(head.parameters), State.from_dict(head.state), RunMemory(**head.run)
            )
        except (ValidationError, StateError, TypeError) as error:
            raise JournalError(f"{segment.path}: line 1: this core refuses its parameters or state: {error}") from error
        self._segment = segment

    def again(self, call: PlainCall) -> tuple[Any, str]:
        """Make a call again; what came out as plain data, and what was raised.

        Raises:
            JournalError: what the line says cannot be given to this core.
        """
        try:
            given = arguments(call.name, call.given)
        except (ValueError, KeyError, TypeError) as error:
            raise JournalError(f"{self._segment.path}: line {call.number + 1}: {error}") from error
        try:
            outcome = getattr(self.engine, call.name)(**given)
        except Exception as error:  # the core may have raised in the bot as well: that is what is compared
            return None, f"{type(error).__name__}: {error}"
        return plain_outcome(call.name, outcome), ""


def verify(segments: Iterable[Segment], progress: Callable[[int], None] | None = None) -> Comparison:
    """Go through segments, oldest first, up to the first difference.

    Args:
        segments: the segments.
        progress: gets the number of calls compared, now and then.

    Raises:
        JournalError: a segment is malformed.
    """
    found = Comparison()
    before: tuple[str, Engine] | None = None
    for segment in segments:
        replayer = Replayer(segment)
        found.segments += 1
        found.lost += segment.head.lost
        if before is not None and segment.head.after == before[0]:
            # The state that a segment begins with is the one that the calls before it lead to.
            difference = _difference(segment.head.state, _roundtrip(before[1].state.to_dict()), "state")
            if difference is None:
                difference = _difference(segment.head.run, _run(before[1]), "run")
            if difference is not None:
                found.difference = Difference(segment.path, 0, "state", segment.head.began, *difference)
                return found
        elif segment.head.after is None:
            found.starts += 1
        for call in segment.calls():
            came, raised = replayer.again(call)
            found.calls += 1
            _count(found, call)
            difference = _difference(call.raised, raised, "raised") or _difference(call.came, came, "")
            if difference is not None:
                found.difference = Difference(segment.path, call.number, call.name, call.ts, *difference)
                return found
            if progress is not None and not found.calls % _PROGRESS_EVERY:
                progress(found.calls)
        if segment.cut:
            found.cut.append(f"{segment.path.name}: {segment.cut}")
        before = (segment.name, replayer.engine)
    return found


def _count(found: Comparison, call: PlainCall) -> None:
    if call.name == DECIDE:
        found.ticks += 1
        if call.came is not None:
            found.placed += len(call.came["place"])
            found.cancelled += len(call.came["cancel"])
    elif call.name == "on_fill" and call.came is not None:
        found.fills += 1


def _run(engine: Engine) -> dict[str, Any]:
    memory = engine.run_memory
    return {"started": memory.started, "fee": memory.fee}


def _roundtrip(plain: Any) -> Any:
    return json.loads(json.dumps(plain))


def _difference(journal: Any, again: Any, where: str) -> tuple[str, str, str] | None:
    """The first place where two plain values differ: where, the journal's, the one made again."""
    if isinstance(journal, dict) and isinstance(again, dict):
        for key in dict.fromkeys((*journal, *again)):
            place = f"{where}.{key}" if where else str(key)
            if key not in journal or key not in again:
                return place, text(journal.get(key, "absent")), text(again.get(key, "absent"))
            if (found := _difference(journal[key], again[key], place)) is not None:
                return found
        return None
    if isinstance(journal, list) and isinstance(again, list) and len(journal) == len(again):
        for index, (one, other) in enumerate(zip(journal, again, strict=True)):
            if (found := _difference(one, other, f"{where}[{index}]")) is not None:
                return found
        return None
    one, other = text(journal), text(again)
    return None if one == other else (where or "outcome", one, other)
