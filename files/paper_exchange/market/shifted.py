"""A market moved by a factor on demand: the price jump of a bad day.

Prints, book and ticker are multiplied, so orders fill at the moved prices. Past candles stay as they were.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

from ..matching import Depth, TradingRules
from .feed import BookUpdate, Candle, Listener, Market, Print, Ticker

Level = tuple[Decimal, Decimal]
_ONE = Decimal(1)


class ShiftedMarket:
    """Another market, its prices multiplied while there is a factor; otherwise the other market itself.

    Args:
        market: the market to move.
        rules: whose tick the moved prices keep.
        factor: says by how much, now; 1 for not at all.
    """

    def __init__(self, market: Market, rules: TradingRules, factor: Callable[[], Decimal]) -> None:
        self._market = market
        self._rules = rules
        self._factor = factor
        self._listener: Listener | None = None
        self._last_factor = _ONE

    @property
    def kind(self) -> str:
        """The other market's."""
        return self._market.kind

    @property
    def speed(self) -> float:
        """The other market's."""
        return self._market.speed

    async def run(self, listener: Listener) -> None:
        """Move until cancelled."""
        self._listener = listener
        await self._market.run(self)

    def is_moving(self) -> bool:
        """Whether the other market moves."""
        return self._market.is_moving()

    def depth(self) -> Depth:
        """The moved book."""
        depth, factor = self._market.depth(), self._factor()
        return depth if factor == _ONE else Depth(self._bids(depth.bids, factor), self._asks(depth.asks, factor))

    def book_snapshot(self) -> BookUpdate:
        """The moved book with its time."""
        picture, factor = self._market.book_snapshot(), self._factor()
        if factor == _ONE:
            return picture
        return replace(picture, bids=self._bids(picture.bids, factor), asks=self._asks(picture.asks, factor))

    async def ticker(self) -> Ticker:
        """The ticker, its last price and extremes moved."""
        ticker, factor = await self._market.ticker(), self._factor()
        if factor == _ONE:
            return ticker
        last = self._nearest(ticker.last * factor)
        return replace(ticker, last=last, high_24h=max(ticker.high_24h, last), low_24h=min(ticker.low_24h, last))

    async def candles(self, length_s: int, start_ms: int, end_ms: int) -> Sequence[Candle]:
        """The other market's candles; the running one has seen the moved price."""
        candles, factor = list(await self._market.candles(length_s, start_ms, end_ms)), self._factor()
        if factor != _ONE and candles:
            close = self._nearest(candles[-1].close * factor)
            running = candles[-1]
            candles[-1] = replace(running, close=close, high=max(running.high, close), low=min(running.low, close))
        return candles

    def describe(self) -> Mapping[str, object]:
        """The other market's words, and the factor while it is not 1."""
        factor = self._factor()
        return {**self._market.describe(), **({} if factor == _ONE else {"moved_by": str(factor)})}

    def on_prints(self, prints: Sequence[Print]) -> None:
        """Pass trades on, moved."""
        factor = self._factor()
        if self._listener is not None:
            moved = [replace(printed, price=self._nearest(printed.price * factor)) for printed in prints]
            self._listener.on_prints(prints if factor == _ONE else moved)

    def on_book(self, update: BookUpdate) -> None:
        """Pass the book on, moved; whole when the factor has changed."""
        factor = self._factor()
        if self._listener is None:
            return
        if factor != self._last_factor or factor != _ONE:
            # Two prices may become one: a moved book is always shown whole.
            self._last_factor = factor
            update = self.book_snapshot()
        self._listener.on_book(update)

    def on_gap(self, began_ms: int, ended_ms: int, why: str) -> None:
        """Pass a gap on."""
        if self._listener is not None:
            self._listener.on_gap(began_ms, ended_ms, why)

    def _nearest(self, price: Decimal) -> Decimal:
        return max(price.quantize(self._rules.tick, rounding=ROUND_HALF_EVEN), self._rules.tick)

    def _bids(self, levels: Sequence[Level], factor: Decimal) -> list[Level]:
        return self._merged(levels, factor, ROUND_FLOOR)

    def _asks(self, levels: Sequence[Level], factor: Decimal) -> list[Level]:
        return self._merged(levels, factor, ROUND_CEILING)

    def _merged(self, levels: Sequence[Level], factor: Decimal, rounding: str) -> list[Level]:
        merged: dict[Decimal, Decimal] = {}
        for price, size in levels:
            moved = max((price * factor).quantize(self._rules.tick, rounding=rounding), self._rules.tick)
            merged[moved] = merged.get(moved, Decimal(0)) + size
        return list(merged.items())
