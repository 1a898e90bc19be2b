"""The dashboards, and the JSON that Grafana is given: ``python -m tests.dashboards.dashboards`` writes it.

Plain dictionaries in Grafana's own form, four dashboards of a dozen panels each: a builder library would be one more
thing to pin for them. What comes out is checked against Grafana's published types (``test_dashboards.py``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from tests.controller import ROOT

DIRECTORY = ROOT / "roles" / "monitoring" / "files" / "dashboards"
SOURCE = {"type": "prometheus", "uid": "${source}"}
CHOICE = {
    "name": "source",
    "label": "data of",
    "type": "datasource",
    "query": "prometheus",
    "current": {"text": "Prometheus", "value": "prometheus"},
    "refresh": 1,
}
"""This VPS's own Prometheus, or, on the one that gathers, all of them."""
RUNBOOKS = "https://github.com/hbot-infra/hbot.infra/blob/main/docs/runbooks"
ALERTS_PAGE = "https://github.com/hbot-infra/hbot.infra/blob/main/docs/alerts.md"

Query = tuple[str, str]
"""An expression and its legend."""
Panel = dict[str, Any]

STATES = {"running": "green", "reduce_only": "yellow", "soft_pause": "orange", "hard_stop": "red"}


def _targets(queries: Sequence[Query], *, instant: bool = False, table: bool = False) -> list[dict[str, Any]]:
    return [
        {
            "refId": chr(ord("A") + number),
            "datasource": SOURCE,
            "expr": expression,
            "legendFormat": legend,
            "instant": instant,
            "range": not instant,
            "format": "table" if table else "time_series",
        }
        for number, (expression, legend) in enumerate(queries)
    ]


def when_empty(panel: Panel, reason: str) -> Panel:
    """A panel that says why it is empty: no data may be good news, or a matter of time."""
    panel["fieldConfig"]["defaults"]["noValue"] = reason
    return panel


def _panel(kind: str, title: str, unit: str, width: int, height: int, targets: list[dict[str, Any]]) -> Panel:
    return {
        "type": kind,
        "title": title,
        "datasource": SOURCE,
        "gridPos": {"x": 0, "y": 0, "w": width, "h": height},
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "options": {},
    }


def series(title: str, *queries: Query, unit: str = "none", width: int = 12, height: int = 8) -> Panel:
    """Lines over time."""
    panel = _panel("timeseries", title, unit, width, height, _targets(queries))
    # A dozen containers' names fill the legend: their last values would push half of them out of it.
    calcs = [] if any(legend == "{{name}}" for _, legend in queries) else ["lastNotNull"]
    panel["options"] = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": calcs}}
    return panel


def stat(title: str, expression: str, unit: str = "none", *, red_from: float | None = None, width: int = 4) -> Panel:
    """One number, red from a limit on."""
    panel = _panel("stat", title, unit, width, 3, _targets([(expression, "")], instant=True))
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if red_from is not None:
        steps.append({"color": "red", "value": red_from})
    panel["fieldConfig"]["defaults"]["thresholds"] = {"mode": "absolute", "steps": steps}
    panel["options"] = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value"}
    return panel


def yes_or_no(title: str, expression: str, *, width: int) -> Panel:
    """1 is a green yes, 0 a red no."""
    panel = stat(title, expression, width=width)
    words = {"0": {"text": "no", "color": "red"}, "1": {"text": "yes", "color": "green"}}
    panel["fieldConfig"]["defaults"]["mappings"] = [{"type": "value", "options": words}]
    return panel


def _colour(matcher: str, which: str, colour: str) -> dict[str, Any]:
    """An override: what a matcher finds has one colour."""
    value = {"mode": "fixed", "fixedColor": colour}
    return {"matcher": {"id": matcher, "options": which}, "properties": [{"id": "color", "value": value}]}


def timeline(title: str, *queries: Query, colours: Sequence[dict[str, Any]] = (), height: int = 5) -> Panel:
    """Which state when: a row a series. Without colours of its own 1 is good and 0 is bad."""
    panel = _panel("state-timeline", title, "short", 24, height, _targets(queries))
    steps = [{"color": "red", "value": None}, {"color": "green", "value": 1}]
    panel["fieldConfig"]["defaults"] |= {
        "color": {"mode": "thresholds"},
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    panel["fieldConfig"]["overrides"] = list(colours)
    # The row's name says it all: its values are 1, or 1 and 0.
    panel["options"] = {"mergeValues": True, "showValue": "never", "rowHeight": 0.9}
    return panel


def _cells(column: str, **properties: Any) -> dict[str, Any]:
    """An override: how one column's cells are shown; a double underscore stands for the dot of a key."""
    listed = [{"id": key.replace("__", "."), "value": value} for key, value in properties.items()]
    return {"matcher": {"id": "byName", "options": column}, "properties": listed}


def _table(title: str, height: int, targets: list[dict[str, Any]]) -> Panel:
    panel = _panel("table", title, "short", 24, height, targets)
    # So wide that a screen shows all columns and a phone, which scrolls, a figure whole.
    panel["fieldConfig"]["defaults"]["custom"] = {"minWidth": 84}
    panel["fieldConfig"]["overrides"] = [
        _cells("bot", links=[{"title": "the bot", "url": "/d/bot/bot?var-bot=${__value.text}"}])
    ]
    return panel


def fleet_table(title: str, columns: Sequence[tuple[str, str, str]], *, height: int = 8) -> Panel:
    """One row a bot: its state, then columns (a name, an expression by bot, a unit), then what it is."""
    state = "max by (bot, variant, mode, pair, state) (hbot_bot_state == 1)"
    queries = [(state, ""), *((expression, "") for _, expression, _ in columns)]
    targets = _targets(queries, instant=True, table=True)
    panel = _table(title, height, targets)
    names = {f"Value #{target['refId']}": column for target, (column, _, _) in zip(targets[1:], columns, strict=True)}
    order = ["bot", "state", *names, "pair", "mode", "variant"]
    panel["transformations"] = [
        {"id": "merge", "options": {}},
        {
            "id": "organize",
            "options": {
                "excludeByName": {"Time": True, "Value #A": True},
                "indexByName": {name: place for place, name in enumerate(order)},
                "renameByName": names,
            },
        },
    ]
    panel["options"] = {"sortBy": [{"displayName": "bot", "desc": False}]}
    coloured = {state: {"color": colour, "index": place} for place, (state, colour) in enumerate(STATES.items())}
    panel["fieldConfig"]["overrides"] += [
        _cells("state", mappings=[{"type": "value", "options": coloured}], custom__cellOptions={"type": "color-text"}),
        *(_cells(column, unit=unit) for column, _, unit in columns),
    ]
    return panel


def _link(title: str, *, kind: str = "link", url: str = "", tags: Sequence[str] = ()) -> dict[str, Any]:
    """A link of a dashboard or a panel, with every key that Grafana's schema wants of it."""
    return {
        "title": title,
        "type": kind,
        "icon": "external link",
        "tooltip": "",
        "url": url,
        "tags": list(tags),
        "asDropdown": False,
        "targetBlank": kind == "link",
        "includeVars": False,
        "keepTime": kind == "dashboards",
    }


def alerts_table(matcher: str) -> Panel:
    """What fires now, each with the way to its runbook."""
    expression = f'ALERTS{{alertstate="firing",severity!="none"{matcher}}}'
    panel = _table("Alerts that fire", 6, _targets([(expression, "")], instant=True, table=True))
    hidden = ["Time", "Value", "__name__", "alertstate", "instance", "job", "pair", "variant", "mode"]
    order = {name: place for place, name in enumerate(["alertname", "severity", "bot", "name"])}
    panel["transformations"] = [
        {"id": "organize", "options": {"excludeByName": dict.fromkeys(hidden, True), "indexByName": order}}
    ]
    runbook = {"title": "what to do", "url": f"{RUNBOOKS}/${{__value.text}}.md", "targetBlank": True}
    panel["fieldConfig"]["overrides"].append(_cells("alertname", links=[runbook], custom__width=220))
    panel["links"] = [_link("all runbooks", url=ALERTS_PAGE)]
    # What an empty table says would stand in each empty cell too: not every alert has a bot.
    blank = {"matcher": {"id": "byType", "options": "string"}, "properties": [{"id": "noValue", "value": " "}]}
    panel["fieldConfig"]["overrides"].append(blank)
    return when_empty(panel, "nothing fires")


def dashboard(
    uid: str, title: str, panels: Sequence[Panel], *, variables: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """Panels laid out from left to right, line by line."""
    x = y = line = 0
    for number, panel in enumerate(panels, start=1):
        place = panel["gridPos"]
        if x + place["w"] > 24:
            x, y, line = 0, y + line, 0
        place["x"], place["y"] = x, y
        x, line = x + place["w"], max(line, place["h"])
        panel["id"] = number
    links = [_link("hbot", kind="dashboards", tags=["hbot"])]
    return {
        "uid": uid,
        "title": title,
        "tags": ["hbot"],
        "schemaVersion": 39,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "utc",
        "links": links,
        "templating": {"list": [CHOICE, *variables]},
        "panels": list(panels),
    }


def by_bot(metric: str) -> str:
    """One sample a bot, without where it was scraped."""
    return f"max by (bot, variant, mode, pair) ({metric})"


FLEET = dashboard(
    "fleet",
    "Fleet",
    [
        stat("Bots", "count(hbot_bot_enabled == 1)"),
        stat("Running", 'count(hbot_bot_state{state="running"} == 1) or vector(0)'),
        stat("Stopped hard", 'count(hbot_bot_state{state="hard_stop",variant!~"b|c"} == 1) or vector(0)', red_from=1),
        stat("Alerts", 'count(ALERTS{alertstate="firing",severity!="none"}) or vector(0)', red_from=1),
        stat("Equity", "sum(hbot_bot_equity_quote)"),
        stat("PnL today", "sum(hbot_bot_day_pnl_quote)"),
        fleet_table(
            "Every bot",
            [
                ("equity", by_bot("hbot_bot_equity_quote"), "none"),
                ("PnL today", by_bot("hbot_bot_day_pnl_quote"), "none"),
                ("trading PnL today", by_bot("hbot_bot_day_trading_pnl_quote"), "none"),
                ("drawdown", by_bot("hbot_bot_drawdown_ratio"), "percentunit"),
                ("turnover", by_bot("hbot_bot_turnover_ratio"), "none"),
                ("orders", by_bot("hbot_bot_orders_active"), "none"),
                ("row age", by_bot("hbot_bot_snapshot_age_seconds"), "s"),
                ("log age", by_bot("hbot_bot_log_age_seconds"), "s"),
                ("last fill", by_bot("time() - hbot_bot_last_fill_timestamp_seconds"), "s"),
            ],
        ),
        alerts_table(""),
        series("Equity", ("hbot_bot_equity_quote", "{{bot}}")),
        series("Trading PnL", ("hbot_bot_trading_pnl_quote", "{{bot}}")),
        series("Turnover today", ("hbot_bot_turnover_ratio", "{{bot}}"), ("hbot:threshold:turnover_ratio", "limit")),
        series("Fills an hour", ("sum by (bot) (increase(hbot_bot_fills_total[1h]))", "{{bot}}")),
    ],
)

BOT = '{bot="$bot"}'
QUOTE = "hbot_bot_mid_price_quote{0} * (1 {1} hbot_bot_spread_ratio{0} / 2 - hbot_bot_skew_ratio{0})"

BOT_DASHBOARD = dashboard(
    "bot",
    "Bot",
    [
        stat("Equity", f"hbot_bot_equity_quote{BOT}"),
        stat("PnL today", f"hbot_bot_day_pnl_quote{BOT}"),
        stat("Trading drawdown", f"hbot_bot_trading_drawdown_ratio{BOT}", "percentunit", red_from=0.02),
        stat("Turnover today", f"hbot_bot_turnover_ratio{BOT}", "none", red_from=2),
        stat("Orders", f"hbot_bot_orders_active{BOT}"),
        stat("Age of the row", f"hbot_bot_snapshot_age_seconds{BOT}", "s", red_from=180),
        series(
            "Price, own quotes and last fills",
            (f"hbot_bot_mid_price_quote{BOT}", "mid"),
            (QUOTE.format(BOT, "-"), "own bid"),
            (QUOTE.format(BOT, "+"), "own ask"),
            (f"hbot_bot_last_fill_price_quote{BOT}", "last {{side}}"),
            width=24,
            height=10,
        ),
        timeline(
            "Guard",
            ('hbot_bot_state{bot="$bot"} == 1', "{{state}}"),
            colours=[_colour("byName", state, colour) for state, colour in STATES.items()],
        ),
        timeline(
            "Regime and reasons",
            (f"hbot_bot_regime{BOT}", "{{regime}}"),
            (f"hbot_bot_reason{BOT}", "{{reason}}"),
            colours=[_colour("byFrameRefID", "A", "blue"), _colour("byFrameRefID", "B", "orange")],
        ),
        series(
            "Spread against its floor",
            (f"hbot_bot_spread_ratio{BOT}", "spread"),
            (f"hbot_bot_spread_floor_ratio{BOT}", "floor"),
            unit="percentunit",
        ),
        series(
            "Inventory against target",
            (f"hbot_bot_base_share_ratio{BOT}", "base"),
            (f"hbot_bot_target_base_share_ratio{BOT}", "target"),
            unit="percentunit",
        ),
        series(
            "Margin, adverse selection and markout",
            (f"hbot_bot_quote_margin_ratio{BOT}", "margin of a quote"),
            (f"hbot_bot_adverse_ratio{BOT}", "adverse selection"),
            (f"hbot_bot_markout_30s_ratio{BOT}", "markout 30 s"),
            unit="percentunit",
        ),
        when_empty(
            series(
                "Realised edge over seven days",
                (f"hbot_bot_week_realised_edge_ratio{BOT}", "after {{horizon}}"),
                unit="percentunit",
            ),
            "worked out every half hour, from fills five minutes old",
        ),
        series("Equity", (f"hbot_bot_equity_quote{BOT}", "equity")),
        series(
            "Trading today against its limit",
            (f"hbot_bot_day_trading_pnl_ratio{BOT}", "today"),
            ("-hbot:threshold:day_trading_loss_ratio", "limit"),
            unit="percentunit",
        ),
        series(
            "Drawdown",
            (f"hbot_bot_drawdown_ratio{BOT}", "mark to market"),
            (f"hbot_bot_trading_drawdown_ratio{BOT}", "trading"),
            ("hbot:threshold:trading_drawdown_ratio", "limit of trading"),
            unit="percentunit",
        ),
        series(
            "PnL",
            (f"hbot_bot_trading_pnl_quote{BOT}", "trading"),
            (f"hbot_bot_day_pnl_quote{BOT}", "today"),
            (f"hbot_bot_day_realized_pnl_quote{BOT}", "realised today"),
        ),
        series(
            "Orders",
            (f"hbot_bot_orders_active{BOT}", "active"),
            (f"hbot_bot_cancels_per_minute{BOT}", "cancels a minute"),
            (f"hbot_bot_cancel_fail_streak{BOT}", "cancels in a row that led to nothing"),
        ),
        series("Oldest order", (f"hbot_bot_oldest_order_age_seconds{BOT}", "age"), unit="s"),
        series(
            "Fills an hour",
            (f"sum by (side, liquidity) (increase(hbot_bot_fills_total{BOT}[1h]))", "{{side}} {{liquidity}}"),
        ),
        series("Fees an hour", (f"increase(hbot_bot_fees_quote_total{BOT}[1h])", "fees")),
        series(
            "Errors in a quarter of an hour",
            (f"increase(hbot_bot_log_lines_total{BOT}[15m])", "{{level}}"),
            (f"increase(hbot_bot_network_errors_total{BOT}[15m])", "connection"),
        ),
        series(
            "How fresh",
            (f"hbot_bot_snapshot_age_seconds{BOT}", "row"),
            (f"hbot_bot_log_age_seconds{BOT}", "log"),
            (f"hbot_bot_book_age_seconds{BOT}", "order book"),
            unit="s",
        ),
        series("Tick", (f"hbot_bot_tick_seconds{BOT}", "tick"), unit="s"),
        series("Clock against the exchange's", (f"hbot_bot_clock_skew_seconds{BOT}", "difference"), unit="s"),
        series(
            "Network of its container",
            ('sum(rate(container_network_receive_bytes_total{name="hbot-$bot"}[2m]))', "received"),
            ('sum(rate(container_network_transmit_bytes_total{name="hbot-$bot"}[2m]))', "sent"),
            unit="Bps",
        ),
        series(
            "Memory of its container",
            ('max(container_memory_working_set_bytes{name="hbot-$bot"})', "in use"),
            unit="bytes",
        ),
        timeline(
            "As it should be",
            (f"hbot_bot_mode_agrees{BOT}", "mode"),
            (f"hbot_bot_week_report_ok{BOT}", "report"),
            (f"hbot_bot_file_readable{BOT}", "{{file}}"),
        ),
        when_empty(
            stat("Profit factor, seven days", f"hbot_bot_week_profit_factor{BOT}", width=5), "under 100 round trips"
        ),
        when_empty(
            stat("Fees of gross, seven days", f"hbot_bot_week_fees_to_gross_ratio{BOT}", "percentunit", width=5),
            "no round trip yet",
        ),
        stat("Round trips, seven days", f"hbot_bot_week_round_trips{BOT}", width=5),
        stat("Against holding, seven days", f"hbot_bot_week_versus_holding_ratio{BOT}", "percentunit", width=5),
        stat("Age of the API key", f"time() - hbot_bot_credentials_timestamp_seconds{BOT}", "s", width=4),
        alerts_table(',bot="$bot"'),
    ],
    variables=[
        {
            "name": "bot",
            "label": "bot",
            "type": "query",
            "datasource": SOURCE,
            "query": {"query": "label_values(hbot_bot_enabled, bot)", "refId": "bots"},
            "refresh": 2,
            "sort": 1,
        }
    ],
)

DISK = 'node_filesystem_{0}_bytes{{fstype!~"tmpfs|ramfs|squashfs|iso9660"}}'
INFRASTRUCTURE = dashboard(
    "infrastructure",
    "Infrastructure",
    [
        stat("CPU", '1 - avg(rate(node_cpu_seconds_total{mode="idle"}[2m]))', "percentunit", red_from=0.9),
        stat("Memory", "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes", "percentunit", red_from=0.85),
        stat("Fullest disk", f"max(1 - {DISK.format('avail')} / {DISK.format('size')})", "percentunit", red_from=0.8),
        stat("Up since", "time() - node_boot_time_seconds", "s"),
        stat("Restarts in a day", "sum(increase(hbot_container_restarts_total[1d]))", red_from=1),
        stat("Security updates", 'hbot_host_updates_pending{security="true"}', red_from=1),
        series("CPU by container", ("sum by (name) (rate(container_cpu_usage_seconds_total[2m]))", "{{name}}")),
        series("Memory by container", ("max by (name) (container_memory_working_set_bytes)", "{{name}}"), unit="bytes"),
        series(
            "Received by container",
            ("sum by (name) (rate(container_network_receive_bytes_total[2m]))", "{{name}}"),
            unit="Bps",
        ),
        series(
            "Sent by container",
            ("sum by (name) (rate(container_network_transmit_bytes_total[2m]))", "{{name}}"),
            unit="Bps",
        ),
        timeline(
            "Containers",
            ("hbot_container_running", "{{name}}"),
            ("hbot_container_healthy", "{{name}} healthy"),
            height=12,
        ),
        series("Restarts", ("hbot_container_restarts_total", "{{name}}")),
        series("Kills for want of memory", ("hbot_container_oom_kills_total", "{{name}}")),
        series("Network of the machine", ("rate(node_network_receive_bytes_total[2m])", "{{device}}"), unit="Bps"),
        series("Disks", (f"1 - {DISK.format('avail')} / {DISK.format('size')}", "{{mountpoint}}"), unit="percentunit"),
        series("Load", ("node_load1", "1 min"), ("node_load15", "15 min")),
        series("Series in Prometheus", ("prometheus_tsdb_head_series", "series"), unit="short"),
        timeline("The monitoring itself", ("up", "{{job}} {{bot}}"), height=8),
        timeline(
            "As it should be",
            # A machine whose clock is another's business, a container's, is not judged by it: nor does the alert.
            ("1 - hbot_host_keeps_time * on (vps) (1 - node_timex_sync_status)", "clock synchronised"),
            ("1 - hbot_host_reboot_required", "no reboot wanted"),
            ("hbot_facts_ok", "facts of {{part}}"),
            ("prometheus_config_last_reload_successful", "Prometheus's configuration"),
            ("alertmanager_config_last_reload_successful", "Alertmanager's configuration"),
            ("hbot_backup_last_attempt_succeeded", "backup {{set}} {{repository}}"),
            ("hbot_backup_verify_succeeded", "backup read back {{repository}}"),
            ("hbot_backup_drill_succeeded", "restore drill {{set}}"),
            height=9,
        ),
        when_empty(
            series(
                "Age of the last good backup",
                ("time() - hbot_backup_last_success_timestamp_seconds", "{{set}} {{repository}}"),
                unit="s",
            ),
            "no backup has run yet",
        ),
        series(
            "Age of the images, days",
            ("(time() - hbot_container_image_created_timestamp_seconds) / 86400", "{{name}}"),
            ("hbot:threshold:image_age_days", "limit"),
        ),
        when_empty(
            series(
                "Messages that could not be delivered in an hour",
                ("sum by (integration) (increase(alertmanager_notifications_failed_total[1h]))", "{{integration}}"),
            ),
            "none was sent yet",
        ),
        when_empty(
            series(
                "Behind in sending samples",
                (
                    "prometheus_remote_storage_highest_timestamp_in_seconds"
                    " - on () group_right () prometheus_remote_storage_queue_highest_sent_timestamp_seconds",
                    "to {{remote_name}}",
                ),
                unit="s",
            ),
            "this VPS sends to no other",
        ),
        alerts_table(""),
    ],
)

EXCHANGE = dashboard(
    "exchange",
    "Exchange",
    [
        yes_or_no("Answers", 'min(probe_success{job="exchange"})', width=6),
        stat("Answers within", 'max(probe_duration_seconds{job="exchange"})', "s", red_from=0.5, width=6),
        stat("Cancels a minute", "sum(hbot_bot_cancels_per_minute)", red_from=50, width=6),
        stat("Failed connections in an hour", "sum(increase(hbot_bot_network_errors_total[1h]))", red_from=10, width=6),
        series(
            "Answer of the public API",
            ('probe_duration_seconds{job="exchange"}', "{{instance}}"),
            ("hbot:threshold:api_latency_seconds", "slow"),
            ("hbot:threshold:api_slow_seconds", "very slow"),
            unit="s",
        ),
        series("By part", ('probe_http_duration_seconds{job="exchange"}', "{{phase}}"), unit="s"),
        series(
            "Availability of a day",
            ('avg_over_time(probe_success{job="exchange"}[1d])', "{{instance}}"),
            unit="percentunit",
        ),
        series("Failed connections", ("increase(hbot_bot_network_errors_total[15m])", "{{bot}}")),
        series("Age of the order book", ("hbot_bot_book_age_seconds", "{{bot}}"), unit="s"),
        series("Clock against the exchange's", ("hbot_bot_clock_skew_seconds", "{{bot}}"), unit="s"),
        series("Cancels a minute (50 pause a bot)", ("hbot_bot_cancels_per_minute", "{{bot}}")),
        series(
            "Days until a certificate ends", ("(hbot_certificate_expiry_timestamp_seconds - time()) / 86400", "{{bot}}")
        ),
        alerts_table(
            ',alertname=~"Exchange.+|CertificateEndsSoon|BotDisconnected|BotNetworkErrors|BotClockSkewed|BotCancelsFail"'
        ),
    ],
)

DASHBOARDS = {each["uid"]: each for each in (FLEET, BOT_DASHBOARD, INFRASTRUCTURE, EXCHANGE)}


def text(content: dict[str, Any]) -> str:
    """As the file holds it."""
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def expressions(content: dict[str, Any]) -> list[str]:
    """Every query of a dashboard."""
    return [target["expr"] for panel in content["panels"] for target in panel["targets"]]


def metrics_of(expression: str) -> set[str]:
    """The metric names in an expression."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    names = set(re.findall(r"\b(?:hbot|node|container|probe|up|alertmanager|prometheus)[A-Za-z0-9_:]*\b", bare))
    return {name for name in names if "_" in name or name == "up"} - {"group_left", "group_right"}


if __name__ == "__main__":
    for uid, content in DASHBOARDS.items():
        (DIRECTORY / f"{uid}.json").write_text(text(content), encoding="utf-8")
