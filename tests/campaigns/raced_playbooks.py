"""Two playbooks at once: one works, the other waits for it, or is refused and says by whom.

    python -m tests.campaigns.raced_playbooks --total 100        (what `make raced` runs, on a converged embedded VPS)

Two plays are drawn, cheap ones more often, and the second starts at a random moment of the first. At least one of them
must end well. The other must end well too, in its turn, or say which run holds the lock. Afterwards every bot is well
and there once, its books are its exchange's, nothing half-written and no lock is left, and the inventory's state can
be reached.
"""

import argparse
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.campaigns import record
from tests.campaigns.still_whole import NEW_BOT, gone_again, not_whole, seen
from tests.vps.machine import HANGS_S, INVENTORY, ROOT, PlaybookRun, Vps, run_playbook

COPY = ROOT / "build" / "inventory_raced"
RESULT = ROOT / "build" / "campaigns" / "raced_playbooks.jsonl"
SEED = 20_261_201
CHECKED_EVERY = 10
"""After every tenth race `site.yml --check` must run through as well."""

_HELD = re.compile(r"(?P<what>[\w., ]+?) of [^ ]+(?: VPS)?, since \d+ s holds this VPS")
_WAITED = re.compile(r"wait(?:ing|ed) for [\w., ]+ of [^ ]+(?: VPS)?, since \d+ s")


@dataclass(frozen=True)
class Play:
    """A playbook that changes the VPS."""

    takes_s: float
    """About."""

    holds: str
    """As what it holds the lock."""

    words: str = ""
    """What it is given."""


PLAYS = {
    "backup.yml": Play(20.0, "a backup"),
    "control.yml": Play(
        20.0, "control.yml, restart of bot1", "-e bot=bot1 -e action=restart -e force=true -e reason=race"
    ),
    "add_bot.yml": Play(40.0, "add_bot.yml", f"-e bot={NEW_BOT} -e variant=d"),
    "rollback.yml": Play(70.0, "a rollback of bot1", "-e bot=bot1 -e soak=5"),
    "site.yml": Play(70.0, "site.yml"),
    "update.yml": Play(90.0, "update.yml", "-e soak=5 --limit bot2"),
}
PAIRS = list(itertools.combinations_with_replacement(PLAYS, 2))


@dataclass(frozen=True)
class Race:
    """Two playbooks started at about the same time, and what came of it."""

    number: int
    plays: tuple[str, str]
    after_s: float
    """When the second one started."""

    codes: tuple[int, int]
    took_s: tuple[float, float]
    waited: bool
    """Whether one of them said that it waited."""

    refused: str
    """By whom the one that was refused was told to wait."""

    fault: str
    """Empty when all held."""

    commit: str
    at: str


def inventory_with(amount: int) -> None:
    """A copy of the demo's inventory whose bots have another amount, so that there is something to update."""
    shutil.rmtree(COPY, ignore_errors=True)
    shutil.copytree(INVENTORY, COPY, symlinks=True)
    with (COPY / "group_vars" / "bots.yml").open("a", encoding="utf-8") as file:
        file.write(f"bot_total_amount_quote: {amount}\n")


@contextmanager
def started(play: str) -> Iterator[Callable[[], PlaybookRun]]:
    """Start a playbook; gives what waits for its end."""
    command = ["ansible-playbook", "-i", str(COPY), str(ROOT / play), *PLAYS[play].words.split()]
    with (
        tempfile.TemporaryFile("w+") as output,
        subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "ANSIBLE_NOCOLOR": "1"}, stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT,
        ) as process,
    ):  # fmt: skip

        def end() -> PlaybookRun:
            code = process.wait(timeout=HANGS_S)
            output.seek(0)
            return PlaybookRun(code, output.read())

        yield end


def race(plays: tuple[str, str], after_s: float) -> tuple[list[PlaybookRun], list[float]]:
    """Start one play and after so long the other; returns how both ended, and how long each took."""
    began = time.monotonic()
    with started(plays[0]) as first:
        time.sleep(after_s)
        with started(plays[1]) as second:
            runs, took = [first()], [time.monotonic() - began]
            runs.append(second())
            took.append(time.monotonic() - began - after_s)
    return runs, took


def verdict(plays: tuple[str, str], codes: tuple[int, int], said: tuple[str, str]) -> tuple[str, str]:
    """Whom the refused one was told to wait for, and what is wrong with how the two ended; each may be empty."""
    bad = [index for index, code in enumerate(codes) if code != 0]
    if not bad:
        return "", ""
    words = " ".join(said[bad[0]].split())
    held = _HELD.search(words)
    if len(bad) == 2:
        return "", f"neither ended well: {words[-200:]} | {' '.join(said[bad[1]].split())[-200:]}"
    if held is None:
        return "", f"{plays[bad[0]]} failed, and not because of the other: {words[-300:]}"
    other = PLAYS[plays[1 - bad[0]]].holds
    if not held["what"].endswith(other):
        return held["what"].strip(), f"{plays[bad[0]]} was told that {held['what']} holds the VPS; it was {other}"
    return held["what"].strip(), ""


def one(number: int, vps: Vps, say: Callable[[str], None]) -> Race:
    """Race two playbooks, and look what is left."""
    chance = record.drawn_by(SEED + number)
    weights = [1 / (PLAYS[first].takes_s + PLAYS[second].takes_s) ** 2 for first, second in PAIRS]
    drawn = list(chance.choices(PAIRS, weights)[0])
    chance.shuffle(drawn)
    plays = (drawn[0], drawn[1])
    after_s = chance.uniform(0.0, PLAYS[plays[0]].takes_s)
    say(f"{number}: {plays[0]}, and {plays[1]} after {after_s:.1f} s")
    if vps.succeeds(f"test -e /opt/hbot/compose/{NEW_BOT}.yml"):
        vps.remove_bot(NEW_BOT)
    inventory_with(800 + number)
    before = seen(vps, "left")
    runs, took = race(plays, after_s)
    codes, said = (runs[0].code, runs[1].code), (runs[0].output, runs[1].output)
    refused, fault = verdict(plays, codes, said)
    # One that was refused has written the bot's file all the same, and site.yml may have read that.
    added = ("add_bot.yml", 0) in zip(plays, codes, strict=True)
    added = added or ("add_bot.yml" in plays and vps.health(f"hbot-{NEW_BOT}") != "missing")
    faults = [fault] if fault else []
    faults += not_whole(vps, before, adds=added, looks="left")[0]
    if number % CHECKED_EVERY == 0 and (check := run_playbook("site.yml", "--check", inventory=COPY)).code != 0:
        faults.append(f"--check: {check.output[-300:]}")
    if added:
        faults += gone_again(vps, COPY)
    waited = any(_WAITED.search(" ".join(words.split())) for words in said)
    say(f"{number}: codes {codes}, {took[0]:.0f} and {took[1]:.0f} s{', one waited' if waited else ''}")
    return Race(
        number=number,
        plays=plays,
        after_s=round(after_s, 1),
        codes=codes,
        took_s=(round(took[0], 1), round(took[1], 1)),
        waited=waited,
        refused=refused,
        fault=record.on_one_line(faults),
        commit=record.commit(),
        at=record.now(),
    )


def main() -> int:
    """Race until there are so many; goes on where it was stopped. 1: something did not hold."""
    parser = argparse.ArgumentParser(description="two playbooks at once, at random offsets")
    parser.add_argument("--total", type=int, default=100)
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    done = {found["number"]: found for found in record.rows(options.result)}
    vps = Vps()
    vps.run("/opt/hbot/scripts/backup.sh bot1")  # what a rollback goes back to
    for number in range(options.total):
        if number in done and not done[number]["fault"]:
            continue
        done[number] = record.add(options.result, one(number, vps, lambda text: print(text, flush=True)))
        print(f"{number}: {done[number]['fault'] or 'all holds'}", flush=True)
    held = sum(not found["fault"] for found in done.values())
    print(f"{held} of {len(done)} held, {sum(bool(found['refused']) for found in done.values())} by a refusal")
    return 0 if held == len(done) else 1


if __name__ == "__main__":
    sys.exit(main())
