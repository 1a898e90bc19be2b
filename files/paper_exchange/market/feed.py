"""What every kind of market offers to the exchange."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from ..matching import Depth, Side

# Candle lengths by Bitget's REST names, in seconds.
GRANULARITIES: Mapping[str, int] = {
    "1min": 60,
    "3min": 180,
    "5min": 300,
    "15min": 900,
    "30min": 1800,
    "1h": 3600,
    "4h": 14400,
    "6h": 21600,
    "12h": 43200,
    "1day": 86400,
}


class MarketUnavailableError(Exception):
    """The market cannot answer now; the message says why."""


@dataclass(frozen=True, slots=True)
class Print:
    """One public trade: price in quote, size in base, the taker's side."""

    trade_id: int
    time_ms: int
    price: Decimal
    size: Decimal
    side: Side


@dataclass(frozen=True, slots=True)
class BookUpdate:
    """Levels that changed (size 0: gone), or the whole book when ``is_snapshot``."""

    time_ms: int
    is_snapshot: bool
    bids: Sequence[tuple[Decimal, Decimal]]
    asks: Sequence[tuple[Decimal, Decimal]]


@dataclass(frozen=True, slots=True)
class Candle:
    """One bar by its opening time; volumes in base and in quote."""

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    base_volume: Decimal
    quote_volume: Decimal


@dataclass(frozen=True, slots=True)
class Ticker:
    """Last price and the last 24 hours."""

    last: Decimal
    open_24h: Decimal
    high_24h: Decimal
    low_24h: Decimal
    base_volume: Decimal
    quote_volume: Decimal


class Listener(Protocol):
    """Who is told what the market does. A batch of prints comes before the book it leaves behind."""

    def on_prints(self, prints: Sequence[Print]) -> None:
        """Public trades happened, oldest first."""

    def on_book(self, update: BookUpdate) -> None:
        """The public book changed, or is confirmed to be as it was (an update without levels)."""

    def on_gap(self, began_ms: int, ended_ms: int, why: str) -> None:
        """The market was not seen for a while, and now is again."""


# A market says at least so often how its book stands, changed or not.
BOOK_EVERY_S = 0.75


class Market(Protocol):
    """One pair's public market."""

    @property
    def kind(self) -> str:
        """``recorded`` or ``bitget``."""

    @property
    def speed(self) -> float:
        """How many market seconds pass in one."""

    async def run(self, listener: Listener) -> None:
        """Move until cancelled."""

    def is_moving(self) -> bool:
        """Whether prices are fresh: what a health check asks."""

    def depth(self) -> Depth:
        """The public book now; both sides empty while there is none."""

    def book_snapshot(self) -> BookUpdate:
        """The whole book with its time."""

    async def ticker(self) -> Ticker:
        """The ticker now.

        Raises:
            MarketUnavailableError: it cannot be known now.
        """

    async def candles(self, length_s: int, start_ms: int, end_ms: int) -> Sequence[Candle]:
        """Candles that open in [start, end), oldest first, the running one included.

        Raises:
            MarketUnavailableError: they cannot be known now.
        """

    def describe(self) -> Mapping[str, object]:
        """What this market is and where it stands, for people."""
