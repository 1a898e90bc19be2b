"""The WebSocket side, over TLS."""

import asyncio
import json
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from paper_exchange.market.feed import Print
from paper_exchange.matching import Depth, Side
from paper_exchange.server import wire
from paper_exchange.server.exchange import Exchange

from .conftest import Client

Paper = tuple[Exchange, Client]
Socket = aiohttp.ClientWebSocketResponse


async def receive(socket: Socket, wanted: Callable[[Any], bool]) -> Any:
    """The first message that is wanted."""
    async with asyncio.timeout(10):
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


async def test_a_stale_book_stands_still_and_comes_back_whole(paper: Paper) -> None:
    exchange, client = paper
    async with client.session.ws_connect(client.ws_url + "/public") as socket:
        await socket.send_json(subscribe("books", "trade"))
        await receive(socket, channel("books"))
        exchange.faults.set("stale-book", {}, None, None)
        await receive(socket, channel("trade"))
        for _ in range(4):
            message = await receive(socket, lambda message: "action" in message)
            assert message["arg"]["channel"] == "trade"
        exchange.faults.clear()
        assert (await receive(socket, channel("books")))["action"] == "snapshot"


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
    async with asyncio.timeout(20):
        while audience.count()["public"]:
            for _ in range(100):
                audience._publish(*news)
            await asyncio.sleep(0.01)
    await socket.close()
