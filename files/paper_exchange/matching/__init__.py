"""The matching engine: trading rules, accounts, own resting orders and conservative fills. No I/O and no clock."""

from .engine import EMPTY, Change, Depth, MatchingEngine, Step
from .orders import Balance, Fill, Force, Order, OrderRequest, OrderType, Reject, RejectedError, Side, Status
from .rules import TradingRules

__all__ = [
    "EMPTY",
    "Balance",
    "Change",
    "Depth",
    "Fill",
    "Force",
    "MatchingEngine",
    "Order",
    "OrderRequest",
    "OrderType",
    "Reject",
    "RejectedError",
    "Side",
    "Status",
    "Step",
    "TradingRules",
]
