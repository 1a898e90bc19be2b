"""The pure strategy core: time and market state come in as values, decisions go out as values. No I/O, no clock."""

from .config import EppParameters, RegimeParameters, Regimes
from .engine import Engine
from .state import State, StateError
from .values import (
    Bar,
    BookedFill,
    ClockSample,
    DayRow,
    Decision,
    Event,
    Fill,
    GuardState,
    MinuteRow,
    OpenOrder,
    OrderState,
    Placement,
    Reason,
    Regime,
    ResetRecord,
    RestTicker,
    Side,
    Snapshot,
    TradingRules,
)

__all__ = [
    "Bar",
    "BookedFill",
    "ClockSample",
    "DayRow",
    "Decision",
    "Engine",
    "EppParameters",
    "Event",
    "Fill",
    "GuardState",
    "MinuteRow",
    "OpenOrder",
    "OrderState",
    "Placement",
    "Reason",
    "Regime",
    "RegimeParameters",
    "Regimes",
    "ResetRecord",
    "RestTicker",
    "Side",
    "Snapshot",
    "State",
    "StateError",
    "TradingRules",
]
