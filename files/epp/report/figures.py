"""The validation figures: one pass over the books, in memory that does not grow with their length."""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Protocol, TypeVar

from ..books.columns import PROVENANCE
from .books_reader import STATES, FillRow, MinuteRow, read_day_opens, read_fills, read_minutes
from .round_trips import AverageCost, RoundTrip, RoundTripLedger

MIN_ROUND_TRIPS = 100
"""Under so many round trips a profit factor is chance and is not defined."""

WINDOW_WITHIN = 0.05
"""The validation window opens when ``base_pct`` is first so near its target."""

MAX_ROW_GAP_S = 180.0
"""There is a row a minute: beyond this the bot was not running."""

EDGE_HORIZONS_S = (30, 300, 3600)
RESAMPLES = 2000
SEED = 20220101

_DAY_S = 86_400
_MIN_DAYS_TO_RESAMPLE = 5
_ZERO = Decimal(0)


Row = TypeVar("Row", MinuteRow, FillRow)


class UnavailableError(Exception):
    """The books hold nothing to compute figures from; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class RoundTripFigures:
    """Own buys matched first-in-first-out with own sells around the opening inventory. Money is in quote."""

    count: int
    gains: int
    losses: int
    net_gains_quote: Decimal
    net_losses_quote: Decimal
    gross_quote: Decimal
    fees_quote: Decimal
    net_quote: Decimal
    profit_factor: float | None
    """Σ net gains / Σ net losses after both fees; infinite without a loss; None under 100 round trips."""
    profit_factor_note: str
    fees_to_gross: float | None
    """Fees / PnL before fees; None when that is not positive, which fails any limit."""
    fees_to_gross_note: str
    mean_net_pct: float | None
    """Net PnL of a mean round trip as a fraction of what it opened with."""
    median_hold_s: float | None
    """Time from opening to closing, median (of a reservoir of 1000)."""
    open_base: Decimal
    """Signed amount above or below the opening inventory, not closed at the end."""
    open_unrealised_quote: Decimal
    """What it would make at the last mid, before the closing fee."""
    profit_factor_average_cost: float | None
    """By average cost over the opening inventory: shown, never gates."""
    profitable_probability: float | None
    """P(profit factor > 1), from resampling whole UTC days; None under 100 round trips or 5 days."""
    profitable_probability_note: str


@dataclass(frozen=True, slots=True)
class DayFigures:
    """One UTC day inside the window."""

    day: str
    equity_open_quote: Decimal
    equity_end_quote: Decimal
    trading_pnl_quote: Decimal | None
    turnover_x: float
    fills: int
    fees_quote: Decimal
    round_trips: int
    round_trip_net_quote: Decimal
    trading_drawdown_pct: float


@dataclass(frozen=True, slots=True)
class EdgeFigures:
    """What the mid did after own fills, as a fraction of the fill price; positive is in our favour, before fees."""

    horizon_s: int
    fills: int
    """Fills measured; those followed by a gap in the minute rows are left out."""
    mean_pct: float | None
    """Mean weighted by notional."""
    mean_after_fee_pct: float | None
    """The same less the fee of the fill itself."""


@dataclass(frozen=True, slots=True)
class PauseFigures:
    """All stretches during which one reason stood in the books."""

    reason: str
    state: str
    """The gravest state seen meanwhile."""
    episodes: int
    total_s: float
    longest_s: float
    still_on: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """The validation figures of one bot over one window. ``_pct`` values are fractions, ``_quote`` money."""

    source: str
    exchange: str
    trading_pair: str
    provenance: Mapping[str, tuple[str, ...]]
    """Every value that each provenance column took; more than one means the window mixes runs."""
    opened_at: str
    ended_at: str
    days: float
    window_note: str
    minutes: int
    opening_base: Decimal
    opening_quote: Decimal
    opening_mid: float
    closing_mid: float
    equity_open_quote: Decimal
    equity_end_quote: Decimal
    pnl_quote: Decimal
    """Change of equity, the market's own move and transfers included."""
    versus_holding_quote: Decimal
    """trading_pnl over the window: what the strategy made against holding the opening mix."""
    versus_holding_pct: float
    holding_quote: Decimal
    """What the opening mix alone made."""
    trading_pnl_from_fills_quote: Decimal
    """The same computed from fills.csv alone."""
    books_agree: bool
    """Whether the two differ by less than 0.1 % of the opening equity."""
    fills: int
    buys: int
    sells: int
    maker_share: float | None
    notional_quote: Decimal
    fees_quote: Decimal
    round_trips: RoundTripFigures
    trading_drawdown_pct: float
    """Peak to trough of trading_pnl / opening equity."""
    mark_to_market_drawdown_pct: float
    """Peak to trough of equity / peak."""
    turnover_mean_x: float
    turnover_worst_x: float
    turnover_worst_day: str
    realised_edge: tuple[EdgeFigures, ...]
    cancel_failures: int
    balance_mismatches: int
    state_seconds: Mapping[str, float]
    """Seconds in each state; ``not_running`` is time without rows."""
    pauses: tuple[PauseFigures, ...]
    per_day: tuple[DayFigures, ...]

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON: exact money as strings, an infinite ratio as ``"Infinity"``."""
        plain = _plain(self)
        assert isinstance(plain, dict)  # noqa: S101 -- a dataclass becomes a dict
        return plain


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Decimal):
        return format(value.normalize() if value else _ZERO, "f")
    if isinstance(value, float) and math.isinf(value):
        return "Infinity"
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


class Observer(Protocol):
    """Sees every row inside the window, in order of time, and where the window opened: the page draws from it."""

    def opened(self, ts: float) -> None:
        """The window opens with the next row."""

    def minute(self, row: MinuteRow) -> None:
        """One minute row."""

    def fill(self, row: FillRow) -> None:
        """One fill."""


@dataclass(slots=True)
class _Day:
    equity_open: Decimal
    equity_end: Decimal
    pnl_before: Decimal | None
    pnl_end: Decimal | None = None
    peak: Decimal = _ZERO
    drawdown: Decimal = _ZERO
    notional: Decimal = _ZERO
    fees: Decimal = _ZERO
    fills: int = 0
    round_trips: int = 0
    gains: Decimal = _ZERO
    losses: Decimal = _ZERO


@dataclass(slots=True)
class _Pause:
    state: str
    episodes: int = 0
    total_s: float = 0.0
    longest_s: float = 0.0
    since: float | None = None


@dataclass(slots=True)
class _Edge:
    horizon_s: int
    waiting: deque[FillRow] = field(default_factory=deque)
    fills: int = 0
    notional: float = 0.0
    moved: float = 0.0
    fees: float = 0.0

    def figures(self) -> EdgeFigures:
        mean = self.moved / self.notional if self.notional else None
        after = (self.moved - self.fees) / self.notional if self.notional else None
        return EdgeFigures(self.horizon_s, self.fills, mean, after)


class _RoundTrips:
    """Sums over round trips."""

    def __init__(self, days: Mapping[str, _Day], seed: int) -> None:
        self._days = days
        self._reservoir: list[float] = []
        self._chance = random.Random(seed)  # noqa: S311 -- a sample of hold times, no secret
        self.count = self.gains = self.losses = 0
        self.net_gains = self.net_losses = self.gross = self.fees = self.opened = _ZERO

    def add(self, trip: RoundTrip) -> None:
        net = trip.net
        day = self._days[day_of(trip.closed_ts)]
        self.count += 1
        day.round_trips += 1
        if net > 0:
            self.gains += 1
            self.net_gains += net
            day.gains += net
        else:
            self.losses += 1
            self.net_losses -= net
            day.losses -= net
        self.gross += trip.gross
        self.fees += trip.fees
        self.opened += trip.opening_notional
        hold = trip.closed_ts - trip.opened_ts
        if len(self._reservoir) < 1000:
            self._reservoir.append(hold)
        elif (place := self._chance.randrange(self.count)) < 1000:
            self._reservoir[place] = hold

    def figures(self, ledger: RoundTripLedger, cost: AverageCost, mid: float, resamples: int) -> RoundTripFigures:
        net = self.net_gains - self.net_losses
        factor, factor_note = _profit_factor(self.net_gains, self.net_losses, self.count)
        share: float | None = None
        share_note = "no round trips" if not self.count else "the PnL before fees is not positive: fails"
        if self.gross > 0:
            share, share_note = float(self.fees / self.gross), ""
        average, _ = _profit_factor(cost.gains, cost.losses, MIN_ROUND_TRIPS)
        probability, probability_note = self._probability(resamples)
        holds = sorted(self._reservoir)
        return RoundTripFigures(
            count=self.count,
            gains=self.gains,
            losses=self.losses,
            net_gains_quote=self.net_gains,
            net_losses_quote=self.net_losses,
            gross_quote=self.gross,
            fees_quote=self.fees,
            net_quote=net,
            profit_factor=factor,
            profit_factor_note=factor_note,
            fees_to_gross=share,
            fees_to_gross_note=share_note,
            mean_net_pct=float(net / self.opened) if self.opened else None,
            median_hold_s=holds[len(holds) // 2] if holds else None,
            open_base=ledger.open_base,
            open_unrealised_quote=ledger.unrealised(Decimal(repr(mid))),
            profit_factor_average_cost=average,
            profitable_probability=probability,
            profitable_probability_note=probability_note,
        )

    def _probability(self, resamples: int) -> tuple[float | None, str]:
        """Share of resampled histories, whole days drawn with replacement, whose net gains exceed the net losses."""
        days = [float(day.gains - day.losses) for day in self._days.values()]
        if self.count < MIN_ROUND_TRIPS:
            return None, f"not defined under {MIN_ROUND_TRIPS} round trips"
        if len(days) < _MIN_DAYS_TO_RESAMPLE:
            return None, f"not defined under {_MIN_DAYS_TO_RESAMPLE} days"
        chance = random.Random(SEED)  # noqa: S311 -- repeatable figures, no secret
        above = sum(sum(chance.choices(days, k=len(days))) > 0 for _ in range(resamples))
        return above / resamples, f"{resamples} resamples of {len(days)} days, seed {SEED}"


def _profit_factor(gains: Decimal, losses: Decimal, count: int) -> tuple[float | None, str]:
    if count < MIN_ROUND_TRIPS:
        return None, f"not defined under {MIN_ROUND_TRIPS} round trips"
    if not losses:
        return (math.inf, "no losing round trip") if gains else (None, "neither gains nor losses")
    return float(gains / losses), ""


def day_of(ts: float) -> str:
    """The UTC day of a time, YYYY-MM-DD."""
    return datetime.fromtimestamp(ts, tz=timezone.utc).strftime("%Y-%m-%d")


def time_text(ts: float) -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.fromtimestamp(ts, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Window:
    """Everything summed up from the window's opening on."""

    def __init__(self, first: MinuteRow, day_opens: Mapping[str, Decimal]) -> None:
        if first.mid is None or first.equity_quote is None or first.base_balance is None or first.quote_balance is None:
            raise UnavailableError("the window's first row has no mid or balances")
        self.first = self.last = first
        self.mid_at: tuple[float, float] = (first.ts, first.mid)
        self.equity = first.equity_quote
        self.pnl_zero = first.trading_pnl_quote or _ZERO
        self.pnl = _ZERO
        self.pnl_peak = self.pnl_drop = _ZERO
        self.equity_peak = first.equity_quote
        self.equity_drop = 0.0
        self.minutes = 0
        self.fills = self.buys = self.makers = 0
        self.notional = self.fees = _ZERO
        self.cash = self.net_base = _ZERO
        self.cancel_failures = self.streak = 0
        self.state_seconds: dict[str, float] = {}
        self.pauses: dict[str, _Pause] = {}
        self.provenance: list[dict[str, None]] = [{} for _ in PROVENANCE]
        self._known_provenance: tuple[str, ...] | None = None
        self.day_opens = day_opens
        self.days: dict[str, _Day] = {}
        self._day_number = float("nan")
        self._today: _Day
        self.ledger = RoundTripLedger()
        self.cost = AverageCost(first.base_balance, Decimal(repr(first.mid)))
        self.trips = _RoundTrips(self.days, SEED)
        self.edges = tuple(_Edge(horizon) for horizon in EDGE_HORIZONS_S)

    def minute(self, row: MinuteRow) -> None:
        self.minutes += 1
        self._see_provenance(row.provenance)
        if row.equity_quote is not None:
            self.equity = row.equity_quote
            self.equity_peak = max(self.equity_peak, row.equity_quote)
            if self.equity_peak > 0:
                self.equity_drop = max(self.equity_drop, float(1 - row.equity_quote / self.equity_peak))
        day = self._day_at(row.ts)
        day.equity_end = self.equity
        if row.trading_pnl_quote is not None:
            self.pnl = row.trading_pnl_quote - self.pnl_zero
            self.pnl_peak = max(self.pnl_peak, self.pnl)
            self.pnl_drop = max(self.pnl_drop, self.pnl_peak - self.pnl)
            day.pnl_end = self.pnl
            day.peak = max(day.peak, self.pnl)
            day.drawdown = max(day.drawdown, day.peak - self.pnl)
        self._see_state(row)
        self.cancel_failures += max(0, row.cancel_fail_streak - self.streak)
        self.streak = row.cancel_fail_streak
        if row.mid is not None:
            self._see_mid(row.ts, row.mid)
        self.last = row

    def fill(self, row: FillRow) -> None:
        self._see_provenance(row.provenance)
        self.fills += 1
        self.buys += row.is_buy
        self.makers += row.is_maker
        self.notional += row.notional_quote
        self.fees += row.fee_quote
        sign = 1 if row.is_buy else -1
        self.cash -= sign * row.notional_quote + row.fee_quote
        self.net_base += sign * row.amount_base
        day = self._day_at(row.ts)
        day.fills += 1
        day.notional += row.notional_quote
        day.fees += row.fee_quote
        self.cost.add(is_buy=row.is_buy, price=row.price, amount=row.amount_base, fee_quote=row.fee_quote)
        for trip in self.ledger.add(
            ts=row.ts,
            is_buy=row.is_buy,
            price=row.price,
            amount=row.amount_base,
            fee_quote=row.fee_quote,
            order_id=row.order_id,
        ):
            self.trips.add(trip)
        if row.mid is not None:
            self._see_mid(row.ts, row.mid)
        for edge in self.edges:
            edge.waiting.append(row)

    def finish(self) -> None:
        for trip in self.ledger.finish():
            self.trips.add(trip)

    def _day_at(self, ts: float) -> _Day:
        number = ts // _DAY_S
        if number == self._day_number:
            return self._today
        name = day_of(ts)
        day = self.days.get(name)
        if day is None:
            day = self.days[name] = _Day(self.equity, self.equity, self.pnl if self.days else _ZERO, peak=self.pnl)
            day.pnl_end = self.pnl
        self._day_number, self._today = number, day
        return day

    def _see_provenance(self, provenance: tuple[str, ...]) -> None:
        if provenance != self._known_provenance:
            self._known_provenance = provenance
            for seen, value in zip(self.provenance, provenance, strict=True):
                seen[value] = None

    def _see_state(self, row: MinuteRow) -> None:
        """Time until this row belongs to the state the row before it told."""
        passed = max(0.0, row.ts - self.last.ts)
        if passed > MAX_ROW_GAP_S:
            self._add_seconds("not_running", passed)
        else:
            self._add_seconds(self.last.state, passed)
        for code in row.reasons:
            pause = self.pauses.setdefault(code, _Pause(row.state))
            if STATES.index(row.state) > STATES.index(pause.state):
                pause.state = row.state
            if pause.since is None:
                pause.since = row.ts
                pause.episodes += 1
        for code in self.last.reasons:
            if code not in row.reasons:
                self._end_pause(self.pauses[code], row.ts)

    def _add_seconds(self, state: str, seconds: float) -> None:
        self.state_seconds[state] = self.state_seconds.get(state, 0.0) + seconds

    @staticmethod
    def _end_pause(pause: _Pause, ts: float) -> None:
        if pause.since is not None:
            lasted = max(0.0, ts - pause.since)
            pause.total_s += lasted
            pause.longest_s = max(pause.longest_s, lasted)
            pause.since = None

    def _see_mid(self, ts: float, mid: float) -> None:
        """Measure the fills whose horizon ends by now, on the line between the last mid and this one."""
        then, before = self.mid_at
        for edge in self.edges:
            waiting = edge.waiting
            while waiting and waiting[0].ts + edge.horizon_s <= ts:
                row = waiting.popleft()
                due = row.ts + edge.horizon_s
                if ts - then > MAX_ROW_GAP_S:
                    continue
                at = before + (mid - before) * ((due - then) / (ts - then)) if ts > then and due > then else before
                notional = float(row.notional_quote)
                price = float(row.price)
                edge.fills += 1
                edge.notional += notional
                edge.moved += notional * (at / price - 1) * (1 if row.is_buy else -1)
                edge.fees += float(row.fee_quote)
        self.mid_at = (ts, mid)

    def pause_figures(self) -> tuple[PauseFigures, ...]:
        figures = []
        for code, pause in self.pauses.items():
            still_on = pause.since is not None
            self._end_pause(pause, self.last.ts)
            figures.append(
                PauseFigures(code, pause.state, pause.episodes, pause.total_s, pause.longest_s, still_on=still_on)
            )
        return tuple(sorted(figures, key=lambda item: -item.total_s))

    def day_figures(self) -> tuple[DayFigures, ...]:
        # The book's own opening equity where the window holds the whole day, else the equity as the window saw it.
        for name in list(self.days)[1:]:
            self.days[name].equity_open = self.day_opens.get(name, self.days[name].equity_open)
        return tuple(
            DayFigures(
                day=name,
                equity_open_quote=day.equity_open,
                equity_end_quote=day.equity_end,
                trading_pnl_quote=None
                if day.pnl_end is None or day.pnl_before is None
                else day.pnl_end - day.pnl_before,
                turnover_x=float(day.notional / day.equity_open) if day.equity_open > 0 else 0.0,
                fills=day.fills,
                fees_quote=day.fees,
                round_trips=day.round_trips,
                round_trip_net_quote=day.gains - day.losses,
                trading_drawdown_pct=float(day.drawdown / day.equity_open) if day.equity_open > 0 else 0.0,
            )
            for name, day in sorted(self.days.items())
        )


def _opens_window(row: MinuteRow, *, whole: bool) -> bool:
    if row.mid is None or row.equity_quote is None or row.base_balance is None or row.quote_balance is None:
        return False
    if whole:
        return True
    if row.base_pct is None or row.target_base_pct is None:
        return False
    return abs(row.base_pct - row.target_base_pct) <= WINDOW_WITHIN


class Validation:
    """The figures as they add up, row by row in order of time.

    Args:
        source: where the rows come from, for the report.
        whole: open the window at the first row with a mid and balances, wherever the inventory stands.
        resamples: of the day-block bootstrap.
        observer: sees every row of the window.
    """

    def __init__(
        self, *, source: str, whole: bool = False, resamples: int = RESAMPLES, observer: Observer | None = None
    ) -> None:
        self.day_opens: dict[str, Decimal] = {}
        """Opening equity by UTC day as booked; wanted before :meth:`figures`."""
        self._source = source
        self._whole = whole
        self._resamples = resamples
        self._observer = observer
        self._window: _Window | None = None
        self._latest = float("-inf")

    def minute(self, row: MinuteRow) -> None:
        """Add a minute row; one that is not later than the one before it is left out (the clock was stepped back)."""
        if row.ts <= self._latest:
            return
        self._latest = row.ts
        if self._window is None:
            if not _opens_window(row, whole=self._whole):
                return
            self._window = _Window(row, self.day_opens)
            if self._observer is not None:
                self._observer.opened(row.ts)
        self._window.minute(row)
        if self._observer is not None:
            self._observer.minute(row)

    def fill(self, row: FillRow) -> None:
        """Add a fill; one from before the window is left out."""
        if self._window is not None and row.ts > self._window.first.ts:
            self._window.fill(row)
            if self._observer is not None:
                self._observer.fill(row)

    def figures(self) -> Figures:
        """The figures; call once, at the end.

        Raises:
            UnavailableError: no row let the window open.
        """
        if self._window is None:
            what = (
                "has a mid and balances" if self._whole else "has base_pct within 5 points of its target: see --whole"
            )
            raise UnavailableError(f"{self._source}: the window never opens: no minute row {what}")
        self._window.finish()
        return _figures(self._source, self._window, whole=self._whole, resamples=self._resamples)


def figures_of(
    directory: Path,
    *,
    begin: float | None = None,
    end: float | None = None,
    whole: bool = False,
    resamples: int = RESAMPLES,
    observer: Observer | None = None,
) -> Figures:
    """Compute the figures of one bot's books.

    Args:
        directory: where fills.csv, minute.csv and daily.csv stand.
        begin: leave out what is earlier (unix seconds).
        end: leave out what is not earlier.
        whole: open the window at the first row with a mid and balances, wherever the inventory stands.
        resamples: of the day-block bootstrap.
        observer: sees every row of the window.

    Raises:
        BookError: a book is malformed; names file and line.
        UnavailableError: no row lets the window open.
    """
    validation = Validation(source=str(directory), whole=whole, resamples=resamples, observer=observer)
    validation.day_opens.update(read_day_opens(directory / "daily.csv"))
    # At the same moment fills come first: the row's balances hold them already.
    merged: Iterator[MinuteRow | FillRow] = heapq.merge(
        _between(read_fills(directory / "fills.csv"), begin, end),
        _between(read_minutes(directory / "minute.csv"), begin, end),
        key=lambda row: row.ts,
    )
    for row in merged:
        if isinstance(row, MinuteRow):
            validation.minute(row)
        else:
            validation.fill(row)
    return validation.figures()


def _between(rows: Iterable[Row], begin: float | None, end: float | None) -> Iterator[Row]:
    for row in rows:
        if begin is not None and row.ts < begin:
            continue
        if end is not None and row.ts >= end:
            continue
        yield row


def _figures(source: str, window: _Window, *, whole: bool, resamples: int) -> Figures:
    first, last = window.first, window.last
    opened = first.equity_quote
    assert opened is not None  # noqa: S101 -- checked when the window opened
    assert first.base_balance is not None  # noqa: S101 -- as above
    assert first.quote_balance is not None  # noqa: S101 -- as above
    assert first.mid is not None  # noqa: S101 -- as above
    mid = window.mid_at[1]
    from_fills = window.cash + window.net_base * Decimal(repr(mid))
    per_day = window.day_figures()
    worst = max(per_day, key=lambda day: day.turnover_x)
    mismatches = window.pauses.get("balances")
    return Figures(
        source=source,
        exchange=last.exchange,
        trading_pair=last.trading_pair,
        provenance={name: tuple(seen) for name, seen in zip(PROVENANCE, window.provenance, strict=True)},
        opened_at=time_text(first.ts),
        ended_at=time_text(last.ts),
        days=(last.ts - first.ts) / _DAY_S,
        window_note=(
            "from the first row with a mid and balances"
            if whole
            else f"from the first row with base_pct within {WINDOW_WITHIN * 100:.0f} points of its target"
        ),
        minutes=window.minutes,
        opening_base=first.base_balance,
        opening_quote=first.quote_balance,
        opening_mid=first.mid,
        closing_mid=mid,
        equity_open_quote=opened,
        equity_end_quote=window.equity,
        pnl_quote=window.equity - opened,
        versus_holding_quote=window.pnl,
        versus_holding_pct=float(window.pnl / opened) if opened > 0 else 0.0,
        holding_quote=first.base_balance * Decimal(repr(mid)) - first.base_balance * Decimal(repr(first.mid)),
        trading_pnl_from_fills_quote=from_fills,
        books_agree=abs(from_fills - window.pnl) <= opened / 1000,
        fills=window.fills,
        buys=window.buys,
        sells=window.fills - window.buys,
        maker_share=window.makers / window.fills if window.fills else None,
        notional_quote=window.notional,
        fees_quote=window.fees,
        round_trips=window.trips.figures(window.ledger, window.cost, mid, resamples),
        trading_drawdown_pct=float(window.pnl_drop / opened) if opened > 0 else 0.0,
        mark_to_market_drawdown_pct=window.equity_drop,
        turnover_mean_x=sum(day.turnover_x for day in per_day) / len(per_day),
        turnover_worst_x=worst.turnover_x,
        turnover_worst_day=worst.day,
        realised_edge=tuple(edge.figures() for edge in window.edges),
        cancel_failures=window.cancel_failures,
        balance_mismatches=mismatches.episodes if mismatches else 0,
        state_seconds=dict(window.state_seconds),
        pauses=window.pause_figures(),
        per_day=per_day,
    )
