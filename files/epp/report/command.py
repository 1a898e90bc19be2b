"""``epp report``: the validation figures of a bot's books."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from .books_reader import BookError
from .chart_series import ChartSeries
from .figures import MIN_ROUND_TRIPS, RESAMPLES, UnavailableError, figures_of
from .page import render
from .text import as_text

EXIT_UNUSABLE = 2
"""Exit code when the books are malformed or hold no window."""


def moment(text: str) -> float:
    """An ISO 8601 date or time, UTC unless it says otherwise, as unix seconds (for argparse)."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an ISO 8601 date or time") from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "report",
        help="validation figures of a bot's books",
        description=(
            "Turn fills.csv, minute.csv and daily.csv into the validation figures. A profit factor is not defined "
            f"under {MIN_ROUND_TRIPS} round trips. The figures say what happened; a losing window exits 0, too."
        ),
        epilog="exit codes: 0 done, 2 the books are malformed or hold no window (the message names file and line)",
    )
    parser.add_argument("books", type=Path, help="directory of the books, such as logs/epp_v24/bot1_a")
    parser.add_argument("--from", dest="begin", type=moment, metavar="TIME", help="leave out what is earlier (UTC)")
    parser.add_argument("--to", dest="end", type=moment, metavar="TIME", help="leave out what is not earlier (UTC)")
    parser.add_argument(
        "--whole", action="store_true", help="do not wait for base_pct to come within 5 points of its target"
    )
    parser.add_argument("--json", action="store_true", help="print JSON: exact money as strings, _pct as fractions")
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write one self-contained HTML page")
    parser.add_argument(
        "--resamples", type=int, default=RESAMPLES, help="of the day-block bootstrap (default %(default)s)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Compute, print and write; returns the exit code."""
    series = ChartSeries() if options.html else None
    try:
        figures = figures_of(
            options.books,
            begin=options.begin,
            end=options.end,
            whole=options.whole,
            resamples=options.resamples,
            observer=series,
        )
    except (BookError, UnavailableError) as error:
        print(f"epp report: {error}", file=sys.stderr)
        return EXIT_UNUSABLE
    if series is not None:
        instance, variant, mode = (", ".join(figures.provenance[name]) for name in ("instance", "variant", "mode"))
        heading = f"EPP report: {instance}, variant {variant}, {mode}"
        options.html.write_text(render(figures, series, heading=heading), encoding="utf-8")
    if options.json:
        print(json.dumps(figures.as_dict(), indent=2, allow_nan=False))
    else:
        print(as_text(figures), end="")
    return 0
