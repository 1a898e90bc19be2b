"""One command, what it took and what it held."""

import os
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from tests.scale.fleet import BUILD, ROOT

POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took: seconds, processor seconds with all of its children, MB."""

    wall_s: float
    cpu_s: float
    largest_mb: float
    """The largest of its processes, at its peak, as the kernel counts it."""

    together_mb: float
    """All of its processes at once, shared pages counted once; looked at twice a second."""


def measure(command: Sequence[str], log: str) -> Cost:
    """Run a command to its end.

    Raises:
        SystemExit: it failed; its last words are printed.
    """
    output = BUILD / f"{log}.log"
    with output.open("wb") as stream:
        started = monotonic()
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
        )
        together: list[float] = []
        over = threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, over, together))
        watcher.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    over.set()
    watcher.join()
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{output.read_text(errors='replace')[-3000:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, max(together, default=0.0))


def _watch(session: int, over: threading.Event, together: list[float]) -> None:
    while not over.wait(POLL_S):
        together.append(sum(_proportional_mb(pid) for pid in _of_session(session)))


def _of_session(session: int) -> list[int]:
    pids = []
    for directory in Path("/proc").iterdir():
        if not directory.name.isdigit():
            continue
        try:
            # After the name, which is in brackets and may hold anything: state, parent, group, session.
            fields = (directory / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if int(fields[3]) == session:
            pids.append(int(directory.name))
    return pids


def _proportional_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
