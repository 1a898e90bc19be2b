"""Off the market: own orders are cancelled and proven gone, others stay, and what is held is told."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from bitget_rest import UnreachableError
from bitget_rest.tests.exchange_process import ExchangeProcess, exchange_process
from bitget_rest.tests.test_client import cancel_all, place
from golive_gate.leave import Task, leave


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeProcess]:
    with exchange_process(tmp_path_factory.mktemp("market"), start_quote="5000") as running:
        yield running


@pytest.fixture
def exchange(market: ExchangeProcess) -> Iterator[ExchangeProcess]:
    yield market
    market.ctl("fault", "clear")
    cancel_all(market)


TASK = Task.model_validate(
    {
        "password": "none",
        "connector": "bitget",
        "trading_pair": "BTC-USDT",
        "order_id_prefix": "hbot-bot1-",
    }
)


_serial = itertools.count()


def rest(exchange: ExchangeProcess, prefix: str) -> str:
    """An order with an id that was never used."""
    client_id = f"{prefix}{next(_serial)}"
    place(exchange, client_id)
    return client_id


def test_own_orders_are_cancelled_and_others_stay(exchange: ExchangeProcess) -> None:
    own = {rest(exchange, "hbot-bot1-"), rest(exchange, "hbot-bot1-")}
    others = {rest(exchange, "hbot-bot10-"), rest(exchange, "somebody-else")}
    done = leave(TASK, exchange.client(), apart_s=0.5)
    assert set(done["cancelled"]) == own
    assert set(done["others"]) == others
    assert {order.client_id for order in exchange.client().open_orders()} == others


def test_the_inventory_that_is_left_is_told(exchange: ExchangeProcess) -> None:
    done = leave(TASK, exchange.client(), apart_s=0.1)
    assert done["cancelled"] == []
    assert Decimal(done["base"]) == Decimal("0.0035")
    assert Decimal(done["quote"]) == Decimal(5000)
    assert Decimal(done["value_quote"]) == round(Decimal(done["price"]) * Decimal("0.0035"), 2)


def test_a_refused_cancel_is_asked_again(exchange: ExchangeProcess) -> None:
    own = rest(exchange, "hbot-bot1-")
    exchange.ctl("fault", "set", "refuse-cancel", "--count", "2")
    assert leave(TASK, exchange.client(), apart_s=0.5)["cancelled"] == [own]


def test_what_cannot_be_proven_is_not_claimed(exchange: ExchangeProcess) -> None:
    own = rest(exchange, "hbot-bot1-")
    exchange.ctl("fault", "set", "refuse-cancel")
    with pytest.raises(UnreachableError, match=own):
        leave(TASK, exchange.client(), apart_s=0.1, patience_s=2)


def test_an_exchange_that_does_not_answer_proves_nothing(tmp_path: Path) -> None:
    with exchange_process(tmp_path / "gone") as gone:
        client = gone.client()
    with pytest.raises(UnreachableError):
        leave(TASK, client, apart_s=0.1)


def test_without_a_prefix_no_order_is_the_bots(exchange: ExchangeProcess) -> None:
    other = rest(exchange, "somebody-else")
    done = leave(TASK.model_copy(update={"order_id_prefix": ""}), exchange.client(), apart_s=0.1)
    assert (done["cancelled"], done["others"]) == ([], [other])


def test_a_task_shows_no_password() -> None:
    assert "none" not in json.dumps(TASK.model_dump(mode="json"))
