"""Renders the roles' templates and variables with Ansible's own engine, without a host."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROOT = Path(__file__).parents[2]
MARK = {"max_notional_quote": 200, "profile": "money", "network": "hbot-trading", "exchange": {}}
"""What the go-live gate left, if the bot is live; a test may change it."""

ROLES = ("epp", "paper_exchange", "watchdog", "bot")

Render = Callable[[str], Any]
RenderFor = Callable[..., Render]


@pytest.fixture(scope="session")
def render_for(importable_collection: None) -> RenderFor:
    """Gives a renderer of expressions for one bot: its name, and what its inventory says other than the defaults."""
    loader = DataLoader()

    def load(path: Path) -> dict[str, Any]:
        return dict(loader.load_from_file(str(path), trusted_as_template=True) or {}) if path.exists() else {}

    shared = load(ROOT / "group_vars/base/all.yml") | load(ROOT / "group_vars/base/bots.yml")
    defaults = {
        key: value for role in ROLES for key, value in load(ROOT / "roles" / role / "defaults/main.yml").items()
    }
    constants = {key: value for role in ROLES for key, value in load(ROOT / "roles" / role / "vars/main.yml").items()}

    def for_bot(name: str, mark: Mapping[str, Any] = MappingProxyType({}), **inventory: Any) -> Render:
        variables = {
            **defaults,
            **shared,
            "bot_mode": "paper",
            "bot_variant": "a",
            "ansible_search_path": [str(ROOT / "roles/bot")],
            **inventory,
            **constants,
            "inventory_hostname": name,
            "ansible_inventory_sources": [str(ROOT / "inventories/example")],
            "__bot_keystore": {"fingerprint": "0123456789abcdef"},
            "__watchdog_mark": {"content": base64.b64encode(json.dumps({**MARK, **mark}).encode()).decode()},
            "__bot_tree": {"found": []},
        }
        templar = Templar(loader=loader, variables=variables)
        return lambda expression: templar.template(trust_as_template("{{ " + expression + " }}"))

    return for_bot


@pytest.fixture(scope="session")
def fragment_for(render_for: RenderFor) -> Callable[..., dict[str, Any]]:
    """Gives a bot's compose fragment, parsed."""

    def for_bot(name: str, **inventory: Any) -> dict[str, Any]:
        text = render_for(name, **inventory)("__bot_fragment_file.content")
        document: dict[str, Any] = yaml.safe_load(text)
        return document

    return for_bot
