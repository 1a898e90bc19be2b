"""What `ansible-doc` says of a module is what the module takes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TAKEN_BY_THE_ACTION = {"golive_gate", "preflight_vps"}
"""Their action plugins take what is documented, and give the module what they made of it."""

NAMES = sorted(
    path.stem
    for path in (ROOT / "plugins" / "modules").glob("*.py")
    if "def main" in path.read_text() and path.stem not in TAKEN_BY_THE_ACTION
)
FROM_THE_ACTION = {"sha256"}
"""What the action plugin of the same name puts in another option's place."""


class TakenError(Exception):
    """Carries the options that a module would have taken."""


@pytest.fixture(scope="module")
def documented() -> dict[str, dict[str, Any]]:
    """By module, its options as `ansible-doc` has them."""
    command = ["ansible-doc", "-j", "-t", "module", *(f"hbot.infra.{name}" for name in NAMES)]
    said = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    return {name: said[f"hbot.infra.{name}"]["doc"].get("options", {}) for name in NAMES}


def taken(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The options that a module takes."""

    def note(argument_spec: dict[str, Any], **_: Any) -> None:
        raise TakenError(argument_spec)

    monkeypatch.setattr(module, "AnsibleModule", note)
    with pytest.raises(TakenError) as noted:
        module.main()
    options: dict[str, Any] = noted.value.args[0]
    return options


def differences(documented: dict[str, Any], taken: dict[str, Any], at: str = "") -> list[str]:
    """Where the two are not the same, at any depth."""
    said = [
        f"{at}{name} is in one of them alone"
        for name in documented.keys() ^ taken.keys()
        if name not in FROM_THE_ACTION
    ]
    for name in documented.keys() & taken.keys():
        one, other = documented[name], taken[name]
        for key, unset in (
            ("type", "str"),
            ("required", False),
            ("default", None),
            ("choices", None),
            ("elements", None),
        ):
            if one.get(key, unset) != other.get(key, unset):
                said.append(f"{at}{name}: {key} {one.get(key)!r}, and the module's is {other.get(key)!r}")
        said += differences(one.get("suboptions") or {}, other.get("options") or {}, f"{at}{name}.")
    return said


@pytest.mark.parametrize("name", NAMES)
def test_a_modules_documentation_says_what_it_takes(
    name: str,
    documented: dict[str, dict[str, Any]],
    load_module: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = taken(load_module(name), monkeypatch)
    assert not differences(documented[name], options)
