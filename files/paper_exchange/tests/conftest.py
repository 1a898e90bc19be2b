"""A running exchange, with a client that trusts it and signs like Bitget's."""

import asyncio
import base64
import contextlib
import gzip
import hmac
import itertools
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from paper_exchange.config import Config, read_config, read_credentials
from paper_exchange.server.exchange import Exchange
from paper_exchange.server.run import running

WHOLE_RECORDING = Path(__file__).parents[2] / "market" / "btc-usd-1m-2022-01.csv.gz"
_SLICE_ROWS = 3000
KEY, SECRET, PASSPHRASE = "key-canary", "secret-canary", "phrase-canary"


@pytest.fixture(scope="session")
def recording_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recording's first 50 hours: enough, and read in no time."""
    path = tmp_path_factory.mktemp("market") / "slice.csv"
    with gzip.open(WHOLE_RECORDING, "rt") as whole:
        path.write_text("".join(itertools.islice(whole, _SLICE_ROWS + 1)))
    return path


@pytest.fixture
def config_file(tmp_path: Path, recording_file: Path) -> Path:
    """A configuration on a free port, with everything below a temporary directory."""
    (tmp_path / "state").mkdir()
    (tmp_path / "tls").mkdir()
    credentials = tmp_path / "credentials.json"
    credentials.write_text(json.dumps({"api_key": KEY, "secret_key": SECRET, "passphrase": PASSPHRASE}))
    path = tmp_path / "config.json"
    path.write_text(
        json.dumps(
            {
                "bot": "bot1",
                "pair": "BTC-USDT",
                "market": {"kind": "recorded", "file": str(recording_file), "start_offset_s": 60000, "speed": 10},
                "start_quote": "5000",
                "start_base": "0.1",
                "maker_fee": "0.001",
                "taker_fee": "0.001",
                "price_precision": 2,
                "quantity_precision": 6,
                "min_trade_quote": "1",
                "state_dir": str(tmp_path / "state"),
                "tls_dir": str(tmp_path / "tls"),
                "credentials": str(credentials),
                "latency_ms": 0,
                "latency_jitter_ms": 0,
                "rate_limits": False,
                "listen_addresses": ["127.0.0.1"],
                "port": 0,
            }
        )
    )
    return path


class Here(AbstractResolver):
    """Bitget's names are this machine's."""

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=2, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing to close."""


class Client:
    """A client of one exchange."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self.session = session
        self.rest_url = f"https://api.bitget.com:{port}"
        self.ws_url = f"wss://ws.bitget.com:{port}/v2/ws"

    async def get(self, path: str, **query: object) -> tuple[int, dict[str, Any]]:
        return await self._call("GET", path, {name: str(value) for name, value in query.items()}, None, signed=False)

    async def signed_get(self, path: str, **query: object) -> tuple[int, dict[str, Any]]:
        return await self._call("GET", path, {name: str(value) for name, value in query.items()}, None, signed=True)

    async def signed_post(self, path: str, **body: object) -> tuple[int, dict[str, Any]]:
        return await self._call("POST", path, {}, body, signed=True)

    async def place(self, **changes: object) -> tuple[int, dict[str, Any]]:
        order = {
            "side": "buy",
            "symbol": "BTCUSDT",
            "size": "0.01",
            "orderType": "limit",
            "force": "post_only",
            "clientOid": "c1",
            "price": "40000",
        }
        return await self.signed_post("/api/v2/spot/trade/place-order", **{**order, **changes})

    async def data(self, path: str, **query: object) -> Any:
        status, answer = await self.signed_get(path, **query)
        assert (status, answer["code"]) == (200, "00000"), answer
        return answer["data"]

    def headers(
        self, method: str, path: str, body: str, *, secret: str = SECRET, at: float | None = None
    ) -> dict[str, str]:
        timestamp = str(int((at or time.time()) * 1000))
        return {
            "Content-Type": "application/json",
            "ACCESS-KEY": KEY,
            "ACCESS-TIMESTAMP": timestamp,
            "ACCESS-PASSPHRASE": PASSPHRASE,
            "ACCESS-SIGN": sign(timestamp + method + path + body, secret),
        }

    async def _call(
        self, method: str, path: str, query: dict[str, str], body: dict[str, object] | None, *, signed: bool
    ) -> tuple[int, dict[str, Any]]:
        text = "" if body is None else json.dumps(body)
        signed_path = path + ("?" + urlencode(query) if query else "")
        headers = self.headers(method, signed_path, text) if signed else {}
        async with self.session.request(
            method, self.rest_url + path, params=query, data=text or None, headers=headers
        ) as response:
            return response.status, await response.json()

    def login(self, *, secret: str = SECRET, at: float | None = None) -> dict[str, object]:
        timestamp = str(int(at or time.time()))
        argument = {"apiKey": KEY, "passphrase": PASSPHRASE, "timestamp": timestamp}
        return {"op": "login", "args": [{**argument, "sign": sign(timestamp + "GET/user/verify", secret)}]}


def sign(text: str, secret: str) -> str:
    """Bitget's signature."""
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), "sha256")).decode()


@contextlib.asynccontextmanager
async def up(config: Config) -> AsyncIterator[tuple[Exchange, Client]]:
    """The exchange in this process, and a client."""
    async with running(config, read_credentials(config.credentials)) as (exchange, port):
        context = ssl.create_default_context(cafile=config.tls_dir / "public" / "ca.pem")
        connector = aiohttp.TCPConnector(ssl=context, resolver=Here())
        async with aiohttp.ClientSession(connector=connector) as session:
            yield exchange, Client(session, port)


@pytest.fixture
async def paper(config_file: Path) -> AsyncIterator[tuple[Exchange, Client]]:
    """A running exchange and its client."""
    async with up(read_config(config_file)) as pair:
        yield pair


async def eventually[Value](look: Callable[[], Value], seconds: float = 60) -> Value:
    """Wait until ``look`` returns something true."""
    end = time.monotonic() + seconds
    while not (value := look()):
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.02)
    return value
