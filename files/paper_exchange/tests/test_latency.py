"""Orders, cancels and pushes are under way for a while, and things happen meanwhile."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from paper_exchange.config import ConfigError, read_config
from paper_exchange.market.feed import Print
from paper_exchange.matching import Side
from paper_exchange.server.exchange import Exchange
from paper_exchange.server.latency import Latency

from .conftest import Client, up
from .test_exchange_durability import change_config
from .test_exchange_websocket import channel, receive, subscribe

Paper = tuple[Exchange, Client]
TRADE_IDS = itertools.count(1)
MEAN_S, JITTER_S = 0.15, 0.1
# Beyond the latency: what this machine, busy with other tests, may take for everything else.
SLACK_S = 10.0


@pytest.fixture
async def slow(config_file: Path) -> AsyncIterator[Paper]:
    """An exchange with the latency that is the default."""
    config = read_config(config_file).model_copy(update={"latency_ms": 150, "latency_jitter_ms": 100})
    async with up(config) as pair:
        yield pair


def crash(exchange: Exchange, price: str) -> None:
    printed = Print(next(TRADE_IDS), exchange.true_ms(), Decimal(price), Decimal(100), Side.SELL)
    exchange.on_prints([printed])


async def test_orders_and_cancels_take_their_time(slow: Paper) -> None:
    exchange, client = slow
    took: list[float] = []
    for number in range(8):
        began = time.monotonic()
        await client.place(clientOid=f"c{number}", price=str(41000 - number))
        took.append(time.monotonic() - began)
        began = time.monotonic()
        await client.signed_post("/api/v2/spot/trade/cancel-order", symbol="BTCUSDT", clientOid=f"c{number}")
        took.append(time.monotonic() - began)
    assert min(took) >= MEAN_S - JITTER_S
    assert max(took) <= MEAN_S + JITTER_S + SLACK_S
    assert max(took) - min(took) > 0.02
    assert not exchange.main.engine.open_orders


async def test_an_order_is_not_there_before_it_has_arrived(slow: Paper) -> None:
    exchange, client = slow
    placing = asyncio.create_task(client.place(price="41000"))
    await asyncio.sleep(0.02)
    crash(exchange, "30000")
    await placing
    (order,) = exchange.main.engine.open_orders
    assert order.filled_base == 0


async def test_an_order_may_fill_while_its_cancel_is_under_way(slow: Paper) -> None:
    exchange, client = slow
    for number in range(5):
        await client.place(clientOid=f"c{number}", price="41000", size="0.001")
        cancelling = asyncio.create_task(
            client.signed_post("/api/v2/spot/trade/cancel-order", symbol="BTCUSDT", clientOid=f"c{number}")
        )
        await asyncio.sleep(0.02)
        crash(exchange, "30000")
        status, answer = await cancelling
        assert (status, answer["code"]) == (400, "43001")
        (order,) = await client.data("/api/v2/spot/trade/orderInfo", clientOid=f"c{number}")
        assert order["status"] == "filled"


async def test_post_only_is_judged_on_arrival(slow: Paper) -> None:
    exchange, client = slow
    price = exchange.market.depth().bids[0][0] * Decimal("1.01")
    placing = asyncio.create_task(client.place(price=str(price.quantize(Decimal(1)))))
    # It would have crossed when it was sent; by the time it arrives the market has gone away.
    exchange.faults.set("price-jump", {"percent": "4"}, None, None)
    await placing
    (order,) = exchange.main.engine.open_orders
    assert order.status == "live"


async def test_pushes_come_late_and_in_order(slow: Paper) -> None:
    _, client = slow
    async with client.session.ws_connect(client.ws_url + "/public") as socket:
        await socket.send_json(subscribe("trade"))
        await receive(socket, lambda message: message.get("event") == "subscribe")
        late: list[float] = []
        ids: list[int] = []
        for _ in range(20):
            message: Any = await receive(socket, channel("trade"))
            late.append(time.time() - int(message["data"][-1]["ts"]) / 1000)
            ids += [int(trade["tradeId"]) for trade in message["data"]]
    assert min(late) >= MEAN_S - JITTER_S
    assert max(late) <= MEAN_S + JITTER_S + SLACK_S
    assert ids == sorted(ids)


def test_messages_of_one_stream_never_overtake() -> None:
    now = 100.0
    latency = Latency(150, 100, lambda: now)
    dues = [latency.due("a") for _ in range(200)]
    assert dues == sorted(dues)
    assert len(set(dues)) == 200
    assert 100.05 <= dues[0] <= 100.25
    assert Latency(0, 0, lambda: now).due("a") == 0.0
    assert Latency(0, 0, lambda: now).due("a", 1.0) == 101.0


def test_more_jitter_than_latency_is_refused(config_file: Path) -> None:
    change_config(config_file, latency_ms=50, latency_jitter_ms=60)
    with pytest.raises(ConfigError, match="latency_jitter_ms"):
        read_config(config_file)
