"""The runs of a replay, on all cores: each is one path through the data with one fill probability."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, MutableSequence, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path

from .. import core
from ..report import Figures, UnavailableError, Validation
from ..report.chart_series import ChartSeries
from ..source import core_hash
from .books_writer import ReplayBooks
from .market_data import Candle, Candles, DataError, Repairs, Trade, Trades, VolumeUnit, is_trades
from .settings import RunKind, Settings, run_kinds
from .simulation import Pace, Simulation

_PROGRESS_S = 0.5

SEEDED_BARS = 200
"""As many as a live bot asks its exchange for."""


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


def bars_before(data: DataFile) -> list[core.Bar]:
    """The file's whole minutes before the beginning asked for, as a live bot gets candles of the time before its start.

    None when the file is read from its beginning.

    Raises:
        DataError: the data is malformed.
    """
    if data.begin is None:
        return []
    end = data.begin - data.begin % 60
    source = replace(data, begin=end - SEEDED_BARS * 60, end=end).open()
    bars: list[core.Bar] = []
    for row in source:
        if isinstance(row, Candle):
            bars.append(core.Bar(float(row.start), row.open, row.high, row.low, row.close))
            continue
        minute, price = row.ts - row.ts % 60, row.price
        if not bars or bars[-1].start != minute:
            bars.append(core.Bar(minute, price, price, price, price))
        else:
            bar = bars[-1]
            bars[-1] = core.Bar(minute, bar.open, max(bar.high, price), min(bar.low, price), price)
    return bars


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
        core_hash(),
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
            bars=bars_before(job.data),
        )
        if isinstance(source, Trades):
            pace = simulation.trades(source, progress)
        else:
            pace = simulation.candles(source, progress)
    try:
        return Result(job.kind, validation.figures(), "", pace, series)
    except UnavailableError as error:
        return Result(job.kind, None, str(error), pace, series)


class WorkerLostError(Exception):
    """A process that carried out a run is gone: killed, most likely for memory."""


def _work(link: Connection, done: MutableSequence[int], jobs: Sequence[Job]) -> None:
    """A process that carries out the runs whose numbers it is sent, and never outlives the one that sends them.

    Sends back the result, or the exception that ended the run.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first one ends the others
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        number: int = link.recv()
        try:
            outcome: Result | Exception = run(jobs[number], partial(done.__setitem__, number))
        except Exception as error:  # whatever it is, it is raised where the runs are wanted
            outcome = error
        link.send(outcome)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 -- this is a worker
    parent.join()
    os._exit(1)


@contextmanager
def _interrupt_held_back() -> Iterator[None]:
    """Let Ctrl-C wait for the end of this: a process that it hits while it is made would be forgotten."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt


@contextmanager
def _workers(count: int, done: MutableSequence[int], jobs: Sequence[Job]) -> Iterator[list[Connection]]:
    """Processes at work and the links to them; at the end none of them is left, whatever they were doing.

    Not Python's own pool: it shares locks between threads and processes, and an interrupt between the taking of one and
    the remembering of it leaves all of them waiting for ever. Here there is nothing to hold.
    """
    links: list[Connection] = []
    processes: list[multiprocessing.Process] = []
    try:
        with _interrupt_held_back():
            for _ in range(count):
                link, far_end = multiprocessing.Pipe()
                process = multiprocessing.Process(target=_work, args=(far_end, done, jobs), daemon=True)
                process.start()
                far_end.close()
                links.append(link)
                processes.append(process)
        yield links
    finally:
        with _interrupt_held_back():
            for process in processes:
                process.kill()
            for process in processes:
                process.join()


def run_all(jobs: Sequence[Job], workers: int, progress: Callable[[int], None]) -> Iterator[tuple[int, Result]]:
    """Carry out runs on several cores; yields each with its number when it is done.

    Args:
        jobs: the runs.
        workers: processes; with one, everything happens in this one.
        progress: gets the bars done so far in all runs, about twice a second.

    Raises:
        DataError: the data is malformed.
        WorkerLostError: one of the processes died.
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
    done: MutableSequence[int] = multiprocessing.RawArray("q", len(jobs))
    with _workers(min(workers, len(jobs)), done, jobs) as links:
        numbers = iter(range(len(jobs)))
        at_work = dict(zip(links, numbers, strict=False))
        for link, number in at_work.items():
            link.send(number)
        while at_work:
            ready = wait(list(at_work), _PROGRESS_S)
            for link in [one for one in at_work if one in ready]:
                number = at_work.pop(link)
                try:
                    outcome = link.recv()
                except (EOFError, OSError):
                    lost = f"the process of a run ({jobs[number].kind.name}) was killed: if for memory, lower --jobs"
                    raise WorkerLostError(lost) from None
                if isinstance(outcome, Exception):
                    raise outcome
                if (following := next(numbers, None)) is not None:
                    link.send(following)
                    at_work[link] = following
                done[number] = outcome.pace.bars
                yield number, outcome
            progress(sum(done))


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
