# Copyright: hbot.infra maintainers. Not for redistribution.
"""From a bot's inventory variables to Hummingbot's script and controller configurations."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import yaml

SCRIPT = "epp_v2_4.py"
NAME = "epp_v2_4"

PREFIX_LENGTH = 24
"""What the runner gives a bot's mark in its order ids; the exchange's own limit leaves room for Hummingbot's part."""


def order_id_prefix(bot: str) -> str:
    """What every order id of a bot begins with. A hash tells long names apart that begin alike."""
    prefix = f"hbot-{bot}-"
    return prefix if len(prefix) <= PREFIX_LENGTH else f"hbot-{bot[:9]}-{hashlib.sha256(bot.encode()).hexdigest()[:8]}-"


PROVENANCE = ("mode", "market_source", "speed", "strategy_hash")
"""What every row of the books says beside the configuration's hash: that is the same on paper and live."""


def digest(document: Any) -> str:
    """16 hex digits that stand for a document, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode()).hexdigest()[:16]


def epp_files(bot: dict[str, Any]) -> tuple[str, dict[str, dict[str, Any]]]:
    """EPP's script file name and all its files, by path below conf/."""
    variant = bot["variant"]
    controller: dict[str, Any] = {
        "id": f"{NAME}_bot_{variant}",
        "controller_type": "epp.adapter",
        "controller_name": NAME,
        "instance_name": bot["name"],
        "variant": variant,
        "mode": bot["mode"],
        "connector_name": bot["connector"],
        "trading_pair": bot["trading_pair"],
        "total_amount_quote": bot["total_amount_quote"],
        "enabled": variant in ("a", "d"),
        "no_trade": variant == "d",
        "market_source": bot["market_source"],
        "speed": bot["speed"],
        **bot["parameters"],
    }
    if variant != "a":
        # A parameter may not wake what must never trade.
        controller |= {"enabled": variant == "d", "no_trade": True}
    controller["strategy_hash"] = bot["strategy_hash"]
    controller["config_hash"] = digest({name: value for name, value in controller.items() if name not in PROVENANCE})
    script = f"v2_{NAME}_bot_{variant}.yml"
    files = {
        f"scripts/{script}": {
            "script_file_name": SCRIPT,
            "controllers_config": [f"{NAME}_bot_{variant}.yml"],
            "order_id_prefix": order_id_prefix(bot["name"]),
        },
        f"controllers/{NAME}_bot_{variant}.yml": controller,
    }
    for stub in bot["stubs"]:
        name = f"{NAME}_bot_{stub}_stub"
        off = {"id": name, "variant": stub, "enabled": False, "no_trade": True}
        files[f"controllers/{name}.yml"] = controller | off
    return script, files


def stock_files(bot: dict[str, Any]) -> tuple[str, dict[str, dict[str, Any]]]:
    """Another script's file name and all its files, by path below conf/."""
    controllers = {f"{controller['id']}.yml": dict(controller) for controller in bot["controllers"]}
    name = f"v2_{str(bot['script']['script_file_name']).removesuffix('.py')}"
    script = f"{name}_{bot['name'].replace('-', '_')}.yml"
    document = {"controllers_config": list(controllers), **bot["script"]}
    return script, {f"scripts/{script}": document} | {f"controllers/{file}": it for file, it in controllers.items()}


def bot_configuration(bot: dict[str, Any]) -> dict[str, Any]:
    """Hummingbot's files for a bot.

    Returns `script` (the file name that `hbot start` gets), `files` (path below conf/ to document), `hash`, which
    changes exactly when a file does, and `config_hash`, which is the same on paper and live.
    """
    script, files = stock_files(bot) if bot["script"] else epp_files(bot)
    whole = digest(files)
    own = (
        digest([files, bot.get("own_hash", "")])
        if bot["script"]
        else files[f"controllers/{NAME}_bot_{bot['variant']}.yml"]["config_hash"]
    )
    return {"script": script, "files": files, "hash": whole, "config_hash": own}


def conf_entries(files: dict[str, dict[str, Any]], directory: str, header: str) -> list[dict[str, str]]:
    """The documents as entries of hbot.infra.tree, YAML below a header."""
    return [
        {"path": f"{directory}/{path}", "content": header + yaml.safe_dump(plain(document), sort_keys=False)}
        for path, document in sorted(files.items())
    ]


def plain(document: Any) -> Any:
    """The document without the tags that Ansible puts on its values, which PyYAML cannot write."""
    return json.loads(json.dumps(document))


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Any]:
        """By name."""
        return {
            "bot_configuration": bot_configuration,
            "conf_entries": conf_entries,
            "order_id_prefix": order_id_prefix,
        }
