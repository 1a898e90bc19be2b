"""Whether fills explain every movement of the balances. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Self

from .facts import Holdings, Movement

SETTLE_S = 20.0
"""A new baseline stands when what it leaves unexplained has not changed for so long: a fill of its very moment may be
in the balances and not yet in the list, or the other way round."""

KEEP_S = 3600.0
"""Fills older than this are folded into the baseline; the list is asked for a little more than that at most."""


@dataclass(slots=True)
class BalanceBook:
    """The balances of one moment and the fills since."""

    base: Decimal
    quote: Decimal
    at: float
    """Unix seconds, by the exchange's clock: fills from here on move the balances."""
    settled: bool = False
    fills: dict[str, Movement] = field(default_factory=dict)
    _offset: tuple[Decimal, Decimal] | None = None
    _offset_since: float = 0.0

    @classmethod
    def begin(cls, holdings: Holdings, at: float) -> Self:
        """Take the balances as they are."""
        return cls(holdings.base, holdings.quote, at)

    def book(self, fills: Iterable[Movement]) -> None:
        """Take fills in, each once; those from before the baseline are in it."""
        for fill in fills:
            if fill.at >= self.at:
                self.fills[fill.trade_id] = fill

    def unexplained(self, holdings: Holdings, mid: Decimal, now: float) -> Decimal:
        """What the balances moved without a fill, in quote; nothing while the baseline settles.

        Args:
            holdings: the balances now.
            mid: values the base coin.
            now: the exchange's clock.
        """
        base = holdings.base - self.base - sum((fill.base for fill in self.fills.values()), Decimal(0))
        quote = holdings.quote - self.quote - sum((fill.quote for fill in self.fills.values()), Decimal(0))
        if not self.settled:
            self._settle(base, quote, now)
            return Decimal(0)
        # Each coin by itself: a sale at a bad price that nobody booked must not hide in a sum near zero.
        return max(base * mid, quote, key=abs)

    def _settle(self, base: Decimal, quote: Decimal, now: float) -> None:
        if (base, quote) != self._offset:
            self._offset, self._offset_since = (base, quote), now
        elif now - self._offset_since >= SETTLE_S:
            self.base, self.quote, self.settled = self.base + base, self.quote + quote, True

    def transfer(self, base: Decimal, quote: Decimal) -> None:
        """An operator's deposit (positive) or withdrawal is no surprise."""
        self.base += base
        self.quote += quote

    def fold(self, now: float) -> None:
        """Move old fills into the baseline, so that neither the book nor the question to the exchange grows."""
        horizon = now - KEEP_S
        if not self.settled or horizon <= self.at:
            return
        for fill in [fill for fill in self.fills.values() if fill.at < horizon]:
            self.base += fill.base
            self.quote += fill.quote
            del self.fills[fill.trade_id]
        self.at = horizon

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "base": str(self.base),
            "quote": str(self.quote),
            "at": self.at,
            "settled": self.settled,
            "fills": [[fill.trade_id, fill.at, str(fill.base), str(fill.quote)] for fill in self.fills.values()],
        }

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Self:
        """From plain data.

        Raises:
            KeyError, TypeError, ValueError: it is not a book's.
        """
        fills = [Movement(str(t), float(at), Decimal(b), Decimal(q)) for t, at, b, q in plain["fills"]]
        return cls(
            Decimal(plain["base"]),
            Decimal(plain["quote"]),
            float(plain["at"]),
            bool(plain["settled"]),
            {fill.trade_id: fill for fill in fills},
        )
