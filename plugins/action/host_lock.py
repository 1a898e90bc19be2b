"""Takes the lock of a VPS for this run of ansible-playbook, or gives it back."""

from __future__ import annotations

import getpass
import os
import platform
import subprocess
import time
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.hbot.infra.plugins.module_utils.host_lock import QUIET_S

POLL_S = 2.0


def started(pid: int) -> str:
    """When a process of this machine began; empty when there is none, or it is only not yet reaped."""
    shown = subprocess.run(
        ["ps", "-o", "state=", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, moment = shown.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else " ".join(moment.split())


def this_run() -> str:
    """What names this run of ansible-playbook: a task's process is a child of it."""
    pid = os.getppid()
    return f"{platform.node()}|{pid}|{started(pid)}"


def is_over(run: str) -> bool:
    """Whether a run was one of this machine and its process is gone."""
    node, pid, moment = run.split("|", 2)
    return node == platform.node() and started(int(pid)) != moment


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core ships no types
    """Asks the VPS again and again until it gets the lock, or has waited long enough."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Take the lock, or give it back."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = {**self._task.args, "run": this_run(), "who": f"{getpass.getuser()}@{platform.node()}"}
        deadline = time.monotonic() + float(arguments.get("wait", 300))
        at_work, told, gone = time.monotonic(), False, ""
        while True:
            answer: dict[str, Any] = self._execute_module(
                module_name="hbot.infra.host_lock", module_args={**arguments, "gone": gone}, task_vars=task_vars
            )
            held = answer.get("held")
            if held is None:
                return {**result, **answer}
            now = time.monotonic()
            at_work = now if answer["at_work"] else at_work
            other = str(held.get("run", ""))
            if other and (is_over(other) or now - at_work > QUIET_S):
                gone = other
                continue
            if now > deadline:
                message = f"Nothing was done: {answer['said']} holds this VPS. Wait until that is over, then run again."
                return {**result, "failed": True, "msg": message}
            if not told:
                Display().display(f"waiting for {answer['said']}")
                told = True
            time.sleep(POLL_S)
