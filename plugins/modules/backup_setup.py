#!/usr/bin/python
# Copyright: hbot.infra maintainers. Not for redistribution.
"""Make the backup repositories and start the timers."""
# ruff: noqa: E402 (Ansible wants the documentation ahead of the imports)

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_setup
short_description: Makes the backup repositories and starts the timers
description:
  - Asserts the repositories' key, the repositories, and the units, in one module run. The program itself, its settings
    and the units' files are there already.
  - A repository that is there is proved to open with the key once; later runs reach for nothing.
version_added: 0.1.0
options:
  root:
    description: The directory of everything on the VPS.
    type: path
    default: /opt/hbot
  key:
    description: The key of the repositories. When it is empty, the one on the VPS stays, or one is made.
    type: str
    no_log: true
    default: ""
  units:
    description: The units to enable; timers among them are started.
    type: list
    elements: str
    required: true
  reload:
    description: Whether systemd has to read the units' files anew.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Says what would change; reaches for no repository.
author: hbot.infra maintainers
"""

EXAMPLES = r"""
- name: The repositories are there, and the timers run
  hbot.infra.backup_setup:
    units: [hbot-backup.timer]
  register: made
"""

RETURN = r"""
key_made:
  description: Whether the key was made in this run.
  returned: always
  type: bool
key:
  description: That key, to be handed to the operator. Empty when none was made.
  returned: always
  type: str
"""

import secrets
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hbot.infra.plugins.module_utils import host_files, systemd_units

WARNING = "docs/backup.md says how a key is changed"


def settle_key(module: AnsibleModule, file: Path) -> str:
    """Have a key on the VPS; returns it when it was made just now, else nothing."""
    given: str = module.params["key"].strip()
    there = (host_files.read(file) or b"").decode().strip()
    if there:
        if given and given != there:
            module.fail_json(
                msg=f"The repositories of this VPS have another key than the one given; {WARNING}. Nothing was changed."
            )
        return ""
    made = "" if given else secrets.token_urlsafe(32)
    if not module.check_mode:
        host_files.write(file, f"{given or made}\n".encode(), 0o600, 0, 0)
    return made


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "default": "/opt/hbot"},
            "key": {"type": "str", "no_log": True, "default": ""},
            "units": {"type": "list", "elements": "str", "required": True},
            "reload": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    root = Path(module.params["root"])
    program, file = str(root / "scripts" / "host_backup"), root / "env" / "backup" / "password"
    try:
        key_there = host_files.read(file) is not None
        made = settle_key(module, file)
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}", exception=None)
    changed = not key_there
    ready = key_there and Path(program).exists() and module.run_command([program, "set-up", "--check"])[0] == 0
    if not ready:
        changed = True
        if not module.check_mode:
            code, out, err = module.run_command([program, "set-up"])
            if code != 0:
                module.fail_json(msg=err.strip() or out.strip() or "the repositories could not be made")
    units = module.params["units"]
    idle = [unit for unit in units if not unit.endswith(".timer")]
    settled = systemd_units.settle(module, units, reload=module.params["reload"], idle=idle)
    changed = bool(settled) or changed
    module.exit_json(changed=changed, key_made=bool(made) and not module.check_mode, key=made)


if __name__ == "__main__":
    main()
