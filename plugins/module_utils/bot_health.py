"""Whether a bot is well, judged from what it left on its VPS, and the table that shows it.

Pure functions: the module ``bot_status`` reads, the action plugin ``status_table`` shows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

FRESH_S = 180
"""A minute row older than this means the bot's own loop stands still. It is also how long a start may take."""

EXEMPT_STOPS = {"b": "stub_disabled", "c": "stub_disabled"}
"""Variants that are meant to be stopped, and the reason they give."""

HEADER = ("BOT", "VPS", "MODE", "VERSION", "CONTAINER", "STATE", "EQUITY", "FILLS", "LAST FILL", "MINUTE ROW")
TO_THE_RIGHT = frozenset({"EQUITY", "FILLS"})


@dataclass(frozen=True)
class Bot:
    """What the inventory says of a bot."""

    name: str
    vps: str
    mode: str
    variant: str
    enabled: bool
    epp: bool
    """Whether it runs EPP, which keeps books; other strategies are known by their container alone."""


@dataclass(frozen=True)
class Row:
    """One line of the table, and what is wrong with that bot."""

    cells: tuple[str, ...]
    faults: tuple[str, ...]


def judge(bot: Bot, found: Mapping[str, Any]) -> Row:
    """A bot's line.

    :param found: what the module ``bot_status`` returned for the bot's VPS.
    """
    now = float(found["now"])
    container = found["containers"].get(f"hbot-{bot.name}")
    rows = found["books"].get(bot.name, {}).get(f"{bot.name}_{bot.variant}", {}) if bot.epp else {}
    minute, fill = rows.get("minute") or {}, rows.get("fill") or {}
    latch = found["latches"].get(bot.name)
    faults = _container_faults(bot, container) if latch is None else [f"it is latched by its watchdog: {latch}"]
    if bot.enabled and container is not None:
        faults += _watchdog_faults(found["containers"].get(f"hbot-{bot.name}-watchdog"))
    if bot.mode == "paper" and bot.enabled and container is not None:
        faults += _exchange_faults(found["containers"].get(f"hbot-{bot.name}-exchange"))
    if bot.epp and bot.enabled and container is not None and container["state"] == "running":
        faults += _book_faults(bot, minute, now, now - _seconds(container["started_at"], now))
    cells = (
        bot.name,
        bot.vps,
        bot.mode,
        "-" if container is None else _version(container["image"]),
        _container(container),
        _state(minute),
        _equity(minute),
        str(rows.get("fills", "-")),
        _age(fill.get("ts"), now),
        _age(minute.get("ts"), now),
    )
    return Row(cells, tuple(faults))


def unknown(bot: Bot, fault: str) -> Row:
    """The line of a bot whose VPS told nothing."""
    return Row((bot.name, bot.vps, bot.mode, *("?" for _ in HEADER[3:])), (fault,))


def strangers(found: Mapping[str, Any], bots: Iterable[str]) -> list[str]:
    """Containers of bots that the inventory does not know."""
    known = frozenset(bots)
    return sorted(name for name, container in found["containers"].items() if container["bot"] not in {None, *known})


def firing(found: Mapping[str, Any], bot: str | None) -> list[str]:
    """The alerts that fire on a VPS, or those of one bot on it, critical ones first; one line each."""
    alerts = [alert for alert in found.get("alerts", []) if bot in {None, alert["bot"]}]
    order = ("critical", "warning", "info")
    alerts.sort(key=lambda alert: order.index(alert["severity"]) if alert["severity"] in order else len(order))
    return [f"{alert['severity']}: {alert['name']}: {alert['summary']}" for alert in alerts]


def table(rows: Sequence[Row]) -> list[str]:
    """The lines of the table."""
    return aligned([HEADER, *(row.cells for row in rows)], TO_THE_RIGHT)


def aligned(lines: Sequence[Sequence[str]], to_the_right: Collection[str]) -> list[str]:
    """Lines of cells, the header first, with their columns aligned; those of these names to the right."""
    header = lines[0]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return [
        "  ".join(
            cell.rjust(width) if name in to_the_right else cell.ljust(width)
            for cell, width, name in zip(line, widths, header, strict=True)
        ).rstrip()
        for line in lines
    ]


def _container_faults(bot: Bot, container: Mapping[str, Any] | None) -> list[str]:
    running = container is not None and container["state"] == "running"
    if not bot.enabled:
        return ["it runs, though bot_enabled is false"] if running else []
    if container is None:
        return ["it has no container: run site.yml"]
    if not running:
        end = "killed for want of memory" if container["oom_killed"] else f"exit code {container['exit_code']}"
        return [f"its container is {container['state']} ({end})"]
    if container["health"] == "unhealthy":
        return ["its container is unhealthy"]
    return []


def _watchdog_faults(watchdog: Mapping[str, Any] | None) -> list[str]:
    if watchdog is None:
        return ["it has no watchdog: run site.yml"]
    if watchdog["state"] != "running":
        return [f"its watchdog is {watchdog['state']}"]
    if watchdog["health"] == "unhealthy":
        return ["its watchdog is unhealthy"]
    return []


def _exchange_faults(exchange: Mapping[str, Any] | None) -> list[str]:
    if exchange is None:
        return ["its paper exchange has no container: run site.yml"]
    if exchange["state"] != "running":
        return [f"its paper exchange is {exchange['state']}"]
    if exchange["health"] == "unhealthy":
        return ["its paper exchange is unhealthy"]
    return []


def _book_faults(bot: Bot, minute: Mapping[str, str], now: float, running_s: float) -> list[str]:
    if not minute:
        return [] if running_s < FRESH_S else ["it has written no minute row"]
    faults = []
    age = now - _seconds(minute["ts"], now)
    if age > FRESH_S and running_s > FRESH_S:
        faults.append(f"its last minute row is {span(age)} old")
    if minute.get("mode") != bot.mode:
        faults.append(f"it runs in {minute.get('mode')} mode, and the inventory says {bot.mode}")
    if minute.get("state") == "hard_stop" and EXEMPT_STOPS.get(bot.variant) not in _reasons(minute):
        faults.append(f"hard_stop: {minute.get('reasons') or 'no reason given'}")
    return faults


def _reasons(minute: Mapping[str, str]) -> list[str]:
    return minute.get("reasons", "").replace(",", " ").replace(";", " ").replace("|", " ").split()


def _version(image: str) -> str:
    return image.split("@")[0].rpartition(":")[2]


def _container(container: Mapping[str, Any] | None) -> str:
    if container is None:
        return "none"
    return str((container["health"] if container["state"] == "running" else None) or container["state"])


def _state(minute: Mapping[str, str]) -> str:
    if not minute:
        return "-"
    reasons = minute.get("reasons")
    return f"{minute['state']}: {reasons}" if reasons else minute["state"]


def _equity(minute: Mapping[str, str]) -> str:
    try:
        equity = Decimal(minute.get("equity_quote", ""))
    except InvalidOperation:
        return "-"
    return f"{equity:.2f} {minute.get('trading_pair', '').rpartition('-')[2]}".rstrip()


def _seconds(text: str, otherwise: float) -> float:
    """A UTC moment in ISO 8601, also with docker's nanoseconds, as seconds since the epoch."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    try:
        return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction or 0}")
    except ValueError:
        return otherwise


def _age(moment: str | None, now: float) -> str:
    return "-" if not moment else f"{span(now - _seconds(moment, now))} ago"


def span(seconds: float) -> str:
    """A duration in its largest unit of which there are two."""
    whole = max(0, round(seconds))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if whole >= 2 * size:
            return f"{whole // size} {unit}"
    return f"{whole} s"
