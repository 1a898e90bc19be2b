"""Trading rules of one pair."""

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from .orders import Reject, RejectedError, Side


@dataclass(frozen=True, slots=True)
class TradingRules:
    """Rules of one spot pair: precisions are decimal places, fees are fractions of the amount received.

    ``price_band``: how far beyond the opposite best price a limit may lie, as a fraction of it; None: any distance.
    """

    base: str
    quote: str
    price_precision: int
    quantity_precision: int
    min_notional: Decimal
    maker_fee: Decimal
    taker_fee: Decimal
    price_band: Decimal | None = None

    @property
    def symbol(self) -> str:
        """Bitget's name of the pair, such as BTCUSDT."""
        return self.base + self.quote

    @property
    def tick(self) -> Decimal:
        """Smallest price increment."""
        return Decimal(1).scaleb(-self.price_precision)

    @property
    def step(self) -> Decimal:
        """Smallest amount of base."""
        return Decimal(1).scaleb(-self.quantity_precision)

    @property
    def quote_precision(self) -> int:
        """Decimal places of a quote amount: exactly what price times size can need."""
        return self.price_precision + self.quantity_precision

    def floor_base(self, amount: Decimal) -> Decimal:
        """The largest tradable amount of base not above ``amount``."""
        return amount.quantize(self.step, rounding=ROUND_DOWN)

    def check_price(self, price: Decimal) -> None:
        """Refuse a price that is not positive or not a multiple of the tick.

        Raises:
            RejectedError: with the reason.
        """
        if price <= 0:
            raise RejectedError(Reject.NOT_POSITIVE, f"price {price} is not positive")
        if price % self.tick:
            raise RejectedError(Reject.PRICE_PRECISION, f"price {price} is not a multiple of {self.tick}")

    def check_band(self, side: Side, price: Decimal, opposite: Decimal) -> None:
        """Refuse a limit so far beyond the best opposite price that it must be a mistake.

        Raises:
            RejectedError: with the reason.
        """
        if self.price_band is None:
            return
        if side is Side.BUY and price > (most := opposite * (1 + self.price_band)):
            raise RejectedError(Reject.PRICE_TOO_HIGH, f"a buy's price must not exceed {self.floor_price(most)}")
        if side is Side.SELL and price < (least := opposite * (1 - self.price_band)):
            raise RejectedError(Reject.PRICE_TOO_LOW, f"a sell's price must not be below {self.floor_price(least)}")

    def floor_price(self, price: Decimal) -> Decimal:
        """The highest price on the tick grid not above ``price``."""
        return price.quantize(self.tick, rounding=ROUND_DOWN)

    def check_size(self, size: Decimal, unit: Decimal) -> None:
        """Refuse a size that is not positive or not a multiple of ``unit``.

        Raises:
            RejectedError: with the reason.
        """
        if size <= 0:
            raise RejectedError(Reject.NOT_POSITIVE, f"size {size} is not positive")
        if size % unit:
            raise RejectedError(Reject.SIZE_PRECISION, f"size {size} is not a multiple of {unit}")

    def check_notional(self, notional: Decimal) -> None:
        """Refuse an order worth less than the minimum.

        Raises:
            RejectedError: with the reason.
        """
        if notional < self.min_notional:
            raise RejectedError(Reject.MIN_NOTIONAL, f"less than the minimum amount {self.min_notional} {self.quote}")
