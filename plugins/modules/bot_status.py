#!/usr/bin/python
# Copyright: hbot.infra maintainers. Not for redistribution.
"""Read how the bots of a VPS are, from their containers and from the ends of their books."""
# ruff: noqa: E402 (Ansible wants the documentation ahead of the imports)

from __future__ import annotations

DOCUMENTATION = r"""
module: bot_status
short_description: Reads how the bots of a VPS are
description:
  - Reads the state of every container whose name begins with C(hbot-), and the last rows of each bot's books.
    Whether a bot is well is judged on the controller, which knows what the inventory wants.
  - It costs two calls of docker and a few kilobytes of reading, however long the books are.
version_added: 0.1.0
options:
  root:
    description: The directory of everything on the VPS.
    type: path
    default: /opt/hbot
author:
  - hbot.infra maintainers (@hbot-infra)
attributes:
  check_mode:
    support: full
    description: Nothing is changed in either mode.
"""

EXAMPLES = r"""
- name: Read what the bots left on the VPS
  hbot.infra.bot_status:
"""

RETURN = r"""
now:
  description: The VPS's clock, seconds since the epoch.
  type: float
  returned: success
containers:
  description: By container name, its image, state, health, restarts and moment of start.
  type: dict
  returned: success
alerts:
  description: Alerts that fire on the VPS now, each with its labels and summary; none where nothing is monitored.
  type: list
  elements: dict
  returned: success
books:
  description:
    - By bot and instance (C(bot1_a)), the last row of the minute book and of the fills book, and how many fills there
      are.
    - A row is a mapping of columns to strings; an empty book has no row.
  type: dict
  returned: success
latches:
  description: Why each latched bot is latched by its watchdog, by bot.
  type: dict
  returned: success
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hbot.infra.plugins.module_utils.bot_reading import read


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={"root": {"type": "path", "default": "/opt/hbot"}}, supports_check_mode=True)
    try:
        module.exit_json(changed=False, **read(Path(module.params["root"])))
    except RuntimeError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
