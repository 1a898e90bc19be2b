"""The dashboards that Grafana is given: in its own form, queries that Prometheus takes, and ways to the runbooks."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.models.prometheus import Dataquery
from jsonschema import Draft7Validator

from tests.alerts.promtool import promtool
from tests.controller import ROOT
from tests.dashboards.dashboards import DASHBOARDS, DIRECTORY, RUNBOOKS, expressions, metrics_of, text

SCHEMA = json.loads(Path(__file__).with_name("grafana_schema.json").read_text(encoding="utf-8"))
"""Grafana's published types of a dashboard and of the four kinds of panels used: `make grafana-schema`."""
FRONT_END = ROOT / "embedded_vps" / "screenshots" / "front_end"
KINDS = {
    "stat": "StatPanel",
    "state-timeline": "StateTimelinePanel",
    "table": "TablePanel",
    "timeseries": "TimeSeriesPanel",
}
ALERTS = [
    rule
    for path in sorted((ROOT / "roles" / "monitoring" / "files" / "rules").glob("*.yml"))
    for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
    if "alert" in rule
]


def test_the_files_are_what_the_code_says() -> None:
    """`python -m tests.dashboards.dashboards` writes them."""
    assert {path.stem for path in DIRECTORY.glob("*.json")} == DASHBOARDS.keys()
    for uid, content in DASHBOARDS.items():
        assert (DIRECTORY / f"{uid}.json").read_text(encoding="utf-8") == text(content)


def refused(content: Any, schema: dict[str, Any]) -> Iterator[str]:
    """What Grafana's types do not allow; each a place and a reason."""
    for error in Draft7Validator({**schema, "definitions": SCHEMA["definitions"]}).iter_errors(content):
        yield f"{error.json_path}: {error.message}"


def refused_in_panel(panel: dict[str, Any]) -> Iterator[str]:
    """The same for one panel, the values of its overrides included: the published type leaves those open."""
    definition = SCHEMA["definitions"][KINDS[panel["type"]]]
    yield from refused(panel, definition)
    known = definition["properties"]["fieldConfig"]["properties"]["defaults"]["properties"]
    for override in panel["fieldConfig"]["overrides"]:
        for one in override["properties"]:
            place, _, custom = one["id"].partition(".")
            schema = known["custom"]["properties"].get(custom) if place == "custom" else known.get(one["id"])
            if schema is None:
                yield f"an override sets {one['id']}, which is no setting of this panel"
            else:
                yield from refused(one["value"], schema)


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_a_dashboard_is_what_grafanas_published_schema_says(uid: str) -> None:
    content = json.loads(text(DASHBOARDS[uid]))
    assert list(refused(content, SCHEMA["definitions"]["Page"])) == []
    assert [f"{panel['title']}: {said}" for panel in content["panels"] for said in refused_in_panel(panel)] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["fieldConfig", "defaults", "unti"], "s"),
        (["fieldConfig", "defaults", "unit"], 1),
        (["fieldConfig", "defaults", "custom"], {"lineWidht": 2}),
        (["fieldConfig", "defaults", "custom"], {"drawStyle": "curve"}),
        (["fieldConfig", "overrides"], [{"matcher": {"id": "byName"}, "properties": [{"id": "units", "value": "s"}]}]),
        (
            ["fieldConfig", "overrides"],
            [{"matcher": {"id": "byName"}, "properties": [{"id": "color", "value": "red"}]}],
        ),
        (["options", "legend"], {"showLegend": True}),
        (["gridPos"], {"x": 0, "y": 0, "w": 12}),
        (["targets"], [{"expr": "up"}]),
        (["links"], [{"title": "no more than a title"}]),
    ],
)
def test_the_schema_refuses_a_mistake(path: list[str], value: Any) -> None:
    """What it is worth: a mistake in each part of a panel is found, and is the only one."""
    panel = copy.deepcopy(next(one for one in DASHBOARDS["bot"]["panels"] if one["type"] == "timeseries"))
    assert list(refused_in_panel(panel)) == []
    place = panel
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert list(refused_in_panel(panel))


def test_the_schema_is_of_the_grafana_that_the_role_pins() -> None:
    defaults = yaml.safe_load((ROOT / "roles" / "monitoring" / "defaults" / "main.yml").read_text(encoding="utf-8"))
    version = defaults["monitoring_grafana_image"].rpartition(":")[2]
    packages = json.loads((FRONT_END / "package.json").read_text(encoding="utf-8"))["dependencies"]
    assert {packages[name] for name in packages if name.startswith("@grafana/")} == {version}
    assert f"@grafana/schema {version} " in SCHEMA["$comment"]


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_grafanas_published_types_know_every_key_of_a_query(uid: str) -> None:
    """The npm package leaves a query to its data source; Grafana Labs' Python models have Prometheus's."""
    for panel in json.loads(text(DASHBOARDS[uid]))["panels"]:
        for target in panel["targets"]:
            known = dict(Dataquery.from_json(target).to_json())
            assert target.keys() <= known.keys(), panel["title"]
            assert target["format"] in ("time_series", "table")


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
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, (panel["title"], taken[x, y])
                taken[x, y] = panel["title"]
    lines = max(y for _, y in taken) + 1
    holes = {(x, y) for x in range(24) for y in range(lines)} - taken.keys()
    assert not holes, f"a hole beside {taken.get((0, min(y for _, y in holes)))}"
    assert len(taken) == 24 * lines, "a panel stands out on the right"


@pytest.mark.parametrize("alert", ALERTS, ids=[rule["alert"] for rule in ALERTS])
def test_an_alert_leads_to_a_dashboard_that_shows_what_it_judges(alert: dict[str, Any]) -> None:
    """Alert to panel: a panel of the dashboard that the message links asks for a metric of the alert's rule."""
    if alert["alert"] == "Heartbeat":
        return  # it always fires, for a watcher outside that reads no dashboard
    link = r"http://localhost:3000/d/(\w+)/\1(\?var-bot=\{\{ \$labels\.bot \}\})?"
    found = re.fullmatch(link, alert["annotations"]["dashboard_url"])
    assert found, alert["annotations"]["dashboard_url"]
    assert bool(found[2]) == (found[1] == "bot")
    shown = set[str]().union(*(metrics_of(query) for query in expressions(DASHBOARDS[found[1]])))
    beside = re.compile("hbot:threshold:.*|hbot_bot_enabled")  # what it is compared with, and which bots it is about
    judged = {name for name in metrics_of(alert["expr"]) if not beside.fullmatch(name)}
    assert judged & shown, f"no panel shows any of {judged}"


def test_a_firing_alert_in_a_dashboard_leads_to_its_runbook() -> None:
    """Panel to runbook: the name in the table of what fires is the way to the page of that name, which is there."""
    tables = [panel for each in DASHBOARDS.values() for panel in each["panels"] if panel["title"] == "Alerts that fire"]
    assert len(tables) == len(DASHBOARDS)
    for panel in tables:
        links = [
            link["url"]
            for override in panel["fieldConfig"]["overrides"]
            if override["matcher"]["options"] == "alertname"
            for one in override["properties"]
            if one["id"] == "links"
            for link in one["value"]
        ]
        assert links == [f"{RUNBOOKS}/${{__value.text}}.md"]
    for alert in ALERTS:
        assert alert["annotations"]["runbook_url"] == f"{RUNBOOKS}/{alert['alert']}.md"
        assert (ROOT / "docs" / "runbooks" / f"{alert['alert']}.md").is_file()
