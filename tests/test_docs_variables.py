"""The pages name every variable of the roles, with the default that the role has."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.controller import ROOT

PAGES = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md")))
ROLES = sorted(path.parents[1].name for path in (ROOT / "roles").glob("*/defaults/main.yml"))


def defaults(role: str) -> dict[str, Any]:
    """The variables that a role leaves to the operator."""
    path: Path = ROOT / "roles" / role / "defaults" / "main.yml"
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def rows(name: str) -> list[str]:
    """The table rows that begin with a variable, alone or with others."""
    return re.findall(rf"^\| [^|]*`{name}`[^|]*\|.*$", PAGES, re.MULTILINE)


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_stands_in_a_table(role: str) -> None:
    assert [name for name in defaults(role) if not rows(name)] == []


@pytest.mark.parametrize("role", ROLES)
def test_the_default_in_the_table_is_the_roles(role: str) -> None:
    wrong = []
    for name, value in defaults(role).items():
        if isinstance(value, (list, dict)) or value == "" or "{{" in str(value):
            continue  # said in words
        shown = str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else value
        cells = [row.split("|")[2] for row in rows(name) if not row.startswith("| a variable")]
        if not any(f"`{shown}`" in cell or f"`{value}`" in cell for cell in cells):
            wrong.append(f"{name}: {shown}")
    assert wrong == []
