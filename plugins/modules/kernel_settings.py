#!/usr/bin/python
# Copyright: hbot.infra maintainers. Not for redistribution.
"""Have the kernel follow a file of settings."""
# ruff: noqa: E402 (Ansible wants the documentation ahead of the imports)

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_settings
short_description: Has the running kernel follow a file below /etc/sysctl.d
description:
  - Compares the settings with what the running kernel has, and loads the file when one of them differs, because the
    file is new or because somebody changed the kernel's value by hand.
  - A setting whose name begins with C(-) may be refused by the kernel, and one that this kernel does not have is passed
    over. Neither is compared.
version_added: 0.1.0
options:
  path:
    description: The file that holds the settings.
    type: path
    required: true
  settings:
    description: Names and values, as the file has them.
    type: dict
    required: true
attributes:
  check_mode:
    support: full
    description: Reports what would be loaded, also when the file is not there yet.
  diff_mode:
    support: full
    description: The settings that differ.
author: hbot.infra maintainers
"""

EXAMPLES = r"""
- name: The kernel follows its settings
  hbot.infra.kernel_settings:
    path: /etc/sysctl.d/zz-hbot.conf
    settings: {net.ipv4.tcp_syncookies: 1}
"""

RETURN = r"""
settings:
  description: The settings that differed.
  returned: always
  type: list
  elements: str
  sample: [net.ipv4.tcp_syncookies]
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

SYSTEMD_SYSCTL = "/usr/lib/systemd/systemd-sysctl"
PROC_SYS = Path("/proc/sys")


def place(name: str, below: Path) -> Path:
    """Where the kernel shows a setting. A name whose first separator is a slash has its dots for what they are."""
    first = next((letter for letter in name if letter in "./"), "")
    return below / (name if first == "/" else name.translate(str.maketrans("./", "/.")))


def deviations(settings: dict[str, Any], below: Path = PROC_SYS) -> dict[str, tuple[str, str]]:
    """The settings that the kernel has otherwise: what it has, and what it should.

    :param settings: names and values; of two about the same thing the last one counts, as in the file.
    """
    last = {name.removeprefix("-"): (value, name.startswith("-")) for name, value in settings.items()}
    found: dict[str, tuple[str, str]] = {}
    for name, (value, may_be_refused) in last.items():
        if may_be_refused or set(name) & set("*?["):
            continue
        try:
            has = " ".join(place(name, below).read_text(encoding="utf-8").split())
        except OSError:  # this kernel does not have it, or shows it to nobody
            continue
        if has != (wanted := " ".join(str(value).split())):
            found[name] = (has, wanted)
    return found


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "settings": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    found = deviations(module.params["settings"])
    if found and not module.check_mode:
        module.run_command([SYSTEMD_SYSCTL, module.params["path"]], check_rc=True)
        for name, (has, wanted) in deviations(module.params["settings"]).items():
            module.warn(f"the kernel keeps {name} at {has} and does not take {wanted}")
    before = "".join(f"{name} = {has}\n" for name, (has, _) in found.items())
    after = "".join(f"{name} = {wanted}\n" for name, (_, wanted) in found.items())
    diff = {"before_header": "the running kernel", "after_header": module.params["path"]}
    module.exit_json(changed=bool(found), settings=list(found), diff={**diff, "before": before, "after": after})


if __name__ == "__main__":
    main()
