"""Turnover: what the day's traded value does to width, levels and the floor."""

from .config import EppParameters, RegimeParameters


def ratio(parameters: EppParameters, turnover_x: float) -> float:
    """0 up to a turnover of 1, 1 at the cap, linear between."""
    return min(1.0, max(0.0, (turnover_x - 1) / (parameters.turnover_cap_x - 1)))


def penalty(parameters: EppParameters, turnover_x: float) -> float:
    """Rise of the spread floor over the target, full width."""
    return max(0.0, turnover_x - parameters.turnover_target_x) * parameters.turnover_penalty_step_pct


def levels(regime: RegimeParameters, turnover_ratio: float) -> int:
    """Levels a side: levels_max up to a turnover of 1, levels_min at the cap; half a level counts as one."""
    return regime.levels_min + int((regime.levels_max - regime.levels_min) * (1 - turnover_ratio) + 0.5)
