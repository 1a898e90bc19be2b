"""Measure what is not measured yet, and print one table a measure.

    python -m tests.scale                 (what `make bench-scale` runs)
    python -m tests.scale --from-scratch

Rows are kept in build/scale/rows.json as they are made, so a run that was stopped goes on where it was. Figures belong
to a machine; the last line names it.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from tests.scale import controller, prometheus
from tests.scale.fleet import BUILD, ROOT, SIZES, Size
from tests.scale.measured import Cost

ROWS = BUILD / "rows.json"
FORKS_SIZE = Size(100, 10)
FORKS = (5, 20, 50)
COST_COLUMNS = ("wall s", "processor s", "largest process MB", "all processes MB")
LOAD_COLUMNS = ("series", "KiB a bot and scrape", "all rules once, ms", "processor s a minute", "memory MB")


def of_cost(cost: Cost) -> list[str]:
    """A cost as cells."""
    return [f"{cost.wall_s:.1f}", f"{cost.cpu_s:.1f}", f"{cost.largest_mb:.0f}", f"{cost.together_mb:.0f}"]


def of_load(load: prometheus.Load) -> list[str]:
    """A load as cells."""
    return [
        f"{load.series:,}", f"{load.page_kib:.0f}", f"{load.rules_ms:.0f}",
        f"{load.cpu_s_per_minute:.1f}", f"{load.memory_mb:.0f}",
    ]  # fmt: skip


Row = tuple[str, Callable[[], list[str]]]


def by_size(measure: Callable[[Size], Cost], sizes: tuple[Size, ...] = SIZES) -> list[Row]:
    """One row a size."""

    def row(size: Size) -> Row:
        return f"{size.bots:,} on {size.hosts}", lambda: of_cost(measure(size))

    return [row(size) for size in sizes]


def waited(forks: int) -> list[str]:
    """The row of so many forks."""
    return of_cost(controller.waiting(FORKS_SIZE, forks))


def loaded(bots: int) -> list[str]:
    """The row of a Prometheus with so many bots."""
    return of_load(prometheus.load(bots))


def measures() -> dict[str, tuple[tuple[str, ...], list[Row]]]:
    """Each measure by its title: the columns, and the rows with what makes them."""
    return {
        "Reading the inventory": (("bots on hosts", *COST_COLUMNS), by_size(controller.load)),
        "The preflight": (("bots on hosts", *COST_COLUMNS), by_size(controller.preflight)),
        "Rendering fragments, of at most 100 bots, 20 forks": (
            ("bots on hosts", *COST_COLUMNS),
            by_size(controller.fragments),
        ),
        "Two roles of a bot in check mode, 20 forks": (
            ("bots on hosts", *COST_COLUMNS),
            by_size(controller.role, SIZES[:-1]),
        ),
        f"Three tasks of one second, {FORKS_SIZE.bots} bots": (
            ("forks", *COST_COLUMNS),
            [(str(forks), partial(waited, forks)) for forks in FORKS],
        ),
        "Prometheus": (
            ("bots", *LOAD_COLUMNS),
            [(f"{size.bots:,}", partial(loaded, size.bots)) for size in SIZES],
        ),
    }


def machine() -> str:
    """What the figures belong to."""
    model = next(
        (line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[1]
    return (
        f"{model}, {len(os.sched_getaffinity(0))} processors, {memory:.0f} GB; Python {platform.python_version()};"
        f" {datetime.now(UTC):%Y-%m-%d}, load of the last five minutes {load:.0f}"
    )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.scale")
    parser.add_argument("--from-scratch", action="store_true", help="measure every row anew")
    arguments = parser.parse_args()
    BUILD.mkdir(parents=True, exist_ok=True)
    rows: dict[str, list[str]] = {}
    if ROWS.exists() and not arguments.from_scratch:
        rows = json.loads(ROWS.read_text())
    for title, (columns, made) in measures().items():
        print(f"\n### {title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)
        for name, measure in made:
            key = f"{title}: {name}"
            if key not in rows:
                rows[key] = measure()
                ROWS.write_text(json.dumps(rows, indent=1))
            print(f"| {name} | {' | '.join(rows[key])} |", flush=True)
    print(f"\n{machine()}\nrows: {ROWS.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
