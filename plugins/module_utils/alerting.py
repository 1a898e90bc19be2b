# Copyright: hbot.infra maintainers. Not for redistribution.
"""When alerts fire and where they go: the thresholds, and Alertmanager's configuration from the inventory's receivers.

Pure functions: the preflight judges with them, the filters of ``plugins/filter/monitoring.py`` render with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Threshold:
    """A limit of an alert: its default, its bounds, and what it means."""

    default: float
    least: float
    most: float
    what: str


THRESHOLDS = {
    "cpu_ratio": Threshold(0.90, 0.1, 1.0, "CPU use of the machine"),
    "memory_ratio": Threshold(0.85, 0.1, 1.0, "memory use of the machine"),
    "disk_ratio": Threshold(0.80, 0.1, 1.0, "use of a disk, warning"),
    "disk_full_ratio": Threshold(0.95, 0.1, 1.0, "use of a disk, critical"),
    "restarts": Threshold(3, 1, 100, "restarts of a container in 15 minutes"),
    "stale_order_seconds": Threshold(1800, 60, 86400, "age of a bot's oldest order"),
    "silent_log_seconds": Threshold(600, 60, 86400, "since the last line of a bot's log"),
    "stale_database_seconds": Threshold(21600, 600, 604800, "since a trading bot's database was written"),
    "snapshot_age_seconds": Threshold(180, 120, 3600, "since a bot's last minute row"),
    "no_fills_seconds": Threshold(21600, 600, 604800, "since the last fill of a bot that runs"),
    "trading_drawdown_ratio": Threshold(0.02, 0.001, 0.5, "fall of trading PnL from its peak, over opening equity"),
    "drawdown_ratio": Threshold(0.10, 0.001, 0.9, "fall of equity from its 30-day peak"),
    "day_trading_loss_ratio": Threshold(0.01, 0.001, 0.5, "trading loss of the UTC day, over opening equity"),
    "turnover_ratio": Threshold(2.0, 0.1, 100, "traded on the UTC day, over opening equity"),
    "fees_to_gross_ratio": Threshold(0.40, 0.01, 1.0, "fees over PnL before fees, seven days"),
    "profit_factor": Threshold(1.25, 0.1, 10, "net gains over net losses, seven days; fires below"),
    "markout_ratio": Threshold(0.0010, 0.0001, 0.01, "adverse move in the 30 s after own fills"),
    "fill_rate_ratio": Threshold(0.25, 0.01, 1.0, "fills of a day over the mean day of the bot's week; fires below"),
    "network_errors": Threshold(10, 1, 10000, "failed connections of a bot in 15 minutes"),
    "error_lines": Threshold(20, 1, 10000, "error lines of a bot in 15 minutes"),
    "uptime_ratio": Threshold(0.995, 0.5, 1.0, "share of a day that a bot's container ran; fires below"),
    "clock_skew_seconds": Threshold(1.0, 0.05, 30, "a bot's clock against the exchange's"),
    "key_age_days": Threshold(90, 1, 3650, "age of a live bot's credentials"),
    "image_age_days": Threshold(180, 1, 3650, "age of an image that runs"),
    "certificate_days": Threshold(14, 1, 365, "until a certificate ends; fires below"),
    "api_latency_seconds": Threshold(0.5, 0.01, 30, "mean answer of the exchange's API, warning"),
    "api_slow_seconds": Threshold(2.0, 0.01, 30, "mean answer of the exchange's API, critical"),
    "backup_age_seconds": Threshold(
        93600, 300, 2592000, "since the last good backup of a bot, the environment or the monitoring"
    ),
}

SEVERITIES = ("critical", "warning", "info")

SECRET_DIRECTORY = "/run/alertmanager"  # noqa: S105 (a directory, no secret)
"""Where the container sees its secrets, one file a receiver."""

AUTHORITY = "{name}.pem"
"""The file of a receiver's own certificate authority, beside Alertmanager's configuration."""

INHIBITIONS = (
    # What follows from the first is not told beside it.
    ("ContainerDown", "Bot(SnapshotStale|LogSilent|NoNetwork|DatabaseStale|NoFills|OrdersStale)", ("bot",)),
    ("ContainerUnhealthy", "Bot(SnapshotStale|LogSilent|OrdersStale)", ("bot",)),
    ("BotSnapshotStale", "Bot(OrdersStale|NoFills|NoNetwork|LogSilent|DatabaseStale)", ("bot",)),
    ("BotHardStop", "Bot(TradingDrawdown|DayLoss|Drawdown|NoFills|SoftPauseLong)", ("bot",)),
    ("ExchangeApiDown", "Bot(SoftPauseLong|Disconnected|NetworkErrors|NoNetwork)|ExchangeApi(Slow|VerySlow)", ("vps",)),
    ("DiskAlmostFull", "HighDiskUsage|DiskFullSoon", ("vps", "mountpoint")),
    ("ExchangeApiVerySlow", "ExchangeApiSlow", ("vps",)),
    ("BotExporterDown", "Bot(FileUnreadable|ReportRefused)", ("vps",)),
)
"""The cause, the alerts (a regular expression) that are its consequences, and the labels in which they agree."""


def threshold_faults(given: Any) -> Iterator[tuple[str, str, str]]:
    """What is wrong with thresholds of an inventory: name, fault and remedy."""
    if not isinstance(given, Mapping):
        yield "", f"{given!r} is no mapping", "names and numbers, as docs/alerts.md lists them"
        return
    for name, value in given.items():
        limit = THRESHOLDS.get(name)
        if limit is None:
            yield str(name), "there is no such threshold", "docs/alerts.md lists them"
        elif isinstance(value, bool) or not isinstance(value, (int, float)):
            yield str(name), f"{value!r} is no number", f"a number from {limit.least:g} to {limit.most:g}"
        elif not limit.least <= value <= limit.most:
            yield str(name), f"{value} is out of range", f"a number from {limit.least:g} to {limit.most:g}"


def threshold_rules(given: Mapping[str, float]) -> dict[str, Any]:
    """Prometheus's rules that hold the thresholds as series, which alert rules and dashboards compare with."""
    rules = [
        {"record": f"hbot:threshold:{name}", "expr": f"vector({given.get(name, limit.default)})"}
        for name, limit in THRESHOLDS.items()
    ]
    return {"groups": [{"name": "thresholds", "rules": rules}]}


def _secret(name: str) -> str:
    return f"{SECRET_DIRECTORY}/{name}"


def _slack(receiver: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "slack_configs": [
            {
                "api_url_file": _secret(receiver["name"]),
                "channel": receiver["channel"],
                "send_resolved": True,
                "title": '{{ template "hbot.title" . }}',
                "text": '{{ template "hbot.text" . }}',
            }
        ]
    }


def _telegram(receiver: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "telegram_configs": [
            {
                "bot_token_file": _secret(receiver["name"]),
                "chat_id": int(receiver["chat_id"]),
                "parse_mode": "",
                "send_resolved": True,
                "message": '{{ template "hbot.title" . }}\n{{ template "hbot.text" . }}',
                **({"api_url": receiver["url"]} if receiver.get("url") else {}),
            }
        ]
    }


def _email(receiver: Mapping[str, Any]) -> dict[str, Any]:
    login = (
        {"auth_username": receiver["username"], "auth_password_file": _secret(receiver["name"])}
        if receiver.get("username")
        else {}
    )
    return {
        "email_configs": [
            {
                "to": receiver["to"],
                "from": receiver["from"],
                "smarthost": receiver["smarthost"],
                "require_tls": receiver.get("require_tls") is not False,
                "send_resolved": True,
                "headers": {"Subject": '{{ template "hbot.title" . }}'},
                "html": "",
                "text": '{{ template "hbot.text" . }}',
                **login,
            }
        ]
    }


def _webhook(receiver: Mapping[str, Any]) -> dict[str, Any]:
    return {"webhook_configs": [{"url_file": _secret(receiver["name"]), "send_resolved": True}]}


def _pagerduty(receiver: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "pagerduty_configs": [
            {
                "routing_key_file": _secret(receiver["name"]),
                "send_resolved": True,
                "description": '{{ template "hbot.title" . }}',
                "severity": "{{ .CommonLabels.severity }}",
                **({"url": receiver["url"]} if receiver.get("url") else {}),
            }
        ]
    }


KINDS = {
    # kind: (how it is written, what it must have besides its name and secret, whether it must have a secret)
    "slack": (_slack, ("channel",), True),
    "telegram": (_telegram, ("chat_id",), True),
    "email": (_email, ("to", "from", "smarthost"), False),
    "webhook": (_webhook, (), True),
    "pagerduty": (_pagerduty, (), True),
}


def _written(receiver: Mapping[str, Any]) -> dict[str, Any]:
    """A receiver as Alertmanager's configuration has it."""
    write, _, _ = KINDS[receiver["type"]]
    written: dict[str, Any] = write(receiver)
    if receiver.get("ca"):
        trust = {"tls_config": {"ca_file": f"/etc/alertmanager/{AUTHORITY.format(name=receiver['name'])}"}}
        for (service,) in written.values():
            service.update(trust if receiver["type"] == "email" else {"http_config": trust})
    return {"name": receiver["name"], **written}


def receiver_faults(receivers: Any, secrets: Any) -> Iterator[tuple[str, str, str]]:
    """What is wrong with receivers of an inventory: variable, fault and remedy."""
    if not isinstance(receivers, list) or not all(isinstance(each, Mapping) for each in receivers):
        yield "monitoring_receivers", f"{receivers!r} is no list of receivers", "docs/alerts.md shows each kind"
        return
    if not isinstance(secrets, Mapping):
        yield "monitoring_receiver_secrets", "it is no mapping", "receiver names and their secrets"
        return
    names = [each.get("name") for each in receivers]
    for receiver in receivers:
        name, kind = receiver.get("name"), receiver.get("type")
        if not isinstance(name, str) or not name.replace("-", "").isalnum() or name in ("none", "heartbeat"):
            yield "monitoring_receivers", f"{name!r} is no receiver's name", "letters, digits and dashes"
            continue
        if names.count(name) > 1:
            yield "monitoring_receivers", f"{name!r} is there twice", "one name for each receiver"
        if kind not in KINDS:
            yield "monitoring_receivers", f"{name}: {kind!r} is no kind of receiver", f"one of {', '.join(KINDS)}"
            continue
        _, wanted, needs_secret = KINDS[kind]
        missing = [key for key in wanted if receiver.get(key) in (None, "")]
        if missing:
            yield "monitoring_receivers", f"{name}: {', '.join(missing)} missing", f"a {kind} receiver needs it"
        needs_secret = needs_secret or bool(receiver.get("username"))
        if needs_secret and not str(secrets.get(name) or "").strip():
            yield (
                "monitoring_receiver_secrets",
                f"the {kind} receiver {name!r} has no secret",
                f"`{name}: …` in host_vars/<vps>/vault.yml of the inventory",
            )
        smarthost = receiver.get("smarthost")
        if smarthost and not str(smarthost).rpartition(":")[2].isdigit():
            yield "monitoring_receivers", f"{name}: smarthost {smarthost!r} has no port", "smtp.example.net:587"
        authority = receiver.get("ca")
        if authority and ("BEGIN CERTIFICATE" not in str(authority) or "PRIVATE KEY" in str(authority)):
            # It is not shown: a private key may have been put there by mistake.
            yield (
                "monitoring_receivers",
                f"{name}: ca is no certificate",
                "the text of the CA's PEM file, by lookup('ansible.builtin.file', …)",
            )
        unknown = [each for each in receiver.get("severities", ()) if each not in SEVERITIES]
        if unknown:
            yield "monitoring_receivers", f"{name}: severity {unknown[0]!r} is unknown", f"of {', '.join(SEVERITIES)}"
    for name in secrets:
        if name not in names:
            yield "monitoring_receiver_secrets", f"{name!r} is no receiver", "name it like its receiver"


def alertmanager_configuration(receivers: Sequence[Mapping[str, Any]], heartbeat_url: str) -> dict[str, Any]:
    """Alertmanager's configuration. Without receivers alerts are kept and shown, and sent nowhere."""
    routes: list[dict[str, Any]] = [
        {
            "matchers": ['alertname="Heartbeat"'],
            "receiver": "heartbeat" if heartbeat_url else "none",
            "group_wait": "0s",
            "group_interval": "1m",
            "repeat_interval": "5m",
        }
    ]
    for receiver in receivers:
        severities = "|".join(receiver.get("severities") or SEVERITIES[:2])
        routes.append(
            {
                "matchers": [f'severity=~"{severities}"'],
                "receiver": receiver["name"],
                "continue": True,
            }
        )
    written: list[dict[str, Any]] = [{"name": "none"}]
    if heartbeat_url:
        written.append({"name": "heartbeat", "webhook_configs": [{"url": heartbeat_url, "send_resolved": False}]})
    written += [_written(receiver) for receiver in receivers]
    return {
        "global": {"resolve_timeout": "5m"},
        "templates": ["/etc/alertmanager/*.tmpl"],
        "route": {
            "receiver": "none",
            "group_by": ["alertname", "vps", "bot"],
            "group_wait": "10s",
            "group_interval": "1m",
            "repeat_interval": "4h",
            "routes": routes,
        },
        "inhibit_rules": [
            {
                # What is the matter with a watchdog explains nothing of its bot.
                "source_matchers": [f'alertname="{source}"', 'name!~".+-watchdog"'],
                "target_matchers": [f'alertname=~"{targets}"', f'alertname!="{source}"'],
                "equal": list(equal),
            }
            for source, targets, equal in INHIBITIONS
        ],
        "receivers": written,
    }
