# Copyright: hbot.infra maintainers. Not for redistribution.
"""What would run if a bot went live as the inventory has it: the hashes of its code and of its configuration.

For the controller only. Role bot deploys exactly these; rows of the books and marks of the gate carry them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.hbot.infra.plugins.filter.bot_configuration import bot_configuration
from ansible_collections.hbot.infra.plugins.filter.own_files import own_files_root
from ansible_collections.hbot.infra.plugins.lookup.hashed_files import hashed

if TYPE_CHECKING:
    from ansible.parsing.dataloader import DataLoader
    from ansible_collections.hbot.infra.plugins.module_utils.preflight import Host

DEFAULTS = Path(__file__).resolve().parents[2] / "roles" / "bot" / "defaults" / "main.yml"


@cache
def strategy_hash() -> str:
    """Of EPP's files on this machine."""
    return str(hashed("epp")["hash"])


def config_hash(bot: Host, loader: DataLoader, sources: Sequence[str]) -> str:
    """Of an EPP bot's configuration; for another strategy, of all its files.

    :param sources: of the inventory, beside which the operator's own files stand.
    """
    defaults = loader.load_from_file(str(DEFAULTS), cache="all")

    def value(name: str) -> Any:
        found = bot.value(name)
        return defaults.get(name) if found is None else found

    files = str(value("bot_files") or "")
    made = bot_configuration(
        {
            "name": bot.name,
            "mode": "live",
            "variant": value("bot_variant"),
            "connector": value("bot_connector"),
            "trading_pair": value("bot_trading_pair"),
            "total_amount_quote": value("bot_total_amount_quote"),
            "market_source": "exchange",
            "speed": 1.0,
            "strategy_hash": strategy_hash(),
            "parameters": value("bot_parameters"),
            "stubs": [],
            "script": value("bot_script"),
            "controllers": value("bot_controllers"),
            "own_hash": hashed(own_files_root(files, sources))["hash"] if files else "",
        }
    )
    return str(made["config_hash"])
