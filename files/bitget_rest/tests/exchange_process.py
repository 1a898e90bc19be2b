"""The paper exchange as a process of its own, playing Bitget over real TLS with real signatures."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitget_rest import ApiKey, Bitget

FILES = Path(__file__).parents[2]
KEY = ApiKey("paper_of-the-test", "secret of the test", "phrase of the test")

CTL = (sys.executable, "-m", "paper_exchange.ctl", "--compact")

_RECORDING = FILES / "market" / "btc-usd-1m-2022-01.csv.gz"
_ROWS = 3000


@dataclass(frozen=True)
class ExchangeProcess:
    """A running exchange."""

    directory: Path
    port: int
    process: subprocess.Popen[str]

    @property
    def url(self) -> str:
        """Where it is, by the exchange's own name."""
        return f"https://api.bitget.com:{self.port}"

    @property
    def ca_file(self) -> Path:
        """Its certificate authority."""
        return self.directory / "tls" / "public" / "ca.pem"

    def client(self, key: ApiKey = KEY) -> Bitget:
        """Signs with the exchange's key unless told otherwise."""
        return Bitget(key, url=self.url, ca_file=self.ca_file, address="127.0.0.1")

    def ctl(self, *arguments: str) -> Any:
        """Ask its control socket."""
        done = subprocess.run(
            [*CTL, "--state-dir", str(self.directory / "state"), *arguments],
            env={**os.environ, "PYTHONPATH": str(FILES)},
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)


@contextmanager
def exchange_process(
    directory: Path, *, key: dict[str, Any] | None = None, **settings: Any
) -> Iterator[ExchangeProcess]:
    """A paper exchange on a free port; ``key`` adds to its credentials, ``settings`` to its configuration."""
    for part in ("state", "tls"):
        (directory / part).mkdir(parents=True)
    with gzip.open(_RECORDING, "rt") as whole:
        (directory / "market.csv").write_text("".join(itertools.islice(whole, _ROWS + 1)))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    credentials = {"api_key": KEY.api_key, "secret_key": KEY.secret_key, "passphrase": KEY.passphrase} | (key or {})
    (directory / "credentials.json").write_text(json.dumps(credentials))
    config = {
        "bot": "bot1",
        "pair": "BTC-USDT",
        "market": {
            "kind": "recorded", "file": str(directory / "market.csv"), "start_offset_s": 60000, "speed": 10
        },
        "start_quote": "150",
        "start_base": "0.0035",
        "maker_fee": "0.001",
        "taker_fee": "0.001",
        "price_precision": 2,
        "quantity_precision": 6,
        "min_trade_quote": "1",
        "state_dir": str(directory / "state"),
        "tls_dir": str(directory / "tls"),
        "credentials": str(directory / "credentials.json"),
        "listen_addresses": ["127.0.0.1"],
        "port": port,
    } | settings  # fmt: skip
    (directory / "config.json").write_text(json.dumps(config))
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "paper_exchange", "--config", str(directory / "config.json")],
            env={**os.environ, "PYTHONPATH": str(FILES)},
            stdout=log,
            stderr=log,
            text=True,
        )
    found = ExchangeProcess(directory, port, process)
    try:
        _wait_until_up(found)
        yield found
    finally:
        process.terminate()
        process.wait(20)


def _wait_until_up(exchange: ExchangeProcess) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            if exchange.ctl("health")["healthy"]:
                return
        except (subprocess.CalledProcessError, KeyError):
            log = (exchange.directory / "log").read_text()
            assert exchange.process.poll() is None, log
            assert time.monotonic() < deadline, log
        time.sleep(0.1)
