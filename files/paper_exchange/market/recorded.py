"""A recording played at a stated pace against the wall clock.

Market time is a straight line over wall time: ``market_s = anchor.market_s + (wall_s - anchor.wall_s) * speed``. The
anchor is made once and kept with the books, so that a restart goes on in the same recording as if it had never
stopped. Every timestamp that leaves is a wall-clock one: one wall minute's candle at speed 10 is ten recorded minutes.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache

from ..matching import Depth, TradingRules
from .feed import BOOK_EVERY_S, BookUpdate, Candle, Listener, MarketUnavailableError, Print, Ticker
from .recording import BAR_S, SLOT_S, SLOTS, Recording, SlotTrade, SyntheticBook, round_price, slot_trades

_log = logging.getLogger(__name__)

# After a stall (a suspended machine) older slots are skipped, as a market would have moved on without us.
_MAX_CATCH_UP_SLOTS = 200


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where a recording stood at one moment: its fingerprint, its second, the wall clock, the pace."""

    recording: str
    market_s: float
    wall_s: float
    speed: float

    def market_at(self, wall_s: float) -> float:
        """Seconds into the recording (beyond its length: played again) at a wall-clock time."""
        return self.market_s + (wall_s - self.wall_s) * self.speed

    def wall_at(self, market_s: float) -> float:
        """The wall-clock time of a second of the recording."""
        return self.wall_s + (market_s - self.market_s) / self.speed


def make_anchor(recording: str, start_s: float, wall_s: float, speed: float) -> Anchor:
    """Anchor ``start_s`` at ``wall_s``, moved back by less than one recorded minute so that the minutes of both
    clocks begin together (whenever the pace allows it): candles are then whole recorded bars.
    """
    next_minute = -(-wall_s // BAR_S) * BAR_S
    misfit = (start_s + (next_minute - wall_s) * speed) % BAR_S
    return Anchor(recording, max(start_s - misfit, 0.0), wall_s, speed)


def resume_anchor(saved: Anchor, recording: str, start_s: float, wall_s: float, speed: float) -> Anchor:
    """The anchor to go on with: the saved one; a new one where the market stands if the pace changed; a new one at
    ``start_s`` if it is another recording."""
    if saved.recording != recording:
        return make_anchor(recording, start_s, wall_s, speed)
    if saved.speed != speed:
        return make_anchor(recording, saved.market_at(wall_s), wall_s, speed)
    return saved


@dataclass(frozen=True, slots=True)
class BookShape:
    """The synthetic book's shape: spread and gap in basis points, levels a side, mean size of a level in quote."""

    spread_bps: Decimal
    gap_bps: Decimal
    levels: int
    level_quote: Decimal


class RecordedMarket:
    """A `Market` made from a recording.

    Args:
        recording: the bars.
        anchor: where it stands.
        rules: tick and step of the prices and sizes to make.
        shape: the synthetic book's shape.
        wall: the wall clock in epoch seconds.
    """

    kind = "recorded"

    def __init__(
        self,
        recording: Recording,
        anchor: Anchor,
        rules: TradingRules,
        shape: BookShape,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._recording = recording
        self._anchor = anchor
        self._rules = rules
        self._shape = shape
        self._wall = wall
        # Played again from its start, the recording is rebased so that the price goes on where it ended.
        self._rebase = recording.close[-1] / recording.open[0]
        self._book = SyntheticBook(
            tick=rules.tick,
            step=rules.step,
            reference=round_price(recording.open[0], rules.tick),
            spread_bps=shape.spread_bps,
            gap_bps=shape.gap_bps,
            levels=shape.levels,
            level_quote=shape.level_quote,
            seed=recording.fingerprint,
        )
        self._trades_of = lru_cache(maxsize=64)(self._make_trades)
        self._last_trade_id = 0
        self._slot = self._slot_at(self._wall())
        self._book.move(self._trade(self._slot), self._slot_ms(self._slot))

    @property
    def speed(self) -> float:
        """Market seconds per wall second."""
        return self._anchor.speed

    def is_moving(self) -> bool:
        """Whether the last print is not older than a few slots."""
        return self._slot_at(self._wall()) - self._slot <= max(3, 3 * self.speed / SLOT_S)

    async def run(self, listener: Listener) -> None:
        """Print every slot when its time has come, and confirm the book in between."""
        while True:
            now = self._wall()
            due = self._slot_at(now)
            if due > self._slot:
                if due - self._slot > _MAX_CATCH_UP_SLOTS:
                    skipped = due - self._slot - 1
                    _log.warning("the clock jumped: prints skipped", extra={"skipped": skipped})
                    began_ms = self._slot_ms(self._slot)
                    self._slot = due - 1
                    listener.on_gap(began_ms, self._slot_ms(due), "the clock jumped")
                self._advance(due, listener)
            elif now * 1000 - self._book.time_ms >= BOOK_EVERY_S * 1000:
                listener.on_book(self._book.confirm(int(now * 1000)))
            next_slot = self._anchor.wall_at((self._slot + 1) * SLOT_S) - self._wall()
            next_word = self._book.time_ms / 1000 + BOOK_EVERY_S - self._wall()
            await asyncio.sleep(max(min(next_slot, next_word), 0.02))

    def depth(self) -> Depth:
        """The synthetic book, best first."""
        return self._book.depth()

    def book_snapshot(self) -> BookUpdate:
        """The synthetic book with its time."""
        return self._book.snapshot()

    async def ticker(self) -> Ticker:
        """Last price, and the last 24 wall-clock hours as far as the recording reaches back."""
        end = self._market_now()
        day = self._aggregate(max(end - 86400 * self.speed, 0.0), end, 0)
        if day is None:
            raise MarketUnavailableError("the recording has only begun")
        last = self._trade(self._slot).price
        return Ticker(last, day.open, day.high, day.low, day.base_volume, day.quote_volume)

    async def candles(self, length_s: int, start_ms: int, end_ms: int) -> Sequence[Candle]:
        """Wall-clock candles made from the recorded bars that pass in them."""
        now = self._wall()
        first = -(-start_ms // 1000 // length_s) * length_s
        candles: list[Candle] = []
        for opened in range(first, min(-(-end_ms // 1000), int(now) + 1), length_s):
            begin = self._anchor.market_at(opened)
            end = min(self._anchor.market_at(opened + length_s), self._market_now())
            if begin < 0:
                continue
            candle = self._aggregate(begin, end, opened * 1000)
            if candle is not None:
                candles.append(candle)
        return candles

    def describe(self) -> Mapping[str, object]:
        """Kind, pace, recorded time, laps."""
        market_s = self._market_now()
        lap, second = divmod(market_s, len(self._recording) * BAR_S)
        return {
            "kind": self.kind,
            "speed": self.speed,
            "book": "synthetic",
            "spread_bps": str(self._shape.spread_bps),
            "recording": self._recording.fingerprint,
            "recorded_time": (self._recording.first + timedelta(seconds=second)).isoformat(timespec="seconds"),
            "offset_s": round(second, 1),
            "lap": int(lap),
        }

    def _market_now(self) -> float:
        """Market time up to which prints have been made: just after the last one."""
        return self._slot * SLOT_S + SLOT_S / 2

    def _slot_at(self, wall_s: float) -> int:
        # The small shift keeps a slot's own time from falling just short of it in floating point.
        return int((self._anchor.market_at(wall_s) + 1e-6) // SLOT_S)

    def _slot_ms(self, slot: int) -> int:
        return int(self._anchor.wall_at(slot * SLOT_S) * 1000)

    def _advance(self, due: int, listener: Listener) -> None:
        for slot in range(self._slot + 1, due + 1):
            self._slot = slot
            if slot % (len(self._recording) * SLOTS) == 0:
                _log.warning("the recording starts again, rebased", extra=dict(self.describe()))
            trade = self._trade(slot)
            time_ms = self._slot_ms(slot)
            self._last_trade_id = max(self._last_trade_id + 1, time_ms * 1000)
            listener.on_prints([Print(self._last_trade_id, time_ms, trade.price, trade.size, trade.side)])
            listener.on_book(self._book.move(trade, time_ms))

    def _trade(self, slot: int) -> SlotTrade:
        return self._trades_of(slot // SLOTS)[slot % SLOTS]

    def _make_trades(self, bar: int) -> list[SlotTrade]:
        lap, index = divmod(bar, len(self._recording))
        return slot_trades(
            self._recording.bar(index),
            seed=f"{self._recording.fingerprint}:{bar}",
            factor=self._rebase**lap,
            tick=self._rules.tick,
            step=self._rules.step,
        )

    def _aggregate(self, begin: float, end: float, open_ms: int) -> Candle | None:
        """One candle of the market from ``begin`` to ``end``: whole bars as recorded, their edges from the trades."""
        first_slot, end_slot = -int(-(begin - 1e-6) // SLOT_S), -int(-(end - 1e-6) // SLOT_S)
        if end_slot <= first_slot:
            return None
        first_bar, end_bar = -(-first_slot // SLOTS), end_slot // SLOTS
        parts: list[Candle] = []
        if first_bar > end_bar:
            parts.append(self._of_trades(first_slot, end_slot))
        else:
            if first_slot < first_bar * SLOTS:
                parts.append(self._of_trades(first_slot, first_bar * SLOTS))
            parts.extend(self._of_bars(first_bar, end_bar))
            if end_bar * SLOTS < end_slot:
                parts.append(self._of_trades(end_bar * SLOTS, end_slot))
        return Candle(
            open_ms,
            parts[0].open,
            max(part.high for part in parts),
            min(part.low for part in parts),
            parts[-1].close,
            sum((part.base_volume for part in parts), Decimal(0)),
            sum((part.quote_volume for part in parts), Decimal(0)),
        )

    def _of_trades(self, begin: int, end: int) -> Candle:
        trades = [self._trade(slot) for slot in range(begin, end)]
        prices = [trade.price for trade in trades]
        base = sum((trade.size for trade in trades), Decimal(0))
        quote = sum((trade.size * trade.price for trade in trades), Decimal(0))
        return Candle(0, prices[0], max(prices), min(prices), prices[-1], base, quote)

    def _of_bars(self, begin: int, end: int) -> list[Candle]:
        """Whole bars [begin, end), one candle per lap of the recording."""
        candles: list[Candle] = []
        while begin < end:
            lap, index = divmod(begin, len(self._recording))
            stop = min(index + end - begin, len(self._recording))
            factor = self._rebase**lap
            tick = self._rules.tick
            recording = self._recording
            quote = Decimal(sum(recording.quote_volume[index:stop])).quantize(tick)
            close = round_price(recording.close[stop - 1] * factor, tick)
            candles.append(
                Candle(
                    0,
                    round_price(recording.open[index] * factor, tick),
                    round_price(max(recording.high[index:stop]) * factor, tick),
                    round_price(min(recording.low[index:stop]) * factor, tick),
                    close,
                    (quote / close).quantize(self._rules.step),
                    quote,
                )
            )
            begin += stop - index
        return candles
