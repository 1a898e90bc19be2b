"""Whether a bot that was just started is well: healthy, and its own loop goes round."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from . import containers
from .csv_rows import last_row
from .errors import BackupError
from .settings import Settings

POLL_S = 1.0
TICK_S = 180.0
"""A bot writes a row each minute. One that has written none for so long after it became healthy does not tick."""


@dataclass(frozen=True)
class Before:
    """What the bot was like, so that it is asked for no more than that."""

    state: str
    """The guard's state in the last minute row; empty when there was none."""

    epp: bool
    """Whether it keeps EPP's books."""


@dataclass(frozen=True)
class Passed:
    """How long it took."""

    healthy_s: float
    ticking_s: float


def before(settings: Settings, bot: str) -> Before:
    """What the bot's books say now."""
    row = _row(settings, bot)
    return Before(state=str(row.get("state", "")), epp=bool(row))


def wait(settings: Settings, bot: str, was: Before, *, image_id: str, within_s: float, soak_s: float) -> Passed:
    """Return when the bot is healthy, has ticked since its start, and has stayed so for the soak.

    :raises BackupError: it is not so; the message says what is the matter.
    """
    began = time.monotonic()
    first = _until_healthy(bot, image_id, began + within_s, within_s)
    healthy_s = time.monotonic() - began
    started_at = str(first["State"]["StartedAt"])
    if was.epp:
        _until_ticked(settings, bot, started_at, time.monotonic() + TICK_S)
    ticking_s = time.monotonic() - began
    _soak(settings, bot, was, first, time.monotonic() + soak_s)
    return Passed(healthy_s, ticking_s)


def _state(bot: str) -> dict[str, Any]:
    found = containers.inspect(f"hbot-{bot}")
    if found is None:
        raise BackupError(f"hbot-{bot} has no container")
    return found


def _until_healthy(bot: str, image_id: str, deadline: float, within_s: float) -> dict[str, Any]:
    while True:
        found = _state(bot)
        state = found["State"]
        if image_id and found["Image"] != image_id:
            raise BackupError(f"hbot-{bot} runs {found['Image'][:19]}, not {image_id[:19]}")
        if found["RestartCount"] > 0 or state["Status"] not in ("running", "created"):
            raise BackupError(f"hbot-{bot} ended again: it is {state['Status']} (exit code {state['ExitCode']})")
        health = state.get("Health", {}).get("Status", "healthy")
        if state["Status"] == "running" and health == "healthy":
            return found
        if health == "unhealthy" or time.monotonic() > deadline:
            log = state.get("Health", {}).get("Log") or [{"Output": "no answer"}]
            raise BackupError(f"hbot-{bot} is {health} after {within_s:.0f} s: {log[-1]['Output'].strip()}")
        time.sleep(POLL_S)


def _until_ticked(settings: Settings, bot: str, started_at: str, deadline: float) -> None:
    begin = seconds(started_at)
    while True:
        row = _row(settings, bot)
        if row and seconds(str(row["ts"])) > begin:
            return
        if time.monotonic() > deadline:
            raise BackupError(f"hbot-{bot} is healthy and does not tick: no minute row since its start")
        time.sleep(POLL_S)


def _soak(settings: Settings, bot: str, was: Before, first: dict[str, Any], deadline: float) -> None:
    while True:
        found = _state(bot)
        state = found["State"]
        same = found["Id"] == first["Id"] and state["StartedAt"] == first["State"]["StartedAt"]
        if not same or state["Status"] != "running":
            raise BackupError(f"hbot-{bot} did not stay up: it is {state['Status']} (exit code {state['ExitCode']})")
        if state.get("Health", {}).get("Status", "healthy") == "unhealthy":
            raise BackupError(f"hbot-{bot} became unhealthy: {state['Health']['Log'][-1]['Output'].strip()}")
        row = _row(settings, bot)
        if was.epp and row.get("state") == "hard_stop" and was.state != "hard_stop":
            raise BackupError(f"hbot-{bot} stopped itself: hard_stop ({row.get('reasons')}); it was {was.state} before")
        if time.monotonic() >= deadline:
            return
        time.sleep(POLL_S)


def _row(settings: Settings, bot: str) -> dict[str, str]:
    """The newest minute row of a bot's books; empty when it has none."""
    rows = [
        dict(row)
        for book in (settings.bot_data(bot) / "logs" / "epp_v24").glob("*/minute.csv")
        if (row := last_row(book))
    ]
    return max(rows, key=lambda row: row["ts"], default={})


def seconds(text: str) -> float:
    """A UTC moment in ISO 8601, also with docker's nanoseconds, as seconds since the epoch."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    moment = datetime.fromisoformat(whole).replace(tzinfo=timezone.utc).timestamp()
    return moment + float(f"0.{fraction or 0}")
