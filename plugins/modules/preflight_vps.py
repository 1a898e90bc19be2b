#!/usr/bin/python
# Copyright: hbot.infra maintainers. Not for redistribution.
"""Read what the preflight must know of a VPS."""
# ruff: noqa: E402 (Ansible wants the documentation ahead of the imports)

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_vps
short_description: Checks a VPS before anything is changed there
description:
  - Compares the operating system, memory, CPU cores, disk and clock of a VPS with what its bots in the inventory need,
    and live bots with the marks of the go-live gate there (which only root can read).
  - Fails with all problems in one message, each with the file, the variable and the fix; warns of what is only
    advised. It changes nothing.
  - The comparison runs on the controller. The module itself reads the figures on the VPS.
version_added: 0.1.0
options:
  path:
    description: Directory on whose file system the bots live (or will live). Set by the action plugin.
    type: path
    default: /opt/hbot
  homes:
    description: By bot of the whole inventory, the VPS that it is to be on, as M(hbot.infra.preflight) returns it.
    type: dict
    required: true
  bots:
    description: The bots that this run is for, of which live ones are compared with their marks.
    type: list
    elements: str
    required: true
  gate:
    description: Whether to compare live bots with the marks of the go-live gate.
    type: bool
    default: true
  moving:
    description: The bot that this run moves to another VPS; it may be on the old one.
    type: str
    default: ""
author:
  - hbot.infra maintainers (@hbot-infra)
attributes:
  check_mode:
    support: full
    description: Nothing is changed in either mode.
"""

EXAMPLES = r"""
- name: The VPS can hold its bots
  hbot.infra.preflight_vps:
    homes: "{{ preflight_inventory.homes }}"
    bots: "{{ preflight_inventory.bots }}"
"""

RETURN = r"""
survey:
  description: What was found.
  type: dict
  returned: success
  sample:
    os_id: ubuntu
    os_version: "24.04"
    os_name: Ubuntu 24.04.1 LTS
    memory_mb: 7940
    cpus: 4
    disk_gb: 77.3
    systemd: true
    golive_marks: {}
ansible_facts:
  description:
    - The facts that the roles ask for, but the last named as by M(ansible.builtin.setup), which takes a second.
  type: dict
  returned: success
  sample:
    ansible_distribution: Ubuntu
    ansible_distribution_release: noble
    ansible_architecture: x86_64
    ansible_hostname: vps1
    ansible_container: none
"""

import os
import platform
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hbot.infra.plugins.module_utils import golive_marks


def os_release(text: str) -> dict[str, str]:
    """The fields of ``/etc/os-release``."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, value in pairs}


def memory_mb(meminfo: str) -> int:
    """MemTotal of ``/proc/meminfo``, in MiB."""
    for line in meminfo.splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) // 1024
    raise ValueError("/proc/meminfo has no MemTotal")


def existing(path: Path) -> Path:
    """The path itself, or the nearest directory above it that exists."""
    return next(parent for parent in (path, *path.parents) if parent.is_dir())


def usable(root: Path, bot: str) -> dict[str, Any] | None:
    """The go-live gate's mark; None for one that cannot be used."""
    try:
        mark: dict[str, Any] | None = golive_marks.whole(root, bot)
    except (golive_marks.MarkError, OSError):
        return None
    return mark


def survey(path: Path, release: dict[str, str]) -> dict[str, Any]:
    """The figures of this machine, which runs the release of `/etc/os-release`."""
    disk = os.statvfs(existing(path))
    return {
        "os_id": release.get("ID", "unknown"),
        "os_version": release.get("VERSION_ID", ""),
        "os_name": release.get("PRETTY_NAME", "an unknown system"),
        "memory_mb": memory_mb(Path("/proc/meminfo").read_text(encoding="utf-8")),
        "cpus": len(os.sched_getaffinity(0)),
        "disk_gb": round(disk.f_blocks * disk.f_frsize / 1e9, 1),
        "systemd": Path("/run/systemd/system").is_dir(),
        "fragments": sorted(fragment.stem for fragment in (path / "compose").glob("*.yml")),
        "golive_marks": {mark.parent.name: usable(path, mark.parent.name) for mark in path.glob("env/*/golive.json")},
    }


def facts(release: dict[str, str], container: str) -> dict[str, str]:
    """The facts that the roles ask for; every task carries them, so there are no more."""
    return {
        "ansible_distribution": release.get("ID", "unknown").capitalize(),
        "ansible_distribution_release": release.get("VERSION_CODENAME", ""),
        "ansible_architecture": platform.machine(),
        "ansible_hostname": platform.node().split(".")[0],
        "ansible_container": container,
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={"path": {"type": "path", "default": "/opt/hbot"}}, supports_check_mode=True)
    release = os_release(Path("/etc/os-release").read_text(encoding="utf-8"))
    detect = module.get_bin_path("systemd-detect-virt")
    container = module.run_command([detect, "--container"])[1].strip() if detect else "none"
    module.exit_json(
        changed=False,
        survey=survey(Path(module.params["path"]), release),
        ansible_facts=facts(release, container),
        clock_s=time.time(),
    )


if __name__ == "__main__":
    main()
