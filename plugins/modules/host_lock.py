#!/usr/bin/python
# Copyright: hbot.infra maintainers. Not for redistribution.
"""Take or give back the lock of a VPS."""
# ruff: noqa: E402 (Ansible wants the documentation ahead of the imports)

from __future__ import annotations

DOCUMENTATION = r"""
module: host_lock
short_description: Lets one changing run work on a VPS at a time
description:
  - Two runs that change a VPS at once would leave neither's state. The lock says who holds it and since when.
  - The lock of a run of this controller that is over is taken over at once, that of another controller's when none of
    its modules was seen for a minute. What such a run left running on the VPS is waited for.
  - Nothing is locked in check mode.
version_added: 0.1.0
options:
  state:
    description: V(held) takes or renews the lock; V(released) gives it back.
    type: str
    choices: [held, released]
    default: held
  what:
    description: What holds it, for whoever is kept waiting.
    type: str
    default: a playbook
  wait:
    description: Seconds to wait for another run before this one is refused.
    type: int
    default: 300
  run:
    description: This run. The controller's side fills it in.
    type: str
  who:
    description: Whose run it is. The controller's side fills it in.
    type: str
  gone:
    description: A run that is known to be over. The controller's side fills it in.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Nothing is done.
author: hbot.infra maintainers
"""

EXAMPLES = r"""
- name: The VPS is this run's alone
  hbot.infra.host_lock:
    what: site.yml
"""

RETURN = r"""
run:
  description: This run, for programs on the VPS that work within it.
  returned: success
  type: str
taken_from:
  description: Whose lock was taken over; empty when it was free.
  returned: success
  type: str
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hbot.infra.plugins.module_utils.host_lock import HeldError, HostLock, ansible_is_at_work

LEFT_RUNNING_S = 900


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["held", "released"], "default": "held"},
            "what": {"type": "str", "default": "a playbook"},
            "wait": {"type": "int", "default": 300},
            "run": {"type": "str"},
            "who": {"type": "str"},
            "gone": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    params = module.params
    owner = {"what": params["what"], "who": params["who"], "run": params["run"]}
    if module.check_mode:
        module.exit_json(changed=False, run=params["run"], taken_from="")
    if params["state"] == "released":
        HostLock().release(owner)
        module.exit_json(changed=False, run=params["run"], taken_from="")
    at_work = ansible_is_at_work()
    try:
        taken_from = HostLock().take(owner, params["gone"])
    except HeldError as other:
        module.exit_json(changed=False, held=other.held, said=str(other), at_work=at_work)
    deadline = time.monotonic() + LEFT_RUNNING_S
    while taken_from and ansible_is_at_work() and time.monotonic() < deadline:
        time.sleep(1)
    module.exit_json(changed=False, run=params["run"], taken_from=taken_from)


if __name__ == "__main__":
    main()
