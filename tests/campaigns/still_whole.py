"""What must hold on the VPS after something went wrong there on purpose, whatever that was."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.vps.machine import Vps, run_playbook, wait_until

TRACES = Path(__file__).with_name("traces.py")
NEW_BOT = "bot3"
BOTS = {"bot1": "a", "bot2": "d"}
"""The demo's, with their variants."""


@dataclass(frozen=True)
class Seen:
    """What there is at one moment: on the VPS, and in the paper exchange of bot1."""

    traces: dict[str, Any]
    containers: dict[str, tuple[str, str]]
    fills: list[str]

    def config(self) -> dict[str, str]:
        """Hash by path of every file that says what a bot is. Hummingbot rewrites conf_client.yml when it starts."""
        return {
            path: str(digest)
            for path, (digest, _) in self.traces["configuration"].items()
            if not path.endswith("conf_client.yml")
        }


def traces(vps: Vps, *words: str) -> dict[str, Any]:
    """What `traces.py` says on the VPS."""
    found: dict[str, Any] = json.loads(vps.run(f"python3 - {' '.join(words)} <<'END'\n{TRACES.read_text()}\nEND\n"))
    return found


def seen(vps: Vps, looks: str = "all") -> Seen:
    """What there is now.

    :param looks: ``left`` does not look for secrets, which takes long.
    """
    return Seen(traces(vps, looks), vps.containers(), [row["trade_id"] for row in vps.fills_book("bot1")])


def not_whole(vps: Vps, before: Seen, *, adds: bool, looks: str = "all") -> tuple[list[str], Seen]:
    """What does not hold now that nothing is at work any more, and what there is.

    Every bot is healthy, and there once; no container is too many or too few. bot1's book has what it had, and is its
    exchange's, no fill missing and none twice. Nothing half-done lies about, and the lock is free.

    :param adds: whether a bot was added since.
    :param looks: as for `seen`.
    """
    bots = [*BOTS, *([NEW_BOT] if adds else [])]
    said: list[str] = []

    def hold(what: str, condition: Callable[[], bool], within_s: float) -> None:
        try:
            wait_until(what, condition, within_s)
        except AssertionError as fault:
            said.append(str(fault))

    hold("every bot is healthy", lambda: {vps.health(f"hbot-{bot}") for bot in bots} == {"healthy"}, 240)
    hold(
        "the book of bot1 is its exchange's",
        lambda: vps.has_booked_all("bot1"),
        60,
    )
    after = seen(vps, looks)
    new = {f"hbot-{NEW_BOT}{part}" for part in ("", "-exchange", "-watchdog")} if adds else set()
    if after.containers.keys() != before.containers.keys() | new:
        said.append(f"containers: {sorted(after.containers.keys() ^ (before.containers.keys() | new))}")
    if after.fills[: len(before.fills)] != before.fills:
        said.append("the book of bot1 has lost or changed fills")
    said += [f"left: {path}" for path in left_behind(vps, after.traces["left"]) if path not in before.traces["left"]]
    return said, after


def left_behind(vps: Vps, paths: list[str]) -> list[str]:
    """Which of these are still there after a while: what a watchdog is just writing is not left behind."""
    if not paths:
        return []
    time.sleep(3)
    still = traces(vps, "left")["left"]
    return [path for path in paths if path in still]


def gone_again(vps: Vps, inventory: Path) -> list[str]:
    """Take the added bot off again; what does not hold then."""
    words = ("-e", f"bot={NEW_BOT}", "-e", f"confirm={NEW_BOT}")
    gone = run_playbook("remove_bot.yml", *words, inventory=inventory)
    if gone.code != 0:
        return [f"remove_bot.yml: {gone.output[-300:]}"]
    vps.run(f"rm -rf /opt/hbot/retired/{NEW_BOT}_*")
    return []
