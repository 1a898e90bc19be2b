"""A generated inventory, as an operator would write it: one file a bot."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "scale"


@dataclass(frozen=True, slots=True)
class Size:
    """So many bots, spread evenly over so many machines."""

    bots: int
    hosts: int

    def __str__(self) -> str:
        return f"{self.bots} on {self.hosts}"


SIZES = (Size(1, 1), Size(10, 1), Size(100, 10), Size(1000, 100))


def write_inventory(size: Size) -> Path:
    """Write a fleet's inventory; its machines are this one, seen over a local connection."""
    directory = BUILD / f"inventory_{size.bots}_{size.hosts}"
    shutil.rmtree(directory, ignore_errors=True)
    (directory / "bots").mkdir(parents=True)
    (directory / "group_vars").mkdir()
    (directory / "00_base.yml").write_text("plugin: hbot.infra.base\n")
    machines = {
        f"vps{number}": {
            "ansible_host": "127.0.0.1",
            "ansible_connection": "local",
            "hbot_root": str(BUILD / "hosts" / f"vps{number}"),
            "host_access_authorized_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGenerated scale"],
            "monitoring_grafana_password": "scale",
        }
        for number in range(1, size.hosts + 1)
    }
    # JSON is YAML; the inventory's own reader takes it by its name.
    (directory / "hosts.yml").write_text(json.dumps({"vps": {"hosts": machines}}))
    (directory / "group_vars" / "bots.yml").write_text(
        'hbot_root: "{{ hostvars[bot_vps].hbot_root }}"\nansible_become: false\n'
    )
    for number in range(1, size.bots + 1):
        vps = f"vps{1 + number % size.hosts}"
        (directory / "bots" / f"bot{number}.yml").write_text(
            f"bots:\n  hosts:\n    bot{number}:\n      bot_vps: {vps}\n      bot_mode: paper\n      bot_variant: a\n"
        )
    return directory
