"""The matching engine: trading rules, accounts, own resting orders and conservative fills. No I/O and no clock."""

from .engine import EMPTY, Change, Depth, MatchingEngine, Numbers, Step, share_print
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
    "Numbers",
    "Order",
    "OrderRequest",
    "OrderType",
    "Reject",
    "RejectedError",
    "Side",
    "Status",
    "Step",
    "TradingRules",
    "share_print",
]
