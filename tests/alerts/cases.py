"""Every alert, with the series that make it fire and the ones that must not."""

from __future__ import annotations

from tests.alerts.promtool import BOT, Case, Counter, Shape, always, const, moment, of_bot, series, steps

ENABLED = {of_bot("enabled"): always(1)}
LIVE = BOT | {"mode": "live"}
CONTAINER = {"name": "hbot-bot1"}
VPS = {"vps": "vps1"}
FACTS: dict[str, Shape] = {series("hbot_facts_timestamp_seconds", **VPS): moment(20, 20, 20)}
DISK = VPS | {"mountpoint": "/", "fstype": "ext4"}
DAY = 86400
STATES = ("running", "reduce_only", "soft_pause", "hard_stop")


def state(good: str, below: str, bad: str, **labels: str) -> dict[str, Shape]:
    """The one-hot states of a bot."""
    bot = BOT | labels
    return {
        series("hbot_bot_state", **bot, state=each): const(
            float(each == good), float(each == below), float(each == bad)
        )
        for each in STATES
    }


def disk(good: float, below: float, bad: float) -> dict[str, Shape]:
    """A disk of 100 of which so much is in use."""
    return {
        series("node_filesystem_size_bytes", **DISK): always(100),
        series("node_filesystem_avail_bytes", **DISK): const(100 - good, 100 - below, 100 - bad),
    }


def draining(good: float, below: float, bad: float) -> Shape:
    """Free space of a disk that is more than half full and loses so many bytes a second."""
    rates = {"good": good, "below": below, "bad": bad}
    return lambda condition, now, since: max(0.0, 40e9 - rates[condition] * since)


CASES = [
    # -- containers
    Case(
        "ContainerDown",
        FACTS
        | {
            series("hbot_bot_container_expected", **BOT, **CONTAINER): always(1),
            # It is gone: there is no series of its own any more.
            series("hbot_container_running", **CONTAINER): const(1, 1, None),
        },
        fires_after=330,  # Prometheus itself forgets a series that ends without a mark after 5 minutes
    ),
    Case(
        "ContainerRestartLoop",
        {series("hbot_container_restarts_total", **CONTAINER): steps(3, 4)},
        fires_after=0,
        over_after=900,
    ),
    Case("ContainerUnhealthy", {series("hbot_container_healthy", **CONTAINER): const(1, 1, 0)}, fires_after=60),
    Case(
        "ContainerOomKilled",
        {series("hbot_container_oom_kills_total", **CONTAINER): steps(0, 1)},
        fires_after=0,
        over_after=900,
    ),
    Case(
        "ContainerMemoryGrows",
        {
            series("container_spec_memory_limit_bytes", **CONTAINER, id="/docker/1"): always(1000),
            series("container_memory_working_set_bytes", **CONTAINER, id="/docker/1"): lambda condition, now, since: (
                600 + {"good": 0.0, "below": 0.0, "bad": 0.008}[condition] * since
            ),
        },
        warm=6 * 3600,
        fires_after=14220,
        over_after=8 * 3600,
        bad_for=6 * 3600,
    ),
    Case(
        "ContainerUptimeLow",
        {
            series("hbot_bot_container_expected", **BOT, **CONTAINER): always(1),
            series("hbot_container_running", **CONTAINER): const(1, 1, 0),
        },
        interval=15,
        warm=DAY,
        fires_after=432 + 600,  # half a percent of a day, and ten minutes
        bad_for=1500,
        over_after=DAY - 300,
    ),
    # -- the machine
    Case(
        "HighCpuUsage",
        {series("node_cpu_seconds_total", **VPS, cpu="0", mode="idle"): Counter(30, 7, 4)},
        fires_after=300 + 60,
    ),
    Case(
        "HighMemoryUsage",
        {
            series("node_memory_MemTotal_bytes", **VPS): always(100),
            series("node_memory_MemAvailable_bytes", **VPS): const(50, 16, 14),
        },
        fires_after=300,
    ),
    Case("HighDiskUsage", disk(50, 80, 81), fires_after=600),
    Case("DiskAlmostFull", disk(50, 95, 96), fires_after=300),
    Case(
        "DiskFullSoon",
        {
            series("node_filesystem_size_bytes", **DISK): always(100e9),
            series("node_filesystem_avail_bytes", **DISK): draining(0, 1e4, 1e6),
        },
        warm=6 * 3600,
        fires_after=10020,
        over_after=7 * 3600,
        bad_for=4 * 3600,
    ),
    Case(
        "ClockUnsynchronised",
        {
            series("node_timex_sync_status", **VPS): const(1, 1, 0),
            series("hbot_host_keeps_time", **VPS): always(1),
        },
        fires_after=600,
    ),
    Case(
        "SecurityUpdatesPending",
        {series("hbot_host_updates_pending", **VPS, security="true"): const(0, 0, 2)},
        interval=300,
        fires_after=3 * DAY,
    ),
    Case(
        "RebootRequired",
        {series("hbot_host_reboot_required", **VPS): const(0, 0, 1)},
        interval=300,
        fires_after=DAY,
    ),
    Case("MachineFactsStale", {series("hbot_facts_timestamp_seconds", **VPS): moment(30, 299, 320)}, fires_after=120),
    Case(
        "CertificateEndsSoon",
        {
            series("probe_ssl_earliest_cert_expiry", instance="api", job="exchange"): moment(
                -30 * DAY, -14.1 * DAY, -13.9 * DAY
            )
        },
        fires_after=3600,
    ),
    Case(
        "ImageOld",
        {
            series("hbot_container_image_created_timestamp_seconds", **CONTAINER, image="x:1"): moment(
                DAY, 179 * DAY, 181 * DAY
            )
        },
        fires_after=3600,
    ),
    # -- silent failures
    Case("BotSnapshotStale", ENABLED | {of_bot("snapshot_age_seconds"): const(30, 180, 181)}, fires_after=30),
    Case(
        "BotOrdersStale",
        {of_bot("oldest_order_age_seconds"): const(90, 1800, 1801), of_bot("orders_active"): always(4)},
        fires_after=300,
    ),
    Case(
        "BotBalanceFlat",
        {
            of_bot("balance_base"): lambda condition, now, since: (
                1.0 if condition == "bad" else 1 + (now // 3600) % 2 / 100
            ),
            **state("running", "running", "running"),
        },
        interval=15,
        warm=12.2 * 3600 // 15 * 15,
        fires_after=12 * 3600 + 600 - 720,  # it last moved twelve minutes before
        over_after=3600,
    ),
    Case("BotLogSilent", ENABLED | {of_bot("log_age_seconds"): const(20, 600, 601)}, fires_after=60),
    Case(
        "BotLogSilent",
        ENABLED | state("running", "soft_pause", "running") | {of_bot("log_age_seconds"): const(20, 900, 900)},
        fires_after=60,
    ),
    Case(
        "BotNoNetwork",
        ENABLED
        | {
            series("container_network_receive_bytes_total", **CONTAINER, interface="eth0"): Counter(9000, 1, 0),
            series("container_network_receive_bytes_total", name="hbot-bot1-exchange", interface="eth0"): Counter(
                1, 1, 1
            ),
        },
        fires_after=120 + 120,
    ),
    Case(
        "BotNoNetwork",
        ENABLED
        | {
            series("container_last_seen", **CONTAINER): always(1),
            # It has no network any more.
            series(
                "container_network_receive_bytes_total", **CONTAINER, interface="eth0"
            ): lambda condition, now, since: None if condition == "bad" else 100 * now,
        },
        fires_after=390,  # Prometheus itself forgets a series that ends without a mark after 5 minutes
    ),
    Case(
        "BotDatabaseStale",
        {of_bot("database_age_seconds"): const(60, 21600, 21601), of_bot("orders_active"): always(2)},
        fires_after=300,
    ),
    Case("BotFileUnreadable", ENABLED | {of_bot("file_readable", file="minute"): const(1, 1, 0)}, fires_after=600),
    # -- the guard and the limits
    Case("BotHardStop", state("running", "soft_pause", "hard_stop"), fires_after=30),
    Case("BotSoftPauseLong", state("running", "reduce_only", "soft_pause"), fires_after=1200),
    Case("BotDisconnected", {of_bot("reason", reason="feed"): const(None, None, 1)}, fires_after=1800, over_after=300),
    Case("BotTradingDrawdown", {of_bot("trading_drawdown_ratio"): const(0, 0.02, 0.021)}, fires_after=60),
    Case("BotDrawdown", {of_bot("drawdown_ratio"): const(0, 0.1, 0.11)}, fires_after=60),
    Case("BotDayLoss", {of_bot("day_trading_pnl_ratio"): const(0.02, -0.01, -0.011)}, fires_after=60),
    Case("BotTurnoverHigh", {of_bot("turnover_ratio"): const(1, 2, 2.01)}, fires_after=300),
    Case(
        "BotFeesShareHigh",
        {of_bot("week_fees_to_gross_ratio"): const(0.3, 0.4, 0.41), of_bot("week_round_trips"): always(20)},
        fires_after=3600,
    ),
    Case("BotProfitFactorLow", {of_bot("week_profit_factor"): const(2, 1.25, 1.2)}, fires_after=3600),
    Case(
        "BotNoFills",
        {of_bot("last_fill_timestamp_seconds"): moment(60, 21500, 21700), **state("running", "running", "running")},
        warm=3600,
        fires_after=600,
    ),
    Case(
        "BotFillRateDropped",
        {of_bot("fills_total", side="buy", liquidity="maker"): Counter(0.1, 0.05, 0.0)},
        interval=300,
        warm=8 * DAY,
        # 144 fills a day; a day of none takes 0.75 of a day to fall below a quarter of the mean.
        fires_after=0.78 * DAY + 3600,
        over_after=6 * 3600,
        bad_for=DAY,
    ),
    Case(
        "BotEdgeNegative",
        {
            of_bot("week_realised_edge_ratio", horizon="300s"): const(0.001, 0, -0.0001),
            of_bot("week_round_trips"): always(20),
        },
        fires_after=3600,
    ),
    Case("BotMarkoutHigh", {of_bot("markout_30s_ratio"): const(0.0003, 0.001, 0.0011)}, fires_after=1800),
    Case("BotCancelsFail", {of_bot("cancel_fail_streak"): const(0, 2, 3)}, fires_after=60),
    Case(
        "BotBalanceMismatch",
        {of_bot("reason", reason="balances"): const(None, None, 1)},
        fires_after=120,
        over_after=300,
    ),
    Case("BotModeDisagrees", {of_bot("mode_agrees"): const(1, 1, 0)}, fires_after=60),
    Case(
        "BotErrorLines",
        {of_bot("log_lines_total", level="error"): Counter(0, 1, 3)},
        warm=1200,
        fires_after=360,
        over_after=600,
        bad_for=1800,
    ),
    Case(
        "BotNetworkErrors",
        {of_bot("network_errors_total"): Counter(0, 0.5, 2)},
        warm=1200,
        fires_after=300,
        over_after=720,
        bad_for=1800,
    ),
    Case("BotClockSkewed", {of_bot("clock_skew_seconds"): const(0.1, -1, -1.1)}, fires_after=120),
    Case("BotTickSlow", {of_bot("tick_seconds"): const(0.002, 0.1, 0.11)}, fires_after=600),
    Case(
        "BotKeyOld",
        {
            series("hbot_bot_credentials_timestamp_seconds", bot="bot1"): moment(DAY, 89.9 * DAY, 90.1 * DAY),
            series("hbot_bot_enabled", **LIVE): always(1),
        },
        fires_after=3600,
    ),
    Case("BotReportRefused", {of_bot("week_report_ok"): const(1, 1, 0)}, fires_after=3600),
    # -- operations
    Case("ExchangeApiDown", {series("probe_success", job="exchange", instance="api"): const(1, 1, 0)}, fires_after=120),
    Case(
        "ExchangeApiSlow",
        {series("probe_duration_seconds", job="exchange", instance="api"): const(0.1, 0.5, 0.6)},
        fires_after=600 + 240,
        over_after=120,
    ),
    Case(
        "ExchangeApiVerySlow",
        {series("probe_duration_seconds", job="exchange", instance="api"): const(0.1, 2, 3)},
        fires_after=180 + 180,
        over_after=180,
    ),
    Case(
        "BackupOld",
        {
            series("hbot_backup_last_success_timestamp_seconds", set="bot1", repository="local"): moment(
                3600, 93500, 93700
            )
        },
        fires_after=300,
    ),
    Case(
        "BackupOld",
        {
            # There never was a backup of it.
            series("hbot_backup_last_success_timestamp_seconds", set="bot2", repository="local"): moment(60, 60, 60),
            series("hbot_bot_credentials_timestamp_seconds", bot="bot1"): moment(3600, 93500, 93700),
        },
        fires_after=300,
    ),
    Case(
        "BackupFailed",
        {series("hbot_backup_last_attempt_succeeded", set="bot1", repository="local"): const(1, 1, 0)},
        fires_after=60,
    ),
    Case(
        "RestoreCheckFailed",
        {series("hbot_backup_drill_succeeded", set="bot1"): const(1, 1, 0)},
        fires_after=60,
    ),
    Case("BotExporterDown", {series("up", job="bots", bot="bot1"): const(1, 1, 0)}, fires_after=60),
    Case("TargetDown", {series("up", job="grafana", instance="127.0.0.1:3000"): const(1, 1, 0)}, fires_after=120),
    Case(
        "AlertDeliveryFailing",
        {series("alertmanager_notifications_failed_total", integration="slack", reason="other"): Counter(0, 0, 1)},
        warm=1200,
        fires_after=60,
        over_after=600,
    ),
    Case(
        "ConfigurationRefused",
        {series("prometheus_config_last_reload_successful", job="prometheus"): const(1, 1, 0)},
        fires_after=60,
    ),
    Case(
        "MetricsNotSent",
        {
            series("prometheus_remote_storage_highest_timestamp_in_seconds", job="prometheus"): const(
                10000, 10000, 10000
            ),
            series(
                "prometheus_remote_storage_queue_highest_sent_timestamp_seconds",
                job="prometheus",
                remote_name="gathered",
            ): const(9995, 9400, 9399),
        },
        fires_after=300,
    ),
]
