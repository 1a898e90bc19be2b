"""`golive.yml` and the two ways past it: what is asked for wrongly, and a mode flipped by hand."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.controller import Run, Way, bot, command, write_inventory
from tests.preflight.stand_in import stand_in

SECRETS = dict.fromkeys(("bot_password", "bot_api_key", "bot_api_secret", "bot_api_passphrase"), "told")


@pytest.mark.parametrize(
    "wrong",
    [{"bot": "bot9"}, {"bot": None}, {"confirm": "bot2"}, {"confirm": "yes"}, {"to": "money"}],
    ids=str,
)
def test_what_is_not_said_is_refused(tmp_path: Path, way: Way, wrong: dict[str, str | None]) -> None:
    given = [f"{name}={value}" for name, value in {"bot": "bot1", **wrong}.items() if value is not None]
    inventory = write_inventory(tmp_path / "inventory", bots__bot2=bot("bot2", bot_variant="d"))
    run = way.run("golive", inventory, *(word for pair in given for word in ("-e", pair)))
    assert run.code != 0
    assert "Nothing was done. Say which bot: -e bot=bot1|bot2; -e confirm=<the same bot>" in " ".join(
        run.output.split()
    )
    assert "PLAY [Check the inventory]" not in run.output


def flipped(tmp_path: Path, mark: dict[str, Any] | None, *arguments: str, playbook: str = "site.yml") -> Run:
    """A run on this machine, as a VPS on which bot1 has this mark and the inventory has it live."""
    root = tmp_path / "hbot"
    (root / "env/bot1").mkdir(parents=True)
    if mark is not None:
        (root / "env/bot1/golive.json").write_text(json.dumps(mark))
    live = bot("bot1", bot_mode="live", **SECRETS)
    hosts = {"vps": {"hosts": {"vps1": stand_in(tmp_path / "vps1") | {"hbot_root": str(root)}}}}
    bots = {"hbot_root": str(root)}
    inventory = write_inventory(tmp_path / "inventory", hosts=hosts, bots__bot1=live, group_vars__bots=bots)
    as_it_is = ("-e", json.dumps({"ansible_become": False}))
    return command("ansible-playbook", "-i", str(inventory), playbook, "--check", *as_it_is, *arguments)


MARK = {
    "schema": 1,
    "bot": "bot1",
    "account": "1000000001",
    "max_notional_quote": "300",
    "passed_at": 0.0,
    "expires_at": 4e9,
    "strategy_hash": "5" * 16,
    "config_hash": "c" * 16,
    "profile": "money",
    "report": "",
}


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        (None, "it has no mark of the go-live gate, which alone makes a paper bot live"),
        ({}, "it has no mark of the go-live gate"),
        (MARK | {"bot": "bot7"}, "it has no mark of the go-live gate"),
        (MARK | {"expires_at": 1e9}, "its go-live confirmation ended at 2001-09-09 01:46 UTC"),
        (MARK, f"the gate let strategy {'5' * 16} through"),
    ],
    ids=["none", "empty", "another's", "expired", "other code"],
)
def test_a_mode_flipped_by_hand_is_refused_and_nothing_is_touched(
    tmp_path: Path, mark: dict[str, Any] | None, said: str
) -> None:
    run = flipped(tmp_path, mark)
    assert run.code != 0
    assert "Preflight found 1 problem; nothing was changed." in run.output
    assert said in run.problems[0]
    assert "PLAY [Converge" not in run.output


def test_a_configuration_changed_after_the_gate_is_refused(tmp_path: Path) -> None:
    shown = flipped(tmp_path, MARK).problems[0]
    strategy = shown.split(" through, and ")[1].split()[0]
    second = tmp_path / "second"
    second.mkdir()
    run = flipped(second, MARK | {"strategy_hash": strategy})
    assert f"the gate let configuration {'c' * 16} through, and" in run.problems[0]


BOT_FILES = {
    "as add_bot writes it": "bots:\n  hosts:\n    bot1:\n      bot_vps: vps1\n      bot_mode: paper\n"
    "      bot_variant: a\n",
    "with a comment": "bots:\n  hosts:\n    bot1: # bot_mode: live some day\n      bot_vps: vps1\n"
    "      bot_mode: paper # for now\n      bot_variant: a\n",
    "in quotes": "bots:\n  hosts:\n    bot1:\n      bot_vps: vps1\n      bot_mode: 'paper'\n      bot_variant: a\n",
    "in one line": "bots: {hosts: {bot1: {bot_vps: vps1, bot_mode: paper, bot_variant: a}}}\n",
}


def set_mode(inventory: Path, mode: str, *arguments: str) -> Run:
    """Run the action alone."""
    play = [
        {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "tasks": [{"hbot.infra.bot_mode": {"bot": "bot1", "mode": mode}}],
        }
    ]
    playbook = inventory.parent / "mode.yml"
    playbook.write_text(yaml.safe_dump(play))
    return command("ansible-playbook", "-i", str(inventory), str(playbook), *arguments)


@pytest.mark.parametrize("shape", BOT_FILES)
def test_the_mode_is_one_word_in_the_bots_file(tmp_path: Path, shape: str) -> None:
    before = BOT_FILES[shape]
    inventory = write_inventory(tmp_path / "inventory", bots__bot1=before)
    file = inventory / "bots/bot1.yml"
    assert set_mode(inventory, "live", "--check", "--diff").code == 0
    assert file.read_text() == before
    run = set_mode(inventory, "live")
    assert run.code == 0, run.output
    assert "changed=1" in run.output
    head, _, tail = before.rpartition("bot_mode: ")
    assert file.read_text() == f"{head}bot_mode: {tail.replace('paper', 'live', 1)}"
    assert "changed=0" in set_mode(inventory, "live").output
    assert set_mode(inventory, "paper").code == 0
    assert file.read_text() == before


def test_a_mode_that_other_bots_share_is_not_turned(tmp_path: Path) -> None:
    shared = {"bot_mode": "paper"}
    inventory = write_inventory(tmp_path / "inventory", bots__bot1=bot("bot1", bot_mode=None), group_vars__bots=shared)
    run = set_mode(inventory, "live")
    assert run.code != 0
    assert "does not set bot1's mode plainly" in run.output
    assert yaml.safe_load((inventory / "group_vars/bots.yml").read_text()) == shared
