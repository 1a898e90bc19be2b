"""The WebSocket side, over TLS."""

import asyncio
import json
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from paper_exchange.config import read_config
from paper_exchange.market.feed import Print
from paper_exchange.matching import Depth, Side
from paper_exchange.server import wire
from paper_exchange.server.exchange import Exchange

from .conftest import Client, up

Paper = tuple[Exchange, Client]
Socket = aiohttp.ClientWebSocketResponse


async def receive(socket: Socket, wanted: Callable[[Any], bool]) -> Any:
    """The first message that is wanted."""
    async with asyncio.timeout(60):
        while True:
            message = await socket.receive()
            assert message.type is aiohttp.WSMsgType.TEXT, message
            content = message.data if message.data == "pong" else json.loads(message.data)
            if wanted(content):
                return content


def channel(name: str) -> Callable[[Any], bool]:
    return lambda message: "action" in message and message["arg"]["channel"] == name


def subscribe(*names: str, key: str = "instId", value: str = "BTCUSDT") -> dict[str, object]:
    return {"op": "subscribe", "args": [{"instType": "SPOT", "channel": name, key: value} for name in names]}


async def log_in(client: Client) -> Socket:
    socket = await client.session.ws_connect(client.ws_url + "/private")
    await socket.send_json(client.login())
    assert await receive(socket, lambda message: True) == {"event": "login", "code": 0}
    await socket.send_json(subscribe("account", "fill", key="coin", value="default"))
    await socket.send_json(subscribe("orders"))
    for _ in range(3):
        await receive(socket, lambda message: message.get("event") == "subscribe")
    return socket


async def test_ping_gets_pong(paper: Paper) -> None:
    _, client = paper
    async with client.session.ws_connect(client.ws_url + "/public") as socket:
        await socket.send_str("ping")
        assert await receive(socket, lambda message: True) == "pong"


async def test_book_updates_add_up_to_the_book(paper: Paper) -> None:
    _, client = paper
    async with client.session.ws_connect(client.ws_url + "/public") as socket:
        await socket.send_json(subscribe("books"))
        first = await receive(socket, channel("books"))
        assert first["action"] == "snapshot"
        sides = {side: {Decimal(p): Decimal(s) for p, s in first["data"][0][side]} for side in ("bids", "asks")}
        last_ts = int(first["data"][0]["ts"])
        for _ in range(6):
            update = await receive(socket, channel("books"))
            assert update["action"] == "update"
            (data,) = update["data"]
            assert int(data["ts"]) > last_ts
            last_ts = int(data["ts"])
            for side, levels in sides.items():
                for price, size in data[side]:
                    levels[Decimal(price)] = Decimal(size)
                    if not Decimal(size):
                        del levels[Decimal(price)]
            now = Depth(sorted(sides["bids"].items(), reverse=True), sorted(sides["asks"].items()))
            assert now.bids[0][0] < now.asks[0][0]
            assert wire.checksum(now) == data["checksum"]


async def test_trades_carry_whole_number_ids_that_grow(paper: Paper) -> None:
    _, client = paper
    async with client.session.ws_connect(client.ws_url + "/public") as socket:
        await socket.send_json(subscribe("trade"))
        ids = []
        for _ in range(3):
            (trade,) = (await receive(socket, channel("trade")))["data"]
            ids.append(int(trade["tradeId"]))
            assert abs(int(trade["ts"]) - time.time() * 1000) < 2000
        assert ids == sorted(set(ids))


async def test_candles_begin_with_history_and_go_on(paper: Paper) -> None:
    _, client = paper
    async with client.session.ws_connect(client.ws_url + "/public") as socket:
        await socket.send_json(subscribe("candle1m"))
        first = await receive(socket, channel("candle1m"))
        assert len(first["data"]) > 60
        update = await receive(socket, lambda message: message.get("action") == "update")
        assert int(update["data"][0][0]) >= int(first["data"][-1][0])


async def test_an_orders_life_is_pushed(paper: Paper) -> None:
    exchange, client = paper
    socket = await log_in(client)
    _, answer = await client.place(size="0.02")
    (live,) = (await receive(socket, channel("orders")))["data"]
    assert (live["status"], live["clientOid"], live["orderId"]) == ("live", "c1", answer["data"]["orderId"])
    account = await receive(socket, channel("account"))
    assert {row["coin"]: row["frozen"] for row in account["data"]} == {"USDT": "800"}
    exchange.on_prints([Print(1, exchange.true_ms(), Decimal(39000), Decimal("0.04"), Side.SELL)])
    (fill,) = (await receive(socket, channel("fill")))["data"]
    assert (fill["size"], fill["feeDetail"][0]["totalFee"]) == ("0.01", "-0.00001")
    (partial,) = (await receive(socket, channel("orders")))["data"]
    assert (partial["status"], partial["tradeId"], partial["baseVolume"]) == (
        "partially_filled",
        fill["tradeId"],
        "0.01",
    )
    assert (partial["fillPrice"], partial["fillFee"], partial["fillFeeCoin"]) == ("40000", "-0.00001", "BTC")
    balances = {row["coin"]: row for row in (await receive(socket, channel("account")))["data"]}
    assert (balances["BTC"]["available"], balances["USDT"]["frozen"]) == ("0.10999", "400")
    exchange.on_prints([Print(2, exchange.true_ms(), Decimal(39000), Decimal(1), Side.SELL)])
    (filled,) = (await receive(socket, channel("orders")))["data"]
    assert (filled["status"], filled["accBaseVolume"]) == ("filled", "0.02")
    await socket.close()


async def test_a_new_subscriber_is_shown_the_account(paper: Paper) -> None:
    _, client = paper
    socket = await client.session.ws_connect(client.ws_url + "/private")
    await socket.send_json(client.login())
    await socket.send_json(subscribe("account", key="coin", value="default"))
    account = await receive(socket, channel("account"))
    assert {row["coin"]: row["available"] for row in account["data"]} == {"BTC": "0.1", "USDT": "5000"}
    await socket.close()


@pytest.mark.parametrize(
    ("path", "message", "code"),
    [
        (
            "public",
            {"op": "subscribe", "args": [{"instType": "SPOT", "channel": "orders", "instId": "BTCUSDT"}]},
            30001,
        ),
        ("public", {"op": "subscribe", "args": [{"instType": "SPOT", "channel": "books", "instId": "NOPE"}]}, 30001),
        ("private", {"op": "subscribe", "args": [{"instType": "SPOT", "channel": "fill", "coin": "default"}]}, 30004),
        ("private", {"op": "dance", "args": [{}]}, 30003),
        ("private", {"op": "login"}, 30002),
        ("private", {"op": "subscribe", "args": ["orders"]}, 30002),
        ("private", [], 30002),
    ],
)
async def test_bad_messages_are_answered(paper: Paper, path: str, message: object, code: int) -> None:
    _, client = paper
    async with client.session.ws_connect(f"{client.ws_url}/{path}") as socket:
        await socket.send_json(message)
        answer = await receive(socket, lambda message: True)
        assert (answer["event"], answer["code"]) == ("error", code)


async def test_logins_are_checked(paper: Paper) -> None:
    _, client = paper
    async with client.session.ws_connect(client.ws_url + "/private") as socket:
        for login, code in (
            (client.login(secret="wrong"), 30015),
            (client.login(at=time.time() - 60), 30014),
            ({"op": "login", "args": [{"apiKey": "other", "timestamp": str(int(time.time()))}]}, 30011),
        ):
            await socket.send_json(login)
            assert (await receive(socket, lambda message: True))["code"] == code


class FollowedBook:
    """A book as a client has it that takes the first picture and every change."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[Decimal, Decimal]] = {"bids": {}, "asks": {}}

    def take(self, message: dict[str, Any]) -> None:
        for side, levels in self.sides.items():
            if message["action"] == "snapshot":
                levels.clear()
            for price, size in message["data"][0][side]:
                levels[Decimal(price)] = Decimal(size)

    def best(self) -> tuple[Decimal, Decimal]:
        bids, asks = ([price for price, size in levels.items() if size] for levels in self.sides.values())
        return max(bids), min(asks)

    def equals(self, exchange: Exchange) -> bool:
        depth = exchange.shown_depth()
        mine = [{price: size for price, size in levels.items() if size} for levels in self.sides.values()]
        return mine == [dict(depth.bids), dict(depth.asks)]


async def follow_to(book: FollowedBook, exchange: Exchange, socket: Socket) -> None:
    """Take changes until the book is the exchange's; the first may have been sent before."""
    for _ in range(4):
        book.take(await receive(socket, channel("books")))
        if book.equals(exchange):
            return
    assert book.equals(exchange)


async def test_whatever_happened_a_follower_has_the_book_again(paper: Paper) -> None:
    exchange, client = paper
    book = FollowedBook()
    async with client.session.ws_connect(client.ws_url + "/public") as socket:
        await socket.send_json(subscribe("books"))
        book.take(await receive(socket, channel("books")))
        assert book.equals(exchange)
        true_best = book.best()
        for kind in ("crossed-book", "thin-book", "price-jump", "stale-book", "crossed-book"):
            exchange.faults.set(kind, {}, None, 1)
            began_ms = exchange.true_ms()
            for _ in range(4):
                message = await receive(socket, channel("books"))
                book.take(message)
                best = book.best()
                # What was under way already knows of nothing.
                strikes = exchange.faults.active() and int(message["data"][0]["ts"]) > began_ms
                if kind == "crossed-book" and strikes:
                    assert best[0] > best[1]
                if kind == "price-jump" and strikes:
                    assert best[0] > true_best[0] * Decimal("1.02")
            exchange.faults.clear()
            await follow_to(book, exchange, socket)
            assert book.best()[0] < book.best()[1]


async def test_a_book_is_told_every_second_changed_or_not(config_file: Path) -> None:
    config = read_config(config_file)
    slow = config.model_copy(update={"market": config.market.model_copy(update={"speed": 1})})
    async with (
        up(slow) as (_, client),
        client.session.ws_connect(client.ws_url + "/public") as socket,
    ):
        await socket.send_json(subscribe("books"))
        await receive(socket, channel("books"))
        # A trade comes every three seconds: without the words in between, ten updates would take 30.
        began = time.monotonic()
        for _ in range(10):
            await receive(socket, channel("books"))
        assert time.monotonic() - began < 20


async def test_a_stale_book_stands_still_and_comes_back(paper: Paper) -> None:
    exchange, client = paper
    book = FollowedBook()
    async with client.session.ws_connect(client.ws_url + "/public") as socket:
        await socket.send_json(subscribe("books", "trade"))
        book.take(await receive(socket, channel("books")))
        exchange.faults.set("stale-book", {}, None, None)
        began_ms = exchange.true_ms()
        trades = 0
        while trades < 5:
            message = await receive(socket, lambda message: "action" in message)
            if message["arg"]["channel"] == "trade":
                trades += 1
            else:
                assert int(message["data"][0]["ts"]) <= began_ms, "it was under way already"
                book.take(message)
        exchange.faults.clear()
        await follow_to(book, exchange, socket)


async def test_a_silent_feed_answers_pings_only(paper: Paper) -> None:
    exchange, client = paper
    async with client.session.ws_connect(client.ws_url + "/public") as socket:
        await socket.send_json(subscribe("books", "trade"))
        await receive(socket, channel("trade"))
        exchange.faults.set("silent-feed", {}, None, None)
        await socket.send_str("ping")
        await receive(socket, lambda message: message == "pong")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.receive(), 1.5)


async def test_refused_sockets_leave_open_ones_alone(paper: Paper) -> None:
    exchange, client = paper
    async with client.session.ws_connect(client.ws_url + "/public") as socket:
        exchange.faults.set("refuse-socket", {"side": "public"}, None, None)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            await client.session.ws_connect(client.ws_url + "/public")
        assert refusal.value.status == 503
        await socket.send_str("ping")
        await receive(socket, lambda message: message == "pong")
    await (await log_in(client)).close()
    exchange.faults.clear()
    await (await client.session.ws_connect(client.ws_url + "/public")).close()


async def test_a_client_that_follows_the_changes_sees_the_book_turn_thin_and_back(paper: Paper) -> None:
    exchange, client = paper
    levels: dict[str, dict[float, float]] = {"bids": {}, "asks": {}}

    async def width(socket: Any, updates: int) -> float:
        for _ in range(updates):
            message = await receive(socket, channel("books"))
            for side, known in levels.items():
                for price, size in message["data"][0][side]:
                    known[float(price)] = float(size)
        bids, asks = ([price for price, size in known.items() if size] for known in levels.values())
        return min(asks) / max(bids) - 1

    async with client.session.ws_connect(client.ws_url + "/public") as socket:
        await socket.send_json(subscribe("books"))
        assert await width(socket, 3) < 0.0002
        exchange.faults.set("thin-book", {}, None, None)
        assert 0.0079 < await width(socket, 4) < 0.0082
        exchange.faults.clear()
        assert await width(socket, 4) < 0.0002


async def test_a_wrong_balance_is_pushed_as_a_transfer_would_be(paper: Paper) -> None:
    exchange, client = paper
    socket = await log_in(client)
    await socket.send_json(subscribe("account", key="coin", value="default"))
    first = await receive(socket, channel("account"))
    exchange.faults.set("wrong-balance", {}, None, None)
    audience: Any = exchange._audience
    audience.accounts_shown()
    second = await receive(socket, channel("account"))
    free = [{row["coin"]: float(row["available"]) for row in message["data"]} for message in (first, second)]
    assert free[1] == free[0] | {"USDT": free[0]["USDT"] - 100}
    await socket.close()


async def test_sockets_can_be_cut(paper: Paper) -> None:
    exchange, client = paper
    socket = await log_in(client)
    audience: Any = exchange._audience
    assert audience.drop("public") == 0
    assert audience.drop("private") == 1
    assert (await socket.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE)


async def test_a_client_that_does_not_read_is_cut_off(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paper_exchange.server.websocket._MAX_WAITING", 50)
    exchange, client = paper
    audience: Any = exchange._audience
    socket = await client.session.ws_connect(client.ws_url + "/public")
    await socket.send_json(subscribe("trade"))
    await receive(socket, channel("trade"))
    # From here on the client reads nothing: both sides' buffers fill, then what waits does.
    connection: Any = socket._response.connection
    connection.transport.pause_reading()
    news = ("trade", "update", [{"padding": "x" * 20_000}])
    async with asyncio.timeout(120):
        while audience.count()["public"]:
            for _ in range(100):
                audience._publish(*news)
            await asyncio.sleep(0.01)
    await socket.close()
