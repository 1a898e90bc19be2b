#!/usr/bin/python
# Copyright: hbot.infra maintainers. Not for redistribution.
"""Documentation of the action plugin `bot_mode`, which does all of its work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bot_mode
short_description: Sets a bot's mode in its inventory file
description:
  - Replaces the value in the line that sets C(bot_mode), and nothing else in that file.
  - A line that sets it for other bots too, or that is no plain line, is refused.
version_added: 0.1.0
options:
  bot:
    description: The bot's name.
    type: str
    required: true
  mode:
    description: The mode.
    type: str
    choices: [paper, live]
    required: true
author:
  - hbot.infra maintainers (@hbot-infra)
attributes:
  check_mode:
    support: full
    description: The file is not written.
  diff_mode:
    support: full
    description: Shows the line.
"""

EXAMPLES = r"""
- name: The inventory has the bot live
  hbot.infra.bot_mode:
    bot: bot1
    mode: live
"""

RETURN = r"""
path:
  description: The file that sets the mode, as seen from the working directory.
  type: str
  returned: success
  sample: inventories/example/bots/bot1.yml
"""
