"""Writes a new bot's file into the inventory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.hbot.infra.plugins.module_utils.inventory_files import host_definitions, shown
from ansible_collections.hbot.infra.plugins.module_utils.preflight import (
    VARIANTS,
    Problem,
    bot_name_fault,
    report,
    suggestion,
)

FILE = """\
# {bot}: everything the inventory knows of this bot. docs/inventory.md lists what else can be said here.
bots:
  hosts:
    {bot}:
      bot_vps: {vps}
      bot_mode: paper
      bot_variant: {variant}
"""

COMMAND = "the command line"


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core ships no types
    """Writes ``bots/<bot>.yml`` into the inventory unless the inventory has the bot; one that is there stays.

    A new bot starts in paper mode. The file carries the state: the arguments only say how it begins, and may not differ
    from it later.
    """

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Check the arguments, then write the file."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        strings = {name: {"type": "str", "default": ""} for name in ("bot", "variant", "vps")}
        _, arguments = self.validate_argument_spec(strings)
        variables = task_vars or {}
        machines = variables["groups"].get("vps", [])
        sources = variables["ansible_inventory_sources"]
        bot, variant, vps = arguments["bot"], arguments["variant"] or "a", arguments["vps"]
        there = (
            host_definitions(self._loader, sources).get(bot, ()) if bot in variables["groups"].get("bots", []) else ()
        )

        problems = [*_name(bot, {*machines, *variables["groups"]})]
        if there:
            raw = variables["hostvars"].raw_get(bot)
            problems += _differences(there[0], arguments, raw)
        else:
            problems += _begin(variant, vps, machines)
        if problems:
            return {**result, "failed": True, "msg": report(problems)}
        if there:
            return {**result, "changed": False, "path": there[0].rsplit(":", 1)[0]}

        path = _directory(sources) / "bots" / f"{bot}.yml"
        text = FILE.format(bot=bot, vps=vps or machines[0], variant=variant)
        if path.exists():
            fault = Problem(shown(path), bot, "the file is there, and does not define this bot", "correct or delete it")
            return {**result, "failed": True, "msg": report([fault])}
        if not self._task.check_mode:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        diff = {"before": "", "after": text, "before_header": shown(path), "after_header": shown(path)}
        return {**result, "changed": True, "path": shown(path), "diff": diff}


def _name(bot: str, others: Iterable[str]) -> list[Problem]:
    if not bot:
        return [Problem(COMMAND, "bot", "it names no bot", "add -e bot=bot3 (or the name you want)")]
    fault = bot_name_fault(bot, others)
    return [] if fault is None else [Problem(COMMAND, "bot", fault, "choose another name")]


def _begin(variant: str, vps: str, machines: list[str]) -> list[Problem]:
    problems = []
    if variant not in VARIANTS:
        problems.append(Problem(COMMAND, "variant", f"{variant!r} is unknown", f"one of {', '.join(VARIANTS)}"))
    known = ", ".join(machines) or "the inventory has none"
    if vps and vps not in machines:
        wrong = f"there is no VPS {vps!r}{suggestion(vps, machines)}"
        problems.append(Problem(COMMAND, "vps", wrong, f"a host of group vps ({known})"))
    elif not vps and len(machines) != 1:
        problems.append(Problem(COMMAND, "vps", "it does not say which VPS", f"add -e vps=, one of: {known}"))
    return problems


def _differences(file: str, arguments: dict[str, str], present: dict[str, Any]) -> list[Problem]:
    return [
        Problem(
            file,
            f"bot_{name}",
            f"the bot is there with {present.get(f'bot_{name}')!r}, and the command line says {arguments[name]!r}",
            "change the file and run site.yml, or leave the argument out",
        )
        for name in ("variant", "vps")
        if arguments[name] and arguments[name] != present.get(f"bot_{name}")
    ]


def _directory(sources: list[str]) -> Path:
    """The inventory's directory: the first source's."""
    first = Path(sources[0])
    return first if first.is_dir() else first.parent
