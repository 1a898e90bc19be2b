"""The dashboards that Grafana is given: in its own form, with queries that Prometheus accepts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.alerts.promtool import promtool
from tests.dashboards.dashboards import DASHBOARDS, DIRECTORY, expressions, text


def test_the_files_are_what_the_code_says() -> None:
    """`python -m tests.dashboards.dashboards` writes them."""
    assert {path.stem for path in DIRECTORY.glob("*.json")} == DASHBOARDS.keys()
    for uid, content in DASHBOARDS.items():
        assert (DIRECTORY / f"{uid}.json").read_text(encoding="utf-8") == text(content)


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_grafanas_published_types_know_every_key(uid: str) -> None:
    """Read by Grafana Labs' own model of this version's dashboards, nothing of a dashboard or a panel is lost."""
    content = json.loads(text(DASHBOARDS[uid]))
    known: dict[str, Any] = dict(Dashboard.from_json(content).to_json())
    assert content.keys() <= known.keys()
    assert known["title"] == content["title"]
    for ours, panel in zip(content["panels"], known["panels"], strict=True):
        theirs = panel.to_json()
        assert ours.keys() <= theirs.keys(), ours["title"]
        assert theirs["gridPos"].to_json() == ours["gridPos"]


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_prometheus_accepts_every_query(uid: str, tmp_path: Path) -> None:
    rules = [
        {"record": f"query:{number}", "expr": query.replace("$bot", "bot1")}
        for number, query in enumerate(expressions(DASHBOARDS[uid]))
    ]
    document = {"groups": [{"name": "queries", "rules": rules}]}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(document), encoding="utf-8")
    code, said = promtool("check", "rules", "rules.yml", directory=tmp_path)
    assert code == 0, said


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_panels_fill_lines_of_24_and_overlap_nowhere(uid: str) -> None:
    taken: dict[tuple[int, int], Any] = {}
    for panel in DASHBOARDS[uid]["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, (panel["title"], taken[x, y])
                taken[x, y] = panel["title"]
