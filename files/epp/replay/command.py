"""``epp replay`` and ``epp sweep``."""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..report.command import EXIT_UNUSABLE, moment
from ..report.figures import time_text
from ..report.text import as_text, percent, ratio
from .market_data import DataError, VolumeUnit
from .parameters import ParameterError, build, parse_value, read_file, split_assignment, with_values
from .settings import FILL_PROBABILITIES, Settings

if TYPE_CHECKING:  # at run time only when a replay is run: it needs paper_exchange beside this package
    from .runs import DataFile, Extent, Replay, Result

_FILL_MODEL = (
    "A resting order fills only when the market trades strictly through its price, at its own price, with at most "
    "{participation:.0f} % of what is printed through it; orders and cancels take {latency:g} s to arrive; "
    "{decisions} decisions a minute."
)
_LIMITS = (
    "A replay cannot tell how the market would have answered to these orders, what the queue at a price was, nor what "
    "the book looked like between the recorded prices: read docs/replay.md before believing a number."
)


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add both commands and their options."""
    replay = commands.add_parser(
        "replay",
        help="run the strategy over recorded data",
        description=(
            "Run the strategy's core over recorded candles or trades, on the paper exchange's matching engine. Candles "
            "are run with the high first and with the low first, each with fill probability "
            f"{', '.join(f'{value:g}' for value in FILL_PROBABILITIES)}; the headline is the run that made least "
            "against holding."
        ),
        epilog="exit codes: 0 done, whatever it shows; 2 data, parameters or options are refused, and why",
    )
    _add_common(replay)
    replay.add_argument(
        "--out", type=Path, default=Path("epp-replay"), help="directory of books, page and JSON (default %(default)s)"
    )
    replay.add_argument("--json", action="store_true", help="print JSON instead of text")
    replay.set_defaults(run=_replay)

    sweep = commands.add_parser(
        "sweep",
        help="try many parameter sets on all cores",
        description=(
            "Replay every combination of the varied parameters. Sets are ranked by their worst run on the first part "
            "of the data; what each made on the part held out stands beside it: the best of many is the luckiest of "
            "many."
        ),
        epilog="example: epp sweep btc.csv.gz --volume-unit quote --vary edge_hold_s=30,60 --vary level_step=0.2,0.4",
    )
    _add_common(sweep)
    sweep.add_argument(
        "--vary", action="append", required=True, metavar="KEY=V1,V2,…", help="values of one parameter (repeatable)"
    )
    sweep.add_argument(
        "--holdout",
        type=_share,
        default=0.25,
        metavar="SHARE",
        help="last part of the data that does not rank (default %(default)s; 0 for none)",
    )
    sweep.add_argument("--out", type=Path, metavar="FILE", help="also write the table as CSV")
    sweep.add_argument("--json", action="store_true", help="print JSON instead of text")
    sweep.set_defaults(run=_sweep)


def _add_common(parser: argparse.ArgumentParser) -> None:
    default = Settings()
    parser.add_argument(
        "data", type=Path, help="one-minute candles or trades: .csv, .csv.gz or .parquet, with a header"
    )
    data = parser.add_argument_group("data")
    data.add_argument("--volume-unit", type=VolumeUnit, choices=list(VolumeUnit), help="what candles' volume counts")
    data.add_argument("--from", dest="begin", type=moment, metavar="TIME", help="leave out what is earlier (UTC)")
    data.add_argument("--to", dest="end", type=moment, metavar="TIME", help="leave out what is not earlier (UTC)")
    data.add_argument(
        "--repair",
        action="store_true",
        help="mend the data: sort, drop duplicates and unusable rows, bridge gaps up to an hour flat; all is counted",
    )
    strategy = parser.add_argument_group("strategy")
    strategy.add_argument(
        "--config", type=Path, metavar="FILE", help="parameters: YAML or JSON, or a deployed controller's file"
    )
    strategy.add_argument(
        "--set", dest="values", action="append", default=[], metavar="KEY=VALUE", help="one parameter (repeatable)"
    )
    strategy.add_argument("--pair", default=None, metavar="BASE-QUOTE", help="trading pair (default: the parameters')")
    market = parser.add_argument_group("exchange and account")
    market.add_argument(
        "--equity", type=_positive, default=default.start_equity, help="at the start, in quote (default %(default)s)"
    )
    market.add_argument(
        "--base-pct", type=_share, default=None, help="share of it in base (default: the strategy's target)"
    )
    market.add_argument("--maker-fee", type=_fraction, default=default.maker_fee, help="fraction (default %(default)s)")
    market.add_argument(
        "--price-precision",
        type=_digits,
        default=default.price_precision,
        help="decimals of a price (default %(default)s)",
    )
    market.add_argument(
        "--quantity-precision",
        type=_digits,
        default=default.quantity_precision,
        help="decimals of an amount (default %(default)s)",
    )
    market.add_argument(
        "--min-notional", type=_positive, default=default.min_notional, help="least order, quote (default %(default)s)"
    )
    market.add_argument(
        "--market-spread-bps",
        type=float,
        default=default.market_spread * 1e4,
        help="the market's own width (default %(default)s)",
    )
    market.add_argument(
        "--latency",
        type=float,
        default=default.latency_s,
        metavar="S",
        help="of orders and cancels, seconds (default %(default)s)",
    )
    market.add_argument(
        "--participation",
        type=_positive,
        default=default.participation,
        help="share of the volume through (default %(default)s)",
    )
    run = parser.add_argument_group("run")
    run.add_argument(
        "--decisions-per-bar",
        type=int,
        default=default.decisions_per_bar,
        metavar="N",
        help="decisions a minute (default %(default)s)",
    )
    run.add_argument("--seed", type=int, default=default.seed, help="of the fill draws (default %(default)s)")
    run.add_argument("--whole", action="store_true", help="do not wait for the inventory to come near its target")
    run.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (default: all cores, %(default)s)"
    )
    run.add_argument("--quiet", action="store_true", help="no progress on standard error")


def _positive(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not value.is_finite() or value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return value


def _fraction(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 <= value < Decimal("0.1"):
        raise argparse.ArgumentTypeError(f"{text} is not a fraction under 0.1: 10 bp is 0.001")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share from 0 to under 1")
    return value


def _digits(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 18:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 18")
    return value


def _settings(options: argparse.Namespace) -> Settings:
    if not 1 <= options.decisions_per_bar <= 60:
        raise ParameterError("--decisions-per-bar: from 1 to 60")
    if not options.participation <= 1:
        raise ParameterError("--participation: at most 1")
    if not 0 <= options.latency <= 60:
        raise ParameterError("--latency: from 0 to 60 seconds")
    if not 0 <= options.market_spread_bps <= 1000:
        raise ParameterError("--market-spread-bps: from 0 to 1000")
    return Settings(
        start_equity=options.equity,
        start_base_pct=options.base_pct,
        maker_fee=options.maker_fee,
        price_precision=options.price_precision,
        quantity_precision=options.quantity_precision,
        min_notional=options.min_notional,
        market_spread=options.market_spread_bps / 1e4,
        latency_s=options.latency,
        participation=options.participation,
        decisions_per_bar=options.decisions_per_bar,
        seed=options.seed,
    )


def _given(options: argparse.Namespace) -> dict[str, Any]:
    given = read_file(options.config) if options.config else {}
    values = {key: parse_value(text) for key, text in map(split_assignment, options.values)}
    if options.pair:
        values["trading_pair"] = options.pair
    return with_values(given, values)


def _refusing(name: str, command: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    from .runs import WorkerLostError

    try:
        return command(options)
    except (DataError, ParameterError, WorkerLostError) as error:
        for line in str(error).splitlines():
            print(f"epp {name}: {line}", file=sys.stderr)
        return EXIT_UNUSABLE


def _replay(options: argparse.Namespace) -> int:
    return _refusing("replay", _run_replay, options)


def _sweep(options: argparse.Namespace) -> int:
    return _refusing("sweep", _run_sweep, options)


def _data_file(options: argparse.Namespace) -> DataFile:
    from .runs import DataFile

    return DataFile(options.data, options.volume_unit, options.repair, options.begin, options.end)


def _run_replay(options: argparse.Namespace) -> int:
    from .page import write_page
    from .runs import ProgressLine, Replay, jobs_for, run_all, survey

    settings, parameters = _settings(options), build(_given(options))
    data = _data_file(options)
    extent = survey(data)
    jobs = jobs_for(
        data,
        extent,
        parameters,
        settings,
        instance="replay",
        directory=options.out,
        whole=options.whole,
        charts=True,
    )
    line = ProgressLine(extent.bars * len(jobs), None if options.quiet else _to_stderr, interactive=sys.stderr.isatty())
    results = dict(run_all(jobs, options.jobs, line))
    line.close()
    replay = Replay(tuple(results[number] for number in range(len(jobs))))
    notes = _notes(options, settings, extent, replay, parameters.warnings())
    summary = {
        "data": str(options.data),
        "notes": notes,
        "parameters": parameters.model_dump(mode="json"),
        "settings": {
            key: str(value) if isinstance(value, Decimal) else value for key, value in asdict(settings).items()
        },
        "headline": replay.headline.kind.name if replay.headline else None,
        "runs": {result.kind.name: _as_plain(result) for result in replay.results},
    }
    (options.out / "replay.json").write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    page = write_page(options.out / "replay.html", replay, data=options.data.name, notes=notes)
    if options.json:
        print(json.dumps(summary, indent=2, allow_nan=False))
    else:
        print(_replay_text(replay, notes), end="")
        print(f"\nbooks, replay.json{' and replay.html' if page else ''} are in {options.out}")
    return 0


def _to_stderr(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _as_plain(result: Result) -> dict[str, object]:
    return {
        "figures": result.figures.as_dict() if result.figures else None,
        "note": result.note,
        "bars": result.pace.bars,
        "decisions": result.pace.decisions,
        "seconds": round(result.pace.seconds, 3),
        "bars_per_s": round(result.pace.bars_per_s, 1),
    }


def _notes(
    options: argparse.Namespace, settings: Settings, extent: Extent, replay: Replay, warnings: Sequence[str]
) -> list[str]:
    seconds = sum(result.pace.seconds for result in replay.results)
    bars = sum(result.pace.bars for result in replay.results)
    kind = "trades" if extent.trades else "candles of one minute"
    notes = [
        f"{options.data.name}: {extent.rows:,} {kind}, {time_text(extent.first_ts)} to {time_text(extent.last_ts)}; "
        f"start with {settings.start_equity:,} in all, maker fee {percent(float(settings.maker_fee), 3)}.",
        _FILL_MODEL.format(
            participation=float(settings.participation) * 100,
            latency=settings.latency_s,
            decisions=settings.decisions_per_bar,
        ),
        f"{bars / seconds if seconds else 0:,.0f} bars a second and core.",
        *(f"Data {sentence}." for sentence in extent.repairs.sentences()),
        *(f"Parameters: {warning}." for warning in warnings),
        _LIMITS,
    ]
    return [note.replace("  ", " ") for note in notes]


def _replay_text(replay: Replay, notes: Sequence[str]) -> str:
    lines = [*notes, "", *_runs_table(replay.results, replay.headline)]
    if replay.headline is None or replay.headline.figures is None:
        lines += ["", *(result.note for result in replay.results[:1])]
    else:
        lines += [
            "",
            f"headline, the worst run: {replay.headline.kind.name}",
            as_text(replay.headline.figures).rstrip(),
        ]
    return "\n".join(lines) + "\n"


def _runs_table(results: Sequence[Result], headline: Result | None) -> list[str]:
    lines = [
        "run           against holding  profit factor  P(PF>1)  fees/gross  drawdown  turnover  fills  round trips"
    ]
    for result in results:
        figures = result.figures
        mark = "*" if result is headline else " "
        if figures is None:
            lines.append(f"{mark} {result.kind.name:<12}{'no window':>15}")
            continue
        trips = figures.round_trips
        lines.append(
            f"{mark} {result.kind.name:<12}{percent(figures.versus_holding_pct, 3):>15}{ratio(trips.profit_factor):>15}"
            f"{percent(trips.profitable_probability, 0):>9}{percent(trips.fees_to_gross, 1):>12}"
            f"{percent(figures.trading_drawdown_pct):>10}{figures.turnover_mean_x:>9.2f}x"
            f"{figures.fills:>7}{trips.count:>13}"
        )
    return lines


@dataclass(frozen=True, slots=True)
class _Set:
    """One combination of a sweep."""

    values: dict[str, Any]
    refusal: str
    fit: Replay | None
    held_out: Replay | None

    @property
    def rank(self) -> float:
        worst = _worst(self.fit)
        return float("inf") if worst is None else -worst


def _worst(replay: Replay | None) -> float | None:
    headline = replay.headline if replay else None
    return headline.figures.versus_holding_pct if headline and headline.figures else None


def _run_sweep(options: argparse.Namespace) -> int:
    from .runs import DataFile, Job, ProgressLine, Replay, jobs_for, run_all, survey

    settings, given = _settings(options), _given(options)
    data = _data_file(options)
    extent = survey(data)
    cut = extent.first_ts + (extent.last_ts + 60 - extent.first_ts) * (1 - options.holdout)
    cut -= cut % 60
    parts = [data]
    if options.holdout:
        parts = [
            DataFile(data.path, data.volume, data.repair, data.begin, cut),
            DataFile(data.path, data.volume, data.repair, cut, data.end),
        ]
    extents = [survey(part) for part in parts]
    combinations = _combinations(options.vary)
    jobs: list[Job] = []
    places: list[list[list[int]]] = []
    refusals: list[str] = []
    for values in combinations:
        places.append([])
        refusals.append("")
        try:
            parameters = build(with_values(given, values))
        except ParameterError as error:
            refusals[-1] = "; ".join(str(error).splitlines())
            continue
        for part, found in zip(parts, extents, strict=True):
            of_part = jobs_for(
                part, found, parameters, settings, instance="sweep", directory=None, whole=options.whole, charts=False
            )
            places[-1].append(list(range(len(jobs), len(jobs) + len(of_part))))
            jobs += of_part
    kinds = 3 if extent.trades else 6
    total = sum(found.bars for found in extents) * kinds * sum(1 for refusal in refusals if not refusal)
    line = ProgressLine(total, None if options.quiet else _to_stderr, interactive=sys.stderr.isatty())
    results = dict(run_all(jobs, options.jobs, line))
    line.close()
    sets = []
    for values, numbers, refusal in zip(combinations, places, refusals, strict=True):
        replays = [Replay(tuple(results[number] for number in of_part)) for of_part in numbers]
        sets.append(_Set(values, refusal, replays[0] if replays else None, replays[1] if len(replays) > 1 else None))
    sets.sort(key=lambda one: one.rank)
    rows = [_sweep_row(one) for one in sets]
    if options.out:
        with options.out.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
    if options.json:
        print(json.dumps({"data": str(options.data), "holdout_from": time_text(cut), "sets": rows}, indent=2))
    else:
        print(_sweep_text(rows, options.holdout, time_text(cut)), end="")
    return 0


def _combinations(vary: Sequence[str]) -> list[dict[str, Any]]:
    keys: list[str] = []
    choices: list[list[Any]] = []
    for text in vary:
        key, values = split_assignment(text)
        if key in keys:
            raise ParameterError(f"--vary {key}: given twice")
        keys.append(key)
        choices.append([parse_value(value.strip()) for value in values.split(",")])
    return [dict(zip(keys, values, strict=True)) for values in itertools.product(*choices)]


def _sweep_row(one: _Set) -> dict[str, Any]:
    row: dict[str, Any] = dict(one.values)
    headline = one.fit.headline if one.fit else None
    figures = headline.figures if headline else None
    trips = figures.round_trips if figures else None
    return row | {
        "worst_against_holding_pct": _worst(one.fit),
        "held_out_worst_pct": _worst(one.held_out),
        "worst_run": headline.kind.name if headline else "",
        "profit_factor": None if trips is None else trips.profit_factor,
        "fees_to_gross": None if trips is None else trips.fees_to_gross,
        "trading_drawdown_pct": None if figures is None else figures.trading_drawdown_pct,
        "turnover_mean_x": None if figures is None else figures.turnover_mean_x,
        "round_trips": None if trips is None else trips.count,
        "refused": one.refusal,
    }


def _sweep_text(rows: Sequence[dict[str, Any]], holdout: float, cut: str) -> str:
    keys = [key for key in rows[0] if key not in _SWEEP_FIGURES]
    widths = [max(len(key), *(len(str(row[key])) for row in rows)) for key in keys]
    lines = [
        f"ranked by the worst run before {cut}; held out: what follows"
        if holdout
        else "ranked on all the data: nothing was held out, so the best set is the luckiest",
        "",
        "  ".join(f"{key:>{width}}" for key, width in zip(keys, widths, strict=True))
        + "  worst run     against holding  held out  profit factor  fees/gross  drawdown  turnover  round trips",
    ]
    for row in rows:
        left = "  ".join(f"{row[key]!s:>{width}}" for key, width in zip(keys, widths, strict=True))
        if row["refused"]:
            lines.append(f"{left}  refused: {row['refused']}")
            continue
        lines.append(
            f"{left}  {row['worst_run']:<12} {percent(row['worst_against_holding_pct'], 3):>16}"
            f"{percent(row['held_out_worst_pct'], 3):>10}{ratio(row['profit_factor']):>15}"
            f"{percent(row['fees_to_gross'], 1):>12}{percent(row['trading_drawdown_pct']):>10}"
            f"{row['turnover_mean_x'] or 0:>9.2f}x{row['round_trips'] or 0:>13}"
        )
    return "\n".join(lines) + "\n"


_SWEEP_FIGURES = frozenset(
    {
        "worst_against_holding_pct",
        "held_out_worst_pct",
        "worst_run",
        "profit_factor",
        "fees_to_gross",
        "trading_drawdown_pct",
        "turnover_mean_x",
        "round_trips",
        "refused",
    }
)
