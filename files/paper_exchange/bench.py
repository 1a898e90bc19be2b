"""How fast the exchange answers and what it costs: ``python -m paper_exchange.bench``.

The exchange runs as in production, a process with TLS, signatures and books on the disk, but without its simulated
latency and limits of calls. Bots' traffic comes from this process, over loopback. CPU is the exchange's own, so what
else runs on the machine does not count; times of answers do suffer from it.
"""

import argparse
import asyncio
import base64
import contextlib
import hmac
import json
import os
import resource
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

FILES = Path(__file__).resolve().parents[1]
RECORDING = FILES / "market" / "btc-usd-1m-2022-01.csv.gz"
AIM_CORES = 0.1
"""What 20 bots in normal trading may take of one core."""

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
# A bot in normal trading: so many orders, each cancelled again, in so many seconds.
_ORDERS, _REFRESH_S = 4, 60.0
_CHECKS, _CHECK_EVERY_S = 5, 30


def _keys(number: int) -> dict[str, str]:
    return {"api_key": f"key{number}", "secret_key": f"secret{number}", "passphrase": f"phrase{number}"}


class ExchangeProcess:
    """One exchange with some accounts.

    Args:
        directory: its own.
        accounts: how many.
        speed: market seconds per second.
        upstream: another exchange whose market it relays, in Bitget's place.
    """

    def __init__(self, directory: Path, accounts: int, speed: float, upstream: "ExchangeProcess | None" = None) -> None:
        self.ca_file = directory / "tls/public/ca.pem"
        for part in ("state", "tls"):
            (directory / part).mkdir(parents=True)
        further = [{**_keys(number), "account": f"a{number}"} for number in range(1, accounts)]
        (directory / "credentials.json").write_text(json.dumps({**_keys(0), "keys": further}))
        market: dict[str, object] = {
            "kind": "recorded",
            "file": str(RECORDING),
            "start_offset_s": 86400,
            "speed": speed,
        }
        if upstream is not None:
            market = {
                "kind": "bitget",
                "rest_url": f"https://localhost:{upstream.port}",
                "ws_url": f"wss://localhost:{upstream.port}/v2/ws/public",
                "dns_servers": [],
                "ca_file": str(upstream.ca_file),
            }
        config = {
            "bot": "bench",
            "pair": "BTC-USDT",
            "market": market,
            "start_quote": "1000000",
            "start_base": "10",
            "accounts": [
                {"name": f"a{number}", "start_quote": "1000000", "start_base": "10"} for number in range(1, accounts)
            ],
            "maker_fee": "0.001",
            "taker_fee": "0.001",
            "price_precision": 2,
            "quantity_precision": 6,
            "min_trade_quote": "1",
            "latency_ms": 0,
            "latency_jitter_ms": 0,
            "rate_limits": False,
            "state_dir": str(directory / "state"),
            "tls_dir": str(directory / "tls"),
            "credentials": str(directory / "credentials.json"),
            "host_names": ["localhost"],
            "listen_addresses": ["127.0.0.1"],
            "port": 0,
        }
        (directory / "config.json").write_text(json.dumps(config))
        self._log = directory / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "paper_exchange", "--config", directory / "config.json"],
                env={**os.environ, "PYTHONPATH": str(FILES)},
                stdout=log,
                stderr=log,
            )
        self.port: int = self._wait()

    def _wait(self) -> int:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            for line in self._log.read_text().splitlines():
                if line.startswith("{") and "port" in (told := json.loads(line)):
                    return int(told["port"])
            time.sleep(0.1)
        raise RuntimeError(f"the exchange does not start: {self._log.read_text()[-2000:]}")

    def cpu_s(self) -> float:
        """CPU seconds used so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    def memory_bytes(self) -> int:
        """Resident memory now."""
        return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * _PAGE

    def stop(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)


class BotTraffic:
    """What one bot sends and receives.

    Args:
        exchange: where to.
        number: which account.
    """

    def __init__(self, exchange: ExchangeProcess, number: int) -> None:
        self._keys = _keys(number)
        self._rest = f"https://localhost:{exchange.port}"
        self._stream = f"wss://localhost:{exchange.port}/v2/ws"
        self._ssl = ssl.create_default_context(cafile=exchange.ca_file)
        self._orders = 0
        self.received = 0
        self.answers_s: list[float] = []

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Connected and subscribed as Hummingbot's connector is."""
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self._ssl)) as self._session,
            self._session.ws_connect(f"{self._stream}/public") as public,
            self._session.ws_connect(f"{self._stream}/private") as private,
        ):
            await public.send_json(_subscription(("books", "trade"), "instId", "BTCUSDT"))
            stamp = str(int(time.time()))
            login = {"apiKey": self._keys["api_key"], "passphrase": self._keys["passphrase"], "timestamp": stamp}
            await private.send_json({"op": "login", "args": [login | {"sign": self._sign(stamp + "GET/user/verify")}]})
            await private.receive()
            await private.send_json(_subscription(("fill", "account"), "coin", "default"))
            await private.send_json(_subscription(("orders",), "instId", "BTCUSDT"))
            readers = [asyncio.create_task(self._read(socket)) for socket in (public, private)]
            try:
                yield
            finally:
                for reader in readers:
                    reader.cancel()
                await asyncio.gather(*readers, return_exceptions=True)

    async def hurry(self, end: float) -> None:
        """Place and cancel, one after the other, as fast as it goes."""
        bid = await self._bid()
        while time.monotonic() < end:
            client_id = await self._place(bid, timed=True)
            await self._cancel(client_id)

    async def trade(self, end: float) -> None:
        """Trade as a bot does: quotes that are renewed, a look at time, balances and orders now and then."""
        next_time = next_quotes = time.monotonic()
        resting: list[str] = []
        while (now := time.monotonic()) < end:
            if now >= next_time:
                next_time = now + 10
                await self._call("GET", "/api/v2/public/time", None)
                for client_id in resting:
                    await self._call("GET", f"/api/v2/spot/trade/orderInfo?clientOid={client_id}", None)
            if now >= next_quotes:
                next_quotes = now + _REFRESH_S
                for client_id in resting:
                    await self._cancel(client_id)
                bid = await self._bid()
                resting = [await self._place(bid * (1 - 0.002 * level), timed=True) for level in range(1, _ORDERS + 1)]
                await self._call("GET", "/api/v2/spot/account/assets", None)
            await asyncio.sleep(min(max(min(next_time, next_quotes) - time.monotonic(), 0.01), 1))

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for _ in socket:
            self.received += 1

    async def _bid(self) -> float:
        answer = await self._call("GET", "/api/v2/spot/market/orderbook?symbol=BTCUSDT&limit=1", None)
        return float(answer["data"]["bids"][0][0]) * 0.97

    async def _place(self, price: float, *, timed: bool) -> str:
        self._orders += 1
        client_id = f"{self._keys['api_key']}-{time.time_ns()}-{self._orders}"
        order = {
            "symbol": "BTCUSDT",
            "side": "buy",
            "orderType": "limit",
            "force": "post_only",
            "size": "0.001",
            "price": f"{price:.2f}",
            "clientOid": client_id,
        }
        began = time.monotonic()
        await self._call("POST", "/api/v2/spot/trade/place-order", order)
        if timed:
            self.answers_s.append(time.monotonic() - began)
        return client_id

    async def _cancel(self, client_id: str) -> None:
        await self._call("POST", "/api/v2/spot/trade/cancel-order", {"symbol": "BTCUSDT", "clientOid": client_id})

    async def _call(self, method: str, path: str, body: dict[str, str] | None) -> Any:
        text = "" if body is None else json.dumps(body)
        stamp = str(int(time.time() * 1000))
        headers = {
            "ACCESS-KEY": self._keys["api_key"],
            "ACCESS-PASSPHRASE": self._keys["passphrase"],
            "ACCESS-TIMESTAMP": stamp,
            "ACCESS-SIGN": self._sign(stamp + method + path + text),
            "Content-Type": "application/json",
        }
        async with self._session.request(method, self._rest + path, data=text or None, headers=headers) as response:
            return await response.json()

    def _sign(self, text: str) -> str:
        return base64.b64encode(hmac.digest(self._keys["secret_key"].encode(), text.encode(), "sha256")).decode()


def _subscription(channels: tuple[str, ...], key: str, value: str) -> dict[str, object]:
    return {"op": "subscribe", "args": [{"instType": "SPOT", "channel": channel, key: value} for channel in channels]}


@dataclass(frozen=True, slots=True)
class Throughput:
    """Bots that place and cancel as fast as they can."""

    bots: int
    orders_per_s: float
    median_ms: float
    p99_ms: float
    cores: float


@dataclass(frozen=True, slots=True)
class Cost:
    """Bots in normal trading."""

    what: str
    cores: float
    memory_mb: float
    pushes_per_s: float


@contextlib.contextmanager
def _exchanges(count: int, accounts: int, speed: float, *, relayed: bool = False) -> Iterator[list[ExchangeProcess]]:
    with tempfile.TemporaryDirectory(prefix="paper-exchange-bench-") as directory, contextlib.ExitStack() as stack:
        started = []
        upstream: ExchangeProcess | None = None
        if relayed:
            upstream = ExchangeProcess(Path(directory) / "upstream", 1, speed)
            stack.callback(upstream.stop)
        for number in range(count):
            exchange = ExchangeProcess(Path(directory) / str(number), accounts, speed, upstream)
            stack.callback(exchange.stop)
            started.append(exchange)
        yield started


async def _together(bots: list[BotTraffic], hurried: bool, seconds: float, exchanges: list[ExchangeProcess]) -> float:
    """Let all bots trade; returns the CPU seconds that the exchanges used meanwhile."""
    async with contextlib.AsyncExitStack() as stack:
        for bot in bots:
            await stack.enter_async_context(bot.connected())
        before = sum(exchange.cpu_s() for exchange in exchanges)
        end = time.monotonic() + seconds
        await asyncio.gather(*(bot.hurry(end) if hurried else bot.trade(end) for bot in bots))
        return sum(exchange.cpu_s() for exchange in exchanges) - before


def throughput(count: int, seconds: float) -> Throughput:
    """So many bots in a hurry on one exchange."""
    with _exchanges(1, count, 1) as exchanges:
        bots = [BotTraffic(exchanges[0], number) for number in range(count)]
        cpu_s = asyncio.run(_together(bots, True, seconds, exchanges))
    answers_ms = sorted(answer * 1000 for bot in bots for answer in bot.answers_s)
    p99 = answers_ms[int(len(answers_ms) * 0.99)]
    return Throughput(count, len(answers_ms) / seconds, statistics.median(answers_ms), p99, cpu_s / seconds)


def cost(what: str, exchanges: int, bots_each: int, speed: float, seconds: float, *, relayed: bool = False) -> Cost:
    """Bots in normal trading, on one exchange or on one each."""
    with _exchanges(exchanges, bots_each, speed, relayed=relayed) as started:
        if relayed:
            # The books come a moment after the start.
            time.sleep(5)
        bots = [BotTraffic(exchange, number) for exchange in started for number in range(bots_each)]
        cpu_s = asyncio.run(_together(bots, False, seconds, started))
        memory = sum(exchange.memory_bytes() for exchange in started) / 2**20
    return Cost(what, cpu_s / seconds, memory, sum(bot.received for bot in bots) / seconds)


def health_check_cpu_s() -> float:
    """What one health check of a container takes: it is a process of its own."""
    with _exchanges(1, 1, 1) as exchanges:
        state_dir = exchanges[0].ca_file.parents[2] / "state"
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        for _ in range(_CHECKS):
            command = [sys.executable, "-m", "paper_exchange.ctl", "--state-dir", str(state_dir), "health"]
            subprocess.run(command, env={**os.environ, "PYTHONPATH": str(FILES)}, stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / _CHECKS


def memory_per_account_kb(accounts: int) -> float:
    """What one more account without orders takes."""
    sizes = []
    for count in (1, accounts + 1):
        with _exchanges(1, count, 1) as exchanges:
            sizes.append(exchanges[0].memory_bytes())
    return (sizes[1] - sizes[0]) / accounts / 1024


def main(arguments: list[str] | None = None) -> int:
    """Print all figures as tables, or as JSON; always 0."""
    parser = argparse.ArgumentParser(prog="python -m paper_exchange.bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="per measurement (default: %(default)s)")
    parser.add_argument("--normal-seconds", type=float, default=120, help="of normal trading (default: %(default)s)")
    options = parser.parse_args(arguments)
    print("as fast as it goes, without simulated latency")
    print("| bots | orders/s | median ms | p99 ms | cores |\n|---|---|---|---|---|")
    for bots in (1, 10, 50):
        one = throughput(bots, options.seconds)
        print(
            f"| {one.bots} | {one.orders_per_s:.0f} | {one.median_ms:.1f} | {one.p99_ms:.1f} | {one.cores:.2f} |",
            flush=True,
        )
    print(f"\nmemory per account: {memory_per_account_kb(2000):.1f} KiB (mean of 2,000 without orders)")
    print(f"\n20 bots in normal trading, {_ORDERS} orders a minute each (aim: under {AIM_CORES:g} cores)")
    print("| | cores | memory MiB | pushes/s |\n|---|---|---|---|")
    for what, exchanges, each, speed, relayed in (
        ("one exchange, recorded market at pace 1", 1, 20, 1.0, False),
        ("one exchange, relayed market, 10 trades and book changes a second", 1, 20, 30.0, True),
        ("an exchange each, recorded market at pace 1", 20, 1, 1.0, False),
        ("an exchange each, relayed market, 10 trades and book changes a second", 20, 1, 30.0, True),
    ):
        normal = cost(what, exchanges, each, speed, options.normal_seconds, relayed=relayed)
        print(
            f"| {what} | {normal.cores:.3f} | {normal.memory_mb:.0f} | {normal.pushes_per_s:.0f} |",
            flush=True,
        )
    checks = 20 * health_check_cpu_s() / _CHECK_EVERY_S
    print(f"\nhealth checks of 20 exchanges, every {_CHECK_EVERY_S} s: {checks:.3f} cores")
    return 0


if __name__ == "__main__":
    sys.exit(main())
