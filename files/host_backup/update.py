"""A bot brought to the version that its files name now, and the proof that a staging bot has been well on one."""

from __future__ import annotations

import csv
import os
import shutil
import time
from pathlib import Path

from . import containers, gate
from .change import Change, Done, copy_tree
from .errors import BackupError
from .progress import say
from .settings import Settings

GAP_S = 180.0
"""A minute row is written each minute; after so long without one the bot's own loop stood still."""


def update(change: Change, *, within_s: float, soak_s: float) -> Done:
    """Stop the bot, start it as its fragment and configuration say now, and see whether it is well.

    :raises BackupError: the new version was refused before the bot was stopped, or was not well; what was there runs.
    """
    text = change.fragment.read_text(encoding="utf-8")
    image = containers.image_of(text)
    try:
        containers.present(image)
        _judge(change, text)
    except BackupError:
        change.abandon()
        raise
    say(f"{change.bot}: {image} accepts the configuration")
    done = change.switch(lambda: None, within_s=within_s, soak_s=soak_s)
    say(f"{change.bot}: runs {image}; {done.downtime_s:.1f} s without a healthy bot")
    return done


def _judge(change: Change, fragment: str) -> None:
    """Let the new image judge a copy of the configuration: it may write into what it reads."""
    trial = change.directory / "trial"
    shutil.rmtree(trial, ignore_errors=True)
    copy_tree(change.data / "conf", trial)
    for entry in (trial, *trial.rglob("*")):
        os.chown(entry, change.settings.uid, change.settings.gid, follow_symlinks=False)
    try:
        containers.trial(change.settings, fragment, trial)
    finally:
        shutil.rmtree(trial)


def proven(settings: Settings, bot: str, image: str, hours: float) -> str:
    """Say how long a bot has been well on an image.

    :raises BackupError: it has not been, for so many hours without a break.
    """
    found = containers.inspect(f"hbot-{bot}")
    if found is None or not found["State"]["Running"]:
        raise BackupError(f"{bot} does not run: it proves nothing")
    if found["Image"] != containers.present(image)["Id"]:
        raise BackupError(f"{bot} runs {found['Config']['Image']}, not {image}: it proves nothing about that")
    if found["State"].get("Health", {}).get("Status") != "healthy" or found["RestartCount"]:
        raise BackupError(f"{bot} is not healthy, or ended by itself {found['RestartCount']} times")
    up_s = time.time() - gate.seconds(found["State"]["StartedAt"])
    if up_s < hours * 3600:
        raise BackupError(f"{bot} runs {image} for {up_s / 3600:.1f} h; {hours:g} healthy hours are asked for")
    begin = time.time() - hours * 3600
    for book in sorted((settings.bot_data(bot) / "logs" / "epp_v24").glob("*/minute.csv")):
        _without_a_break(bot, book, begin)
    return f"{bot} has been well on {image} for {up_s / 3600:.1f} h"


def _without_a_break(bot: str, book: Path, begin: float) -> None:
    last = begin
    with book.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            moment = gate.seconds(row["ts"])
            if moment < begin:
                continue
            if moment - last > GAP_S:
                raise BackupError(f"{bot} wrote no minute row for {moment - last:.0f} s before {row['ts']}")
            if row["state"] == "hard_stop" and "stub_disabled" not in row["reasons"]:
                raise BackupError(f"{bot} was in hard_stop at {row['ts']}: {row['reasons']}")
            last = moment
    if time.time() - last > GAP_S:
        raise BackupError(f"{bot} has written no minute row for {time.time() - last:.0f} s")
