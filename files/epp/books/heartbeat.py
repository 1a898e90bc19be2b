"""The heartbeat: one small file that says the bot ticks, hears the exchange, and which orders it has out.

The watchdog beside the bot reads it. It is written at every tick, so nothing waits for the disk: after a power cut the
bot is not alive either.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

NAME = "heartbeat.json"


class Heartbeat:
    """Writes the heartbeat of one bot.

    Args:
        directory: where the state file is, too.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / NAME
        self._partial = directory / f"{NAME}.partial"

    def beat(self, at: float, heard: float, orders: Iterable[str]) -> None:
        """Write it.

        Args:
            at: now, unix seconds.
            heard: when any word came from the exchange last, unix seconds.
            orders: client ids of own orders that are open or under way.

        Raises:
            OSError: the disk refused.
        """
        self._partial.write_text(
            json.dumps({"at": round(at, 3), "heard": round(heard, 3), "orders": sorted(orders)}), encoding="utf-8"
        )
        self._partial.replace(self._path)
