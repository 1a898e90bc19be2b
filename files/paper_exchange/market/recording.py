"""A recording of one-minute bars, and the trades and book made from it.

A bar says where the price began, ended and how far it went, not in which order nor by which trades. What is made up
here is always the same for the same seed, and keeps what the bar does say: the made-up trades' first price is its
open, their last its close, their extremes its high and low, their volume its volume.
"""

import csv
import gzip
import hashlib
import random
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal
from pathlib import Path

from ..matching import Depth, Side
from .feed import BookUpdate

BAR_S = 60
# Trades made from one bar: one every 3 seconds of market time.
SLOTS = 20
SLOT_S = BAR_S / SLOTS
_COLUMNS = ["timestamp", "open", "high", "low", "close", "volume"]


class RecordingError(Exception):
    """The file cannot be used; the message names the file and the line."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One recorded minute; volume in quote."""

    open: float
    high: float
    low: float
    close: float
    quote_volume: float


@dataclass(frozen=True, slots=True)
class SlotTrade:
    """A made-up trade of one slot of a bar."""

    price: Decimal
    size: Decimal
    side: Side


class Recording:
    """Consecutive one-minute bars in memory (about 1 MB for 19 days)."""

    def __init__(self, first: datetime, bars: Sequence[Bar], fingerprint: str) -> None:
        self.first = first
        self.fingerprint = fingerprint
        self.open = array("d", (bar.open for bar in bars))
        self.high = array("d", (bar.high for bar in bars))
        self.low = array("d", (bar.low for bar in bars))
        self.close = array("d", (bar.close for bar in bars))
        self.quote_volume = array("d", (bar.quote_volume for bar in bars))

    def __len__(self) -> int:
        return len(self.open)

    def bar(self, index: int) -> Bar:
        """One bar by its place in the recording."""
        return Bar(self.open[index], self.high[index], self.low[index], self.close[index], self.quote_volume[index])


def read_recording(path: Path) -> Recording:
    """Read ``timestamp,open,high,low,close,volume`` (gzip or plain; UTC; volume in quote), one row a minute.

    Raises:
        RecordingError: missing, unreadable, malformed, unsorted, duplicated or gappy; names the line.
    """
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path}: cannot be read: {error}") from error
    rows = csv.reader(text.splitlines())
    if next(rows, None) != _COLUMNS:
        raise RecordingError(f"{path}: line 1: the header must be {','.join(_COLUMNS)}")
    bars: list[Bar] = []
    first = previous = None
    for row in rows:
        try:
            time = datetime.fromisoformat(row[0]).replace(tzinfo=UTC)
            bar = Bar(*map(float, row[1:]))
        except (ValueError, TypeError, IndexError) as error:
            raise RecordingError(f"{path}: line {rows.line_num}: {error}") from error
        if previous is not None and (time - previous).total_seconds() != BAR_S:
            raise RecordingError(f"{path}: line {rows.line_num}: {time} does not follow {previous} by one minute")
        if not 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high < float("inf"):
            raise RecordingError(f"{path}: line {rows.line_num}: open and close must lie between low and high")
        if not 0 <= bar.quote_volume < float("inf"):
            raise RecordingError(f"{path}: line {rows.line_num}: the volume must not be negative")
        first = first or time
        previous = time
        bars.append(bar)
    if first is None:
        raise RecordingError(f"{path}: no bars")
    return Recording(first, bars, hashlib.sha256(content).hexdigest()[:16])


def slot_prices(bar: Bar, chance: random.Random) -> list[float]:
    """The price path of one bar, one price per slot.

    Open, one extreme, the other, close; which extreme comes first is a coin toss. The slots between two corners lie on
    the line between them plus some noise, and each leg lasts in proportion to its length.
    """
    corners = [bar.open, bar.high, bar.low, bar.close]
    if chance.random() < 0.5:
        corners[1], corners[2] = corners[2], corners[1]
    legs = [abs(corners[i + 1] - corners[i]) for i in range(3)]
    whole = sum(legs)
    if not whole:
        return [bar.open] * SLOTS
    last = SLOTS - 1
    second = min(max(round(last * legs[0] / whole), 1), last - 2)
    third = min(max(round(last * (legs[0] + legs[1]) / whole), second + 1), last - 1)
    prices = [bar.open]
    noise = 0.15 * (bar.high - bar.low)
    begin = 0
    for corner, end in enumerate((second, third, last)):
        for slot in range(begin + 1, end):
            straight = corners[corner] + (corners[corner + 1] - corners[corner]) * (slot - begin) / (end - begin)
            prices.append(min(max(straight + chance.uniform(-noise, noise), bar.low), bar.high))
        prices.append(corners[corner + 1])
        begin = end
    return prices


def slot_trades(bar: Bar, *, seed: str, factor: float, tick: Decimal, step: Decimal) -> list[SlotTrade]:
    """The trades made from one bar, one per slot.

    Sizes split the bar's volume unevenly (exponential weights), rounded down to ``step`` and at least one; a trade at
    a higher price than the one before was a taker's buy, at a lower one a sell, at the same one either.

    Args:
        bar: the recorded bar.
        seed: makes the same trades again.
        factor: what recorded prices are multiplied with.
        tick: price increment.
        step: size increment.
    """
    chance = random.Random(seed)  # noqa: S311 - a reproducible path, no secret
    prices = slot_prices(bar, chance)
    weights = [chance.expovariate(1) for _ in prices]
    base_volume = bar.quote_volume / bar.close / factor
    trades: list[SlotTrade] = []
    for price, weight in zip(prices, weights, strict=True):
        rounded = round_price(price * factor, tick)
        size = Decimal(base_volume * weight / sum(weights)).quantize(step, rounding=ROUND_DOWN)
        buy = chance.random() < 0.5
        if trades and rounded != trades[-1].price:
            buy = rounded > trades[-1].price
        trades.append(SlotTrade(rounded, max(size, step), Side.BUY if buy else Side.SELL))
    return trades


def round_price(price: float, tick: Decimal) -> Decimal:
    """The nearest multiple of ``tick``, at least one."""
    return max(Decimal(round(price / float(tick))) * tick, tick)


class SyntheticBook:
    """A book made up around the last trade: no recording of the real one exists.

    After a taker's buy the best ask stands at its price and the best bid one spread below; after a sell the other way
    round. Behind them levels stand on a fixed grid, each with a size of its own that never changes, so that the book
    moves only where the price does.

    Args:
        tick: price increment.
        step: size increment.
        reference: the price from which the spread and the grid are sized, once and for all.
        spread_bps: full spread in basis points of the reference (at least one tick).
        gap_bps: distance between levels, likewise.
        levels: levels on each side.
        level_quote: mean size of a level in quote.
        seed: makes the same sizes again.
    """

    def __init__(
        self,
        *,
        tick: Decimal,
        step: Decimal,
        reference: Decimal,
        spread_bps: Decimal,
        gap_bps: Decimal,
        levels: int,
        level_quote: Decimal,
        seed: str,
    ) -> None:
        self._tick = tick
        self._step = step
        self._spread = max(round(reference * spread_bps / 10000 / tick), 1) * tick
        self._gap = max(round(reference * gap_bps / 10000 / tick), 1) * tick
        self._levels = levels
        self._level_base = level_quote / reference
        self._seed = seed
        self._sizes: dict[Decimal, Decimal] = {}
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}
        self.time_ms = 0

    def move(self, trade: SlotTrade, time_ms: int) -> BookUpdate:
        """Follow one trade; returns the levels that changed."""
        best_bid, best_ask = (
            (trade.price - self._spread, trade.price)
            if trade.side is Side.BUY
            else (trade.price, trade.price + self._spread)
        )
        bids = self._side(max(best_bid, self._tick), -1)
        asks = self._side(best_ask, 1)
        self.time_ms = max(time_ms, self.time_ms + 1)
        update = BookUpdate(self.time_ms, False, _changed(self.bids, bids), _changed(self.asks, asks))
        self.bids, self.asks = bids, asks
        return update

    def confirm(self, time_ms: int) -> BookUpdate:
        """Say that the book stands as it stood."""
        self.time_ms = max(time_ms, self.time_ms + 1)
        return BookUpdate(self.time_ms, False, (), ())

    def depth(self) -> Depth:
        """The whole book, best first."""
        return Depth(tuple(self.bids.items()), tuple(self.asks.items()))

    def snapshot(self) -> BookUpdate:
        """The whole book with its time."""
        return BookUpdate(self.time_ms, True, tuple(self.bids.items()), tuple(self.asks.items()))

    def _side(self, best: Decimal, direction: int) -> dict[Decimal, Decimal]:
        side = {best: self._size(best)}
        # The next grid line strictly behind the best price.
        line = best // self._gap * self._gap
        if direction > 0 or line == best:
            line += direction * self._gap
        while len(side) < self._levels and line > 0:
            side[line] = self._size(line)
            line += direction * self._gap
        return side

    def _size(self, price: Decimal) -> Decimal:
        size = self._sizes.get(price)
        if size is None:
            if len(self._sizes) > 20_000:
                self._sizes.clear()
            chance = random.Random(f"{self._seed}:{price}")  # noqa: S311 - a reproducible size, no secret
            share = Decimal(chance.randrange(200, 1800)) / 1000
            size = max((self._level_base * share).quantize(self._step, rounding=ROUND_DOWN), self._step)
            self._sizes[price] = size
        return size


def _changed(before: dict[Decimal, Decimal], after: dict[Decimal, Decimal]) -> list[tuple[Decimal, Decimal]]:
    gone = [(price, Decimal(0)) for price in before if price not in after]
    return gone + [(price, size) for price, size in after.items() if before.get(price) != size]
