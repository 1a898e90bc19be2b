# Copyright: hbot.infra maintainers. Not for redistribution.
"""What the modules that run a program in a bot's image have in common."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of C(module_utils/isolated_run.py)."""

    DOCUMENTATION = r"""
options:
  root:
    description: The directory of the installation on the host.
    type: path
    required: true
  bot:
    description: The bot's name.
    type: str
    required: true
  image:
    description: The bot's image.
    type: str
    required: true
  uid:
    description: The user that the bot runs as.
    type: int
    required: true
  gid:
    description: The group that the bot runs as.
    type: int
    required: true
"""
