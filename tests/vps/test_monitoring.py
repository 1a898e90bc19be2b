"""Monitoring on the VPS: it answers nobody outside, and every query of rules and dashboards finds data."""

import json
import re
import shlex
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.dashboards.dashboards import DASHBOARDS, expressions, metrics_of
from tests.vps.machine import ROOT, Vps, run_playbook, wait_until

PORTS = {"3000", "8080", "9090", "9093", "9100", "9115", "9465"}
RULES = ROOT / "roles" / "monitoring" / "files" / "rules"

DATA_WITHIN_S = 300.0
"""A bot has all its figures within this long from its start: docs/monitoring.md promises it."""

WITHOUT_DATA_HERE = {
    "probe_ssl_earliest_cert_expiry": "the demo asks its image registry, which has no TLS",
    "hbot_bot_week_fees_to_gross_ratio": "there is none before the first round trips",
    "hbot_bot_week_profit_factor": "it is not defined under 100 round trips",
    "hbot_bot_week_realised_edge_ratio": "there is none before the first fills are five minutes old",
    "hbot_bot_last_fill_price_quote": "there is none before the first fill of each side",
    "hbot_bot_last_fill_timestamp_seconds": "there is none before the first fill",
    "alertmanager_notifications_failed_total": "there is none before the first message",
    "hbot_bot_reason": "there is none while a bot runs without a reason",
    "hbot_backup_last_success_timestamp_seconds": "the first backup runs at 04:00 UTC",
    "hbot_backup_last_attempt_succeeded": "the first backup runs at 04:00 UTC",
    "hbot_backup_verify_succeeded": "the first backup runs at 04:00 UTC",
    "hbot_backup_drill_succeeded": "the first drill runs in its first month",
    "prometheus_remote_storage_queue_highest_sent_timestamp_seconds": "the demo sends to nobody",
    "node_filesystem_avail_bytes": "the embedded VPS's own disk is an overlay, which is no disk",
}
"""Metrics that may have no sample on a demo that has just begun, and why."""

ASK = """\
import json, sys
from urllib.parse import urlencode
from urllib.request import urlopen
found = {}
for query in json.load(sys.stdin):
    with urlopen("http://127.0.0.1:9090/api/v1/query?" + urlencode({"query": query}), timeout=30) as answer:
        found[query] = json.load(answer)["data"]["result"]
print(json.dumps(found))
"""

Answers = dict[str, list[dict[str, Any]]]


def ask_all(vps: Vps, queries: Iterable[str]) -> Answers:
    """What Prometheus answers to instant queries; one that it refuses fails."""
    wanted = shlex.quote(json.dumps(sorted(queries)))
    found: Answers = json.loads(vps.run(f"printf %s {wanted} | python3 -c {shlex.quote(ASK)}"))
    return found


def ask(vps: Vps, query: str) -> list[dict[str, Any]]:
    """What Prometheus answers to one instant query."""
    return ask_all(vps, [query])[query]


def rule_expressions() -> list[str]:
    """The expressions of all alert rules."""
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(RULES.glob("*.yml"))]
    return [rule["expr"] for file in files for group in file["groups"] for rule in group["rules"]]


DASHBOARD_QUERIES = {query.replace("$bot", "bot1") for each in DASHBOARDS.values() for query in expressions(each)}
METRICS = set().union(*(metrics_of(expression) for expression in {*rule_expressions(), *DASHBOARD_QUERIES}))
"""Of every rule and every panel: one that nothing emits would make it silent or empty for ever."""


def test_it_listens_on_loopback_alone(vps: Vps) -> None:
    listening = [line.split()[3] for line in vps.run("ss -H -ltn").splitlines()]
    found = {address.rpartition(":")[2]: address.rpartition(":")[0] for address in listening}
    assert found.keys() >= PORTS
    assert {found[port] for port in PORTS} == {"127.0.0.1"}


def test_no_container_of_it_has_more_than_it_needs(vps: Vps) -> None:
    for name in ("prometheus", "alertmanager", "grafana", "node-exporter", "cadvisor", "blackbox"):
        found = json.loads(vps.run(f"docker inspect hbot-{name}"))[0]
        host = found["HostConfig"]
        assert not host["Privileged"]
        assert host["CapDrop"] == ["ALL"]
        assert host["Memory"] > 0
        assert host["ReadonlyRootfs"]
        user = found["Config"]["User"].partition(":")[0]
        assert (user == "0") == (name == "cadvisor")
        assert name == "cadvisor" or not vps.succeeds(f"getent passwd {user}"), f"{name} runs as somebody"


def test_every_target_answers(vps: Vps) -> None:
    wait_until("every target is up", lambda: not ask(vps, "up == 0") and len(ask(vps, "up")) >= 10, 90)


def test_grafana_wants_the_password_of_the_inventory(vps: Vps) -> None:
    assert vps.fetch("http://127.0.0.1:3000/api/search") == ""
    assert '"fleet"' in vps.fetch("http://admin:demo@127.0.0.1:3000/api/search") or vps.succeeds(
        "python3 -c \"import urllib.request as w; w.urlopen(w.Request('http://127.0.0.1:3000/api/search', "
        "headers={'Authorization': 'Basic YWRtaW46ZGVtbw=='}))\""
    )


def test_grafana_has_taken_every_dashboard_whole(vps: Vps) -> None:
    """Grafana's own, where its image can be pulled: what it could not read of a file it would not give back."""
    for uid, dashboard in DASHBOARDS.items():
        program = (
            "import urllib.request as w; print(w.urlopen(w.Request("
            f"'http://127.0.0.1:3000/api/dashboards/uid/{uid}', headers={{'Authorization': 'Basic YWRtaW46ZGVtbw=='}}"
            ")).read().decode())"
        )
        found = json.loads(vps.run(f"python3 -c {shlex.quote(program)}"))["dashboard"]
        ours = [(panel["type"], panel["title"], [t["expr"] for t in panel["targets"]]) for panel in dashboard["panels"]]
        theirs = [(panel["type"], panel["title"], [t["expr"] for t in panel["targets"]]) for panel in found["panels"]]
        assert theirs == ours


def without_data(query: str) -> bool:
    """Whether a query may find nothing here."""
    return "ALERTS" in query or bool(metrics_of(query) & WITHOUT_DATA_HERE.keys())


@pytest.fixture(scope="module")
def answers(vps: Vps) -> Answers:
    """What Prometheus answers to every dashboard's queries, and to whether each metric of panels and rules is there.

    Waited for, because the bots may have been started a moment ago.
    """
    found = ask_all(vps, DASHBOARD_QUERIES | {f"count({name})" for name in METRICS})
    deadline = time.monotonic() + DATA_WITHIN_S
    while missing := [query for query, rows in found.items() if not rows and not without_data(query)]:
        if time.monotonic() > deadline:
            break
        time.sleep(5)
        found |= ask_all(vps, missing)
    return found


@pytest.mark.parametrize("query", sorted(DASHBOARD_QUERIES))
def test_a_dashboards_query_has_data(answers: Answers, query: str) -> None:
    assert answers[query] or without_data(query), f"it finds nothing: {query}"


@pytest.mark.parametrize("name", sorted(METRICS))
def test_a_metric_that_is_asked_for_is_there(answers: Answers, name: str) -> None:
    assert answers[f"count({name})"] or name in WITHOUT_DATA_HERE


def test_a_metric_that_may_be_missing_is_one_that_our_programs_write() -> None:
    """That a name is excused hides no slip in it."""
    programs = [path for path in (ROOT / "files").rglob("*.py") if "tests" not in path.parts]
    written = "".join(path.read_text(encoding="utf-8") for path in programs)
    own = {name for name in WITHOUT_DATA_HERE if name.startswith("hbot_")}
    assert {name for name in own if re.sub("^hbot_(bot_week_|bot_|backup_)", "", name) not in written} == set()


def test_an_unset_password_refuses_to_converge(inventory_copy: Path) -> None:
    hosts = inventory_copy / "hosts.yml"
    hosts.write_text(re.sub(r".*monitoring_grafana_password.*\n", "", hosts.read_text()))
    run = run_playbook("site.yml", inventory=inventory_copy)
    assert run.code != 0
    assert "monitoring_grafana_password: Grafana on vps1 would have no password" in run.output
    assert "nothing was changed" in run.output


def test_a_write_ahead_log_that_is_damaged_is_repaired_by_the_start(vps: Vps) -> None:
    wal = "/opt/hbot/monitoring/data/prometheus/wal"
    counted = "hbot_bot_snapshot_timestamp_seconds"
    vps.run("docker stop hbot-prometheus")
    vps.run(f"dd if=/dev/urandom of=$(ls {wal}/0* | tail -1) bs=1k seek=8 count=64 conv=notrunc 2>&1")
    vps.run("docker start hbot-prometheus")
    wait_until("Prometheus is ready", lambda: "Ready" in vps.fetch("http://127.0.0.1:9090/-/ready"), 120)
    wait_until("it has a sample of now", lambda: bool(ask_all(vps, [counted])[counted]), DATA_WITHIN_S)


def test_a_broken_rule_is_refused_and_prometheus_stays_on_the_old_ones(vps: Vps) -> None:
    file = "/opt/hbot/monitoring/prometheus/rules/containers.yml"
    reloaded, rules = "prometheus_config_last_reload_successful", "sum(prometheus_rule_group_rules)"

    def value(query: str) -> str:
        return str(ask_all(vps, [query])[query][0]["value"][1])

    known, sound = value(rules), vps.run(f"sha256sum {file}")
    vps.run(f"echo 'groups: [' >> {file} && docker exec hbot-prometheus sh -c 'kill -HUP 1'")
    wait_until("it tells that it refused", lambda: value(reloaded) == "0", 60)
    assert value(rules) == known
    run = run_playbook("site.yml", "--limit", "vps1")
    assert run.code == 0, run.output
    assert vps.run(f"sha256sum {file}") == sound
    wait_until("it reads its configuration again", lambda: value(reloaded) == "1", 60)
