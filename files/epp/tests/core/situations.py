"""Random states of market, account, orders and configuration, for the properties of what is placed in them."""

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from epp.core import Decision, GuardState, OpenOrder, OrderState, Regime, Side, Snapshot, TradingRules
from epp.core.costs import current_markout
from epp.tests.core.stage import DAY_S, NOON, Stage, configured
from hypothesis import strategies as st


def parts(low: float, high: float) -> st.SearchStrategy[float]:
    """Evenly spaced floats: a thousand of them are as good as all, and shrink better."""
    return st.integers(0, 1000).map(lambda part: low + (high - low) * part / 1000)


# Made once: a strategy that is made anew for every example costs more than the decision that is looked at.
FEES = st.sampled_from([0.0, 0.0002, 0.0008, 0.001, 0.0015, 0.002])
BANDS = st.sampled_from([(0.15, 0.85), (0.15, 0.85), (0.0, 1.0), (0.4, 0.6), (0.44, 0.51)])
MIDS = st.tuples(parts(0.5, 9.5), st.integers(-4, 4)).map(lambda made: made[0] * 10.0 ** made[1])
EQUITIES = st.sampled_from([270.0, 1000.0, 10_000.0, 1_000_000.0])
AMOUNTS = st.sampled_from([20.0, 500.0, 5_000.0, 1e6])
CAPS = st.sampled_from([6.0, 60.0, 250.0, 1e5])
SKEWS = st.sampled_from([0.0, 0.002, 0.02])
STEPS = st.sampled_from([0.1, 0.4, 2.0])
EDGES = st.sampled_from([0.0, 2.0, 4.0])
DIGITS = st.tuples(st.integers(3, 7), st.integers(4, 8))
MINIMA = st.sampled_from([1, 5])
SHARES = parts(-0.1, 1.1)
"""Of the way from one edge of the band to the other."""
MARKET_SPREADS = st.sampled_from([0.0, 0.0001, 0.001, 0.0045])
REGIMES = st.sampled_from(Regime)
SINCE = st.sampled_from([0.0, 100.0])
MOVES = st.just(0.0) | parts(0, 0.004)
TURNOVERS = st.just(0.0) | parts(0, 3.2)
TARGETS = st.sampled_from([None, 0.45, 0.47, 0.5])
SCARCE = st.sampled_from(["1", "1", "1", "0.1", "0.01"])
ORDERS = st.lists(
    st.tuples(
        st.sampled_from(Side), parts(0.0001, 0.03), parts(0.0001, 0.05), st.integers(-1, 4),
        st.sampled_from(OrderState), st.sampled_from([0.0, 5.0, 200.0]),
    ),
    max_size=6,
)  # fmt: skip
"""Side, distance, share of equity, level, state and age of orders from before."""


@dataclass
class Situation:
    """One decision: what it was made of, and what it was."""

    stage: Stage
    snapshot: Snapshot
    decision: Decision

    @property
    def resting(self) -> list[OpenOrder]:
        """Orders that may still fill, those on their way out as well."""
        return list(self.snapshot.orders)

    @property
    def kept(self) -> list[OpenOrder]:
        """Orders that nothing asks to go."""
        return [
            order
            for order in self.snapshot.orders
            if order.state is not OrderState.CANCELLING and order.order_id not in self.decision.cancel
        ]

    @property
    def target(self) -> float:
        """Share of equity to hold in base."""
        target = self.stage.state.target.base_pct
        assert target is not None
        return target

    @property
    def limits(self) -> tuple[float, float]:
        """Shares of equity in base that selling, and buying, may reach."""
        if self.decision.state is GuardState.REDUCE_ONLY:
            return self.target, self.target
        return self.stage.parameters.min_base_pct, self.stage.parameters.max_base_pct

    @property
    def least_distance(self) -> float:
        """max(f + s + a + e, f/rho), from the state that the decision was made of."""
        parameters, state, fee = self.stage.parameters, self.stage.state, self.stage.fee
        markout = min(current_markout(state.markout, parameters, self.snapshot.ts), parameters.markout_cap_pct)
        adverse = max(state.market.drift_ewma, markout)
        sum_of_costs = fee + parameters.slippage_pct + adverse + parameters.min_net_edge_bps / 1e4
        return max(sum_of_costs, fee / parameters.max_fee_share)

    def distance(self, price: Decimal) -> float:
        """Distance of a price from mid, as a fraction."""
        return abs(float(price) / self.stage.mid - 1)

    def share_if_filled(self, side: Side, *, with_placed: bool = True, orders: list[OpenOrder] | None = None) -> float:
        """Share of equity in base, at mid, when every order of a side fills."""
        base, quote, mid = self.stage.base, self.stage.quote, Decimal(repr(self.stage.mid))
        sign = 1 if side is Side.BUY else -1
        filling = [(order.price, order.remaining) for order in orders or [] if order.side is side]
        if with_placed:
            filling += [(placed.price, placed.amount) for placed in self.decision.place if placed.side is side]
        for price, amount in filling:
            base += sign * amount
            quote -= sign * amount * price
        return float(base * mid / (base * mid + quote))


def _grid(value: float, digits: int) -> Decimal:
    """The power of ten that leaves so many digits of a value."""
    return Decimal(1).scaleb(math.floor(math.log10(value)) - digits)


@st.composite
def stages(draw: st.DrawFn, /, **fixed: Any) -> Stage:
    """A core in the middle of things, about to decide."""
    mid, equity, (low, high) = draw(MIDS), draw(EQUITIES), draw(BANDS)
    values: dict[str, Any] = {
        "min_base_pct": low,
        "max_base_pct": high,
        "total_amount_quote": draw(AMOUNTS),
        "max_order_notional_quote": draw(CAPS),
        "max_skew_pct": draw(SKEWS),
        "level_step": draw(STEPS),
        "min_net_edge_bps": draw(EDGES),
    }
    price_digits, amount_digits = draw(DIGITS)
    stage = Stage(
        parameters=configured(**values, **fixed),
        mid=mid,
        equity=equity,
        share=min(1.0, max(0.0, low + (high - low) * draw(SHARES))),
        fee=draw(FEES),
        rules=TradingRules(_grid(mid, price_digits), _grid(equity / mid, amount_digits), Decimal(draw(MINIMA))),
        market_spread=draw(MARKET_SPREADS),
        bars=14,
    )
    state = stage.state
    state.regime.regime, state.regime.since = draw(REGIMES), NOON - draw(SINCE)
    state.market.band, state.market.drift_ewma = draw(MOVES), draw(MOVES)
    state.markout.value, state.markout.ts = draw(MOVES), NOON
    target = draw(TARGETS)
    if target is not None and low < target < high:
        state.target.base_pct, state.target.ts = target, NOON
    day = state.ledger.day
    day.day, day.marked = int(NOON // DAY_S), True
    day.equity_open = day.equity_peak = Decimal(repr(equity))
    day.notional = Decimal(repr(equity * draw(TURNOVERS)))
    for order in draw(ORDERS):
        _put(stage, *order)
    free_base, free_quote = stage.free()
    scarce = Decimal(draw(SCARCE))
    stage.given = {"base_available": free_base * scarce, "quote_available": free_quote * scarce}
    return stage


def _put(stage: Stage, side: Side, away: float, worth: float, level: int, state: OrderState, age: float) -> None:
    """An order from before, where its side can be."""
    ticks = stage.mid * (1 - away if side is Side.BUY else 1 + away) / float(stage.rules.tick)
    price = (max(1, math.floor(ticks)) if side is Side.BUY else math.ceil(ticks)) * stage.rules.tick
    steps = stage.equity * worth / float(price) / float(stage.rules.step)
    name = f"old{len(stage.orders)}"
    stage.orders[name] = OpenOrder(name, side, price, max(1, int(steps)) * stage.rules.step, level, NOON - age, state)


def decided(stage: Stage) -> Situation:
    """The situation after the stage's core has decided."""
    stage.ts += 1
    snapshot = stage.snapshot()
    return Situation(stage, snapshot, stage.engine.decide(snapshot))


def situations(**fixed: Any) -> st.SearchStrategy[Situation]:
    """Decisions in random states, with some parameters fixed."""
    return stages(**fixed).map(decided)


SITUATIONS = situations()
