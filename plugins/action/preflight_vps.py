"""Checks a VPS for the bots the inventory puts there: runs the module of the same name, judges what it found."""

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.hbot.infra.plugins.module_utils.golive_marks import objection
from ansible_collections.hbot.infra.plugins.module_utils.live_configuration import config_hash, strategy_hash
from ansible_collections.hbot.infra.plugins.module_utils.preflight import (
    Host,
    Survey,
    check_elsewhere,
    check_gate,
    check_vps,
    report,
    vps_warnings,
)
from ansible_collections.hbot.infra.plugins.module_utils.resolved_inventory import resolve


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core ships no types
    """Fails with everything that is wrong with the VPS behind this host; only reads there.

    A bot's connection is its VPS's, so with ``--limit bot3`` the machine is looked at through bot3.
    """

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Survey the VPS, and report its problems, or its warnings and facts."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            {
                "homes": {"type": "dict", "required": True},
                "bots": {"type": "list", "elements": "str", "required": True},
                "gate": {"type": "bool", "default": True},
                "moving": {"type": "str", "default": ""},
            }
        )
        variables = task_vars or {}
        me, homes = variables["inventory_hostname"], arguments["homes"]
        name = variables["bot_vps"] if me in variables["groups"].get("bots", []) else me
        machine, _ = resolve(self._loader, self._templar, variables, [name])
        vps = machine.vps[name]
        before = time.time()
        found = self._execute_module(module_args={"path": vps.value("hbot_root")}, task_vars=variables)
        after = time.time()
        if found.get("failed") or found.get("unreachable"):
            return {**result, **found}
        # The bots that are to be here, and those that are. Every VPS of a fleet looking at every bot would take hours.
        here = [bot for bot, home in homes.items() if home == name or bot in found["survey"]["fragments"]]
        inventory, _ = resolve(self._loader, self._templar, variables, here)
        bots = [bot for bot in inventory.bots.values() if bot.value("bot_vps") == name]
        survey = Survey(
            **found["survey"],
            clock_offset_s=found["clock_s"] - (before + after) / 2,
            clock_uncertainty_s=(after - before) / 2,
        )
        converged = [bot for bot in bots if bot.name in arguments["bots"]]
        problems = [
            *check_vps(vps, bots, survey),
            *check_elsewhere(name, inventory.bots.values(), survey, arguments["moving"]),
        ]
        if arguments["gate"]:
            problems += check_gate(converged, lambda bot: self._objection(bot, survey, found["clock_s"], variables))
        if problems:
            return {**result, "failed": True, "msg": report(problems)}
        return {
            **result,
            "changed": False,
            "survey": found["survey"],
            "ansible_facts": found["ansible_facts"],
            "warnings": list(vps_warnings(vps, bots, survey)),
        }

    def _objection(self, bot: Host, survey: Survey, now: float, variables: dict[str, Any]) -> str:
        would_run = config_hash(bot, self._loader, variables["ansible_inventory_sources"])
        why: str = objection(survey.golive_marks.get(bot.name), strategy_hash(), would_run, now)
        return why
