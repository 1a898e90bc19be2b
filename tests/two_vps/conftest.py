"""Two embedded VPSs and an inventory of both: the commands that need more than one machine, for real."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import testinfra

from embedded_vps import layout
from tests.vps.machine import INVENTORY, KEYS, OPERATOR, ROOT, Vps, run_playbook

FIRST = os.environ.get(layout.VPS_VARIABLE, "vps1")
SECOND = os.environ.get("HBOT_EMBEDDED_SECOND_VPS", "vps2")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test in this directory `vps` and `campaign`: `make two-vps` runs them."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("vps")
            item.add_marker("campaign")


class VpsAt(Vps):
    """One of several VPSs, by its name here."""

    def __init__(self, name: str) -> None:
        self.host = testinfra.get_host(
            f"ssh://{OPERATOR}@{layout.VPSES[name].v4}",
            sudo=True,
            ssh_identity_file=str(KEYS / "id_ed25519"),
            ssh_extra_args=f"-o UserKnownHostsFile={KEYS}/known_hosts -o ConnectTimeout=10",
            controlpersist=0,
        )


def boot(name: str) -> None:
    """Boot one of the machines, empty."""
    subprocess.run(
        ["python", "-m", "embedded_vps", "reset"],
        cwd=ROOT,
        env={**os.environ, layout.VPS_VARIABLE: name},
        check=True,
        timeout=600,
    )


@pytest.fixture(scope="session")
def inventory() -> Path:
    """The demo's inventory with a second machine, called vps1 and vps2 whichever ones they are."""
    copy = ROOT / "build" / "inventory_two_vps"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(INVENTORY, copy, symlinks=True)
    hosts = (copy / "hosts.yml").read_text(encoding="utf-8")
    _, _, variables = hosts.partition("    vps1:\n")
    lines = variables.splitlines(keepends=True)
    of_host = "".join(line for line in lines if "ansible_host:" not in line)
    machines = "".join(
        f"    {name}:\n      ansible_host: {layout.VPSES[which].v4}\n{of_host}"
        for name, which in (("vps1", FIRST), ("vps2", SECOND))
    )
    (copy / "hosts.yml").write_text(f"vps:\n  hosts:\n{machines}", encoding="utf-8")
    return copy


@pytest.fixture(scope="session")
def both(inventory: Path) -> Iterator[tuple[Vps, Vps]]:
    """Both machines, converged; bot1 and bot2 are on the first."""
    boot(FIRST)
    boot(SECOND)
    run = run_playbook("site.yml", inventory=inventory)
    assert run.code == 0, run.output[-6000:]
    yield VpsAt(FIRST), VpsAt(SECOND)
    for bot in ("bot1", "bot2"):
        shutil.copy2(INVENTORY / "bots" / f"{bot}.yml", inventory / "bots" / f"{bot}.yml")
