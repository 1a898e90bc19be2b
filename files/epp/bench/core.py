"""How long the core takes for one decision: ``python -m epp.bench.core``.

Two markets, both made here and always the same: a calm one, where all orders stay, and a wild one, where regimes
change, orders are pulled and placed, and some fill. Only the decision is timed, on the thread's own clock: what other
processes take of the machine is not counted.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import statistics
import time
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from ..core import (
    Bar,
    Decision,
    Engine,
    EppParameters,
    Fill,
    OpenOrder,
    OrderState,
    RestTicker,
    Side,
    Snapshot,
    State,
    TradingRules,
)

RULES: Final = TradingRules(Decimal("0.01"), Decimal("0.000001"), Decimal(5))
FEE: Final = 0.001
START: Final = 1_700_000_000.0
AIM_US: Final = 300.0
"""What a decision may take at the 99th percentile."""

_WARM_UP: Final = 500


@dataclass(frozen=True, slots=True)
class Timing:
    """Times of the decisions in one market, microseconds."""

    market: str
    decisions: int
    median_us: float
    p99_us: float
    worst_us: float
    placed: int
    fills: int


class _Account:
    """Balances and orders; an order fills when the price goes through it."""

    def __init__(self, price: float) -> None:
        self.quote = Decimal(5000)
        self.base = (self.quote / Decimal(repr(price))).quantize(RULES.step)
        self.orders: dict[str, OpenOrder] = {}
        self.number = 0
        self.fills = 0

    def settle(self, engine: Engine, price: float, ts: float) -> None:
        """Let cancels take effect, and fill what the price went through."""
        for name, order in list(self.orders.items()):
            buys = order.side is Side.BUY
            if order.state is OrderState.CANCELLING:
                del self.orders[name]
                engine.on_cancel(name, ts)
            elif price < float(order.price) if buys else price > float(order.price):
                del self.orders[name]
                self.fills += 1
                worth = order.price * order.remaining
                fee = worth * Decimal(repr(FEE))
                self.base += order.remaining if buys else -order.remaining
                self.quote += -worth - fee if buys else worth - fee
                engine.on_fill(
                    Fill(
                        trade_id=name, order_id=name, ts=ts, side=order.side, price=order.price,
                        amount=order.remaining, fee_amount=fee, fee_asset="USDT",
                    )
                )  # fmt: skip

    def take(self, decision: Decision, ts: float) -> None:
        """Do what was decided."""
        for name in (*decision.cancel, *decision.direct_cancel):
            self.orders[name] = replace(self.orders[name], state=OrderState.CANCELLING)
        for placement in decision.place:
            self.number += 1
            name = f"b{self.number}"
            self.orders[name] = OpenOrder(name, placement.side, placement.price, placement.amount, placement.level, ts)

    def snapshot(self, price: float, ts: float) -> Snapshot:
        """What the core sees."""
        free_base, free_quote = self.base, self.quote
        for order in self.orders.values():
            if order.side is Side.BUY:
                free_quote -= order.price * order.remaining
            else:
                free_base -= order.remaining
        bid, ask = price * 0.99998, price * 1.00002
        return Snapshot(
            ts=ts, bid=bid, ask=ask, last=price, book_age_s=0.1, base_total=self.base, base_available=free_base,
            quote_total=self.quote, quote_available=free_quote, maker_fee=FEE, rules=RULES,
            orders=tuple(self.orders.values()),
            connector_ready=True, rest=RestTicker(ts, bid, ask), orders_on_exchange=len(self.orders),
        )  # fmt: skip


def measure(market: str, volatility: float, decisions: int) -> Timing:
    """Time decisions, one a second.

    Args:
        market: its name.
        volatility: standard deviation of a second's relative move.
        decisions: how many are timed, after a warm-up.
    """
    chance = random.Random(market)  # noqa: S311 -- a repeatable market, no secret
    price = 50_000.0
    engine = Engine(EppParameters.model_validate({}), State.new())
    engine.seed_bars(
        [Bar(START - START % 60 - minute * 60, price, price, price, price) for minute in range(200, 0, -1)]
    )
    account = _Account(price)
    times: list[float] = []
    placed = 0
    gc.collect()
    for number in range(decisions + _WARM_UP):
        ts = START + number
        price *= 1 + chance.gauss(0, volatility)
        account.settle(engine, price, ts)
        snapshot = account.snapshot(price, ts)
        began = time.thread_time_ns()
        decision = engine.decide(snapshot)
        took = time.thread_time_ns() - began
        for row in decision.day_rows:
            engine.day_row_written(row.day)
        account.take(decision, ts)
        if number >= _WARM_UP:
            times.append(took / 1000)
            placed += len(decision.place)
    times.sort()
    return Timing(
        market, decisions, statistics.median(times), times[int(len(times) * 0.99)], times[-1], placed, account.fills
    )


def main() -> int:
    """Measure and print. It judges nothing: figures belong to a machine."""
    parser = argparse.ArgumentParser(prog="python -m epp.bench.core", description="Time the core's decisions.")
    parser.add_argument("--decisions", type=int, default=20_000, help="timed in each market (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    timings = [
        measure("calm", 0.00002, arguments.decisions),
        measure("wild", 0.0004, arguments.decisions),
    ]
    if arguments.json:
        print(
            json.dumps(
                [{name: getattr(timing, name) for name in Timing.__dataclass_fields__} for timing in timings],
                indent=2,
            )
        )
    else:
        print(f"{'market':8}{'decisions':>11}{'median':>11}{'p99':>11}{'worst':>11}{'placed':>9}{'fills':>8}")
        for timing in timings:
            print(
                f"{timing.market:8}{timing.decisions:>11}{timing.median_us:>8.1f} us{timing.p99_us:>8.1f} us"
                f"{timing.worst_us:>8.0f} us{timing.placed:>9}{timing.fills:>8}"
            )
        print(f"aim: p99 under {AIM_US:.0f} us")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
