"""The module hbot.infra.compose_entry against real files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="the module gives the file to root")

RunModule = Callable[..., dict[str, Any]]


def test_it_includes_what_is_there(run_module: RunModule, tmp_path: Path) -> None:
    for name in ("bot2.yml", "bot1.yml", ".bot1.yml.0a1b2c3d", "notes.txt"):
        (tmp_path / name).write_text("")
    result = run_module("compose_entry", path=str(tmp_path), project="hbot")
    assert result["fragments"] == ["bot1.yml", "bot2.yml"]
    entry = tmp_path / "docker-compose.yml"
    assert yaml.safe_load(entry.read_text()) == {"name": "hbot", "include": ["bot1.yml", "bot2.yml"]}
    assert run_module("compose_entry", path=str(tmp_path), project="hbot")["changed"] is False
    (tmp_path / "bot1.yml").unlink()
    assert run_module("compose_entry", path=str(tmp_path), project="hbot")["fragments"] == ["bot2.yml"]


def test_without_a_fragment_it_is_still_a_compose_file(run_module: RunModule, tmp_path: Path) -> None:
    run_module("compose_entry", path=str(tmp_path), project="hbot")
    assert yaml.safe_load((tmp_path / "docker-compose.yml").read_text()) == {"name": "hbot", "services": {}}


def test_check_mode_counts_the_fragment_to_come(run_module: RunModule, tmp_path: Path) -> None:
    bare = tmp_path / "compose"
    options = {"path": str(bare), "project": "hbot", "expected": "bot1.yml"}
    predicted = run_module("compose_entry", check=True, **options)
    assert predicted["changed"] is True
    assert predicted["fragments"] == ["bot1.yml"]
    assert not bare.exists()
    bare.mkdir()
    (bare / "bot1.yml").write_text("")
    assert run_module("compose_entry", **options)["diff"]["after"] == predicted["diff"]["after"]
    assert run_module("compose_entry", check=True, **options)["changed"] is False


def test_what_waits_to_be_included_waits_no_more_once_it_is(run_module: RunModule, tmp_path: Path) -> None:
    pending = tmp_path / "bot1.json"
    pending.write_text('["bot1.yml"]')
    options = {"path": str(tmp_path), "project": "hbot", "pending": str(pending)}
    run_module("compose_entry", check=True, **options)
    assert pending.exists()
    run_module("compose_entry", **options)
    assert not pending.exists()
