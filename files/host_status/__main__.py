"""``python -m host_status``: the table of status.yml for the bots of this VPS, and what is unwell.

What a playbook knows from the inventory is read from the compose fragments, which were made from it. Exit codes: 0 all
is well, 2 something is not, 1 nothing could be read.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import sys
from pathlib import Path

from ansible_collections.hbot.infra.plugins.module_utils.bot_health import (
    HEADER,
    Bot,
    Row,
    firing,
    judge,
    strangers,
    table,
)
from ansible_collections.hbot.infra.plugins.module_utils.bot_reading import read

UNREADABLE, UNWELL = 1, 2

_BOT = re.compile(r"^      hbot\.bot: (\S+)$", re.MULTILINE)
_MODE = re.compile(r"^      hbot\.mode: (\S+)$", re.MULTILINE)
_DISABLED = re.compile(r'^  profiles: \["disabled"\]$', re.MULTILINE)
_EPP = re.compile(r"hbot start v2_epp_v2_4_bot_([a-d])\.yml")


def bots(compose: Path, vps: str) -> list[Bot]:
    """The bots of this machine, by their compose fragments.

    :raises OSError: a fragment cannot be read.
    """
    found = []
    for path in sorted(compose.glob("*.yml")):
        text = path.read_text(encoding="utf-8")
        mode, variant = _MODE.search(text), _EPP.search(text)
        if mode is None or path.stem not in _BOT.findall(text):
            continue  # the entry file, monitoring
        found.append(
            Bot(
                name=path.stem,
                vps=vps,
                mode=mode[1],
                variant=variant[1] if variant else "",
                enabled=_DISABLED.search(text) is None,
                epp=variant is not None,
            )
        )
    return found


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
