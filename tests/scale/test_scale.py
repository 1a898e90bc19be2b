"""The generated fleets are inventories, the measures measure, and what docs/scale.md hands over is valid."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.controller import ROOT, command
from tests.scale import controller
from tests.scale.fleet import Size, write_inventory
from tests.scale.prometheus import configured, pages

PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")


def block(first_line: str) -> str:
    """The indented block of docs/scale.md that begins with this line, as it would be typed."""
    lines = PAGE.splitlines()
    start = lines.index(f"    {first_line}")
    end = lines.index("", start)
    return "\n".join(line[4:] for line in lines[start:end]) + "\n"


def test_the_smallest_fleet_is_rendered_and_costs_something() -> None:
    cost = controller.fragments(Size(1, 1))
    assert cost.cpu_s > 0.1
    assert cost.largest_mb > 20


def test_a_vps_and_its_bots_are_a_group_of_their_own(tmp_path: Path) -> None:
    inventory = tmp_path / "inventory"
    shutil.copytree(write_inventory(Size(5, 2)), inventory)
    (inventory / "zz_machines.yml").write_text(block("# inventories/mine/zz_machines.yml"))
    run = command("ansible-inventory", "-i", str(inventory), "--list")
    assert run.code == 0, run.output
    groups = json.loads(run.output[run.output.index("{") :])
    assert groups["on_vps1"]["hosts"] == ["bot2", "bot4", "vps1"]
    assert groups["on_vps2"]["hosts"] == ["bot1", "bot3", "bot5", "vps2"]


@pytest.mark.parametrize("receiver", ["Mimir", "VictoriaMetrics"])
def test_prometheus_takes_what_hands_samples_over(receiver: str, tmp_path: Path) -> None:
    text = re.sub(r"\{\{.*?\}\}", "a-secret", block(f"# group_vars/vps.yml: {receiver}"))
    file = configured(tmp_path / "prometheus", [path.rpartition("/")[2] for path in pages(1)], 1)
    written = json.loads(file.read_text()) | {"remote_write": yaml.safe_load(text)["monitoring_remote_write"]}
    file.write_text(json.dumps(written))
    check = subprocess.run(["promtool", "check", "config", str(file)], capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stdout + check.stderr
