"""The go-live confirmation of a bot that trades with money: the gate's mark, which the bot reads while it runs.

The mark is written by root on the host and mounted read only. A bot that is live and has none, or one that is over or
of something else, cancels its orders and waits; with a new mark it goes on by itself.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

MARK = Path("/run/hbot/golive.json")
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Whether the bot may trade, and with how much."""

    objection: str
    """Why it may not; empty while it may."""
    max_notional: float | None
    """Most that inventory and bids may be worth together, quote."""


def read_confirmation(
    instance: str, strategy_hash: str, config_hash: str, now: float, path: Path = MARK
) -> Confirmation:
    """What the mark says of this bot, now (unix seconds)."""
    try:
        mark = json.loads(path.read_text(encoding="utf-8"))
        of_what = (mark["schema"], mark["bot"], mark["strategy_hash"], mark["config_hash"])
        expires, most = float(mark["expires_at"]), float(mark["max_notional_quote"])
    except OSError as error:
        return Confirmation(f"{path}: {error.strerror}", 0.0)
    except (ValueError, KeyError, TypeError):
        return Confirmation(f"{path} is no mark of the go-live gate", 0.0)
    if of_what != (SCHEMA, instance, strategy_hash, config_hash):
        return Confirmation(f"{path} lets something else through than what runs here", 0.0)
    if not now < expires:
        ended = time.strftime("%Y-%m-%d %H:%M", time.gmtime(expires)) if math.isfinite(expires) else "no known time"
        return Confirmation(f"it ended at {ended} UTC", 0.0)
    return Confirmation("", most)


def is_rehearsal(path: Path = MARK) -> bool:
    """Whether the mark is a rehearsal's: the bot behaves as with money, and may meet a paper exchange only."""
    try:
        return bool(json.loads(path.read_text(encoding="utf-8"))["profile"] == "rehearsal")
    except (OSError, ValueError, KeyError, TypeError):
        return False
