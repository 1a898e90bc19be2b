"""Bitget's public spot v2 endpoints."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from ..config import FEE_TIERS
from ..market.feed import GRANULARITIES, MarketUnavailableError
from . import wire
from .errors import bad_parameter, empty_parameter, unknown_symbol
from .exchange import Exchange
from .requests import Parameters, whole

Level = tuple[Decimal, Decimal]

# How coarse a merged book is: price decimals dropped from the pair's own.
_SCALES = {"scale0": 0, "scale1": 1, "scale2": 2, "scale3": 3}
# Monthly volume from which a tier begins is not Bitget's here: a paper account's tier is told, not traded for.
_TIER_VOLUME = "0"


class MarketEndpoints:
    """What anyone may ask without a key.

    Args:
        exchange: what is asked about.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> Mapping[str, Callable[[Parameters], Awaitable[object]]]:
        """Handlers by path."""
        return {
            "/api/v2/public/time": self._time,
            "/api/v2/spot/public/coins": self._coins,
            "/api/v2/spot/public/symbols": self._symbols,
            "/api/v2/spot/market/vip-fee-rate": self._fee_tiers,
            "/api/v2/spot/market/tickers": self._tickers,
            "/api/v2/spot/market/orderbook": self._orderbook,
            "/api/v2/spot/market/merge-depth": self._merged_depth,
            "/api/v2/spot/market/candles": self._candles,
            "/api/v2/spot/market/history-candles": self._history_candles,
            "/api/v2/spot/market/fills": self._recent_trades,
            "/api/v2/spot/market/fills-history": self._trade_history,
            # General clients ask for these, too: there are no futures and no margin here.
            "/api/v2/mix/market/contracts": self._nothing,
            "/api/v2/margin/currencies": self._nothing,
            "/api/v2/paper/market": self._paper_market,
        }

    async def _time(self, _: Parameters) -> object:
        return {"serverTime": str(self._exchange.now_ms())}

    async def _nothing(self, _: Parameters) -> object:
        return []

    async def _coins(self, query: Parameters) -> object:
        wanted = query.get("coin", "").upper()
        rules = self._exchange.rules
        return [
            wire.coin(name, number)
            for number, name in enumerate((rules.base, rules.quote), start=1)
            if wanted in ("", name)
        ]

    async def _symbols(self, query: Parameters) -> object:
        if query.get("symbol"):
            self.check_symbol(query)
        closed = self._exchange.faults.use("maintenance") is not None
        return [wire.symbol(self._exchange.rules, "halt" if closed else "online")]

    async def _fee_tiers(self, _: Parameters) -> object:
        return [
            {
                "level": str(level),
                "dealAmount": _TIER_VOLUME,
                "assetAmount": "0",
                "takerFeeRate": wire.plain(taker),
                "makerFeeRate": wire.plain(maker),
                "btcWithdrawAmount": "0",
                "usdtWithdrawAmount": "0",
            }
            for level, (maker, taker) in enumerate(FEE_TIERS.values())
        ]

    async def _tickers(self, query: Parameters) -> object:
        if query.get("symbol"):
            self.check_symbol(query)
        exchange = self._exchange
        now = await exchange.market.ticker()
        return [wire.ticker(now, exchange.shown_depth(), exchange.rules, exchange.now_ms())]

    async def _orderbook(self, query: Parameters) -> object:
        self.check_symbol(query)
        limit = whole(query, "limit", 100, 1, 150)
        book = self._exchange.shown_book()
        if not book.bids:
            raise MarketUnavailableError("the market has no book yet")
        return {
            "asks": wire.levels(book.asks, limit),
            "bids": wire.levels(book.bids, limit),
            "ts": str(book.time_ms),
        }

    async def _merged_depth(self, query: Parameters) -> object:
        self.check_symbol(query)
        limit = whole({"limit": query.get("limit", "").replace("max", "")}, "limit", 100, 1, 150)
        precision = query.get("precision") or "scale0"
        if precision not in _SCALES:
            raise bad_parameter("precision")
        book = self._exchange.shown_book()
        if not book.bids:
            raise MarketUnavailableError("the market has no book yet")
        unit = self._exchange.rules.tick.scaleb(_SCALES[precision])
        return {
            "asks": wire.levels(_merge(book.asks, unit, ROUND_CEILING), limit),
            "bids": wire.levels(_merge(book.bids, unit, ROUND_FLOOR), limit),
            "precision": precision,
            "scale": wire.plain(unit),
            "isMaxPrecision": "YES" if precision == "scale0" else "NO",
            "ts": str(book.time_ms),
        }

    async def _candles(self, query: Parameters) -> object:
        return await self._bars(query, whole(query, "limit", 100, 1, 1000))

    async def _history_candles(self, query: Parameters) -> object:
        if not query.get("endTime"):
            raise empty_parameter("endTime")
        return await self._bars(query, whole(query, "limit", 100, 1, 200))

    async def _bars(self, query: Parameters, limit: int) -> object:
        self.check_symbol(query)
        length = GRANULARITIES.get(query.get("granularity", ""))
        if length is None:
            raise bad_parameter("granularity")
        # Without an end, the running candle is the last one.
        end = whole(query, "endTime", self._exchange.true_ms() + 1, 0, 2**53)
        start = whole(query, "startTime", end - limit * length * 1000, 0, 2**53)
        start = max(start, end - limit * length * 1000)
        bars = await self._exchange.market.candles(length, start, end)
        return [wire.candle(bar) for bar in bars[-limit:]]

    async def _recent_trades(self, query: Parameters) -> object:
        return self._trades(query, 100, 500)

    async def _trade_history(self, query: Parameters) -> object:
        return self._trades(query, 500, 1000)

    def _trades(self, query: Parameters, default: int, most: int) -> object:
        """Public trades since this exchange's start, newest first."""
        self.check_symbol(query)
        start = whole(query, "startTime", 0, 0, 2**53)
        end = whole(query, "endTime", 2**53, 0, 2**53)
        before = whole(query, "idLessThan", 2**63, 0, 2**63)
        chosen = [
            wire.public_fill(printed, self._exchange.rules)
            for printed in reversed(self._exchange.recent_prints)
            if start <= printed.time_ms <= end and printed.trade_id < before
        ]
        return chosen[: whole(query, "limit", default, 1, most)]

    async def _paper_market(self, _: Parameters) -> object:
        exchange = self._exchange
        gaps = exchange.books.gaps(1000)
        return {
            **exchange.market.describe(),
            "faults": [fault["kind"] for fault in exchange.faults.active()],
            "gaps": len(gaps),
            "gap_s": round(sum(gap.ended_ms - gap.began_ms for gap in gaps) / 1000, 1),
        }

    def check_symbol(self, query: Parameters) -> None:
        """Refuse another pair.

        Raises:
            ApiError: none is given, or another.
        """
        symbol = query.get("symbol")
        if not symbol:
            raise empty_parameter("symbol")
        if symbol.upper() != self._exchange.rules.symbol:
            raise unknown_symbol(symbol)


def _merge(levels: Sequence[Level], unit: Decimal, rounding: str) -> list[Level]:
    merged: dict[Decimal, Decimal] = {}
    for price, size in levels:
        line = (price / unit).to_integral_value(rounding) * unit
        merged[line] = merged.get(line, Decimal(0)) + size
    return list(merged.items())
