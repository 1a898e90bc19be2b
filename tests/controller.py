"""An operator's controller: inventories to write, and Ansible's commands run on them in the three ways there are."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ0aGlzIGlzIG5vdCBhIGtleSBidXQgbG9va3MgbGlrZSA= operator@test"
CLOSED = {"ansible_host": "127.0.0.1", "ansible_port": 1}
"""A port on which nothing listens: a run that reaches for it fails at once, and says that it is unreachable."""


@dataclass(frozen=True)
class Run:
    """A finished command: its exit code and everything it printed."""

    code: int
    output: str

    @property
    def problems(self) -> list[str]:
        """The lines of the preflight's message."""
        return [line.removeprefix("  - ") for line in self.output.splitlines() if line.startswith("  - ")]


@dataclass(frozen=True)
class Way:
    """One of the three ways in which the playbooks are run."""

    name: str
    directory: Path
    """The working directory: the checkout, or an empty one."""
    prefix: str
    """What stands before a playbook's name, and ...."""
    suffix: str
    """... behind it."""
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, playbook: str, inventory: Path, *arguments: str) -> Run:
        """Run a playbook on an inventory."""
        name = f"{self.prefix}{playbook}{self.suffix}"
        return command("ansible-playbook", "-i", str(inventory), name, *arguments, way=self)


ROOT_PLAYBOOK = Way("site.yml", ROOT, "", ".yml")
PLAYBOOKS_DIRECTORY = Way("playbooks/site.yml", ROOT, "playbooks/", ".yml")


def installed(collections: Path, empty_directory: Path) -> Way:
    """The way of a collection that was installed into ``collections``: no checkout and no ansible.cfg in sight."""
    return Way(
        "hbot.infra.site",
        empty_directory,
        "hbot.infra.",
        "",
        {"ANSIBLE_COLLECTIONS_PATH": str(collections), "ANSIBLE_CONFIG": ""},
    )


def command(*words: str, way: Way = ROOT_PLAYBOOK) -> Run:
    """Run one of Ansible's commands with this environment's Ansible."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment |= {"ANSIBLE_NOCOLOR": "1", "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}"}
    environment |= way.environment
    if not environment.get("ANSIBLE_CONFIG", "unset"):
        del environment["ANSIBLE_CONFIG"]
    run = subprocess.run(
        words,
        cwd=way.directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,  # long after the slowest of machines has ended it
        check=False,
    )
    return Run(run.returncode, run.stdout)


def write_inventory(directory: Path, **files: Any) -> Path:
    """An inventory of one VPS and one bot; ``files`` replaces or adds files.

    A keyword is a path without ``.yml``, with ``__`` for ``/``: ``bots__bot1={…}`` is ``bots/bot1.yml``. A value is the
    file's data, its text, or ``None`` for no such file.
    """
    contents: dict[str, Any] = {
        "00_base": {"plugin": "hbot.infra.base"},
        "hosts": vps(),
        "bots__bot1": bot("bot1"),
    }
    for name, data in {**contents, **files}.items():
        if data is None:
            continue
        file = directory / f"{name.replace('__', '/')}.yml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(data if isinstance(data, str) else yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return directory


def vps(name: str = "vps1", **variables: Any) -> dict[str, Any]:
    """The data of a ``hosts.yml`` with one VPS that nobody can reach."""
    own = {**CLOSED, "host_access_authorized_keys": [KEY], "monitoring_grafana_password": "example", **variables}
    return {"vps": {"hosts": {name: own}}}


def bot(name: str, **variables: Any) -> dict[str, Any]:
    """The data of a bot's file: variant a in paper mode on vps1. A variable that is ``None`` is left out."""
    own = {"bot_vps": "vps1", "bot_mode": "paper", "bot_variant": "a", **variables}
    return {"bots": {"hosts": {name: {key: value for key, value in own.items() if value is not None}}}}
