"""Every playbook parses in all three ways of running, and the built collection installs and carries what it needs."""

import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml

from tests.controller import ROOT, Way, command, write_inventory

PIECES = {"lock", "unlock"}
"""What the others import, and nobody runs."""
PLAYBOOKS = sorted({path.stem for path in (ROOT / "playbooks").glob("*.yml")} - PIECES)


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """An inventory of one VPS and one bot."""
    return write_inventory(tmp_path / "inventory")


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_the_playbook_parses(playbook: str, way: Way, inventory: Path) -> None:
    run = way.run(playbook, inventory, "--syntax-check")
    assert run.code == 0, run.output


def test_every_playbook_can_be_run_from_the_root() -> None:
    for playbook in PLAYBOOKS:
        content = yaml.safe_load((ROOT / f"{playbook}.yml").read_text(encoding="utf-8"))
        imported = [play["ansible.builtin.import_playbook"] for play in content]
        assert imported == [f"playbooks/{playbook}.yml"]


def test_names_of_playbooks_can_follow_a_collections_name() -> None:
    """A dash would make hbot.infra.<name> impossible to find."""
    assert all(name.replace("_", "").isalnum() for name in PLAYBOOKS)


def test_what_converges_something_begins_with_the_preflight() -> None:
    """Not so what helps in need (a mistake in a file must not stand in its way), nor golive.yml, which judges first."""
    helps = {"preflight", "status", "review", "control", "backup", "rollback"}
    for playbook in set(PLAYBOOKS) - helps - {"golive"}:
        plays = yaml.safe_load((ROOT / "playbooks" / f"{playbook}.yml").read_text(encoding="utf-8"))
        imported = [play.get("ansible.builtin.import_playbook") for play in plays]
        before = plays[: imported.index("preflight.yml")]
        assert all(play["hosts"] == "localhost" for play in before), f"{playbook} touches a VPS ahead of its preflight"


def test_what_changes_a_vps_keeps_other_runs_off_it() -> None:
    """The others only look, or run a program or a module on the VPS that takes the lock itself."""
    only_look = {"preflight", "status", "review", "test_alert"}
    lock_themselves = {"control", "backup", "rollback"}
    for playbook in set(PLAYBOOKS) - only_look - lock_themselves:
        text = (ROOT / "playbooks" / f"{playbook}.yml").read_text(encoding="utf-8")
        if playbook == "golive":  # only its bot's VPS, and its preflight comes late
            taken, given_back = "hbot.infra.host_lock:\n        what:", "state: released"
        else:
            taken, given_back = "import_playbook: lock.yml", "import_playbook: unlock.yml"
        assert taken in text.partition(given_back)[0], playbook
        assert given_back in text, playbook


def test_the_preflight_is_run_whatever_tags_are_chosen(inventory: Path) -> None:
    run = command("ansible-playbook", "-i", str(inventory), "site.yml", "--tags", "none_of_ours", "--list-tasks")
    assert "The inventory is sound" in run.output
    assert "The VPS can hold its bots" in run.output


def test_the_tarball_holds_the_product_and_nothing_else(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        names = {name.split("/")[0] for name in archive.getnames()}
        files = set(archive.getnames())
    assert {"group_vars", "playbooks", "plugins", "roles", "files", "inventories", "docs", "meta"} <= names
    assert "group_vars/base/bots.yml" in files
    assert "plugins/module_utils/epp_parameters.json" in files
    assert "inventories/example/00_base.yml" in files
    strange = {"tests", "molecule", "embedded_vps", "collections", "build", ".venv", ".git"}
    assert not names & strange
    assert not {name for name in names if name.endswith("_cache") or name in (".ansible", ".hypothesis")}


def test_the_checkout_says_which_files_are_secret() -> None:
    """A vault password or a keystore beside the inventory is never committed by accident."""
    for path in (".vault_pass", "inventories/example/.vault_pass", "data/bot1/conf/connectors/bitget.yml", ".env"):
        git = subprocess.run(["git", "check-ignore", "--quiet", path], cwd=ROOT, check=False)
        assert git.returncode == 0, path
