"""A market relayed over the real protocol: another paper exchange stands in for Bitget, whose own servers no test asks.

What it does not prove: that Bitget's messages are as ours.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest
from paper_exchange.config import Config, read_config, read_credentials
from paper_exchange.server.exchange import Exchange
from paper_exchange.server.run import running

from .conftest import Client, Here, eventually

Pair = tuple[Exchange, Exchange, Client]


def relaying(config: Config, upstream_port: int, directory: Path) -> Config:
    """The same exchange, its market relayed from another one."""
    for part in ("state", "tls"):
        (directory / part).mkdir(parents=True)
    market = {
        "kind": "bitget",
        "rest_url": f"https://localhost:{upstream_port}",
        "ws_url": f"wss://localhost:{upstream_port}/v2/ws/public",
        "dns_servers": [],
        "ca_file": str(config.tls_dir / "public" / "ca.pem"),
    }
    changes = {"market": market, "state_dir": str(directory / "state"), "tls_dir": str(directory / "tls")}
    return Config.model_validate_json(json.dumps({**json.loads(config.model_dump_json()), **changes}))


@pytest.fixture
async def relayed(config_file: Path, tmp_path: Path) -> AsyncIterator[Pair]:
    """The upstream, the exchange that relays it, and a client of the latter."""
    config = read_config(config_file).model_copy(
        update={"host_names": ("localhost", "api.bitget.com", "ws.bitget.com")}
    )
    credentials = read_credentials(config.credentials)
    async with running(config, credentials) as (upstream, upstream_port):
        below = relaying(config, upstream_port, tmp_path / "relay")
        async with running(below, credentials) as (exchange, port):
            await eventually(exchange.market.is_moving)
            context = ssl.create_default_context(cafile=below.tls_dir / "public" / "ca.pem")
            connector = aiohttp.TCPConnector(ssl=context, resolver=Here())
            async with aiohttp.ClientSession(connector=connector) as session:
                yield upstream, exchange, Client(session, port)


async def test_book_trades_and_candles_are_the_upstreams(relayed: Pair) -> None:
    upstream, exchange, client = relayed
    assert await eventually(lambda: dict(exchange.market.depth().bids) == dict(upstream.market.depth().bids)), (
        "the books differ"
    )
    theirs = {printed.trade_id: printed for printed in upstream.recent_prints}
    await eventually(lambda: len(exchange.recent_prints) >= 5)
    theirs |= {printed.trade_id: printed for printed in upstream.recent_prints}
    assert all(theirs[printed.trade_id] == printed for printed in exchange.recent_prints)
    _, answer = await client.get("/api/v2/spot/market/candles", symbol="BTCUSDT", granularity="1min", limit=5)
    assert len(answer["data"]) == 5
    assert (await client.get("/api/v2/paper/market"))[1]["data"]["kind"] == "bitget"


async def test_own_orders_fill_on_the_upstreams_trades(relayed: Pair) -> None:
    upstream, exchange, client = relayed
    # Not at the best: while the order is under way the market may cross it, and post-only would then cancel it.
    price = (exchange.market.depth().bids[0][0] * Decimal("0.998")).quantize(Decimal("0.01"))
    await client.place(price=str(price), size="0.0001", clientOid="near")
    upstream.faults.set("price-jump", {"percent": "-1"}, None, None)
    await eventually(lambda: not exchange.main.engine.open_orders)
    (fill,) = await client.data("/api/v2/spot/trade/fills", symbol="BTCUSDT")
    assert (Decimal(fill["priceAvg"]), fill["tradeScope"]) == (price, "maker")


async def test_while_the_upstream_is_lost_nothing_fills_and_the_gap_is_kept(relayed: Pair) -> None:
    upstream, exchange, client = relayed
    best = exchange.market.depth().bids[0][0]
    await client.place(price=str((best * Decimal("0.99")).quantize(Decimal("0.01"))), size="0.001")
    upstream.faults.set("maintenance", {}, None, None)
    await eventually(lambda: not exchange.market.is_moving())
    status, answer = await client.place(clientOid="c2")
    assert (status, answer["code"]) == (503, "40015")
    # The market falls through the order and comes back while nobody looks.
    upstream.faults.set("price-jump", {"percent": "-3"}, None, 2)
    await asyncio.sleep(3)
    upstream.faults.clear()
    await eventually(exchange.market.is_moving)
    await eventually(lambda: exchange.books.gaps())
    (gap,) = exchange.books.gaps()
    assert gap.ended_ms - gap.began_ms > 2500
    assert gap.why == "the upstream was lost"
    (order,) = exchange.main.engine.open_orders
    assert order.filled_base == 0
    _, answer = await client.get("/api/v2/paper/market")
    assert answer["data"]["gaps"] == 1
