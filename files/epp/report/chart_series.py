"""What the page draws, gathered row by row in bounded memory.

Rows are grouped in buckets; when there are too many, neighbours are joined and buckets hold twice as much. A bucket
keeps the extremes of the mid and the last of everything else, so that no spike is lost.
"""

from __future__ import annotations

from dataclasses import dataclass

from .books_reader import FillRow, MinuteRow
from .figures import MAX_ROW_GAP_S

MAX_POINTS = 3000
MAX_FILLS = 4000
MAX_SPANS = 4000


@dataclass(slots=True)
class _Bucket:
    ts: float
    low: float | None
    high: float | None
    row: MinuteRow


def _least(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else min(one, other)


def _most(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else max(one, other)


class ChartSeries:
    """An observer of the report that remembers what the page draws."""

    def __init__(self) -> None:
        self._buckets: list[_Bucket] = []
        self._size = 1
        self._filled = 0
        self._fills: list[FillRow] = []
        self._fill_step = 1
        self._fill_number = 0
        self._states: list[list[float | str]] = []
        self._reasons: dict[str, list[list[float]]] = {}
        self._standing: frozenset[str] = frozenset()
        self._last_ts: float | None = None

    def opened(self, ts: float) -> None:
        """Nothing: the first row says all."""

    def minute(self, row: MinuteRow) -> None:
        """Add one minute row."""
        if self._buckets and self._filled < self._size:
            bucket = self._buckets[-1]
            bucket.low, bucket.high = _least(bucket.low, row.mid), _most(bucket.high, row.mid)
            bucket.ts, bucket.row = row.ts, row
            self._filled += 1
        else:
            self._buckets.append(_Bucket(row.ts, row.mid, row.mid, row))
            self._filled = 1
            if len(self._buckets) > 2 * MAX_POINTS:
                self._halve()
        self._spans(row)

    def fill(self, row: FillRow) -> None:
        """Add one fill; beyond :data:`MAX_FILLS` only every second, fourth … is kept."""
        if self._fill_number % self._fill_step == 0:
            self._fills.append(row)
            if len(self._fills) > MAX_FILLS:
                self._fills = self._fills[::2]
                self._fill_step *= 2
        self._fill_number += 1

    def as_dict(self) -> dict[str, object]:
        """Columns for the page: numbers rounded to what can be seen, times in whole seconds."""
        rows = [bucket.row for bucket in self._buckets]
        quoted = [_quotes(row) for row in rows]
        return {
            "ts": [round(bucket.ts) for bucket in self._buckets],
            "minutes_per_point": self._size,
            "mid": [_seen(row.mid) for row in rows],
            "low": [_seen(bucket.low) for bucket in self._buckets] if self._size > 1 else None,
            "high": [_seen(bucket.high) for bucket in self._buckets] if self._size > 1 else None,
            "bid": [_seen(bid) for bid, _ in quoted],
            "ask": [_seen(ask) for _, ask in quoted],
            "base": [_seen(row.base_pct, 5) for row in rows],
            "target": [_seen(row.target_base_pct, 5) for row in rows],
            "equity": [None if row.equity_quote is None else _seen(float(row.equity_quote)) for row in rows],
            "versus": [None if row.trading_pnl_quote is None else _seen(float(row.trading_pnl_quote)) for row in rows],
            "spread": [_seen(row.spread_pct, 4) for row in rows],
            "floor": [_seen(row.spread_floor_pct, 4) for row in rows],
            "fills": [
                [round(row.ts), 1 if row.is_buy else 0, _seen(float(row.price)), _seen(float(row.amount_base))]
                for row in self._fills
            ],
            "fill_step": self._fill_step,
            "states": self._states,
            "reasons": self._reasons,
        }

    def _halve(self) -> None:
        joined = []
        for first, second in zip(self._buckets[::2], self._buckets[1::2], strict=False):
            second.low, second.high = _least(first.low, second.low), _most(first.high, second.high)
            joined.append(second)
        if len(self._buckets) % 2:
            joined.append(self._buckets[-1])
            self._filled = self._size
        else:
            self._filled = 2 * self._size
        self._size *= 2
        self._buckets = joined

    def _spans(self, row: MinuteRow) -> None:
        """What a row tells holds until the next one; a gap in the rows ends every stretch."""
        before, self._last_ts = self._last_ts, row.ts
        follows = before is not None and row.ts - before <= MAX_ROW_GAP_S
        if follows and self._states and self._states[-1][1] == before:
            self._states[-1][1] = row.ts
        if not (follows and self._states and self._states[-1][2] == row.state) and len(self._states) < MAX_SPANS:
            self._states.append([row.ts, row.ts, row.state])
        if not follows:
            self._standing = frozenset()
        for code in self._standing:
            self._reasons[code][-1][1] = row.ts
        for code in row.reasons:
            spans = self._reasons.setdefault(code, [])
            if code not in self._standing and len(spans) < MAX_SPANS:
                spans.append([row.ts, row.ts])
        self._standing = frozenset(row.reasons)


def _seen(value: float | None, digits: int = 8) -> float | None:
    return None if value is None else float(f"{value:.{digits}g}")


def _quotes(row: MinuteRow) -> tuple[float | None, float | None]:
    """The innermost quotes as the core computed them: half the width either side of mid; positive skew lowers both."""
    if row.mid is None or row.spread_pct is None or not row.orders_active:
        return None, None
    skew = row.skew or 0.0
    return row.mid * (1 - row.spread_pct / 2 - skew), row.mid * (1 + row.spread_pct / 2 - skew)
