"""`add_bot.yml` up to the moment it reaches for the VPS: what it refuses, what it writes, and what it leaves alone."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.controller import Run, Way, bot, command, vps, write_inventory

Inventory = Callable[..., Path]


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """An inventory of one VPS that nobody can reach, and of bot1."""
    return write_inventory(tmp_path / "inventory")


def add_bot(inventory: Path, *arguments: str) -> Run:
    """Run add_bot.yml; each argument that is no option is an extra variable."""
    words = [word for argument in arguments for word in ([argument] if argument[0] == "-" else ["-e", argument])]
    return command("ansible-playbook", "-i", str(inventory), "add_bot.yml", *words)


def contents(directory: Path) -> dict[str, str]:
    """Every file below a directory, with its text."""
    return {str(path.relative_to(directory)): path.read_text() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("arguments", "problem", "fix"),
    [
        ([], "the command line: bot: it names no bot", "add -e bot=bot3"),
        (["bot=Bot3"], "the command line: bot: 'Bot3' is no bot's name", "choose another name"),
        (["bot=../bot3"], "the command line: bot: '../bot3' is no bot's name", "choose another name"),
        (["bot=all"], "the command line: bot: 'all' is reserved", "choose another name"),
        (["bot=grafana"], "the command line: bot: 'grafana' is reserved", "choose another name"),
        (["bot=vps1"], "the command line: bot: 'vps1' is already a machine", "choose another name"),
        (["bot=bot3", "variant=e"], "the command line: variant: 'e' is unknown", "one of a, b, c, d"),
        (["bot=bot3", "vps=vsp1"], "the command line: vps: there is no VPS 'vsp1' (did you mean vps1?)", "(vps1)"),
        (["bot=bot1", "variant=d"], "bots/bot1.yml:3: bot_variant: the bot is there with 'a'", "change the file"),
        (["bot=bot1", "vps=vps9"], "bots/bot1.yml:3: bot_vps: the bot is there with 'vps1'", "change the file"),
    ],
    ids=str,
)
def test_what_is_refused_before_anything_is_written(
    inventory: Path, arguments: list[str], problem: str, fix: str
) -> None:
    before = contents(inventory)
    run = add_bot(inventory, *arguments)
    assert run.code != 0
    assert len(run.problems) == 1, run.output
    assert run.problems[0].replace(f"{inventory}/", "").startswith(problem)
    assert fix in run.problems[0].partition(" Fix: ")[2]
    assert "Connection refused" not in run.output
    assert contents(inventory) == before


def test_of_several_machines_one_must_be_named(tmp_path: Path) -> None:
    machines = {**vps("vps1")["vps"]["hosts"], **vps("vps2")["vps"]["hosts"]}
    inventory = write_inventory(tmp_path / "inventory", hosts={"vps": {"hosts": machines}})
    run = add_bot(inventory, "bot=bot3")
    assert "the command line: vps: it does not say which VPS. Fix: add -e vps=, one of: vps1, vps2." in run.problems
    add_bot(inventory, "bot=bot3", "vps=vps2")
    assert yaml.safe_load((inventory / "bots/bot3.yml").read_text())["bots"]["hosts"]["bot3"]["bot_vps"] == "vps2"


def test_a_file_of_another_content_is_not_overwritten(inventory: Path) -> None:
    (inventory / "bots/bot3.yml").write_text("# to be written\n")
    run = add_bot(inventory, "bot=bot3")
    assert run.code != 0
    assert run.problems == [
        f"{inventory}/bots/bot3.yml: bot3: the file is there, and does not define this bot. Fix: correct or delete it."
    ]
    assert (inventory / "bots/bot3.yml").read_text() == "# to be written\n"


def test_check_mode_shows_the_file_and_writes_none(inventory: Path) -> None:
    before = contents(inventory)
    run = add_bot(inventory, "bot=bot3", "variant=d", "--check", "--diff")
    assert run.code == 0, run.output
    assert "+      bot_variant: d" in run.output
    assert contents(inventory) == before


def test_it_writes_one_file_and_turns_to_that_bot_alone(tmp_path: Path, way: Way) -> None:
    inventory = write_inventory(tmp_path / "inventory", bots__bot2=bot("bot2", bot_mode="papr"))
    before = contents(inventory)
    run = way.run("add_bot", inventory, "-e", "bot=bot3")
    assert not run.problems, "bot2's mistake is not bot3's"
    assert "Connection refused" in run.output
    assert "bot1" not in run.output.partition("PLAY RECAP")[2]
    after = contents(inventory)
    written = after.pop("bots/bot3.yml")
    assert after == before
    assert yaml.safe_load(written) == bot("bot3")

    again = way.run("add_bot", inventory, "-e", "bot=bot3")
    assert "Connection refused" in again.output
    assert re.search(r"^localhost +: ok=\d+ +changed=0 ", again.output, re.MULTILINE)
    assert contents(inventory) == {**before, "bots/bot3.yml": written}


def test_a_new_bot_passes_the_preflight_like_any_other(tmp_path: Path) -> None:
    inventory = write_inventory(tmp_path / "inventory", group_vars__bots={"bot_image": "hummingbot/hummingbot:latest"})
    run = add_bot(inventory, "bot=bot3")
    assert run.code != 0
    assert "bot_image: 'hummingbot/hummingbot:latest' is tagged latest" in run.problems[0]
    assert "Connection refused" not in run.output
