"""A replay of the hours in which a paper bot ran agrees with it, within what docs/replay.md says.

A campaign: ``make paper-against-replay`` takes EPP_PAPER_MINUTES (four, if not set) at EPP_PAPER_SPEED, and keeps the
table in EPP_PAPER_TABLE. EPP_PAPER_QUOTES: ``near``, without the cautions, or ``default``, the parameters as they are.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from epp.__main__ import main
from epp.journal.entries import PlainCall
from epp.journal.reader import Segment, find_segments
from epp.report.figures import figures_of
from epp.tests.adapter.conftest import rows
from epp.tests.adapter.paper_trading import STREAM
from epp.tests.adapter.recorded_market import anchor_of, write_candles, write_prints

if TYPE_CHECKING:
    from .conftest import Bot, Exchange

pytestmark = [pytest.mark.bot_image, pytest.mark.campaign]

MINUTES = float(os.environ.get("EPP_PAPER_MINUTES", "4"))
SPEED = float(os.environ.get("EPP_PAPER_SPEED", "30"))
QUOTES = os.environ.get("EPP_PAPER_QUOTES", "near")
TABLE = os.environ.get("EPP_PAPER_TABLE", "")
MAKER_FEE = "0.0002"

# docs/replay.md, "Paper against replay": written down before the first run.
FILLS_TOLERANCE, FILLS_LEAST = 0.20, 10
VALUE_TOLERANCE = 0.20
SPREAD_TOLERANCE = 0.05
BASE_TOLERANCE = 0.03
RESULT_TOLERANCE = 0.0015
STATE_TOLERANCE = 0.95


@dataclass(frozen=True)
class Run:
    """What is compared of one run."""

    fills: int
    value: float
    fees: float
    spread: float
    base: dict[int, float]
    """Share in base by minute."""
    states: dict[int, str]
    reasons: dict[int, str]
    result: float
    """Against holding, share of the opening equity."""


def run_of(books: Path, begin: float, end: float) -> Run:
    """A run by its books."""
    figures = figures_of(books, begin=begin, end=end, whole=True)
    minutes = {}
    for row in rows(books / "minute.csv"):
        ts = datetime.fromisoformat(row["ts"]).timestamp()
        if begin <= ts < end and row["base_pct"] and row["spread_pct"]:
            minutes[int(ts // 60)] = row
    return Run(
        fills=figures.fills,
        value=float(figures.notional_quote),
        fees=float(figures.fees_quote),
        spread=statistics.median(float(row["spread_pct"]) for row in minutes.values()),
        base={minute: float(row["base_pct"]) for minute, row in minutes.items()},
        states={minute: row["state"] for minute, row in minutes.items()},
        reasons={minute: row["reasons"] for minute, row in minutes.items()},
        result=figures.versus_holding_pct,
    )


@dataclass(frozen=True)
class Opening:
    """The account when the bot placed its first order."""

    ts: float
    base: float
    quote: float
    mid: float

    @property
    def equity(self) -> float:
        """In quote."""
        return self.quote + self.base * self.mid


def decisions_of(bot: Bot) -> list[PlainCall]:
    """Every decision from the first that placed an order on, from the journal."""
    calls = [
        call
        for path in find_segments(bot.root / "logs/epp_v24/bot1_a")
        for call in Segment(path).calls()
        if call.name == "decide"
    ]
    first = next(number for number, call in enumerate(calls) if call.came["place"])
    return calls[first:]


def opening_of(decision: PlainCall) -> Opening:
    """The account that a decision was shown."""
    seen = decision.given
    mid = (seen["bid"] + seen["ask"]) / 2
    return Opening(seen["ts"], float(seen["base_total"]), float(seen["quote_total"]), mid)


def replay(bot: Bot, data: Path, opening: Opening, begin: float, end: float, out: Path) -> dict[str, Run]:
    """Replay the same hours; every run of it."""
    code = main([
        "replay", str(data), "--config", str(bot.root / "conf/controllers/epp_v2_4_bot_a.yml"),
        "--from", datetime.fromtimestamp(begin, UTC).isoformat(), "--to", datetime.fromtimestamp(end, UTC).isoformat(),
        "--equity", f"{opening.equity:.8f}", "--base-pct", repr(opening.base * opening.mid / opening.equity),
        "--maker-fee", MAKER_FEE, "--min-notional", "5", "--market-spread-bps", "1", "--latency", "0.25",
        "--decisions-per-bar", "60", "--whole", "--quiet", "--out", str(out),
    ])  # fmt: skip
    assert code == 0
    names = json.loads((out / "replay.json").read_text())["runs"]
    return {name: run_of(out / name, begin, end) for name in names}


def compared(paper: Run, other: Run) -> dict[str, tuple[str, str, str, bool]]:
    """Every figure of the tolerances' table: paper's, the replay's, the difference, whether it is tolerated."""
    common = sorted(paper.base.keys() & other.base.keys())
    apart = statistics.fmean(abs(paper.base[minute] - other.base[minute]) for minute in common)
    unlike = [
        f"{paper.states[minute]} ({paper.reasons[minute]}) and {other.states[minute]} ({other.reasons[minute]})"
        for minute in common
        if paper.states[minute] != other.states[minute]
    ]
    alike = statistics.fmean(paper.states[minute] == other.states[minute] for minute in common)

    def share(one: float, two: float, tolerance: float, digits: int) -> tuple[str, str, str, bool]:
        off = two / one - 1 if one else 0.0
        return f"{one:.{digits}f}", f"{two:.{digits}f}", f"{off:+.1%}", abs(off) <= tolerance

    fills = share(paper.fills, other.fills, FILLS_TOLERANCE, 0)
    return {
        "fills": (*fills[:3], fills[3] or abs(paper.fills - other.fills) <= FILLS_LEAST),
        "traded value": share(paper.value, other.value, VALUE_TOLERANCE, 2),
        "fees": share(paper.fees, other.fees, VALUE_TOLERANCE, 3),
        "spread quoted": share(paper.spread, other.spread, SPREAD_TOLERANCE, 6),
        "share in base, mean difference": ("", "", f"{apart * 100:.2f} points", apart <= BASE_TOLERANCE),
        "against holding": (
            f"{paper.result:.4%}", f"{other.result:.4%}", f"{other.result - paper.result:+.4%}",
            abs(other.result - paper.result) <= RESULT_TOLERANCE,
        ),
        "state alike": (
            "", "", "; ".join([f"{alike:.1%} of {len(common)} minutes", *unlike]), alike >= STATE_TOLERANCE,
        ),
    }  # fmt: skip


def within(paper: Run, runs: dict[str, Run]) -> dict[str, tuple[str, str, bool]]:
    """Whether the paper bot lies in what a candle replay's runs span: its figure, the span, and whether."""
    fills, values = [run.fills for run in runs.values()], [run.value for run in runs.values()]
    results = [run.result for run in runs.values()]
    slack = max(FILLS_LEAST, FILLS_TOLERANCE * paper.fills)
    return {
        "fills": (
            f"{paper.fills}", f"{min(fills)} … {max(fills)}", min(fills) - slack <= paper.fills <= max(fills) + slack
        ),
        "traded value": (
            f"{paper.value:.2f}", f"{min(values):.2f} … {max(values):.2f}",
            min(values) * (1 - VALUE_TOLERANCE) <= paper.value <= max(values) * (1 + VALUE_TOLERANCE),
        ),
        "against holding": (
            f"{paper.result:.4%}", f"{min(results):.4%} … {max(results):.4%}",
            min(results) - RESULT_TOLERANCE <= paper.result <= max(results) + RESULT_TOLERANCE,
        ),
    }  # fmt: skip


def test_a_replay_of_the_same_hours_agrees(
    make_exchange: Callable[..., Exchange], make_bot: Callable[..., Bot], tmp_path: Path
) -> None:
    exchange = make_exchange(market={"speed": SPEED}, maker_fee=MAKER_FEE)
    bot = make_bot(exchange, **{"near": STREAM, "default": {}}[QUOTES])
    bot.run()
    bot.wait_for_log("First quote", 600)
    time.sleep(MINUTES * 60)
    end = time.time()
    assert bot.stop() == 0
    anchor = anchor_of(exchange)
    decisions = decisions_of(bot)
    opening = opening_of(decisions[0])
    assert end - opening.ts > MINUTES * 60 * 0.9
    paper = run_of(bot.root / "logs/epp_v24/bot1_a", opening.ts, end)
    assert paper.fills >= (3 * MINUTES if QUOTES == "near" else 1), "too few fills to compare anything"

    prints = tmp_path / "prints.csv"
    write_prints(prints, anchor, end)
    by_prints = replay(bot, prints, opening, opening.ts, end, tmp_path / "by-prints")["trades-p1"]
    candles = tmp_path / "candles.csv"
    write_candles(candles, anchor, end)
    # Whole minutes only: the first one is that in which the bot began.
    by_candles = replay(bot, candles, opening, opening.ts // 60 * 60, end // 60 * 60, tmp_path / "by-candles")

    with_prints, with_candles = compared(paper, by_prints), within(paper, by_candles)
    lines = [
        f"{MINUTES:g} minutes of {QUOTES} quotes at {SPEED:g} times the pace, from "
        f"{datetime.fromtimestamp(opening.ts, UTC):%F %T} on; {len(decisions)} decisions in {end - opening.ts:.0f} s",
        "",
        *(" | ".join(["prints", name, *map(str, cells)]) for name, cells in with_prints.items()),
        *(" | ".join(["candles", name, *map(str, cells)]) for name, cells in with_candles.items()),
        *(
            f"run {name} | {run.fills} | {run.value:.2f} | {run.spread:.6f} | {run.result:.4%}"
            for name, run in {"paper": paper, "prints": by_prints, **by_candles}.items()
        ),
    ]
    print("\n".join(lines))
    if TABLE:
        Path(TABLE).parent.mkdir(parents=True, exist_ok=True)
        Path(TABLE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    outside: list[Any] = [name for name, cells in with_prints.items() if not cells[-1]]
    outside += [f"{name} (candles)" for name, cells in with_candles.items() if not cells[-1]]
    assert not outside, f"outside the tolerances of docs/replay.md: {outside}"
