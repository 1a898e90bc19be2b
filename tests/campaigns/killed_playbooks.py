"""ansible-playbook killed at random moments: the next run heals what the killed one left.

    python -m tests.campaigns.killed_playbooks --total 30        (what `make killed` runs, on a converged embedded VPS)

The process group of a playbook gets SIGKILL at a moment drawn from its whole length. Then the same command is run again
and must end well. Afterwards every bot is well and there once, its books are its exchange's, nothing half-written and
no secret is left on the way, and the inventory's state is reached: a check finds nothing to change.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.vps.machine import INVENTORY, ROOT, Vps, run_playbook, wait_until

RESULT = ROOT / "build" / "campaigns" / "killed_playbooks.jsonl"
SEED = 20_261_130
LEFT = (
    "cd /opt/hbot/backups; find .change .aside .move -mindepth 1 ! -name '*.lock' 2>/dev/null;"
    " find /opt/hbot -name '*.partial' ! -path '*/data/prometheus/*' 2>/dev/null;"
    " find /root/.ansible/tmp /home/ops/.ansible/tmp -type f 2>/dev/null; true"
)
"""What a finished run leaves none of."""


@dataclass(frozen=True)
class Kill:
    """One playbook killed, and what came of it."""

    number: int
    playbook: str
    after_s: float
    task: str
    """The task that it was in."""

    healed_s: float
    """How long the next run took."""

    fault: str
    """Empty when all held."""

    at: str


def arguments_of(playbook: str, number: int) -> list[str]:
    """What a playbook is run with, so that it has something to do."""
    changed = {"bot_total_amount_quote": 900 + number % 100}
    return {
        "update.yml": ["-e", json.dumps(changed), "-e", "soak=5"],
        "backup.yml": [],
        "rollback.yml": ["-e", "bot=bot1", "-e", "soak=5"],
        "add_bot.yml": ["-e", "bot=bot3", "-e", "variant=d"],
    }[playbook]


PLAYBOOKS: dict[str, float] = {"update.yml": 110.0, "backup.yml": 20.0, "rollback.yml": 60.0, "add_bot.yml": 30.0}
"""Each with about how many seconds it takes."""


def kill(playbook: str, arguments: list[str], inventory: Path, after_s: float) -> str:
    """Start a playbook, kill all of it after so long, and say in which task it was; empty: it had ended."""
    command = ["ansible-playbook", "-i", str(inventory), str(ROOT / playbook), *arguments]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "ANSIBLE_NOCOLOR": "1"}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        process.communicate(timeout=after_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        tasks: list[str] = re.findall(r"^TASK \[(.*)\]", said or "", re.MULTILINE)
        return tasks[-1] if tasks else "before its first task"
    return ""


def fault_of(vps: Vps, inventory: Path, bots: list[str]) -> str:
    """What does not hold after the next run; empty when all does."""
    try:
        wait_until("every bot is healthy", lambda: {vps.health(f"hbot-{bot}") for bot in bots} == {"healthy"}, 240)
        names = vps.run("docker ps --all --format '{{.Names}}'").split()
        twice = {name for name in names if name.startswith("hbot-bot") and names.count(name) > 1}
        assert not twice, f"twice: {twice}"
        wait_until(
            "the books of bot1 are its exchange's",
            lambda: (
                {str(fill["tradeId"]) for fill in vps.exchange("bot1", "fills")}
                == {row["trade_id"] for row in vps.fills_book("bot1")}
            ),
            60,
        )
        left = vps.run(LEFT).split()
        assert not left, f"left behind: {left}"
        check = run_playbook("site.yml", "--check", inventory=inventory)
        assert check.code == 0, f"--check: {check.output[-300:]}"
    except AssertionError as fault:
        return " ".join(str(fault).split())[:300]
    return ""


def one(number: int, vps: Vps, say: Callable[[str], None]) -> Kill:
    """Kill one playbook, heal, look."""
    chance = random.Random(SEED + number)  # noqa: S311 (a seeded sample, no secret)
    playbook = list(PLAYBOOKS)[number % len(PLAYBOOKS)]
    inventory = ROOT / "build" / "inventory_killed"
    shutil.rmtree(inventory, ignore_errors=True)
    shutil.copytree(INVENTORY, inventory, symlinks=True)
    arguments = arguments_of(playbook, number)
    after_s = chance.uniform(2.0, PLAYBOOKS[playbook])
    task = kill(playbook, arguments, inventory, after_s)
    say(f"{number}: {playbook} killed after {after_s:.0f} s in {task or 'nothing: it had ended'}")
    began = time.monotonic()
    again = run_playbook(playbook, *arguments, inventory=inventory)
    healed_s = time.monotonic() - began
    bots = ["bot1", "bot2", *(["bot3"] if playbook == "add_bot.yml" else [])]
    fault = fault_of(vps, inventory, bots) if again.code == 0 else f"again: {' '.join(again.output[-400:].split())}"
    if playbook == "add_bot.yml" and not fault:
        gone = run_playbook("remove_bot.yml", "-e", "bot=bot3", "-e", "confirm=bot3", inventory=inventory)
        fault = "" if gone.code == 0 else f"remove_bot.yml: {gone.output[-300:]}"
        vps.run("rm -rf /opt/hbot/retired/bot3_*")
    return Kill(number, playbook, round(after_s, 1), task, round(healed_s, 1), fault, f"{datetime.now(UTC):%F %T}")


def main() -> int:
    """Kill until there are so many; goes on where it was stopped. 1: something did not hold."""
    parser = argparse.ArgumentParser(description="kill ansible-playbook at random moments")
    parser.add_argument("--total", type=int, default=30)
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    options.result.parent.mkdir(parents=True, exist_ok=True)
    lines = options.result.read_text(encoding="utf-8").splitlines() if options.result.exists() else []
    done = {found["number"]: found for found in map(json.loads, lines)}
    vps = Vps()
    for number in range(options.total):
        if number in done and not done[number]["fault"]:
            continue
        found = one(number, vps, lambda text: print(text, flush=True))
        done[number] = asdict(found)
        with options.result.open("a", encoding="utf-8") as file:
            file.write(json.dumps(done[number]) + "\n")
        print(f"{number}: healed in {found.healed_s} s; {found.fault or 'all holds'}", flush=True)
    bad = [found for found in done.values() if found["fault"]]
    print(f"{len(done) - len(bad)} of {len(done)} healed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
