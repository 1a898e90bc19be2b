"""Fixtures of the proofs on the embedded VPS.

The VPS has been converged by `site.yml` from `inventories/demo` before the first of these tests. Tests that break
something put it right again before they end, so that their order does not matter. In a molecule run two VPSs share the
files between them: the tests mostly wait.
"""

import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.vps.machine import INVENTORY, ROOT, Vps, embedded_vps, run_playbook, wait_until

HOLDER = """\
import glob, sys, time
sys.path[:0] = glob.glob("/opt/hbot/host_backup/*/")
from host_backup.host_lock import held_by_this_process
with held_by_this_process("a proof", 600, print):
    time.sleep(600)
"""
HOLDER_UNIT = "hbot-proof-holder"

LAST = ("test_golive", "test_alerts", "test_remove_bot", "test_upgrade_host", "test_rebuild")
"""Files whose tests change most of the machine, in this order: what goes wrong in one spoils no other's proof."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test in this directory `vps`, and put last what changes most."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("vps")
    items.sort(key=lambda item: LAST.index(item.path.stem) if item.path.stem in LAST else -1)


@pytest.fixture(scope="session", autouse=True)  # also for tests that ask the machine without it
def vps() -> Vps:
    """The converged embedded VPS; one that nobody has converged yet, the second of a molecule run, is converged now."""
    found = Vps()
    if not found.answers():
        embedded_vps("up")
        run = run_playbook("site.yml")
        assert run.code == 0, run.output
        found.until_bots_are_well(240)
    return found


@pytest.fixture
def inventory_copy(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A copy of the demo's inventory that a test may write into, at the same depth below the project's root."""
    copy = ROOT / "build" / f"inventory_{request.node.name}"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(INVENTORY, copy, symlinks=True)
    yield copy
    shutil.rmtree(copy)


@pytest.fixture
def held(vps: Vps) -> Iterator[Callable[[], object]]:
    """Another run holds the VPS, until this is called or the test ends."""
    vps.run(f"systemd-run --quiet --collect --unit={HOLDER_UNIT} python3 -c {shlex.quote(HOLDER)}")
    try:
        # The lock of a run that failed before is free after a minute.
        wait_until("the VPS is held", lambda: vps.succeeds("grep -q 'a proof' /run/hbot/lock.json"), timeout_s=120)
        yield lambda: vps.run(f"systemctl stop {HOLDER_UNIT}")
    finally:
        if vps.succeeds(f"systemctl is-active {HOLDER_UNIT}"):
            vps.run(f"systemctl stop {HOLDER_UNIT}")
