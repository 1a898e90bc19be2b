#!/usr/bin/python
# Copyright: hbot.infra maintainers. Not for redistribution.
"""Leave a mark of what was proven on a host, or of what failed."""
# ruff: noqa: E402 (Ansible wants the documentation ahead of the imports)

from __future__ import annotations

DOCUMENTATION = r"""
module: evidence_mark
short_description: Leaves a mark that the go-live gate reads
version_added: 0.1.0
description:
  - The mark C(evidence/<bot>/<kind>.json) says when something was tried on a bot, and what came of it. It takes the
    place of the one before, so that a failed trial takes the older proof away.
  - The moment is the host's own.
options:
  root:
    description: The directory of the installation on the host.
    type: path
    required: true
  kind:
    description: What was tried.
    type: str
    choices: [kill_from_controller]
    required: true
  bot:
    description: The bot that it was tried on.
    type: str
    required: true
  ok:
    description: Whether it succeeded.
    type: bool
    required: true
  detail:
    description: One line for a person.
    type: str
    required: true
  account:
    description: The exchange's id of the account that it was tried on. Empty when that is not known.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Nothing is written.
author: hbot.infra maintainers
"""

EXAMPLES = r"""
- name: The mark is there
  hbot.infra.evidence_mark:
    root: /opt/hbot
    kind: kill_from_controller
    bot: bot1
    ok: true
    detail: 3 orders cancelled, none open 1.1 s and 11.6 s after the start
    account: "1000000001"
"""

RETURN = r""" # """

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hbot.infra.plugins.module_utils import evidence


def main() -> None:
    """Run the module."""
    text = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "kind": text | {"choices": ["kill_from_controller"]},
            "bot": text,
            "ok": {"type": "bool", "required": True},
            "detail": text,
            "account": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    given = dict(module.params)
    if not module.check_mode:
        try:
            evidence.leave(Path(given.pop("root")), given.pop("kind"), **given)
        except OSError as error:
            module.fail_json(msg=f"{error.filename}: {error.strerror}", exception=None)
    module.exit_json(changed=True)


if __name__ == "__main__":
    main()
