"""Sets a bot's mode in its own inventory file: that one line, and nothing else in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.hbot.infra.plugins.module_utils.preflight import MODES
from ansible_collections.hbot.infra.plugins.module_utils.resolved_inventory import resolve

LINE = re.compile(r"^(?P<head>[^#\n]*\bbot_mode:[ ]*)(?P<quote>['\"]?)(?P<mode>paper|live)(?P=quote)(?=[ ,}\n\r]|$)")


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core ships no types
    """Edits the line that sets ``bot_mode``, wherever in the inventory that is."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Find the line, replace the value."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            {"bot": {"type": "str", "required": True}, "mode": {"type": "str", "choices": [*MODES], "required": True}}
        )
        bot, mode = arguments["bot"], arguments["mode"]
        inventory, _ = resolve(self._loader, self._templar, task_vars or {}, [bot])
        if bot not in inventory.bots:
            return {**result, "failed": True, "msg": f"there is no bot {bot}"}
        variable = inventory.bots[bot].variables["bot_mode"]
        if variable.value == mode:
            return {**result, "changed": False, "path": variable.where}
        file, _, number = variable.where.rpartition(":")
        path = Path(file)
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
        line = lines[int(number) - 1] if number.isdigit() and 0 < int(number) <= len(lines) else ""
        match = LINE.match(line)
        # A line in a group's file would turn every bot of the group.
        if match is None or line.count("bot_mode") != 1 or bot not in "".join(lines):
            fix = f"set bot_mode: {mode} in a file of {bot}'s own, on a line of its own, and run this again"
            return {**result, "failed": True, "msg": f"{variable.where} does not set {bot}'s mode plainly: {fix}"}
        after = line[: match.start("mode")] + mode + line[match.end("mode") :]
        diff = {"before": line, "after": after, "before_header": variable.where, "after_header": variable.where}
        if not self._task.check_mode:
            lines[int(number) - 1] = after
            _replace(path, "".join(lines))
        return {**result, "changed": True, "path": file, "diff": diff}


def _replace(path: Path, text: str) -> None:
    """Put the file in place whole, as it was but for the text."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text, encoding="utf-8")
    temporary.chmod(path.stat().st_mode & 0o7777)
    temporary.replace(path)
