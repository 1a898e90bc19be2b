"""A VPS that the preflight can look at: this machine, with another system and another memory put in its place."""

import sys
from pathlib import Path
from typing import Any

from tests.controller import KEY

SITECUSTOMIZE = """\
import os
import pathlib

ROOT = os.path.dirname(__file__) + "/root"


def redirected(method):
    def look(self, *arguments, **keywords):
        own = ROOT + str(self)
        return method(pathlib.Path(own) if os.path.exists(own) else self, *arguments, **keywords)

    return look


pathlib.Path.read_text = redirected(pathlib.Path.read_text)
pathlib.Path.is_dir = redirected(pathlib.Path.is_dir)
"""


def stand_in(directory: Path, system: str = "ubuntu 24.04 Ubuntu 24.04.1 LTS", memory_mb: int = 7900) -> dict[str, Any]:
    """Make a Python that sees such a VPS; returns the variables of a host that is looked at through it."""
    system_id, version, name = system.split(" ", 2)
    root = directory / "root"
    for path in ("etc", "proc", "run/systemd/system"):
        (root / path).mkdir(parents=True)
    (root / "etc/os-release").write_text(f'PRETTY_NAME="{name}"\nID={system_id}\nVERSION_ID="{version}"\n')
    (root / "proc/meminfo").write_text(f"MemTotal:       {memory_mb * 1024} kB\n")
    (directory / "sitecustomize.py").write_text(SITECUSTOMIZE)
    python = directory / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={directory} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return {
        "ansible_connection": "local",
        "ansible_python_interpreter": str(python),
        "host_access_authorized_keys": [KEY],
        "monitoring_grafana_password": "example",
    }
