"""Misbehaviour on demand, seen from outside."""

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from paper_exchange.config import ConfigError, read_config, read_credentials
from paper_exchange.market.feed import Print
from paper_exchange.matching import Force, OrderRequest, OrderType, Side
from paper_exchange.server.exchange import Exchange
from paper_exchange.server.faults import KINDS

from .conftest import KEY, PASSPHRASE, SECRET, Client, eventually, up
from .test_exchange_websocket import channel, log_in, receive, subscribe

Paper = tuple[Exchange, Client]
PLACE = "/api/v2/spot/trade/place-order"


async def test_an_answer_that_is_no_json_hides_an_order_that_was_placed(paper: Paper) -> None:
    exchange, client = paper
    exchange.faults.set("malformed", {"endpoint": "place-order"}, 1, None)
    with pytest.raises(ValueError, match="Expecting value"):
        await client.place()
    assert len(exchange.main.engine.open_orders) == 1


async def test_an_answer_that_breaks_off_hides_an_order_that_was_placed(paper: Paper) -> None:
    exchange, client = paper
    exchange.faults.set("truncated", {"endpoint": "place-order"}, 1, None)
    with pytest.raises(aiohttp.ClientPayloadError):
        await client.place()
    assert len(exchange.main.engine.open_orders) == 1


async def test_maintenance_closes_everything_but_the_time_and_says_so(paper: Paper) -> None:
    exchange, client = paper
    socket = await client.session.ws_connect(client.ws_url + "/public")
    exchange.faults.set("maintenance", {}, None, None)
    assert (await asyncio.wait_for(socket.receive(), 5)).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE)
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await client.session.ws_connect(client.ws_url + "/public")
    status, answer = await client.place()
    assert (status, answer["code"]) == (503, "40200")
    assert (await client.get("/api/v2/spot/market/tickers"))[0] == 503
    assert (await client.get("/api/v2/public/time"))[0] == 200
    assert (await client.get("/api/v2/spot/public/symbols"))[1]["data"][0]["status"] == "halt"
    exchange.faults.clear()
    assert (await client.place())[0] == 200


async def test_sockets_are_cut_again_and_again(paper: Paper) -> None:
    exchange, client = paper
    exchange.faults.set("drop-sockets", {"every_s": "1", "side": "public"}, None, None)
    private = await log_in(client)
    for _ in range(2):
        async with client.session.ws_connect(client.ws_url + "/public") as socket:
            assert (await asyncio.wait_for(socket.receive(), 5)).type is not aiohttp.WSMsgType.TEXT
    assert not private.closed
    await private.close()


async def test_a_silent_socket_says_nothing_at_all(paper: Paper) -> None:
    exchange, client = paper
    async with client.session.ws_connect(client.ws_url + "/public", autoping=False) as socket:
        await socket.send_json(subscribe("trade"))
        await receive(socket, channel("trade"))
        exchange.faults.set("silent-sockets", {}, None, None)
        await asyncio.sleep(0.1)
        await socket.send_str("ping")
        await socket.ping()

        async def silent_for(seconds: float) -> bool:
            try:
                # What was on its way may still come.
                while (await asyncio.wait_for(socket.receive(), seconds)).type is aiohttp.WSMsgType.TEXT:
                    pass
            except TimeoutError:
                return True
            return False

        assert await silent_for(1.5)


async def test_events_come_twice(paper: Paper) -> None:
    exchange, client = paper
    socket = await log_in(client)
    exchange.faults.set("duplicate-events", {}, None, None)
    await client.place()
    first = await receive(socket, channel("orders"))
    second = await receive(socket, channel("orders"))
    assert first == second
    await socket.close()


async def test_events_come_in_any_order(paper: Paper) -> None:
    exchange, client = paper
    socket = await log_in(client)
    exchange.faults.set("shuffled-events", {"ms": "400"}, None, None)
    for number in range(12):  # all in one moment: a client would take its time between them
        exchange.place(
            exchange.main,
            OrderRequest(f"c{number}", Side.BUY, OrderType.LIMIT, Decimal("0.001"), Decimal(40000), Force.POST_ONLY),
        )
    seen: list[Any] = []
    while len(seen) < 12:
        message = await receive(socket, channel("orders"))
        seen += [order["clientOid"] for order in message["data"]]
    assert sorted(seen) == sorted(f"c{number}" for number in range(12))
    assert seen != [f"c{number}" for number in range(12)]
    await socket.close()


async def test_a_jump_is_a_real_move_of_the_market(paper: Paper) -> None:
    exchange, client = paper
    _, answer = await client.get("/api/v2/spot/market/tickers")
    before = Decimal(answer["data"][0]["lastPr"])
    await client.place(price=str((before * Decimal("0.98")).quantize(Decimal(1))), size="0.001")
    exchange.faults.set("price-jump", {"percent": "-3"}, None, None)
    await eventually(lambda: not exchange.main.engine.open_orders)
    _, answer = await client.get("/api/v2/spot/market/tickers")
    assert Decimal(answer["data"][0]["lastPr"]) < before * Decimal("0.98")


async def test_a_trade_that_is_told_twice_fills_once(paper: Paper) -> None:
    exchange, client = paper
    await client.place(size="0.01", price="41000")
    printed = Print(1, exchange.true_ms(), Decimal(30000), Decimal("0.004"), Side.SELL)
    exchange.on_prints([printed])
    exchange.on_prints([printed, printed])
    (order,) = exchange.main.engine.open_orders
    assert order.filled_base == Decimal("0.001")


async def test_every_kind_can_be_switched_on_with_its_defaults(paper: Paper) -> None:
    exchange, _ = paper
    for kind in KINDS:
        exchange.faults.set(kind, {}, None, 0.01)
    assert exchange.faults.clear() == len(KINDS)


async def test_a_key_works_from_its_addresses_only(config_file: Path) -> None:
    def credentials(*ips: str) -> str:
        keys = [{"api_key": KEY + "2", "secret_key": SECRET, "passphrase": PASSPHRASE, "ips": ["192.0.2.1"]}]
        own = {"api_key": KEY, "secret_key": SECRET, "passphrase": PASSPHRASE, "ips": list(ips)}
        return json.dumps({**own, "keys": keys})

    (config_file.parent / "credentials.json").write_text(credentials("127.0.0.1"))
    async with up(read_config(config_file)) as (_, client):
        assert (await client.data("/api/v2/spot/account/info"))["ips"] == "127.0.0.1"
        headers = client.headers("GET", "/api/v2/spot/account/info", "") | {"ACCESS-KEY": KEY + "2"}
        async with client.session.get(client.rest_url + "/api/v2/spot/account/info", headers=headers) as response:
            assert (await response.json())["code"] == "40018"


async def test_a_key_of_an_account_that_is_not_there_is_refused(config_file: Path) -> None:
    key = {"api_key": KEY, "secret_key": SECRET, "passphrase": PASSPHRASE}
    path = config_file.parent / "credentials.json"
    for keys, word in (([{**key, "api_key": "x", "account": "nobody"}], "nobody"), ([key], "twice")):
        path.write_text(json.dumps({**key, "keys": keys}))
        with pytest.raises(ConfigError, match=word):
            async with up(read_config(config_file)):
                pass
    assert read_credentials(path).all_keys
