"""Runs the collection's modules in this process, as Ansible would on a host."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

RunModule = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def load_module(importable_collection: None) -> Callable[[str], ModuleType]:
    """Gives a module of the collection by its name."""

    def load(name: str) -> ModuleType:
        return importlib.import_module(f"ansible_collections.hbot.infra.plugins.modules.{name}")

    return load


@pytest.fixture
def run_module(load_module: Callable[[str], ModuleType], capsys: pytest.CaptureFixture[str]) -> RunModule:
    """Runs a module by name, in diff mode, and returns its result."""

    def run(name: str, check: bool = False, **options: Any) -> dict[str, Any]:
        internal = {"_ansible_check_mode": check, "_ansible_diff": True, "_ansible_inject_invocation": True}
        capsys.readouterr()
        with patch_module_args(options | internal), pytest.raises(SystemExit):
            load_module(name).main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return run
