"""Every role's defaults, its argument specification and the shared base agree."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.controller import ROOT

ROLES = sorted(path.parent.parent for path in (ROOT / "roles").glob("*/tasks/main.yml"))
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


def test_secrets_are_marked_as_such() -> None:
    words = ("password", "secret", "api_key", "passphrase", "token")
    for role in ROLES:
        for name, option in options(role).items():
            if any(word in name for word in words) and option["type"] == "str":
                assert option.get("no_log") is True, f"{role.name}: {name}"
