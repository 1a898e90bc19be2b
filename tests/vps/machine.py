"""The embedded VPS as its operator sees it: playbooks against it, a shell on it, its containers and books."""

import csv
import io
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import testinfra

from embedded_vps import layout

ROOT = Path(__file__).resolve().parents[2]
KEYS = ROOT / "build" / "embedded_vps"
INVENTORY = ROOT / "inventories" / "demo"
VPS_ADDRESS = str(layout.VPS.v4)
VPS_ADDRESS_V6 = str(layout.VPS.v6)
OPERATOR = "ops"

STANDS_IN = {
    # What a rented VPS finds on the internet, this one finds beside it.
    "hbot_allow_debian": True,
    "host_docker_registry_mirrors": [f"http://{layout.REGISTRY.v4}:5000"],
    "monitoring_cadvisor_image": "cadvisor/cadvisor:v0.49.1",
    "monitoring_probes": [f"http://{layout.REGISTRY.v4}:5000/v2/"],
    "paper_exchange_market": "recorded",
    "paper_exchange_speed": 10,
}
"""Variables for an inventory that is not the demo's."""

TODAY = datetime.now(tz=UTC).toordinal()

HANGS_S = 2700
"""No command takes so long, on the slowest of machines: one that has not ended by then will not end."""


def of_the_day[Case](cases: Sequence[Case]) -> list[Case]:
    """One of the cases, another each day; all of them when `HBOT_FAULTS` is `all`, as `make faults` has it."""
    return list(cases) if os.environ.get("HBOT_FAULTS") == "all" else [cases[TODAY % len(cases)]]


@dataclass(frozen=True, slots=True)
class PlaybookRun:
    """One finished `ansible-playbook`: its exit code and everything it printed."""

    code: int
    output: str

    def changed(self, host: str) -> int:
        """The `changed=` count of `host` in the recap."""
        recap = re.search(rf"^{re.escape(host)}\s+: .*changed=(\d+)", self.output, re.MULTILINE)
        assert recap, f"{host} is in no recap:\n{self.output[-3000:]}"
        return int(recap.group(1))


def run_playbook(name: str, *arguments: str, inventory: Path = INVENTORY, cwd: Path = ROOT) -> PlaybookRun:
    """Run playbook `name` (a path below the project's root, or an FQCN) and return what it said."""
    playbook = str(ROOT / name) if name.endswith(".yml") else name
    result = subprocess.run(
        ["ansible-playbook", "-i", str(inventory), playbook, *arguments],
        cwd=cwd,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=HANGS_S,
        check=False,
    )
    return PlaybookRun(result.returncode, result.stdout)


def embedded_vps(*arguments: str) -> str:
    """Run one command of the embedded VPS and return its output."""
    result = subprocess.run(
        ["python", "-m", "embedded_vps", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        check=False,
    )
    assert result.returncode == 0, f"{arguments} failed:\n{result.stdout}{result.stderr}"
    return result.stdout


def embedded_vps_code(*arguments: str) -> int:
    """Run one command of the embedded VPS and return its exit code."""
    return subprocess.run(
        ["python", "-m", "embedded_vps", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=HANGS_S,
        check=False,
    ).returncode


def wait_until(what: str, condition: Callable[[], bool], timeout_s: float, poll_s: float = 2.0) -> None:
    """Return as soon as `condition` holds; fail the test naming `what` when it does not within `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s: {what}"
        time.sleep(poll_s)


def processes(bot: str) -> str:
    """Words of a shell on the VPS for all that a bot runs; the first, Docker's own init, would stop alone."""
    return f"$(docker top hbot-{bot} -o pid | tail -n +2)"


def cable(bot: str) -> str:
    """Words of a shell on the VPS for its end of a bot's network cable."""
    number = f"$(docker exec hbot-{bot} cat /sys/class/net/eth0/iflink)"
    return f'$(ip -o link | sed -n "s/^{number}: \\([^@:]*\\).*/\\1/p")'


class Vps:
    """The VPS as its operator sees it: over SSH, with sudo."""

    def __init__(self) -> None:
        self.host = testinfra.get_host(
            f"ssh://{OPERATOR}@{VPS_ADDRESS}",
            sudo=True,
            ssh_identity_file=str(KEYS / "id_ed25519"),
            ssh_extra_args=f"-o UserKnownHostsFile={KEYS}/known_hosts -o ConnectTimeout=10",
            controlpersist=0,
        )

    def run(self, command: str) -> str:
        """The output of a shell command that must succeed."""
        result = self.host.run(command)
        assert result.rc == 0, f"{command}\n{result.stdout}{result.stderr}"
        return str(result.stdout)

    def succeeds(self, command: str) -> bool:
        """Whether a shell command succeeds."""
        return bool(self.host.run(command).rc == 0)

    def fetch(self, url: str) -> str:
        """What the VPS itself gets from a URL; empty when nothing answers."""
        program = f"import urllib.request as web; print(web.urlopen('{url}', timeout=5).read().decode(), end='')"
        return str(self.host.run(f'python3 -c "{program}"').stdout)

    def answers(self) -> bool:
        """Whether a fresh SSH login with sudo works right now."""
        try:
            return bool(self.host.run("true").rc == 0)
        except RuntimeError:
            return False

    def container(self, name: str) -> tuple[str, str]:
        """Id and start time of a container: equal before and after means that it is the same one, never restarted."""
        identity, started_at = self.run(f"docker inspect -f '{{{{.Id}}}} {{{{.State.StartedAt}}}}' {name}").split()
        return identity, started_at

    def containers(self) -> dict[str, tuple[str, str]]:
        """Id and start time of every running container."""
        # One look at all of them: the fewer moments between the list and the look, the fewer that are gone by then.
        shown = "{{.Name}} {{.Id}} {{.State.StartedAt}} {{.State.Running}}"
        found = [line.split() for line in self.run(f"docker ps -q | xargs -r docker inspect -f '{shown}'").splitlines()]
        return {name.removeprefix("/"): (one, at) for name, one, at, running in found if running == "true"}

    def others(self, bot: str) -> dict[str, tuple[str, str]]:
        """The same of every running container but those of one bot."""
        return {name: at for name, at in self.containers().items() if bot not in name}

    def until_bots_are_well(self, timeout_s: float) -> None:
        """Wait for bot1 and bot2 to be healthy."""
        containers = ("hbot-bot1", "hbot-bot2")
        wait_until("both bots are well", lambda: {self.health(name) for name in containers} == {"healthy"}, timeout_s)

    def health(self, name: str) -> str:
        """Docker's health word for a container, `missing` when there is none."""
        result = self.host.run(f"docker inspect -f '{{{{.State.Health.Status}}}}' {name}")
        return str(result.stdout).strip() if result.rc == 0 else "missing"

    def exchange(self, bot: str, *arguments: str) -> Any:
        """What the paper exchange of `bot` answers to one `ctl` command."""
        command = " ".join(arguments)
        return json.loads(self.run(f"docker exec hbot-{bot}-exchange python -m paper_exchange.ctl {command}"))

    def fills_book(self, bot: str, variant: str = "a") -> list[dict[str, str]]:
        """The rows of a bot's fills.csv."""
        text = self.run(f"cat /opt/hbot/data/{bot}/logs/epp_v24/{bot}_{variant}/fills.csv")
        return list(csv.DictReader(io.StringIO(text)))

    def has_booked_all(self, bot: str) -> bool:
        """Whether the fills.csv of a bot of variant a is its exchange's: no fill missing, none twice."""
        made = sorted(str(fill["tradeId"]) for fill in self.exchange(bot, "fills"))
        return made == sorted(row["trade_id"] for row in self.fills_book(bot))

    def backed_up(self, bot: str) -> str:
        """Take a snapshot of a bot and return its name."""
        said = self.run(f"/opt/hbot/scripts/backup.sh {bot}")
        return next(line.split(":")[0] for line in said.splitlines() if line.startswith(f"{bot}_"))

    @contextmanager
    def on_a_file_system_of_its_own(self, directory: str, size: str) -> Iterator[str]:
        """Have a directory on a file system in memory meanwhile, whose limits can be set; gives what to remount."""
        place = "/opt/small"
        self.run(
            f"mkdir -p {place} && mount -t tmpfs -o size={size} none {place} && cp -a {directory}/. {place}/ && "
            f"mount --bind {place} {directory}"
        )
        try:
            yield place
        finally:
            self.run(f"umount {directory} && umount {place} && rmdir {place}")

    def remove_bot(self, bot: str) -> None:
        """Take a bot that a test added off the VPS again."""
        compose = f"docker compose -p hbot -f /opt/hbot/compose/{bot}.yml --profile '*'"
        self.run(f"{compose} down --timeout 90 2>&1")
        self.run(f"systemctl disable --now hbot-latch@{bot}.path 2>&1")
        self.run(f"rm -rf /opt/hbot/watchdog/*/{bot} /opt/hbot/watchdog/*/{bot}.json /opt/hbot/env/{bot}-watchdog")
        self.run(f"rm -f /opt/hbot/monitoring/targets/bots/{bot}.json")
        self.run(
            f"rm -rf /opt/hbot/compose/{bot}.yml /opt/hbot/data/{bot} /opt/hbot/env/{bot} /opt/hbot/env/{bot}-exchange"
        )
        run = run_playbook("site.yml", "--limit", "vps1")  # takes it out of the compose file for hands
        assert run.code == 0, run.output
