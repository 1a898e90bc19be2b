"""Bitget's own public market, relayed: the book and the trades of its public WebSocket, candles and ticker of its REST.

Nothing private is ever sent there: no key, no order, no signature.
"""

import asyncio
import contextlib
import json
import logging
import ssl
import time
import zlib
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import aiohttp

from ..config import BitgetMarketConfig
from ..matching import Depth, Side, TradingRules
from .feed import BOOK_EVERY_S, GRANULARITIES, BookUpdate, Candle, Listener, MarketUnavailableError, Print, Ticker
from .resolver import DirectResolver

_log = logging.getLogger(__name__)
# Bitget wants a ping every 30 s. They are sent more often, so that their answers tell a quiet market from a dead
# connection: without any message (pongs included) for so long, it is dead, and half as long it is in doubt.
_PING_S = 5
_SILENCE_S = 20
_MAX_BACKOFF_S = 30
_CHECKSUM_LEVELS = 25
_TICKER_CACHE_S = 1.0
_REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=10)


class UpstreamError(Exception):
    """The upstream said something that cannot be used; the connection is begun anew."""


@contextlib.asynccontextmanager
async def relay(config: BitgetMarketConfig, rules: TradingRules) -> AsyncIterator["BitgetMarket"]:
    """A relayed market with its client session, closed at the end."""
    resolver = DirectResolver([str(server) for server in config.dns_servers], config.dns_port)
    connector = aiohttp.TCPConnector(
        resolver=resolver if config.dns_servers else None,
        ssl=ssl.create_default_context(cafile=config.ca_file),
    )
    async with aiohttp.ClientSession(connector=connector, timeout=_REQUEST_TIMEOUT) as session:
        yield BitgetMarket(session, config, rules)


class _Side:
    """One side of the upstream's book, levels as its text, which its checksum covers."""

    def __init__(self, direction: int) -> None:
        self._direction = direction
        self._levels: dict[Decimal, tuple[str, str]] = {}
        self._sorted: list[tuple[Decimal, Decimal]] | None = None

    def change(self, rows: Sequence[Sequence[str]], *, anew: bool) -> list[tuple[Decimal, Decimal]]:
        if anew:
            self._levels.clear()
        self._sorted = None
        changed = []
        for price, size in rows:
            level, amount = Decimal(price), Decimal(size)
            changed.append((level, amount))
            if amount:
                self._levels[level] = price, size
            else:
                self._levels.pop(level, None)
        return changed

    def levels(self) -> list[tuple[Decimal, Decimal]]:
        if self._sorted is None:
            prices = sorted(self._levels, reverse=self._direction < 0)
            self._sorted = [(price, Decimal(self._levels[price][1])) for price in prices]
        return self._sorted

    def texts(self, count: int) -> list[str]:
        return [":".join(self._levels[price]) for price, _ in self.levels()[:count]]


class BitgetMarket:
    """A `Market` that is Bitget's.

    Args:
        session: the client session to use.
        config: where the upstream is.
        rules: the pair.
    """

    kind = "bitget"
    speed = 1.0

    def __init__(self, session: aiohttp.ClientSession, config: BitgetMarketConfig, rules: TradingRules) -> None:
        self._session = session
        self._config = config
        self._rules = rules
        self._bids, self._asks = _Side(-1), _Side(1)
        self._book_ms = 0
        self._told_ms = 0
        self._heard = float("-inf")
        self._heard_ms = 0
        self._lost_ms: int | None = None
        self._connects = 0
        # Trade ids seen: after a reconnect the upstream may repeat itself, and a print must not fill twice.
        self._seen: deque[int] = deque(maxlen=2000)
        self._ticker: tuple[float, Ticker] | None = None

    async def run(self, listener: Listener) -> None:
        """Follow the upstream, connecting again whenever it ends."""
        pause = 1.0
        await self._compare_rules()
        while True:
            began = time.monotonic()
            try:
                await self._follow(listener)
            except (aiohttp.ClientError, OSError, TimeoutError, UpstreamError, ValueError, LookupError) as error:
                _log.warning("upstream lost", extra={"why": f"{type(error).__name__}: {error}", "again_in_s": pause})
            if self._lost_ms is None and self._heard_ms:
                # Since the last word from it nobody knows what traded.
                self._lost_ms = self._heard_ms
            self._clear()
            pause = 1.0 if time.monotonic() - began > _SILENCE_S else min(pause * 2, _MAX_BACKOFF_S)
            await asyncio.sleep(pause)

    def is_moving(self) -> bool:
        """Whether there is a book and the upstream was heard lately."""
        return bool(self._bids.levels()) and time.monotonic() - self._heard < _SILENCE_S

    def depth(self) -> Depth:
        """Bitget's book; empty while not connected."""
        return Depth(self._bids.levels(), self._asks.levels())

    def book_snapshot(self) -> BookUpdate:
        """Bitget's book with its time."""
        return BookUpdate(self._book_ms, True, self._bids.levels(), self._asks.levels())

    async def ticker(self) -> Ticker:
        """Bitget's ticker, at most a second old."""
        now = time.monotonic()
        if self._ticker is None or now - self._ticker[0] > _TICKER_CACHE_S:
            rows = await self._get("/api/v2/spot/market/tickers", {"symbol": self._rules.symbol})
            with _as_unavailable():
                row = rows[0]
                ticker = Ticker(
                    *(
                        Decimal(row[name])
                        for name in ("lastPr", "open", "high24h", "low24h", "baseVolume", "quoteVolume")
                    )
                )
            self._ticker = now, ticker
        return self._ticker[1]

    async def candles(self, length_s: int, start_ms: int, end_ms: int) -> Sequence[Candle]:
        """Bitget's candles."""
        names = [name for name, seconds in GRANULARITIES.items() if seconds == length_s]
        rows = await self._get(
            "/api/v2/spot/market/candles",
            {
                "symbol": self._rules.symbol,
                "granularity": names[0],
                # Bitget leaves the bar at startTime out: ask from just before it.
                "startTime": str(start_ms - 1),
                "endTime": str(end_ms),
                "limit": "1000",
            },
        )
        with _as_unavailable():
            bars = [
                Candle(int(row[0]), *(Decimal(row[column]) for column in (1, 2, 3, 4, 5, 7)))
                for row in rows
                if start_ms <= int(row[0]) < end_ms
            ]
        return sorted(bars, key=lambda bar: bar.open_ms)

    def describe(self) -> Mapping[str, object]:
        """Kind and connection."""
        return {
            "kind": self.kind,
            "speed": self.speed,
            "book": "bitget",
            "connected": bool(self._bids.levels()),
            "connects": self._connects,
            "book_age_s": round(time.time() - self._book_ms / 1000, 1) if self._book_ms else None,
        }

    async def _compare_rules(self) -> None:
        """Say so when the configured rules are not Bitget's: paper would accept what live refuses, or the reverse."""
        try:
            rows = await self._get("/api/v2/spot/public/symbols", {"symbol": self._rules.symbol})
            theirs = rows[0]
        except (MarketUnavailableError, LookupError) as error:
            _log.warning("the upstream's trading rules are unknown", extra={"why": str(error)})
            return
        for name, key, ours in (
            ("pricePrecision", "price_precision", self._rules.price_precision),
            ("quantityPrecision", "quantity_precision", self._rules.quantity_precision),
            ("minTradeUSDT", "min_trade_quote", self._rules.min_notional),
        ):
            if Decimal(theirs[name]) != ours:
                _log.error("%s is %s here, but %s on Bitget: correct the configuration", key, ours, theirs[name])

    async def _get(self, path: str, query: Mapping[str, str]) -> Any:
        try:
            async with self._session.get(self._config.rest_url + path, params=query) as response:
                answer = await response.json()
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise MarketUnavailableError(f"the upstream does not answer: {type(error).__name__}: {error}") from error
        if not isinstance(answer, dict) or answer.get("code") != "00000":
            raise MarketUnavailableError(f"the upstream refuses: {str(answer)[:200]}")
        return answer["data"]

    async def _follow(self, listener: Listener) -> None:
        async with self._session.ws_connect(self._config.ws_url, max_msg_size=8 * 1024 * 1024) as socket:
            self._connects += 1
            arguments = [
                {"instType": "SPOT", "channel": channel, "instId": self._rules.symbol} for channel in ("books", "trade")
            ]
            await socket.send_str(json.dumps({"op": "subscribe", "args": arguments}))
            pings = asyncio.create_task(self._ping(socket))
            words = asyncio.create_task(self._confirm(listener))
            try:
                while True:
                    message = await socket.receive(timeout=_SILENCE_S)
                    if message.type is not aiohttp.WSMsgType.TEXT:
                        raise UpstreamError(f"closed ({message.type.name} {socket.close_code})")
                    self._heard, self._heard_ms = time.monotonic(), int(time.time() * 1000)
                    if message.data != "pong":
                        self._take(json.loads(message.data), listener)
            finally:
                pings.cancel()
                words.cancel()
                await asyncio.gather(pings, words, return_exceptions=True)

    async def _ping(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            await asyncio.sleep(_PING_S)
            await socket.send_str("ping")

    async def _confirm(self, listener: Listener) -> None:
        """Say that the book stands as it stood, while nothing changes and the upstream is heard."""
        while True:
            await asyncio.sleep(BOOK_EVERY_S / 3)
            now_ms = int(time.time() * 1000)
            fresh = time.monotonic() - self._heard < _SILENCE_S / 2
            if fresh and self._bids.levels() and now_ms - self._told_ms >= BOOK_EVERY_S * 1000:
                self._book_ms = max(now_ms, self._book_ms + 1)
                self._told_ms = now_ms
                listener.on_book(BookUpdate(self._book_ms, False, (), ()))

    def _take(self, message: Mapping[str, Any], listener: Listener) -> None:
        if message.get("event") == "error":
            raise UpstreamError(f"{message.get('code')} {message.get('msg')}")
        if "action" not in message:
            return
        try:
            match message["arg"]["channel"]:
                case "books":
                    for data in message["data"]:
                        self._take_book(data, listener, anew=message["action"] == "snapshot")
                case "trade":
                    self._take_trades(message["data"], listener, past=message["action"] == "snapshot")
        except (KeyError, TypeError, InvalidOperation) as error:
            raise UpstreamError(f"unexpected message: {type(error).__name__}: {error}") from error

    def _take_book(self, data: Mapping[str, Any], listener: Listener, *, anew: bool) -> None:
        if not anew and not self._bids.levels():
            raise UpstreamError("a book update before any book")
        bids = self._bids.change(data["bids"], anew=anew)
        asks = self._asks.change(data["asks"], anew=anew)
        self._book_ms = max(int(data["ts"]), self._book_ms + 1)
        claimed = data.get("checksum")
        if claimed and int(claimed) != self._checksum():
            raise UpstreamError("the book's checksum does not match")
        self._told_ms = int(time.time() * 1000)
        if self._lost_ms is not None:
            listener.on_gap(self._lost_ms, self._told_ms, "the upstream was lost")
            self._lost_ms = None
        listener.on_book(BookUpdate(self._book_ms, anew, bids, asks))

    def _take_trades(self, rows: Sequence[Mapping[str, str]], listener: Listener, *, past: bool) -> None:
        """Pass trades on, oldest first and each once; those from before the subscription are only remembered."""
        prints = [
            Print(int(row["tradeId"]), int(row["ts"]), Decimal(row["price"]), Decimal(row["size"]), Side(row["side"]))
            for row in rows
        ]
        fresh = sorted((p for p in prints if p.trade_id not in self._seen), key=lambda p: (p.time_ms, p.trade_id))
        self._seen.extend(printed.trade_id for printed in fresh)
        if fresh and not past:
            listener.on_prints(fresh)

    def _checksum(self) -> int:
        bids, asks = self._bids.texts(_CHECKSUM_LEVELS), self._asks.texts(_CHECKSUM_LEVELS)
        parts = [
            side[index] for index in range(max(len(bids), len(asks))) for side in (bids, asks) if index < len(side)
        ]
        unsigned = zlib.crc32(":".join(parts).encode())
        return unsigned - 2**32 if unsigned >= 2**31 else unsigned

    def _clear(self) -> None:
        """Without a connection there is no book: nobody may trade against an old one."""
        self._bids.change((), anew=True)
        self._asks.change((), anew=True)


@contextlib.contextmanager
def _as_unavailable() -> Any:
    try:
        yield
    except (LookupError, TypeError, ValueError, InvalidOperation) as error:
        raise MarketUnavailableError(f"the upstream answers oddly: {type(error).__name__}: {error}") from error
