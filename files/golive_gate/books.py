"""The part of a bot's books that counts: rows of exactly what will run, from the last change on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from epp.books.columns import PROVENANCE
from epp.report import BookError, Figures, FillRow, MinuteRow, UnavailableError, figures_of, read_fills, read_minutes

from .limits import Limits
from .request import Request


@dataclass(slots=True)
class Evidence:
    """What the books hold that counts."""

    figures: Figures | None = None
    missing: str = ""
    """Why there are no figures."""
    begin: float | None = None
    """Rows count after this moment; None: all do."""
    restarted_by: str = ""
    """What stands last among what does not count."""
    minutes: set[int] = field(default_factory=set)
    """Wall-clock minutes of the window with a row."""
    opened: float = 0.0
    last: MinuteRow | None = None
    fills: list[FillRow] = field(default_factory=list)
    least_floor: float | None = None
    """Smallest spread floor quoted with."""
    changes: int = 0
    """Changes of the trading state."""
    states: dict[str, int] = field(default_factory=dict)
    hard_stops: int = 0
    """Rows in ``hard_stop``."""

    @property
    def expected_minutes(self) -> int:
        """Wall-clock minutes from the window's opening to the last row."""
        return 0 if self.last is None else int(self.last.ts // 60) - int(self.opened // 60) + 1

    @property
    def coverage(self) -> float:
        """Share of the window's minutes with a row."""
        return len(self.minutes) / self.expected_minutes if self.expected_minutes else 0.0

    @property
    def soft_pause(self) -> float:
        """Share of the window's time in ``soft_pause``."""
        spent = {} if self.figures is None else self.figures.state_seconds
        whole = sum(spent.values())
        return spent.get("soft_pause", 0.0) / whole if whole else 0.0


class _Observer:
    """Gathers what the figures do not hold."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence

    def opened(self, ts: float) -> None:
        self._evidence.opened = ts

    def minute(self, row: MinuteRow) -> None:
        evidence = self._evidence
        evidence.minutes.add(int(row.ts // 60))
        if evidence.last is not None and evidence.last.state != row.state:
            evidence.changes += 1
        evidence.states[row.state] = evidence.states.get(row.state, 0) + 1
        evidence.hard_stops += row.state == "hard_stop"
        if row.spread_floor_pct is not None:
            least = evidence.least_floor
            evidence.least_floor = row.spread_floor_pct if least is None else min(least, row.spread_floor_pct)
        evidence.last = row

    def fill(self, row: FillRow) -> None:
        self._evidence.fills.append(row)


def alien(request: Request, limits: Limits, *, live: bool) -> Callable[[MinuteRow | FillRow], str]:
    """A judge of rows: why one is not of what will run; empty when it is."""
    wanted = {
        "instance": request.bot,
        "variant": request.variant,
        "mode": "live" if live else "paper",
        "strategy_hash": request.strategy_hash,
        "config_hash": request.config_hash,
    }
    sources = ("exchange",) if live else limits.market_sources

    def why(row: MinuteRow | FillRow) -> str:
        cells = dict(zip(PROVENANCE, row.provenance, strict=True))
        for name, value in wanted.items():
            if cells[name] != value:
                return f"{name} {cells[name] or 'empty'} where {value} will run"
        if cells["market_source"] not in sources:
            return f"market_source {cells['market_source'] or 'empty'}, and only {' or '.join(sources)} counts"
        if not limits.any_speed and _number(cells["speed"]) != 1.0:
            return f"speed {cells['speed'] or 'empty'}, and only 1 counts"
        if row.trading_pair != request.trading_pair:
            return f"{row.trading_pair} where {request.trading_pair} will run"
        return ""

    return why


def read_evidence(books: Path, request: Request, limits: Limits) -> Evidence:
    """The part of the books that counts, with its figures."""
    live = request.kind != "entry"
    evidence = Evidence()
    judge = alien(request, limits, live=live)
    try:
        _find_begin(evidence, (read_minutes(books / "minute.csv"), read_fills(books / "fills.csv")), judge)
        if not live and request.assumed is not None:
            _not_before(evidence, request.assumed.unchanged_since, "the paper exchange's configuration changed")
            _not_before(evidence, request.assumed.faults_until, "the paper exchange was misbehaving on demand")
        begin = None if evidence.begin is None else evidence.begin + 1e-3
        evidence.figures = figures_of(books, begin=begin, observer=_Observer(evidence))
    except BookError as error:
        evidence.missing = str(error)
    except UnavailableError as error:
        evidence.missing = evidence.restarted_by or str(error)
    return evidence


def _find_begin(
    evidence: Evidence,
    books: Iterable[Iterable[MinuteRow | FillRow]],
    judge: Callable[[MinuteRow | FillRow], str],
) -> None:
    for rows in books:
        for row in rows:
            if why := judge(row):
                _not_before(evidence, row.ts, why)


def _not_before(evidence: Evidence, ts: float, why: str) -> None:
    if ts and (evidence.begin is None or ts >= evidence.begin):
        evidence.begin = ts
        evidence.restarted_by = f"{why} (until {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(ts))} UTC)"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def newest_minute(books: Path) -> tuple[MinuteRow | None, str]:
    """The last minute row whatever it is of, and why there is none."""
    last: MinuteRow | None = None
    try:
        for row in read_minutes(books / "minute.csv"):
            last = row
    except BookError as error:
        return None, str(error)
    return last, "" if last is not None else f"{books / 'minute.csv'} has no row"


def same_fills(booked: Iterable[FillRow], listed: dict[str, tuple[str, Decimal, Decimal]]) -> tuple[int, list[str]]:
    """Compare booked fills with the exchange's (side, price, amount by trade id): how many agree, and what does not."""
    agree = 0
    faults = []
    seen = set()
    for row in booked:
        seen.add(row.trade_id)
        theirs = listed.get(row.trade_id)
        ours = ("buy" if row.is_buy else "sell", row.price, row.amount_base)
        if theirs is None:
            faults.append(f"{row.trade_id} is in fills.csv only")
        elif theirs != ours:
            faults.append(f"{row.trade_id} differs: {ours} against {theirs}")
        else:
            agree += 1
    faults += [f"{trade_id} is on the exchange only" for trade_id in listed if trade_id not in seen]
    return agree, faults
