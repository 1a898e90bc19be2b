"""What a replay foretold, beside what the bot did; and what a rehearsal takes a replay for."""

from __future__ import annotations

from epp.books.columns import PROVENANCE
from epp.report import BookError, Figures, read_fills, read_minutes
from epp.source import core_hash

from .books import Evidence
from .limits import Limits
from .request import Request
from .verdict import Item, item, note

EDGE_S = 300.0
"""How far a replay may begin after the live window, or end before it."""

LEAST_FILLS = 10
"""Under so many fills of a replay a quotient says nothing."""


def fills_as_foretold(request: Request, evidence: Evidence, limits: Limits) -> Item:
    """A live bot fills about as often as a replay of the same days: else its evidence was another market's."""
    low, high = limits.fills_of_replay
    key, title = "fills_of_replay", f"its fills are {low:g} to {high:g} times those of a replay of the same time"
    figures, last = evidence.figures, evidence.last
    if figures is None or last is None:
        return item(key, title, ok=False, evidence=evidence.missing)
    if request.replay_books is None:
        why = "there is no replay: golive_gate_replay names one of these days (docs/golive.md, More money)"
        return item(key, title, ok=False, evidence=why)
    try:
        first, until, alien = _extent(request)
        foretold = sum(evidence.opened < row.ts <= last.ts for row in read_fills(request.replay_books / "fills.csv"))
    except BookError as error:
        return item(key, title, ok=False, evidence=str(error))
    if alien:
        return item(key, title, ok=False, evidence=alien)
    if first > evidence.opened + EDGE_S or until < last.ts - EDGE_S:
        why = f"the replay is not of the whole time from {figures.opened_at} to {figures.ended_at}"
        return item(key, title, ok=False, evidence=why)
    if foretold < LEAST_FILLS:
        why = f"the replay made {foretold} fills in this time: under {LEAST_FILLS} nothing can be compared, wait"
        return item(key, title, ok=False, evidence=why)
    times = figures.fills / foretold
    said = f"{figures.fills} fills live, {foretold} in the replay: {times:.2f} times"
    return item(key, title, ok=low <= times <= high, evidence=said)


def _extent(request: Request) -> tuple[float, float, str]:
    """From when to when the replay's rows are, and why it is none of this bot's strategy and pair.

    Raises:
        BookError: its books cannot be read.
    """
    assert request.replay_books is not None  # noqa: S101 -- asked before
    first = last = 0.0
    for row in read_minutes(request.replay_books / "minute.csv"):
        first, last = first or row.ts, row.ts
        cells = dict(zip(PROVENANCE, row.provenance, strict=True))
        if (cells["mode"], cells["variant"], row.trading_pair) != ("replay", request.variant, request.trading_pair):
            return 0.0, 0.0, f"this is no replay of variant {request.variant} on {request.trading_pair}"
        if cells["strategy_hash"] != core_hash():
            return 0.0, 0.0, f"the replay is of another strategy: {cells['strategy_hash']}, and {core_hash()} runs"
    return first, last, ""


def of_a_rehearsal(request: Request, figures: Figures | None) -> Item:
    """That the weeks of a rehearsal are a replay's, which its rows say."""
    title = "the weeks that the figures are of are a replay's"
    if request.replay_books is None or figures is None:
        return note("replay", title, "there is no replay: the figures are those of the minutes above")
    rows = ", ".join(f"{name} {' and '.join(values)}" for name, values in figures.provenance.items() if values != ("",))
    said = f"{figures.days:.1f} days to {figures.ended_at}, {figures.fills} fills; its rows say: {rows}"
    return note("replay", title, said)
