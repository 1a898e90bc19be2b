"""ccxt, an exchange client that nobody here wrote, unmodified but for its URLs: over TLS, with latency and call limits
as in production."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import ccxt.pro
import pytest

from .conftest import KEY, PASSPHRASE, SECRET
from .test_exchange_durability import Process, change_config

SYMBOL = "BTC/USDT"
START = {"USDT": Decimal(100_000), "BTC": Decimal(2)}


def point_at(client: Any, port: int, ca_file: Path) -> Any:
    """Give a ccxt client other URLs, and the authority that vouches for them."""

    def local(urls: Any) -> Any:
        if isinstance(urls, dict):
            return {name: local(url) for name, url in urls.items()}
        return urls.replace("api.{hostname}", f"localhost:{port}").replace("ws.bitget.com", f"localhost:{port}")

    client.urls["api"] = local(client.urls["api"])
    # The one is for its requests, the other for its streams.
    client.validateServerSsl = str(ca_file)
    client.cafile = str(ca_file)
    return client


def keys(name: str) -> dict[str, str]:
    return {"apiKey": KEY + name, "secret": SECRET + name, "password": PASSPHRASE + name}


@pytest.fixture
def exchange(config_file: Path) -> Iterator[tuple[int, Path]]:
    """A paper exchange as started in production, with two accounts: its port and its certificate authority."""
    credentials = {"api_key": KEY, "secret_key": SECRET, "passphrase": PASSPHRASE}
    other = {"api_key": KEY + "2", "secret_key": SECRET + "2", "passphrase": PASSPHRASE + "2", "account": "second"}
    reader = {"api_key": KEY + "3", "secret_key": SECRET + "3", "passphrase": PASSPHRASE + "3", "authorities": ["stor"]}
    (config_file.parent / "credentials.json").write_text(json.dumps({**credentials, "keys": [other, reader]}))
    change_config(
        config_file,
        start_quote=str(START["USDT"]),
        start_base=str(START["BTC"]),
        accounts=[{"name": "second", "start_quote": "500", "start_base": "0", "fee_tier": "vip1"}],
        host_names=["localhost", "api.bitget.com", "ws.bitget.com"],
        latency_ms=150,
        latency_jitter_ms=100,
        rate_limits=True,
    )
    process = Process(config_file)
    try:
        end = time.monotonic() + 60
        while not process.answers():
            assert time.monotonic() < end, process.log.read_text()
            time.sleep(0.05)
        port = [line["port"] for line in process.lines() if "port" in line][-1]
        yield port, config_file.parent / "tls/public/ca.pem"
    finally:
        process.end(9)  # type: ignore[arg-type]  # a plain number is a signal, too


@pytest.fixture
def client(exchange: tuple[int, Path]) -> Any:
    """ccxt with the bot's own key."""
    return point_at(ccxt.bitget(keys("")), *exchange)


def wait_for(look: Callable[[], Any], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.2)
    return found


def expected(trades: list[dict[str, Any]], start: dict[str, Decimal]) -> dict[str, Decimal]:
    """What an account must hold after its trades."""
    held = dict(start)
    for trade in trades:
        raw = trade["info"]
        sign = 1 if trade["side"] == "buy" else -1
        held["BTC"] += sign * Decimal(raw["size"])
        held["USDT"] -= sign * Decimal(raw["amount"])
        held[raw["feeDetail"]["feeCoin"]] += Decimal(raw["feeDetail"]["totalFee"])
    return held


def totals(balances: dict[str, Any]) -> dict[str, Decimal]:
    """Available and frozen together, to the last digit."""
    return {row["coin"]: Decimal(row["available"]) + Decimal(row["frozen"]) for row in balances["info"]}


def test_markets_book_and_trades_are_read(client: Any) -> None:
    markets = client.load_markets()
    market = markets[SYMBOL]
    assert (market["spot"], market["active"], market["maker"]) == (True, True, 0.001)
    assert (market["precision"]["price"], market["precision"]["amount"]) == (0.01, 0.000001)
    assert market["limits"]["cost"]["min"] == 1
    assert set(client.currencies) >= {"BTC", "USDT"}
    assert abs(client.fetch_time() - time.time() * 1000) < 2000
    book = client.fetch_order_book(SYMBOL, 20)
    assert len(book["bids"]) == len(book["asks"]) == 20
    assert book["bids"][0][0] < book["asks"][0][0]
    ticker = client.fetch_ticker(SYMBOL)
    assert book["bids"][-1][0] < ticker["last"] < book["asks"][-1][0]
    trades = wait_for(lambda: client.fetch_trades(SYMBOL))
    assert {trade["side"] for trade in trades} <= {"buy", "sell"}
    assert all(trade["price"] > 0 for trade in trades)
    candles = client.fetch_ohlcv(SYMBOL, "1m", limit=30)
    assert len(candles) == 30


def test_an_order_is_placed_replaced_listed_and_cancelled(client: Any) -> None:
    bid = client.fetch_order_book(SYMBOL)["bids"][0][0]
    placed = client.create_order(
        SYMBOL, "limit", "buy", 0.01, round(bid * 0.98, 2), {"postOnly": True, "clientOrderId": "first"}
    )
    assert (placed["clientOrderId"], bool(placed["id"])) == ("first", True)
    read = client.fetch_order(placed["id"], SYMBOL)
    assert (read["status"], read["side"], read["amount"], read["filled"]) == ("open", "buy", 0.01, 0)
    assert (read["postOnly"], read["timeInForce"]) == (True, "PO")
    (listed,) = client.fetch_open_orders(SYMBOL)
    assert (listed["id"], listed["price"], listed["amount"]) == (placed["id"], read["price"], 0.01)
    replaced = client.edit_order(placed["id"], SYMBOL, "limit", "buy", 0.02, round(bid * 0.97, 2))
    assert replaced["id"] != placed["id"]
    (listed,) = client.fetch_open_orders(SYMBOL)
    assert (listed["id"], listed["amount"], listed["price"]) == (replaced["id"], 0.02, round(bid * 0.97, 2))
    assert client.fetch_order(placed["id"], SYMBOL)["status"] == "canceled"
    client.cancel_order(replaced["id"], SYMBOL)
    assert client.fetch_open_orders(SYMBOL) == []
    with pytest.raises(ccxt.OrderNotFound):
        client.cancel_order(replaced["id"], SYMBOL)
    history = client.fetch_canceled_and_closed_orders(SYMBOL)
    assert {order["id"] for order in history} == {replaced["id"], placed["id"]}
    assert totals(client.fetch_balance()) == START


def test_batches_are_placed_and_cancelled(client: Any) -> None:
    bid = client.fetch_order_book(SYMBOL)["bids"][0][0]
    orders = [
        {"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": 0.001, "price": round(bid * (0.99 - n / 100), 2)}
        for n in range(3)
    ]
    too_small = {"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": 0.00001, "price": round(bid * 0.99, 2)}
    placed = client.create_orders([*orders, too_small])
    # The client leaves the refused one out.
    ids = [order["id"] for order in placed]
    assert len(ids) == 3
    assert {order["id"] for order in client.fetch_open_orders(SYMBOL)} == set(ids)
    client.cancel_orders(ids[:1], SYMBOL)
    assert {order["id"] for order in client.fetch_open_orders(SYMBOL)} == set(ids[1:])
    client.cancel_all_orders(SYMBOL)
    assert client.fetch_open_orders(SYMBOL) == []
    assert totals(client.fetch_balance()) == START


def test_orders_fill_and_the_balances_add_up(client: Any) -> None:
    book = client.fetch_order_book(SYMBOL)
    client.create_order(SYMBOL, "market", "buy", 0.01, book["asks"][0][0])
    client.create_order(SYMBOL, "market", "sell", 0.02)
    ioc = client.create_order(SYMBOL, "limit", "buy", 0.01, round(book["asks"][0][0] * 1.01, 2), {"timeInForce": "IOC"})
    fok = client.create_order(SYMBOL, "limit", "buy", 0.01, round(book["bids"][0][0] * 0.98, 2), {"timeInForce": "FOK"})
    assert client.fetch_order(fok["id"], SYMBOL)["status"] == "canceled"
    done = client.fetch_order(ioc["id"], SYMBOL)
    assert (done["status"], done["filled"]) == ("closed", 0.01)
    assert done["fee"]["currency"] == "BTC"
    # Two makers near the market, for as long as it takes until one fills.
    resting: list[str] = []

    def made() -> bool:
        client.cancel_all_orders(SYMBOL)
        book = client.fetch_order_book(SYMBOL)
        for side, best in (("buy", book["bids"][0][0]), ("sell", book["asks"][0][0])):
            resting.append(client.create_order(SYMBOL, "limit", side, 0.001, best, {"postOnly": True})["id"])
        time.sleep(2)
        return any(trade["takerOrMaker"] == "maker" for trade in client.fetch_my_trades(SYMBOL))

    wait_for(made, 90)
    client.cancel_all_orders(SYMBOL)
    trades = client.fetch_my_trades(SYMBOL)
    assert {trade["side"] for trade in trades} == {"buy", "sell"}
    assert {trade["takerOrMaker"] for trade in trades} == {"maker", "taker"}
    assert totals(client.fetch_balance()) == expected(trades, START)


def test_accounts_are_apart_and_pay_their_own_tier(client: Any, exchange: tuple[int, Path]) -> None:
    other = point_at(ccxt.bitget(keys("2")), *exchange)
    assert client.fetch_trading_fee(SYMBOL)["taker"] == 0.001
    assert other.fetch_trading_fee(SYMBOL)["taker"] == 0.0006
    bid = client.fetch_order_book(SYMBOL)["bids"][0][0]
    client.create_order(SYMBOL, "limit", "buy", 0.01, round(bid * 0.98, 2), {"clientOrderId": "same"})
    own = other.create_order(SYMBOL, "limit", "buy", 0.001, round(bid * 0.98, 2), {"clientOrderId": "same"})
    assert [order["id"] for order in other.fetch_open_orders(SYMBOL)] == [own["id"]]
    other.create_order(SYMBOL, "market", "buy", 0.005, bid)
    (trade,) = other.fetch_my_trades(SYMBOL)
    fee = Decimal(trade["info"]["feeDetail"]["totalFee"])
    assert fee == -Decimal(trade["info"]["size"]) * Decimal("0.0006")
    assert client.fetch_my_trades(SYMBOL) == []
    with pytest.raises(ccxt.InsufficientFunds):
        other.create_order(SYMBOL, "limit", "buy", 1, round(bid * 0.98, 2))


def test_refusals_are_what_the_client_takes_them_for(client: Any, exchange: tuple[int, Path]) -> None:
    client.load_markets()
    price = round(client.fetch_order_book(SYMBOL)["bids"][0][0] * 0.99, 2)
    with pytest.raises(ccxt.InvalidOrder):
        client.create_order(SYMBOL, "limit", "buy", 0.00001, price)
    with pytest.raises(ccxt.InsufficientFunds):
        client.create_order(SYMBOL, "limit", "sell", 5, round(price * 1.02, 2))
    with pytest.raises(ccxt.AuthenticationError):
        point_at(ccxt.bitget({**keys(""), "secret": "wrong"}), *exchange).fetch_balance()
    with pytest.raises(ccxt.PermissionDenied):
        point_at(ccxt.bitget(keys("3")), *exchange).create_order(SYMBOL, "limit", "buy", 0.01, price)
    hurried = point_at(ccxt.bitget({**keys(""), "enableRateLimit": False}), *exchange)
    hurried.load_markets()
    # Together, because one after the other may take too long for so many in a second.
    with ThreadPoolExecutor(30) as threads, pytest.raises(ccxt.DDoSProtection):
        list(threads.map(lambda _: hurried.fetch_time(), range(200)))


async def test_streams_are_followed_with_their_checksums(exchange: tuple[int, Path]) -> None:
    client = point_at(ccxt.pro.bitget(keys("")), *exchange)
    try:
        book = await asyncio.wait_for(client.watch_order_book(SYMBOL), 60)
        for _ in range(5):
            # Every update is checked against its checksum by the client.
            book = await asyncio.wait_for(client.watch_order_book(SYMBOL), 60)
        assert book["bids"][0][0] < book["asks"][0][0]
        trades = await asyncio.wait_for(client.watch_trades(SYMBOL), 60)
        assert trades[0]["price"] > 0
        ticker = await asyncio.wait_for(client.watch_ticker(SYMBOL), 60)
        assert ticker["last"] > 0
        watching = asyncio.create_task(client.watch_orders(SYMBOL))

        async def until(told: asyncio.Task[Any], act: Callable[[], Awaitable[dict[str, Any]]]) -> set[str]:
            """Act until it is told of: when its subscription has arrived, the client does not say."""
            ids = set()
            for _ in range(20):
                await asyncio.wait([told], timeout=2)
                if told.done():
                    break
                ids.add((await act())["id"])
            return ids

        price = round(book["bids"][0][0] * 0.98, 2)
        placed = await until(watching, lambda: client.create_order(SYMBOL, "limit", "buy", 0.01, price))
        (told, *_) = await asyncio.wait_for(watching, 60)
        assert told["id"] in placed
        assert told["status"] == "open"
        fills = asyncio.create_task(client.watch_my_trades(SYMBOL))
        await until(fills, lambda: client.create_order(SYMBOL, "market", "sell", 0.01))
        (fill, *_) = await asyncio.wait_for(fills, 60)
        assert (fill["side"], fill["amount"]) == ("sell", 0.01)
        balance = await asyncio.wait_for(client.watch_balance(), 60)
        assert balance["USDT"]["total"] > 0
    finally:
        await client.close()
