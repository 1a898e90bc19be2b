"""Bitget's error codes, as its API answers them."""

from ..matching import Reject, RejectedError


class ApiError(Exception):
    """An answer other than success: HTTP status, Bitget's code and its message."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message
        self.status = status


def empty_parameter(name: str) -> ApiError:
    """A parameter that must be given."""
    return ApiError("40019", f"Parameter {name} cannot be empty")


def bad_parameter(name: str) -> ApiError:
    """A parameter that makes no sense."""
    return ApiError("40017", f"Parameter verification failed {name}")


def unknown_symbol(symbol: str) -> ApiError:
    """A pair that is not traded here."""
    return ApiError("40034", f"Parameter {symbol} does not exist")


_CODES = {
    Reject.PRICE_PRECISION: "40808",
    Reject.SIZE_PRECISION: "40808",
    Reject.NOT_POSITIVE: "43011",
    Reject.MIN_NOTIONAL: "45110",
    Reject.PRICE_TOO_HIGH: "43009",
    Reject.PRICE_TOO_LOW: "43008",
    Reject.INSUFFICIENT_BALANCE: "43012",
    Reject.DUPLICATE_CLIENT_ID: "43118",
    Reject.ORDER_NOT_FOUND: "43001",
    Reject.NO_LIQUIDITY: "40015",
}
_MESSAGES = {
    Reject.INSUFFICIENT_BALANCE: "Insufficient balance",
    Reject.ORDER_NOT_FOUND: "The order does not exist",
    Reject.DUPLICATE_CLIENT_ID: "clientOrderId duplicate",
}


def from_reject(rejected: RejectedError) -> ApiError:
    """The answer to a request that the matching engine refused."""
    return ApiError(_CODES[rejected.reason], _MESSAGES.get(rejected.reason, rejected.detail))
