"""A bot taken off this VPS: stopped, proved to have no orders, backed up, its data put away and never deleted."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

from . import containers, sets
from .backup_run import Run
from .errors import BackupError
from .manifest import now
from .metrics import Results
from .progress import say
from .settings import Settings

UNPROVEN = "OWN ORDERS MAY STILL BE OPEN"
"""What EPP logs when a stop could not prove that no order is left."""

ANSWER_S = 60.0
"""Within so long a watchdog has asked the exchange again."""

OF_WATCHDOG = ("state", "latches", "alerts", "config")


def stop_without_orders(settings: Settings, bot: str) -> None:
    """Stop a bot and prove that none of its orders is left.

    :raises BackupError: it could not be proved. The bot is stopped.
    """
    logs = settings.bot_data(bot) / "logs"
    seen = {path: path.stat().st_size for path in logs.glob("logs_*.log")}
    containers.plan_stop(bot)
    containers.stop(settings, bot)
    stopped = time.time()
    again = f"look at the exchange, or start it again (sudo docker start hbot-{bot}), which cancels them first"
    for path in logs.glob("logs_*.log"):
        with path.open("rb") as file:
            file.seek(seen.get(path, 0))
            if UNPROVEN.encode() in file.read():
                raise BackupError(f"{bot} is stopped, and could not prove that none of its orders is left: {again}")
    exchange = containers.inspect(f"hbot-{bot}-exchange")
    if exchange is not None and exchange["State"]["Running"]:
        said = containers.checked("exec", f"hbot-{bot}-exchange", "python", "-m", "paper_exchange.ctl", "orders")
        left = len(json.loads(said))
    elif containers.mode_of((settings.fragments / f"{bot}.yml").read_text(encoding="utf-8")) == "live":
        left = _left_on_the_market(bot, stopped)
    else:
        say(f"{bot}: stopped, and so is its paper exchange")
        return
    if left:
        raise BackupError(f"{bot} is stopped, and {left} of its orders are still open: {again}")
    say(f"{bot}: stopped, no order is left")


def _left_on_the_market(bot: str, since: float) -> int:
    """How many orders of a live bot the exchange lists, by its watchdog's look at it after a moment.

    :raises BackupError: its watchdog does not say.
    """
    deadline = time.monotonic() + ANSWER_S
    fault = "it has no watchdog that runs"
    while time.monotonic() < deadline:
        done = containers.tell_watchdog(bot, "status")
        if done.returncode == 0:
            status = json.loads(done.stdout) or {}
            if (status.get("exchange_answered_at") or 0) > since:
                return int(status["own_orders"])
            fault = str(status.get("exchange_error") or "its watchdog has not looked yet")
        time.sleep(2)
    raise BackupError(f"{bot} is stopped, and whether it has open orders is not known ({fault}): look at the exchange")


def retire(settings: Settings, bot: str, *, archive: bool = False) -> Path:
    """Take a bot off; returns where its data is now, or where its archive is.

    :param archive: only stop, back up and export it, for another VPS to adopt; its data stays for the moment.
    :raises BackupError: a step failed; the bot is stopped, and all that it has is where it was.
    """
    place = settings.root / "retired" / f"{bot}_{now()}"
    fragment = settings.fragments / f"{bot}.yml"
    if not fragment.is_file():
        raise BackupError(f"there is no bot {bot} on this VPS; what was taken off is in {settings.root / 'retired'}")
    if containers.mode_of(fragment.read_text(encoding="utf-8")) == "live":
        raise BackupError(
            f"{bot} trades with money, and nothing was done. Fix: golive.yml -e bot={bot} -e to=paper takes it off the "
            "market first"
        )
    stop_without_orders(settings, bot)
    # Its secrets are in the environment's set, of which there is never a plain archive here.
    wanted = [sets.of_bot(settings, bot)] if archive else [sets.of_bot(settings, bot), sets.environment()]
    run = Run(settings, wanted, archives=archive)
    local = [fault for fault in run.run() if "offsite" not in fault]
    if local:
        raise BackupError(f"{bot} is stopped, and was not backed up, so it stays: {'; '.join(local)}")
    if archive:
        return max(settings.backups.glob(f"{bot}_*.tar.gz"))
    return put_away(settings, bot, place)


def put_away(settings: Settings, bot: str, place: Path) -> Path:
    """Remove a stopped bot's containers and move its files; returns where to.

    :raises BackupError: compose refuses.
    """
    fragment = settings.fragments / f"{bot}.yml"
    done = containers.compose(settings, bot, "down", "--timeout", "90")
    if done.returncode != 0:
        raise BackupError(f"{bot} is stopped, and its containers stay: {done.stderr.strip()}")
    _look_out_no_more(bot)
    place.mkdir(mode=0o700, parents=True)
    root = settings.root
    (root / "monitoring" / "targets" / "bots" / f"{bot}.json").unlink(missing_ok=True)
    (root / "watchdog" / "containers" / f"{bot}.json").unlink(missing_ok=True)
    for path, name in (
        (settings.bot_data(bot), "data"),
        (root / "env" / bot, "env"),
        (root / "env" / f"{bot}-exchange", "env-exchange"),
        (root / "env" / f"{bot}-watchdog", "env-watchdog"),
        *((root / "watchdog" / part / bot, f"watchdog-{part}") for part in OF_WATCHDOG),
        (fragment, fragment.name),  # the last: without it there is no bot to take off
    ):
        if path.exists():
            shutil.move(path, place / name)
    results = Results(settings)
    results.forget(bot)
    results.write()
    say(f"{bot}: taken off; all that it had is in {place}")
    return place


def _look_out_no_more(bot: str) -> None:
    """Have systemd forget the bot's latch.

    :raises BackupError: it refuses.
    """
    unit = f"hbot-latch@{bot}.path"
    done = subprocess.run(
        ["systemctl", "disable", "--now", unit], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BackupError(f"{bot} is stopped and has no containers any more, and {unit} stays: {done.stderr.strip()}")
