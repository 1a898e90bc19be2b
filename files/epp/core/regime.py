"""Regimes: which of the four the market is in, with hysteresis and a minimum hold."""

from dataclasses import dataclass

from .config import EppParameters
from .market import EMA_BARS, MarketState
from .values import Regime


@dataclass(slots=True)
class RegimeState:
    """The regime in force and since when."""

    regime: Regime = Regime.NEUTRAL_LOW_VOL
    since: float = 0.0


def classify(current: Regime, parameters: EppParameters, market: MarketState) -> Regime:
    """The regime that the market alone asks for; ``current`` decides on which side of the hysteresis it is judged."""
    leave = parameters.shock_exit_ratio if current is Regime.HIGH_VOL_SHOCK else 1.0
    band = market.band or 0.0
    if band >= parameters.shock_band_pct * leave or market.drift_30s >= parameters.shock_drift_pct * leave:
        return Regime.HIGH_VOL_SHOCK
    if market.ema is None or market.ema_count < EMA_BARS:
        return Regime.NEUTRAL_LOW_VOL
    deviation = market.bars[-1].close / market.ema - 1
    if deviation >= (parameters.trend_exit_pct if current is Regime.UP else parameters.trend_enter_pct):
        return Regime.UP
    if -deviation >= (parameters.trend_exit_pct if current is Regime.DOWN else parameters.trend_enter_pct):
        return Regime.DOWN
    return Regime.NEUTRAL_LOW_VOL


def update(state: RegimeState, parameters: EppParameters, market: MarketState, ts: float) -> bool:
    """Move to the market's regime when its time has come; True when it changed. A shock is entered at once."""
    wanted = classify(state.regime, parameters, market)
    if wanted is state.regime:
        return False
    if wanted is not Regime.HIGH_VOL_SHOCK and ts - state.since < parameters.regime_hold_s:
        return False
    state.regime = wanted
    state.since = ts
    return True
