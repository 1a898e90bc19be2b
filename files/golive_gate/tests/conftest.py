"""A pair of bots that passes the gate."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from bitget_rest.tests.exchange_process import ExchangeProcess, exchange_process
from golive_gate import gate
from golive_gate.account import Look
from golive_gate.books import Evidence
from golive_gate.tests.stage import DAYS, Books, Pair


@pytest.fixture(scope="session")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeProcess]:
    """About 200 USDT, half of it in base: what the books have."""
    directory, key = tmp_path_factory.mktemp("exchange"), {"ips": ["127.0.0.1"]}
    with exchange_process(directory, key=key, start_quote="100", start_base="0.00212") as running:
        yield running


@pytest.fixture(scope="session")
def good_books(tmp_path_factory: pytest.TempPathFactory) -> Books:
    """Fifteen days, 120 round trips, every one a gain."""
    directory = tmp_path_factory.mktemp("data") / "bot1" / "logs" / "epp_v24" / "bot1_a"
    directory.mkdir(parents=True)
    books = Books(directory)
    for _ in range(DAYS):
        books.day_of_trading()
    books.write()
    return books


@pytest.fixture(scope="session")
def good_evidence(exchange: ExchangeProcess, good_books: Books) -> Evidence:
    """What the gate reads in them."""
    return gate.read(Pair(good_books.directory.parents[3], exchange, good_books, good_books.ts).request())


@pytest.fixture(scope="session")
def good_look(exchange: ExchangeProcess, good_books: Books) -> Look:
    """What the exchange tells."""
    return Pair(good_books.directory.parents[3], exchange, good_books, good_books.ts).look()


@pytest.fixture
def pair(
    tmp_path: Path, exchange: ExchangeProcess, good_books: Books, good_evidence: Evidence, good_look: Look
) -> Iterator[Pair]:
    """The pair, with a copy of the books."""
    data = tmp_path / "data"
    shutil.copytree(good_books.directory.parents[3], data)
    found = Pair(data, exchange, good_books, good_books.ts, evidence_of_good_books=good_evidence, good_look=good_look)
    found.settle()
    yield found
    shutil.rmtree(data)
