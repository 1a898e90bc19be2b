"""Real Hummingbot in the bot image against the paper exchange, in containers of their own."""

from __future__ import annotations

import base64
import csv
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

IMAGE = "hummingbot/hummingbot:version-2.16.0"
USER = 6420
FILES = Path(__file__).resolve().parents[3]
HOME = "/home/hummingbot"
KEYS = {"api_key": "paper_test", "secret_key": "secret of the test", "passphrase": "pass of the test"}

KEYSTORE = ("conf/.password_verification", "conf/connectors/bitget.yml")

_keystore: dict[str, bytes] = {}
"""Written once: that takes Hummingbot's whole start."""

READY_S = 600.0
"""A bot quotes after 16 s on an idle machine; the tests may share theirs."""


def pytest_configure(config: pytest.Config) -> None:
    """Name the mark: pytest is strict about marks."""
    config.addinivalue_line("markers", "bot_image: needs a Docker engine and the bot image")


def docker(*arguments: str, stdin: str | None = None, check: bool = True, timeout: float = READY_S) -> str:
    """Run one docker command and return its output."""
    done = subprocess.run(
        ["docker", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    if check and done.returncode:
        pytest.fail(f"docker {' '.join(arguments[:6])} …: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def wait_for[T](what: str, look: Callable[[], T | None], timeout: float, every: float = 0.5) -> T:
    """Look again and again until there is something."""
    deadline = time.monotonic() + timeout
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {timeout:.0f} s")
        time.sleep(every)


def rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file, none when it is not there."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


WARM_UP = 600
"""Bars of a market of the test's own that are over when it starts: the candles that a bot wants first."""


def recording(closes: Sequence[float]) -> str:
    """A recording for the paper exchange: a still market for the warm-up, then these closes, one a minute.

    So much is traded in each that every order which is reached is filled.
    """
    lines = ["timestamp,open,high,low,close,volume"]
    before = closes[0]
    for number, close in enumerate([closes[0]] * WARM_UP + list(closes)):
        moment = datetime(2022, 1, 1, tzinfo=UTC) + timedelta(minutes=number)
        stamp = moment.strftime("%Y-%m-%d %H:%M:%S")
        lines.append(f"{stamp},{before:.2f},{max(before, close):.2f},{min(before, close):.2f},{close:.2f},100000000")
        before = close
    return "\n".join(lines) + "\n"


class Exchange:
    """A paper exchange in a container, on an internal network of its own.

    Args:
        root: where its files are.
        name: of network and container.
        bars: closes of the one-minute bars of a market of the test's own, instead of recorded BTC.
        settings: its configuration, where it differs from the usual one.
    """

    def __init__(self, root: Path, name: str, *, bars: Sequence[float] = (), **settings: Any) -> None:
        self.name = f"{name}-exchange"
        self.network = name
        self.root = root
        for part in ("state", "tls", "credentials", "config"):
            (root / part).mkdir(parents=True)
        (root / "credentials/credentials.json").write_text(json.dumps(KEYS))
        market = {
            "kind": "recorded",
            "file": "/opt/market/btc-usd-1m-2022-01.csv.gz",
            "start_offset_s": 86400,
            "speed": 30,
        }
        if bars:
            (root / "config/bars.csv").write_text(recording(bars))
            market |= {"file": "/etc/paper_exchange/bars.csv", "start_offset_s": WARM_UP * 60}
        config = {
            "bot": "bot1",
            "pair": "BTC-USDT",
            "market": market | settings.pop("market", {}),
            "start_quote": "5000",
            "start_base": "0.107",
            # A cheap account quotes near: tests need fills within seconds.
            "maker_fee": "0.0002",
            "taker_fee": "0.001",
            "price_precision": 2,
            "quantity_precision": 6,
            "min_trade_quote": "5",
            "tls_dir": "/var/lib/paper_tls",
        } | settings
        (root / "config/config.json").write_text(json.dumps(config))
        own(root)
        docker("network", "create", "--internal", self.network)
        docker(
            "run", "-d", "--init", "--name", self.name, "--network", self.network,
            "--network-alias", "api.bitget.com", "--network-alias", "ws.bitget.com",
            "--user", f"{USER}:{USER}", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
            "--sysctl", "net.ipv4.ip_unprivileged_port_start=0", "-e", "PYTHONPATH=/opt/paper_exchange",
            "-v", f"{FILES}/paper_exchange:/opt/paper_exchange/paper_exchange:ro",
            "-v", f"{FILES}/market:/opt/market:ro",
            "-v", f"{root}/state:/var/lib/paper_exchange", "-v", f"{root}/tls:/var/lib/paper_tls",
            "-v", f"{root}/credentials:/run/paper_exchange:ro", "-v", f"{root}/config:/etc/paper_exchange:ro",
            IMAGE, "python", "-m", "paper_exchange", "--config", "/etc/paper_exchange/config.json",
        )  # fmt: skip
        try:
            wait_for("the paper exchange", lambda: self.ctl("health", check=False).get("healthy"), READY_S)
        except BaseException:
            self.remove()
            raise

    def ctl(self, *arguments: str, check: bool = True) -> Any:
        """Ask its control socket."""
        out = docker("exec", self.name, "python", "-m", "paper_exchange.ctl", "--compact", *arguments, check=check)
        return json.loads(out) if out.strip() else {}

    def orders(self, *, closed: bool = False) -> list[dict[str, Any]]:
        """Open orders, or all of them."""
        return list(self.ctl("orders", "--limit", "100000", *(["--all"] if closed else [])))

    def fault(self, kind: str, *parameters: str) -> None:
        """Switch a fault on; the parameters are as on the command line."""
        self.ctl("fault", "set", kind, *parameters)

    def behave(self) -> None:
        """Switch all faults off."""
        self.ctl("fault", "clear")

    def fills(self) -> dict[str, dict[str, Any]]:
        """All fills by trade id."""
        return {str(fill["tradeId"]): fill for fill in self.ctl("fills", "--limit", "100000")}

    def request(self, method: str, path: str, body: dict[str, str] | None = None) -> Any:
        """A signed request, as any other holder of the key would send it; returns the answer, a refusal too."""
        payload = json.dumps(body) if body else ""
        stamp = str(int(time.time() * 1000))
        digest = hmac.new(KEYS["secret_key"].encode(), (stamp + method + path + payload).encode(), hashlib.sha256)
        headers = {
            "ACCESS-KEY": KEYS["api_key"],
            "ACCESS-PASSPHRASE": KEYS["passphrase"],
            "ACCESS-TIMESTAMP": stamp,
            "ACCESS-SIGN": base64.b64encode(digest.digest()).decode(),
            "Content-Type": "application/json",
        }
        script = (
            "import http.client,json,ssl,sys;j=json.load(sys.stdin);"
            "c=ssl.create_default_context(cafile='/var/lib/paper_tls/public/ca.pem');"
            "h=http.client.HTTPSConnection('api.bitget.com',context=c);"
            "h.request(j['method'],j['path'],j['body'] or None,j['headers']);"
            "print(h.getresponse().read().decode())"
        )
        given = json.dumps({"path": path, "body": payload, "headers": headers, "method": method})
        return json.loads(docker("exec", "-i", self.name, "python", "-c", script, stdin=given))

    def remove(self) -> None:
        """Take container and network away."""
        docker("rm", "-f", self.name, check=False)
        docker("network", "rm", self.network, check=False)


class Bot:
    """A Hummingbot container with EPP, as a VPS runs it."""

    def __init__(
        self,
        root: Path,
        exchange: Exchange,
        variant: str = "a",
        *,
        mode: str = "paper",
        market_source: str = "recorded",
        environment: dict[str, str] | None = None,
        **parameters: Any,
    ) -> None:
        self.root, self.exchange, self.variant = root, exchange, variant
        self.container = f"{exchange.network}-bot"
        self.environment = {"SSL_CERT_FILE": "/run/paper-ca/ca.pem", "HOME": "/tmp"} | (environment or {})  # noqa: S108 -- in a container of its own
        self.starts = 0
        for part in ("conf/connectors", "conf/strategies", "conf/controllers", "conf/scripts", "logs", "data", "env"):
            (root / part).mkdir(parents=True)
        (root / "env/password").write_text("keystore password\n")
        self.script = f"v2_epp_v2_4_bot_{variant}.yml"
        controller = f"epp_v2_4_bot_{variant}.yml"
        self.write("conf/conf_client.yml", {
            "instance_id": "bot1", "anonymized_metrics_mode": "anonymized_metrics_disabled", "send_error_logs": False,
            "kill_switch_mode": "kill_switch_disabled", "mqtt_bridge": {"mqtt_autostart": False},
        })  # fmt: skip
        self.write(f"conf/scripts/{self.script}", {
            "script_file_name": "epp_v2_4.py", "controllers_config": [controller], "order_id_prefix": "hbot-bot1-",
        })  # fmt: skip
        self.configuration = f"conf/controllers/{controller}"
        self.write(self.configuration, {
            "id": controller.removesuffix(".yml"), "controller_type": "epp.adapter", "controller_name": "epp_v2_4",
            "connector_name": "bitget", "instance_name": "bot1", "variant": variant, "mode": mode,
            "market_source": market_source, "speed": 30 if mode == "paper" else 1,
            "strategy_hash": "0" * 16, "config_hash": "1" * 16,
        } | parameters)  # fmt: skip
        own(root)
        if not _keystore:
            self.keystore()
            _keystore.update({name: (root / name).read_bytes() for name in KEYSTORE})
        for name, content in _keystore.items():
            (root / name).write_bytes(content)
        own(root)

    def write(self, name: str, content: dict[str, Any]) -> None:
        """Write one YAML file of the bot's."""
        (self.root / name).write_text(yaml.safe_dump(content, sort_keys=False))

    def configure(self, **parameters: Any) -> None:
        """Change the configuration; the next start reads it."""
        content = yaml.safe_load((self.root / self.configuration).read_text())
        self.write(self.configuration, content | parameters)

    def keystore(self, **changes: Any) -> dict[str, Any]:
        """Write the keystore as Ansible does."""
        secrets = {"connector": "bitget", "password": "keystore password", "keys": KEYS} | changes
        out = docker(
            "run", "--rm", "-i", "--network", "none", *self.arguments(),
            IMAGE, "python", f"{HOME}/controllers/epp/keystore.py", stdin=json.dumps(secrets), check=False,
        )  # fmt: skip
        return dict(json.loads(out))

    def check(self) -> list[str]:
        """What the configuration check says."""
        out = docker(
            "run", "--rm", "--network", "none", *self.arguments(),
            IMAGE, "python", "-m", "controllers.epp.check", "conf", check=False,
        )  # fmt: skip
        return out.splitlines()

    def arguments(self) -> list[str]:
        """Mounts and user, as on a VPS."""
        mounts = {
            f"{self.root}/conf": f"{HOME}/conf",
            f"{self.root}/logs": f"{HOME}/logs",
            f"{self.root}/data": f"{HOME}/data",
            f"{FILES}/epp": f"{HOME}/controllers/epp:ro",
            f"{FILES}/epp/scripts/epp_v2_4.py": f"{HOME}/scripts/epp_v2_4.py:ro",
            f"{self.root}/env": "/run/hbot:ro",
            f"{self.exchange.root}/tls/public": "/run/paper-ca:ro",
        }
        volumes = [part for source, target in mounts.items() for part in ("-v", f"{source}:{target}")]
        return ["--user", f"{USER}:{USER}", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", *volumes]

    def run(self) -> None:
        """Make the container and start it."""
        self.starts += 1
        environment = [part for name, value in self.environment.items() for part in ("-e", f"{name}={value}")]
        docker(
            "run", "-d", "--init", "--name", self.container, "--network", self.exchange.network,
            "--stop-timeout", "90", *self.arguments(), *environment,
            IMAGE, "bash", "-c", f"exec hbot start {self.script} --foreground --password-stdin < /run/hbot/password",
        )  # fmt: skip

    def start(self) -> None:
        """Start the same container again."""
        self.starts += 1
        docker("start", self.container)

    def kill(self) -> None:
        """kill -9 of everything in the container."""
        docker("kill", "--signal", "KILL", self.container)

    def stop(self) -> int:
        """As `docker stop` does; returns the exit code."""
        docker("stop", self.container)
        return int(docker("inspect", "-f", "{{.State.ExitCode}}", self.container))

    def wait_until_ready(self) -> None:
        """Wait until this start has swept, booked and reconciled."""
        self.wait_for_log("Ready to quote", times=self.starts)

    def ask(self, action: str, reason: str, **more: str) -> Path:
        """Put in what an operator asks of a running bot; returns where the answer will be."""
        name = f"{time.time_ns()}.json"
        path = self.state_directory / "commands" / name
        path.with_suffix(".tmp").write_text(json.dumps({"action": action, "reason": reason} | more))
        path.with_suffix(".tmp").rename(path)
        return self.state_directory / "commands/answered" / name

    def answer(self, path: Path) -> str:
        """Wait for an answer."""
        wait_for("an answer", lambda: path.exists() and not (path.parents[1] / path.name).exists(), 60)
        return str(json.loads(path.read_text())["answer"])

    def request(self, action: str, reason: str, **more: str) -> str:
        """Ask, and wait for the answer."""
        return self.answer(self.ask(action, reason, **more))

    def state(self) -> dict[str, Any]:
        """The engine's state, as saved at the last change."""
        path = self.state_directory / "state_paper.json"
        return dict(json.loads(path.read_text())["body"]["engine"]) if path.exists() else {}

    def health(self) -> str:
        """What the healthcheck says."""
        return docker("exec", self.container, "python", f"{HOME}/controllers/epp/health.py", check=False)

    def book(self, name: str) -> list[dict[str, str]]:
        """Rows of one of the CSV books."""
        return rows(self.root / f"logs/epp_v24/bot1_{self.variant}/{name}.csv")

    def log(self) -> str:
        """Hummingbot's log."""
        return "".join(path.read_text() for path in sorted((self.root / "logs").glob("logs_*.log")))

    @property
    def state_directory(self) -> Path:
        """Where state, kill file and requests are."""
        return self.root / f"data/epp_v24/bot1_{self.variant}"

    def wait_for_log(self, text: str, timeout: float = READY_S, times: int = 1) -> None:
        """Wait until the log has ``text`` so many times."""
        try:
            wait_for(f"log line {text!r}", lambda: self.log().count(text) >= times, timeout)
        except pytest.fail.Exception as missing:
            pytest.fail(f"{missing}\n{docker('logs', self.container, check=False)}\n{self.log()[-6000:]}")

    def remove(self) -> None:
        """Take the container away."""
        docker("rm", "-f", self.container, check=False)


def own(root: Path) -> None:
    """Give a tree to the containers' user."""
    for path in (root, *root.rglob("*")):
        os.chown(path, USER, USER)


@pytest.fixture(scope="session")
def bot_image() -> str:
    """The bot image; a missing one is a failure, not a reason to skip."""
    if shutil.which("docker") is None:
        pytest.fail("no docker here: these tests run the bot image (docker.io and a running dockerd)")
    if not docker("images", "-q", IMAGE, check=False).strip():
        pytest.fail(f"{IMAGE} is not here: make it with `.venv/bin/python -m embedded_vps images`")
    return IMAGE


@pytest.fixture
def make_exchange(bot_image: str, tmp_path: Path) -> Iterator[Callable[..., Exchange]]:
    """Makes paper exchanges that are gone after the test."""
    made: list[Exchange] = []

    def make(**settings: Any) -> Exchange:
        name = f"epp-test-{uuid.uuid4().hex[:8]}"
        made.append(Exchange(tmp_path / name, name, **settings))
        return made[-1]

    yield make
    for exchange in made:
        exchange.remove()


@pytest.fixture
def make_bot(bot_image: str, tmp_path: Path) -> Iterator[Callable[..., Bot]]:
    """Makes bots that are gone after the test."""
    made: list[Bot] = []

    def make(exchange: Exchange, variant: str = "a", **settings: Any) -> Bot:
        made.append(Bot(tmp_path / f"bot-{len(made)}", exchange, variant, **settings))
        return made[-1]

    yield make
    for bot in made:
        bot.remove()
