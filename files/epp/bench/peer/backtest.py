"""One run of Hummingbot's BacktestingEngineBase, timed; prints one line of JSON. Runs in the bot image.

The engine gets its candles and trading rules beforehand, as its own users preload them, so that it neither needs a
network nor waits for one; only ``run_backtesting`` is timed.
"""

import argparse
import asyncio
import json
import resource
import time

import pandas  # type: ignore[import-not-found,import-untyped,unused-ignore]  # Hummingbot's image brings it
from controllers.market_making.minimal_maker import (  # type: ignore[import-not-found]  # mounted there
    MinimalMakerConfig,
)
from hummingbot.connector.trading_rule import TradingRule
from hummingbot.strategy_v2.backtesting.backtesting_engine_base import BacktestingEngineBase

CONNECTOR = "bitget"
PAIR = "BTC-USDT"
INTERVAL = "1m"


def candles(path: str, bars: int) -> pandas.DataFrame:
    """The first bars of a recording, in the columns of Hummingbot's candles feed."""
    recorded = pandas.read_csv(path, nrows=bars)
    moments = pandas.to_datetime(recorded["timestamp"], utc=True)
    feed = recorded[["open", "high", "low", "close"]].astype(float)
    feed.insert(0, "timestamp", [moment.timestamp() for moment in moments])
    feed["volume"] = recorded["volume"] / feed["close"]
    for column in ("quote_asset_volume", "n_trades", "taker_buy_base_volume", "taker_buy_quote_volume"):
        feed[column] = 0.0
    return feed


async def timed(feed: pandas.DataFrame, spreads: str, refresh_s: int) -> dict[str, float]:
    """Run the engine over the candles."""
    engine = BacktestingEngineBase()
    provider = engine.backtesting_data_provider
    provider.trading_rules[CONNECTOR] = {PAIR: TradingRule(PAIR)}
    provider.candles_feeds[f"{CONNECTOR}_{PAIR}_{INTERVAL}"] = feed
    config = MinimalMakerConfig(
        id="peer",
        connector_name=CONNECTOR,
        trading_pair=PAIR,
        total_amount_quote=1000,
        buy_spreads=spreads,
        sell_spreads=spreads,
        buy_amounts_pct="1,1",
        sell_amounts_pct="1,1",
        executor_refresh_time=refresh_s,
        skip_rebalance=True,
        leverage=1,
    )
    wall, cpu = time.perf_counter(), time.process_time()
    first, last = int(feed["timestamp"].iloc[0]), int(feed["timestamp"].iloc[-1])
    result = await engine.run_backtesting(config, first, last, INTERVAL, trade_cost=0.001)
    return {
        "bars": len(feed),
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "executors": len(result["executors"]),
        "peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("candles")
    parser.add_argument("bars", type=int)
    parser.add_argument("--spreads", required=True)
    parser.add_argument("--refresh", type=int, required=True)
    given = parser.parse_args()
    print(json.dumps(asyncio.run(timed(candles(given.candles, given.bars), given.spreads, given.refresh))))


main()
