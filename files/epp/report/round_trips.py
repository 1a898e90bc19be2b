"""Round trips: own buys matched first-in-first-out with own sells, around the opening inventory.

The inventory held when the window opened is no trade of ours. What is bought or sold after that moves the position away
from it, above or below; a fill in the opposite direction closes the oldest such lot. A sell below the opening inventory
therefore opens a lot, which a later buy closes, just as well as the other way round.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Context, Decimal, localcontext

_ZERO = Decimal(0)
# Fees are split over partial closes: 28 digits are far more than any exchange books.
_CONTEXT = Context(prec=28)


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """What one opening order and one closing order made together. Money is in quote."""

    opened_ts: float
    closed_ts: float
    amount_base: Decimal
    opening_notional: Decimal
    gross: Decimal
    """PnL before fees."""
    fees: Decimal
    """Both fees."""

    @property
    def net(self) -> Decimal:
        """PnL after both fees."""
        return self.gross - self.fees


@dataclass(slots=True)
class _Pair:
    closed_ts: float
    amount: Decimal = _ZERO
    opening_notional: Decimal = _ZERO
    gross: Decimal = _ZERO
    fees: Decimal = _ZERO


@dataclass(slots=True)
class _Lot:
    """What is still open of one order's fills at one price, and what closing orders have taken of it."""

    order_id: str
    ts: float
    price: Decimal
    amount: Decimal
    fee_per_base: Decimal
    closed_by: dict[str, _Pair] = field(default_factory=dict)


class RoundTripLedger:
    """Matches fills as they come. Fills of one order at one price are one lot; a round trip is one pair of orders."""

    def __init__(self) -> None:
        self._lots: deque[_Lot] = deque()
        self._long = True

    @property
    def open_base(self) -> Decimal:
        """Signed base above (positive) or below the opening inventory that is not closed yet."""
        total = sum((lot.amount for lot in self._lots), _ZERO)
        return total if self._long else -total

    def unrealised(self, price: Decimal) -> Decimal:
        """PnL of the open lots at ``price``, their opening fees included, the closing ones not."""
        sign = 1 if self._long else -1
        return sum(
            ((price - lot.price) * lot.amount * sign - lot.fee_per_base * lot.amount for lot in self._lots), _ZERO
        )

    def add(
        self, *, ts: float, is_buy: bool, price: Decimal, amount: Decimal, fee_quote: Decimal, order_id: str
    ) -> Iterator[RoundTrip]:
        """Book one fill; yields the round trips whose opening lot it used up."""
        with localcontext(_CONTEXT):
            trips: list[RoundTrip] = []
            fee_per_base = fee_quote / amount
            if not self._lots:
                self._long = is_buy
            if is_buy == self._long:
                self._open(order_id, ts, price, amount, fee_per_base)
                return iter(trips)
            while amount > 0 and self._lots:
                lot = self._lots[0]
                matched = min(amount, lot.amount)
                pair = lot.closed_by.setdefault(order_id, _Pair(ts))
                pair.closed_ts = ts
                pair.amount += matched
                pair.opening_notional += lot.price * matched
                pair.gross += (price - lot.price) * matched * (1 if self._long else -1)
                pair.fees += (lot.fee_per_base + fee_per_base) * matched
                amount -= matched
                lot.amount -= matched
                if not lot.amount:
                    self._lots.popleft()
                    trips.extend(_finished(lot))
            if amount > 0:
                self._long = is_buy
                self._open(order_id, ts, price, amount, fee_per_base)
            return iter(trips)

    def finish(self) -> Iterator[RoundTrip]:
        """The round trips on lots that are partly closed. Call once, at the end."""
        for lot in self._lots:
            yield from _finished(lot)

    def _open(self, order_id: str, ts: float, price: Decimal, amount: Decimal, fee_per_base: Decimal) -> None:
        if self._lots:
            last = self._lots[-1]
            if last.order_id == order_id and last.price == price:
                last.fee_per_base = (last.fee_per_base * last.amount + fee_per_base * amount) / (last.amount + amount)
                last.amount += amount
                return
        self._lots.append(_Lot(order_id, ts, price, amount, fee_per_base))


def _finished(lot: _Lot) -> Iterator[RoundTrip]:
    for pair in lot.closed_by.values():
        yield RoundTrip(lot.ts, pair.closed_ts, pair.amount, pair.opening_notional, pair.gross, pair.fees)


class AverageCost:
    """Realised PnL by average cost, opening inventory included at the price of the window's opening.

    Shown for comparison only: it calls a rise of the market a gain of the strategy.
    """

    def __init__(self, base: Decimal, price: Decimal) -> None:
        self._base = base
        self._cost = base * price
        self.gains = _ZERO
        self.losses = _ZERO

    def add(self, *, is_buy: bool, price: Decimal, amount: Decimal, fee_quote: Decimal) -> None:
        """Book one fill."""
        with localcontext(_CONTEXT):
            if is_buy:
                self._base += amount
                self._cost += price * amount + fee_quote
                return
            sold = min(amount, self._base)
            if sold <= 0:
                return
            cost = self._cost * sold / self._base
            net = price * sold - fee_quote * sold / amount - cost
            self._base -= sold
            self._cost -= cost
            if net > 0:
                self.gains += net
            else:
                self.losses -= net
