"""Every role's defaults, its argument specification and the shared base agree, and its tasks rely on them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.controller import ROOT

ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))
BASE = {
    name: value
    for file in sorted((ROOT / "group_vars" / "base").glob("*.yml"))
    for name, value in yaml.safe_load(file.read_text(encoding="utf-8")).items()
}
TURNED_ROUND = {"host_access_user"}
"""The role takes its user from ansible_user, and the base sets ansible_user from it."""

SAID_BY_EVERY_BOT = {"bot_mode", "bot_variant"}
"""No default would be a safe one; the preflight refuses a bot whose file does not say them."""


def data(file: Path) -> dict[str, Any]:
    """A file's mapping; empty when there is no such file."""
    return (yaml.safe_load(file.read_text(encoding="utf-8")) or {}) if file.exists() else {}


def options(role: Path) -> dict[str, dict[str, Any]]:
    """The options of a role's main entry point."""
    specification: dict[str, dict[str, Any]] = data(role / "meta" / "argument_specs.yml")["argument_specs"]["main"]
    return specification.get("options", {})


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_defaults_and_specification_have_the_same_names(role: Path) -> None:
    optional = {name for name, option in options(role).items() if not option.get("required", False)}
    assert set(data(role / "defaults" / "main.yml")) == optional


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_the_specification_documents_the_default_that_holds(role: Path) -> None:
    """Ansible never applies the `default` of a specification; it is documentation, and could lie."""
    defaults = data(role / "defaults" / "main.yml")
    documented = {name: option["default"] for name, option in options(role).items() if "default" in option}
    assert documented == {name: defaults[name] for name in documented}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_what_a_role_requires_the_base_sets(role: Path) -> None:
    required = {name for name, option in options(role).items() if option.get("required", False)}
    assert required <= BASE.keys() | SAID_BY_EVERY_BOT
    assert all("description" in option and "type" in option for option in options(role).values())


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_the_base_and_the_roles_have_one_default(role: Path) -> None:
    defaults = data(role / "defaults" / "main.yml")
    both = (defaults.keys() & BASE.keys()) - TURNED_ROUND
    assert {name: BASE[name] for name in both} == {name: defaults[name] for name in both}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_roles_variables_carry_its_name(role: Path) -> None:
    assert all(name.startswith(f"{role.name}_") for name in data(role / "defaults" / "main.yml"))


def tasks(node: Any) -> Iterator[dict[str, Any]]:
    """Every task and handler of a file, those in blocks and plays included."""
    for item in node or []:
        yield item
        for section in ("block", "rescue", "always", "pre_tasks", "tasks", "post_tasks", "handlers"):
            yield from tasks(item.get(section))


def task_files(directory: Path) -> list[Path]:
    """A role's files of tasks and handlers."""
    return sorted([*directory.glob("tasks/*.yml"), *directory.glob("handlers/*.yml")])


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_way_into_a_role_has_a_specification(role: Path) -> None:
    """Ansible checks the arguments of an entry point by itself, if it finds its specification."""
    entries = data(role / "meta" / "argument_specs.yml")["argument_specs"]
    ways = {"main"}
    for file in PLAYBOOKS:
        for task in tasks(yaml.safe_load(file.read_text(encoding="utf-8"))):
            used = task.get("ansible.builtin.import_role") or task.get("ansible.builtin.include_role") or {}
            if used.get("name") == f"hbot.infra.{role.name}":
                ways.add(Path(used.get("tasks_from", "main")).stem)
    assert ways == entries.keys()
    assert all(entry.get("short_description") for entry in entries.values())


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_variable_of_a_role_is_read(role: Path) -> None:
    """One that nothing reads would promise something. A role reads those of the roles it depends on too."""
    places = [file for kind in ("*.yml", "*.j2") for file in (ROOT / "roles").rglob(kind)]
    used = [file for file in places if file.parent.name not in ("defaults", "meta")]
    text = "\n".join(file.read_text(encoding="utf-8") for file in [*used, *(ROOT / "plugins").rglob("*.py")])
    assert {name for name in options(role) if not re.search(rf"\b{name}\b", text)} == set()


@pytest.mark.parametrize(
    "file",
    [*PLAYBOOKS, *(file for role in ROLES for file in task_files(role))],
    ids=lambda file: str(file.relative_to(ROOT)),
)
def test_tasks_invent_no_defaults_and_keep_their_names_to_themselves(file: Path) -> None:
    """A default in a task would be a second place for it. Registered names are the host's for the whole run."""
    role = file.parents[1].name if file.parents[1].parent.name == "roles" else None
    for task in tasks(yaml.safe_load(file.read_text(encoding="utf-8"))):
        own = {
            key: value for key, value in task.items() if key not in ("hosts", "vars") and not isinstance(value, list)
        }
        assert not re.search(r"\|\s*(default|d)\b", str(own)), task["name"]
        loop = task.get("loop_control", {}).get("loop_var")
        assert loop is not None or not any(key == "loop" or key.startswith("with_") for key in task), task["name"]
        prefix = f"__{role}_" if role else f"{file.stem}_"
        assert all(name.startswith(prefix) for name in (task.get("register"), loop) if name), task["name"]


def test_secrets_are_marked_as_such() -> None:
    words = ("password", "secret", "api_key", "passphrase", "token")
    for role in ROLES:
        for name, option in options(role).items():
            if any(word in name for word in words) and option["type"] == "str":
                assert option.get("no_log") is True, f"{role.name}: {name}"
