#!/usr/bin/python
# Copyright: hbot.infra maintainers. Not for redistribution.
"""Documentation of the action plugin `login`, which needs no Python on the other side."""

from __future__ import annotations

DOCUMENTATION = r"""
module: login
short_description: Tells whether the login to a machine works
description:
  - Logs in as C(ansible_user) and runs C(true). A login that does not work is no failure; it is what is returned.
version_added: 0.1.0
options: {}
author:
  - hbot.infra maintainers (@hbot-infra)
attributes:
  check_mode:
    support: full
    description: Nothing is changed in either mode.
"""

EXAMPLES = r"""
- name: It is known whether the operator's user can log in
  hbot.infra.login:
  register: login
"""

RETURN = r"""
reached:
  description: Whether it works.
  type: bool
  returned: success
said:
  description: What was said where it does not.
  type: str
  returned: success
"""
