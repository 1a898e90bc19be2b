"""``epp journal``: make a bot's decisions again, and look at one of them."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ..report.command import moment
from ..report.figures import time_text
from ..source import core_hash
from .reader import JournalError, Segment, find_segments
from .show import as_text, find
from .verify import Comparison, verify

EXIT_DIFFERENT = 1
EXIT_UNUSABLE = 2

_PROGRESS_S = 10.0


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its parts."""
    parser = commands.add_parser(
        "journal",
        help="make a bot's decisions again, or look at one",
        description="A bot writes down everything that enters its core and everything that comes out.",
    )
    parts = parser.add_subparsers(required=True, metavar="part")

    check = parts.add_parser(
        "verify",
        help="call the core again with everything it was given, and compare",
        description=(
            "Call this core again with everything that the bot's core was given, and compare every decision, every "
            "booked fill and every state a file begins with, to the last digit."
        ),
        epilog="exit codes: 0 all identical; 1 a difference, the first one is shown; 2 the journal cannot be used",
    )
    check.add_argument("journal", type=Path, nargs="+", help="files, a journal's directory, or a bot's books")
    check.add_argument(
        "--any-core", action="store_true", help="compare even where another core wrote the journal than this one"
    )
    check.add_argument("--json", action="store_true", help="print JSON")
    check.add_argument("--quiet", action="store_true", help="no progress on standard error")
    check.set_defaults(run=_verify)

    show = parts.add_parser(
        "show",
        help="what the core was given at a time, and what it decided",
        description="Print the last tick that is not later than a time: snapshot, reasons, figures, decision.",
        epilog="example: epp journal show logs/epp_v24/bot1_a --at 2026-11-24T03:12:40",
    )
    show.add_argument("journal", type=Path, nargs="+", help="files, a journal's directory, or a bot's books")
    show.add_argument("--at", type=moment, metavar="TIME", help="UTC unless it says otherwise (default: the last tick)")
    show.add_argument("--json", action="store_true", help="print JSON")
    show.set_defaults(run=_show)


def _refusing(command: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    try:
        return command(options)
    except JournalError as error:
        print(f"epp journal: {error}", file=sys.stderr)
        return EXIT_UNUSABLE


def _verify(options: argparse.Namespace) -> int:
    return _refusing(_run_verify, options)


def _show(options: argparse.Namespace) -> int:
    return _refusing(_run_show, options)


def _open(paths: Sequence[Path]) -> list[Segment]:
    segments, empty = [], []
    for path in (found for given in paths for found in find_segments(given)):
        if path.stat().st_size == 0:
            empty.append(path)
        else:
            segments.append(Segment(path))
    if not segments:
        raise JournalError(f"{empty[0]}: is empty: a crash came before its first line")
    return segments


def _run_verify(options: argparse.Namespace) -> int:
    segments = _open(options.journal)
    own = core_hash()
    others = sorted({segment.head.core_hash for segment in segments} - {own})
    if others and not options.any_core:
        count = sum(segment.head.core_hash != own for segment in segments)
        raise JournalError(
            f"{count} of {len(segments)} files were written by another core ({', '.join(others)}) than this one "
            f"({own}). Check out the version that wrote them, name only the files of this one, or add --any-core to "
            "see whether both decide alike"
        )
    began = last = time.monotonic()

    def progress(calls: int) -> None:
        nonlocal last
        now = time.monotonic()
        if not options.quiet and now - last >= _PROGRESS_S:
            last = now
            print(f"{calls:,} calls, {calls / (now - began):,.0f} a second", file=sys.stderr)

    found = verify(segments, progress)
    seconds = time.monotonic() - began
    if options.json:
        print(json.dumps(_plain(found, segments, seconds), indent=2))
    else:
        print(_text(found, segments, seconds), end="")
    return EXIT_DIFFERENT if found.difference else 0


def _plain(found: Comparison, segments: Sequence[Segment], seconds: float) -> dict[str, object]:
    difference = found.difference
    return {
        "identical": difference is None,
        "files": found.segments,
        "starts": found.starts,
        "from": time_text(segments[0].head.began),
        "calls": found.calls,
        "ticks": found.ticks,
        "fills": found.fills,
        "placed": found.placed,
        "cancelled": found.cancelled,
        "lost": found.lost,
        "cut": found.cut,
        "seconds": round(seconds, 3),
        "difference": None
        if difference is None
        else {
            "file": difference.segment.name,
            "call": difference.call,
            "name": difference.name,
            "time": None if difference.ts is None else time_text(difference.ts),
            "where": difference.where,
            "journal": difference.journal,
            "again": difference.again,
        },
    }


def _text(found: Comparison, segments: Sequence[Segment], seconds: float) -> str:
    notes = [f"{cut}." for cut in found.cut]
    if found.lost:
        notes.append(f"{found.lost} calls were lost to the disk in the bot and cannot be compared.")
    difference = found.difference
    if difference is None:
        verdict = (
            f"{found.ticks:,} ticks, {found.ticks:,} decisions identical; {found.calls:,} calls in {found.segments} "
            f"files from {found.starts} starts, with {found.fills:,} fills, {found.placed:,} orders placed and "
            f"{found.cancelled:,} cancelled, since {time_text(segments[0].head.began)}; {seconds:.1f} s."
        )
        return "\n".join([*notes, verdict]) + "\n"
    at = "" if difference.ts is None else f" at {time_text(difference.ts)}"
    python = f"{platform.python_version()} {platform.machine()}"
    writers = sorted({segment.head.python for segment in segments} - {python})
    verdict = (
        f"DIFFERENT after {found.ticks:,} ticks: {difference.segment.name}, call {difference.call} "
        f"({difference.name}){at}: {difference.where}\n"
        f"  journal     {difference.journal}\n"
        f"  made again  {difference.again}"
    )
    if writers:
        verdict += f"\n  written by Python {', '.join(writers)}, made again by {python}"
    return "\n".join([*notes, verdict]) + "\n"


def _run_show(options: argparse.Namespace) -> int:
    segments = _open(options.journal)
    at = float("inf") if options.at is None else options.at
    own = core_hash()
    same_core = all(segment.head.core_hash == own for segment in segments if segment.head.began <= at)
    found = find(segments, at, same_core=same_core)
    if options.json:
        print(json.dumps(found.as_dict(), indent=2, default=str))
    else:
        print(as_text(found), end="")
    return 0
