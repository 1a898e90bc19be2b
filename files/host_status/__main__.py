"""``python -m host_status``: the table of status.yml for the bots of this VPS, and what is unwell.

What a playbook knows from the inventory is read from the compose fragments, which were made from it. Exit codes: 0 all
is well, 2 something is not, 1 nothing could be read.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
from pathlib import Path

from ansible_collections.hbot.infra.plugins.module_utils.bot_health import (
    HEADER,
    Row,
    firing,
    judge,
    strangers,
    table,
)
from ansible_collections.hbot.infra.plugins.module_utils.bot_reading import read

from . import UNREADABLE, UNWELL
from .fragments import bots


def main(arguments: list[str] | None = None) -> int:
    """Look and show."""
    parser = argparse.ArgumentParser(prog="status.sh", description="how the bots of this VPS are")
    parser.add_argument("--quiet", action="store_true", help="print what is unwell, and nothing else")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--root", type=Path, required=True, help="where everything of the bots lives")
    options = parser.parse_args(arguments)
    try:
        known = bots(options.root / "compose", socket.gethostname())
        seen = read(options.root)
    except (RuntimeError, OSError) as error:
        print(f"status: {error}", file=sys.stderr)
        return UNREADABLE
    rows = [judge(bot, seen) for bot in known]
    faults = [f"{row.cells[0]}: {fault}" for row in rows for fault in row.faults]
    faults += [f"{name}: no bot of this machine" for name in strangers(seen, [bot.name for bot in known])]
    alerts = firing(seen, None)
    if options.json:
        print(_as_json(rows, faults, alerts))
    elif not options.quiet:
        print("\n".join([*table(rows), "", *alerts]).rstrip())
    if not options.json:
        for fault in faults:
            print(fault)
    return UNWELL if faults else 0


def _as_json(rows: list[Row], faults: list[str], alerts: list[str]) -> str:
    names = [column.lower().replace(" ", "_") for column in HEADER]
    named = [dict(zip(names, row.cells, strict=True)) for row in rows]
    return json.dumps({"bots": named, "faults": faults, "alerts": alerts}, indent=2)


if __name__ == "__main__":
    sys.exit(main())
