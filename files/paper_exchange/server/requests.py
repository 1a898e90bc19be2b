"""What a REST request says, read and checked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from ..matching import Force, OrderRequest, OrderType, Side
from .errors import ApiError, bad_parameter, empty_parameter

Parameters = Mapping[str, str]
MAX_CLIENT_ID = 64


@dataclass(frozen=True, slots=True)
class Body:
    """A POST's content: its plain parameters, and the list of orders of a batch."""

    parameters: Parameters
    orders: tuple[Parameters, ...] = ()


def parse_body(text: str) -> Body:
    """Read a POST's content.

    Raises:
        ApiError: it is no JSON object, or its list of orders is no list of objects.
    """
    try:
        parsed: Any = json.loads(text)
    except ValueError:
        raise ApiError("40020", "Parameter body is not JSON") from None
    if not isinstance(parsed, dict):
        raise ApiError("40020", "Parameter body is not a JSON object")
    orders = parsed.pop("orderList", [])
    if not isinstance(orders, list) or not all(isinstance(order, dict) for order in orders):
        raise bad_parameter("orderList")
    return Body(_texts(parsed), tuple(_texts(order) for order in orders))


def _texts(parsed: Mapping[str, Any]) -> Parameters:
    return {str(name): str(value) for name, value in parsed.items() if value is not None}


def order_request(parameters: Parameters, generated_id: str) -> OrderRequest:
    """An order to place. ``generated_id``: its client id where the client gives none.

    Raises:
        ApiError: a parameter is missing or makes no sense.
    """
    for name in ("side", "orderType", "size"):
        if not parameters.get(name):
            raise empty_parameter(name)
    order_type = choice(parameters, "orderType", OrderType)
    is_limit = order_type is OrderType.LIMIT
    if is_limit and not parameters.get("price"):
        raise empty_parameter("price")
    client_id = parameters.get("clientOid") or generated_id
    if len(client_id) > MAX_CLIENT_ID:
        raise bad_parameter("clientOid")
    return OrderRequest(
        client_id,
        choice(parameters, "side", Side),
        order_type,
        decimal(parameters, "size"),
        decimal(parameters, "price") if is_limit else None,
        choice(parameters, "force", Force) if is_limit and parameters.get("force") else Force.GTC,
    )


def order_reference(parameters: Parameters) -> dict[str, Any]:
    """Which order is meant: ``order_id`` or ``client_id``.

    Raises:
        ApiError: neither is given.
    """
    if parameters.get("orderId"):
        return {"order_id": whole(parameters, "orderId", 0, 0, 2**62)}
    if parameters.get("clientOid"):
        return {"client_id": parameters["clientOid"]}
    raise empty_parameter("orderId")


@dataclass(frozen=True, slots=True)
class Window:
    """startTime, endTime, idLessThan and limit."""

    start_ms: int
    end_ms: int
    before_id: int
    limit: int


def window(parameters: Parameters) -> Window:
    """The part of a list that is asked for.

    Raises:
        ApiError: it begins after its end.
    """
    start = whole(parameters, "startTime", 0, 0, 2**53)
    end = whole(parameters, "endTime", 2**53, 0, 2**53)
    if start > end:
        raise bad_parameter("startTime")
    before = whole(parameters, "idLessThan", 2**62, 0, 2**62)
    return Window(start, end, before, whole(parameters, "limit", 100, 1, 100))


def whole(parameters: Parameters, name: str, default: int, least: int, most: int) -> int:
    """A whole number, cut at ``most``.

    Raises:
        ApiError: it is none, or below ``least``.
    """
    text = parameters.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or not text.isascii() or len(text) > 20 or not least <= int(text):
        raise bad_parameter(name)
    return min(int(text), most)


def decimal(parameters: Parameters, name: str) -> Decimal:
    """A decimal number.

    Raises:
        ApiError: it is none, or beyond what any balance reaches.
    """
    try:
        value = Decimal(parameters[name])
    except InvalidOperation:
        raise bad_parameter(name) from None
    # Beyond these, exact arithmetic would end.
    if not value.is_finite() or value.adjusted() > 15 or value.as_tuple().exponent < -18:  # type: ignore[operator]  # finite: a number
        raise bad_parameter(name)
    return value


def choice[Choice: (Side, OrderType, Force)](parameters: Parameters, name: str, kind: type[Choice]) -> Choice:
    """One of a few words, in any case.

    Raises:
        ApiError: another word.
    """
    try:
        return kind(parameters[name].lower())
    except ValueError:
        raise bad_parameter(name) from None
