"""Recordings, the trades and book made from them, and the clock they are played by."""

import asyncio
import itertools
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paper_exchange.market.feed import BookUpdate, Print
from paper_exchange.market.recorded import Anchor, BookShape, RecordedMarket, make_anchor, resume_anchor
from paper_exchange.market.recording import (
    SLOTS,
    Bar,
    Recording,
    RecordingError,
    SlotTrade,
    SyntheticBook,
    read_recording,
    slot_trades,
)
from paper_exchange.matching import Side, TradingRules

from .conftest import WHOLE_RECORDING, eventually

RULES = TradingRules("BTC", "USDT", 2, 6, Decimal(1), Decimal(0), Decimal(0))
SHAPE = BookShape(Decimal(1), Decimal(1), 50, Decimal(20000))
HEADER = "timestamp,open,high,low,close,volume\n"


@st.composite
def bars(draw: st.DrawFn) -> Bar:
    low, high = sorted(draw(st.lists(st.floats(10, 100_000), min_size=2, max_size=2)))
    inside = st.floats(low, high)
    return Bar(draw(inside), high, low, draw(inside), draw(st.floats(0, 1e9)))


@settings(max_examples=300, deadline=None)
@given(bar=bars(), seed=st.text(max_size=8))
def test_made_up_trades_keep_what_the_bar_says(bar: Bar, seed: str) -> None:
    tick, step = Decimal("0.01"), Decimal("0.000001")
    trades = slot_trades(bar, seed=seed, factor=1.0, tick=tick, step=step)
    prices = [trade.price for trade in trades]
    close_to = [(prices[0], bar.open), (prices[-1], bar.close), (max(prices), bar.high), (min(prices), bar.low)]
    assert all(abs(price - Decimal(recorded)) <= tick for price, recorded in close_to)
    assert all(trade.size >= step for trade in trades)
    volume = float(sum(trade.size for trade in trades))
    assert volume <= bar.quote_volume / bar.close * (1 + 1e-9) + SLOTS * float(step) * (1 + 1e-9)
    for earlier, later in itertools.pairwise(trades):
        if later.price != earlier.price:
            assert later.side is (Side.BUY if later.price > earlier.price else Side.SELL)
    assert trades == slot_trades(bar, seed=seed, factor=1.0, tick=tick, step=step)


@settings(max_examples=100, deadline=None)
@given(
    prices=st.lists(st.integers(4_500_000, 4_700_000), min_size=1, max_size=20),
    sides=st.lists(st.sampled_from(Side), min_size=20, max_size=20),
)
def test_the_book_follows_the_trades_and_updates_add_up(prices: list[int], sides: list[Side]) -> None:
    tick = Decimal("0.01")
    book = SyntheticBook(
        tick=tick,
        step=Decimal("0.000001"),
        reference=Decimal(46000),
        spread_bps=Decimal(1),
        gap_bps=Decimal(1),
        levels=50,
        level_quote=Decimal(20000),
        seed="x",
    )
    copy: dict[str, dict[Decimal, Decimal]] = {"bids": {}, "asks": {}}
    last_ms = 0
    for ticks, side in zip(prices, sides, strict=False):
        trade = SlotTrade(ticks * tick, Decimal(1), side)
        update = book.move(trade, 1000)
        assert update.time_ms > last_ms
        last_ms = update.time_ms
        for name, changes in (("bids", update.bids), ("asks", update.asks)):
            for price, size in changes:
                copy[name][price] = size
                if not size:
                    del copy[name][price]
        depth = book.depth()
        assert dict(depth.bids) == copy["bids"]
        assert dict(depth.asks) == copy["asks"]
        best_bid, best_ask = depth.bids[0][0], depth.asks[0][0]
        assert best_ask - best_bid == Decimal("4.60")
        assert trade.price == (best_ask if side is Side.BUY else best_bid)
        assert [p for p, _ in depth.bids] == sorted((p for p, _ in depth.bids), reverse=True)
        assert [p for p, _ in depth.asks] == sorted(p for p, _ in depth.asks)
        assert len(depth.bids) == len(depth.asks) == 50


class Clock:
    """A wall clock set by hand."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Ears:
    """Remembers what the market did."""

    def __init__(self) -> None:
        self.prints: list[Print] = []
        self.books: list[BookUpdate] = []
        self.gaps: list[tuple[int, int, str]] = []

    def on_prints(self, prints: Sequence[Print]) -> None:
        self.prints += prints

    def on_book(self, update: BookUpdate) -> None:
        self.books.append(update)

    def on_gap(self, began_ms: int, ended_ms: int, why: str) -> None:
        self.gaps.append((began_ms, ended_ms, why))


@pytest.fixture(scope="module")
def recording() -> Recording:
    return read_recording(WHOLE_RECORDING)


def start(recording: Recording, clock: Clock, offset: float = 60000, speed: float = 10) -> RecordedMarket:
    anchor = make_anchor(recording.fingerprint, offset, clock.now, speed)
    return RecordedMarket(recording, anchor, RULES, SHAPE, clock)


async def play(market: RecordedMarket, clock: Clock, seconds: float) -> Ears:
    """Let wall time pass in small steps."""
    ears = Ears()
    task = asyncio.create_task(market.run(ears))
    for _ in range(round(seconds / 0.5)):
        clock.now += 0.5
        await asyncio.sleep(0.025)
    # The market sleeps by real time: let it catch up.
    await eventually(lambda: market._slot == market._slot_at(clock.now))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return ears


async def test_the_pace_is_what_it_says(recording: Recording) -> None:
    clock = Clock(1_800_000_000.0)
    ears = await play(start(recording, clock), clock, 30)
    # 30 s at 10x are 5 recorded minutes of 20 trades.
    assert abs(len(ears.prints) - 100) <= 1
    assert all(abs(printed.time_ms / 1000 - clock.now) <= 31 for printed in ears.prints)
    assert len({printed.trade_id for printed in ears.prints}) == len(ears.prints)


async def test_candles_are_whole_recorded_bars(recording: Recording) -> None:
    clock = Clock(1_800_000_017.3)
    market = start(recording, clock)
    minute = 1_800_000_000 * 1000 - 10 * 60_000
    candles = await market.candles(60, minute, minute + 60_000)
    (candle,) = candles
    # The anchor is 60000 s less a misfit under one minute: ten whole bars, ending 17.3 s and ten minutes ago.
    first = round(market._anchor.market_at(minute / 1000) / 60)
    assert float(candle.open) == recording.open[first]
    assert float(candle.close) == recording.close[first + 9]
    assert float(candle.high) == max(recording.high[first : first + 10])
    assert float(candle.low) == min(recording.low[first : first + 10])
    assert float(candle.quote_volume) == pytest.approx(sum(recording.quote_volume[first : first + 10]), rel=1e-6)


async def test_the_running_candle_is_what_was_printed(recording: Recording) -> None:
    clock = Clock(1_800_000_000.0)
    market = start(recording, clock, speed=7)
    ears = await play(market, clock, 40)
    (candle,) = await market.candles(60, 1_800_000_000_000, int(clock.now * 1000))
    prices = [printed.price for printed in ears.prints]
    assert candle.close == prices[-1]
    assert candle.high >= max(prices)
    assert candle.low <= min(prices)


async def test_after_the_end_it_begins_again_without_a_jump(recording: Recording) -> None:
    clock = Clock(1_800_000_000.0)
    end = len(recording) * 60
    market = start(recording, clock, offset=end - 120)
    ears = await play(market, clock, 30)
    assert market.describe()["lap"] == 1
    assert all(
        abs(later.price / earlier.price - 1) < Decimal("0.005") for earlier, later in itertools.pairwise(ears.prints)
    )
    bars = await market.candles(60, (1_800_000_000 - 600) * 1000, int(clock.now * 1000))
    assert len(bars) == 11


async def test_a_clock_that_jumps_skips_prints(recording: Recording) -> None:
    clock = Clock(1_800_000_000.0)
    market = start(recording, clock)
    clock.now += 86400
    assert not market.is_moving()
    ears = await play(market, clock, 1)
    assert market.is_moving()
    assert len(ears.prints) < 20


def test_a_restart_goes_on_in_the_same_recording() -> None:
    saved = make_anchor("r", 60000, 1000.0, 10)
    assert resume_anchor(saved, "r", 0, 5000.0, 10) == saved
    slower = resume_anchor(saved, "r", 0, 5000.0, 1)
    assert abs(slower.market_at(5000.0) - saved.market_at(5000.0)) < 60
    other = resume_anchor(saved, "other", 7200, 5000.0, 10)
    assert 7140 < other.market_at(5000.0) <= 7200


@given(start=st.floats(60, 1e6), wall=st.floats(1.7e9, 1.9e9), speed=st.sampled_from([1, 2, 5, 10, 30, 60]))
def test_minutes_of_both_clocks_begin_together(start: float, wall: float, speed: float) -> None:
    anchor = make_anchor("r", start, wall, speed)
    assert start - 60 < anchor.market_s <= start
    minute = (wall // 60 + 5) * 60
    misfit = anchor.market_at(minute) % 60
    assert min(misfit, 60 - misfit) < 0.01
    assert Anchor("r", 1.0, 2.0, 3.0).wall_at(4.0) == 3.0


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "line 1"),
        ("a,b\n", "line 1"),
        (HEADER, "no bars"),
        (HEADER + "2022-01-01 00:00:00,1,2,x,1,1\n", "line 2"),
        (HEADER + "2022-01-01 00:00:00,1,2\n", "line 2"),
        (HEADER + "2022-01-01 00:00:00,1,2,1.5,1,1\n", "line 2"),
        (HEADER + "2022-01-01 00:00:00,1,2,1,1,-1\n", "line 2"),
        (HEADER + "2022-01-01 00:00:00,1,nan,1,1,1\n", "line 2"),
        (HEADER + "2022-01-01 00:00:00,1,2,1,1,1\n2022-01-01 00:02:00,1,2,1,1,1\n", "line 3"),
        (HEADER + "2022-01-01 00:01:00,1,2,1,1,1\n2022-01-01 00:01:00,1,2,1,1,1\n", "line 3"),
    ],
)
def test_bad_recordings_are_refused_with_the_line(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(content)
    with pytest.raises(RecordingError, match=complaint) as refused:
        read_recording(path)
    assert str(path) in str(refused.value)


def test_a_torn_recording_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv.gz"
    path.write_bytes(WHOLE_RECORDING.read_bytes()[:1000])
    with pytest.raises(RecordingError, match="cannot be read"):
        read_recording(path)
