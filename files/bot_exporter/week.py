"""EPP's report over the last seven days of each bot, computed aside so that no scrape waits for it.

A pass over a week of books takes about a second. It runs in a process of its own, at the lowest priority, one bot after
the other; the exporter shows the last result and how old it is. All figures are the report's: nothing is computed here.

``python3 -m bot_exporter.week DIRECTORY BEGIN`` prints one bot's figures as JSON.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from epp.report import BookError, Figures, UnavailableError, figures_of

DAYS = 7
EVERY_S = 1800.0
LOOK_S = 60.0
"""How soon a new bot has its first one."""

LIMIT_S = 300.0
"""More than a year of books takes; a bot whose report takes longer is left out and shown as failed."""

_UNAVAILABLE = 3


def plain(figures: Figures) -> dict[str, Any]:
    """What the metrics need, as JSON's types. A ratio that is not defined is left out; infinity is ``"Infinity"``."""
    trips = figures.round_trips
    ratios = {
        "fees_to_gross": trips.fees_to_gross,
        "profit_factor": trips.profit_factor,
        "trading_drawdown": figures.trading_drawdown_pct,
        "drawdown": figures.mark_to_market_drawdown_pct,
        "turnover_worst": figures.turnover_worst_x,
        "turnover_mean": figures.turnover_mean_x,
        "versus_holding": figures.versus_holding_pct,
    }
    return {
        "ratios": {
            name: "Infinity" if math.isinf(value) else value for name, value in ratios.items() if value is not None
        },
        "edge": {f"{edge.horizon_s}s": edge.mean_pct for edge in figures.realised_edge if edge.mean_pct is not None},
        "round_trips": trips.count,
        "cancel_failures": figures.cancel_failures,
        "balance_mismatches": figures.balance_mismatches,
        "state_seconds": dict(figures.state_seconds),
        "days": figures.days,
    }


@dataclass(frozen=True)
class Report:
    """One bot's figures, and how computing them went."""

    computed_at: float
    figures: Mapping[str, Any] | None
    """``None``: the books hold nothing to compute them from yet."""
    error: str = ""
    """What is wrong with the books."""


def compute(directory: Path, now: float) -> Report:
    """Run the report on one bot's books, in a process of its own."""
    command = [sys.executable, "-m", "bot_exporter.week", str(directory), repr(now - DAYS * 86400)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return Report(now, None, f"took longer than {LIMIT_S:.0f} s")
    if run.returncode == _UNAVAILABLE:
        return Report(now, None)
    if run.returncode != 0:
        return Report(now, None, (run.stderr.strip().splitlines() or ["ended without a word"])[-1])
    return Report(now, json.loads(run.stdout))


class Reports:
    """The newest report of each bot, renewed by a thread."""

    def __init__(self, books: Callable[[], Mapping[str, Path]], clock: Callable[[], float] = time.time) -> None:
        self._books = books
        self._clock = clock
        self._reports: dict[str, Report] = {}
        self._first_at: dict[str, float] = {}

    def of(self, bot: str) -> Report | None:
        """The newest report; ``None`` before the first."""
        return self._reports.get(bot)

    def renew(self) -> None:
        """Compute the reports that are missing or old: half an hour, or less where the books held no figures yet."""
        books = self._books()
        for bot, directory in books.items():
            if self._is_due(bot) and (directory / "minute.csv").exists():
                self._reports[bot] = compute(directory, self._clock())
                self._first_at.setdefault(bot, self._reports[bot].computed_at)
        for bot in self._reports.keys() - books.keys():
            del self._reports[bot], self._first_at[bot]

    def _is_due(self, bot: str) -> bool:
        known = self._reports.get(bot)
        if known is None:
            return True
        # A bot's first rows come before its first price. It is looked at again soon, and ever more seldom: one that
        # never has a price shall not cost a pass over its books each minute.
        empty = known.figures is None and not known.error
        wait_s = min(EVERY_S, known.computed_at - self._first_at[bot]) if empty else EVERY_S
        return self._clock() - known.computed_at > wait_s

    def start(self) -> None:
        """Renew them from now on, until the process ends."""

        def forever() -> None:
            while True:
                self.renew()
                time.sleep(LOOK_S)

        threading.Thread(target=forever, name="reports", daemon=True).start()


def main(arguments: list[str]) -> int:
    """Print one bot's figures."""
    os.nice(19)
    directory, begin = arguments
    try:
        figures = figures_of(Path(directory), begin=float(begin), whole=True, resamples=0)
    except UnavailableError:
        return _UNAVAILABLE
    except BookError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(plain(figures)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
