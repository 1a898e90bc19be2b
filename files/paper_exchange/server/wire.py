"""Orders, fills, balances and market data in the shapes of Bitget's spot v2 API."""

import json
import zlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache

from ..market.feed import BookUpdate, Candle, Print, Ticker
from ..matching import Balance, Depth, Fill, Order, OrderType, TradingRules

_CHECKSUM_LEVELS = 25


# The same prices and sizes are written again and again: every book's checksum has a hundred of them.
@lru_cache(maxsize=8192)
def plain(value: Decimal) -> str:
    """A decimal without exponent or trailing zeros."""
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def order_info(
    order: Order, rules: TradingRules, user_id: str, fees: Mapping[str, Decimal] | None = None
) -> dict[str, object]:
    """``orderInfo`` and ``history-orders``; ``fees``: what its fills cost, by coin."""
    return {
        "userId": user_id,
        "symbol": rules.symbol,
        "orderId": str(order.order_id),
        "clientOid": order.client_id,
        "price": plain(order.price or Decimal(0)),
        "size": plain(order.size),
        "orderType": order.order_type,
        "force": order.force,
        "side": order.side,
        "status": order.status,
        "priceAvg": _average(order),
        "baseVolume": plain(order.filled_base),
        "quoteVolume": plain(order.filled_quote),
        "enterPointSource": "API",
        "feeDetail": _order_fees(fees or {}),
        "orderSource": "market" if order.order_type is OrderType.MARKET else "normal",
        "cancelReason": order.cancel_reason,
        "cTime": str(order.created_ms),
        "uTime": str(order.updated_ms),
    }


def unfilled_order(order: Order, rules: TradingRules, user_id: str) -> dict[str, object]:
    """``unfilled-orders``: here ``priceAvg`` is the order's price, as on Bitget."""
    return {
        "userId": user_id,
        "symbol": rules.symbol,
        "orderId": str(order.order_id),
        "clientOid": order.client_id,
        "priceAvg": plain(order.price or Decimal(0)),
        "size": plain(order.size),
        "orderType": order.order_type,
        "force": order.force,
        "side": order.side,
        "status": order.status,
        "basePrice": _average(order),
        "baseVolume": plain(order.filled_base),
        "quoteVolume": plain(order.filled_quote),
        "enterPointSource": "API",
        "orderSource": "normal",
        "triggerPrice": None,
        "tpslType": "normal",
        "cTime": str(order.created_ms),
        "uTime": str(order.updated_ms),
    }


def fill(trade: Fill, rules: TradingRules, user_id: str) -> dict[str, object]:
    """``fills``; fees are negative there."""
    return {
        "userId": user_id,
        "symbol": rules.symbol,
        "orderId": str(trade.order_id),
        "tradeId": str(trade.trade_id),
        "orderType": trade.order_type,
        "side": trade.side,
        "priceAvg": plain(trade.price),
        "size": plain(trade.base),
        "amount": plain(trade.quote),
        "tradeScope": "maker" if trade.is_maker else "taker",
        "feeDetail": _fee_detail(trade),
        "cTime": str(trade.time_ms),
        "uTime": str(trade.time_ms),
    }


def fill_push(trade: Fill, rules: TradingRules, user_id: str) -> dict[str, object]:
    """The ``fill`` channel: like ``fills``, but the fees are a list."""
    return {**fill(trade, rules, user_id), "feeDetail": [_fee_detail(trade)]}


def order_push(order: Order, trade: Fill | None, rules: TradingRules) -> dict[str, object]:
    """The ``orders`` channel; ``baseVolume`` is the size of the fill that moved it, ``accBaseVolume`` of all."""
    price = order.price or Decimal(0)
    notional = order.size if order.is_market_buy else order.size * price
    message: dict[str, object] = {
        "instId": rules.symbol,
        "orderId": str(order.order_id),
        "clientOid": order.client_id,
        "price": plain(price),
        "size": plain(order.size),
        "newSize": plain(order.size),
        "notional": plain(notional),
        "orderType": order.order_type,
        "force": order.force,
        "side": order.side,
        "accBaseVolume": plain(order.filled_base),
        "priceAvg": _average(order),
        "status": order.status,
        "cTime": str(order.created_ms),
        "uTime": str(order.updated_ms),
        "stpMode": "none",
        "feeDetail": [],
        "enterPointSource": "API",
    }
    if trade is None:
        return message | {"baseVolume": "0"}
    return message | {
        "tradeId": str(trade.trade_id),
        "fillPrice": plain(trade.price),
        "baseVolume": plain(trade.base),
        "fillTime": str(trade.time_ms),
        "fillFee": plain(-trade.fee),
        "fillFeeCoin": trade.fee_coin,
        "tradeScope": "M" if trade.is_maker else "T",
        "feeDetail": [{"feeCoin": trade.fee_coin, "fee": plain(-trade.fee)}],
    }


def balance(coin: str, amounts: Balance, now_ms: int) -> dict[str, object]:
    """``assets`` and the ``account`` channel."""
    return {
        "coin": coin,
        "available": plain(amounts.available),
        "frozen": plain(amounts.frozen),
        "locked": "0",
        "limitAvailable": "0",
        "uTime": str(now_ms),
    }


def symbol(rules: TradingRules, status: str = "online") -> dict[str, object]:
    """``symbols``."""
    band = "" if rules.price_band is None else plain(rules.price_band)
    return {
        "symbol": rules.symbol,
        "baseCoin": rules.base,
        "quoteCoin": rules.quote,
        "minTradeAmount": "0",
        "maxTradeAmount": "10000000000",
        "takerFeeRate": plain(rules.taker_fee),
        "makerFeeRate": plain(rules.maker_fee),
        "pricePrecision": str(rules.price_precision),
        "quantityPrecision": str(rules.quantity_precision),
        "quotePrecision": str(rules.quote_precision),
        "status": status,
        "minTradeUSDT": plain(rules.min_notional),
        "buyLimitPriceRatio": band,
        "sellLimitPriceRatio": band,
        "areaSymbol": "no",
        "orderQuantity": "200",
        "openTime": "1532454360000",
        "offTime": "",
    }


def coin(name: str, number: int) -> dict[str, object]:
    """``coins``: nothing can be deposited or withdrawn here."""
    return {"coinId": str(number), "coin": name, "transfer": "false", "chains": [], "areaCoin": "no"}


def ticker(now: Ticker, depth: Depth, rules: TradingRules, now_ms: int) -> dict[str, object]:
    """``tickers``."""
    bid, bid_size = depth.bids[0] if depth.bids else (Decimal(0), Decimal(0))
    ask, ask_size = depth.asks[0] if depth.asks else (Decimal(0), Decimal(0))
    return {
        "symbol": rules.symbol,
        "lastPr": plain(now.last),
        "open": plain(now.open_24h),
        "high24h": plain(now.high_24h),
        "low24h": plain(now.low_24h),
        "baseVolume": plain(now.base_volume),
        "quoteVolume": plain(now.quote_volume),
        "usdtVolume": plain(now.quote_volume),
        "bidPr": plain(bid),
        "askPr": plain(ask),
        "bidSz": plain(bid_size),
        "askSz": plain(ask_size),
        "openUtc": plain(now.open_24h),
        "change24h": plain((now.last / now.open_24h - 1).quantize(Decimal("0.00001"))),
        "ts": str(now_ms),
    }


def ticker_push(now: Ticker, depth: Depth, rules: TradingRules, now_ms: int) -> dict[str, object]:
    """The ``ticker`` channel."""
    asked = ticker(now, depth, rules, now_ms)
    return {
        "instId": rules.symbol,
        "lastPr": asked["lastPr"],
        "open24h": asked["open"],
        **{name: asked[name] for name in ("high24h", "low24h", "change24h", "bidPr", "askPr", "bidSz", "askSz")},
        **{name: asked[name] for name in ("baseVolume", "quoteVolume", "openUtc")},
        "changeUtc24h": asked["change24h"],
        "ts": asked["ts"],
    }


def candle(bar: Candle) -> list[str]:
    """``candles`` and the ``candle…`` channels."""
    prices = [plain(price) for price in (bar.open, bar.high, bar.low, bar.close)]
    return [
        str(bar.open_ms),
        *prices,
        plain(bar.base_volume),
        plain(bar.quote_volume),
        plain(bar.quote_volume),
    ]


def levels(side: Sequence[tuple[Decimal, Decimal]], limit: int | None = None) -> list[list[str]]:
    """Book levels."""
    return [[plain(price), plain(size)] for price, size in side[:limit]]


def book(update: BookUpdate, after: Depth, sequence: int) -> dict[str, object]:
    """The ``books`` channel."""
    return {
        "asks": levels(update.asks),
        "bids": levels(update.bids),
        "checksum": checksum(after),
        "seq": sequence,
        "ts": str(update.time_ms),
    }


def checksum(depth: Depth) -> int:
    """Bitget's book checksum: signed CRC32 of the best 25 levels, bid and ask in turn, ``price:size`` joined by
    colons."""
    bids, asks = levels(depth.bids, _CHECKSUM_LEVELS), levels(depth.asks, _CHECKSUM_LEVELS)
    parts: list[str] = []
    for index in range(max(len(bids), len(asks))):
        parts += [":".join(side[index]) for side in (bids, asks) if index < len(side)]
    unsigned = zlib.crc32(":".join(parts).encode())
    return unsigned - 2**32 if unsigned >= 2**31 else unsigned


def public_fill(printed: Print, rules: TradingRules) -> dict[str, object]:
    """Recent public trades by REST."""
    return {"symbol": rules.symbol, **trade(printed)}


def trade(printed: Print) -> dict[str, object]:
    """The ``trade`` channel."""
    return {
        "ts": str(printed.time_ms),
        "price": plain(printed.price),
        "size": plain(printed.size),
        "side": printed.side,
        "tradeId": str(printed.trade_id),
    }


def envelope(data: object, now_ms: int, code: str = "00000", message: str = "success") -> dict[str, object]:
    """A REST answer."""
    return {"code": code, "msg": message, "requestTime": now_ms, "data": data}


def dump(value: object) -> str:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":"))


def push(action: str, argument: Mapping[str, str], data: str, now_ms: int) -> str:
    """A WebSocket message around data already written as JSON."""
    return f'{{"action":"{action}","arg":{dump(argument)},"data":{data},"ts":{now_ms}}}'


def _average(order: Order) -> str:
    return plain(order.average_price.quantize(Decimal("1e-12")))


def _order_fees(fees: Mapping[str, Decimal]) -> str:
    """An order's fees as JSON in a text, empty without any."""
    if not fees:
        return ""
    by_coin = {
        coin: {"deduction": False, "feeCoinCode": coin, "totalDeductionFee": 0, "totalFee": float(-fee)}
        for coin, fee in fees.items()
    }
    return dump(by_coin)


def _fee_detail(trade: Fill) -> dict[str, str]:
    return {"deduction": "no", "feeCoin": trade.fee_coin, "totalDeductionFee": "", "totalFee": plain(-trade.fee)}
