"""What a replay assumes of the exchange, the account and the market."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from ..core import EppParameters


class Path(StrEnum):
    """The order in which a candle's extremes are visited; a file of trades has its own."""

    HIGH_FIRST = "ohlc"
    LOW_FIRST = "olhc"
    RECORDED = "trades"


FILL_PROBABILITIES = (1.0, 0.5, 0.25)
"""Chance that a market through an own order fills it: one draw for each minute and side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything of a replay but the data and the strategy's parameters. Fractions are of price, money is in quote."""

    start_equity: Decimal = Decimal(1000)
    """The account's value at the first price."""
    start_base_pct: float | None = None
    """Share of it in base; None: the strategy's own target."""
    maker_fee: Decimal = Decimal("0.001")
    price_precision: int = 2
    quantity_precision: int = 6
    min_notional: Decimal = Decimal(5)
    market_spread: float = 0.0001
    """The market's own width around the recorded price; at least one tick."""
    latency_s: float = 1.0
    """From a decision to its effect at the exchange, for orders and cancels alike."""
    participation: Decimal = Decimal("0.25")
    """Share of the volume printed through an order that it may take."""
    decisions_per_bar: int = 6
    """Decisions a minute, evenly spaced. Live decides 60 times a minute; the strategy samples prices 6 times."""
    seed: int = 1
    """Of the draws for the fill probability."""

    @property
    def decision_s(self) -> float:
        """Seconds between decisions."""
        return 60 / self.decisions_per_bar


@dataclass(frozen=True, slots=True)
class RunKind:
    """One of the runs that a replay consists of."""

    path: Path
    fill_probability: float

    @property
    def name(self) -> str:
        """Short, fit for a directory."""
        return f"{self.path}-p{self.fill_probability:g}"


def run_kinds(*, trades: bool) -> Iterator[RunKind]:
    """All runs of a replay: every path a candle may have taken, with every fill probability."""
    paths = (Path.RECORDED,) if trades else (Path.HIGH_FIRST, Path.LOW_FIRST)
    for path in paths:
        for probability in FILL_PROBABILITIES:
            yield RunKind(path, probability)


def pair_of(parameters: EppParameters) -> tuple[str, str]:
    """Base and quote."""
    return parameters.base_asset, parameters.quote_asset
