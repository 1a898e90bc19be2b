"""One run of the core over recorded data."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from .. import core
from ..core.engine import Engine
from ..core.state import State
from ..report import FillRow, Validation
from ..report import MinuteRow as ReportedMinute
from .books_writer import ReplayBooks
from .exchange import ReplayExchange
from .market_data import BAR_S, Candle, Trade
from .settings import Path, RunKind, Settings

_PROGRESS_EVERY = 500
_CLOCK_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How much was done, and how fast."""

    bars: int
    decisions: int
    seconds: float

    @property
    def bars_per_s(self) -> float:
        """Bars a second; for trades, minutes of data a second."""
        return self.bars / self.seconds if self.seconds else 0.0


class Simulation:
    """The core, the exchange and the books, wired together and driven by a price path.

    Args:
        parameters: the strategy's.
        settings: what is assumed of the exchange.
        kind: path and fill probability.
        first_price: at which the account is valued at the start.
        provenance: cells of the books' provenance columns.
        books: where rows are written; None writes none.
        validation: sums the rows up.
        bars: the minutes before the data, as a live bot is given its exchange's candles at the start.
    """

    def __init__(
        self,
        parameters: core.EppParameters,
        settings: Settings,
        kind: RunKind,
        *,
        first_price: float,
        provenance: tuple[str, ...],
        books: ReplayBooks | None,
        validation: Validation,
        bars: Sequence[core.Bar] = (),
    ) -> None:
        self._settings = settings
        self._kind = kind
        self._engine = Engine(parameters, State.new())
        self._engine.seed_bars(bars)
        self._pair = parameters.trading_pair
        self._provenance = provenance
        self._books = books
        self._validation = validation
        self._chance = random.Random(settings.seed)  # noqa: S311 -- repeatable draws, no secret
        self._fee = float(settings.maker_fee)
        self._clock = core.ClockSample(float("-inf"), 0.0, 0.0)
        self._minute = -1
        self._now = 0.0
        self.decisions = 0
        base, quote = _opening(parameters, settings, first_price)
        self._exchange = ReplayExchange(
            settings, parameters.base_asset, parameters.quote_asset, base, quote, listener=self
        )

    # ---- what the exchange tells

    def filled(self, fill: core.Fill) -> None:
        """Book a fill in the core and write it."""
        booked = self._engine.on_fill(fill)
        if booked is None:
            raise RuntimeError(f"trade {fill.trade_id} was booked before")
        if self._books is not None:
            self._books.fill(booked)
        self._validation.fill(
            FillRow(
                ts=booked.ts,
                provenance=self._provenance,
                exchange="replay",
                trading_pair=self._pair,
                is_buy=booked.side is core.Side.BUY,
                price=booked.price,
                amount_base=booked.amount_base,
                notional_quote=booked.notional_quote,
                fee_quote=booked.fee_quote,
                order_id=booked.order_id,
                trade_id=booked.trade_id,
                is_maker=booked.is_maker,
                mid=booked.mid,
            )
        )

    def cancelled(self, order_id: str, ts: float) -> None:
        """Tell the core that an order is gone."""
        self._engine.on_cancel(order_id, ts)

    def refused(self, placement: core.Placement, ts: float, detail: str) -> None:
        """Tell the core that an order was not taken."""
        self._engine.on_placement_failure(placement.side, placement.level, ts, detail)

    # ---- time passes

    def candles(self, candles: Iterable[Candle], progress: Callable[[int], None] | None) -> Pace:
        """Run over candles; ``progress`` gets the number of bars done now and then."""
        began = time.perf_counter()
        count = 0
        for candle in candles:
            self._candle(candle)
            count += 1
            if progress is not None and not count % _PROGRESS_EVERY:
                progress(count)
        self._finish()
        return Pace(count, self.decisions, time.perf_counter() - began)

    def trades(self, trades: Iterable[Trade], progress: Callable[[int], None] | None) -> Pace:
        """Run over trades: decisions go on, evenly spaced, while nothing trades."""
        began = time.perf_counter()
        step = self._settings.decision_s
        first = due = 0.0
        price = 0.0
        sides = self._draw()
        minute = -1
        exchange = self._exchange
        for number, trade in enumerate(trades):
            if not number:
                first = due = trade.ts - trade.ts % step
                price = trade.price
            while due <= trade.ts:
                self._rest(due, price)
                self._decide(due, price)
                due += step
                if progress is not None and not self.decisions % _PROGRESS_EVERY:
                    progress(int((due - first) // BAR_S))
            if trade.ts // BAR_S != minute:
                minute = int(trade.ts // BAR_S)
                sides = self._draw()
            if exchange.next_due <= trade.ts:
                exchange.arrive(trade.ts, price)
            price = trade.price
            exchange.trade(price, trade.amount, trade.ts, sides)
        self._finish()
        return Pace(int((due - first) // BAR_S), self.decisions, time.perf_counter() - began)

    def _rest(self, ts: float, price: float) -> None:
        """Time passes without a trade."""
        if self._exchange.next_due <= ts:
            self._exchange.arrive(ts, price)

    def _draw(self) -> tuple[bool, bool]:
        """Whether the market may fill own buys, and own sells, in the coming minute.

        The draws are the same for every fill probability, so that a lower one leaves out fills and adds none by itself.
        """
        probability = self._kind.fill_probability
        return self._chance.random() < probability, self._chance.random() < probability

    def _candle(self, candle: Candle) -> None:
        """Four corners, three legs between them; a leg lasts as long as its share of the whole way."""
        start = float(candle.start)
        corners = (candle.open, candle.high, candle.low, candle.close)
        if self._kind.path is Path.LOW_FIRST:
            corners = (candle.open, candle.low, candle.high, candle.close)
        one, two, three = (abs(corners[leg + 1] - corners[leg]) for leg in range(3))
        whole = one + two + three
        end = start + BAR_S
        times: tuple[float, ...]
        if whole:
            times = (start, start + BAR_S * one / whole, start + BAR_S * (one + two) / whole, end)
        else:
            times = (start, end, end, end)
        volume_per_s = candle.volume / BAR_S
        sides = self._draw()
        exchange, step = self._exchange, self._settings.decision_s
        leg, at, price, decision = 0, start, corners[0], 0
        due = start
        while True:
            if at >= due:
                self._decide(due, price)
                decision += 1
                due = start + decision * step if decision < self._settings.decisions_per_bar else end
            stop = min(due, exchange.next_due, end)
            while at < stop:
                while times[leg + 1] <= at and leg < 2:
                    leg += 1
                corner = times[leg + 1]
                then = min(stop, corner)
                if corner > at:
                    to = (
                        corners[leg + 1]
                        if then == corner
                        else price + (corners[leg + 1] - price) * (then - at) / (corner - at)
                    )
                else:
                    to = corners[leg + 1]
                if (
                    to < exchange.highest_buy
                    or price < exchange.highest_buy
                    or to > exchange.lowest_sell
                    or price > exchange.lowest_sell
                ):
                    exchange.move(price, to, at, then, volume_per_s * (then - at), sides)
                at, price = then, to
            if exchange.next_due <= at:
                exchange.arrive(at, price)
            if at >= end:
                return

    def _decide(self, ts: float, price: float) -> None:
        exchange = self._exchange
        bid, ask = exchange.book_at(price)
        if ts - self._clock.ts >= _CLOCK_EVERY_S:
            self._clock = core.ClockSample(ts, 0.0, 0.0)
        base, base_free, quote, quote_free = exchange.balances()
        decision = self._engine.decide(
            core.Snapshot(
                ts=ts,
                bid=bid,
                ask=ask,
                last=price,
                book_age_s=0.0,
                base_total=base,
                base_available=base_free,
                quote_total=quote,
                quote_available=quote_free,
                maker_fee=self._fee,
                rules=exchange.rules,
                orders=exchange.orders(),
                connector_ready=True,
                rest=core.RestTicker(ts, bid, ask),
                clock=self._clock,
                orders_on_exchange=exchange.resting_count,
            )
        )
        self.decisions += 1
        self._now = ts
        for order_id in decision.cancel:
            exchange.cancel(order_id, ts)
        for order_id in decision.direct_cancel:
            exchange.cancel(order_id, ts)
        if decision.direct_cancel_all:
            exchange.cancel_all(ts)
        for placement in decision.place:
            exchange.place(placement, ts)
        if self._books is not None:
            for event in decision.events:
                self._books.event(event.ts, event.code, event.detail)
        for row in decision.day_rows:
            self._day(row)
            self._engine.day_row_written(row.day)
        minute = int(ts // BAR_S)
        if minute != self._minute:
            self._minute = minute
            self._write_minute()

    def _write_minute(self) -> None:
        row = self._engine.minute_row()
        if self._books is not None:
            self._books.minute(row)
        self._validation.minute(
            ReportedMinute(
                ts=row.ts,
                provenance=self._provenance,
                exchange="replay",
                trading_pair=self._pair,
                state=row.state.value,
                reasons=tuple(row.reasons.split(";")) if row.reasons else (),
                regime=row.regime.value,
                mid=row.mid,
                equity_quote=row.equity_quote,
                trading_pnl_quote=row.trading_pnl_quote,
                base_balance=row.base_balance,
                quote_balance=row.quote_balance,
                base_pct=row.base_pct,
                target_base_pct=row.target_base_pct,
                spread_pct=row.spread_pct,
                spread_floor_pct=row.spread_floor_pct,
                skew=row.skew,
                turnover_x=row.turnover_x,
                orders_active=row.orders_active,
                cancel_fail_streak=row.cancel_fail_streak,
            )
        )

    def _day(self, row: core.DayRow) -> None:
        self._validation.day_opens[row.day] = row.equity_open_quote
        if self._books is not None:
            self._books.day(row)

    def _finish(self) -> None:
        if self.decisions:
            self._write_minute()
            self._day(self._engine.day_row(self._now))


def _opening(parameters: core.EppParameters, settings: Settings, price: float) -> tuple[Decimal, Decimal]:
    """Base and quote at the start: the target mix, or the one asked for."""
    share = settings.start_base_pct
    if share is None:
        share = parameters.regime(core.Regime.NEUTRAL_LOW_VOL).target_base_pct
    at = Decimal(repr(price))
    step = Decimal(1).scaleb(-settings.quantity_precision)
    base = (settings.start_equity * Decimal(repr(share)) / at).quantize(step, rounding=ROUND_DOWN)
    return base, settings.start_equity - base * at
