#!/usr/bin/python
# Copyright: hbot.infra maintainers. Not for redistribution.
"""Leave the go-live gate's mark for a bot, or take it away."""
# ruff: noqa: E402 (Ansible wants the documentation ahead of the imports)

from __future__ import annotations

DOCUMENTATION = r"""
module: golive_mark
short_description: Leaves the go-live gate's mark for a bot, or takes it away
version_added: 0.1.0
description:
  - The mark C(env/<bot>/golive.json) is what lets a bot trade with money. It holds what the gate let through, the
    maximum notional, and when the confirmation ends. The bot reads it while it runs.
  - A mark that is taken away, or replaced, is kept in C(golive/<bot>/).
options:
  root:
    description: The directory of the installation on the host.
    type: path
    required: true
  bot:
    description: The bot's name.
    type: str
    required: true
  gid:
    description: The group that the bot runs as, which may read the mark.
    type: int
    required: true
  outcome:
    description: What the gate answered, which must be that everything passes. Required unless O(state=absent).
    type: dict
  report:
    description: Where the outcome is kept.
    type: str
    default: ""
  network:
    description: The Docker network from which the bot trades.
    type: str
    default: hbot-trading
  exchange:
    description: Where a rehearsal finds its exchange.
    type: dict
    default: {}
  state:
    description: V(absent) takes the mark away.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    support: full
    description: Nothing is written.
author: hbot.infra maintainers
"""

EXAMPLES = r"""
- name: The bot may trade with money
  hbot.infra.golive_mark:
    root: /opt/hbot
    bot: bot1
    gid: 6420
    outcome: "{{ golive_gate_answer.outcome }}"
    report: "{{ golive_gate_answer.report }}"
"""

RETURN = r"""
expires_at:
  description: When the confirmation ends, unix seconds.
  type: float
  returned: when O(state=present)
"""

import json
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hbot.infra.plugins.module_utils import golive_marks, host_files

DAY_S = 86_400.0


def made(params: dict[str, Any], now: float) -> dict[str, Any]:
    """The mark for what the gate let through.

    :raises ValueError: it let nothing through.
    """
    outcome = params["outcome"] or {}
    if outcome.get("passed") is not True or outcome.get("bot") != params["bot"]:
        raise ValueError(f"the go-live gate did not let {params['bot']} through")
    return {
        "schema": golive_marks.SCHEMA,
        "bot": params["bot"],
        "account": outcome["account"],
        "max_notional_quote": outcome["max_notional_quote"],
        "passed_at": now,
        "expires_at": now + outcome["days"] * DAY_S,
        "strategy_hash": outcome["strategy_hash"],
        "config_hash": outcome["config_hash"],
        "profile": outcome["profile"],
        "waivers": {item["key"]: item["waiver"] for item in outcome["items"] if item["waiver"]},
        "report": params["report"],
        "network": params["network"],
        "exchange": params["exchange"],
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "bot": {"type": "str", "required": True},
            "gid": {"type": "int", "required": True},
            "outcome": {"type": "dict"},
            "report": {"type": "str", "default": ""},
            "network": {"type": "str", "default": "hbot-trading"},
            "exchange": {"type": "dict", "default": {}},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        required_if=[("state", "present", ["outcome"])],
        supports_check_mode=True,
    )
    params = module.params
    root, bot = Path(params["root"]), params["bot"]
    path, now = golive_marks.path_of(root, bot), time.time()
    result: dict[str, Any] = {}
    try:
        there = host_files.read(path)
        wanted = made(params, now) if params["state"] == "present" else None
        if wanted is not None:
            result["expires_at"] = wanted["expires_at"]
        changed = wanted is not None or there is not None
        if changed and not module.check_mode:
            if there is not None:
                golive_marks.set_aside(root, bot, there, now)
            if wanted is None:
                path.unlink()
            else:
                host_files.write(path, (json.dumps(wanted, indent=2) + "\n").encode(), 0o640, 0, params["gid"])
    except (ValueError, KeyError, TypeError) as error:
        module.fail_json(msg=f"{bot}: no mark was left: {error}", exception=None)
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}", exception=None)
    module.exit_json(changed=changed, **result)


if __name__ == "__main__":
    main()
