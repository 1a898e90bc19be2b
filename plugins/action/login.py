"""Tells whether the login works, and is no error when it does not."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core ships no types
    """Logs in and runs ``true``. That a first run's VPS refuses its operator is a finding, not a fault."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Try it."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self.validate_argument_spec({})
        try:
            self._low_level_execute_command("true", sudoable=False)
        except AnsibleConnectionFailure as failure:
            return {**result, "changed": False, "reached": False, "said": str(failure)}
        return {**result, "changed": False, "reached": True, "said": ""}
