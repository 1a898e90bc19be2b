"""The spread: floor, edge gate and quoted width. All widths are full widths, bid to ask, as fractions of mid."""

from dataclasses import dataclass

from .config import EppParameters
from .costs import Costs


def floor(
    parameters: EppParameters, cost: Costs, *, band: float, penalty: float, tick: float, market_spread: float
) -> float:
    """Least width that may be quoted; ``tick`` and ``market_spread`` are fractions of mid."""
    return max(
        2 * (cost.fee / parameters.max_fee_share + cost.adverse + cost.slippage),
        2 * (cost.fee + cost.slippage + cost.adverse + cost.edge) + parameters.band_floor_weight * band + penalty,
        2 * tick,
        market_spread + 0.0002,
    )


def quoted(spread_min: float, spread_max: float, ratio: float, spread_floor: float) -> float:
    """Quoted width: from spread_min towards spread_max with the turnover ratio, never below the floor."""
    return max(spread_min + max(0.0, spread_max - spread_min) * ratio, spread_floor)


@dataclass(slots=True)
class EdgeState:
    """The edge gate: shut while the floor is over what the regime may quote."""

    shut: bool = False
    low_since: float | None = None
    """Since when the floor has been low enough to open again."""


def gate(state: EdgeState, parameters: EppParameters, spread_floor: float, spread_max: float, ts: float) -> bool:
    """Whether there is edge. Opens again when the floor has been low for the hold; the hold needs no fill to pass."""
    if not state.shut:
        if spread_floor > spread_max:
            state.shut = True
            state.low_since = None
    elif spread_floor > parameters.edge_resume_ratio * spread_max:
        state.low_since = None
    else:
        if state.low_since is None:
            state.low_since = ts
        if ts - state.low_since >= parameters.edge_hold_s:
            state.shut = False
            state.low_since = None
    return not state.shut
