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
books:
  description:
    - By bot and instance (C(bot1_a)), the last row of the minute book and of the fills book, and how many fills there
      are.
    - A row is a mapping of columns to strings; an empty book has no row.
  type: dict
  returned: success
"""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hbot.infra.plugins.module_utils.csv_rows import count_rows, last_row


def books(root: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """The last rows of every instance's books, by bot and instance."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for directory in sorted(root.glob("data/*/logs/epp_v24/*")):
        bot = directory.relative_to(root / "data").parts[0]
        found.setdefault(bot, {})[directory.name] = {
            "minute": last_row(directory / "minute.csv"),
            "fill": last_row(directory / "fills.csv"),
            "fills": count_rows(directory / "fills.csv"),
        }
    return found


def docker(*arguments: str) -> str:
    """Run docker and return what it prints.

    :raises RuntimeError: with docker's own words, when it cannot be run or its daemon does not answer.
    """
    try:
        run = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=30, check=True)
    except FileNotFoundError:
        raise RuntimeError("docker is not installed; site.yml installs it") from None
    except subprocess.TimeoutExpired:
        raise RuntimeError("docker did not answer within 30 s") from None
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"docker {arguments[0]}: {error.stderr.strip()}") from None
    return run.stdout


def containers() -> dict[str, dict[str, Any]]:
    """The containers of this product, by name."""
    ids = docker("ps", "--all", "--quiet", "--filter", "name=^/?hbot-").split()
    found: list[dict[str, Any]] = json.loads(docker("inspect", *ids)) if ids else []
    return {
        container["Name"].lstrip("/"): {
            "bot": container["Config"]["Labels"].get("hbot.bot"),
            "image": container["Config"]["Image"],
            "state": container["State"]["Status"],
            "health": container["State"].get("Health", {}).get("Status"),
            "exit_code": container["State"]["ExitCode"],
            "oom_killed": container["State"]["OOMKilled"],
            "restarts": container["RestartCount"],
            "started_at": container["State"]["StartedAt"],
        }
        for container in found
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={"root": {"type": "path", "default": "/opt/hbot"}}, supports_check_mode=True)
    try:
        module.exit_json(
            changed=False, now=time.time(), containers=containers(), books=books(Path(module.params["root"]))
        )
    except RuntimeError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
