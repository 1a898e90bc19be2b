"""The least of Bitget's REST API, for what runs beside a bot: the go-live gate, and taking a bot off the market.

The bots themselves trade through Hummingbot's connector. Only the standard library is imported.
"""

from .client import (
    Account,
    ApiKey,
    Balance,
    Bitget,
    BitgetError,
    Fill,
    OpenOrder,
    SymbolRules,
    UnreachableError,
)
from .permissions import objections

__all__ = [
    "Account",
    "ApiKey",
    "Balance",
    "Bitget",
    "BitgetError",
    "Fill",
    "OpenOrder",
    "SymbolRules",
    "UnreachableError",
    "objections",
]
