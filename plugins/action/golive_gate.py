"""Asks the go-live gate about this host's bot: tells it what the inventory wants, shows and keeps its answer."""

from __future__ import annotations

import ipaddress
import json
import re
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.hbot.infra.plugins.filter.bot_configuration import order_id_prefix
from ansible_collections.hbot.infra.plugins.module_utils.live_configuration import config_hash, strategy_hash
from ansible_collections.hbot.infra.plugins.module_utils.preflight import Host, runs_epp
from ansible_collections.hbot.infra.plugins.module_utils.resolved_inventory import resolve

OWN = ("max_notional_quote", "days", "waivers", "watcher", "addresses", "profile", "exchange", "reports")
DEMO = ipaddress.ip_network("198.51.100.0/24")
"""Addresses for documentation: the demo's machines have them, and nothing on the internet does."""

COLORS = {"FAIL": constants.COLOR_ERROR, "WAIV": constants.COLOR_WARN, "pass": constants.COLOR_OK}


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core ships no types
    """Prints the table itself, and fails when an item stands in the way."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask, show, keep."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        arguments = dict(self._task.args)
        own = {name: arguments.pop(name) for name in OWN}
        address = str(self._templar.template(variables.get("ansible_host", "")))
        if fault := rehearsal_fault(str(own["profile"]), address):
            raise AnsibleActionFail(f"{arguments['bot']}: {fault}")
        names = variables["groups"].get("bots", [])
        inventory, problems = resolve(self._loader, self._templar, variables, names)
        me = inventory.bots.get(arguments["bot"])
        if me is None:
            raise AnsibleActionFail(str(problems[0]) if problems else f"there is no bot {arguments['bot']}")
        watcher = _watcher(me, [*inventory.bots.values()], str(own["watcher"]))
        arguments["request"] = {
            "bot": me.name,
            "variant": me.value("bot_variant"),
            "epp": runs_epp(me),
            "connector": me.value("bot_connector"),
            "trading_pair": me.value("bot_trading_pair"),
            "order_id_prefix": order_id_prefix(me.name) if runs_epp(me) else "",
            "strategy_hash": strategy_hash(),
            "config_hash": config_hash(me, self._loader, variables["ansible_inventory_sources"]),
            "profile": own["profile"],
            "max_notional_quote": str(own["max_notional_quote"]),
            "days": own["days"],
            "waivers": own["waivers"],
            "watcher": None
            if watcher is None
            else {"name": watcher.name, "enabled": watcher.value("bot_enabled") is not False},
            "exchange": own["exchange"],
            "vps_addresses": [str(address) for address in own["addresses"]],
        }
        found: dict[str, Any] = self._execute_module(
            module_name="hbot.infra.golive_gate", module_args=arguments, task_vars=variables
        )
        if found.get("failed") or found.get("unreachable"):
            return {**result, **found}
        _show(found["text"])
        page = found.pop("page")
        if not self._task.check_mode:
            kept = _keep(Path(own["reports"]), me.name, Path(found["report"]).name, found["outcome"], page)
            Display().display(f"The outcome is in {kept}.html (and .json), and on the VPS in {found['report']}.html\n")
        if not found["outcome"]["passed"]:
            in_the_way = [item["key"] for item in found["outcome"]["items"] if item["verdict"] == "fail"]
            in_the_way += found["outcome"]["refused_waivers"]
            message = f"{me.name} does not go live: {', '.join(in_the_way)}. Nothing was changed. docs/golive.md"
            return {**result, **found, "failed": True, "msg": message}
        return {**result, **found}


def rehearsal_fault(profile: str, address: str) -> str:
    """Why the rehearsal's profile is refused to a VPS at this address; empty when it is not, or is not asked for."""
    if profile != "rehearsal":
        return ""
    try:
        if ipaddress.ip_address(address) in DEMO:
            return ""
    except ValueError:
        pass
    return (
        f"golive_gate_profile: rehearsal is refused: {address} is none of the demo's machines, which are in {DEMO}, "
        "where no VPS of the internet can be. Nothing was changed"
    )


def _watcher(me: Host, bots: list[Host], named: str) -> Host | None:
    """The pair's other bot: the one that is named, or the only one of variant d beside it."""
    beside = [
        bot
        for bot in bots
        if bot.value("bot_vps") == me.value("bot_vps") and bot.value("bot_variant") == "d" and bot.name != me.name
    ]
    if named:
        return next((bot for bot in beside if bot.name == named), None)
    return beside[0] if len(beside) == 1 else None


def _show(text: str) -> None:
    show = Display()
    show.display("")
    for line in text.splitlines():
        show.display(line, color=COLORS.get(line[:4]))
    show.display("")


def _keep(directory: Path, bot: str, name: str, outcome: dict[str, Any], page: str) -> Path:
    """A copy for the operator."""
    kept = directory / bot / re.sub(r"[^0-9TZ]", "", name)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.with_suffix(".json").write_text(json.dumps(outcome, indent=2) + "\n", encoding="utf-8")
    kept.with_suffix(".html").write_text(page, encoding="utf-8")
    return kept
