"""The dashboards, and the JSON that Grafana is given: ``python -m tests.dashboards.dashboards`` writes it.

Plain dictionaries in Grafana's own form, four dashboards of a dozen panels each: a builder library would be one more
thing to pin for them. What comes out is checked against Grafana's published types (``test_dashboards.py``).
"""

from __future__ import annotations

import json
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
RUNBOOKS = "https://github.com/hbot-infra/hbot.infra/blob/main/docs/alerts.md"

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


def series(title: str, *queries: Query, unit: str = "short", width: int = 12, height: int = 8) -> Panel:
    """Lines over time."""
    panel = _panel("timeseries", title, unit, width, height, _targets(queries))
    panel["options"] = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}}
    return panel


def stat(title: str, expression: str, unit: str = "short", *, red_from: float | None = None, width: int = 4) -> Panel:
    """One number, red from a limit on."""
    panel = _panel("stat", title, unit, width, 4, _targets([(expression, "")], instant=True))
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if red_from is not None:
        steps.append({"color": "red", "value": red_from})
    panel["fieldConfig"]["defaults"]["thresholds"] = {"mode": "absolute", "steps": steps}
    panel["options"] = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value"}
    return panel


def timeline(title: str, *queries: Query, width: int = 24, height: int = 5) -> Panel:
    """Which state when."""
    return _panel("state-timeline", title, "short", width, height, _targets(queries))


def table(title: str, columns: Sequence[tuple[str, str, str]], *, height: int = 10) -> Panel:
    """One row a bot; columns are a name, an expression by bot, and a unit."""
    targets = _targets([(expression, "") for _, expression, _ in columns], instant=True, table=True)
    panel = _panel("table", title, "short", 24, height, targets)
    names = {f"Value #{target['refId']}": column for target, (column, _, _) in zip(targets, columns, strict=True)}
    panel["transformations"] = [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": names}},
    ]
    panel["fieldConfig"]["overrides"] = [
        {"matcher": {"id": "byName", "options": column}, "properties": [{"id": "unit", "value": unit}]}
        for column, _, unit in columns
    ] + [
        {
            "matcher": {"id": "byName", "options": "bot"},
            "properties": [
                {"id": "links", "value": [{"title": "the bot", "url": "/d/bot/bot?var-bot=${__value.text}"}]}
            ],
        }
    ]
    return panel


def alerts_table(matcher: str) -> Panel:
    """What fires now."""
    expression = f'ALERTS{{alertstate="firing",severity!="none"{matcher}}}'
    panel = _panel("table", "Alerts that fire", "short", 24, 6, _targets([(expression, "")], instant=True, table=True))
    hidden = ["Time", "Value", "__name__", "alertstate", "instance", "job", "pair", "variant", "mode"]
    panel["transformations"] = [{"id": "organize", "options": {"excludeByName": dict.fromkeys(hidden, True)}}]
    panel["links"] = [{"title": "what to do", "url": RUNBOOKS, "targetBlank": True}]
    return panel


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
    links = [
        {
            "title": "hbot",
            "type": "dashboards",
            "tags": ["hbot"],
            "asDropdown": False,
            "includeVars": False,
            "keepTime": True,
        }
    ]
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
        table(
            "Every bot",
            [
                ("in state", "max by (bot, variant, mode, pair, state) (hbot_bot_state == 1)", "short"),
                ("equity", by_bot("hbot_bot_equity_quote"), "none"),
                ("PnL today", by_bot("hbot_bot_day_pnl_quote"), "none"),
                ("trading PnL today", by_bot("hbot_bot_day_trading_pnl_quote"), "none"),
                ("drawdown", by_bot("hbot_bot_drawdown_ratio"), "percentunit"),
                ("turnover", by_bot("hbot_bot_turnover_ratio"), "none"),
                ("orders", by_bot("hbot_bot_orders_active"), "none"),
                ("age of the row", by_bot("hbot_bot_snapshot_age_seconds"), "s"),
                ("age of the log", by_bot("hbot_bot_log_age_seconds"), "s"),
                ("since the last fill", by_bot("time() - hbot_bot_last_fill_timestamp_seconds"), "s"),
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
        timeline("Guard", ('hbot_bot_state{bot="$bot"} == 1', "{{state}}")),
        timeline("Reasons", (f"hbot_bot_reason{BOT}", "{{reason}}"), ('hbot_bot_regime{bot="$bot"}', "{{regime}}")),
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
        series(
            "Realised edge over seven days",
            (f"hbot_bot_week_realised_edge_ratio{BOT}", "after {{horizon}}"),
            unit="percentunit",
        ),
        series("Equity", (f"hbot_bot_equity_quote{BOT}", "equity")),
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
        stat("Profit factor, seven days", f"hbot_bot_week_profit_factor{BOT}", "none", width=6),
        stat("Fees of gross, seven days", f"hbot_bot_week_fees_to_gross_ratio{BOT}", "percentunit", width=6),
        stat("Round trips, seven days", f"hbot_bot_week_round_trips{BOT}", width=6),
        stat("Against holding, seven days", f"hbot_bot_week_versus_holding_ratio{BOT}", "percentunit", width=6),
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
        timeline("Containers", ("hbot_container_running", "{{name}}"), height=8),
        series("Restarts", ("hbot_container_restarts_total", "{{name}}")),
        series("Kills for want of memory", ("hbot_container_oom_kills_total", "{{name}}")),
        series("Network of the machine", ("rate(node_network_receive_bytes_total[2m])", "{{device}}"), unit="Bps"),
        series("Disks", (f"1 - {DISK.format('avail')} / {DISK.format('size')}", "{{mountpoint}}"), unit="percentunit"),
        series("Load", ("node_load1", "1 min"), ("node_load15", "15 min")),
        timeline("The monitoring itself", ("up", "{{job}} {{bot}}"), height=8),
        series(
            "Age of the last good backup",
            ("time() - hbot_backup_last_success_timestamp_seconds", "{{set}} {{repository}}"),
            unit="s",
        ),
        series("Series in Prometheus", ("prometheus_tsdb_head_series", "series")),
        alerts_table(""),
    ],
)

EXCHANGE = dashboard(
    "exchange",
    "Exchange",
    [
        stat("Answers", 'min(probe_success{job="exchange"})', width=6),
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
    ],
)

DASHBOARDS = {each["uid"]: each for each in (FLEET, BOT_DASHBOARD, INFRASTRUCTURE, EXCHANGE)}


def text(content: dict[str, Any]) -> str:
    """As the file holds it."""
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def expressions(content: dict[str, Any]) -> list[str]:
    """Every query of a dashboard."""
    return [target["expr"] for panel in content["panels"] for target in panel["targets"]]


if __name__ == "__main__":
    for uid, content in DASHBOARDS.items():
        (DIRECTORY / f"{uid}.json").write_text(text(content), encoding="utf-8")
