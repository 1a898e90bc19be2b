"""Shows how the bots are as a table, and fails when one is unwell."""

from __future__ import annotations

from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.hbot.infra.plugins.module_utils.bot_health import (
    Bot,
    Row,
    firing,
    judge,
    strangers,
    table,
    unknown,
)
from ansible_collections.hbot.infra.plugins.module_utils.preflight import Host, runs_epp
from ansible_collections.hbot.infra.plugins.module_utils.resolved_inventory import resolve


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core ships no types
    """Prints the table itself, so that it looks the same whatever callback writes the run's output."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Judge the bots of the play: those of its machines, or, where a limit names bots alone, these."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self.validate_argument_spec({"found": {"type": "dict", "required": True}})
        variables = task_vars or {}
        found: dict[str, dict[str, Any]] = self._task.args["found"]
        names = variables["groups"].get("bots", [])
        machines = [host for host in found if host not in names]
        inventory, problems = resolve(self._loader, self._templar, variables, names)

        rows = []
        for name in names if machines else found:
            host = inventory.bots.get(name)
            if host is None:
                rows.append(unknown(Bot(name, "?", "?", "?", enabled=True, epp=True), str(problems[0])))
            elif host.value("bot_vps") not in inventory.machines:
                rows.append(unknown(_bot(host), f"there is no VPS {host.value('bot_vps')!r}"))
            elif host.value("bot_vps") in machines:
                rows.append(_row(_bot(host), found[host.value("bot_vps")]))
            elif name in found:
                rows.append(_row(_bot(host), found[name]))
        faults = [f"{row.cells[0]} on {row.cells[1]}: {fault}" for row in rows for fault in row.faults]
        for vps in machines:
            if "containers" in found[vps]:
                here = [name for name, bot in inventory.bots.items() if bot.value("bot_vps") == vps]
                faults += [
                    f"{name} on {vps}: no bot that this inventory has there" for name in strangers(found[vps], here)
                ]

        show = Display()
        header, *lines = table(rows)
        show.display(f"\n{header}")
        for row, line in zip(rows, lines, strict=True):
            show.display(line, color=constants.COLOR_ERROR if row.faults else constants.COLOR_OK)
        show.display("")
        for host, answer in found.items():
            for alert in firing(answer, None if host in machines else host):
                show.display(f"{host}: {alert}", color=constants.COLOR_WARN)
        if faults:
            message = "\n".join(
                ["Not everything is well; docs/status.md says what to do.", *(f"  - {fault}" for fault in faults)]
            )
            return {**result, "failed": True, "msg": message}
        return {**result, "changed": False}


def _bot(host: Host) -> Bot:
    return Bot(
        name=host.name,
        vps=str(host.value("bot_vps")),
        mode=str(host.value("bot_mode")),
        variant=str(host.value("bot_variant")),
        enabled=host.value("bot_enabled") is not False,
        epp=runs_epp(host),
    )


def _row(bot: Bot, found: dict[str, Any]) -> Row:
    if found.get("unreachable"):
        return unknown(bot, f"{bot.vps} cannot be reached: {found.get('msg')}")
    if "containers" not in found:
        return unknown(bot, f"{bot.vps} tells nothing: {found.get('msg')}")
    return judge(bot, found)
