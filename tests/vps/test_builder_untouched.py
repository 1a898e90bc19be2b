"""The embedded VPS changes nothing of the machine below it: no kernel setting, no control group, no clock."""

import os
from pathlib import Path

from tests.vps.machine import Vps

SETTINGS = {"kernel.pid_max": "77777", "vm.swappiness": "11", "fs.file-max": "654321"}


def of_this_machine(setting: str) -> str:
    """A kernel setting of the machine that the tests run on."""
    return Path("/proc/sys", *setting.split(".")).read_text().strip()


def test_a_kernel_setting_made_on_the_vps_stays_there(vps: Vps) -> None:
    before = {setting: of_this_machine(setting) for setting in SETTINGS}
    kept = {setting: vps.run(f"sysctl -n {setting}").strip() for setting in SETTINGS}
    try:
        for setting, value in SETTINGS.items():
            vps.run(f"sysctl -w {setting}={value}")
            assert vps.run(f"sysctl -n {setting}").strip() == value
        assert {setting: of_this_machine(setting) for setting in SETTINGS} == before
    finally:
        for setting, value in kept.items():
            vps.run(f"sysctl -w {setting}={value}")


def test_the_vps_cannot_set_the_clock(vps: Vps) -> None:
    assert not vps.succeeds("date --set='2001-01-01 00:00:00'")


def test_the_vps_keeps_to_its_own_control_groups(vps: Vps) -> None:
    root = Path("/sys/fs/cgroup")
    # os.walk, unlike a glob, does not mind a group that goes while it is looked into: containers come and go.
    wanted = {"init.scope", "hbot-bots.service"}
    at_the_root = {Path(directory) for directory, groups, _ in os.walk(root) if wanted.intersection(groups)}
    own = {path for path in at_the_root if len(path.relative_to(root).parts) > 1}
    assert own, "the VPS's systemd has control groups somewhere below"
    if not Path("/run/systemd/system").is_dir():  # a builder with a systemd of its own has some at the root
        assert at_the_root == own
    assert vps.run("find /sys/fs/cgroup -maxdepth 2 -name init.scope").strip()
