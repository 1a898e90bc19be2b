"""Every alert rule fires when it should, after the time it should, not just below, and is over again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins.module_utils.alerting import INHIBITIONS, SEVERITIES, THRESHOLDS, alertmanager_configuration
from tests.alerts.cases import CASES
from tests.alerts.promtool import BOT, RULES, Case, always, of_bot, place_rules, promtool, series, timeline
from tests.controller import ROOT

ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for path in sorted(RULES.glob("*.yml"))
    for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
}
ALWAYS_ON = {"Heartbeat"}
RUNBOOKS = ROOT / "docs" / "runbooks"


QUIET = [{"labels": "{}", "value": 0}]


def passes(directory: Path, test: dict[str, Any], only: str = "") -> None:
    """promtool accepts the timelines."""
    place_rules(directory, only)
    (directory / "test.yml").write_text(yaml.safe_dump(test, sort_keys=False))
    code, said = promtool("test", "rules", "test.yml", directory=directory)
    assert code == 0, said[:3000]


def test_every_alert_has_a_case() -> None:
    assert {case.alert for case in CASES} | ALWAYS_ON == ALERTS.keys()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_it_fires_in_time_and_is_over_in_time(tmp_path: Path, case: Case) -> None:
    passes(tmp_path, timeline(case, "bad"), case.alert)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_it_does_not_fire_just_below(tmp_path: Path, case: Case) -> None:
    passes(tmp_path, timeline(case, "below"), case.alert)


def test_the_heartbeat_never_stops(tmp_path: Path) -> None:
    looks = [
        {"expr": 'ALERTS{alertname="Heartbeat"}', "eval_time": at, "exp_samples": [{"labels": labels, "value": 1}]}
        for at in ("0s", "1h", "1d")
        for labels in ['ALERTS{alertname="Heartbeat",alertstate="firing",severity="none"}']
    ]
    passes(tmp_path, {"rule_files": ["rules/*.yml"], "tests": [{"interval": "1m", "promql_expr_test": looks}]})


@pytest.mark.parametrize("variant", ["b", "c", "d"])
def test_a_bot_that_is_not_meant_to_trade_is_left_in_peace(tmp_path: Path, variant: str) -> None:
    """A stub is stopped and a Bot D paused, and neither fills, logs nor writes its database: that is their job."""
    bot = BOT | {"variant": variant}
    stopped = variant in ("b", "c")
    quiet = {
        series("hbot_bot_enabled", **bot): always(1),
        series("hbot_bot_state", **bot, state="hard_stop"): always(float(stopped)),
        series("hbot_bot_state", **bot, state="soft_pause"): always(float(not stopped)),
        series("hbot_bot_state", **bot, state="running"): always(0),
        series("hbot_bot_log_age_seconds", **bot): always(90000),
        series("hbot_bot_database_age_seconds", **bot): always(90000),
        series("hbot_bot_balance_base", **bot): always(1),
        series("hbot_bot_orders_active", **bot): always(0),
        series("hbot_bot_markout_30s_ratio", **bot): always(0.01),
        series("hbot_bot_drawdown_ratio", **bot): always(0.5),
    }
    test = timeline(Case("none", quiet, fires_after=4 * 3600), "good")
    expression = 'count(ALERTS{bot="bot1"}) or vector(0)'
    test["tests"][0]["promql_expr_test"] = [
        {"expr": expression, "eval_time": at, "exp_samples": [{"labels": "{}", "value": 0}]} for at in ("30m", "4h")
    ]
    passes(tmp_path, test)


def test_a_bot_that_is_not_enabled_is_left_in_peace(tmp_path: Path) -> None:
    off = {
        of_bot("enabled"): always(0),
        of_bot("snapshot_age_seconds"): always(90000),
        of_bot("log_age_seconds"): always(90000),
        of_bot("file_readable", file="minute"): always(0),
        series("hbot_bot_container_expected", **BOT, name="hbot-bot1"): always(0),
        series("hbot_facts_timestamp_seconds", vps="vps1"): lambda condition, now, since: now,
    }
    test = timeline(Case("none", off, fires_after=3600), "good")
    test["tests"][0]["promql_expr_test"] = [
        {
            "expr": "count(ALERTS{bot='bot1'}) or vector(0)",
            "eval_time": "1h",
            "exp_samples": [{"labels": "{}", "value": 0}],
        }
    ]
    passes(tmp_path, test)


def test_a_message_names_the_bot_and_the_value(tmp_path: Path) -> None:
    place_rules(tmp_path)
    test = {
        "rule_files": ["rules/*.yml"],
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": of_bot("state", state="hard_stop"), "values": "1x10"},
                    {"series": of_bot("reason", reason="trading_drawdown"), "values": "1x10"},
                    {"series": of_bot("balance_base"), "values": "0.25x10"},
                ],
                "alert_rule_test": [
                    {
                        "eval_time": "5m",
                        "alertname": "BotHardStop",
                        "exp_alerts": [
                            {
                                "exp_labels": BOT | {"severity": "critical", "state": "hard_stop"},
                                "exp_annotations": {
                                    "summary": "bot1 is stopped until you reset it (trading_drawdown). "
                                    "It holds 0.25 of BTC-USDT's base, which moves with the market.",
                                    "runbook_url": ALERTS["BotHardStop"]["annotations"]["runbook_url"],
                                    "dashboard_url": "http://localhost:3000/d/bot/bot?var-bot=bot1",
                                },
                            }
                        ],
                    }
                ],
            }
        ],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test))
    code, said = promtool("test", "rules", "test.yml", directory=tmp_path)
    assert code == 0, said


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_says_how_bad_it_is_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in (*SEVERITIES, "none")
    summary = rule["annotations"]["summary"]
    assert "\n" not in summary
    assert name in ALWAYS_ON or "$labels." in summary or "$value" in summary
    assert rule["annotations"]["runbook_url"].endswith(f"/docs/runbooks/{name}.md")
    page = (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {name}\n")
    for part in ("## What it means", "## What to do"):
        assert part in page


def test_no_runbook_is_left_of_an_alert_that_is_gone() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"} == ALERTS.keys()


def test_every_alert_stands_in_the_page_with_its_severity_and_time() -> None:
    page = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| \[(\w+)\]\(runbooks/\1\.md\) \|.*\| (\w+ \| [\w ]+) \|$", page, re.MULTILINE))
    assert rows == {
        name: f"{rule['labels']['severity']} | {rule.get('for', 'at once')}" for name, rule in ALERTS.items()
    }


def test_every_threshold_is_used_and_stands_in_the_page() -> None:
    page = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    expressions = " ".join(rule["expr"] for rule in ALERTS.values())
    for name, limit in THRESHOLDS.items():
        assert f"hbot:threshold:{name})" in expressions, name
        assert f"| `{name}` | `{limit.default:g}` | {limit.least:g} to {limit.most:g} |" in page, name
    assert set(re.findall(r"hbot:threshold:(\w+)", expressions)) == THRESHOLDS.keys()


@pytest.mark.parametrize("name", ["hbot-bot1", "hbot-bot1-exchange", "hbot-bot1-watchdog"])
def test_a_containers_alert_names_its_bot(tmp_path: Path, name: str) -> None:
    unhealthy = {"series": series("hbot_container_healthy", name=name), "values": "0x9"}
    alert = series(
        "ALERTS", alertname="ContainerUnhealthy", alertstate="firing", bot="bot1", name=name, severity="critical"
    )
    look = {"expr": "ALERTS", "eval_time": "5m", "exp_samples": [{"labels": alert, "value": 1}]}
    test = {
        "rule_files": ["rules/*.yml"],
        "tests": [{"interval": "1m", "input_series": [unhealthy], "promql_expr_test": [look]}],
    }
    passes(tmp_path, test, "ContainerUnhealthy")


def test_a_watchdog_that_is_down_hides_no_alert_of_its_bot() -> None:
    for rule in alertmanager_configuration([], "")["inhibit_rules"]:
        assert 'name!~".+-watchdog"' in rule["source_matchers"]


def test_inhibitions_name_alerts_that_exist() -> None:
    for source, targets, _ in INHIBITIONS:
        assert source in ALERTS
        named = [name for name in ALERTS if re.fullmatch(targets, name)]
        assert len(named) == targets.count("|") + 1, targets
