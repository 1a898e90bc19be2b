#!/usr/bin/python
# Copyright: hbot.infra maintainers. Not for redistribution.
"""Do to a running bot what its operator wants."""
# ruff: noqa: E402 (Ansible wants the documentation ahead of the imports)

from __future__ import annotations

DOCUMENTATION = r"""
module: bot_control
short_description: Starts, stops, pauses, kills or resets a bot on its VPS
description:
  - V(start), V(stop) and V(restart) are Docker's; a stop cancels the bot's orders first.
  - A restart waits out a shock in the market, because a bot that starts quotes anew. O(force) does not wait.
  - V(pause), V(resume), V(reset), V(transfer) and V(kill) are told to the bot itself, and its answer is returned.
  - Whatever is done, and why, stands in the journal of the VPS; what the bot was told stands in its own log as well.
version_added: 0.1.0
options:
  root:
    description: The directory of the installation.
    type: path
    default: /opt/hbot
  bot:
    description: The bot.
    type: str
    required: true
  variant:
    description: Its variant, which names its books.
    type: str
    required: true
  action:
    description: What to do.
    type: str
    choices: [start, stop, restart, pause, resume, kill, reset, transfer]
    required: true
  reason:
    description: Why.
    type: str
    required: true
  base:
    description: For V(transfer), the deposit of the base coin; negative for a withdrawal.
    type: str
    default: '0'
  quote:
    description: For V(transfer), the deposit of the quote coin; negative for a withdrawal.
    type: str
    default: '0'
  force:
    description: Restart in a shock, too.
    type: bool
    default: false
  patience:
    description: Seconds that a restart waits for a shock to end.
    type: int
    default: 1800
author:
  - hbot.infra maintainers (@hbot-infra)
attributes:
  check_mode:
    support: full
    description: Says what it would do.
"""

EXAMPLES = r"""
- name: The bot pauses
  hbot.infra.bot_control:
    bot: bot1
    variant: a
    action: pause
    reason: news at 14:00
"""

RETURN = r"""
said:
  description: What was done, or what the bot answered.
  type: str
  returned: success
"""

import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hbot.infra.plugins.module_utils.csv_rows import last_row

SHOCK = "high_vol_shock"
POLL_S = 10.0


class RefusedError(Exception):
    """It was not done; the message says why, and what to do."""


def docker(module: AnsibleModule, *arguments: str) -> str:
    """Run docker and return what it says.

    :raises RefusedError: with docker's or the bot's own words.
    """
    code, out, err = module.run_command(["docker", *arguments])
    if code != 0:
        raise RefusedError((err or out).strip())
    return str(out).strip()


def running(module: AnsibleModule, container: str) -> bool:
    """Whether the bot's container runs.

    :raises RefusedError: when there is none.
    """
    try:
        return docker(module, "inspect", "--format", "{{.State.Running}}", container) == "true"
    except RefusedError:
        raise RefusedError(f"there is no container {container}: run site.yml") from None


def regime(params: dict[str, Any]) -> str:
    """The market's regime by the bot's last minute; empty when it has none."""
    name = f"{params['bot']}_{params['variant']}"
    book = Path(params["root"], "data", params["bot"], "logs", "epp_v24", name, "minute.csv")
    row: dict[str, str] | None = last_row(book)
    return row["regime"] if row else ""


def wait_out_the_shock(params: dict[str, Any]) -> None:
    """Return when the market is in no shock.

    :raises RefusedError: it was one for all of the operator's patience.
    """
    deadline = time.monotonic() + params["patience"]
    while regime(params) == SHOCK:
        if time.monotonic() > deadline:
            raise RefusedError(
                f"the market has been in {SHOCK} for {params['patience']} s, and a restart would quote into it: "
                "-e force=true restarts all the same"
            )
        time.sleep(POLL_S)


def carry_out(module: AnsibleModule) -> tuple[bool, str]:
    """Do it; returns whether anything changed, and what to say.

    :raises RefusedError: it was not done.
    """
    params = module.params
    action, container = params["action"], f"hbot-{params['bot']}"
    runs = running(module, container)
    if action in ("start", "stop"):
        wanted = action == "start"
        if runs == wanted:
            return False, f"{container} {'runs' if runs else 'is stopped'} already"
        if not module.check_mode:
            docker(module, action, container)
        return True, f"{container} {'runs' if wanted else 'is stopped, its orders cancelled'}"
    if not runs:
        raise RefusedError(f"{container} does not run, and so cannot {action}: start it first")
    if module.check_mode:
        return True, f"{container} would be asked to {action}"
    if action == "restart":
        if not params["force"]:
            wait_out_the_shock(params)
        docker(module, "restart", container)
        return True, f"{container} was restarted"
    told = ["exec", container, "python", "-m", "controllers.epp", "control", action, "--reason", params["reason"]]
    if action == "transfer":
        told += [f"--base={params['base']}", f"--quote={params['quote']}"]
    return True, docker(module, *told)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "default": "/opt/hbot"},
            "bot": {"type": "str", "required": True},
            "variant": {"type": "str", "required": True},
            "action": {
                "type": "str",
                "choices": ["start", "stop", "restart", "pause", "resume", "kill", "reset", "transfer"],
                "required": True,
            },
            "reason": {"type": "str", "required": True},
            "base": {"type": "str", "default": "0"},
            "quote": {"type": "str", "default": "0"},
            "force": {"type": "bool", "default": False},
            "patience": {"type": "int", "default": 1800},
        },
        supports_check_mode=True,
    )
    try:
        changed, said = carry_out(module)
    except RefusedError as refused:
        module.fail_json(msg=f"{module.params['bot']}: {refused}")
    module.exit_json(changed=changed, said=said)


if __name__ == "__main__":
    main()
