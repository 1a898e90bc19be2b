"""Which bots there are: the files by which Prometheus finds them (file_sd), one a bot.

One file registers a bot with Prometheus and with this exporter alike. Labels that begin with two underscores are for
the exporter; Prometheus drops them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from .reading import open_regular

NAME = re.compile(r"[a-z][a-z0-9-]*")
_LARGEST = 65536


@dataclass(frozen=True)
class Bot:
    """What the inventory says of a bot."""

    name: str
    variant: str
    mode: str
    pair: str
    enabled: bool
    epp: bool
    """Whether it runs EPP, which keeps books and state."""
    containers: tuple[str, ...]
    """The containers that should run."""
    version: str
    """Its image's tag."""


def bots(directory: Path) -> tuple[dict[str, Bot], int]:
    """The registered bots by name, and how many files there are that register none."""
    found: dict[str, Bot] = {}
    faulty = 0
    for path in sorted(directory.glob("*.json")):
        bot = _bot(path)
        if bot is None:
            faulty += 1
        else:
            found[bot.name] = bot
    return found, faulty


def _bot(path: Path) -> Bot | None:
    try:
        with open_regular(path) as file:
            (group,) = json.loads(file.read(_LARGEST))
        labels = {str(key): str(value) for key, value in group["labels"].items()}
        bot = Bot(
            name=labels["bot"],
            variant=labels["variant"],
            mode=labels["mode"],
            pair=labels["pair"],
            enabled=labels["__hbot_enabled"] == "true",
            epp=labels["__hbot_strategy"] == "epp",
            containers=tuple(labels["__hbot_containers"].split()),
            version=labels["__hbot_version"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return bot if NAME.fullmatch(bot.name) and path.stem == bot.name else None
