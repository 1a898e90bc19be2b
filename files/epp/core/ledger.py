"""The books: balances expected from fills, FIFO lots, trading PnL, drawdowns, the UTC day. All money is ``Decimal``."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from .config import EppParameters
from .values import DayRow, Fill, GuardState, Side

ZERO: Final = Decimal(0)
DAY_S: Final = 86_400
PEAK_DAYS: Final = 30
"""Days that the mark-to-market peak looks back."""
_IDS_KEPT: Final = 5_000
_ROUND_TRIPS_FOR_FACTOR: Final = 100
"""A profit factor of fewer round trips is noise and is not given."""


@dataclass(slots=True)
class Lot:
    """The open part of a fill that closed nothing older."""

    side: Side
    amount: Decimal
    price: Decimal
    fee_quote: Decimal
    """Fee of the open part."""
    ts: float


@dataclass(slots=True)
class RoundTrip:
    """An own buy matched with an own sell."""

    gross: Decimal
    """PnL before fees."""
    fees: Decimal
    """Both fees."""


@dataclass(slots=True)
class DayPeak:
    """Highest equity of a day, for the 30-day peak."""

    day: int
    equity: Decimal


@dataclass(slots=True)
class DayBook:
    """Figures of the running UTC day."""

    day: int = 0
    """Days since the epoch; 0 before the first."""
    marked: bool = False
    """False until the day's opening equity was taken from real balances."""
    equity_open: Decimal = ZERO
    equity_peak: Decimal = ZERO
    trading_open: Decimal = ZERO
    """Trading PnL at the day's open."""
    notional: Decimal = ZERO
    fees: Decimal = ZERO
    realized: Decimal = ZERO
    gross: Decimal = ZERO
    gains: Decimal = ZERO
    losses: Decimal = ZERO
    """Net losses of losing round trips, positive."""
    round_trips: int = 0
    fills: int = 0
    max_drawdown: float = 0.0
    max_trading_drawdown: float = 0.0
    reasons: dict[str, int] = field(default_factory=dict)
    """How often each reason began."""


@dataclass(slots=True)
class LedgerState:
    """Everything booked."""

    opened: bool = False
    """True once the opening balances were read."""
    expected_base: Decimal = ZERO
    """Base that opening balance, fills, fees and transfers add up to."""
    expected_quote: Decimal = ZERO
    reference_base: Decimal = ZERO
    """The mix held when the window opened, moved by transfers only."""
    reference_quote: Decimal = ZERO
    window_since: float | None = None
    """When the validation window opened."""
    window_equity: Decimal = ZERO
    """Opening equity of the window, moved by transfers."""
    equity: Decimal = ZERO
    """Equity at the last mark."""
    mid: float = 0.0
    """Mid of the last mark; 0 before the first."""
    trading_pnl: Decimal = ZERO
    """Equity less the value of the reference inventory, at the last mark."""
    trading_peak: Decimal = ZERO
    """Peak of trading PnL since the window opened or the last reset."""
    trading_soft_peak: Decimal = ZERO
    """The same, but taken anew after each pause for drawdown."""
    peaks: list[DayPeak] = field(default_factory=list)
    """Peaks that no later day has reached, oldest and so highest first."""
    day: DayBook = field(default_factory=DayBook)
    ended_days: list[DayRow] = field(default_factory=list)
    """Rows of ended days that are not yet known to be written."""
    lots: list[Lot] = field(default_factory=list)
    """Open lots, oldest first, all of one side."""
    round_trips: list[RoundTrip] = field(default_factory=list)
    """The newest of them, as many as the fee share looks at."""
    round_trips_total: int = 0
    fills_total: int = 0
    fees_total: Decimal = ZERO
    realized_total: Decimal = ZERO
    last_fill_ts: float = 0.0
    booked: dict[str, float] = field(default_factory=dict)
    """Ids of booked executions with their time."""
    booked_until: float = 0.0
    """Executions up to here were booked, though their ids are no longer kept."""


def decimal(value: float) -> Decimal:
    """The decimal that a float prints as."""
    return Decimal(repr(value))


def day_of(ts: float) -> int:
    """UTC day of a time, in days since the epoch."""
    return int(ts // DAY_S)


def day_name(day: int) -> str:
    """YYYY-MM-DD of a day."""
    return datetime.fromtimestamp(day * DAY_S, UTC).strftime("%Y-%m-%d")


def _share(part: Decimal, whole: Decimal) -> float:
    below = float(whole)
    return float(part) / below if below > 0 else 0.0


def turnover(state: LedgerState) -> float:
    """Value traded this UTC day over its opening equity."""
    return _share(state.day.notional, state.day.equity_open)


def peak_equity(state: LedgerState) -> Decimal:
    """Highest equity of the last 30 days; zero before the first mark."""
    return state.peaks[0].equity if state.peaks else ZERO


def drawdown(state: LedgerState) -> float:
    """Mark-to-market drawdown from the 30-day peak."""
    peak = peak_equity(state)
    return max(0.0, _share(peak - state.equity, peak))


def day_loss(state: LedgerState) -> float:
    """Mark-to-market loss since the day's open, share of opening equity; negative is a gain."""
    return _share(state.day.equity_open - state.equity, state.day.equity_open)


def trading_drawdown(state: LedgerState) -> float:
    """Trading drawdown from its peak, share of the window's opening equity; 0 before the window opens."""
    if state.window_since is None:
        return 0.0
    return max(0.0, _share(state.trading_peak - state.trading_pnl, state.window_equity))


def trading_soft_drawdown(state: LedgerState) -> float:
    """Trading drawdown from the peak that each pause takes anew."""
    if state.window_since is None:
        return 0.0
    return max(0.0, _share(state.trading_soft_peak - state.trading_pnl, state.window_equity))


def trading_day_loss(state: LedgerState) -> float:
    """Trading loss since the day's open, share of the day's opening equity; negative is a gain."""
    if state.window_since is None:
        return 0.0
    return _share(state.day.trading_open - state.trading_pnl, state.day.equity_open)


def fee_share(state: LedgerState, parameters: EppParameters) -> float | None:
    """Fees over gross PnL of the newest round trips: None with too few, infinite with gross not positive."""
    if len(state.round_trips) < parameters.fee_share_round_trips:
        return None
    gross = sum((trip.gross for trip in state.round_trips), ZERO)
    fees = sum((trip.fees for trip in state.round_trips), ZERO)
    return float(fees / gross) if gross > 0 else float("inf")


def is_booked(state: LedgerState, trade_id: str, ts: float) -> bool:
    """Whether an execution was counted before."""
    return trade_id in state.booked or ts <= state.booked_until


def mark(state: LedgerState, base: Decimal, quote: Decimal, mid: float, ts: float) -> None:
    """Value the balances at a sane mid; open the books at the first call, and each day at its first call."""
    price = decimal(mid)
    equity = base * price + quote
    state.mid, state.equity = mid, equity
    day = state.day
    if not state.opened:
        state.opened = True
        state.expected_base, state.expected_quote = base, quote
        _refer(state, base, quote)
    pnl = state.trading_pnl = equity - state.reference_base * price - state.reference_quote
    if day.day == 0:
        day.day = day_of(ts)
    if not day.marked:
        day.marked = True
        day.equity_open = day.equity_peak = equity
        day.trading_open = pnl
    _peak(state.peaks, day.day, equity)
    if equity > day.equity_peak:
        day.equity_peak = equity
    if pnl > state.trading_peak:
        state.trading_peak = pnl
    if pnl > state.trading_soft_peak:
        state.trading_soft_peak = pnl
    day.max_drawdown = max(day.max_drawdown, drawdown(state))
    day.max_trading_drawdown = max(day.max_trading_drawdown, trading_drawdown(state))


def _peak(peaks: list[DayPeak], day: int, equity: Decimal) -> None:
    if not peaks or peaks[-1].day != day:
        peaks.append(DayPeak(day, equity))
        while peaks[0].day <= day - PEAK_DAYS:
            peaks.pop(0)
    elif equity > peaks[-1].equity:
        peaks[-1].equity = equity
    else:
        return
    while len(peaks) > 1 and peaks[-2].equity <= equity:
        del peaks[-2]


def _refer(state: LedgerState, base: Decimal, quote: Decimal) -> None:
    state.reference_base, state.reference_quote = base, quote
    state.window_equity = state.equity
    state.trading_pnl = state.trading_peak = state.trading_soft_peak = state.day.trading_open = ZERO


def open_window(state: LedgerState, base: Decimal, quote: Decimal, ts: float) -> None:
    """Open the validation window: from now on the strategy answers for what differs from holding this mix."""
    _refer(state, base, quote)
    state.window_since = ts


def day_row(state: LedgerState, guard_state: GuardState, ts: float) -> DayRow:
    """The running day's row."""
    day = state.day
    pnl = state.equity - day.equity_open if day.marked else ZERO
    factor = None
    if day.round_trips >= _ROUND_TRIPS_FOR_FACTOR and day.losses > 0:
        factor = float(day.gains / day.losses)
    return DayRow(
        ts=ts,
        day=day_name(day.day),
        state=guard_state,
        equity_open_quote=day.equity_open,
        equity_now_quote=state.equity,
        equity_peak_quote=day.equity_peak,
        pnl_quote=pnl,
        pnl_pct=_share(pnl, day.equity_open),
        trading_pnl_quote=state.trading_pnl - day.trading_open if day.marked else ZERO,
        turnover_x=turnover(state),
        fills_count=day.fills,
        fees_quote=day.fees,
        gross_profit_quote=day.gross,
        profit_factor=factor,
        max_drawdown_pct=day.max_drawdown,
        max_trading_drawdown_pct=day.max_trading_drawdown,
        ops_events=";".join(f"{code}:{count}" for code, count in sorted(day.reasons.items())),
    )


def roll(state: LedgerState, guard_state: GuardState, ts: float) -> bool:
    """End the running day when ``ts`` is in a later one; True when it did. Also ends a day that was slept through.

    The new day opens at the next mark; until then it counts with the last equity known.
    """
    today = day_of(ts)
    day = state.day
    if day.day == 0 or today <= day.day:
        return False
    state.ended_days.append(day_row(state, guard_state, ts))
    state.day = DayBook(day=today, equity_open=state.equity, equity_peak=state.equity, trading_open=state.trading_pnl)
    return True


@dataclass(frozen=True, slots=True)
class Booking:
    """What a fill came to."""

    notional: Decimal
    fee_quote: Decimal
    realized: Decimal
    fee_estimated: bool
    """True when the fee coin had no price and the account's rate was booked instead."""


def book(state: LedgerState, parameters: EppParameters, fill: Fill, fee_rate: float) -> Booking:
    """Book a fill that was not booked before: balances, day, lots, round trips."""
    notional = fill.price * fill.amount
    estimated = False
    if fill.fee_asset == parameters.quote_asset or not fill.fee_amount:
        fee = fill.fee_amount
    elif fill.fee_asset == parameters.base_asset:
        fee = fill.fee_amount * fill.price
    elif fill.fee_asset_price is not None:
        fee = fill.fee_amount * fill.fee_asset_price
    elif parameters.fee_coin_price_quote is not None and fill.fee_asset == parameters.fee_coin:
        fee = fill.fee_amount * decimal(parameters.fee_coin_price_quote)
    else:
        fee = notional * decimal(fee_rate)
        estimated = True

    sign = 1 if fill.side is Side.BUY else -1
    state.expected_base += sign * fill.amount
    state.expected_quote -= sign * notional
    if fill.fee_asset == parameters.base_asset:
        state.expected_base -= fill.fee_amount
    elif fill.fee_asset == parameters.quote_asset:
        state.expected_quote -= fill.fee_amount

    trips = _match(state, fill, fee)
    realized = sum((trip.gross - trip.fees for trip in trips), ZERO)
    state.round_trips.extend(trips)
    del state.round_trips[: -parameters.fee_share_round_trips]
    state.round_trips_total += len(trips)
    day = state.day
    if day.day == 0:
        day.day = day_of(fill.ts)
    if day_of(fill.ts) == day.day:  # a fill of an ended day counts in the totals, not in today's figures
        day.notional += notional
        day.fills += 1
        day.fees += fee
        day.realized += realized
        day.round_trips += len(trips)
        for trip in trips:
            net = trip.gross - trip.fees
            day.gross += trip.gross
            day.gains += max(net, ZERO)
            day.losses += max(-net, ZERO)
    state.fills_total += 1
    state.fees_total += fee
    state.realized_total += realized
    state.last_fill_ts = max(state.last_fill_ts, fill.ts)
    _remember(state, fill)
    return Booking(notional, fee, realized, estimated)


def _match(state: LedgerState, fill: Fill, fee: Decimal) -> list[RoundTrip]:
    """Close the oldest lots of the other side, open a lot with the rest; the round trips that this made."""
    left = fill.amount
    fee_left = fee
    trips = []
    lots = state.lots
    while left > 0 and lots and lots[0].side is not fill.side:
        lot = lots[0]
        amount = min(left, lot.amount)
        lot_fee = lot.fee_quote if amount == lot.amount else lot.fee_quote * amount / lot.amount
        own_fee = fee_left if amount == left else fee_left * amount / left
        gross = (fill.price - lot.price if fill.side is Side.SELL else lot.price - fill.price) * amount
        trips.append(RoundTrip(gross, lot_fee + own_fee))
        left -= amount
        fee_left -= own_fee
        lot.amount -= amount
        lot.fee_quote -= lot_fee
        if not lot.amount:
            lots.pop(0)
    if left > 0:
        lots.append(Lot(fill.side, left, fill.price, fee_left, fill.ts))
    return trips


def _remember(state: LedgerState, fill: Fill) -> None:
    state.booked[fill.trade_id] = fill.ts
    if len(state.booked) > _IDS_KEPT:
        # Drop the older half by time; what is as old as the newest dropped one counts as booked from here on.
        by_age = sorted(state.booked.items(), key=lambda item: item[1])
        cut = by_age[len(by_age) // 2][1]
        state.booked_until = max(state.booked_until, cut)
        state.booked = {trade_id: ts for trade_id, ts in by_age if ts > cut}


def transfer(state: LedgerState, base: Decimal, quote: Decimal) -> Decimal:
    """Book a deposit (positive) or withdrawal: everything that equity is measured against moves with it. Its value."""
    value = base * decimal(state.mid) + quote
    state.expected_base += base
    state.expected_quote += quote
    state.reference_base += base
    state.reference_quote += quote
    state.window_equity += value
    state.equity += value
    state.day.equity_open += value
    state.day.equity_peak += value
    for peak in state.peaks:
        peak.equity += value
    return value


def rebase(state: LedgerState) -> None:
    """Take peaks and the day's open anew from what is there now (an operator's reset)."""
    pnl = state.trading_pnl
    state.trading_peak = state.trading_soft_peak = pnl
    state.peaks = [DayPeak(state.day.day, state.equity)]
    state.day.equity_open = state.day.equity_peak = state.equity
    state.day.trading_open = pnl
