"""``python -m host_status.review``: the week of this VPS, and what asks for action.

The figures and their limits are those of the operating model, docs/operating.md. Exit codes: 0 nothing asks for action,
2 something does, 1 nothing could be read.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.hbot.infra.plugins.module_utils.bot_health import aligned, span

from . import UNREADABLE, UNWELL
from .fragments import bots
from .week_reading import DAYS, Answers, Reading, Week, read

DAY_S = 86400.0

BOT_HEADER = ("BOT", "DAYS", "PNL", "BY TRADING", "FEES", "FILLS", "WORST DRAWDOWN", "ERRORS", "RESTARTS")
KEY_HEADER = ("KEY METRIC", "WEEK", "WORST", "NORMAL", "ACT")

UPTIME_LEAST = 0.995
LATENCY_MOST_S = 2.0
CPU_MOST, MEMORY_MOST, DISK_MOST = 0.80, 0.85, 0.80
FILL_RATE_LEAST = 0.3
"""A last day with fewer fills than this share of the week's mean is a sudden drop."""
FILLS_FOR_A_RATE = 10.0
BACKUP_AGE_MOST_S = 26 * 3600.0
DRILL_AGE_MOST_S = 32 * DAY_S
FULL_WITHIN_DAYS = 30.0


@dataclass(frozen=True)
class KeyMetric:
    """One line of the key metrics of section 12.3."""

    name: str
    week: str
    worst: str
    normal: str
    act: str
    fault: str = ""
    """What asks for action; empty when nothing does."""


def key_metrics(reading: Reading) -> list[KeyMetric]:
    """The week's key metrics, each with its normal range and the threshold at which to act."""
    answers = reading.answers
    return [
        _uptime(answers.get("uptime", {}), answers.get("restarts", {})),
        _fill_rate(answers.get("fills_a_day", {}), answers.get("fills_last_day", {})),
        _latency(_one(answers, "latency_mean"), _one(answers, "latency_worst")),
        _share("host CPU", answers, "cpu", "< 60%", CPU_MOST),
        _share("host memory", answers, "memory", "< 70%", MEMORY_MOST),
        _disk(answers),
        _network(answers.get("network_errors", {})),
    ]


def faults(reading: Reading) -> list[str]:
    """What asks for action, one line each."""
    found = [metric.fault for metric in key_metrics(reading) if metric.fault]
    found += _backup_faults(reading)
    for bot, errors in sorted(reading.answers.get("errors", {}).items()):
        if errors >= 1:
            found.append(f"{bot} logged {errors:.0f} errors: sudo docker logs hbot-{bot}, or grep its log for ERROR")
    if not reading.clock_is_anothers and not reading.clock_synchronised:
        found.append("no time server sets the clock: chronyc sources")
    if reading.banned is None:
        found.append("fail2ban does not watch sshd: systemctl status fail2ban")
    if not reading.answers:
        found.append("Prometheus does not answer: the key metrics, errors and backups are unknown")
    return found


def lines(reading: Reading) -> Iterator[str]:
    """The review, as it is printed."""
    yield from aligned([BOT_HEADER, *(_bot_line(reading, bot, week) for bot, week in reading.bots.items())], _RIGHT)
    yield ""
    metrics = [(each.name, each.week, each.worst, each.normal, each.act) for each in key_metrics(reading)]
    yield from aligned([KEY_HEADER, *metrics], frozenset())
    yield ""
    yield f"disk: {_disk_trend(reading.answers)}"
    yield f"backups: {_backups(reading)}"
    yield f"fail2ban, sshd: {_bans(reading)}"
    yield f"clock: {_clock(reading)}"
    yield f"alerts: {_alerts(reading.answers)}"


_RIGHT = frozenset(BOT_HEADER[1:])


def as_json(reading: Reading) -> str:
    """The same for a program."""
    names = [name.lower().replace(" ", "_") for name in BOT_HEADER]
    return json.dumps(
        {
            "bots": [
                dict(zip(names, _bot_line(reading, bot, week), strict=True)) for bot, week in reading.bots.items()
            ],
            "key_metrics": [vars(metric) for metric in key_metrics(reading)],
            "disk": _disk_trend(reading.answers),
            "backups": _backups(reading),
            "fail2ban": _bans(reading),
            "clock": _clock(reading),
            "alerts": _alerts(reading.answers),
            "faults": faults(reading),
        },
        indent=2,
    )


def _bot_line(reading: Reading, bot: str, week: Week | None) -> tuple[str, ...]:
    errors, restarts = (
        reading.answers.get(name, {}).get(label) for name, label in (("errors", bot), ("restarts", f"hbot-{bot}"))
    )
    seen = (_count(errors), _count(restarts))
    if week is None:
        return (bot, "0", "-", "-", "-", "-", "-", *seen)
    return (
        bot,
        str(week.days),
        f"{week.pnl:+.2f}",
        f"{week.trading_pnl:+.2f}",
        f"{week.fees:.2f}",
        str(week.fills),
        f"{week.worst_drawdown:.2%}",
        *seen,
    )


def _count(value: float | None) -> str:
    return "?" if value is None else f"{value:.0f}"


def _one(answers: Answers, query: str) -> float | None:
    return next(iter(answers.get(query, {}).values()), None)


def _uptime(by_container: Mapping[str, float], restarts: Mapping[str, float]) -> KeyMetric:
    least = min(by_container.items(), key=lambda each: each[1], default=None)
    restarted = ", ".join(f"{name} {count:.0f} times" for name, count in sorted(restarts.items()) if count >= 1)
    fault = ""
    if least is not None and least[1] < UPTIME_LEAST:
        fault = f"{least[0]} ran {least[1]:.2%} of the week: docker inspect, docker logs"
    elif restarted:
        fault = f"restarted by itself: {restarted}: docs/runbooks/ContainerRestartLoop.md"
    mean = sum(by_container.values()) / len(by_container) if by_container else None
    worst = "?" if least is None else f"{min(least[1], 1):.2%} ({least[0]})"
    return KeyMetric("bot uptime", _percent(mean, 2), worst, "> 99.5%", "any restart", fault)


def _fill_rate(a_day: Mapping[str, float], last_day: Mapping[str, float]) -> KeyMetric:
    dropped = [
        bot
        for bot, mean in a_day.items()
        if mean >= FILLS_FOR_A_RATE and last_day.get(bot, 0.0) < FILL_RATE_LEAST * mean
    ]
    fault = f"fills of {', '.join(sorted(dropped))} dropped: is it connected, paused, or wide?" if dropped else ""
    week = ", ".join(f"{bot} {mean:.0f} a day" for bot, mean in sorted(a_day.items())) or "?"
    latest = ", ".join(f"{bot} {fills:.0f} last day" for bot, fills in sorted(last_day.items())) or "?"
    return KeyMetric("fill rate", week, latest, "the bot's own week", "sudden drop", fault)


def _latency(mean: float | None, worst: float | None) -> KeyMetric:
    slow = worst is not None and worst > LATENCY_MOST_S
    fault = (
        f"the exchange's API took {worst:.1f} s over five minutes: its status page, then the network" if slow else ""
    )
    return KeyMetric("exchange API latency", _seconds(mean), _seconds(worst), "< 500 ms", "> 2 s", fault)


def _is_a_trend(answers: Answers) -> bool:
    """Whether enough of the week is known to say where it leads: a first day is busy, and not like the others."""
    return (_one(answers, "known_s") or 0.0) >= DAY_S


def _share(name: str, answers: Answers, query: str, normal: str, most: float) -> KeyMetric:
    mean, worst = _one(answers, f"{query}_mean"), _one(answers, f"{query}_worst")
    over = mean is not None and mean > most and _is_a_trend(answers)
    fault = f"{name} was {mean:.0%} on the mean of the week: a larger VPS, or fewer bots on it" if over else ""
    return KeyMetric(name, _percent(mean), _percent(worst), normal, f"> {most:.0%}", fault)


def _disk(answers: Answers) -> KeyMetric:
    used = answers.get("disk_used", {})
    fullest = max(used.items(), key=lambda each: each[1], default=None)
    fault = ""
    if fullest is not None and fullest[1] > DISK_MOST:
        fault = f"{fullest[0]} is {fullest[1]:.0%} full: docs/runbooks/HighDiskUsage.md"
    else:
        days = _full_in(answers)
        if days is not None and days < FULL_WITHIN_DAYS:
            fault = f"the disk will be full in {days:.0f} days: docs/runbooks/DiskFullSoon.md"
    now = "?" if fullest is None else f"{fullest[1]:.0%} ({fullest[0]})"
    return KeyMetric("disk", now, now, "< 70%", "> 80%", fault)


def _network(by_bot: Mapping[str, float]) -> KeyMetric:
    errors = {bot: count for bot, count in sorted(by_bot.items()) if count >= 1}
    said = ", ".join(f"{bot} {count:.0f}" for bot, count in errors.items()) or ("0" if by_bot else "?")
    fault = f"network errors: {said}: docs/runbooks/BotNetworkErrors.md" if errors else ""
    return KeyMetric("network errors", said, said, "0", "any", fault)


def _full_in(answers: Answers) -> float | None:
    """Days until the first mount point is full, at the week's pace; nothing where that is no pace yet."""
    if not _is_a_trend(answers):
        return None
    free = answers.get("disk_free", {})
    days = [
        free[mount] / growth for mount, growth in answers.get("disk_growth", {}).items() if growth > 0 and mount in free
    ]
    return min(days, default=None)


def _disk_trend(answers: Answers) -> str:
    growth = answers.get("disk_growth")
    if not growth:
        return "?"
    said = ", ".join(f"{mount} {each / 1e6:+.0f} MB a day" for mount, each in sorted(growth.items()))
    if not _is_a_trend(answers):
        return "less than a day is known: no trend yet"
    days = _full_in(answers)
    return f"{said}; " + ("it does not fill" if days is None else f"full in {days:.0f} days at this pace")


def _backup_faults(reading: Reading) -> list[str]:
    answers = reading.answers
    if not answers:
        return []
    succeeded = answers.get("backup_succeeded", {})
    found = [
        f"{name} was last backed up {span(reading.now - moment)} ago: docs/runbooks/BackupOld.md"
        for name, moment in sorted(succeeded.items())
        if reading.now - moment > BACKUP_AGE_MOST_S
    ]
    if not succeeded:
        found.append("no backup was ever made: ansible-playbook backup.yml")
    drill, good = _one(answers, "backup_drill"), _one(answers, "backup_drill_good")
    if good == 0:
        found.append("the last restore drill failed: docs/runbooks/RestoreCheckFailed.md")
    elif drill is not None and reading.now - drill > DRILL_AGE_MOST_S:
        found.append(f"the last restore drill is {span(reading.now - drill)} old: systemctl start hbot-restore-drill")
    return found


def _backups(reading: Reading) -> str:
    succeeded = reading.answers.get("backup_succeeded", {})
    if not succeeded:
        return "?"
    oldest = min(succeeded.values())
    drill = _one(reading.answers, "backup_drill")
    tried = "no restore drill yet" if drill is None else f"restored in a drill {span(reading.now - drill)} ago"
    return f"{', '.join(sorted(succeeded))}: read back {span(reading.now - oldest)} ago or less; {tried}"


def _bans(reading: Reading) -> str:
    return "?" if reading.banned is None else f"{reading.banned} banned now, {reading.banned_in_all} since it started"


def _clock(reading: Reading) -> str:
    if reading.clock_is_anothers:
        return "a container's: its host keeps it"
    return "set by a time server" if reading.clock_synchronised else "not set by a time server"


def _alerts(answers: Answers) -> str:
    fired = answers.get("alerts")
    if fired is None:
        return "?"
    minutes = sorted(fired.items(), key=lambda each: -each[1])
    return ", ".join(f"{name} for {span(count * 60)}" for name, count in minutes) or "none in the week"


def _percent(value: float | None, digits: int = 0) -> str:
    return "?" if value is None else f"{min(max(value, 0.0), 1.0):.{digits}%}"


def _seconds(value: float | None) -> str:
    return "?" if value is None else f"{value * 1000:.0f} ms"


def main(arguments: Sequence[str] | None = None) -> int:
    """Look and show."""
    parser = argparse.ArgumentParser(
        prog="review.sh", description=f"the last {DAYS} days of this VPS, and what asks for action"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--root", type=Path, required=True, help="where everything of the bots lives")
    options = parser.parse_args(arguments)
    try:
        known = bots(options.root / "compose", socket.gethostname())
    except OSError as error:
        print(f"review: {error}", file=sys.stderr)
        return UNREADABLE
    reading = read(options.root, [(bot.name, bot.variant) for bot in known if bot.epp], time.time())
    wrong = faults(reading)
    if options.json:
        print(as_json(reading))
    else:
        print("\n".join(lines(reading)))
        print("\n" + ("\n".join(f"to do: {each}" for each in wrong) or "nothing asks for action"))
    return UNWELL if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
