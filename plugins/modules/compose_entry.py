#!/usr/bin/python
# Copyright: hbot.infra maintainers. Not for redistribution.
"""Keep the compose file for hands in step with the fragments beside it."""
# ruff: noqa: E402 (Ansible wants the documentation ahead of the imports)

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_entry
short_description: Keeps the compose entry file in step with the fragments beside it
version_added: 0.1.0
description:
  - Writes C(docker-compose.yml), which includes every other C(*.yml) of its directory, so that C(docker compose) typed
    there knows all services. Ansible itself works with single fragments.
  - What is included is what is there, not what the inventory says, because a missing fragment would make the whole file
    unusable. A lock keeps bots that converge at the same time from writing past each other.
options:
  path:
    description: The directory of the fragments.
    type: path
    required: true
  project:
    description: The compose project's name.
    type: str
    required: true
  expected:
    description: A fragment, by file name, that counts as there in check mode, when the task that writes it has not run.
    type: str
  pending:
    description: A file that the task which wrote a fragment keeps until the fragment is included; it goes here.
    type: str
attributes:
  check_mode:
    support: full
    description: Says what would be written.
  diff_mode:
    support: full
    description: Shows the file before and after.
author: hbot.infra maintainers
"""

EXAMPLES = r"""
- name: The compose file for hands includes every fragment
  hbot.infra.compose_entry:
    path: /opt/hbot/compose
    project: hbot
"""

RETURN = r"""
fragments:
  description: What the file includes.
  returned: always
  type: list
  elements: str
  sample: [bot1.yml, bot2.yml]
"""

import fcntl
import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hbot.infra.plugins.module_utils import host_files
from ansible_collections.hbot.infra.plugins.module_utils.pending import Pending

NAME = "docker-compose.yml"

HEADER = """\
# For hands: `docker compose up -d`, `stop bot1`, `logs -f bot1`. Ansible works with the fragments one by one and writes
# this file anew whenever one comes or goes, so nothing put in here stays.
"""


def fragments(directory: Path, expected: str | None) -> list[str]:
    """The fragments of a directory, sorted; `expected` is one of them whether it is there yet or not."""
    found = {path.name for path in directory.glob("[!.]*.yml")} | ({expected} if expected else set())
    return sorted(found - {NAME})


def entry(project: str, names: list[str]) -> str:
    """The entry file's text."""
    includes = "".join(f"  - {name}\n" for name in names)
    return f"{HEADER}name: {project}\ninclude:\n{includes}" if names else f"{HEADER}name: {project}\nservices: {{}}\n"


def main() -> None:
    """Runs the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "project": {"type": "str", "required": True},
            "expected": {"type": "str"},
            "pending": {"type": "str"},
        },
        supports_check_mode=True,
    )
    directory = Path(module.params["path"])
    if not directory.is_dir() and not module.check_mode:
        module.fail_json(msg=f"{directory} is missing: roles bot and epp make it")
    # The directory itself is the lock: it needs no file that somebody could remove.
    lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY) if directory.is_dir() else None
    try:
        if lock is not None:
            fcntl.flock(lock, fcntl.LOCK_EX)
        names = fragments(directory, module.params["expected"] if module.check_mode else None)
        path, text = directory / NAME, entry(module.params["project"], names)
        before = (host_files.read(path) or b"").decode()
        changed = before != text or not host_files.as_wanted(path, 0o644, 0, 0)
        if changed and not module.check_mode:
            host_files.write(path, text.encode(), 0o644, 0, 0)
        if not module.check_mode:
            Pending(module.params["pending"]).followed()
    finally:
        if lock is not None:
            os.close(lock)
    result: dict[str, Any] = {"fragments": names}
    if module._diff:
        header = {"before_header": str(path), "after_header": str(path)}
        result["diff"] = header | {"before": before, "after": text}
    module.exit_json(changed=changed, **result)


if __name__ == "__main__":
    main()
