"""The runs of a replay, on all cores: each is one path through the data with one fill probability."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from multiprocessing.sharedctypes import SynchronizedArray
from pathlib import Path

from .. import core
from ..report import Figures, UnavailableError, Validation
from ..report.chart_series import ChartSeries
from .books_writer import ReplayBooks
from .market_data import Candle, Candles, DataError, Repairs, Trade, Trades, VolumeUnit, is_trades
from .settings import RunKind, Settings, run_kinds
from .simulation import Pace, Simulation

_PROGRESS_S = 0.5


@dataclass(frozen=True, slots=True)
class DataFile:
    """Recorded data and how to read it. Times are unix seconds; ``None`` does not cut."""

    path: Path
    volume: VolumeUnit | None = None
    repair: bool = False
    begin: float | None = None
    end: float | None = None

    def open(self) -> Candles | Trades:
        """The rows, to be read from the beginning by each iteration.

        Raises:
            DataError: the file cannot be read, or its columns are neither candles' nor trades'.
        """
        if is_trades(self.path):
            return Trades(self.path, repair=self.repair, begin=self.begin, end=self.end)
        return Candles(self.path, volume=self.volume, repair=self.repair, begin=self.begin, end=self.end)


@dataclass(frozen=True, slots=True)
class Extent:
    """What a whole reading of the data found."""

    trades: bool
    rows: int
    first_ts: float
    last_ts: float
    first_price: float
    repairs: Repairs

    @property
    def bars(self) -> int:
        """Minutes that a run goes through."""
        return int((self.last_ts - self.first_ts) // 60) + 1


def survey(data: DataFile) -> Extent:
    """Read everything once, so that a fault in the last line is found before anything is run.

    Raises:
        DataError: the data is malformed, or there is none between the times asked for.
    """
    source = data.open()
    first: Candle | Trade | None = None
    last: Candle | Trade | None = None
    rows = 0
    for row in source:
        if first is None:
            first = row
        last = row
        rows += 1
    if first is None or last is None:
        raise DataError(f"{data.path}: no row between the times asked for")
    first_price = first.price if isinstance(first, Trade) else first.open
    return Extent(isinstance(source, Trades), rows, first[0], last[0], first_price, source.repairs)


@dataclass(frozen=True, slots=True)
class Job:
    """One run."""

    data: DataFile
    kind: RunKind
    parameters: core.EppParameters
    settings: Settings
    first_price: float
    instance: str
    directory: Path | None
    """Where its books go; None writes none."""
    whole: bool
    charts: bool
    """Whether to gather what the page draws."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to."""

    kind: RunKind
    figures: Figures | None
    note: str
    """Why there are no figures."""
    pace: Pace
    series: ChartSeries | None


def fingerprint(value: object) -> str:
    """The first 16 hex digits of a hash over plain data."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def strategy_hash() -> str:
    """The first 16 hex digits of a hash over the core's source: what a replay's decisions depend on."""
    digest = hashlib.sha256()
    for path in sorted(Path(core.__file__).parent.glob("*.py")):
        content = path.read_bytes()
        digest.update(f"{len(path.name)}:{path.name}{len(content)}:".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def run(job: Job, progress: Callable[[int], None] | None = None) -> Result:
    """Carry out one run in this process.

    Raises:
        DataError: the data is malformed.
    """
    series = ChartSeries() if job.charts else None
    validation = Validation(source=str(job.directory or job.kind.name), whole=job.whole, observer=series)
    provenance = (
        job.instance,
        job.parameters.variant,
        "replay",
        "recorded",
        "0",
        strategy_hash(),
        fingerprint([job.parameters.model_dump(mode="json"), asdict(job.settings), job.kind.name]),
    )
    source = job.data.open()
    with ExitStack() as stack:
        books = None
        if job.directory is not None:
            books = stack.enter_context(ReplayBooks(job.directory, provenance, "replay", job.parameters.trading_pair))
        simulation = Simulation(
            job.parameters,
            job.settings,
            job.kind,
            first_price=job.first_price,
            provenance=provenance,
            books=books,
            validation=validation,
        )
        if isinstance(source, Trades):
            pace = simulation.trades(source, progress)
        else:
            pace = simulation.candles(source, progress)
    try:
        return Result(job.kind, validation.figures(), "", pace, series)
    except UnavailableError as error:
        return Result(job.kind, None, str(error), pace, series)


_done: SynchronizedArray[int] | None = None


def _share_progress(done: SynchronizedArray[int]) -> None:
    global _done  # a pool's worker is given this way what cannot be pickled
    _done = done


def _run_numbered(number: int, job: Job) -> Result:
    def progress(bars: int) -> None:
        assert _done is not None  # noqa: S101 -- the initializer ran
        _done[number] = bars

    return run(job, progress)


def run_all(jobs: Sequence[Job], workers: int, progress: Callable[[int], None]) -> Iterator[tuple[int, Result]]:
    """Carry out runs on several cores; yields each with its number when it is done.

    Args:
        jobs: the runs.
        workers: processes; with one, everything happens in this one.
        progress: gets the bars done so far in all runs, about twice a second.

    Raises:
        DataError: the data is malformed.
    """
    if workers <= 1 or len(jobs) == 1:
        before = 0
        for number, job in enumerate(jobs):
            offset = before
            result = run(job, lambda bars, offset=offset: progress(offset + bars))  # type: ignore[misc]  # a default types no lambda
            before += result.pace.bars
            progress(before)
            yield number, result
        return
    context = multiprocessing.get_context()
    done = context.Array("q", len(jobs))
    with ProcessPoolExecutor(min(workers, len(jobs)), context, _share_progress, (done,)) as pool:
        numbers: dict[Future[Result], int] = {
            pool.submit(_run_numbered, number, job): number for number, job in enumerate(jobs)
        }
        waiting = set(numbers)
        try:
            while waiting:
                finished, waiting = wait(waiting, _PROGRESS_S, FIRST_COMPLETED)
                for future in finished:
                    result = future.result()
                    done[numbers[future]] = result.pace.bars
                    yield numbers[future], result
                progress(sum(done[:]))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Replay:
    """All runs of one set of parameters over the same data."""

    results: tuple[Result, ...]

    @property
    def headline(self) -> Result | None:
        """The worst run: the one that made least against holding. None when no run has figures."""
        with_figures = [result for result in self.results if result.figures is not None]
        return min(with_figures, key=_against_holding, default=None)


def _against_holding(result: Result) -> float:
    assert result.figures is not None  # noqa: S101 -- only asked of those that have them
    return result.figures.versus_holding_pct


def jobs_for(
    data: DataFile,
    extent: Extent,
    parameters: core.EppParameters,
    settings: Settings,
    *,
    instance: str,
    directory: Path | None,
    whole: bool,
    charts: bool,
) -> list[Job]:
    """One job for every path and fill probability; each has a directory of its own below ``directory``."""
    return [
        Job(
            data=data,
            kind=kind,
            parameters=parameters,
            settings=settings,
            first_price=extent.first_price,
            instance=instance,
            directory=None if directory is None else directory / kind.name,
            whole=whole,
            charts=charts,
        )
        for kind in run_kinds(trades=extent.trades)
    ]


class ProgressLine:
    """One line on standard error: how much is done, how fast, how long still.

    Args:
        total: bars of all runs together.
        write: where it goes; None is silent.
        interactive: rewrite the line in place; else write a new one every ten seconds.
    """

    def __init__(self, total: int, write: Callable[[str], object] | None, *, interactive: bool) -> None:
        self._total = max(total, 1)
        self._write = write
        self._interactive = interactive
        self._began = self._last = time.monotonic()

    def __call__(self, bars: int) -> None:
        """Show that so many bars are done."""
        now = time.monotonic()
        if self._write is None or now - self._last < (0.2 if self._interactive else 10.0):
            return
        self._last = now
        speed = bars / (now - self._began)
        left = (self._total - bars) / speed if speed else 0.0
        share = 100 * bars / self._total
        text = f"{share:5.1f} %  {bars:,} of {self._total:,} bars  {speed:,.0f} bars/s  {left:.0f} s left"
        self._write(f"\r{text}\x1b[K" if self._interactive else f"{text}\n")

    def close(self) -> None:
        """End the line."""
        if self._write is not None and self._interactive:
            self._write("\r\x1b[K")
