"""Bitget's public and private WebSocket."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Mapping, Sequence

from aiohttp import WSCloseCode, WSMsgType, web

from ..market.feed import BookUpdate, MarketUnavailableError, Print
from ..matching import Change
from . import wire
from .auth import Authenticator
from .errors import ApiError
from .exchange import Exchange

_log = logging.getLogger(__name__)

# Bitget drops a client that sent nothing for two minutes.
_IDLE_S = 120
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
_PUBLIC_CHANNELS = {"books", "trade", *_CANDLE_CHANNELS}
_PRIVATE_CHANNELS = {"orders", "fill", "account"}

Channel = tuple[str, str]


class _Client:
    """One connection: what it wants, and what waits to be sent to it."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse, *, private: bool) -> None:
        self.socket = socket
        self.private = private
        self._transport = request.transport
        self.logged_in = False
        self.arguments: dict[Channel, Mapping[str, str]] = {}
        self._waiting: asyncio.Queue[str] = asyncio.Queue(_MAX_WAITING)

    def send(self, text: str) -> None:
        """Queue a message; a client that lets too many wait is cut off."""
        try:
            self._waiting.put_nowait(text)
        except asyncio.QueueFull:
            _log.warning("a client does not read: cut off", extra={"private": self.private})
            self.cut()

    def cut(self) -> None:
        """End the connection at once, whatever waits."""
        if self._transport is not None:
            self._transport.abort()

    async def write(self) -> None:
        """Send what waits, until the connection ends."""
        with contextlib.suppress(ConnectionError):
            while not self.socket.closed:
                await self.socket.send_str(await self._waiting.get())


class SocketServer:
    """All WebSocket connections.

    Args:
        exchange: whose news they want.
        authenticator: checks their logins.
    """

    def __init__(self, exchange: Exchange, authenticator: Authenticator) -> None:
        self._exchange = exchange
        self._authenticator = authenticator
        self._clients: set[_Client] = set()
        self._sequence = 0
        self._book_was_stale = False

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

    def account_changed(self, change: Change) -> None:
        """Push fills, orders and balances, in the order in which they came about."""
        if self._exchange.faults.use("silent-account") is not None:
            return
        rules = self._exchange.rules
        for step in change.steps:
            if step.fill is not None:
                self._publish("fill", "snapshot", [wire.fill_push(step.fill, rules)])
            self._publish("orders", "snapshot", [wire.order_push(step.order, step.fill, rules)])
        now_ms = self._exchange.true_ms()
        self._publish(
            "account", "snapshot", [wire.balance(coin, amounts, now_ms) for coin, amounts in change.balances.items()]
        )

    def traded(self, prints: Sequence[Print]) -> None:
        """Push public trades."""
        if self._exchange.faults.use("silent-feed") is None:
            self._publish("trade", "update", [wire.trade(printed) for printed in prints])

    def book_moved(self, update: BookUpdate) -> None:
        """Push a book change."""
        self._sequence += 1
        faults = self._exchange.faults
        if faults.use("stale-book") is not None or faults.use("silent-feed") is not None:
            self._book_was_stale = True
            return
        if self._book_was_stale:
            # What was withheld is made good by a whole book.
            self._book_was_stale = False
            update = self._exchange.market.book_snapshot()
        if not self._wanted("books"):
            return
        action = "snapshot" if update.is_snapshot else "update"
        self._publish("books", action, [wire.book(update, self._exchange.market.depth(), self._sequence)])

    async def push_candles(self) -> None:
        """Push the running candles once a second, until cancelled."""
        while True:
            await asyncio.sleep(1)
            if self._exchange.faults.use("silent-feed") is not None:
                continue
            for channel in _CANDLE_CHANNELS:
                if self._wanted(channel):
                    rows = await self._candles(channel, 1)
                    if rows:
                        self._publish(channel, "update", rows)

    def _wanted(self, channel: str) -> list[_Client]:
        return [client for client in self._clients if any(name == channel for name, _ in client.arguments)]

    def _publish(self, channel: str, action: str, data: Sequence[object]) -> None:
        clients = self._wanted(channel)
        if not clients or not data:
            return
        text = wire.dump(data)
        now_ms = self._exchange.now_ms()
        for client in clients:
            for (name, _), argument in client.arguments.items():
                if name == channel:
                    client.send(wire.push(action, argument, text, now_ms))

    async def _serve(self, request: web.Request, *, private: bool) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=64 * 1024, timeout=2)
        await socket.prepare(request)
        client = _Client(request, socket, private=private)
        self._clients.add(client)
        side = "private" if private else "public"
        _log.info("socket opened", extra={"side": side, "peer": request.remote})
        writer = asyncio.create_task(client.write())
        try:
            while not socket.closed:
                try:
                    message = await socket.receive(timeout=_IDLE_S)
                except TimeoutError:
                    break
                if message.type is not WSMsgType.TEXT:
                    if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                        break
                    continue
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
                self._authenticator.check_login(dict(argument), self._exchange.now_ms())
                client.logged_in = True
                client.send(wire.dump({"event": "login", "code": 0}))
            case "subscribe":
                channel = self._channel(client, argument)
                client.send(wire.dump({"event": "subscribe", "arg": argument}))
                if channel[0] in _CANDLE_CHANNELS:
                    candles = await self._candles(channel[0], 500)
                    client.send(self._push_one("snapshot", argument, candles))
                elif first := self._first(channel[0]):
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
        if client.private and not client.logged_in:
            raise ApiError("30004", "User needs to log in")
        return name, key

    def _push_one(self, action: str, argument: Mapping[str, str], data: Sequence[object]) -> str:
        return wire.push(action, argument, wire.dump(data), self._exchange.now_ms())

    def _first(self, channel: str) -> Sequence[object]:
        """What a new subscriber is shown at once."""
        exchange = self._exchange
        if channel == "books":
            picture = exchange.market.book_snapshot()
            return [wire.book(picture, exchange.market.depth(), self._sequence)] if picture.bids else []
        if channel == "account":
            now_ms = exchange.true_ms()
            return [wire.balance(coin, amounts, now_ms) for coin, amounts in exchange.engine.balances.items()]
        return []

    async def _candles(self, channel: str, count: int) -> list[object]:
        length = _CANDLE_CHANNELS[channel]
        now_ms = self._exchange.true_ms()
        running = now_ms // 1000 // length * length
        try:
            bars = await self._exchange.market.candles(length, (running - (count - 1) * length) * 1000, now_ms)
        except MarketUnavailableError:
            return []
        return [wire.candle(bar) for bar in bars]
