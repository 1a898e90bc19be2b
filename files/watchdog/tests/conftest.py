"""A real bot, the paper exchange, a watchdog, each in a container, and the host's half of the watchdog."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from epp.tests.adapter.conftest import FILES, IMAGE, KEYS, USER, Bot, Exchange, docker, own, wait_for

HOST_SCRIPTS = FILES.parent / "roles" / "host_watchdog" / "files"
PREFIX = "hbot-bot1-"

QUOTING_S = 600.0
"""A bot quotes after 16 s on an idle machine; nothing here is about that."""

SEEN_S = 60.0
"""A look of the test's takes a second on an idle machine; when something happened, the exchange itself says."""

# A quiet bot: wide quotes that rest, so that what takes them away is the watchdog.
CALM: dict[str, Any] = {"total_amount_quote": 2000, "max_sample_jump_pct": 0.5, "max_last_trade_gap_pct": 0.1}


class Host:
    """What the VPS does for its watchdogs, by the very scripts. A thread has systemd's part, which is to start
    ``keep_latched_stopped`` when a latch appears; tests/vps has the real path unit."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for part in ("latches", "containers", "state", "alerts"):
            (root / "watchdog" / part).mkdir(parents=True)
        self._ending = threading.Event()
        self._recorder = subprocess.Popen([HOST_SCRIPTS / "record_containers", root], start_new_session=True)
        self._thread = threading.Thread(target=self._watch_latches, daemon=True)
        self._thread.start()

    def _watch_latches(self) -> None:
        running: dict[str, subprocess.Popen[bytes]] = {}
        while not self._ending.wait(0.2):
            for latch in self.root.glob("watchdog/latches/*/latch.json"):
                bot = latch.parent.name
                if bot not in running or running[bot].poll() is not None:
                    running[bot] = subprocess.Popen([HOST_SCRIPTS / "keep_latched_stopped", self.root, bot])
        for script in running.values():
            script.wait(30)

    def end(self) -> None:
        """End the scripts."""
        for latch in self.root.glob("watchdog/latches/*/latch.json"):
            latch.unlink(missing_ok=True)
        self._ending.set()
        self._thread.join(30)
        os.killpg(self._recorder.pid, signal.SIGTERM)
        self._recorder.wait(10)


class Watchdog:
    """A watchdog in a container beside a bot, as a VPS runs it."""

    def __init__(self, host: Host, bot: Bot, exchange: Exchange, name: str = "", **settings: Any) -> None:
        self.host, self.bot, self.exchange = host, bot, exchange
        self.name = name or bot.container.removeprefix("hbot-")
        self.container = f"hbot-{self.name}-watchdog"
        self.root = host.root / "watchdog"
        self.state = self.root / "state" / self.name
        self.latch = self.root / "latches" / self.name / "latch.json"
        self.config = host.root / f"{self.name}-watchdog"
        for path in (self.state, self.latch.parent, self.root / "alerts" / self.name, self.config):
            path.mkdir(parents=True, exist_ok=True)
        (self.config / "key.json").write_text(json.dumps(KEYS))
        limits = {"max_orders": 8, "unexplained_quote": 5} | settings.pop("limits", {})
        config = {
            "bot": self.name,
            "pair": "BTC-USDT",
            "armed": True,
            "order_id_prefix": PREFIX,
            "limits": limits,
            "heartbeat": "/run/bot/data/epp_v24/*/heartbeat.json",
            "journal": "/run/bot/data/*.sqlite",
            "container": f"/run/containers/{self.name}.json",
            "alerts": "/run/alerts",
            "key": "/etc/watchdog/key.json",
            "ca_file": "/run/paper-ca/ca.pem",
        } | settings
        (self.config / "config.json").write_text(json.dumps(config))
        own(self.config)
        for path in (self.state, self.latch.parent, self.root / "alerts" / self.name):
            own(path)
        docker(
            "run", "-d", "--init", "--name", self.container, "--network", exchange.network,
            "--user", f"{USER}:{USER}", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only",
            "--memory", "64m", "-e", "PYTHONPATH=/opt/watchdog", "-e", "PYTHONDONTWRITEBYTECODE=1",
            "-v", f"{FILES}/watchdog:/opt/watchdog/watchdog:ro", "-v", f"{self.config}:/etc/watchdog:ro",
            "-v", f"{self.state}:/var/lib/watchdog", "-v", f"{self.latch.parent}:/var/lib/watchdog_latch",
            "-v", f"{self.root}/containers:/run/containers:ro", "-v", f"{self.root}/alerts/{self.name}:/run/alerts",
            "-v", f"{bot.root}/data:/run/bot/data:ro", "-v", f"{exchange.root}/tls/public:/run/paper-ca:ro",
            IMAGE, "python", "-m", "watchdog", "run",
        )  # fmt: skip
        wait_for("the watchdog's first pass", lambda: self.status().get("exchange_answered_at"), SEEN_S)

    def status(self) -> dict[str, Any]:
        """What it last said of itself."""
        path = self.state / "status.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def events(self, event: str = "") -> list[dict[str, Any]]:
        """Its journal."""
        path = self.state / "journal.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [line for line in lines if event in ("", line["event"])]

    def say(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The operator's word."""
        return subprocess.run(
            ["docker", "exec", self.container, "python", "-m", "watchdog", *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def remove(self) -> None:
        """Take the container away."""
        docker("rm", "-f", self.container, check=False)


class Stage:
    """All of it together, with orders of two strangers on the same account."""

    def __init__(self, root: Path) -> None:
        self._root = root
        name = f"wd-test-{uuid.uuid4().hex[:8]}"
        self.exchange = Exchange(root / "exchange", name, market={"speed": 1}, maker_fee="0.001")
        self.bot = Bot(root / "bot", self.exchange, **CALM)
        self.bot.container = f"hbot-{name}"
        self.host = Host(root / "hbot")
        self._watchdog: Watchdog | None = None
        self.strangers: set[str] = set()

    def watch(self, **settings: Any) -> None:
        """Put the watchdog there."""
        self._watchdog = Watchdog(self.host, self.bot, self.exchange, **settings)

    @property
    def watchdog(self) -> Watchdog:
        """The watchdog."""
        assert self._watchdog is not None
        return self._watchdog

    def quote(self) -> None:
        """The watchdog is armed and not latched, and the bot quotes."""
        if self.watchdog.latch.exists():
            said = self.watchdog.say("rearm", "--reason", "the next test")
            assert said.returncode == 0, said.stderr
        if not self.bot_runs():
            self.bot.remove()
            self._dismiss_strangers()  # a bot that finds others' orders at its start stops
            self._run_bot()
        wait_for(
            "own orders on both sides", lambda: len({o["side"] for o in self.own_orders()}) == 2 or None, QUOTING_S
        )

    def invite_strangers(self) -> None:
        """Two strangers get an order each on the same account: one whose prefix begins like the bot's.

        A bot that sees them stops by itself: they come when it cannot look any more, or is about to be stopped.
        """
        price = float(self.exchange.request("GET", "/api/v2/spot/market/tickers?symbol=BTCUSDT")["data"][0]["bidPr"])
        order = {"symbol": "BTCUSDT", "side": "buy", "orderType": "limit", "force": "post_only", "size": "0.001"}
        for name in ("hbot-bot10", "by-hand"):
            stranger = f"{name}-{uuid.uuid4().hex[:8]}"
            order |= {"price": f"{price * 0.97:.2f}", "clientOid": stranger}
            answer = self.exchange.request("POST", "/api/v2/spot/trade/place-order", order)
            assert answer["code"] == "00000", answer
            self.strangers.add(stranger)

    def _dismiss_strangers(self) -> None:
        while self.strangers:
            order = {"symbol": "BTCUSDT", "clientOid": self.strangers.pop()}
            self.exchange.request("POST", "/api/v2/spot/trade/cancel-order", order)

    def _run_bot(self) -> None:
        bot = self.bot
        environment = [part for name, value in bot.environment.items() for part in ("-e", f"{name}={value}")]
        docker(
            "run", "-d", "--init", "--name", bot.container, "--network", self.exchange.network,
            "--label", "hbot.mode=paper", "--restart", "unless-stopped", "--stop-timeout", "90",
            *bot.arguments(), *environment, IMAGE, "bash", "-c",
            f"exec hbot start {bot.script} --foreground --password-stdin < /run/hbot/password",
        )  # fmt: skip

    def own_orders(self) -> list[dict[str, Any]]:
        """The bot's open orders, by the exchange itself."""
        return [order for order in self.exchange.orders() if order["clientOid"].startswith(PREFIX)]

    def strangers_untouched(self) -> bool:
        """Whether there are strangers, and the order of every one is open."""
        return bool(self.strangers) and self.strangers <= {order["clientOid"] for order in self.exchange.orders()}

    def off_within(self, seconds: float, since: float | None = None) -> float:
        """Wait until no own order is open; how long after ``since`` (unix time, now if not given) the last one was, by
        the exchange itself."""
        began = time.time() if since is None else since
        wait_for("no own order is open", lambda: not self.own_orders() or None, seconds + SEEN_S, every=0.2)
        ended = [
            int(order["uTime"]) / 1000
            for order in self.exchange.orders(closed=True)
            if order["clientOid"].startswith(PREFIX)
        ]
        took = max(ended, default=began) - began
        assert took <= seconds, f"the last own order was off after {took:.1f} s"
        return max(took, 0.0)

    def stays_off(self, seconds: float) -> None:
        """Look for so long, and see no own order."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.own_orders() == []
            time.sleep(0.5)

    def off_from_here(self, **settings: Any) -> subprocess.CompletedProcess[str]:
        """``watchdog.off`` on this machine, as ``control.yml -e from=controller`` runs it."""
        address = docker(
            "inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", self.exchange.name
        )
        given = {"bot": "bot1", "pair": "BTC-USDT", "order_id_prefix": PREFIX, "key": KEYS, "address": address.strip()}
        given |= {"ca_file": f"{self.exchange.root}/tls/public/ca.pem"} | settings
        return subprocess.run(
            [sys.executable, "-m", "watchdog.off"],
            input=json.dumps(given),
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
            env={"PYTHONPATH": str(FILES), "PATH": os.environ["PATH"]},
        )

    def second_watchdog(self) -> Watchdog:
        """A watchdog with the exchange alone, as on another machine."""
        elsewhere = {"beside_bot": False, "heartbeat": None, "journal": None, "container": None}
        return Watchdog(self.host, self.bot, self.exchange, name=f"{self.exchange.network}-second", **elsewhere)

    def signal_engine(self, name: str) -> None:
        """Send a signal to the bot's engine itself, past the container's init."""
        script = (
            "import os,signal,pathlib\n"
            "for p in pathlib.Path('/proc').glob('[0-9]*/cmdline'):\n"
            "    if b'hummingbot.cli.engine' in p.read_bytes() and int(p.parent.name) != os.getpid():\n"
            f"        os.kill(int(p.parent.name), signal.{name})"
        )
        docker("exec", self.bot.container, "python", "-c", script)

    def trip(self) -> str:
        """The code of the trip that stands."""
        return str((self.watchdog.status()["latched"] or {}).get("code", ""))

    def proved(self) -> bool:
        """Whether the watchdog has proved that the bot is stopped and no order is left."""
        stop = self.watchdog.status()["stop"]
        return bool(stop and stop["stop_proven"] and stop["proved"])

    def bot_runs(self) -> bool:
        """Whether the bot's container runs."""
        return docker("inspect", "-f", "{{.State.Running}}", self.bot.container, check=False).strip() == "true"

    def end(self) -> None:
        """Take everything away."""
        self.host.end()
        if self._watchdog is not None:
            self._watchdog.remove()
        self.bot.remove()
        self.exchange.remove()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage with an armed watchdog. Docker and the image are needed: without them this fails."""
    if shutil.which("docker") is None or not docker("images", "-q", IMAGE, check=False).strip():
        pytest.fail(f"{IMAGE} is not here: make it with `.venv/bin/python -m embedded_vps images`")
    made = Stage(tmp_path_factory.mktemp("stage"))
    try:
        made.watch()
        yield made
    finally:
        made.end()


@pytest.fixture
def quoting(stage: Stage) -> Stage:
    """The stage with a bot that has open orders."""
    stage.quote()
    return stage
