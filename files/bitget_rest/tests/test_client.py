"""The client on the paper exchange: real TLS, real signatures, Bitget's own shapes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from bitget_rest import ApiKey, Bitget, BitgetError, OpenOrder, UnreachableError
from bitget_rest.tests.exchange_process import KEY, ExchangeProcess, exchange_process


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeProcess]:
    with exchange_process(tmp_path_factory.mktemp("exchange"), start_quote="5000") as running:
        yield running


def place(exchange: ExchangeProcess, client_id: str, under: str = "0.03") -> Decimal:
    """A resting bid so far under the market, sent as any holder of the key would; returns its price."""
    client = exchange.client()
    price = round(client.last_price("BTCUSDT") * (1 - Decimal(under)), 2)
    body = {"symbol": "BTCUSDT", "side": "buy", "orderType": "limit", "force": "post_only"}
    body |= {"price": str(price), "size": "0.0001", "clientOid": client_id}
    while True:
        try:
            client._ask("POST", "/api/v2/spot/trade/place-order", body)
        except BitgetError as error:
            if error.code != "429":
                raise
            time.sleep(0.2)
        else:
            return price


def cancel_all(exchange: ExchangeProcess) -> None:
    client = exchange.client()
    deadline = time.monotonic() + 60
    while orders := client.open_orders("BTCUSDT"):
        assert time.monotonic() < deadline
        for order in orders:
            with contextlib.suppress(BitgetError):  # too many a second, or gone meanwhile: the list decides
                client.cancel(order)


def test_it_reads_the_account_and_the_pair(exchange: ExchangeProcess) -> None:
    client = exchange.client()
    account = client.account()
    assert account.user_id
    assert account.authorities == ("stor", "stow")
    rules = client.rules("BTCUSDT")
    assert (rules.status, rules.min_trade_quote, rules.price_precision, rules.quantity_precision) == (
        "online",
        Decimal(1),
        2,
        6,
    )
    assert client.fees("BTCUSDT") == (Decimal("0.001"), Decimal("0.001"))
    balances = client.balances()
    assert balances["USDT"].total == Decimal(5000)
    assert balances["BTC"].total == Decimal("0.0035")
    assert client.last_price("BTCUSDT") > 10_000
    offset, round_trip = client.clock_offset()
    assert abs(offset) < 1 + round_trip


def test_it_lists_and_cancels_orders(exchange: ExchangeProcess) -> None:
    placed = {place(exchange, "hbot-bot1-1"), place(exchange, "somebody-else")}
    client = exchange.client()
    deadline = time.monotonic() + 10
    while len(orders := client.open_orders("BTCUSDT")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert {order.client_id for order in orders} == {"hbot-bot1-1", "somebody-else"}
    assert {order.price for order in orders} == placed
    assert {(order.side, order.size) for order in orders} == {("buy", Decimal("0.0001"))}
    cancel_all(exchange)


def test_more_orders_than_a_page_are_all_listed(exchange: ExchangeProcess) -> None:
    for number in range(103):
        place(exchange, f"many-{number}")
    client = exchange.client()
    deadline = time.monotonic() + 20
    while len(orders := client.open_orders("BTCUSDT")) < 103:
        assert time.monotonic() < deadline, len(orders)
        time.sleep(0.2)
    assert len({order.order_id for order in orders}) == 103
    cancel_all(exchange)


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (replace(KEY, api_key="bg_another"), "40006"),
        (replace(KEY, secret_key="another"), "40009"),
        (replace(KEY, passphrase="another"), "40012"),
    ],
)
def test_a_wrong_key_is_named_by_the_exchanges_own_code(exchange: ExchangeProcess, key: ApiKey, code: str) -> None:
    with pytest.raises(BitgetError) as refused:
        exchange.client(key).account()
    assert refused.value.code == code
    assert "another" not in str(refused.value)


def test_it_trusts_nobody_but_the_authority_it_is_given(exchange: ExchangeProcess) -> None:
    with pytest.raises(UnreachableError, match="certificate verify failed"):
        Bitget(KEY, url=exchange.url, address="127.0.0.1").account()


def test_it_says_who_answers(exchange: ExchangeProcess) -> None:
    address, authority = exchange.client().certifier()
    assert address == "127.0.0.1"
    assert authority.lower().startswith("paper exchange")


def test_no_answer_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError):
        Bitget(KEY, url="https://api.bitget.com:1", address="127.0.0.1").open_orders()


@pytest.mark.parametrize("status", ["429", "503"])
def test_a_busy_exchange_is_asked_again(exchange: ExchangeProcess, status: str) -> None:
    code = "429" if status == "429" else "40015"
    exchange.ctl("fault", "set", "http-error", f"status={status}", f"code={code}", "message=busy", "--count", "2")
    assert exchange.client().account().user_id


def test_a_refused_cancel_is_not_asked_again(exchange: ExchangeProcess) -> None:
    missing = OpenOrder("1", "x", "BTCUSDT", "buy", Decimal(1), Decimal(1))
    with pytest.raises(BitgetError):
        exchange.client().cancel(missing)


def test_a_key_shows_no_secret() -> None:
    assert "secret of the test" not in repr(KEY)
    assert "phrase" not in repr(KEY)
