"""`make rehearsal`: a bot goes the whole road to live and back, on the demo's VPS, a paper exchange playing Bitget.

The steps are the ones that an operator takes, with the playbooks that an operator runs; each line has the elapsed time
in front. What makes it a rehearsal is the profile of that name, which the demo's machines alone may use, and which
takes no key of Bitget's: docs/golive.md.
"""

import csv
import http.server
import io
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from embedded_vps import engine, layout, played_bitget
from embedded_vps.played_bitget import ctl, on_vps

ROOT = layout.REPOSITORY
DEMO = ROOT / "inventories" / "demo"
INVENTORY = ROOT / "build" / "inventory_rehearsal"
REPLAY = ROOT / "build" / "rehearsal_replay"
LOGS = ROOT / "build" / "rehearsal_logs"
BOT = "walker"
BOOKS = f"/opt/hbot/data/{BOT}/logs/epp_v24/{BOT}_a"
MAXIMUM = 500
START_QUOTE, START_BASE = "400", "0.0085"
EQUITY_FLOOR = 755
RECORDING = "btc-usd-1m-2022-01.csv.gz"
WEEKS = ("2022-01-01", "2022-01-15")
WAIVER = "two weeks of another exchange's January 2022 decide nothing (docs/replay.md)"
WAIVED = ("fees_to_gross", "profit_factor", "trading_pnl", "bootstrap")
WINDOW_ROWS = 3
"""Minute rows from the window's first to two minutes later."""
FIELDS = {"api_key": "api_key", "api_secret": "secret_key", "api_passphrase": "passphrase"}
FIRST_FALL, SECOND_FALL = "-9", "-16"


class RehearsalError(Exception):
    """A step did not come to what it should; the message names it."""


class Receiver(http.server.ThreadingHTTPServer):
    """The operator's phone: takes what Alertmanager sends, on this machine's address in the small internet."""

    def __init__(self) -> None:
        received: list[str] = []
        self.received = received

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                received.extend(alert["labels"]["alertname"] for alert in told["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        super().__init__((str(layout.GATEWAY.v4), 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Rehearsal:
    """One walk."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.bot_key, self.watchdog_key = played_bitget.new_key(), played_bitget.new_key()
        self.replay: subprocess.Popen[bytes] | None = None

    # -- what a step is made of

    def say(self, message: str) -> None:
        """One line of the story."""
        print(f"[{time.monotonic() - self.started:6.1f} s] {message}", flush=True)

    def tell(self, lines: list[str]) -> None:
        """What a program said, set in."""
        for line in lines:
            print(f"             {line}", flush=True)

    def playbook(self, name: str, *words: str, refused: bool = False) -> str:
        """Run a playbook as an operator does; returns what it printed.

        Raises:
            RehearsalError: it ended otherwise than it should.
        """
        shown = " ".join(words).partition(" -e {")[0]
        self.say(f"ansible-playbook {name} {shown}".rstrip())
        command = ["ansible-playbook", "-i", str(INVENTORY), str(ROOT / name), *words]
        environment = os.environ | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        LOGS.mkdir(parents=True, exist_ok=True)
        number = len([*LOGS.iterdir()])
        log = LOGS / f"{number:02}_{Path(name).stem}.log"
        log.write_text(done.stdout + done.stderr)
        if (done.returncode != 0) is not refused:
            raise RehearsalError(
                f"{name} ended with exit code {done.returncode}; the end of {log}:\n{done.stdout[-3000:]}{done.stderr}"
            )
        return done.stdout

    def wait(self, what: str, within_s: float, ready: Callable[[], Any]) -> Any:
        """Return what ``ready`` finds as soon as it finds something.

        Raises:
            RehearsalError: not within the time.
        """
        deadline = time.monotonic() + within_s
        while not (found := ready()):
            if time.monotonic() > deadline:
                raise RehearsalError(f"not within {within_s:.0f} s: {what}")
            time.sleep(1)
        return found

    # -- what is looked at

    def rows(self, book: str) -> list[dict[str, str]]:
        """Rows of one of the bot's books."""
        return [*csv.DictReader(io.StringIO(on_vps("cat", f"{BOOKS}/{book}.csv", check=False)))]

    def newest(self) -> dict[str, str]:
        """The bot's newest minute row; empty before the first."""
        rows = self.rows("minute")
        return rows[-1] if rows else {}

    def orders(self) -> list[dict[str, Any]]:
        """The live account's open orders."""
        return list(ctl("orders", "--account", played_bitget.ACCOUNT) or [])

    def watchdog(self) -> dict[str, Any]:
        """What the bot's watchdog says of itself."""
        said = on_vps("docker", "exec", f"hbot-{BOT}-watchdog", "python", "-m", "watchdog", "status", check=False)
        try:
            return dict(json.loads(said))
        except ValueError:
            return {}

    def proved_stop(self) -> dict[str, Any]:
        """The watchdog's word, once it has proved that no order is left; empty before."""
        said = self.watchdog()
        return said if (said.get("stop") or {}).get("proved") else {}

    def last_transition(self) -> str:
        """The guard's last change of state, from the bot's log."""
        log = on_vps("sh", "-c", f"grep -h 'state: ' /opt/hbot/data/{BOT}/logs/logs_*.log | tail -n 1", check=False)
        return log.partition("state: ")[2]

    # -- the inventory

    def write_inventory(self, receiver: Receiver) -> None:
        """The demo's inventory, with an alert receiver and one more bot."""
        shutil.rmtree(INVENTORY, ignore_errors=True)
        shutil.copytree(DEMO, INVENTORY)
        exchange = {"url": "https://api.bitget.com", "ca_file": played_bitget.CA_FILE}
        bot: dict[str, Any] = {
            "bot_vps": "vps1",
            "bot_mode": "paper",
            "bot_variant": "a",
            "bot_stubs": [],
            "paper_exchange_speed": 1,
            "paper_exchange_start_quote": float(START_QUOTE),
            "paper_exchange_start_base": float(START_BASE),
            "golive_gate_profile": "rehearsal",
            "golive_gate_network": played_bitget.NETWORK,
            "golive_gate_exchange": exchange,
            "golive_gate_addresses": played_bitget.addresses(),
            "golive_gate_max_notional_quote": MAXIMUM,
            "golive_gate_days": 1,
            "golive_gate_replay": "",
            "golive_gate_reports": str(ROOT / "build" / "rehearsal_reports"),
            "golive_gate_waivers": dict.fromkeys(WAIVED, WAIVER),
            "watchdog_armed": True,
            "watchdog_equity_floor_quote": EQUITY_FLOOR,
        }
        self.bot = bot
        self.write_bot()
        vault = {"bot_password": "a password of the rehearsal"}
        vault |= {f"bot_{name}": self.bot_key[key] for name, key in FIELDS.items()}
        vault |= {f"watchdog_{name}": self.watchdog_key[key] for name, key in FIELDS.items()}
        url = f"http://{layout.GATEWAY.v4}:{receiver.server_port}/"
        machine = {
            "monitoring_receivers": [{"name": "phone", "type": "webhook"}],
            "monitoring_receiver_secrets": {"phone": url},
        }
        for host, variables in ((BOT, vault), ("vps1", machine)):
            (INVENTORY / "host_vars" / host).mkdir(parents=True)
            (INVENTORY / "host_vars" / host / "vault.yml").write_text(yaml.safe_dump(variables))

    def write_bot(self) -> None:
        """The bot's own file."""
        (INVENTORY / f"bots/{BOT}.yml").write_text(
            yaml.safe_dump({"bots": {"hosts": {BOT: self.bot}}}, sort_keys=False)
        )

    def converge_monitoring(self) -> None:
        """Only the monitoring: it is all that a receiver changes."""
        playbook = ROOT / "build" / "rehearsal_monitoring.yml"
        play = {"name": "Converge the monitoring", "hosts": "vps", "gather_facts": False, "become": True}
        playbook.write_text(yaml.safe_dump([play | {"roles": [{"role": "hbot.infra.monitoring"}]}], sort_keys=False))
        self.playbook(str(playbook.relative_to(ROOT)))

    # -- the road

    def walk(self) -> None:
        """All of it."""
        receiver, relay = Receiver(), played_bitget.Relay()
        try:
            self.say("the profile is `rehearsal`: the gate's window is 2 minutes in the place of 14 days")
            self.say("the figures of two weeks are a replay's, and its rows say so")
            shutil.rmtree(LOGS, ignore_errors=True)
            self.clean()
            self.write_inventory(receiver)
            self.begin_replay()
            self.on_paper()
            self.prove(receiver, relay)
            self.gather()
            self.go_live()
            self.lose()
            self.back_to_paper()
        finally:
            if self.replay is not None and self.replay.poll() is None:
                self.replay.terminate()
            relay.close()
            receiver.shutdown()
        self.clean()
        shutil.rmtree(INVENTORY, ignore_errors=True)
        minutes = (time.monotonic() - self.started) / 60
        self.say(f"done in {minutes:.1f} minutes; the bot and its exchange are removed again")

    def begin_replay(self) -> None:
        """The weeks that a rehearsal does not have, replayed while the rest goes on."""
        self.say(f"replay two weeks, {WEEKS[0]} to {WEEKS[1]}, with the bot's parameters, beside all that follows")
        shutil.rmtree(REPLAY, ignore_errors=True)
        command = ["nice", "-n", "5", "epp", "replay", f"files/market/{RECORDING}", "--volume-unit", "quote"]
        command += [
            "--quiet",
            "--json",
            "--equity",
            "800",
            "--from",
            WEEKS[0],
            "--to",
            WEEKS[1],
            "--decisions-per-bar",
            "1",
        ]
        with (ROOT / "build" / "rehearsal_replay.json").open("wb") as output:
            self.replay = subprocess.Popen([*command, "--out", str(REPLAY)], cwd=ROOT, stdout=output)

    def on_paper(self) -> None:
        """The bot trades on paper, and what will play Bitget stands ready."""
        self.playbook("add_bot.yml", "-e", f"bot={BOT}", "-e", "variant=a")
        played_bitget.make_network()
        played_bitget.start(BOT, (self.bot_key, self.watchdog_key), START_QUOTE, START_BASE)
        self.say(f"a paper exchange plays Bitget in the network {played_bitget.NETWORK}, which nothing leaves")
        self.say(f"on its account `{played_bitget.ACCOUNT}` are {START_QUOTE} USDT and {START_BASE} BTC")

    def prove(self, receiver: Receiver, relay: played_bitget.Relay) -> None:
        """The four proofs that the gate wants to be fresh."""
        self.converge_monitoring()
        self.playbook("test_alert.yml")
        if "TestAlert" not in receiver.received:
            raise RehearsalError("the test alert is said to have arrived, and did not")
        self.say("the operator's phone got the test alert")
        said = self.playbook("control.yml", *self.control("drill", "before going live"))
        self.tell(quoted(said, "drilled: ", ";"))
        ca_file = ROOT / "build" / "rehearsal_ca.pem"
        ca_file.write_text(played_bitget.authority())
        where = {"url": f"https://api.bitget.com:{relay.port}", "ca_file": str(ca_file), "address": "127.0.0.1"}
        extra = ["-e", "from=controller", "-e", json.dumps({"control_exchange": where})]
        said = self.playbook("control.yml", *self.control("drill", "before going live"), *extra)
        self.tell(quoted(said, f"{BOT}: 1 orders cancelled", "after the start"))
        self.playbook("backup.yml", "-e", f"bot={BOT}")

    @staticmethod
    def control(action: str, reason: str) -> list[str]:
        """Words for control.yml."""
        return ["-e", f"bot={BOT}", "-e", f"action={action}", "-e", f"reason='{reason}'"]

    def gather(self) -> None:
        """Evidence of minutes, and why no earlier minute counts."""
        self.wait("the bot quotes on paper", 180, lambda: self.newest().get("state") == "running")
        container = f"hbot-{BOT}-exchange"
        ctl("fault", "set", "latency", "endpoint=time", "ms=50", container=container)
        ctl("fault", "clear", container=container)
        since = time.time()
        self.say(
            "the paper exchange misbehaves on demand for a moment: what was before counts no more, the window begins"
        )
        assert self.replay is not None  # noqa: S101 (begun before)
        refused = self.playbook("golive.yml", "-e", f"bot={BOT}", refused=True)
        self.tell(re.findall(r"^\d+ of \d+ items stand in the way.*$", refused, re.MULTILINE))
        self.say("waiting for the replay and for the window")
        if self.replay.wait(timeout=300) != 0:
            raise RehearsalError("the replay failed: build/rehearsal_replay.json")
        headline = json.loads((ROOT / "build" / "rehearsal_replay.json").read_text())["headline"]
        self.bot["golive_gate_replay"] = str(REPLAY / headline)
        self.write_bot()
        self.wait("the window", 300, lambda: self.minutes_since(since) >= WINDOW_ROWS)

    def minutes_since(self, since: float) -> int:
        """Minute rows after a moment."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since))
        return sum(row["ts"] > moment for row in self.rows("minute"))

    def go_live(self) -> None:
        """The gate lets it through, and it trades with the money of the exchange that plays Bitget."""
        said = self.playbook("golive.yml", "-e", f"bot={BOT}", "-e", f"confirm={BOT}")
        table = said[said.find("Go-live gate:") :]
        self.tell([line for line in table.splitlines() if line[:4] in ("pass", "WAIV", "-   ", "REHE", "All ")])
        self.wait("live orders", 180, self.orders)
        row = self.wait("a live minute row", 90, lambda: self.newest() if self.newest().get("mode") == "live" else None)
        self.say(f"{len(self.orders())} live orders; the account is worth {self.watchdog().get('equity_quote')} USDT")
        self.say(f"its rows say mode {row['mode']}, market_source {row['market_source']}")

    def lose(self) -> None:
        """The market falls; the guard reduces; it falls further, and the watchdog stops the bot."""
        ctl("fault", "set", "price-jump", f"percent={FIRST_FALL}")
        self.say(f"the market falls by {FIRST_FALL[1:]} %")
        self.wait("the guard", 90, lambda: re.search("to (reduce_only|hard_stop)", self.last_transition()))
        self.say(f"the guard: {self.last_transition()}")
        ctl("fault", "clear", "price-jump")
        ctl("fault", "set", "price-jump", f"percent={SECOND_FALL}")
        self.say(f"by {SECOND_FALL[1:]} % in all: under the watchdog's floor of {EQUITY_FLOOR} USDT")
        stopped = self.wait("the watchdog", 90, self.proved_stop)
        self.say(f"the guard: {self.last_transition()}")
        latched, seconds = stopped["latched"], stopped["stop"]["proved"] - stopped["stop"]["latched"]
        self.say(f"the watchdog: {latched['code']}: {latched['detail']}")
        self.say(f"the bot is stopped and none of its orders is open, proved {seconds:.1f} s after the latch")
        if self.orders():
            raise RehearsalError(f"{len(self.orders())} orders are open after the watchdog's proof")

    def back_to_paper(self) -> None:
        """Off the market, the inventory that is left is told, and on paper again."""
        said = self.playbook("golive.yml", "-e", f"bot={BOT}", "-e", "to=paper")
        self.tell(quoted(said, f"{BOT} is stopped.", "from now on."))
        self.wait("the watchdog, now on paper, has proved it there as well", 60, self.proved_stop)
        self.playbook("control.yml", *self.control("rearm", "the rehearsal goes on on paper"))
        row = self.wait("it trades on paper", 180, self.trades_on_paper)
        self.say(f"on paper again: {row['state']}, mid {row['mid']}, equity {row['equity_quote']}")
        self.say(f"its rows say mode {row['mode']}, market_source {row['market_source']}")

    def trades_on_paper(self) -> dict[str, str]:
        """The newest minute row, if it is of a paper bot that runs; empty otherwise."""
        row = self.newest()
        return row if (row.get("mode"), row.get("state")) == ("paper", "running") else {}

    def clean(self) -> None:
        """Take off what a rehearsal leaves, this one's or one that was interrupted."""
        compose = f"/opt/hbot/compose/{BOT}.yml"
        down = f"test ! -e {compose} || docker compose -p hbot -f {compose} --profile '*' down --timeout 60"
        on_vps("sh", "-c", f"{down}; systemctl disable --now hbot-latch@{BOT}.path; true", check=False)
        paths = [compose, *(f"/opt/hbot/{place}/{BOT}" for place in ("data", "env", "evidence", "golive"))]
        paths += [f"/opt/hbot/env/{BOT}-exchange", f"/opt/hbot/env/{BOT}-watchdog"]
        paths += [f"/opt/hbot/monitoring/targets/bots/{BOT}.json", f"/opt/hbot/watchdog/containers/{BOT}.json"]
        paths += [f"/opt/hbot/watchdog/{place}/{BOT}" for place in ("config", "state", "latches", "alerts")]
        on_vps("rm", "-rf", *paths)
        played_bitget.remove()
        # The compose file for hands must not include a fragment that is gone.
        entry = "/opt/hbot/compose/docker-compose.yml"
        on_vps("sed", "-i", f"/{BOT}.yml/d", entry, check=False)


def quoted(output: str, begin: str, end: str) -> list[str]:
    """What a playbook printed from some words to others, however broken into lines; nothing when it is not there."""
    _, found, rest = " ".join(output.split()).partition(begin)
    said, ended, _ = rest.partition(end)
    return textwrap.wrap(f"{begin}{said}{end}", 105) if found and ended else []


def main() -> int:
    """Walk; 0 when the whole road was walked."""
    watcher = ("docker", "ps", "--quiet", "--filter", "name=hbot-bot2$")
    if engine.state(layout.VPS.container) != "running" or not on_vps(*watcher, check=False):
        print("rehearsal: the demo's VPS is not converged: make demo comes first", file=sys.stderr)
        return 2
    rehearsal = Rehearsal()
    try:
        rehearsal.walk()
    except RehearsalError as error:
        rehearsal.say("it ended here")
        print(f"rehearsal: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("rehearsal: interrupted; run it again, it begins anew and cleans up first", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
