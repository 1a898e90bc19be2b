"""What a recorded market printed, made again from the recording: data for a replay of the same hours."""

from __future__ import annotations

import asyncio
import csv
import json
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from epp.tests.adapter.conftest import FILES, docker
from paper_exchange.market.recorded import Anchor, BookShape, RecordedMarket
from paper_exchange.market.recording import SLOT_S, SLOTS, Recording, SlotTrade, read_recording, slot_trades
from paper_exchange.matching import TradingRules

if TYPE_CHECKING:
    from .conftest import Exchange

MARKET = FILES / "market/btc-usd-1m-2022-01.csv.gz"
TICK, STEP = Decimal("0.01"), Decimal("0.000001")


def anchor_of(exchange: Exchange) -> Anchor:
    """Where the exchange's recording stood when it began, from its log."""
    for line in docker("logs", exchange.name).splitlines():
        if '"market anchored"' in line:
            said = json.loads(line)
            return Anchor(**{field.name: said[field.name] for field in fields(Anchor)})
    raise AssertionError("the exchange's log does not say where its market is anchored")


def write_prints(path: Path, anchor: Anchor, end: float) -> int:
    """All trades from the recording's first up to a wall-clock time, as trades for a replay; returns their number."""
    recording = read_recording(MARKET)
    last = int(anchor.market_at(end) // SLOT_S)
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["timestamp_ms", "price", "amount", "side"])
        for bar in range(last // SLOTS + 1):
            for number, trade in enumerate(_trades(recording, bar)):
                slot = bar * SLOTS + number
                if slot <= last:
                    stamp = int(anchor.wall_at(slot * SLOT_S) * 1000)
                    rows.writerow([stamp, trade.price, trade.size, trade.side.value])
    return last + 1


def _trades(recording: Recording, bar: int) -> list[SlotTrade]:
    assert bar < len(recording), "the recording would have started again"
    return slot_trades(recording.bar(bar), seed=f"{recording.fingerprint}:{bar}", factor=1.0, tick=TICK, step=STEP)


def write_candles(path: Path, anchor: Anchor, end: float) -> int:
    """The whole wall-clock minutes up to a time, as the exchange's own candles tell them; returns their number."""
    rules = TradingRules("BTC", "USDT", 2, 6, Decimal(5), Decimal(0), Decimal(0))
    shape = BookShape(Decimal(1), Decimal(1), 50, Decimal(20_000))
    market = RecordedMarket(read_recording(MARKET), anchor, rules, shape, wall=lambda: end)
    first = int(-(-anchor.wall_at(0) // 60) * 60)
    candles = asyncio.run(market.candles(60, first * 1000, int(end // 60) * 60_000))
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["timestamp_ms", "open", "high", "low", "close", "base_volume"])
        for candle in candles:
            rows.writerow([candle.open_ms, candle.open, candle.high, candle.low, candle.close, candle.base_volume])
    return len(candles)
