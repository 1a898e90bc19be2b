# Copyright: hbot.infra maintainers. Not for redistribution.
"""The controller's side of hbot.infra.tree: sends a file's hash first, and its bytes only if the host lacks them."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core ships no types
    """Replaces each `src` by its hash, runs the module, and runs it again with the bytes that it asked for."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """One module run on a host that has everything, two on one that lacks a file with `src`."""
        del tmp  # ansible-core keeps it for old plugins
        arguments = dict(self._task.args)
        sources: dict[str, Path] = {}
        arguments["entries"] = [self._hashed(entry, sources) for entry in arguments.get("entries") or []]
        result: dict[str, Any] = self._execute(arguments, task_vars)
        needs = set(result.get("needs") or [])
        if needs:
            held = {digest: base64.b64encode(sources[digest].read_bytes()).decode() for digest in needs}
            arguments["entries"] = [_filled(entry, held) for entry in arguments["entries"]]
            result = self._execute(arguments, task_vars)
        return result

    def _execute(self, arguments: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(
            module_name="hbot.infra.tree", module_args=arguments, task_vars=task_vars
        )
        return result

    def _hashed(self, entry: Any, sources: dict[str, Path]) -> Any:
        """The entry with `sha256` in the place of `src`, also in the files of an immutable directory."""
        if not isinstance(entry, dict):
            return entry  # the module says what is wrong with it
        hashed = dict(entry)
        if hashed.get("src") is not None:
            path = Path(str(hashed.pop("src")))
            if not path.is_file():
                raise AnsibleActionFail(f"{hashed.get('path')}: there is no file {path} on this machine")
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            sources[digest] = path
            hashed["sha256"] = digest
        if isinstance(hashed.get("files"), dict):
            hashed["files"] = {name: self._hashed(file, sources) for name, file in hashed["files"].items()}
        return hashed


def _filled(entry: Any, held: dict[str, str]) -> Any:
    """The entry with the bytes whose hashes are in `held`."""
    if not isinstance(entry, dict):
        return entry
    filled = dict(entry)
    if filled.get("sha256") in held:
        filled["content_base64"] = held[filled["sha256"]]
    if isinstance(filled.get("files"), dict):
        filled["files"] = {name: _filled(file, held) for name, file in filled["files"].items()}
    return filled
