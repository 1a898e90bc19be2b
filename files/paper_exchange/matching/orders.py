"""Orders, fills and balances as values."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

ZERO = Decimal(0)


class Side(StrEnum):
    """Side of an order, or of the taker of a public trade."""

    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """Order type."""

    LIMIT = "limit"
    MARKET = "market"


class Force(StrEnum):
    """How long a limit order stands, and whether it may trade at once."""

    GTC = "gtc"
    POST_ONLY = "post_only"
    IOC = "ioc"
    FOK = "fok"


class Status(StrEnum):
    """Order status, in Bitget's words."""

    LIVE = "live"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"

    @property
    def is_open(self) -> bool:
        """Whether an order in this status still rests."""
        return self is Status.LIVE or self is Status.PARTIALLY_FILLED


class Reject(StrEnum):
    """Why a request was refused."""

    PRICE_PRECISION = "price_precision"
    SIZE_PRECISION = "size_precision"
    NOT_POSITIVE = "not_positive"
    MIN_NOTIONAL = "min_notional"
    PRICE_TOO_HIGH = "price_too_high"
    PRICE_TOO_LOW = "price_too_low"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    DUPLICATE_CLIENT_ID = "duplicate_client_id"
    ORDER_NOT_FOUND = "order_not_found"
    NO_LIQUIDITY = "no_liquidity"


class RejectedError(Exception):
    """A request the exchange refuses; nothing has changed."""

    def __init__(self, reason: Reject, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Balance:
    """One coin of the account: free to use, and held by open orders."""

    available: Decimal = ZERO
    frozen: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """Available and frozen together."""
        return self.available + self.frozen


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order as asked for. ``size`` is in base, but in quote for a market buy (Bitget's convention)."""

    client_id: str
    side: Side
    order_type: OrderType
    size: Decimal
    price: Decimal | None = None
    force: Force = Force.GTC


@dataclass(frozen=True, slots=True)
class Order:
    """One order's state. Times are epoch milliseconds; ``size`` as in `OrderRequest`."""

    order_id: int
    client_id: str
    side: Side
    order_type: OrderType
    force: Force
    price: Decimal | None
    size: Decimal
    filled_base: Decimal
    filled_quote: Decimal
    status: Status
    cancel_reason: str
    created_ms: int
    updated_ms: int

    @property
    def remaining(self) -> Decimal:
        """What is not filled yet, in the unit of ``size``."""
        return self.size - (self.filled_quote if self.is_market_buy else self.filled_base)

    @property
    def is_market_buy(self) -> bool:
        """Market buys are sized in quote."""
        return self.order_type is OrderType.MARKET and self.side is Side.BUY

    @property
    def need(self) -> Decimal:
        """What an open order holds frozen: quote for a buy (at its limit price), base for a sell."""
        if not self.status.is_open:
            return ZERO
        if self.side is Side.SELL or self.price is None:
            return self.remaining
        return self.price * self.remaining

    def after(
        self, status: Status, updated_ms: int, *, base: Decimal = ZERO, quote: Decimal = ZERO, reason: str = ""
    ) -> "Order":
        """This order in another status, with so much more of it filled."""
        return Order(
            self.order_id,
            self.client_id,
            self.side,
            self.order_type,
            self.force,
            self.price,
            self.size,
            self.filled_base + base,
            self.filled_quote + quote,
            status,
            reason,
            self.created_ms,
            updated_ms,
        )

    @property
    def average_price(self) -> Decimal:
        """Mean price of the fills so far, 0 without any."""
        return self.filled_quote / self.filled_base if self.filled_base else ZERO


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade of an own order. ``fee`` is positive and was taken from the coin received."""

    trade_id: int
    order_id: int
    client_id: str
    side: Side
    order_type: OrderType
    price: Decimal
    base: Decimal
    quote: Decimal
    fee: Decimal
    fee_coin: str
    is_maker: bool
    time_ms: int
