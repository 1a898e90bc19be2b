"""What a rule promises, run through promtool: silent while all is well and just below, firing in time, over in time.

A case tells the series of one alert in three conditions. A timeline is `good`, then `bad` (or `below`), then `good`
again; promtool evaluates the product's rule along it, with the thresholds that hold by default.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from plugins.module_utils.alerting import threshold_rules
from tests.controller import ROOT

RULES = ROOT / "roles" / "monitoring" / "files" / "rules"

Sample = float | None
Shape = Callable[[str, float, float], Sample]
"""From the condition, and the seconds since the timeline and since the condition began, to a sample or to none."""

BOT = {"bot": "bot1", "variant": "a", "mode": "paper", "pair": "BTC-USDT"}


def const(good: Sample, below: Sample, bad: Sample) -> Shape:
    """A gauge."""
    values = {"good": good, "below": below, "bad": bad}
    return lambda condition, now, since: values[condition]


def always(value: float) -> Shape:
    """A gauge that is the same in every condition."""
    return const(value, value, value)


def moment(good: float, below: float, bad: float) -> Shape:
    """A point in time, so many seconds ago whenever it is looked at."""
    ages = {"good": good, "below": below, "bad": bad}
    return lambda condition, now, since: now - ages[condition]


class Counter:
    """A counter that grows by so much a minute; it remembers, because a counter never falls."""

    def __init__(self, good: float, below: float, bad: float) -> None:
        self._rates = {"good": good, "below": below, "bad": bad}
        self._value = 0.0
        self._before = 0.0

    def __call__(self, condition: str, now: float, since: float) -> Sample:
        """The value now. Called in the order of time; a new timeline begins at 0."""
        if now == 0:
            self._value = self._before = 0.0
        self._value += self._rates[condition] * (now - self._before) / 60
        self._before = now
        return self._value


def steps(below: int, bad: int) -> Shape:
    """A counter that jumps by so much as the condition begins, and stays there."""
    jumps = {"good": 0, "below": below, "bad": bad}

    class Steps:
        def __init__(self) -> None:
            self.value = 0.0
            self.condition = "good"

        def __call__(self, condition: str, now: float, since: float) -> Sample:
            if now == 0:
                self.value, self.condition = 0.0, "good"
            if condition != self.condition:
                self.value += jumps[condition]
                self.condition = condition
            return self.value

    return Steps()


@dataclass(frozen=True)
class Case:
    """One alert: its series, when it has to fire after the condition began, and when to be over. Times in seconds."""

    alert: str
    series: dict[str, Shape]
    fires_after: float
    over_after: float = 60
    interval: float = 60
    warm: float = 600
    bad_for: float = field(default=0)
    """How long the condition lasts; 0 is a little longer than it takes to fire."""

    @property
    def id(self) -> str:
        """How the test is called."""
        return self.alert


def series(name: str, /, **labels: str) -> str:
    """A series as promtool writes it."""
    return name + "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"


def of_bot(name: str, **labels: str) -> str:
    """A series of bot1."""
    return series(f"hbot_bot_{name}", **BOT, **labels)


def timeline(case: Case, condition: str) -> dict[str, Any]:
    """promtool's own form of one timeline and of what has to be seen along it."""
    slack = max(case.interval, 60)
    lasts = case.bad_for or case.fires_after + 2 * slack
    calm = case.over_after + 3 * slack
    total = case.warm + lasts + calm
    moments = [step * case.interval for step in range(int(total // case.interval) + 1)]

    def condition_at(now: float) -> tuple[str, float]:
        if now < case.warm:
            return "good", now
        if now < case.warm + lasts:
            return condition, now - case.warm
        return "good", now - case.warm - lasts

    inputs = []
    for name, shape in case.series.items():
        samples = [shape(*_ordered(condition_at(now), now)) for now in moments]
        inputs.append({"series": name, "values": " ".join("_" if each is None else f"{each:.10g}" for each in samples)})
    fires = condition == "bad"
    looks = {
        case.warm - case.interval: 0,
        case.warm + case.fires_after - slack: 0,
        case.warm + case.fires_after + slack: int(fires),
        case.warm + lasts + case.over_after + slack: 0,
    }
    if not fires:
        looks |= {case.warm + lasts / 3: 0, case.warm + lasts * 2 / 3: 0}
    firing = f'count(ALERTS{{alertname="{case.alert}",alertstate="firing"}}) or vector(0)'
    return {
        "rule_files": ["rules/*.yml"],
        "evaluation_interval": f"{case.interval:g}s",
        "tests": [
            {
                "interval": f"{case.interval:g}s",
                "input_series": inputs,
                "promql_expr_test": [
                    {"expr": firing, "eval_time": f"{at:g}s", "exp_samples": [{"labels": "{}", "value": value}]}
                    for at, value in sorted(looks.items())
                ],
            }
        ],
    }


def _ordered(condition: tuple[str, float], now: float) -> tuple[str, float, float]:
    return condition[0], now, condition[1]


def place_rules(directory: Path, only: str = "") -> None:
    """The rules as they are on a VPS, thresholds included; or one of the alerts alone, for the sake of time."""
    rules = directory / "rules"
    rules.mkdir()
    for path in RULES.glob("*.yml"):
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        for group in document["groups"]:
            group["rules"] = [rule for rule in group["rules"] if only in ("", rule["alert"])]
        (rules / path.name).write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    (rules / "thresholds.yml").write_text(yaml.safe_dump(threshold_rules({}), sort_keys=False))


def promtool(*arguments: str, directory: Path) -> tuple[int, str]:
    """Run promtool; its exit code and what it said."""
    run = subprocess.run(["promtool", *arguments], cwd=directory, capture_output=True, text=True, check=False)
    return run.returncode, run.stdout + run.stderr
