"""The week's review on the VPS: real figures from the real Prometheus, fail2ban and backups."""

import importlib
import json
from typing import Any

import pytest

from tests.vps.machine import Vps, run_playbook, wait_until
from tests.vps.test_monitoring import WITHOUT_DATA_HERE, ask_all

WITHOUT_DATA_YET = WITHOUT_DATA_HERE | {
    "hbot_bot_container_expected": "the uptime of a week wants six hours",
    "hbot_backup_drill_timestamp_seconds": "the first drill runs in its first month",
    "ALERTS": "there is none while all is well",
}


@pytest.fixture(scope="module")
def queries(importable_collection: None) -> dict[str, str]:
    """What the review asks Prometheus."""
    asked: dict[str, str] = importlib.import_module("host_status.week_reading").QUERIES
    return asked


def reviewed(vps: Vps) -> dict[str, Any]:
    """The review as a program reads it."""
    found: dict[str, Any] = json.loads(vps.run("/opt/hbot/scripts/review.sh --json || test $? = 2"))
    return found


def test_every_figure_of_the_review_is_one_that_prometheus_has(vps: Vps, queries: dict[str, str]) -> None:
    def without_data() -> list[str]:
        found = ask_all(vps, queries.values())
        empty = [query for query in queries.values() if not found[query]]
        return [query for query in empty if not any(metric in query for metric in WITHOUT_DATA_YET)]

    wait_until("every query has data", lambda: not without_data(), 300, 10)


def test_the_review_tells_of_every_bot_and_of_the_machine(vps: Vps) -> None:
    found = reviewed(vps)
    assert {"bot1", "bot2"} <= {bot["bot"] for bot in found["bots"]}
    known = {metric["name"] for metric in found["key_metrics"] if metric["week"] != "?"}
    assert {"fill rate", "exchange API latency", "host CPU", "host memory", "network errors"} <= known
    assert "banned now" in found["fail2ban"]
    assert not [fault for fault in found["faults"] if "Prometheus" in fault or "fail2ban" in fault]


def test_what_is_broken_is_to_do(vps: Vps) -> None:
    vps.run("systemctl stop fail2ban")
    try:
        run = run_playbook("review.yml")
    finally:
        vps.run("systemctl start fail2ban")
    assert run.code == 2
    assert "to do: fail2ban does not watch sshd" in run.output
    assert "things to do on vps1" in run.output
    wait_until("fail2ban watches again", lambda: not [f for f in reviewed(vps)["faults"] if "fail2ban" in f], 60)
