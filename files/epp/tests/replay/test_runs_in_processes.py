"""Runs on several cores: interrupted or killed, a replay leaves no process behind."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from epp.core import EppParameters
from epp.replay.market_data import VolumeUnit
from epp.replay.runs import DataFile, Job, WorkerLostError, jobs_for, run_all, survey
from epp.replay.settings import Settings

CANDLES = Path(__file__).parents[3] / "market" / "btc-usd-1m-2022-01.csv.gz"
SWEEP = [
    sys.executable, "-m", "epp", "sweep", str(CANDLES), "--volume-unit", "quote", "--equity", "5000", "--jobs", "2",
    "--vary", "max_skew_pct=0.001,0.0015,0.002", "--vary", "turnover_cap_x=2.5,3,3.5", "--quiet",
]  # fmt: skip
"""Minutes of work."""


def _children(parent: int) -> set[int]:
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.add(int(status.parent.name))
    return found


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _heed_interrupts() -> None:
    """A shell's background job, as these tests may be, ignores Ctrl-C, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def sweep() -> Iterator[tuple[subprocess.Popen[str], set[int]]]:
    """A sweep at work in two processes of its own."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen(
        SWEEP, stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=_heed_interrupts
    ) as process:
        workers: set[int] = set()
        deadline = time.monotonic() + 120
        while len(workers) < 2 and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.1)
            workers = _children(process.pid)
        assert len(workers) == 2
        yield process, workers
        process.kill()


def _gone(workers: set[int], within_s: float = 60.0) -> bool:
    deadline = time.monotonic() + within_s
    while any(_alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not any(_alive(pid) for pid in workers)


def test_an_interrupt_ends_a_sweep_and_its_processes(sweep: tuple[subprocess.Popen[str], set[int]]) -> None:
    process, workers = sweep
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert _gone(workers)
    assert process.stderr is not None
    assert process.stderr.read() == "epp: interrupted\n"


def test_a_killed_sweep_leaves_no_process_behind(sweep: tuple[subprocess.Popen[str], set[int]]) -> None:
    process, workers = sweep
    process.kill()
    process.wait(60)
    assert _gone(workers)


def long_jobs() -> list[Job]:
    """Six runs, minutes of work for each."""
    data = DataFile(CANDLES, VolumeUnit.QUOTE)
    settings = Settings(start_equity=Decimal(5000), decisions_per_bar=60)
    return jobs_for(
        data, survey(data), EppParameters.model_validate({}), settings,
        instance="test", directory=None, whole=False, charts=False,
    )  # fmt: skip


def processes_left(others: set[multiprocessing.process.BaseProcess]) -> set[multiprocessing.process.BaseProcess]:
    """Those that began after ``others`` and still run; they are ended."""
    left = set(multiprocessing.active_children()) - others
    for process in left:
        process.kill()
    return left


def test_an_interrupt_while_the_processes_begin_leaves_none_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    start = multiprocessing.Process.start

    def start_and_interrupt(process: multiprocessing.Process) -> None:
        start(process)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(multiprocessing.Process, "start", start_and_interrupt)
    others = set(multiprocessing.active_children())
    with pytest.raises(KeyboardInterrupt):
        list(run_all(long_jobs(), 2, lambda _bars: None))
    assert not processes_left(others)


@pytest.fixture
def interrupt_after() -> Iterator[Callable[[float], None]]:
    """Presses Ctrl-C so many seconds later, whatever is being done then."""
    ctrl_c = signal.signal(signal.SIGINT, signal.default_int_handler)
    before = signal.signal(signal.SIGALRM, lambda _number, _frame: signal.raise_signal(signal.SIGINT))
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds) and None
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    signal.signal(signal.SIGINT, ctrl_c)


def test_an_interrupt_at_any_moment_ends_the_runs_and_leaves_none_behind(
    interrupt_after: Callable[[float], None],
) -> None:
    jobs = long_jobs()
    others = set(multiprocessing.active_children())
    for moment in range(1, 60):
        interrupt_after(0.01 * moment)
        with pytest.raises(KeyboardInterrupt):
            list(run_all(jobs, 2, lambda _bars: None))
        assert not processes_left(others)


def test_a_process_that_is_killed_ends_the_runs_and_is_named() -> None:
    others = set(multiprocessing.active_children())

    def kill_one(_bars: int) -> None:
        os.kill((set(multiprocessing.active_children()) - others).pop().pid or 0, signal.SIGKILL)

    with pytest.raises(WorkerLostError, match=r"the process of a run \(.+\) was killed"):
        list(run_all(long_jobs(), 2, kill_one))
    assert not processes_left(others)
