"""The REST side, over TLS with real signatures."""

import itertools
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from paper_exchange.config import read_config
from paper_exchange.market.feed import Print
from paper_exchange.matching import Force, OrderRequest, OrderType, Side
from paper_exchange.server.exchange import Exchange
from paper_exchange.server.faults import FaultError

from .conftest import Client, up

Paper = tuple[Exchange, Client]
TRADE_IDS = itertools.count(1)


def crash(exchange: Exchange, price: str, size: str = "100") -> None:
    """Let one public trade happen."""
    exchange.on_prints([Print(next(TRADE_IDS), exchange.true_ms(), Decimal(price), Decimal(size), Side.SELL)])


async def test_public_data_is_what_the_connector_reads(paper: Paper) -> None:
    _, client = paper
    _, answer = await client.get("/api/v2/public/time")
    assert abs(answer["requestTime"] - time.time() * 1000) < 2000
    _, answer = await client.get("/api/v2/spot/public/symbols")
    (symbol,) = answer["data"]
    assert (symbol["symbol"], symbol["baseCoin"], symbol["quoteCoin"]) == ("BTCUSDT", "BTC", "USDT")
    assert (symbol["pricePrecision"], symbol["quantityPrecision"], symbol["minTradeUSDT"]) == ("2", "6", "1")
    assert (symbol["makerFeeRate"], symbol["takerFeeRate"]) == ("0.001", "0.001")
    _, answer = await client.get("/api/v2/spot/market/orderbook", symbol="BTCUSDT", limit=100)
    book = answer["data"]
    bids, asks = [[Decimal(p) for p, _ in book[side]] for side in ("bids", "asks")]
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]
    _, answer = await client.get("/api/v2/spot/market/tickers", symbol="BTCUSDT")
    assert bids[-1] < Decimal(answer["data"][0]["lastPr"]) < asks[-1]


async def test_a_bot_can_seed_its_bars_at_once(paper: Paper) -> None:
    _, client = paper
    now = int(time.time() * 1000)
    _, answer = await client.get(
        "/api/v2/spot/market/candles",
        symbol="BTCUSDT",
        granularity="1min",
        startTime=now - 90 * 60_000,
        endTime=now,
        limit=1000,
    )
    opened = [int(row[0]) for row in answer["data"]]
    assert len(opened) >= 60
    assert all(later - earlier == 60_000 for earlier, later in itertools.pairwise(opened))
    assert all(Decimal(row[3]) <= min(Decimal(row[1]), Decimal(row[4])) <= Decimal(row[2]) for row in answer["data"])
    _, answer = await client.get(
        "/api/v2/spot/market/history-candles", symbol="BTCUSDT", granularity="5min", endTime=now, limit=10
    )
    assert len(answer["data"]) == 10


async def test_the_market_is_called_what_it_is(paper: Paper) -> None:
    _, client = paper
    _, answer = await client.get("/api/v2/paper/market")
    assert (answer["data"]["kind"], answer["data"]["speed"], answer["data"]["book"]) == ("recorded", 10, "synthetic")


async def test_an_order_from_birth_to_cancel(paper: Paper) -> None:
    _, client = paper
    _, answer = await client.place()
    order_id = answer["data"]["orderId"]
    assert answer["data"]["clientOid"] == "c1"
    assets = {row["coin"]: row for row in await client.data("/api/v2/spot/account/assets")}
    assert (assets["USDT"]["available"], assets["USDT"]["frozen"]) == ("4600", "400")
    (order,) = await client.data("/api/v2/spot/trade/orderInfo", clientOid="c1")
    assert (order["status"], order["orderId"], order["size"]) == ("live", order_id, "0.01")
    (order,) = await client.data("/api/v2/spot/trade/unfilled-orders", symbol="BTCUSDT")
    assert (order["orderId"], order["priceAvg"]) == (order_id, "40000")
    _, answer = await client.signed_post("/api/v2/spot/trade/cancel-order", symbol="BTCUSDT", clientOid="c1")
    assert answer["data"] == {"orderId": order_id, "clientOid": "c1"}
    (order,) = await client.data("/api/v2/spot/trade/orderInfo", orderId=order_id)
    assert order["status"] == "cancelled"
    assert await client.data("/api/v2/spot/trade/unfilled-orders", symbol="BTCUSDT") == []
    (order,) = await client.data("/api/v2/spot/trade/history-orders", symbol="BTCUSDT")
    assert order["orderId"] == order_id
    status, answer = await client.signed_post("/api/v2/spot/trade/cancel-order", symbol="BTCUSDT", clientOid="c1")
    assert (status, answer["code"]) == (400, "43001")


async def test_fills_can_be_asked_for_by_order_time_and_id(paper: Paper) -> None:
    exchange, client = paper
    orders = []
    for number in range(3):
        _, answer = await client.place(clientOid=f"c{number}", price=str(41000 - number))
        orders.append(answer["data"]["orderId"])
    began = int(time.time() * 1000)
    crash(exchange, "30000")
    fills = await client.data("/api/v2/spot/trade/fills", symbol="BTCUSDT")
    assert [fill["orderId"] for fill in fills] == orders[::-1]
    assert fills[0]["feeDetail"] == {
        "deduction": "no",
        "feeCoin": "BTC",
        "totalDeductionFee": "",
        "totalFee": "-0.00001",
    }
    assert (fills[0]["priceAvg"], fills[0]["size"], fills[0]["amount"]) == ("40998", "0.01", "409.98")
    (fill,) = await client.data("/api/v2/spot/trade/fills", orderId=orders[1])
    assert fill["orderId"] == orders[1]
    older = await client.data("/api/v2/spot/trade/fills", symbol="BTCUSDT", idLessThan=fills[0]["tradeId"], limit=1)
    assert older == fills[1:2]
    assert len(await client.data("/api/v2/spot/trade/fills", symbol="BTCUSDT", startTime=began - 1000)) == 3
    assert await client.data("/api/v2/spot/trade/fills", symbol="BTCUSDT", endTime=began - 60_000) == []


async def test_post_only_across_the_book_is_accepted_and_cancelled(paper: Paper) -> None:
    _, client = paper
    status, answer = await client.place(price="48000")
    assert (status, answer["code"]) == (200, "00000")
    (order,) = await client.data("/api/v2/spot/trade/orderInfo", clientOid="c1")
    assert (order["status"], order["baseVolume"]) == ("cancelled", "0")


async def test_a_market_order_takes_from_the_book(paper: Paper) -> None:
    _, client = paper
    await client.place(orderType="market", size="100", price="", force="")
    (order,) = await client.data("/api/v2/spot/trade/orderInfo", clientOid="c1")
    (fill,) = await client.data("/api/v2/spot/trade/fills", orderId=order["orderId"])
    assert (order["status"], fill["tradeScope"]) == ("filled", "taker")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"size": "100"}, "43012"),
        ({"size": "0.00001"}, "45110"),
        ({"price": "40000.001"}, "40808"),
        ({"size": "0.0100001"}, "40808"),
        ({"size": "0"}, "43011"),
        ({"size": "NaN"}, "40017"),
        ({"size": "1e99"}, "40017"),
        ({"symbol": "ETHUSDT"}, "40034"),
        ({"symbol": ""}, "40019"),
        ({"side": "hold"}, "40017"),
        ({"force": "maybe"}, "40017"),
        ({"price": "60000"}, "43009"),
        ({"price": "20000", "side": "sell"}, "43008"),
        ({"price": ""}, "40019"),
        ({"clientOid": "x" * 65}, "40017"),
    ],
)
async def test_bad_orders_get_bitgets_codes(paper: Paper, changes: dict[str, Any], code: str) -> None:
    _, client = paper
    status, answer = await client.place(**changes)
    assert (status, answer["code"], answer["data"]) == (400, code, None)
    assert await client.data("/api/v2/spot/trade/unfilled-orders") == []


async def test_a_client_id_is_used_once_even_after_its_order_ended(paper: Paper) -> None:
    _, client = paper
    await client.place()
    await client.signed_post("/api/v2/spot/trade/cancel-order", symbol="BTCUSDT", clientOid="c1")
    _, answer = await client.place()
    assert answer["code"] == "43118"


async def test_signatures_are_checked(paper: Paper) -> None:
    _, client = paper
    path = "/api/v2/spot/account/assets"

    async def code(headers: dict[str, str]) -> str:
        async with client.session.get(client.rest_url + path, headers=headers) as response:
            assert response.status == 400
            answer: dict[str, str] = await response.json()
            return answer["code"]

    good = client.headers("GET", path, "")
    assert await code({}) == "40001"
    assert await code(client.headers("GET", path, "", secret="wrong")) == "40009"
    assert await code(client.headers("GET", path, "{}")) == "40009"
    assert await code(client.headers("GET", path, "", at=time.time() - 60)) == "40008"
    assert await code({**good, "ACCESS-KEY": "other"}) == "40006"
    assert await code({**good, "ACCESS-PASSPHRASE": "other"}) == "40012"
    assert await code({**good, "ACCESS-TIMESTAMP": "now"}) == "40005"


async def test_what_is_not_there_says_so(paper: Paper) -> None:
    _, client = paper
    status, answer = await client.get("/api/v2/spot/wallet/withdrawal")
    assert (status, answer["code"]) == (404, "40404")


async def test_the_account_tells_about_its_key_and_fees(paper: Paper) -> None:
    _, client = paper
    info = await client.data("/api/v2/spot/account/info")
    assert info["authorities"] == ["stor", "stow"]
    assert info["ips"] == ""
    rate = await client.data("/api/v2/common/trade-rate", symbol="BTCUSDT", businessType="spot")
    assert rate == {"makerFeeRate": "0.001", "takerFeeRate": "0.001"}


async def test_faults_strike_and_end(paper: Paper) -> None:
    exchange, client = paper
    faults = exchange.faults
    await client.place()
    faults.set("refuse-cancel", {}, 1, None)
    cancel = {"symbol": "BTCUSDT", "clientOid": "c1"}
    status, _ = await client.signed_post("/api/v2/spot/trade/cancel-order", **cancel)
    assert status == 400
    assert exchange.main.engine.open_orders
    faults.set("lost-cancel", {}, 1, None)
    status, _ = await client.signed_post("/api/v2/spot/trade/cancel-order", **cancel)
    assert status == 200
    assert exchange.main.engine.open_orders
    faults.set("refuse-place", {"code": "43012"}, None, 60)
    _, answer = await client.place(clientOid="c2")
    assert answer["code"] == "43012"
    faults.clear("refuse-place")
    faults.set("rate-limit", {"endpoint": "assets", "per_s": "2"}, None, None)
    statuses = [(await client.signed_get("/api/v2/spot/account/assets"))[0] for _ in range(4)]
    assert statuses[:2] == [200, 200]
    assert 429 in statuses
    faults.clear()
    faults.set("latency", {"endpoint": "time", "ms": "300"}, 1, None)
    began = time.monotonic()
    await client.get("/api/v2/public/time")
    assert time.monotonic() - began > 0.3
    faults.set("clock-skew", {"ms": "60000"}, None, None)
    _, answer = await client.signed_get("/api/v2/spot/account/assets")
    assert answer["code"] == "40008"
    _, answer = await client.get("/api/v2/public/time")
    assert answer["requestTime"] > time.time() * 1000 + 50_000
    faults.clear()
    faults.set("lost-reply", {"endpoint": "place-order"}, 1, None)
    with pytest.raises(aiohttp.ClientError):
        await client.place(clientOid="c3")
    (order,) = await client.data("/api/v2/spot/trade/orderInfo", clientOid="c3")
    assert order["status"] == "live"
    faults.set("partial-fills", {"participation": "0.00001"}, None, None)
    crash(exchange, "30000")
    (order,) = await client.data("/api/v2/spot/trade/orderInfo", clientOid="c1")
    assert (order["status"], order["baseVolume"]) == ("partially_filled", "0.001")


async def test_a_thin_book_is_wide_for_everyone(paper: Paper) -> None:
    exchange, client = paper
    exchange.faults.set("thin-book", {"bps": "30"}, None, None)
    _, answer = await client.get("/api/v2/spot/market/orderbook", symbol="BTCUSDT")
    bid, ask = (Decimal(answer["data"][side][0][0]) for side in ("bids", "asks"))
    assert Decimal("0.0060") <= (ask - bid) / bid < Decimal("0.0064")
    _, answer = await client.get("/api/v2/spot/market/tickers", symbol="BTCUSDT")
    assert Decimal(answer["data"][0]["askPr"]) / Decimal(answer["data"][0]["bidPr"]) > Decimal("1.0059")
    exchange.faults.clear()
    _, answer = await client.get("/api/v2/spot/market/orderbook", symbol="BTCUSDT")
    assert Decimal(answer["data"]["asks"][0][0]) / Decimal(answer["data"]["bids"][0][0]) < Decimal("1.001")


async def test_a_wrong_balance_is_off_by_its_amount_in_one_coin(paper: Paper) -> None:
    exchange, client = paper
    true = {row["coin"]: Decimal(row["available"]) for row in await client.data("/api/v2/spot/account/assets")}
    exchange.faults.set("wrong-balance", {"amount": "-7.5"}, None, None)
    shown = {row["coin"]: Decimal(row["available"]) for row in await client.data("/api/v2/spot/account/assets")}
    assert shown == true | {"USDT": true["USDT"] - Decimal("7.5")}
    exchange.faults.set("wrong-balance", {"coin": "BTC", "amount": "1"}, None, None)
    shown = {row["coin"]: Decimal(row["available"]) for row in await client.data("/api/v2/spot/account/assets")}
    assert shown == true | {"BTC": true["BTC"] + 1}


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("thin-book", {"bps": "0"}),
        ("wrong-balance", {"amount": "much"}),
        ("partial-fills", {"participation": "2"}),
        ("refuse-socket", {"side": "left"}),
    ],
)
async def test_a_fault_with_a_value_that_makes_no_sense_is_refused(
    paper: Paper, kind: str, wrong: dict[str, str]
) -> None:
    exchange, _ = paper
    with pytest.raises(FaultError, match=next(iter(wrong))):
        exchange.faults.set(kind, wrong, None, None)


async def test_books_that_cannot_be_written_refuse_and_forget_nothing(paper: Paper) -> None:
    exchange, client = paper
    await client.place()
    exchange.books._db.execute("PRAGMA query_only=ON")
    status, answer = await client.place(clientOid="c2")
    assert (status, answer["code"]) == (500, "40015")
    crash(exchange, "30000")
    assert len(exchange.main.engine.open_orders) == 1
    assert not exchange.check_books()
    exchange.books._db.execute("PRAGMA query_only=OFF")
    crash(exchange, "30000")
    assert not exchange.main.engine.open_orders
    assert len(await client.data("/api/v2/spot/trade/fills", symbol="BTCUSDT")) == 1
    assert exchange.check_books()


async def test_a_restart_goes_on_where_it_stopped(config_file: Path) -> None:
    config = read_config(config_file)
    async with up(config) as (exchange, client):
        await client.place(clientOid="rests")
        await client.place(clientOid="fills", price="41000")
        crash(exchange, "40500")
        balances = dict(exchange.main.engine.balances)
        anchor = exchange.books.meta("anchor")
    async with up(config) as (exchange, client):
        assert dict(exchange.main.engine.balances) == balances
        assert exchange.books.meta("anchor") == anchor
        (order,) = await client.data("/api/v2/spot/trade/unfilled-orders")
        assert order["clientOid"] == "rests"
        (fill,) = await client.data("/api/v2/spot/trade/fills", symbol="BTCUSDT")
        _, answer = await client.place(clientOid="after")
        assert int(answer["data"]["orderId"]) > int(order["orderId"]) > 0
        crash(exchange, "30000")
        ids = [int(row["tradeId"]) for row in await client.data("/api/v2/spot/trade/fills", symbol="BTCUSDT")]
        assert ids == sorted(ids, reverse=True)
        assert ids[-1] == int(fill["tradeId"])


async def test_what_a_taker_took_is_gone_until_the_book_is_told_anew(config_file: Path) -> None:
    config = read_config(config_file).model_copy(update={"start_quote": Decimal(1_000_000)})
    async with up(config) as (exchange, _):
        price, size = exchange.market.depth().asks[0]

        def take(client_id: str) -> Decimal:
            request = OrderRequest(client_id, Side.BUY, OrderType.LIMIT, size, price, Force.IOC)
            return exchange.place(exchange.main, request).filled_base

        assert take("first") == size
        assert take("second") == 0
        exchange.on_book(exchange.market.book_snapshot())
        assert take("third") == size
