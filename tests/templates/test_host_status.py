"""What the VPS's own status knows of its bots, by the fragments that the inventory's values were rendered into."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from tests.templates.test_bot_files import BOTS, RenderFor


@pytest.mark.parametrize("which", BOTS)
def test_a_bot_is_known_by_its_fragment_as_by_the_inventory(render_for: RenderFor, tmp_path: Path, which: str) -> None:
    name, inventory = BOTS[which]
    text = render_for(name, **inventory)("__bot_fragment_file.content")
    (tmp_path / f"{name}.yml").write_text(text)
    (tmp_path / "docker-compose.yml").write_text("include: []\n")
    program: Any = importlib.import_module(
        "host_status.fragments"
    )  # after the renderer has made collections importable
    (bot,) = program.bots(tmp_path, "vps1")
    runs_epp = "bot_script" not in inventory
    assert (bot.name, bot.vps, bot.mode) == (name, "vps1", inventory.get("bot_mode", "paper"))
    assert bot.enabled is inventory.get("bot_enabled", True)
    assert bot.epp is runs_epp
    assert bot.variant == (inventory.get("bot_variant", "a") if runs_epp else "")
