"""Checks an inventory on the controller, before any machine is reached."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.hbot.infra.plugins.filter.own_files import own_files_fault, own_files_root
from ansible_collections.hbot.infra.plugins.lookup.hashed_files import hashed
from ansible_collections.hbot.infra.plugins.module_utils.preflight import (
    Host,
    Problem,
    check_inventory,
    report,
)
from ansible_collections.hbot.infra.plugins.module_utils.resolved_inventory import homes, known_variables, resolve

PARAMETERS = Path(__file__).resolve().parents[1] / "module_utils" / "epp_parameters.json"
"""EPP's parameters as a JSON schema, which ``python -m tests.preflight.epp_parameters`` writes from the model."""


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core ships no types
    """Fails with every problem of the inventory in one message; changes nothing and reaches no machine."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Report the problems of the hosts in this play and of the machines they run on."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self.validate_argument_spec({})
        variables = task_vars or {}
        hosts = variables["ansible_play_hosts_all"]
        inventory, problems = resolve(self._loader, self._templar, variables, hosts)
        schema = json.loads(PARAMETERS.read_text(encoding="utf-8"))
        problems = (*problems, *check_inventory(inventory, schema, known_variables(self._loader)))
        for bot in inventory.bots.values():
            problems = (*problems, *_own_files(bot, variables["ansible_inventory_sources"]))
        if problems:
            return {**result, "failed": True, "msg": report(problems)}
        # Of the hosts that lead to one VPS (itself, and its bots), the first is enough to look at it through.
        through: dict[str, str] = {}
        for host in hosts:
            through.setdefault(inventory.bots[host].value("bot_vps") if host in inventory.bots else host, host)
        return {
            **result,
            "changed": False,
            "through": through,
            "homes": homes(self._templar, variables),
            "bots": sorted(inventory.bots),
        }


def _own_files(bot: Host, sources: Sequence[str]) -> Iterator[Problem]:
    """Own scripts and controllers that are not there, or that no bot could find."""
    given = bot.value("bot_files")
    if not isinstance(given, str) or not given:
        return
    root = own_files_root(given, sources)
    try:
        fault = own_files_fault(hashed(root)["files"])
    except OSError:
        fault = "there is no such directory, or no file in it"
    if not fault and not bot.value("bot_script"):
        fault = "EPP runs none of these, and no other script is named"
    if fault:
        fix = "docs/bots.md says what is in it; a relative path stands beside the inventory's directory"
        yield bot.problem("bot_files", f"{root}: {fault}", fix)
