"""A small world around the core for its tests: one account, one market, a clock that moves when told.

Nothing fills by itself. An exchange that is ``deaf`` leaves cancelled orders where they are.
"""

import os
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from epp.core import (
    Bar,
    BookedFill,
    Decision,
    Engine,
    EppParameters,
    Fill,
    GuardState,
    OpenOrder,
    OrderState,
    Placement,
    Reason,
    RestTicker,
    Side,
    Snapshot,
    State,
    TradingRules,
)
from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("EPP_EXAMPLES", "300"))
"""Examples of every property. A full run has 2,000: ``EPP_EXAMPLES=2000 pytest files/epp/tests``."""

PROPERTY = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

DAY_S = 86_400.0
MIDNIGHT = 20_000 * DAY_S
NOON = MIDNIGHT + 12 * 3600
RULES = TradingRules(Decimal("0.01"), Decimal("0.000001"), Decimal(5))
PRICE = 50_000.0


def flat_bars(until: float, price: float, count: int = 200, *, swing: float = 0.0) -> list[Bar]:
    """One-minute bars up to a time; each runs ``swing`` (fraction) up and down around the same price."""
    first = until - until % 60 - count * 60
    return [
        Bar(first + minute * 60, price, price * (1 + swing / 2), price * (1 - swing / 2), price)
        for minute in range(count)
    ]


def configured(**changes: Any) -> EppParameters:
    """The default parameters but for some."""
    return EppParameters.model_validate(changes)


@dataclass
class Stage:
    """An engine and what is around it.

    ``given`` holds snapshot fields that are not as they should be, until taken out again.
    """

    parameters: EppParameters = field(default_factory=configured)
    state: State = field(default_factory=State)
    ts: float = NOON
    mid: float = PRICE
    equity: float = 10_000.0
    share: float = 0.5
    fee: float = 0.001
    rules: TradingRules = RULES
    market_spread: float = 0.00004
    bars: int = 200
    deaf: bool = False
    given: dict[str, Any] = field(default_factory=dict)
    orders: dict[str, OpenOrder] = field(default_factory=dict)
    last: Decision = field(init=False)

    def __post_init__(self) -> None:
        self.base = (Decimal(repr(self.equity * self.share)) / Decimal(repr(self.mid))).quantize(self.rules.step)
        self.quote = (Decimal(repr(self.equity)) - self.base * Decimal(repr(self.mid))).quantize(Decimal("1e-8"))
        self.engine = Engine(self.parameters, self.state)
        self.number = 0
        if self.bars:
            self.engine.seed_bars(flat_bars(self.ts, self.mid, self.bars))

    # ---- what the core sees

    def snapshot(self, **changes: Any) -> Snapshot:
        """The world as it is now."""
        half = self.mid * self.market_spread / 2
        free_base, free_quote = self.free()
        values: dict[str, Any] = {
            "ts": self.ts, "bid": self.mid - half, "ask": self.mid + half, "last": self.mid, "book_age_s": 0.0,
            "base_total": self.base, "base_available": free_base, "quote_total": self.quote,
            "quote_available": free_quote, "maker_fee": self.fee, "rules": self.rules,
            "orders": tuple(self.orders.values()),
            "connector_ready": True, "orders_on_exchange": len(self.orders),
        }  # fmt: skip
        return Snapshot(**(values | self.given | changes))

    def free(self) -> tuple[Decimal, Decimal]:
        """Base and quote that no order holds."""
        base, quote = self.base, self.quote
        for order in self.orders.values():
            if order.side is Side.BUY:
                quote -= order.price * order.remaining
            else:
                base -= order.remaining
        return max(base, Decimal(0)), max(quote, Decimal(0))

    def rest(self, price: float | None = None) -> RestTicker:
        """A REST ticker of now."""
        half = self.mid * self.market_spread / 2
        at = self.mid if price is None else price
        return RestTicker(self.ts, at - half, at + half)

    # ---- time

    def tick(self, after: float = 1.0, **changes: Any) -> Decision:
        """Let time pass, decide once, do what was decided."""
        self.ts += after
        if not self.deaf:
            for name in [name for name, order in self.orders.items() if order.state is OrderState.CANCELLING]:
                del self.orders[name]
                self.engine.on_cancel(name, self.ts)
        self.last = self.engine.decide(self.snapshot(**changes))
        for name in (*self.last.cancel, *self.last.direct_cancel):
            self.orders[name] = replace(self.orders[name], state=OrderState.CANCELLING)
        for placement in self.last.place:
            self.put(placement)
        return self.last

    def run(self, seconds: float, step: float = 1.0, **changes: Any) -> list[Decision]:
        """Tick until so much time has passed."""
        return [self.tick(step, **changes) for _ in range(round(seconds / step))]

    def put(self, placement: Placement) -> str:
        """An order rests at the exchange from now on."""
        self.number += 1
        name = f"o{self.number}"
        self.orders[name] = OpenOrder(
            name, placement.side, placement.price, placement.amount, placement.level, self.ts, OrderState.OPEN
        )
        return name

    def fill(self, name: str, amount: Decimal | None = None, *, told: bool = True) -> BookedFill | None:
        """An own order trades; ``told`` False leaves the core without the news."""
        order = self.orders[name]
        traded = order.remaining if amount is None else amount
        if traded == order.remaining:
            del self.orders[name]
        else:
            self.orders[name] = replace(order, remaining=order.remaining - traded)
        return self.trade(order.side, order.price, traded, order_id=name, told=told)

    def trade(
        self, side: Side, price: Decimal, amount: Decimal, *, order_id: str = "x", told: bool = True
    ) -> BookedFill | None:
        """An own execution, whatever order it came from. Fees are taken of the coin received."""
        self.number += 1
        rate = Decimal(repr(self.fee))
        notional = price * amount
        if side is Side.BUY:
            fee, asset = amount * rate, self.parameters.base_asset
            self.base += amount - fee
            self.quote -= notional
        else:
            fee, asset = notional * rate, self.parameters.quote_asset
            self.base -= amount
            self.quote += notional - fee
        fill = Fill(
            trade_id=f"t{self.number}", order_id=order_id, ts=self.ts, side=side, price=price, amount=amount,
            fee_amount=fee, fee_asset=asset,
        )  # fmt: skip
        return self.engine.on_fill(fill) if told else None

    def restart(self) -> None:
        """The process ends and begins again from what it wrote down."""
        self.state = State.from_dict(self.engine.state.to_dict())
        self.engine = Engine(self.parameters, self.state)

    # ---- what is asked of it

    @property
    def doing(self) -> str:
        """The trading state of the last decision."""
        return self.last.state.value

    @property
    def codes(self) -> list[str]:
        """Codes of the reasons in force, gravest first."""
        return [reason.code for reason in self.last.reasons]

    def reason(self, code: str) -> Reason:
        """The reason of a code; the gravest when there are two."""
        return next(reason for reason in self.last.reasons if reason.code == code)

    def of(self, side: Side) -> list[OpenOrder]:
        """Own orders of a side, innermost first."""
        return sorted((order for order in self.orders.values() if order.side is side), key=lambda order: order.level)

    def base_share(self) -> float:
        """Share of equity in base."""
        return float(self.base) * self.mid / (float(self.base) * self.mid + float(self.quote))


def quoting(**changes: Any) -> Stage:
    """A stage whose core has begun to quote on both sides."""
    stage = Stage(**changes)
    stage.tick()
    assert stage.last.state is GuardState.RUNNING, stage.last.reasons
    assert stage.of(Side.BUY)
    assert stage.of(Side.SELL)
    return stage
