"""Sizes and prices as the exchange wants them, and the refusal of a start that its least order would dominate."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from .config import EppParameters
from .values import TradingRules

_MINIMUM_MARGIN = Decimal("1.05")


def least_amount(price: Decimal, rules: TradingRules) -> Decimal:
    """Least amount that the exchange takes at a price: a binding minimum rounds the step up."""
    least = max(rules.min_notional / price, rules.min_amount)
    return (least / rules.step).to_integral_value(ROUND_CEILING) * rules.step


def order_amount(price: Decimal, wanted_quote: float, cap_quote: float, rules: TradingRules) -> Decimal | None:
    """Amount of an order worth ``wanted_quote`` at its own price, at least the minimum, worth at most ``cap_quote``.

    None when not even the minimum fits under the cap: the remainder is dust, booked but not quoted.
    """
    if wanted_quote <= 0:
        return None
    step = rules.step
    affordable = (Decimal(repr(cap_quote)) / price / step).to_integral_value(ROUND_FLOOR) * step
    wanted = (Decimal(repr(wanted_quote)) / price / step).to_integral_value(ROUND_FLOOR) * step
    amount = max(wanted, least_amount(price, rules))
    if amount > affordable:
        amount = affordable
        if amount < least_amount(price, rules):
            return None
    return amount


def start_refusal(
    parameters: EppParameters, rules: TradingRules, equity: Decimal, mid: float
) -> tuple[str, str] | None:
    """Code and detail of why a start is refused: the least order is too much for the equity, or for the caps."""
    minimum = max(rules.min_notional, rules.min_amount * Decimal(repr(mid))) * _MINIMUM_MARGIN
    cap = min(parameters.max_order_notional_quote, parameters.total_amount_quote)
    if Decimal(repr(cap)) < minimum:
        name = "max_order_notional_quote" if cap == parameters.max_order_notional_quote else "total_amount_quote"
        return "order_cap", f"{name} {cap:g} is below the exchange's least order with 5 % to spare, {minimum:.2f}"
    least = minimum / Decimal(repr(parameters.capital_share_max))
    if equity < least:
        return "capital", (
            f"the least capital is {least:.2f} {parameters.quote_asset} at a least order of {rules.min_notional} "
            f"(with 5 % to spare at most {parameters.capital_share_max:.0%} of equity); there is {equity:.2f}"
        )
    return None
