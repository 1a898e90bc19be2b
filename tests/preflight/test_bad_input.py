"""Bad input, as an operator meets it: one message with the file, the variable and the fix, and nothing touched.

The VPS of these inventories listens on no port. A run that reached for it would end in "Connection refused".
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.controller import ROOT, Run, Way, bot, command, vps, write_inventory

Inventory = Callable[..., Path]


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    """Writes an inventory into this test's directory."""
    return lambda **files: write_inventory(tmp_path / "inventory", **files)


def site(inventory: Path, *arguments: str) -> Run:
    """Run site.yml."""
    return command("ansible-playbook", "-i", str(inventory), "site.yml", *arguments)


CASES: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "an unknown mode": (
        {"bots__bot1": bot("bot1", bot_mode="papr")},
        "bots/bot1.yml:5: bot_mode: 'papr' is unknown",
        "one of paper, live",
        "bot_mode",
    ),
    "an unknown variant": (
        {"bots__bot1": bot("bot1", bot_variant="e")},
        "bots/bot1.yml:6: bot_variant: 'e' is unknown",
        "one of a, b, c, d",
        "bot_variant",
    ),
    "an operator's user without a key": (
        {"hosts": vps(host_access_authorized_keys=[])},
        "hosts.yml:6: host_access_authorized_keys: the operator's user 'ops' has no key",
        "list your public key",
        "host_access_authorized_keys",
    ),
    "a bot's name with a capital letter": (
        {"bots__bot1": None, "bots__Bot1": bot("Bot1")},
        "bots/Bot1.yml:3: bot name: 'Bot1' is no bot's name",
        "rename the bot",
        "[a-z][a-z0-9-]*",
    ),
    "a bot's name that begins with a digit": (
        {"bots__bot1": bot("1bot")},
        "bots/bot1.yml:3: bot name: '1bot' is no bot's name",
        "rename the bot",
        "[a-z][a-z0-9-]*",
    ),
    "a bot's name that is a container's of another": (
        {"bots__bot1-exchange": bot("bot1-exchange")},
        "bots/bot1-exchange.yml:3: bot name: 'bot1-exchange' is reserved",
        "rename the bot",
        "bot name",
    ),
    "a bot's name that is a machine's": (
        {"bots__vps1": bot("vps1")},
        "bots/vps1.yml:3: bot name: 'vps1' is already a machine",
        "rename the bot",
        "bot name",
    ),
    "a bot on a VPS that does not exist": (
        {"bots__bot1": bot("bot1", bot_vps="vsp1")},
        "bots/bot1.yml:4: bot_vps: there is no VPS 'vsp1' (did you mean vps1?)",
        "name one of the group vps (vps1)",
        "bot_vps",
    ),
    "a bot on no VPS": (
        {"bots__bot1": bot("bot1", bot_vps=None)},
        "bots/bot1.yml:3: bot_vps: bot1 names no VPS",
        "name one of the group vps (vps1)",
        "bot_vps",
    ),
    "a bot on another bot": (
        {"bots__bot2": bot("bot2", bot_vps="bot1")},
        "bots/bot2.yml:4: bot_vps: there is no VPS 'bot1'",
        "name one of the group vps (vps1)",
        "bot_vps",
    ),
    "an image tagged latest": (
        {"group_vars__bots": {"bot_image": "hummingbot/hummingbot:latest"}},
        "group_vars/bots.yml:1: bot_image: 'hummingbot/hummingbot:latest' is tagged latest",
        "name a version",
        "bot_image",
    ),
    "an image without a tag": (
        {"bots__bot1": bot("bot1", bot_image="hummingbot/hummingbot")},
        "bots/bot1.yml:7: bot_image: 'hummingbot/hummingbot' has no tag",
        "name a version",
        "bot_image",
    ),
    "an image with a digest alone": (
        {"bots__bot1": bot("bot1", bot_image=f"hummingbot/hummingbot@sha256:{'0' * 64}")},
        "bots/bot1.yml:7: bot_image: ",
        "name a version",
        "has no tag",
    ),
    "a live bot with half its credentials": (
        {"bots__bot1": bot("bot1", bot_mode="live"), "host_vars__bot1": {"bot_api_key": "k", "bot_password": "p"}},
        "bots/bot1.yml:3: bot_api_secret, bot_api_passphrase: bot1 is live",
        "host_vars/bot1/vault.yml",
        "bot_api_passphrase",
    ),
    "a live bot without credentials": (
        {"bots__bot1": bot("bot1", bot_mode="live")},
        "bots/bot1.yml:3: bot_password, bot_api_key, bot_api_secret, bot_api_passphrase: bot1 is live",
        "host_vars/bot1/vault.yml",
        "bot_api_key",
    ),
    "two bots with one name in two files": (
        {"bots__copy": bot("bot1")},
        "bots/bot1.yml:3: bot1: ",
        "rename one of them",
        "bots/copy.yml:3 defines the same bot",
    ),
    "an unknown parameter": (
        {"bots__bot1": bot("bot1", bot_parameters={"turnover_cap": 3})},
        "bots/bot1.yml:8: bot_parameters.turnover_cap: there is no parameter 'turnover_cap'",
        "docs/parameters.md",
        "did you mean turnover_cap_x?",
    ),
    "an unknown parameter of a regime": (
        {"bots__bot1": bot("bot1", bot_parameters={"regimes": {"up": {"refresh": 3}}})},
        "bots/bot1.yml:8: bot_parameters.regimes.up.refresh: there is no parameter 'refresh'",
        "docs/parameters.md",
        "did you mean refresh_s?",
    ),
    "own files that are not there": (
        {"bots__bot1": bot("bot1", bot_files="nowhere", bot_script={"script_file_name": "own_x.py"})},
        "bots/bot1.yml:7: bot_files: ",
        "a relative path stands beside the inventory's directory",
        "nowhere: there is no such directory, or no file in it",
    ),
    "a value that its role would refuse": (
        {"group_vars__bots": {"paper_exchange_market": "bitgt"}},
        "group_vars/bots.yml:1: paper_exchange_market: ",
        "docs/inventory.md",
        "bitgt",
    ),
    "a value of the wrong type": (
        {"hosts": vps(host_base_swap_mb="plenty")},
        "hosts.yml:10: host_base_swap_mb: 'plenty' is no whole number",
        "docs/inventory.md",
        "host_base_swap_mb",
    ),
    "a variable that nothing reads": (
        {"bots__bot1": bot("bot1", bot_varient="a")},
        "bots/bot1.yml:7: bot_varient: nothing reads this variable",
        "write bot_variant",
        "bot_varient",
    ),
    "a template that cannot be resolved": (
        {"bots__bot1": bot("bot1", bot_image="{{ nobody_sets_this }}")},
        "bots/bot1.yml:7: bot_image: it cannot be resolved for bot1",
        "correct its template",
        "nobody_sets_this",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_refused_before_anything_is_touched(case: str, inventory: Inventory) -> None:
    files, problem, fix, also = CASES[case]
    directory = inventory(**files)
    run = site(directory)
    assert run.code != 0
    said = [line.removeprefix(f"{directory}/") for line in run.problems]
    match = [line for line in said if line.startswith(problem)]
    assert match, run.output
    assert " Fix: " in match[0]
    assert fix in match[0]
    assert also in match[0]
    assert "Connection refused" not in run.output
    assert run.output.count("Preflight found") == 2, "once as the message, once as the task's result"


@pytest.mark.parametrize(
    "names",
    [
        ("vps",),
        ("bots",),
        ("all", "localhost", "ungrouped", "base", "grafana", "prometheus", "alertmanager"),
    ],
    ids=lambda names: names[0],
)
def test_reserved_names(inventory: Inventory, names: tuple[str, ...]) -> None:
    """Those of our groups come one by one: Ansible takes a play's pattern for the host instead of the group."""
    directory = inventory(**{f"bots__{name}": bot(name) for name in names})
    run = site(directory)
    assert run.code != 0
    said = {line.removeprefix(f"{directory}/") for line in run.problems if "bot name" in line}
    fix = "rename the bot, its file and its host_vars/ directory"
    assert said == {f"bots/{name}.yml:3: bot name: '{name}' is reserved. Fix: {fix}." for name in names}
    assert "Connection refused" not in run.output


def test_all_of_it_comes_in_one_message(inventory: Inventory) -> None:
    run = site(
        inventory(
            hosts=vps(host_access_authorized_keys=["no key"]),
            bots__bot1=bot("bot1", bot_mode="papr", bot_vps="vps2", bot_image="x:latest"),
            bots__prometheus=bot("prometheus", bot_variant="z"),
        )
    )
    assert len(run.problems) == 6, run.output
    assert "Preflight found 6 problems; nothing was changed." in run.output


WRONG = {"int": "many", "float": "much", "bool": "perhaps", "dict": "no mapping", "list": {"no": "list"}}
"""By type, a value that it cannot be taken for."""


def wrong_values(*, of_machines: bool) -> dict[str, Any]:
    """A wrong value for every variable of some roles that a specification gives choices or a type that can be wrong."""
    options: dict[str, dict[str, Any]] = {}
    for file in (ROOT / "roles").glob("*/meta/argument_specs.yml"):
        if file.parents[1].name.startswith(("host_", "monitoring")) is not of_machines:
            continue
        options |= yaml.safe_load(file.read_text())["argument_specs"]["main"].get("options", {})
    elsewhere = bot("bot1")["bots"]["hosts"]["bot1"].keys() | vps()["vps"]["hosts"]["vps1"].keys()
    own = {key: option for key, option in options.items() if key not in elsewhere and not key.startswith("hbot_")}
    return {
        name: "none of them" if "choices" in option else WRONG[option["type"]]
        for name, option in own.items()
        if "choices" in option or option["type"] in WRONG
    }


@pytest.mark.parametrize("of_machines", [True, False], ids=["a VPS's", "a bot's"])
def test_every_specified_variable_is_checked_before_its_role_would(inventory: Inventory, of_machines: bool) -> None:
    values = wrong_values(of_machines=of_machines)
    assert len(values) > 5
    run = site(inventory(**{"group_vars__vps" if of_machines else "group_vars__bots": values}))
    assert run.code != 0
    blamed = {problem.split(": ")[1].partition(".")[0] for problem in run.problems}
    assert values.keys() - blamed == set(), run.output
    assert "_internal" not in run.output, "Ansible's classes are none of the operator's business"
    assert "Connection refused" not in run.output


def test_the_command_line_is_blamed_for_what_it_says(inventory: Inventory) -> None:
    run = site(inventory(), "-e", "bot_image=hummingbot/hummingbot:latest")
    assert run.code != 0
    assert [problem.partition(" is tagged latest")[0] for problem in run.problems] == [
        "the command line: bot_image: 'hummingbot/hummingbot:latest'"
    ]
    assert "Connection refused" not in run.output


def test_a_limited_run_is_not_stopped_by_another_bots_file(inventory: Inventory) -> None:
    directory = inventory(bots__bot2=bot("bot2", bot_mode="papr"))
    assert not site(directory, "--limit", "bot1").problems
    assert len(site(directory, "--limit", "bot2").problems) == 1


def vault(file: Path, password: Path) -> None:
    """Encrypt a file of the inventory."""
    run = command("ansible-vault", "encrypt", "--vault-password-file", str(password), str(file))
    assert run.code == 0, run.output


@pytest.fixture
def password(tmp_path: Path) -> Path:
    """A file with a vault password."""
    file = tmp_path / "password"
    file.write_text("a password")
    return file


@pytest.mark.parametrize("place", ["host_vars/bot1/vault.yml", "group_vars/all/vault.yml", "group_vars/bots.yml"])
@pytest.mark.parametrize("limit", [[], ["--limit", "bot1"]], ids=["all", "bot1"])
def test_a_missing_vault_password(inventory: Inventory, password: Path, place: str, limit: list[str]) -> None:
    directory = inventory(**{place.removesuffix(".yml").replace("/", "__"): {"bot_api_key": "canary-key"}})
    vault(directory / place, password)
    run = site(directory, *limit)
    assert run.code != 0
    assert f"{directory / place}: " in run.output
    assert "it is encrypted, and no vault password was given" in run.output
    assert "--ask-vault-pass or --vault-password-file" in run.output
    assert "Connection refused" not in run.output


def test_the_right_vault_password(inventory: Inventory, password: Path) -> None:
    directory = inventory(host_vars__bot1__vault={"bot_api_key": "canary-key"})
    vault(directory / "host_vars/bot1/vault.yml", password)
    run = site(directory, "--vault-password-file", str(password))
    assert "Connection refused" in run.output, "the preflight of the inventory passes"
    assert "canary-key" not in run.output


def test_a_wrong_vault_password(inventory: Inventory, password: Path, tmp_path: Path) -> None:
    directory = inventory(host_vars__bot1__vault={"bot_api_key": "canary-key"})
    vault(directory / "host_vars/bot1/vault.yml", password)
    other = tmp_path / "other"
    other.write_text("another password")
    run = site(directory, "--vault-password-file", str(other))
    assert run.code != 0
    assert "host_vars/bot1/vault.yml" in run.problems[0]
    assert "the vault password that was given does not open it" in run.problems[0]


def test_a_single_encrypted_value_without_its_password(inventory: Inventory, password: Path) -> None:
    words = ("--vault-password-file", str(password), "canary-key", "--name", "bot_api_key")
    run = command("ansible-vault", "encrypt_string", *words)
    value = run.output[run.output.index("bot_api_key") :].partition("Encryption")[0]
    run = site(inventory(host_vars__bot1=value))
    assert run.code != 0
    assert "host_vars/bot1.yml:1: bot_api_key: it is encrypted, and no vault password was given" in run.problems[0]


LENIENT = Way("site.yml", ROOT, "", ".yml", {"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "false"})
"""Without the checkout's ansible.cfg Ansible goes on without a file that it cannot read."""


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("bots:\n  hosts:\n    bot2: {bot_vps: vps1\n", "YAML parsing failed"),
        ("- bot2\n", "it holds a"),
    ],
    ids=["broken YAML", "no mapping"],
)
def test_a_file_that_ansible_would_skip(inventory: Inventory, content: str, why: str) -> None:
    directory = inventory(bots__bot2=content)
    run = LENIENT.run("site", directory)
    assert run.code != 0
    (problem,) = run.problems
    assert problem.startswith(f"{directory}/bots/bot2.yml: all its hosts: ")
    assert why in problem
    assert "correct that file, or move it out of the inventory" in problem
    assert "Connection refused" not in run.output
