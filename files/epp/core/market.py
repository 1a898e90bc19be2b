"""Market state: samples of mid, one-minute bars, EMA, band, drift, price sanity and staleness."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from .config import EppParameters
from .values import Bar, Snapshot

EMA_BARS: Final = 50
"""Closes in the EMA; the trend is not judged before there are as many."""
ATR_BARS: Final = 14
"""True ranges in the band; nothing is quoted before there are as many real bars."""
BARS_KEPT: Final = 240
DRIFT_S: Final = 30.0
_REST_FRESH_S: Final = 5.0
"""A REST ticker is compared with the book only while it is this young: later the market has moved on."""


@dataclass(slots=True)
class MarketState:
    """What is remembered of the market."""

    bars: list[Bar] = field(default_factory=list)
    """Closed minutes, oldest first."""
    building: Bar | None = None
    """The running minute."""
    ema: float | None = None
    ema_count: int = 0
    band: float | None = None
    """ATR(14) over close, of the closed bars."""
    samples: list[tuple[float, float]] = field(default_factory=list)
    """Time and mid of the last minute or so, oldest first."""
    drift_30s: float = 0.0
    """Absolute move of mid over 30 s, at the last sample."""
    drift_ewma: float = 0.0
    jump_since: float | None = None
    """Set while a sample that jumped waits for a REST ticker that agrees."""
    rest_ts: float = 0.0
    """Time of the newest REST ticker that was compared."""
    rest_gap: float = 0.0
    """How far, as a share of mid, that ticker was beyond the tolerance; 0 when it agreed."""


def sample(state: MarketState, parameters: EppParameters, snapshot: Snapshot, mid: float) -> bool:
    """Take a sample of a sane ``mid`` when one is due.

    Returns True when a sample was accepted. A jump from the last sample beyond the limit is noticed at once, due or
    not, and kept out of bars and drift until a REST ticker read after it agrees, or the price comes back.
    """
    ts = snapshot.ts
    samples = state.samples
    if samples and ts < samples[-1][0]:
        samples.clear()  # the clock was set back; no sample would be due before it is where it was
    if samples:
        last_ts, last_mid = samples[-1]
        if abs(mid / last_mid - 1) > parameters.max_sample_jump_pct:
            if state.jump_since is None:
                state.jump_since = ts
            rest = snapshot.rest
            if rest is None or rest.ts < state.jump_since:
                return False
            if abs((rest.bid + rest.ask) / 2 / mid - 1) > parameters.max_last_trade_gap_pct / 2:
                return False
            # Confirmed: the old samples belong to another price, and a jump is itself a drift.
        elif ts - last_ts < parameters.sample_interval_s - 0.5:
            # A little early is on time: ticks come once a second and never exactly.
            state.jump_since = None
            return False
    state.jump_since = None
    samples.append((ts, mid))
    while samples[0][0] < ts - 90:
        samples.pop(0)
    _drift(state, parameters, ts, mid)
    _fold(state, parameters, ts, mid)
    return True


def _drift(state: MarketState, parameters: EppParameters, ts: float, mid: float) -> None:
    youngest = ts - DRIFT_S + parameters.sample_interval_s / 4
    oldest = ts - 2 * DRIFT_S
    for then, price in reversed(state.samples):
        if then <= youngest:
            if then >= oldest:
                state.drift_30s = abs(mid / price - 1)
                state.drift_ewma += parameters.drift_alpha * (state.drift_30s - state.drift_ewma)
            return


def _fold(state: MarketState, parameters: EppParameters, ts: float, mid: float) -> None:
    minute = ts - ts % 60
    bar = state.building
    if bar is not None and bar.start == minute:
        bar.high = max(bar.high, mid)
        bar.low = min(bar.low, mid)
        bar.close = mid
        return
    if bar is not None:
        _close(state, parameters, bar)
    _forget_before_gap(state, parameters, minute)
    state.building = Bar(minute, mid, mid, mid, mid)


def _forget_before_gap(state: MarketState, parameters: EppParameters, minute: float) -> None:
    """Bars from before a long gap say nothing of the market after it."""
    if state.bars and minute - state.bars[-1].start > parameters.bars_gap_max_min * 60:
        _forget_bars(state)


def _forget_bars(state: MarketState) -> None:
    state.bars.clear()
    state.ema = state.band = None
    state.ema_count = 0


def _close(state: MarketState, parameters: EppParameters, bar: Bar) -> None:
    _forget_before_gap(state, parameters, bar.start)
    state.bars.append(bar)
    if len(state.bars) > BARS_KEPT:
        state.bars.pop(0)
    state.ema = bar.close if state.ema is None else state.ema + 2 / (EMA_BARS + 1) * (bar.close - state.ema)
    state.ema_count += 1
    state.band = band(state.bars)


def band(bars: Sequence[Bar]) -> float | None:
    """ATR(14) over close: the mean of the last 14 true ranges, or None with fewer than 14 bars.

    The first bar has no close before it; its true range is its own high less low.
    """
    if len(bars) < ATR_BARS:
        return None
    total = 0.0
    for index in range(len(bars) - ATR_BARS, len(bars)):
        bar = bars[index]
        if index:
            before = bars[index - 1].close
            total += max(bar.high, before) - min(bar.low, before)
        else:
            total += bar.high - bar.low
    return total / ATR_BARS / bars[-1].close


def seed(state: MarketState, parameters: EppParameters, bars: Sequence[Bar]) -> None:
    """Take the exchange's closed one-minute candles, oldest first; own bars that are later than the last of them stay.

    Raises:
        ValueError: candles unsorted, off the minute, or with impossible prices.
    """
    for index, bar in enumerate(bars):
        if bar.start % 60 or (index and bar.start <= bars[index - 1].start):
            raise ValueError(f"candle {index} at {bar.start}: not a later full minute")
        if not 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
            raise ValueError(f"candle {index} at {bar.start}: prices {bar.open}, {bar.high}, {bar.low}, {bar.close}")
    if not bars:
        return
    if state.building is not None and state.building.start <= bars[-1].start:
        state.building = None
    own = [bar for bar in state.bars if bar.start > bars[-1].start]
    _forget_bars(state)
    for bar in (*bars, *own):
        _close(state, parameters, bar)


def insane(parameters: EppParameters, snapshot: Snapshot) -> str:
    """Why the book as it stands cannot be trusted, or an empty string. A jump is judged by :func:`sample`."""
    bid, ask, last = snapshot.bid, snapshot.ask, snapshot.last
    # Each condition asks for what is sane: a number that is none then fails it.
    if bid is None or ask is None or not bid > 0:
        return "no book"
    if not bid < ask:
        return f"bid {bid} at or above ask {ask}"
    mid = (bid + ask) / 2
    if not ask - bid <= parameters.max_market_spread_pct * mid:
        return f"market spread {(ask - bid) / mid:.2%}"
    if last is None or not last > 0:
        return "no trade seen"
    if not abs(mid / last - 1) <= parameters.max_last_trade_gap_pct:
        return f"mid {mid / last - 1:+.2%} from the last trade"
    return ""


def stale(state: MarketState, parameters: EppParameters, snapshot: Snapshot) -> str:
    """Why the feed is stale, or an empty string. An unchanged price is not staleness."""
    rest = snapshot.rest
    fresh = rest is not None and rest.ts > state.rest_ts and snapshot.ts - rest.ts <= _REST_FRESH_S
    if rest is not None and fresh and snapshot.bid and snapshot.ask:
        mid = (snapshot.bid + snapshot.ask) / 2
        tick = float(snapshot.rules.tick) if snapshot.rules is not None else 0.0
        allowed = parameters.rest_tolerance_ticks * tick + parameters.rest_tolerance_bps / 1e4 * mid
        gap = abs((rest.bid + rest.ask) / 2 - mid)
        state.rest_gap = gap / mid if gap > allowed else 0.0
        state.rest_ts = rest.ts
    if snapshot.book_age_s > parameters.feed_stale_s:
        return f"no public message for {snapshot.book_age_s:.0f} s"
    if state.rest_gap:
        return f"the REST book is {state.rest_gap:.2%} away from ours"
    return ""
