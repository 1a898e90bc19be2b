"""The page of a replay: the headline run drawn, all runs compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..report.page import Run, render
from .runs import Replay


def write_page(path: Path, replay: Replay, *, data: str, notes: Sequence[str]) -> bool:
    """Write one self-contained HTML page; False when no run has figures to draw."""
    headline = replay.headline
    if headline is None or headline.figures is None or headline.series is None:
        return False
    runs = [Run(result.kind.name, result.figures, headline=result is headline) for result in replay.results]
    page = render(headline.figures, headline.series, heading=f"EPP replay over {data}", runs=runs, notes=notes)
    path.write_text(page, encoding="utf-8")
    return True
