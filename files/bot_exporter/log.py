"""Hummingbot's log: how old its last line is, and how many lines of each level came."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from .reading import Growing

LEVELS = ("WARNING", "ERROR", "CRITICAL")
_LINE = re.compile(rb"^\d{4}-\d\d-\d\d [\d:,]+ - \S+ - \S+ - (WARNING|NETWORK|ERROR|CRITICAL) - ")
_CONNECTION = re.compile(
    rb"ClientConnector\w*Error|ServerDisconnected|ConnectionReset|[Ww]ebsocket connection was closed"
)


@dataclass
class Log:
    """Lines by level since this exporter began to watch; those written before are not counted."""

    lines: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LEVELS, 0))
    network_errors: int = 0
    _growing: Growing = field(default_factory=Growing)

    def read(self, path: Path) -> None:
        """Count what came since the last call.

        Raises:
            OSError: it cannot be read.
        """
        _, lines = self._growing.new_lines(path, from_end=True)
        for line in lines:
            match = _LINE.match(line)
            if match is None:
                continue
            level = match[1].decode()
            if level in self.lines:
                self.lines[level] += 1
            if level == "NETWORK" or _CONNECTION.search(line):
                self.network_errors += 1
