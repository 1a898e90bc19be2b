"""Bitget's public and private WebSocket."""

import asyncio
import contextlib
import json
import logging
import random
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from aiohttp import WSCloseCode, WSMsgType, web

from ..market.feed import BookUpdate, MarketUnavailableError, Print
from ..matching import Change, Depth
from . import wire
from .auth import Authenticator, require_authority
from .errors import ApiError
from .exchange import Account, Exchange
from .latency import Latency

_log = logging.getLogger(__name__)

# Bitget drops a client that sent nothing for two minutes, and hears at most so many messages a second.
_IDLE_S = 120
_MESSAGES_PER_S = 10
_MAX_CHANNELS = 1000
# What a client that does not read may leave waiting before it is dropped.
_MAX_WAITING = 2000
_CANDLE_CHANNELS = {
    "candle1m": 60,
    "candle3m": 180,
    "candle5m": 300,
    "candle15m": 900,
    "candle30m": 1800,
    "candle1H": 3600,
    "candle4H": 14400,
    "candle6H": 21600,
    "candle12H": 43200,
    "candle1D": 86400,
}
# Books of a few levels are always pushed whole.
_SHORT_BOOKS = {"books1": 1, "books5": 5, "books15": 15}
_PUBLIC_CHANNELS = {"books", "trade", "ticker", *_SHORT_BOOKS, *_CANDLE_CHANNELS}
_PRIVATE_CHANNELS = {"orders", "fill", "account"}
_PUBLIC_STREAM = ""

Channel = tuple[str, str]
Level = tuple[Decimal, Decimal]


class _Client:
    """One connection: what it wants, and what waits to be sent to it."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse, *, private: bool) -> None:
        self.socket = socket
        self.private = private
        self._transport = request.transport
        self.account: Account | None = None
        self.arguments: dict[Channel, Mapping[str, str]] = {}
        self._waiting: asyncio.Queue[tuple[float, str | None]] = asyncio.Queue(_MAX_WAITING)
        self._heard: deque[float] = deque(maxlen=_MESSAGES_PER_S)

    def send(self, text: str, due: float = 0.0) -> None:
        """Queue a message, to leave not before ``due``; a client that lets too many wait is cut off."""
        self._queue(due, text)

    def pong(self) -> None:
        """Queue an answer to a WebSocket ping."""
        self._queue(0.0, None)

    def _queue(self, due: float, text: str | None) -> None:
        try:
            self._waiting.put_nowait((due, text))
        except asyncio.QueueFull:
            _log.warning("a client does not read: cut off", extra={"private": self.private})
            self.cut()

    def cut(self) -> None:
        """End the connection at once, whatever waits."""
        if self._transport is not None:
            self._transport.abort()

    def is_too_fast(self) -> bool:
        """Whether this message is one too many within a second."""
        now = time.monotonic()
        too_fast = len(self._heard) == _MESSAGES_PER_S and now - self._heard[0] < 1
        self._heard.append(now)
        return too_fast

    async def write(self) -> None:
        """Send what waits, until the connection ends."""
        with contextlib.suppress(ConnectionError):
            while not self.socket.closed:
                due, text = await self._waiting.get()
                if due and (wait := due - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                if text is None:
                    await self.socket.pong()
                else:
                    await self.socket.send_str(text)


def _difference(before: Depth, after: Depth, time_ms: int) -> BookUpdate:
    """The levels that lead from one book to another."""

    def side(old: Sequence[Level], new: Sequence[Level]) -> list[Level]:
        known, wanted = dict(old), dict(new)
        gone = [(price, Decimal(0)) for price in known if price not in wanted]
        return gone + [(price, size) for price, size in wanted.items() if known.get(price) != size]

    return BookUpdate(time_ms, False, side(before.bids, after.bids), side(before.asks, after.asks))


class SocketServer:
    """All WebSocket connections.

    Args:
        exchange: whose news they want.
        authenticator: checks their logins.
        latency: how long news is under way.
        life_s: after so many seconds a connection is closed, however alive.
    """

    def __init__(self, exchange: Exchange, authenticator: Authenticator, latency: Latency, life_s: float) -> None:
        self._exchange = exchange
        self._authenticator = authenticator
        self._latency = latency
        self._life_s = life_s
        self._clients: set[_Client] = set()
        self._sequence = 0
        # The book as it was last pushed, and whether that is not how it stands.
        self._told = Depth()
        self._told_wrong = False
        self._chance = random.Random()  # noqa: S311 - the order of shuffled pushes, no secret

    def count(self) -> dict[str, int]:
        """Open connections by side."""
        private = sum(client.private for client in self._clients)
        return {"public": len(self._clients) - private, "private": private}

    def drop(self, which: str) -> int:
        """Cut connections without a word: ``public``, ``private`` or ``all``; returns how many."""
        chosen = [c for c in self._clients if which == "all" or c.private == (which == "private")]
        for client in chosen:
            client.cut()
        return len(chosen)

    async def close(self) -> None:
        """Say goodbye to everyone."""
        goodbyes = (client.socket.close(code=WSCloseCode.GOING_AWAY) for client in list(self._clients))
        await asyncio.gather(*goodbyes, return_exceptions=True)

    async def public(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one public connection."""
        return await self._serve(request, private=False)

    async def private(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one private connection."""
        return await self._serve(request, private=True)

    def account_changed(self, account: Account, change: Change) -> None:
        """Push fills, orders and balances, in the order in which they came about."""
        if not any(client.account is account for client in self._clients):
            return
        if self._exchange.faults.use("silent-account") is not None:
            return
        rules = self._exchange.rules
        for step in change.steps:
            if step.fill is not None:
                self._publish_to(account, "fill", [wire.fill_push(step.fill, rules, account.user_id)])
            self._publish_to(account, "orders", [wire.order_push(step.order, step.fill, rules)])
        self._publish_to(account, "account", self._balances(account, change.balances))

    def accounts_shown(self) -> None:
        """Push what accounts are shown to hold, as after a deposit."""
        if self._exchange.faults.use("silent-account") is None:
            for account in self._exchange.accounts.values():
                self._publish_to(account, "account", self._balances(account))

    def _balances(self, account: Account, coins: Iterable[str] | None = None) -> list[object]:
        now_ms = self._exchange.true_ms()
        shown = self._exchange.shown_balances(account, coins)
        return [wire.balance(coin, amounts, now_ms) for coin, amounts in shown.items()]

    def traded(self, prints: Sequence[Print]) -> None:
        """Push public trades."""
        if self._exchange.faults.use("silent-feed") is None:
            self._publish("trade", "update", [wire.trade(printed) for printed in prints])

    def book_moved(self, update: BookUpdate) -> None:
        """Push a book change."""
        self._sequence += 1
        faults = self._exchange.faults
        if faults.use("stale-book") is not None or faults.use("silent-feed") is not None:
            self._told_wrong = True
            return
        depth = self._exchange.shown_depth()
        is_wrong = depth != self._exchange.market.depth()
        if update.is_snapshot or is_wrong or self._told_wrong:
            # As on Bitget, a subscriber sees one whole book, then changes. Hummingbot would lay its latest changes over
            # another whole one, the older ones too.
            update = _difference(self._told, depth, update.time_ms)
            self._told_wrong = is_wrong
        self._told = depth
        if self._wanted("books"):
            self._publish("books", "update", [wire.book(update, depth, self._sequence)])
        for channel, levels in _SHORT_BOOKS.items():
            if self._wanted(channel):
                self._publish(channel, "snapshot", self._short_book(levels))

    async def push_candles(self) -> None:
        """Push the running candles and the ticker once a second, until cancelled."""
        while True:
            await asyncio.sleep(1)
            if self._exchange.faults.use("silent-feed") is not None:
                continue
            for channel in _CANDLE_CHANNELS:
                if self._wanted(channel):
                    rows = await self._candles(channel, 1)
                    if rows:
                        self._publish(channel, "update", rows)
            if self._wanted("ticker"):
                self._publish("ticker", "snapshot", await self._ticker())

    async def cut_again_and_again(self) -> None:
        """Cut connections while a fault asks for it, until cancelled."""
        last_cut = float("-inf")
        while True:
            await asyncio.sleep(0.5)
            if self._exchange.faults.use("maintenance") is not None:
                self.drop("all")
                continue
            fault = self._exchange.faults.use("drop-sockets")
            if fault is not None and time.monotonic() - last_cut >= float(fault["every_s"]):
                last_cut = time.monotonic()
                self.drop(fault["side"])

    def _wanted(self, channel: str) -> list[_Client]:
        return [client for client in self._clients if any(name == channel for name, _ in client.arguments)]

    def _publish(self, channel: str, action: str, data: Sequence[object]) -> None:
        clients = self._wanted(channel)
        if clients and data:
            self._send(clients, channel, action, data, _PUBLIC_STREAM)

    def _publish_to(self, account: Account, channel: str, data: Sequence[object]) -> None:
        clients = [client for client in self._wanted(channel) if client.account is account]
        if clients and data:
            self._send(clients, channel, "snapshot", data, account.name)

    def _send(self, clients: Sequence[_Client], channel: str, action: str, data: Sequence[object], stream: str) -> None:
        faults = self._exchange.faults
        text = wire.dump(data)
        now_ms = self._exchange.now_ms()
        due = self._latency.due(stream, faults.delay_s("late-feed"))
        twice = channel in ("trade", *_PRIVATE_CHANNELS) and faults.use("duplicate-events") is not None
        shuffled = faults.use("shuffled-events") if stream != _PUBLIC_STREAM else None
        muted = faults.use("silent-sockets") is not None
        for client in clients:
            for (name, _), argument in client.arguments.items():
                if name != channel or muted:
                    continue
                message = wire.push(action, argument, text, now_ms)
                for _ in range(2 if twice else 1):
                    if shuffled is None:
                        client.send(message, due)
                    else:
                        late = self._chance.uniform(0, int(shuffled["ms"]) / 1000)
                        asyncio.get_running_loop().call_later(late, client.send, message)

    async def _serve(self, request: web.Request, *, private: bool) -> web.WebSocketResponse:
        side = "private" if private else "public"
        fault = self._exchange.faults.use("refuse-socket")
        if (fault is not None and fault["side"] in (side, "all")) or self._exchange.faults.use("maintenance"):
            raise web.HTTPServiceUnavailable
        # Pings are answered here, so that a silent socket is silent.
        socket = web.WebSocketResponse(max_msg_size=64 * 1024, timeout=2, autoping=False)
        await socket.prepare(request)
        client = _Client(request, socket, private=private)
        self._clients.add(client)
        _log.info("socket opened", extra={"side": side, "peer": request.remote})
        writer = asyncio.create_task(client.write())
        end = time.monotonic() + self._life_s
        last_word = time.monotonic()
        try:
            while not socket.closed:
                now = time.monotonic()
                if now >= end:
                    break
                try:
                    message = await socket.receive(timeout=min(last_word + _IDLE_S, end) - now)
                except TimeoutError:
                    break
                if message.type is WSMsgType.PING:
                    if self._exchange.faults.use("silent-sockets") is None:
                        client.pong()
                    continue
                if message.type is not WSMsgType.TEXT:
                    if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                        break
                    continue
                last_word = time.monotonic()
                if client.is_too_fast():
                    client.send(wire.dump({"event": "error", "code": 30006, "msg": "request too many"}))
                    continue
                if self._exchange.faults.use("silent-sockets") is None:
                    await self._handle(client, message.data)
        finally:
            self._clients.discard(client)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            with contextlib.suppress(ConnectionError):
                await socket.close()
            _log.info("socket closed", extra={"side": side})
        return socket

    async def _handle(self, client: _Client, text: str) -> None:
        if text == "ping":
            client.send("pong")
            return
        try:
            message = json.loads(text)
            operation, arguments = message["op"], [dict(argument) for argument in message["args"]]
        except (ValueError, KeyError, TypeError):
            client.send(wire.dump({"event": "error", "code": 30002, "msg": "Illegal request"}))
            return
        for argument in arguments:
            try:
                await self._perform(client, operation, argument)
            except ApiError as error:
                answer: dict[str, object] = {"event": "error", "code": int(error.code), "msg": error.message}
                if operation != "login":
                    answer |= {"op": operation, "arg": argument}
                _log.info("socket request refused", extra={"op": str(operation)[:20], "why": error.message})
                client.send(wire.dump(answer))

    async def _perform(self, client: _Client, operation: str, argument: dict[str, str]) -> None:
        match operation:
            case "login":
                key = self._authenticator.check_login(argument, self._exchange.now_ms())
                require_authority(key, to_trade=False)
                client.account = self._exchange.accounts[key.account]
                client.send(wire.dump({"event": "login", "code": 0}))
            case "subscribe":
                channel = self._channel(client, argument)
                if len(client.arguments) >= _MAX_CHANNELS:
                    raise ApiError("30007", "request over limit, connection close")
                client.send(wire.dump({"event": "subscribe", "arg": argument}))
                if channel[0] in _CANDLE_CHANNELS:
                    candles = await self._candles(channel[0], 500)
                    client.send(self._push_one("snapshot", argument, candles))
                elif channel[0] == "ticker":
                    client.send(self._push_one("snapshot", argument, await self._ticker()))
                elif first := self._first(client, channel[0]):
                    # Without a pause in between, so that no change comes before its picture.
                    client.send(self._push_one("snapshot", argument, first))
                client.arguments[channel] = argument
            case "unsubscribe":
                client.arguments.pop(self._channel(client, argument), None)
                client.send(wire.dump({"event": "unsubscribe", "arg": argument}))
            case _:
                raise ApiError("30003", "Invalid op")

    def _channel(self, client: _Client, argument: Mapping[str, str]) -> Channel:
        name = argument.get("channel", "")
        key = argument.get("instId") or argument.get("coin") or ""
        known = _PRIVATE_CHANNELS if client.private else _PUBLIC_CHANNELS
        keys = {self._exchange.rules.symbol, "default"} if client.private else {self._exchange.rules.symbol}
        if argument.get("instType") != "SPOT" or name not in known or key not in keys:
            described = ",".join(f"{field}:{value}" for field, value in argument.items())
            raise ApiError("30001", f"{described} doesn't exist"[:300])
        if client.private and client.account is None:
            raise ApiError("30004", "User needs to log in")
        return name, key

    def _push_one(self, action: str, argument: Mapping[str, str], data: Sequence[object]) -> str:
        return wire.push(action, argument, wire.dump(data), self._exchange.now_ms())

    def _first(self, client: _Client, channel: str) -> Sequence[object]:
        """What a new subscriber is shown at once."""
        exchange = self._exchange
        if channel == "books":
            # What everyone was told last, so that the next change leads on from it.
            if not self._told.bids:
                self._told = exchange.shown_depth()
            picture = BookUpdate(exchange.shown_book().time_ms, True, self._told.bids, self._told.asks)
            return [wire.book(picture, self._told, self._sequence)] if picture.bids else []
        if channel in _SHORT_BOOKS:
            return self._short_book(_SHORT_BOOKS[channel])
        if channel == "account" and client.account is not None:
            return self._balances(client.account)
        return []

    def _short_book(self, levels: int) -> Sequence[object]:
        picture, depth = self._exchange.shown_book(), self._exchange.shown_depth()
        if not picture.bids:
            return []
        short = BookUpdate(picture.time_ms, True, picture.bids[:levels], picture.asks[:levels])
        return [wire.book(short, depth, self._sequence)]

    async def _ticker(self) -> Sequence[object]:
        exchange = self._exchange
        try:
            ticker = await exchange.market.ticker()
        except MarketUnavailableError:
            return []
        return [wire.ticker_push(ticker, exchange.shown_depth(), exchange.rules, exchange.now_ms())]

    async def _candles(self, channel: str, count: int) -> list[object]:
        length = _CANDLE_CHANNELS[channel]
        now_ms = self._exchange.true_ms()
        running = now_ms // 1000 // length * length
        try:
            bars = await self._exchange.market.candles(length, (running - (count - 1) * length) * 1000, now_ms)
        except MarketUnavailableError:
            return []
        return [wire.candle(bar) for bar in bars]
