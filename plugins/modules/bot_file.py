#!/usr/bin/python
# Copyright: hbot.infra maintainers. Not for redistribution.
"""Documentation of the action plugin `bot_file`, which does all of its work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bot_file
short_description: Writes a new bot's file into the inventory
description:
  - Writes C(bots/<bot>.yml) into the directory of the inventory, unless the inventory has the bot already.
  - A name that no bot can have, an unknown variant and an unknown VPS are refused before anything is written.
version_added: 0.1.0
options:
  bot:
    description: The bot's name.
    type: str
    required: true
  variant:
    description: Its variant. An empty string means V(a) for a new bot, and whatever it has for one that is there.
    type: str
    default: ""
  vps:
    description: The VPS it runs on. An empty string means the only one there is.
    type: str
    default: ""
author:
  - hbot.infra maintainers (@hbot-infra)
attributes:
  check_mode:
    support: full
    description: The file is not written.
  diff_mode:
    support: full
    description: Shows the file.
"""

EXAMPLES = r"""
- name: The inventory has the bot
  hbot.infra.bot_file:
    bot: bot3
    variant: a
"""

RETURN = r"""
path:
  description: The file that holds the bot, as seen from the working directory.
  type: str
  returned: success
  sample: inventories/example/bots/bot3.yml
"""
