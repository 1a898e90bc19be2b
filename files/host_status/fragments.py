"""The bots of this machine, by their compose fragments, which were made from the inventory."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.hbot.infra.plugins.module_utils.bot_health import Bot

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
