#!/usr/bin/python
# Copyright: hbot.infra maintainers. Not for redistribution.
"""Documentation of the action plugin `status_table`, which does all of its work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: status_table
short_description: Shows how the bots are, and fails when one is unwell
description:
  - Prints one line a bot, judged from what M(hbot.infra.bot_status) read on the machines of the play.
  - A bot that is not meant to trade (variant d, the stubs b and c) is well in that state.
  - Fails with the name and the fault of everything that is unwell.
version_added: 0.1.0
options:
  found:
    description: What M(hbot.infra.bot_status) returned, by the host of the play, a VPS or a bot, that asked.
    type: dict
    required: true
author:
  - hbot.infra maintainers (@hbot-infra)
attributes:
  check_mode:
    support: full
    description: Nothing is changed in either mode.
"""

EXAMPLES = r"""
- name: Every bot is well
  hbot.infra.status_table:
    found: "{{ dict(ansible_play_hosts_all | zip(ansible_play_hosts_all | map('extract', hostvars, 'status_found'))) }}"
  run_once: true
"""

RETURN = r""" # """
