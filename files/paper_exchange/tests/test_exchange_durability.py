"""The exchange as a process: killed without warning, stopped politely, refused, asked through its control socket."""

import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from paper_exchange import ctl
from paper_exchange.matching import Status
from paper_exchange.server.books import Books

from .conftest import PASSPHRASE, SECRET, Client, Here, eventually

FILES = Path(__file__).parents[2]


class Process:
    """The exchange as started in production."""

    def __init__(self, config_file: Path) -> None:
        self.state_dir = config_file.parent / "state"
        self.log = config_file.parent / "log"
        self.log.touch()
        self._lines_before = len(self.lines())
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "paper_exchange", "--config", config_file],
                env={**os.environ, "PYTHONPATH": str(FILES)},
                stdout=log,
                stderr=log,
            )

    def lines(self) -> list[dict[str, Any]]:
        """What it logged, from all its lives."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def answers(self) -> bool:
        """Whether it says that it listens."""
        return any("port" in line for line in self.lines()[self._lines_before :])

    def end(self, number: signal.Signals) -> int:
        """Send a signal; returns the exit code."""
        self._process.send_signal(number)
        return self._process.wait(60)


@contextlib.asynccontextmanager
async def started(config_file: Path) -> AsyncIterator[tuple[Process, Client]]:
    """A process that answers, and a client; killed at the end if it still lives."""
    process = Process(config_file)
    try:
        await eventually(process.answers)
        port = [line["port"] for line in process.lines() if "port" in line][-1]
        context = ssl.create_default_context(cafile=config_file.parent / "tls" / "public" / "ca.pem")
        connector = aiohttp.TCPConnector(ssl=context, resolver=Here())
        async with aiohttp.ClientSession(connector=connector) as session:
            yield process, Client(session, port)
    finally:
        if process._process.poll() is None:
            process.end(signal.SIGKILL)


def change_config(config_file: Path, **changes: object) -> None:
    config_file.write_text(json.dumps({**json.loads(config_file.read_text()), **changes}))


async def test_killed_at_any_moment_it_loses_and_doubles_nothing(config_file: Path) -> None:
    """Place, cancel and be filled as fast as it goes; kill; compare what was acknowledged with what is there."""
    chance = random.Random(7)  # noqa: S311 - no secret
    change_config(config_file, start_quote="100000", start_base="2")
    acknowledged: dict[str, str] = {}
    seen_fills: dict[str, dict[str, Any]] = {}

    async def trade(client: Client, life: int) -> None:
        number = 0
        while True:
            number += 1
            client_id = f"l{life}n{number}"
            _, answer = await client.get("/api/v2/spot/market/tickers", symbol="BTCUSDT")
            last = Decimal(answer["data"][0]["lastPr"])
            side = chance.choice(["buy", "sell"])
            away = Decimal(chance.randrange(1, 8)) / 10000 * (-1 if side == "buy" else 1)
            price = (last * (1 + away)).quantize(Decimal("0.01"))
            _, answer = await client.place(clientOid=client_id, side=side, price=str(price), size="0.0005")
            assert answer["code"] == "00000", answer
            acknowledged[client_id] = "placed"
            for fill in await client.data("/api/v2/spot/trade/fills", symbol="BTCUSDT"):
                assert seen_fills.setdefault(fill["tradeId"], fill) == fill
            if chance.random() < 0.7:
                _, answer = await client.signed_post(
                    "/api/v2/spot/trade/cancel-order", symbol="BTCUSDT", clientOid=client_id
                )
                if answer["code"] == "00000":
                    acknowledged[client_id] = "cancelled"

    for life in range(4):
        async with started(config_file) as (process, client):
            task = asyncio.create_task(trade(client, life))
            before = len(acknowledged)
            await asyncio.sleep(chance.uniform(0.8, 2.0))
            await eventually(lambda: task.done() or len(acknowledged) > before + 5)  # noqa: B023 -- awaited here
            process.end(signal.SIGKILL)
            with contextlib.suppress(aiohttp.ClientError, asyncio.CancelledError):
                task.cancel()
                await task
    books = Books(config_file.parent / "state" / "books.sqlite", "BTC-USDT", {}, 0)
    assert len(acknowledged) > 20
    for client_id, state in acknowledged.items():
        order = books.order("main", client_id=client_id)
        assert order is not None, f"{client_id} is lost"
        if state == "cancelled":
            assert order.status is Status.CANCELLED
    fills = {str(fill.trade_id): fill for fill in books.fills("main", limit=100_000)}
    assert seen_fills.keys() <= fills.keys()
    # Every fill is in the balances exactly once.
    base, quote = Decimal(2), Decimal(100000)
    for fill in fills.values():
        sign = 1 if fill.side == "buy" else -1
        base += sign * fill.base - (fill.fee if fill.fee_coin == "BTC" else 0)
        quote -= sign * fill.quote + (fill.fee if fill.fee_coin == "USDT" else 0)
    balances = books.opening("main").balances
    assert (balances["BTC"].total, balances["USDT"].total) == (base, quote)
    books.close()


async def test_a_polite_stop_is_clean(config_file: Path) -> None:
    async with started(config_file) as (process, client):
        socket = await client.session.ws_connect(client.ws_url + "/public")
        assert process.end(signal.SIGTERM) == 0
        assert (await socket.receive()).data == aiohttp.WSCloseCode.GOING_AWAY
    messages = [line["message"] for line in process.lines()]
    assert "market recorded at 10.0x (synthetic book: yes)" in " ".join(messages)
    assert messages[-1] == "stopped"


async def test_the_control_client(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def ask(process: Process, *arguments: str) -> Any:
        code = await asyncio.to_thread(ctl.main, ["--state-dir", str(process.state_dir), *arguments])
        return code, json.loads(capsys.readouterr().out)

    async with started(config_file) as (process, client):
        await client.place(clientOid="c1")
        code, answer = await ask(process, "health")
        assert (code, answer["healthy"], answer["sockets"]) == (0, True, {"public": 0, "private": 0})
        assert (await ask(process, "market"))[1]["book"] == "synthetic"
        assert (await ask(process, "account"))[1]["open_orders"] == 1
        assert [order["clientOid"] for order in (await ask(process, "orders"))[1]] == ["c1"]
        assert (await ask(process, "fills"))[1] == []
        assert "refuse-cancel" in (await ask(process, "fault", "kinds"))[1]
        code, answer = await ask(process, "fault", "set", "refuse-cancel", "code=40010", "--count", "2")
        assert (code, answer[0]["kind"], answer[0]["left"]) == (0, "refuse-cancel", 2)
        assert len((await ask(process, "fault", "list"))[1]) == 1
        assert (await ask(process, "fault", "clear"))[1] == []
        assert (await ask(process, "fault", "drop-sockets"))[1] == {"dropped": 0}
        code, answer = await ask(process, "fault", "set", "no-such-fault")
        assert code == 1
        assert "refuse-cancel" in answer["error"]
        code, answer = await ask(process, "fault", "set", "latency", "ms=soon")
        assert (code, "ms must be a whole number" in answer["error"]) == (1, True)
    code, answer = await ask(process, "health")
    assert code == 3
    with pytest.raises(SystemExit) as wrong:
        ctl.main(["fault", "set", "latency", "ms"])
    assert wrong.value.code == 2


def started_in_vain(config_file: Path) -> str:
    """What a refused configuration says."""
    result = subprocess.run(
        [sys.executable, "-m", "paper_exchange", "--config", config_file],
        env={**os.environ, "PYTHONPATH": str(FILES)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2, result.stdout
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"pair": "BTCUSDT"}, "pair"),
        ({"maker_fee": "1"}, "maker_fee"),
        ({"start_quote": "-1"}, "start_quote"),
        ({"spread": 1}, "spread: is not a setting"),
        ({"market": {"kind": "live"}}, "market"),
        ({"market": {"kind": "recorded", "file": "/nowhere.csv.gz"}}, "market.file"),
        ({"market": {"kind": "recorded", "file": "x", "speed": 1000}}, "market.recorded.speed"),
        ({"credentials": "/nowhere.json"}, "/nowhere.json"),
        ({"state_dir": "/proc/nowhere"}, "state_dir"),
        ({"tls_dir": "/proc/nowhere"}, "tls_dir"),
        ({"listen_addresses": ["192.0.2.1"]}, "192.0.2.1"),
    ],
)
def test_bad_configuration_is_refused_with_its_key(config_file: Path, changes: dict[str, object], key: str) -> None:
    change_config(config_file, **changes)
    assert key in started_in_vain(config_file)


def test_missing_keys_and_no_json_are_refused(config_file: Path) -> None:
    config = json.loads(config_file.read_text())
    del config["start_quote"]
    config_file.write_text(json.dumps(config))
    assert f"{config_file}: start_quote: is missing: set it" in started_in_vain(config_file)
    config_file.write_text("{")
    assert "is not JSON" in started_in_vain(config_file)


def test_an_offset_beyond_the_recording_is_refused(config_file: Path) -> None:
    market = json.loads(config_file.read_text())["market"]
    change_config(config_file, market={**market, "start_offset_s": 1e9})
    assert "market.start_offset_s" in started_in_vain(config_file)


def test_damaged_books_are_refused(config_file: Path) -> None:
    (config_file.parent / "state" / "books.sqlite").write_bytes(b"no books" * 1000)
    assert "books.sqlite" in started_in_vain(config_file)


async def test_books_of_another_pair_and_a_second_process_are_refused(config_file: Path) -> None:
    async with started(config_file):
        assert "in use" in started_in_vain(config_file)
    change_config(config_file, pair="ETH-USDT")
    assert "kept for BTC-USDT" in started_in_vain(config_file)


async def test_no_secret_is_logged(config_file: Path) -> None:
    async with started(config_file) as (process, client):
        await client.place()
        socket = await client.session.ws_connect(client.ws_url + "/private")
        await socket.send_json(client.login())
        await socket.receive()
        await socket.send_json(client.login(secret="wrong"))
        await socket.receive()
        await eventually(lambda: len(process.lines()) > 4)
        process.end(signal.SIGTERM)
    text = json.dumps(process.lines())
    assert SECRET not in text
    assert PASSPHRASE not in text


def test_no_secret_is_in_a_refusal(config_file: Path) -> None:
    for content in (json.dumps({"secret_key": SECRET, "note": SECRET}), SECRET, f'{{"secret_key": {SECRET}}}'):
        (config_file.parent / "credentials.json").write_text(content)
        assert SECRET not in started_in_vain(config_file)


_VERSION_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE balances (coin TEXT PRIMARY KEY, available TEXT NOT NULL, frozen TEXT NOT NULL) STRICT;
CREATE TABLE orders (
    order_id INTEGER PRIMARY KEY, client_id TEXT NOT NULL UNIQUE, side TEXT NOT NULL, order_type TEXT NOT NULL,
    force TEXT NOT NULL, price TEXT, size TEXT NOT NULL, filled_base TEXT NOT NULL, filled_quote TEXT NOT NULL,
    status TEXT NOT NULL, cancel_reason TEXT NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX open_orders ON orders (order_id) WHERE status IN ('live', 'partially_filled');
CREATE INDEX orders_by_time ON orders (created_ms);
CREATE TABLE fills (
    trade_id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL REFERENCES orders, client_id TEXT NOT NULL,
    side TEXT NOT NULL, order_type TEXT NOT NULL, price TEXT NOT NULL, base TEXT NOT NULL, quote TEXT NOT NULL,
    fee TEXT NOT NULL, fee_coin TEXT NOT NULL, is_maker INTEGER NOT NULL, time_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX fills_by_order ON fills (order_id);
CREATE INDEX fills_by_time ON fills (time_ms);
INSERT INTO meta VALUES ('schema_version', '1'), ('pair', '"BTC-USDT"'), ('created_ms', '1700000000000');
INSERT INTO balances VALUES ('BTC', '0.109', '0'), ('USDT', '3000.5', '400');
INSERT INTO orders VALUES (7, 'rests', 'buy', 'limit', 'post_only', '40000', '0.01', '0', '0', 'live', '', 5, 5),
    (6, 'filled', 'buy', 'limit', 'post_only', '41000', '0.01', '0.01', '410', 'filled', '', 4, 5);
INSERT INTO fills VALUES (9, 6, 'filled', 'buy', 'limit', '41000', '0.01', '410', '0.00001', 'BTC', 1, 5);
"""


async def test_books_of_the_older_version_are_brought_up_to_date(config_file: Path) -> None:
    path = config_file.parent / "state" / "books.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as old:
        old.executescript(_VERSION_1)
    for _ in range(2):
        async with started(config_file) as (process, client):
            (order,) = await client.data("/api/v2/spot/trade/unfilled-orders")
            (fill,) = await client.data("/api/v2/spot/trade/fills", symbol="BTCUSDT")
            assets = {row["coin"]: row for row in await client.data("/api/v2/spot/account/assets")}
            process.end(signal.SIGTERM)
        assert (order["clientOid"], fill["tradeId"], fill["feeDetail"]["totalFee"]) == ("rests", "9", "-0.00001")
        assert (assets["USDT"]["available"], assets["USDT"]["frozen"]) == ("3000.5", "400")


async def test_a_scenario_plays_from_the_start_and_by_command(
    config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def ask(process: Process, *arguments: str) -> Any:
        code = await asyncio.to_thread(ctl.main, ["--state-dir", str(process.state_dir), *arguments])
        return code, json.loads(capsys.readouterr().out)

    change_config(config_file, scenario=[{"at": 0, "fault": "latency", "parameters": {"ms": 10}, "seconds": 60}])
    script = tmp_path / "scenario.json"
    async with started(config_file) as (process, _):
        assert (await ask(process, "fault", "list"))[1][0]["kind"] == "latency"
        steps = [{"at": 0.2, "clear": "all"}, {"at": 0, "fault": "stale-book"}, {"at": 900, "drop_sockets": "all"}]
        script.write_text(json.dumps(steps))
        code, answer = await ask(process, "scenario", "play", str(script))
        assert (code, answer["playing"], answer["steps"]) == (0, True, 3)
        await asyncio.sleep(0.6)
        assert (await ask(process, "fault", "list"))[1] == []
        _, answer = await ask(process, "scenario", "status")
        assert (answer["done"], answer["next"]["drop_sockets"]) == (2, "all")
        assert (await ask(process, "scenario", "stop"))[1]["playing"] is False
        for wrong in ([{"at": 0, "fault": "nonsense"}], [{"at": 0}], [{"at": 0, "clear": "all", "seconds": 1}]):
            script.write_text(json.dumps(wrong))
            code, answer = await ask(process, "scenario", "play", str(script))
            assert (code, "error" in answer) == (1, True)
        assert (await ask(process, "scenario", "play", "/nowhere.json"))[0] == 2
        assert (await ask(process, "accounts"))[1] == ["main"]
        assert (await ask(process, "account", "--account", "other"))[0] == 1


async def test_that_it_misbehaved_is_known_after_a_restart(
    config_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def ask(process: Process, *arguments: str) -> Any:
        await asyncio.to_thread(ctl.main, ["--state-dir", str(process.state_dir), *arguments])
        return json.loads(capsys.readouterr().out)

    async with started(config_file) as (process, _):
        assert (await ask(process, "market"))["misbehaved_ms"] is None
        before = time.time() * 1000
        await ask(process, "fault", "set", "stale-book", "--count", "1")
        await ask(process, "fault", "clear")
    async with started(config_file) as (process, _):
        assert before - 1 <= (await ask(process, "market"))["misbehaved_ms"] <= time.time() * 1000


async def test_time_without_an_exchange_is_a_gap(config_file: Path) -> None:
    async with started(config_file) as (process, _):
        process.end(signal.SIGKILL)
    path = config_file.parent / "state" / "books.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as books, books:
        (watched,) = books.execute("SELECT value FROM meta WHERE key = 'watched_ms'").fetchone()
        books.execute("UPDATE meta SET value = ? WHERE key = 'watched_ms'", (str(int(watched) - 600_000),))
    async with started(config_file) as (process, client):
        _, answer = await client.get("/api/v2/paper/market")
        assert (answer["data"]["gaps"], answer["data"]["gap_s"] >= 600) == (1, True)
        code = await asyncio.to_thread(ctl.main, ["--state-dir", str(process.state_dir), "gaps"])
        assert code == 0
