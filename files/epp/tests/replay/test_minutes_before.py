"""A replay that begins within its data starts as a bot does: with the minutes before as its candles."""

import json
from pathlib import Path

import pytest
from epp.__main__ import main
from epp.core import Bar
from epp.replay.market_data import VolumeUnit
from epp.replay.runs import SEEDED_BARS, DataFile, bars_before

CANDLES = Path(__file__).parents[3] / "market" / "btc-usd-1m-2022-01.csv.gz"
NEW_YEAR = 1_640_995_200.0
"""2022-01-01T00:00Z; the recording begins 59 minutes before."""


def test_nothing_is_before_the_beginning_of_the_file() -> None:
    assert bars_before(DataFile(CANDLES, VolumeUnit.QUOTE)) == []


def test_the_candles_before_are_the_bars_up_to_as_many_as_a_bot_asks_for() -> None:
    first = bars_before(DataFile(CANDLES, VolumeUnit.QUOTE, begin=NEW_YEAR + 30))
    assert len(first) == 59
    assert first[-1].start == NEW_YEAR - 60
    later = bars_before(DataFile(CANDLES, VolumeUnit.QUOTE, begin=NEW_YEAR + 86_400))
    assert len(later) == SEEDED_BARS
    assert [bar.start for bar in later] == [NEW_YEAR + 86_400 - 60 * back for back in range(SEEDED_BARS, 0, -1)]


def test_trades_before_are_folded_into_whole_minutes(tmp_path: Path) -> None:
    file = tmp_path / "trades.csv"
    trades = [(0, 100), (10, 103), (59, 101), (60, 102), (185, 99), (200, 98), (260, 97)]
    file.write_text("ts,price,amount\n" + "".join(f"{NEW_YEAR + at:.0f},{price},1\n" for at, price in trades))
    assert bars_before(DataFile(file, begin=NEW_YEAR + 250)) == [
        Bar(NEW_YEAR, 100, 103, 100, 101),
        Bar(NEW_YEAR + 60, 102, 102, 102, 102),
        Bar(NEW_YEAR + 180, 99, 99, 98, 98),
    ]


@pytest.mark.parametrize(("begin", "waits"), [("2022-01-02", False), ("2021-12-31T23:01", True)])
def test_the_first_decision_quotes_when_there_are_minutes_before(tmp_path: Path, begin: str, waits: bool) -> None:
    code = main([
        "replay", str(CANDLES), "--volume-unit", "quote", "--from", begin, "--to", "2022-01-02T00:30",
        "--equity", "5000", "--jobs", "1", "--quiet", "--out", str(tmp_path),
    ])  # fmt: skip
    assert code == 0
    figures = json.loads((tmp_path / "replay.json").read_text())["runs"]["ohlc-p1"]["figures"]
    assert ("bars" in [pause["reason"] for pause in figures["pauses"]]) is waits
