"""What a machine's week left behind: Prometheus's answers, the bots' day rows, backups, bans, the clock."""

from __future__ import annotations

import csv
import json
import math
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

PROMETHEUS = "http://127.0.0.1:9090/api/v1/query"
DAYS = 7

REAL_DISKS = 'fstype!~"tmpfs|ramfs|squashfs|iso9660|overlay"'

QUERIES: Mapping[str, str] = {
    # by container: the share of the week in which it ran while it should have, as the alert ContainerUptimeLow has it
    "uptime": (
        "sum_over_time(hbot_container_running[7d])"
        " / on (name) group_right () sum_over_time(hbot_bot_container_expected[7d])"
        " and count_over_time(hbot_bot_container_expected[7d]) > 1440"
    ),
    "restarts": "hbot_container_restarts_total - min_over_time(hbot_container_restarts_total[7d])",
    # by bot
    "fills_a_day": "sum by (bot) (increase(hbot_bot_fills_total[7d])) / 7",
    "fills_last_day": "sum by (bot) (increase(hbot_bot_fills_total[1d]))",
    "errors": 'sum by (bot) (increase(hbot_bot_log_lines_total{level=~"error|critical"}[7d]))',
    "network_errors": "sum by (bot) (increase(hbot_bot_network_errors_total[7d]))",
    # of the machine; how many seconds of the week it knows, at a sample in 15 s
    "known_s": 'max(count_over_time(up{job="prometheus"}[7d])) * 15',
    "latency_mean": 'avg(avg_over_time(probe_duration_seconds{job="exchange"}[7d]))',
    "latency_worst": 'max(max_over_time(avg_over_time(probe_duration_seconds{job="exchange"}[5m])[7d:5m]))',
    # a rate over the week itself would count the part that is not known as busy
    "cpu_mean": 'avg_over_time((1 - avg(rate(node_cpu_seconds_total{mode="idle"}[5m])))[7d:5m])',
    "cpu_worst": 'max_over_time((1 - avg(rate(node_cpu_seconds_total{mode="idle"}[15m])))[7d:15m])',
    "memory_mean": "1 - avg(avg_over_time(node_memory_MemAvailable_bytes[7d])) / avg(node_memory_MemTotal_bytes)",
    "memory_worst": "1 - min(min_over_time(node_memory_MemAvailable_bytes[7d])) / min(node_memory_MemTotal_bytes)",
    # by mount point
    "disk_used": f"1 - node_filesystem_avail_bytes{{{REAL_DISKS}}} / node_filesystem_size_bytes{{{REAL_DISKS}}}",
    "disk_growth": f"-deriv(node_filesystem_avail_bytes{{{REAL_DISKS}}}[7d]) * 86400",
    "disk_free": f"node_filesystem_avail_bytes{{{REAL_DISKS}}}",
    # by set and repository
    "backup_succeeded": "hbot_backup_last_success_timestamp_seconds",
    "backup_drill": "min(hbot_backup_drill_timestamp_seconds)",
    "backup_drill_good": "min(hbot_backup_drill_succeeded)",
    # by alert
    "alerts": 'sort_desc(sum by (alertname) (count_over_time(ALERTS{alertstate="firing",severity!="none"}[7d:1m])))',
}

LABELS = ("name", "bot", "mountpoint", "set", "alertname")
"""The label by which an answer's values are told apart, whichever it has."""

Answers = Mapping[str, Mapping[str, float]]
"""By query, by label, a value; no entry for a query that nobody answered."""


@dataclass(frozen=True)
class Week:
    """The whole UTC days of one bot's week, added up; in quote."""

    days: int
    pnl: float
    trading_pnl: float
    fees: float
    fills: int
    worst_drawdown: float
    """A fraction of equity."""


@dataclass(frozen=True)
class Reading:
    """Everything that a review looks at."""

    now: float
    answers: Answers
    bots: Mapping[str, Week | None]
    banned: int | None
    """Addresses that fail2ban keeps out of sshd now; unknown when it does not answer."""
    banned_in_all: int | None
    clock_synchronised: bool
    clock_is_anothers: bool
    """A container's clock is its host's."""


def ask(queries: Mapping[str, str] = QUERIES) -> dict[str, dict[str, float]]:
    """Prometheus's answers; none at all when it does not answer."""
    found: dict[str, dict[str, float]] = {}
    for name, query in queries.items():
        try:
            address = f"{PROMETHEUS}?{urllib.parse.urlencode({'query': query})}"
            with urllib.request.urlopen(address, timeout=20) as web:  # noqa: S310 (this machine's own Prometheus)
                samples = json.load(web)["data"]["result"]
        except (OSError, ValueError, KeyError):
            continue
        values = found.setdefault(name, {})
        for sample in samples:
            label = next((sample["metric"][each] for each in LABELS if each in sample["metric"]), "")
            value = float(sample["value"][1])
            if math.isnan(value):
                continue
            # A set is in two repositories when there is an offsite one: the older of both counts.
            values[label] = min(value, values[label]) if name.startswith("backup") and label in values else value
    return found


def week(directory: Path, today: datetime) -> Week | None:
    """Add up the day rows of the seven UTC days before today; the last row of a day counts.

    :param directory: where an instance's books stand.
    :returns: nothing when no day of them is in the book.
    """
    wanted = {(today - timedelta(days=back)).strftime("%Y-%m-%d") for back in range(1, DAYS + 1)}
    rows: dict[str, dict[str, str]] = {}
    try:
        with (directory / "daily.csv").open(encoding="utf-8", errors="replace", newline="") as book:
            for row in csv.DictReader(book):
                if row.get("day") in wanted and row.get("fills_count"):
                    rows[row["day"]] = row
    except OSError:
        return None
    if not rows:
        return None
    return Week(
        days=len(rows),
        pnl=_sum(rows.values(), "pnl_quote"),
        trading_pnl=_sum(rows.values(), "trading_pnl_quote"),
        fees=_sum(rows.values(), "fees_quote"),
        fills=int(_sum(rows.values(), "fills_count")),
        worst_drawdown=max((_number(row.get("max_drawdown_pct")) for row in rows.values()), default=0.0),
    )


def read(root: Path, instances: Sequence[tuple[str, str]], now: float) -> Reading:
    """Look at everything.

    :param root: where everything of the bots lives.
    :param instances: bots that keep books, each with its variant.
    :param now: seconds since the epoch.
    """
    today = datetime.fromtimestamp(now, tz=timezone.utc)  # Python 3.10 has no datetime.UTC
    banned, in_all = bans(_said("fail2ban-client", "status", "sshd"))
    return Reading(
        now=now,
        answers=ask(),
        bots={bot: week(root / f"data/{bot}/logs/epp_v24/{bot}_{variant}", today) for bot, variant in instances},
        banned=banned,
        banned_in_all=in_all,
        clock_synchronised=_said("timedatectl", "show", "--property=NTPSynchronized", "--value").strip() == "yes",
        clock_is_anothers=_said("systemd-detect-virt", "--container").strip() not in {"", "none"},
    )


def bans(said: str) -> tuple[int | None, int | None]:
    """What ``fail2ban-client status sshd`` says of addresses banned now, and since it started."""
    now, in_all = (re.search(rf"{what} banned:\s+(\d+)", said) for what in ("Currently", "Total"))
    return (int(now[1]) if now else None), (int(in_all[1]) if in_all else None)


def _said(*command: str) -> str:
    """What a command prints; nothing when it is not there or does not answer."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _sum(rows: Iterable[Mapping[str, str]], column: str) -> float:
    return sum(_number(row.get(column)) for row in rows)


def _number(cell: str | None) -> float:
    try:
        return float(cell or 0)
    except ValueError:
        return 0.0
