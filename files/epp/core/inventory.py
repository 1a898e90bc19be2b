"""Inventory: the moving target, the skew, and the hard band."""

from dataclasses import dataclass

from .config import EppParameters


@dataclass(slots=True)
class TargetState:
    """The target share of equity in base, as it moves."""

    base_pct: float | None = None
    ts: float = 0.0


def move_target(state: TargetState, parameters: EppParameters, wanted: float, ts: float) -> float:
    """Bring the target nearer to the regime's, a step a minute at most; the first one is taken as it is."""
    if state.base_pct is None:
        state.base_pct = wanted
    else:
        step = parameters.target_step_per_min * max(0.0, ts - state.ts) / 60
        state.base_pct += min(step, max(-step, wanted - state.base_pct))
    state.ts = ts
    return state.base_pct


def skew(parameters: EppParameters, base_pct: float, target: float) -> float:
    """Shift of both quotes, as a fraction of mid: positive with too much base (bid further, ask nearer).

    Linear in the error, full at the band's edge on that side.
    """
    error = base_pct - target
    room = parameters.max_base_pct - target if error > 0 else target - parameters.min_base_pct
    return parameters.max_skew_pct * min(1.0, max(-1.0, error / room))


def base_share(base: float, quote: float, mid: float) -> float:
    """Share of equity in base; 0 when there is no equity."""
    equity = base * mid + quote
    return base * mid / equity if equity > 0 else 0.0


def room_to_buy(base: float, quote: float, mid: float, limit_pct: float, price: float) -> float:
    """Base that can be bought at ``price`` before its share of equity, at ``mid``, passes ``limit_pct``; negative if
    past it.

    After buying x: (base + x)·mid = limit·((base + x)·mid + quote - x·price), solved for x.
    """
    return (limit_pct * (base * mid + quote) - base * mid) / (mid * (1 - limit_pct) + limit_pct * price)


def room_to_sell(base: float, quote: float, mid: float, limit_pct: float, price: float) -> float:
    """Base that can be sold at ``price`` before its share of equity, at ``mid``, falls below ``limit_pct``."""
    return (base * mid - limit_pct * (base * mid + quote)) / (mid * (1 - limit_pct) + limit_pct * price)
