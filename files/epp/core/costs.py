"""Costs per fill: fee, slippage, adverse selection from drift and from the measured markout."""

import math
from dataclasses import dataclass, field
from typing import Final

from .config import EppParameters
from .values import Side

_LATE_S: Final = 120.0
"""A mid this much later than its time says nothing of a fill's markout."""


@dataclass(slots=True)
class PendingMarkout:
    """A fill whose markout is not yet known."""

    ts: float
    side: Side
    price: float


@dataclass(slots=True)
class MarkoutState:
    """EWMA of the adverse move after own fills, and the fills that wait for theirs."""

    value: float | None = None
    """None until the first observation: the prior."""
    ts: float = 0.0
    pending: list[PendingMarkout] = field(default_factory=list)


def markout(side: Side, fill_price: float, mid_later: float) -> float:
    """How far mid went against a fill, measured from the fill's own price: max(0, -side·(mid/price - 1))."""
    move = mid_later / fill_price - 1
    return max(0.0, -move if side is Side.BUY else move)


def current_markout(state: MarkoutState, parameters: EppParameters, ts: float) -> float:
    """The EWMA now: it decays to its prior with the configured half-life, fills or none."""
    prior = parameters.markout_prior_pct
    if state.value is None:
        return prior
    elapsed = max(0.0, ts - state.ts)
    return prior + (state.value - prior) * math.exp2(-elapsed / (parameters.markout_half_life_h * 3600))


def observe(state: MarkoutState, parameters: EppParameters, ts: float, mid: float) -> None:
    """Settle the pending fills whose time has come with a sane ``mid``."""
    if not state.pending:
        return
    waiting = []
    for fill in state.pending:
        late = ts - fill.ts - parameters.markout_horizon_s
        if late < 0:
            waiting.append(fill)
        elif late <= _LATE_S:
            value = current_markout(state, parameters, ts)
            state.value = value + parameters.markout_alpha * (markout(fill.side, fill.price, mid) - value)
            state.ts = ts
    state.pending = waiting


@dataclass(slots=True)
class Costs:
    """Costs of one fill, as fractions of price."""

    fee: float
    slippage: float
    adverse: float
    edge: float
    """Least margin asked for on top."""
    min_distance: float
    """Least distance of any order from mid: costs and edge, or what keeps the fee's share."""

    def margin(self, distance: float) -> float:
        """Margin of a quote at a distance from mid. It is not an expected profit."""
        return distance - self.fee - self.slippage - self.adverse


def costs(parameters: EppParameters, fee: float, drift_ewma: float, markout_now: float) -> Costs:
    """Costs of a fill now. Adverse selection is the larger of the drift's EWMA and the capped markout."""
    adverse = max(drift_ewma, min(markout_now, parameters.markout_cap_pct))
    edge = parameters.min_net_edge_bps / 1e4
    slippage = parameters.slippage_pct
    return Costs(fee, slippage, adverse, edge, max(fee + slippage + adverse + edge, fee / parameters.max_fee_share))
