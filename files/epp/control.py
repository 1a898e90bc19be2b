"""``epp control``: tell a running bot what its operator wants, and say what it answered.

Runs where the bot runs (``sudo docker exec hbot-bot1 python -m controllers.epp control …``), beside its state. A
request is a file that the bot carries out at its next tick (:mod:`.books.requests`); of the kill file the presence is
enough.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from .books.ledger import COMMANDS, KILL_FILE
from .books.requests import ANSWERED, Action

STATES = Path("data", "epp_v24")
"""Where a bot's states are, from Hummingbot's directory; see :class:`.books.ledger.Ledger`."""

ANSWER_WITHIN_S = 15.0
"""A running bot ticks once a second; its start takes longer."""


class ControlError(Exception):
    """What the operator asked for was not done; the message says why and what to do."""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to a parser."""
    parser = commands.add_parser(
        "control",
        help="pause, resume, kill or reset a running bot, or book a transfer",
        description="Tell the bot beside which this runs what its operator wants, and say what it answered.",
        epilog='example: sudo docker exec hbot-bot1 python -m controllers.epp control pause --reason "news at 14:00"',
    )
    parser.add_argument("action", choices=[*get_args(Action), "kill"])
    parser.add_argument("--reason", required=True, help="kept with what was done")
    parser.add_argument("--base", default="0", help="for transfer: deposit of the base coin, negative for a withdrawal")
    parser.add_argument("--quote", default="0", help="for transfer: the same of the quote coin")
    parser.add_argument("--state", type=Path, help="the bot's state directory (default: the only one here)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Carry out the command; 2 when it was refused, with the reason on standard error."""
    try:
        print(carry_out(options))
    except ControlError as error:
        print(f"epp control: {error}", file=sys.stderr)
        return 2
    return 0


def carry_out(options: argparse.Namespace) -> str:
    """Do what the options say; returns what is to be said of it.

    Raises:
        ControlError: it was refused.
    """
    directory = options.state or only_state(STATES)
    reason = options.reason.strip()
    if not reason:
        raise ControlError("--reason: say why, for whoever reads it later")
    if options.action == "kill":
        return kill(directory, reason)
    if options.action == "reset":
        revive(directory)
    return ask(directory, {"action": options.action, "reason": reason, "base": options.base, "quote": options.quote})


def only_state(states: Path) -> Path:
    """The bot's state directory.

    Raises:
        ControlError: there is none, or more than one.
    """
    found = sorted(path for path in states.glob("*") if path.is_dir())
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise ControlError(f"{states} has these states: {names}. Name one with --state")
    return found[0]


def kill(directory: Path, reason: str) -> str:
    """Put the kill file there: the bot cancels all and stays stopped, over restarts, until a reset."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    (directory / KILL_FILE).write_text(f"{now} {reason}\n", encoding="utf-8")
    return f"{directory / KILL_FILE} is there: all orders are cancelled; control reset ends it"


def revive(directory: Path) -> None:
    """Take the kill file away, which would latch a bot again at once."""
    (directory / KILL_FILE).unlink(missing_ok=True)


def ask(directory: Path, request: dict[str, str], answer_within_s: float = ANSWER_WITHIN_S) -> str:
    """Put a request into the bot's box and return its answer.

    Raises:
        ControlError: the bot refused it, or did not answer; then the request is taken back.
    """
    box = directory / COMMANDS
    if not box.is_dir():
        raise ControlError(f"{box} is not there: the bot has not run yet")
    name = f"{time.time_ns()}-{request['action']}.json"
    partial, waiting, answered = box / f"{name}.partial", box / name, box / ANSWERED / name
    partial.write_text(json.dumps(request) + "\n", encoding="utf-8")
    partial.rename(waiting)
    deadline = time.monotonic() + answer_within_s
    while time.monotonic() < deadline or not waiting.exists():
        try:
            answer = str(json.loads(answered.read_text(encoding="utf-8"))["answer"])
        except (FileNotFoundError, ValueError):  # not there yet, or not whole yet
            time.sleep(0.1)
            continue
        if answer.startswith("refused"):
            raise ControlError(answer)
        return answer
    waiting.unlink(missing_ok=True)
    raise ControlError(f"no answer within {answer_within_s:.0f} s, so the request was taken back. Is the bot running?")
