"""Drives the core over recorded one-minute bars: a small market for tests, not a replay.

A minute's path runs through open, high, low, close (or open, low, high, close) in straight lines; a resting order fills
in full when the path goes *through* its price. What the product's replay adds (latency, volume, fill probability) is
left out on purpose: here only the engine's behaviour is of interest.
"""

import csv
import gzip
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from epp.core import (
    Bar,
    Decision,
    Engine,
    EppParameters,
    Fill,
    GuardState,
    OpenOrder,
    OrderState,
    Regime,
    RestTicker,
    Side,
    Snapshot,
    State,
    TradingRules,
    ledger,
)

RULES = TradingRules(Decimal("0.01"), Decimal("0.000001"), Decimal(5))


def read_bars(path: Path, first: str = "", last: str = "") -> list[Bar]:
    """Bars of a recorded file between two timestamps (text, as in the file)."""
    with gzip.open(path, "rt") as lines:
        return [
            Bar(
                datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC).timestamp(),
                float(row["open"]), float(row["high"]), float(row["low"]), float(row["close"]),
            )
            for row in csv.DictReader(lines)
            if (not first or row["timestamp"] >= first) and (not last or row["timestamp"] < last)
        ]  # fmt: skip


def path(bars: Sequence[Bar], *, low_first: bool = False, step_s: float = 10.0) -> Iterator[tuple[float, float]]:
    """Recorded time and price, every ``step_s`` seconds; the corners are on the grid of 20 s."""
    for bar in bars:
        inner = (bar.low, bar.high) if low_first else (bar.high, bar.low)
        corners = (bar.open, *inner, bar.close)
        for index in range(int(60 / step_s)):
            at = index * step_s / 20
            leg = int(at)
            price = corners[leg] + (corners[leg + 1] - corners[leg]) * (at - leg)
            yield bar.start + index * step_s, price


@dataclass
class Run:
    """What came out of a drive."""

    ticks: int = 0
    quoting: int = 0
    states: Counter[GuardState] = field(default_factory=Counter)
    regimes: Counter[Regime] = field(default_factory=Counter)
    fills: int = 0
    least_share: float = 1.0
    most_share: float = 0.0
    most_turnover: float = 0.0
    began: Counter[str] = field(default_factory=Counter)
    """How often each reason began, by code, and how often it ended."""
    ended: Counter[str] = field(default_factory=Counter)
    in_force: set[str] = field(default_factory=set)
    """Codes still in force at the end."""
    what_ends: dict[str, str] = field(default_factory=dict)
    """What each reason said would end it."""
    longest: dict[str, float] = field(default_factory=dict)
    """Longest time in force, by code, seconds."""
    day_rows: int = 0


class Account:
    """Balances and orders of a market that fills on a strict cross."""

    def __init__(self, base: Decimal, quote: Decimal, fee: Decimal) -> None:
        self.base, self.quote, self.fee = base, quote, fee
        self.orders: dict[str, OpenOrder] = {}
        self.number = 0

    def take(self, decision: Decision, ts: float) -> None:
        """Place and begin to cancel."""
        for order_id in (*decision.cancel, *decision.direct_cancel):
            self.orders[order_id] = replace(self.orders[order_id], state=OrderState.CANCELLING)
        for wanted in decision.place:
            self.number += 1
            order = OpenOrder(f"o{self.number}", wanted.side, wanted.price, wanted.amount, wanted.level, ts)
            self.orders[order.order_id] = order

    def settle(self) -> list[str]:
        """Ids that a cancel of the last tick took out."""
        gone = [order_id for order_id, order in self.orders.items() if order.state is OrderState.CANCELLING]
        for order_id in gone:
            del self.orders[order_id]
        return gone

    def cross(self, price: float, ts: float, asset: str) -> list[Fill]:
        """Fills of the orders that the price went through."""
        fills = []
        for order_id, order in list(self.orders.items()):
            limit = float(order.price)
            if (price < limit) if order.side is Side.BUY else (price > limit):
                del self.orders[order_id]
                notional = order.price * order.remaining
                if order.side is Side.BUY:
                    fee, fee_asset = order.remaining * self.fee, asset
                    self.base += order.remaining - fee
                    self.quote -= notional
                else:
                    fee, fee_asset = notional * self.fee, "USDT"
                    self.base -= order.remaining
                    self.quote += notional - fee
                fills.append(
                    Fill(
                        trade_id=f"t{order_id}", order_id=order_id, ts=ts, side=order.side, price=order.price,
                        amount=order.remaining, fee_amount=fee, fee_asset=fee_asset,
                    )
                )  # fmt: skip
        return fills

    def view(self) -> tuple[OpenOrder, ...]:
        """Own orders."""
        return tuple(self.orders.values())

    def free(self) -> tuple[Decimal, Decimal]:
        """Free base and quote."""
        base, quote = self.base, self.quote
        for order in self.orders.values():
            if order.side is Side.BUY:
                quote -= order.price * order.remaining
            else:
                base -= order.remaining
        return base, quote


def drive(
    bars: Sequence[Bar],
    parameters: EppParameters,
    *,
    low_first: bool = False,
    step_s: float = 10.0,
    equity: float = 10_000.0,
    share: float = 0.5,
    fee: float = 0.001,
    seed_minutes: int = 60,
) -> Run:
    """Drive a fresh engine over bars; the first of them are seeded as the exchange's candles."""
    run = Run()
    engine = Engine(parameters, State.new())
    engine.seed_bars(bars[:seed_minutes])
    in_base = Decimal(repr(equity * share))
    account = Account(
        (in_base / Decimal(repr(bars[seed_minutes].open))).quantize(RULES.step),
        Decimal(repr(equity)) - in_base,
        Decimal(repr(fee)),
    )
    since: dict[str, float] = {}
    for ts, price in path(bars[seed_minutes:], low_first=low_first, step_s=step_s):
        for order_id in account.settle():
            engine.on_cancel(order_id, ts)
        for fill in account.cross(price, ts, parameters.base_asset):
            assert engine.on_fill(fill) is not None
            run.fills += 1
        free_base, free_quote = account.free()
        bid, ask = price * 0.99998, price * 1.00002
        snapshot = Snapshot(
            ts=ts, bid=bid, ask=ask, last=price, book_age_s=0.0, base_total=account.base,
            base_available=free_base, quote_total=account.quote, quote_available=free_quote, maker_fee=fee,
            rules=RULES, orders=account.view(), connector_ready=True, rest=RestTicker(ts, bid, ask),
            orders_on_exchange=len(account.orders),
        )  # fmt: skip
        decision = engine.decide(snapshot)
        for row in decision.day_rows:
            run.day_rows += 1
            engine.day_row_written(row.day)
        account.take(decision, ts)
        run.ticks += 1
        run.states[decision.state] += 1
        run.regimes[decision.regime] += 1
        run.quoting += bool(account.orders) and decision.state in (GuardState.RUNNING, GuardState.REDUCE_ONLY)
        run.what_ends.update((reason.code, reason.ends) for reason in decision.reasons)
        codes = {reason.code for reason in decision.reasons}
        for code in codes - since.keys():
            since[code] = ts
            run.began[code] += 1
        for code in since.keys() - codes:
            run.longest[code] = max(run.longest.get(code, 0.0), ts - since.pop(code))
            run.ended[code] += 1
        base_share = float(account.base) * price / (float(account.base) * price + float(account.quote))
        run.least_share, run.most_share = min(run.least_share, base_share), max(run.most_share, base_share)
        run.most_turnover = max(run.most_turnover, ledger.turnover(engine.state.ledger))
    run.in_force = set(since)
    return run
