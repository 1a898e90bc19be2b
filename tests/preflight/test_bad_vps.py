"""What only a look at the VPS can tell: one message with the file, the variable and the fix, and nothing touched.

The runs that must be refused are of site.yml in check mode: if one were not, this machine, which stands for the VPS,
would still be left alone.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.controller import CLOSED, Run, bot, command, vps, write_inventory
from tests.preflight.stand_in import stand_in

SMALL = {"memory_mb": 3900}
"""A machine sold with 4 GB: room for its reserve and two paper bots, and for no third."""


@pytest.fixture
def inventory(tmp_path: Path) -> Callable[..., Path]:
    """Writes an inventory whose machines are stand-ins: each keyword is one, with what is special about it."""

    def write(machines: dict[str, dict[str, Any]], **files: Any) -> Path:
        hosts = {name: stand_in(tmp_path / name, **special) for name, special in machines.items()}
        return write_inventory(tmp_path / "inventory", **{"hosts": {"vps": {"hosts": hosts}}, **files})

    return write


def run_on(inventory: Path, playbook: str, *arguments: str) -> Run:
    """Run a playbook; this machine, which stands for the VPS, need not have sudo."""
    as_it_is = ("-e", json.dumps({"ansible_become": False}))
    return command("ansible-playbook", "-i", str(inventory), playbook, *as_it_is, *arguments)


def site(inventory: Path, *arguments: str) -> Run:
    """Run site.yml."""
    return run_on(inventory, "site.yml", "--check", *arguments)


def refused(run: Run, directory: Path) -> str:
    """The one problem that the run was refused for; it must have ended there."""
    assert run.code != 0, run.output
    assert "Preflight found 1 problem; nothing was changed." in run.output
    assert "PLAY [Converge" not in run.output
    assert set(re.findall(r"changed=(\d+)", run.output)) == {"0"}
    assert len(run.problems) == 1, run.output
    return run.problems[0].replace(f"{directory}/", "")


def test_a_sound_vps_passes(inventory: Callable[..., Path]) -> None:
    directory = inventory({"vps1": {}}, bots__bot2=bot("bot2"), bots__bot3=bot("bot3"))
    run = run_on(directory, "preflight.yml")
    assert run.code == 0, run.output
    assert not run.problems


@pytest.mark.parametrize(
    ("system", "name"),
    [
        ("ubuntu 20.04 Ubuntu 20.04.6 LTS", "Ubuntu 20.04.6 LTS"),
        ("debian 12 Debian GNU/Linux 12 (bookworm)", "Debian GNU/Linux 12 (bookworm)"),
        ("debian 13 Debian GNU/Linux 13 (trixie)", "Debian GNU/Linux 13 (trixie)"),
        ("rocky 9.4 Rocky Linux 9.4 (Blue Onyx)", "Rocky Linux 9.4 (Blue Onyx)"),
    ],
)
def test_an_unsupported_system(inventory: Callable[..., Path], system: str, name: str) -> None:
    directory = inventory({"vps1": {"system": system}})
    problem = refused(site(directory), directory)
    assert problem.startswith("hosts.yml:3: hbot_allow_debian: ")
    assert f"vps1 runs {name}, which is not supported" in problem
    assert "Fix: install Ubuntu 22.04 or 24.04" in problem


def test_more_bots_than_the_vps_has_memory_for(inventory: Callable[..., Path]) -> None:
    directory = inventory({"vps1": SMALL}, bots__bot2=bot("bot2"), bots__bot3=bot("bot3", bot_memory_mb=512))
    problem = refused(site(directory), directory)
    assert problem.startswith("bots/bot1.yml:3, bots/bot2.yml:3, bots/bot3.yml:3: bot_memory_mb: ")
    assert "(bot1 1344, bot2 1344, bot3 832) and vps_reserved_memory_mb (1024) want 4544 MiB" in problem
    assert "it has 3900" in problem
    assert (
        "Fix: a bigger VPS, fewer bots on this one (bot_vps, bot_enabled: false), or a lower bot_memory_mb" in problem
    )


def test_a_limited_run_counts_the_memory_of_all_bots(inventory: Callable[..., Path]) -> None:
    directory = inventory({"vps1": SMALL}, bots__bot2=bot("bot2", bot_memory_mb=4000))
    assert "bot2 4320" in refused(site(directory, "--limit", "bot1"), directory)


def test_a_live_bot_that_has_not_passed_the_gate(inventory: Callable[..., Path]) -> None:
    secrets = dict.fromkeys(("bot_password", "bot_api_key", "bot_api_secret", "bot_api_passphrase"), "told")
    directory = inventory({"vps1": {}}, bots__bot1=bot("bot1", bot_mode="live", **secrets))
    problem = refused(site(directory), directory)
    assert problem.startswith("bots/bot1.yml:5: bot_mode: bot1 is live here, but it has no mark of the go-live gate")
    assert "Fix: bot_mode: paper" in problem


def test_one_unsound_vps_stops_the_run_for_all(inventory: Callable[..., Path]) -> None:
    machines = {"vps1": {}, "vps2": {"system": "ubuntu 20.04 Ubuntu 20.04.6 LTS"}}
    directory = inventory(machines, bots__bot2=bot("bot2", bot_vps="vps2"))
    assert "vps2 runs Ubuntu 20.04.6 LTS" in refused(site(directory), directory)


def test_one_vps_out_of_reach_stops_the_run_for_all(inventory: Callable[..., Path], tmp_path: Path) -> None:
    hosts = {**vps("vps1")["vps"]["hosts"], "vps2": stand_in(tmp_path / "vps2")}
    run = site(inventory({}, hosts={"vps": {"hosts": hosts}}))
    assert run.code != 0
    assert "vps1 (127.0.0.1) cannot be reached" in run.output
    assert "PLAY [Converge" not in run.output


def test_a_bot_whose_vps_is_out_of_reach_is_not_converged(inventory: Callable[..., Path]) -> None:
    directory = inventory({"vps2": {}}, bots__bot1=bot("bot1", bot_vps="vps2"), hosts=vps("vps2", **CLOSED))
    run = site(directory, "--limit", "bot1")
    assert run.code != 0
    assert "Connection refused" in run.output
    assert "TASK [hbot.infra.bot" not in run.output
