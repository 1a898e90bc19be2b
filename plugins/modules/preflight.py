#!/usr/bin/python
# Copyright: hbot.infra maintainers. Not for redistribution.
"""Documentation of the action plugin `preflight`, which does all of its work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Checks the inventory before any machine is reached
description:
  - Reads the inventory's files and the resolved variables of the hosts in the play, and fails with all problems in one
    message, each with the file, the variable and the fix.
  - Everything runs on the controller; no connection is made.
  - With C(--limit) only the chosen hosts are checked, so that a mistake in one bot's file never stops work on another.
version_added: 0.1.0
author:
  - hbot.infra maintainers (@hbot-infra)
attributes:
  check_mode:
    support: full
    description: Nothing is changed in either mode.
"""

EXAMPLES = r"""
- name: The inventory is sound
  hbot.infra.preflight:
  run_once: true
"""

RETURN = r"""
through:
  description: By VPS, the host of this play to look at it through - the VPS itself, or else a bot that runs there.
  type: dict
  returned: success
  sample: {vps1: bot3}
homes:
  description: By bot of the whole inventory, the VPS that it is to be on.
  type: dict
  returned: success
  sample: {bot3: vps1}
bots:
  description: The bots of this play.
  type: list
  elements: str
  returned: success
  sample: [bot3]
"""
