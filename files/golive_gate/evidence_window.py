"""How long, how whole and how good the window of evidence is."""

from __future__ import annotations

from collections.abc import Iterator

from bitget_rest import Fill, UnreachableError
from bitget_rest.client import fill

from .books import Evidence, same_fills
from .limits import Limits
from .request import Request
from .verdict import Item, item, note

SETTLED_S = 60.0
"""A fill is in both lists so long after it."""


def window(request: Request, evidence: Evidence, limits: Limits) -> Iterator[Item]:
    """The window itself: of what it is, how long, how whole."""
    figures = evidence.figures
    sources = "the live exchange" if request.kind != "entry" else " or ".join(limits.market_sources)
    of_what = f"evidence is {request.bot}'s own, from {sources}{'' if limits.any_speed else ' at speed 1'}, without "
    of_what += "faults, with the code and configuration that will run"
    if figures is None:
        yield item("evidence_source", of_what, ok=False, evidence=evidence.missing)
        for key in ("window", "coverage", "soft_pause"):
            yield item(key, key.replace("_", " "), ok=False, evidence="no window: see above")
        return
    faults = request.assumed.faults if request.assumed is not None and request.kind == "entry" else ()
    since = f"; what came before does not count: {evidence.restarted_by}" if evidence.restarted_by else ""
    yield item(
        "evidence_source",
        of_what,
        ok=not faults,
        evidence=f"strategy {request.strategy_hash}, configuration {request.config_hash}, {request.trading_pair}, "
        f"{figures.minutes} rows from {figures.opened_at}{since}"
        if not faults
        else f"the paper exchange misbehaves on demand now: {', '.join(faults)}",
    )
    days = limits.live_days if request.kind == "raise" else limits.window_days if request.kind == "entry" else 0.0
    title = f"the window is at least {_days(days)} long"
    if limits.any_speed:
        title += " (a rehearsal's, shortened)"
    yield item(
        "window", title, ok=figures.days >= days, evidence=f"{_days(figures.days)}, to {figures.ended_at}{since}"
    )
    yield item(
        "coverage",
        f"a row for at least {limits.coverage:.0%} of its minutes",
        ok=evidence.coverage >= limits.coverage,
        evidence=f"{evidence.coverage:.2%}: {len(evidence.minutes)} of {evidence.expected_minutes} minutes",
    )
    yield item(
        "soft_pause",
        f"at most {limits.soft_pause:.0%} of its time in soft_pause, none in hard_stop",
        ok=evidence.soft_pause <= limits.soft_pause and not evidence.hard_stops,
        evidence=f"soft_pause {evidence.soft_pause:.1%}, hard_stop {evidence.hard_stops} min",
    )


def _days(days: float) -> str:
    return f"{days:.1f} days" if days >= 1 else f"{days * 1440:.0f} minutes"


def profit(evidence: Evidence, limits: Limits) -> Iterator[Item]:
    """Against holding the mix, and how sure that is."""
    figures = evidence.figures
    if figures is None:
        yield item("trading_pnl", "it beat holding its mix", ok=False, evidence=evidence.missing)
        yield item("bootstrap", "the profit is no accident", ok=False, evidence=evidence.missing)
        return
    yield item(
        "trading_pnl",
        "it beat holding its mix",
        ok=figures.versus_holding_quote > 0,
        evidence=f"{figures.versus_holding_quote:+.2f} ({figures.versus_holding_pct:+.2%}); holding made "
        f"{figures.holding_quote:+.2f}",
    )
    sure, trips = figures.round_trips.profitable_probability, figures.round_trips
    yield item(
        "bootstrap",
        f"P(profit factor > 1) is at least {limits.profitable_probability:.0%}",
        ok=sure is not None and sure >= limits.profitable_probability,
        evidence=trips.profitable_probability_note
        if sure is None
        else f"{sure:.1%}; {trips.profitable_probability_note}",
    )


def fills(request: Request, evidence: Evidence, live: list[Fill] | None) -> Item:
    """The fills that are booked are the exchange's: the paper exchange's, or those of the live account."""
    key, title = "fills_agree", "fills.csv and the exchange's own list of fills agree"
    listed = live
    if request.kind == "entry":
        try:
            listed = None if request.exchange_fills is None else [fill(row) for row in request.exchange_fills]
        except UnreachableError as error:
            return item(key, title, ok=False, evidence=f"the exchange's list could not be read: {error}")
    if listed is None or evidence.last is None:
        return item(key, title, ok=False, evidence=evidence.missing or "the exchange's list could not be read")
    # The newest may be in one of the two only.
    until = evidence.last.ts - SETTLED_S
    theirs = {
        each.trade_id: (each.side, each.price, each.amount) for each in listed if evidence.opened < each.ts <= until
    }
    ours = [row for row in evidence.fills if row.ts <= until]
    agree, faults = same_fills(ours, theirs)
    said = f"{agree} agree" + (f", {len(faults)} do not: {'; '.join(faults[:3])}" if faults else "")
    return item(key, title, ok=not faults, evidence=said)


def live_window(evidence: Evidence) -> Iterator[Item]:
    """What a bot that trades already is told of its figures: a window of days proves no profit."""
    figures = evidence.figures
    if figures is None:
        return
    yield note(
        "trading_pnl",
        "live so far against holding its mix",
        f"{figures.versus_holding_quote:+.2f} ({figures.versus_holding_pct:+.2%}), {figures.fills} fills in "
        f"{figures.days:.1f} days",
    )
