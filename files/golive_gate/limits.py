"""How much is asked for: of a bot that will trade with money, and of a rehearsal that never does."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The gate's figures. Shares are fractions."""

    name: str
    market_sources: tuple[str, ...]
    """Where the prices of evidence may come from."""
    any_speed: bool
    window_days: float
    coverage: float = 0.99
    """Minutes with a row."""
    soft_pause: float = 0.10
    """Share of the time."""
    turnover_cap_x: float = 3.0
    turnover_target_x: float = 2.0
    fees_to_gross: float = 0.40
    fees_to_gross_target: float = 0.35
    profit_factor: float = 1.25
    drawdown: float = 0.04
    drawdown_target: float = 0.03
    profitable_probability: float = 0.80
    equity_tolerance: float = 0.10
    """By how much the live account may differ from the evidence's."""
    fresh_s: float = 86_400.0
    """How old a drill, a delivered alert and a verified backup may be."""
    kill_fresh_s: float = 30 * 86_400.0
    """The same of a kill from the operator's own machine."""
    micro_quote: Decimal = Decimal(500)
    """Most that a bot may begin with."""
    live_days: float = 5.0
    """Healthy days before it may have more."""
    fills_of_replay: tuple[float, float] = (0.5, 2.0)
    """How many fills it may have made meanwhile, over a replay's."""
    free_quote: Decimal = Decimal("1.1")
    """Free quote over the maximum notional."""
    row_age_s: float = 180.0
    clock_s: float = 1.0
    key_age_days: int = 90


MONEY = Limits(name="money", market_sources=("relay",), any_speed=False, window_days=14.0)

# Two minutes, and a few seconds for rows that are not written to the second.
_SHORT = 1.9 / 1440

REHEARSAL = Limits(
    name="rehearsal", market_sources=("relay", "recorded"), any_speed=True, window_days=_SHORT, live_days=_SHORT
)
"""For a key that a paper exchange made, on a paper exchange: the judge refuses it anywhere else."""

PROFILES = {limits.name: limits for limits in (MONEY, REHEARSAL)}

PAPER_KEY = "paper_"
"""How the keys begin that are made here for paper exchanges. Bitget's own begin otherwise."""
