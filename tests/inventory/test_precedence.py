"""Whatever an inventory says wins over the collection's shared base, wherever it says it and however it is run."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.controller import ROOT, Run, Way, bot, command, vps, write_inventory

BASE = ROOT / "group_vars" / "base"


def variables(inventory: Path, host: str) -> dict[str, Any]:
    """What Ansible makes of a host."""
    run = command("ansible-inventory", "-i", str(inventory), "--host", host)
    assert run.code == 0, run.output
    found: dict[str, Any] = json.loads(run.output)
    return found


def refusals(run: Run) -> dict[str, str]:
    """By variable, the place that the preflight blames."""
    return {problem.split(": ")[1]: problem.split(": ")[0] for problem in run.problems}


def test_an_inventory_overrides_the_base_in_every_place_and_in_every_way(tmp_path: Path, way: Way) -> None:
    inventory = write_inventory(
        tmp_path / "inventory",
        hosts={**vps(), "all": {"vars": {"bot_image": "unpinned"}}},
        bots__bot1=bot("bot1", bot_mode="in-the-bots-file", bot_variant="a"),
        group_vars__all={"paper_exchange_memory_mb": "in-group_vars-all"},
        group_vars__bots={"bot_memory_mb": "in-group_vars-bots"},
        group_vars__vps={"vps_reserved_memory_mb": "in-group_vars-vps"},
        host_vars__bot1={"bot_connector": "in-host_vars"},
    )
    run = way.run("site", inventory)
    assert run.code != 0
    places = {name: Path(where.split(":")[0]).relative_to(inventory) for name, where in refusals(run).items()}
    assert places == {
        "bot_image": Path("hosts.yml"),
        "bot_mode": Path("bots/bot1.yml"),
        "paper_exchange_memory_mb": Path("group_vars/all.yml"),
        "bot_memory_mb": Path("group_vars/bots.yml"),
        "vps_reserved_memory_mb": Path("group_vars/vps.yml"),
        "bot_connector": Path("host_vars/bot1.yml"),
    }, run.output


def test_the_base_is_read_in_every_way(tmp_path: Path, way: Way) -> None:
    inventory = write_inventory(tmp_path / "inventory")
    run = way.run("site", inventory)
    assert not run.problems, run.output
    assert "UNREACHABLE" in run.output or "unreachable" in run.output, (
        "the preflight of the inventory should have passed"
    )


@pytest.mark.parametrize("first", ["00_a", "zz_hosts"])
def test_the_order_of_files_does_not_matter(tmp_path: Path, first: str) -> None:
    """A file that Ansible reads before the base wins as well as one that it reads after it."""
    inventory = write_inventory(tmp_path, **{first: {"all": {"vars": {"bot_memory_mb": 77}}}})
    assert variables(inventory, "bot1")["bot_memory_mb"] == 77


@pytest.mark.parametrize("group", ["alpha", "zeta"])
def test_a_group_of_the_operators_own_wins_whatever_its_name(tmp_path: Path, group: str) -> None:
    inventory = write_inventory(tmp_path, groups={group: {"hosts": {"bot1": None}, "vars": {"bot_memory_mb": 77}}})
    assert variables(inventory, "bot1")["bot_memory_mb"] == 77


def test_what_nobody_sets_comes_from_the_base(tmp_path: Path) -> None:
    found = variables(write_inventory(tmp_path, bots__bot1={"bots": {"hosts": {"bot1": None}}}), "bot1")
    for file in ("all.yml", "bots.yml", "vps.yml"):
        for name, value in yaml.safe_load((BASE / file).read_text(encoding="utf-8")).items():
            if not name.startswith(("ansible_", "__")):
                assert found[name] == value


def test_a_bot_is_reached_as_its_vps_is(tmp_path: Path) -> None:
    inventory = write_inventory(
        tmp_path,
        hosts=vps(ansible_port=2222, host_access_user="me", ansible_ssh_private_key_file="~/.ssh/other"),
    )
    show = (
        "{{ [ansible_host, ansible_port, ansible_user, ansible_ssh_private_key_file, ansible_connection] | join(' ') }}"
    )
    run = command("ansible", "-i", str(inventory), "bot1", "-m", "ansible.builtin.debug", "-a", f"msg={show}")
    assert "127.0.0.1 2222 me ~/.ssh/other ssh" in run.output


@pytest.mark.parametrize("host", ["vps1", "bot1"])
def test_a_cut_line_is_noticed_whatever_ansibles_own_configuration_says(tmp_path: Path, host: str) -> None:
    show = "msg={{ ansible_ssh_extra_args }}"
    run = command("ansible", "-i", str(write_inventory(tmp_path)), host, "-m", "ansible.builtin.debug", "-a", show)
    assert "ServerAliveInterval=15" in run.output


@pytest.mark.parametrize("host", ["vps1", "bot1"])
@pytest.mark.parametrize("group", ["all", "vps"])
@pytest.mark.parametrize(("name", "words"), [("ansible_ssh_extra_args", "-o ProxyJump=gate"), ("ansible_user", "me")])
def test_an_operators_own_words_for_the_way_to_a_vps_win_for_its_bots_too(
    tmp_path: Path, host: str, group: str, name: str, words: str
) -> None:
    inventory = write_inventory(tmp_path, zz={group: {"vars": {name: words}}})
    show = f"msg={{{{ {name} }}}}"
    run = command("ansible", "-i", str(inventory), host, "-m", "ansible.builtin.debug", "-a", show)
    assert f"msg: {words}" in run.output


def test_a_vps_without_an_address_is_reached_by_its_name(tmp_path: Path) -> None:
    inventory = write_inventory(tmp_path, hosts={"vps": {"hosts": {"vps1": None}}})
    run = command(
        "ansible", "-i", str(inventory), "bot1", "-m", "ansible.builtin.debug", "-a", "msg={{ ansible_host }}"
    )
    assert "msg: vps1" in run.output


def test_another_hosts_view_of_a_bots_connection_is_an_error_and_never_a_guess(tmp_path: Path) -> None:
    inventory = write_inventory(tmp_path)
    words = ("-m", "ansible.builtin.debug", "-a", "msg={{ hostvars['bot1']['ansible_host'] }}")
    run = command("ansible", "-i", str(inventory), "vps1", *words)
    assert run.code != 0
    assert "hostvars" in run.output


def test_no_play_reads_the_base_by_itself() -> None:
    """Ansible reads group_vars/<group>.yml beside a playbook, and that would beat every inventory."""
    for directory in (ROOT, ROOT / "playbooks"):
        names = {path.name for kind in ("group_vars", "host_vars") for path in (directory / kind).glob("*")}
        assert names <= {"base"}


def test_an_inventory_without_the_base_is_told_how_to_read_it(tmp_path: Path) -> None:
    run = command("ansible-playbook", "-i", str(write_inventory(tmp_path, **{"00_base": None})), "preflight.yml")
    assert run.code != 0
    assert "00_base.yml" in run.problems[0]
    assert "plugin: hbot.infra.base" in run.problems[0]
