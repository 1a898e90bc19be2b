"""A day of three bots with faults at random: at its end their books are their exchanges', and nothing is half-done.

    python -m tests.campaigns.soak --hours 24        (what `make soak` runs, on a converged embedded VPS)

Two bots that trade and one that watches run on the recorded market. After every few minutes of peace something happens
to a bot, an exchange, Docker, the machine, or an operator does something. After each the bots must be healthy again,
and every fill that the exchange made be in the bot's book, once. Fills come by themselves and by jumps of the market.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.campaigns import record
from tests.campaigns.still_whole import left_behind, traces
from tests.vps.machine import INVENTORY, ROOT, Vps, cable, embedded_vps, processes, run_playbook, wait_until

COPY = ROOT / "build" / "inventory_soak"
RESULT = ROOT / "build" / "campaigns" / "soak.jsonl"
SEED = 20_261_130
WELL_WITHIN_S = 420.0


@dataclass(frozen=True)
class Scene:
    """Which bots there are, and how long nothing happens to them."""

    inventory: Path
    traders: tuple[str, ...]
    watches: str
    """The bot that places no order."""

    peace_s: tuple[float, float]


DAY = Scene(COPY, ("bot1", "bot3"), "bot2", (30.0, 240.0))


@dataclass(frozen=True)
class Round:
    """One thing that happened, and what it came to."""

    number: int
    what: str
    bot: str
    elapsed_s: float
    """From the end of the round before to the end of this one."""

    well_s: float
    """From the fault's end until every bot was healthy and its book its exchange's."""

    fills: int
    """In all books, so far."""

    fault: str
    """Empty when all held."""

    commit: str
    at: str


type Happening = Callable[[Vps, str, Path], object]
"""What is done to a bot of an inventory."""


def on_vps(command: str) -> Happening:
    """A command on the VPS, about one bot."""
    return lambda vps, bot, _inventory: vps.run(command.replace("BOT", bot))


def frozen(vps: Vps, bot: str, _inventory: Path) -> None:
    """Stop the bot's processes for a minute."""
    vps.run(f"kill -STOP {processes(bot)}; sleep 60; kill -CONT {processes(bot)}")


def cable_pulled(vps: Vps, bot: str, _inventory: Path) -> None:
    """Take the bot's network away for a while."""
    vps.run(f"ip link set {cable(bot)} down; sleep 45; ip link set {cable(bot)} up")


def market_jumps(vps: Vps, bot: str, _inventory: Path) -> None:
    """Have orders met."""
    for percent in ("0.8", "-0.8", "1.6", "-1.6"):
        vps.exchange(bot, "fault", "set", "price-jump", f"percent={percent}")
        time.sleep(15)
    vps.exchange(bot, "fault", "clear", "price-jump")


def power_lost(_vps: Vps, _bot: str, _inventory: Path) -> None:
    """Cut the machine's power, and boot it."""
    embedded_vps("kill")
    time.sleep(5)
    embedded_vps("start")


def played(*words: str) -> Happening:
    """A playbook, as its operator runs it."""

    def run(_vps: Vps, bot: str, inventory: Path) -> None:
        done = run_playbook(*(word.replace("BOT", bot) for word in words), inventory=inventory)
        assert done.code == 0, f"{words[0]}: {done.output[-500:]}"

    return run


HAPPENS: dict[str, Happening] = {
    "the bot's process is killed": on_vps("kill -9 $(docker top hbot-BOT -o pid | tail -1)"),
    "the bot is frozen for a minute": frozen,
    "the bot's cable is pulled for 45 s": cable_pulled,
    "the exchange is restarted": on_vps("docker restart hbot-BOT-exchange"),
    "the exchange is killed": on_vps("kill -9 $(docker inspect -f '{{.State.Pid}}' hbot-BOT-exchange)"),
    "the market jumps": market_jumps,
    "dockerd is killed": on_vps("kill -9 $(pidof dockerd); sleep 5"),
    "the firewall is loaded anew": on_vps("ufw reload"),
    "the machine loses power": power_lost,
    "the machine is rebooted": lambda _vps, _bot, _inventory: embedded_vps("reboot"),
    "a backup": on_vps("/opt/hbot/scripts/backup.sh"),
    "site.yml": played("site.yml"),
    "a restart by control.yml": played(
        "control.yml", "-e", "bot=BOT", "-e", "action=restart", "-e", "force=true", "-e", "reason=soak"
    ),
    "a rollback": played("rollback.yml", "-e", "bot=BOT", "-e", "soak=5"),
}


def booked_all(vps: Vps, bot: str) -> bool:
    """Whether a bot's book is its exchange's; not while its exchange does not answer."""
    try:
        return vps.has_booked_all(bot)
    except AssertionError:
        return False


def one(number: int, vps: Vps, scene: Scene = DAY) -> Round:
    """Peace, something that happens, and the look at what it came to."""
    chance = record.drawn_by(SEED + number)
    what, bot = chance.choice(list(HAPPENS)), chance.choice(scene.traders)
    began, fault = time.monotonic(), ""
    time.sleep(chance.uniform(*scene.peace_s))
    happened = time.monotonic()
    names = [f"hbot-{bot}{part}" for bot in (*scene.traders, scene.watches) for part in ("", "-exchange")]
    try:
        HAPPENS[what](vps, bot, scene.inventory)
        happened = time.monotonic()
        wait_until("the VPS answers", vps.answers, 120)
        wait_until("all are healthy", lambda: {vps.health(name) for name in names} == {"healthy"}, WELL_WITHIN_S)
        for trader in scene.traders:
            wait_until(f"the book of {trader} is its exchange's", partial(booked_all, vps, trader), 120)
        left = left_behind(vps, traces(vps, "left")["left"])
        assert not left, f"left: {left}"
    except (AssertionError, RuntimeError) as problem:
        fault = record.on_one_line([str(problem)])
    return Round(
        number=number,
        what=what,
        bot=bot,
        elapsed_s=round(time.monotonic() - began, 1),
        well_s=round(time.monotonic() - happened, 1),
        fills=sum(len(vps.fills_book(trader)) for trader in scene.traders) if not fault else 0,
        fault=fault,
        commit=record.commit(),
        at=record.now(),
    )


def main() -> int:
    """Go on until so many hours are over; goes on where it was stopped. 1: something did not hold."""
    parser = argparse.ArgumentParser(description="three bots, and faults at random")
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--begin-at", type=int, default=0, metavar="ROUND", help="those before were on another machine")
    options = parser.parse_args()
    done = [Round(**row) for row in record.rows(RESULT)]
    vps = Vps()
    if not COPY.exists():
        shutil.copytree(INVENTORY, COPY, symlinks=True)
    added = run_playbook("add_bot.yml", "-e", "bot=bot3", "-e", "variant=a", inventory=COPY)
    assert added.code == 0, added.output[-2000:]
    vps.run("/opt/hbot/scripts/backup.sh")  # a rollback may be what happens first
    while sum(one.elapsed_s for one in done) < options.hours * 3600:
        last = one(options.begin_at + len(done), vps)
        done.append(last)
        record.add(RESULT, last)
        print(f"{last.number}: {last.what} ({last.bot}): {last.fault or f'well after {last.well_s:.0f} s'}", flush=True)
        if last.fault:
            break
    hours = sum(one.elapsed_s for one in done) / 3600
    bad = [one for one in done if one.fault]
    print(f"{hours:.1f} hours, {len(done)} rounds, {done[-1].fills} fills, {len(bad)} not well")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
