"""One moment of a journal, for a person who asks why the bot did that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..report.figures import time_text
from .entries import DECIDE, PlainCall
from .reader import JournalError, Segment
from .verify import Replayer


@dataclass(frozen=True, slots=True)
class Moment:
    """One tick and what was told to the core since the tick before."""

    segment: Segment
    tick: PlainCall
    since: tuple[PlainCall, ...]
    figures: dict[str, Any]
    """What the core computed on the way, from its own minute row; empty when another core wrote the journal."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "segment": self.segment.path.name,
            "call": self.tick.number,
            "snapshot": dict(self.tick.given),
            "decision": self.tick.came,
            "raised": self.tick.raised,
            "figures": self.figures,
            "since_the_tick_before": [
                {"call": call.name, "in": dict(call.given), "out": call.came, "raised": call.raised}
                for call in self.since
            ],
        }


def find(segments: Sequence[Segment], at: float, *, same_core: bool) -> Moment:
    """The last tick that is not later than ``at``.

    Args:
        segments: oldest first.
        at: unix seconds.
        same_core: whether this core wrote the journal, so that its figures can be computed again.

    Raises:
        JournalError: there is no tick by then, or a segment is malformed.
    """
    for segment in reversed([one for one in segments if one.head.began <= at]):
        moment = _last(segment, at, same_core=same_core)
        if moment is not None:
            return moment
    if not segments:
        raise JournalError("the journal is empty")
    raise JournalError(
        f"no tick by {time_text(at)}: the journal goes from {time_text(segments[0].head.began)} on; times are UTC"
    )


def _last(segment: Segment, at: float, *, same_core: bool) -> Moment | None:
    replayer = Replayer(segment) if same_core else None
    tick: PlainCall | None = None
    since: tuple[PlainCall, ...] = ()
    figures: dict[str, Any] = {}
    between: list[PlainCall] = []
    calls: Iterable[PlainCall] = segment.calls()
    for call in calls:
        if call.name == DECIDE and call.ts is not None and call.ts > at:
            break
        if replayer is not None:
            replayer.again(call)
        if call.name != DECIDE:
            between.append(call)
            continue
        tick, since = call, tuple(between)
        between.clear()
        if replayer is not None:
            figures = asdict(replayer.engine.minute_row())
    return None if tick is None else Moment(segment, tick, since, figures)


def as_text(moment: Moment) -> str:
    """For a terminal."""
    head, tick = moment.segment.head, moment.tick
    given, came = tick.given, tick.came
    lines = [
        f"{time_text(given['ts'])}  {head.instance}_{head.variant}, {head.mode}, call {tick.number} of "
        f"{moment.segment.path.name}",
        "",
    ]
    if came is None:
        lines.append(f"the core raised {tick.raised}")
        came = {"state": "-", "reasons": [], "regime": "-", "cancel": [], "place": [], "alerts": [], "events": []}
    lines.append(f"state       {came['state']}, {came['regime']}")
    lines += [
        f"  because   {reason['code']}: {reason['detail']}; {reason['ends']} ({reason['state']})"
        for reason in came["reasons"]
    ]
    lines += [
        f"market      bid {_shown(given['bid'])}  ask {_shown(given['ask'])}  last {_shown(given['last'])}  "
        f"newest message {given['book_age_s']:.1f} s old",
        f"balances    base {given['base_total']} ({given['base_available']} free)  "
        f"quote {given['quote_total']} ({given['quote_available']} free)",
        f"fee         {_shown(given['maker_fee'])}",
    ]
    unusual = [name for name in ("connector_ready", "start_swept", "routing_agrees") if not given[name]]
    unusual += [name for name in ("foreign_orders", "kill_file") if given[name]]
    if unusual:
        lines.append(f"unusual     {', '.join(f'{name} {given[name]}' for name in unusual)}")
    if moment.figures:
        lines += _figures(moment.figures)
    else:
        lines.append("figures     written by another core: only what it was given and said is known")
    lines.append(f"orders      {len(given['orders'])}")
    lines += [f"  {_order(order, given['ts'])}" for order in given["orders"]]
    lines.append("decision    " + ("nothing to do" if not _acts(came) else ""))
    lines += [f"  cancel    {order_id}" for order_id in came["cancel"]]
    lines += [f"  cancel    {order_id}, by a direct request" for order_id in came.get("direct_cancel", [])]
    if came.get("direct_cancel_all"):
        lines.append("  cancel    every own order, by direct requests")
    lines += [
        f"  place     {order['side']} level {order['level']}: {order['amount']} at {order['price']}"
        for order in came["place"]
    ]
    lines += [f"  alert     {code}" for code in came["alerts"]]
    lines += [f"  event     {event['code']}: {event['detail']}" for event in came["events"]]
    if moment.since:
        lines.append("told since the tick before")
        lines += [f"  {call.name}  {_given(call)}" for call in moment.since]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _acts(came: dict[str, Any]) -> bool:
    return any(came.get(name) for name in ("cancel", "direct_cancel", "direct_cancel_all", "place", "alerts", "events"))


def _figures(figures: dict[str, Any]) -> list[str]:
    percents = {
        "share in base": ("base_pct", 2), "target": ("target_base_pct", 2), "spread": ("spread_pct", 3),
        "floor": ("spread_floor_pct", 3), "margin": ("quote_margin_pct", 3), "skew": ("skew", 3),
        "adverse": ("adverse_pct", 3), "band": ("band_pct", 3),
    }  # fmt: skip
    shown = [
        f"{name} {figures[column]:.{digits}%}"
        for name, (column, digits) in percents.items()
        if figures[column] is not None
    ]
    first, rest = shown[:4], shown[4:]
    lines = ["figures     " + "  ".join([*first, f"turnover {figures['turnover_x']:.2f}x"])]
    if rest:
        lines.append("            " + "  ".join(rest))
    return lines


def _order(order: Any, ts: float) -> str:
    return (
        f"{order['side']:<4} level {order['level']}: {order['remaining']} at {order['price']}, "
        f"{ts - order['asked_ts']:.0f} s old, "
        f"{order['state']}  {order['order_id']}"
    )


def _given(call: PlainCall) -> str:
    plain = call.given.get("fill", call.given)
    if call.name == "seed_bars":
        return f"{len(plain['bars'])} bars"
    words = "  ".join(f"{name} {value}" for name, value in plain.items() if value is not None)
    return words + (f"  -> raised {call.raised}" if call.raised else "")


def _shown(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g}" if abs(value) < 1 else f"{value:.10g}"
