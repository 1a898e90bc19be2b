"""The replay beside Hummingbot's BacktestingEngineBase, in one run: ``python -m epp.bench.replay``.

Speeds are bars a second of processor time: both sides are one process that computes without a pause, and what other
processes take of the machine is not counted. The peer runs in the bot image, where Hummingbot is.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from ..core import EppParameters
from ..replay.market_data import BAR_S, VolumeUnit
from ..replay.runs import DataFile, fingerprint, jobs_for, run, run_all, survey
from ..replay.settings import Settings

FILES: Final = Path(__file__).resolve().parents[2]
RECORDED: Final = FILES / "market" / "btc-usd-1m-2022-01.csv.gz"
COMPILED: Final = FILES.parent / "build" / "compiled"
"""What `make compiled` makes."""
PEER: Final = Path(__file__).resolve().parent / "peer"
IMAGE: Final = "hummingbot/hummingbot:version-2.16.0"
HOME: Final = "/home/hummingbot"
PEER_SPREADS: Final = "0.01,0.02"
PEER_REFRESH_S: Final = 300
"""Two levels a side, anew every five minutes: the defaults of Hummingbot's market-making base."""
AIM: Final = 20.0
"""Least ratio to the peer."""
SWEPT: Final = 64
BARS_A_DAY: Final = 1440


@dataclass(frozen=True, slots=True)
class Speed:
    """One timed run."""

    bars: int
    cpu_s: float
    peak_mib: float
    outcome: str
    """A hash over what the run came to; empty for the peer."""

    @property
    def bars_per_s(self) -> float:
        """Bars a second of processor time."""
        return self.bars / self.cpu_s


def replayed(candles: Path, bars: int | None, decisions_per_bar: int) -> Speed:
    """Time one run, charts included, in this process."""
    data = _data(candles, bars)
    settings = Settings(start_equity=Decimal(5000), decisions_per_bar=decisions_per_bar)
    job = jobs_for(
        data, survey(data), EppParameters.model_validate({}), settings,
        instance="bench", directory=None, whole=False, charts=True,
    )[0]  # fmt: skip
    began = time.process_time()
    result = run(job)
    cpu_s = time.process_time() - began
    outcome = fingerprint(result.figures.as_dict() if result.figures else result.note)
    return Speed(result.pace.bars, cpu_s, _peak_mib(), outcome)


def _data(candles: Path, bars: int | None) -> DataFile:
    whole = DataFile(candles, VolumeUnit.QUOTE)
    if bars is None:
        return whole
    return DataFile(candles, VolumeUnit.QUOTE, end=survey(whole).first_ts + bars * BAR_S)


def _peak_mib() -> float:
    """Most memory that this process has held; what it was forked from is not counted."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def replayed_apart(tree: Path, bars: int | None, decisions_per_bar: int) -> Speed:
    """The same in a process of its own, with the code of a tree: the sources, or what was compiled of them."""
    command = [sys.executable, "-m", "epp.bench.replay", "--one", str(bars or 0), str(decisions_per_bar)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(tree)}, stdout=subprocess.PIPE, text=True, check=True
    )
    return Speed(**json.loads(done.stdout))


def backtested(bars: int) -> Speed:
    """Time Hummingbot's engine on the same candles, without a network.

    Raises:
        SystemExit: there is no Docker engine, or no bot image.
    """
    mounts = {
        PEER / "minimal_maker.py": f"{HOME}/controllers/market_making/minimal_maker.py",
        PEER / "backtest.py": "/bench/backtest.py",
        RECORDED: f"/bench/{RECORDED.name}",
    }
    command = ["docker", "run", "--rm", "--network", "none", "--workdir", HOME, "--env", f"PYTHONPATH={HOME}"]
    for here, there in mounts.items():
        command += ["--volume", f"{here}:{there}:ro"]
    command += ["--entrypoint", "python", IMAGE, "/bench/backtest.py", f"/bench/{RECORDED.name}", str(bars)]
    command += ["--spreads", PEER_SPREADS, "--refresh", str(PEER_REFRESH_S)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"the peer failed; `python -m embedded_vps images` makes its image:\n{done.stderr[-2000:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return Speed(told["bars"], told["cpu_s"], told["peak_kib"] / 1024, "")


def side_by_side(days: float, rounds: int) -> dict[str, Any]:
    """Ours and the peer in turn; medians of the rounds.

    Raises:
        SystemExit: compiled code came to something else than its sources.
    """
    bars = round(days * BARS_A_DAY) if days else survey(_data(RECORDED, None)).bars
    trees = {"": FILES} | ({"compiled, ": COMPILED} if COMPILED.is_dir() else {})
    ours: dict[str, list[Speed]] = {}
    peer: list[float] = []
    for number in range(rounds):
        _say(f"round {number + 1} of {rounds}: {bars:,} bars")
        for decisions in (6, 1):
            for name, tree in trees.items():
                speed = replayed_apart(tree, bars, decisions)
                ours.setdefault(f"{name}{decisions} a bar", []).append(speed)
                if speed.outcome != ours[f"{decisions} a bar"][0].outcome:
                    sys.exit(f"{tree} came to something else than {FILES}: run `make compiled` after a change")
        peer.append(backtested(bars).bars_per_s)
    theirs = statistics.median(peer)
    return {
        "bars": bars,
        "rounds": rounds,
        "peer_bars_per_s": theirs,
        "ours": {
            name: {
                "bars_per_s": (median := statistics.median(speed.bars_per_s for speed in speeds)),
                "ratio": median / theirs,
            }
            for name, speeds in ours.items()
        },
    }


def memory() -> list[dict[str, float]]:
    """Peak memory of a replay by the length of its data."""
    return [
        {"days": days, "peak_mib": replayed_apart(FILES, bars, 6).peak_mib}
        for days, bars in ((1, BARS_A_DAY), (5, 5 * BARS_A_DAY), (19, None))
    ]


def sweep(bars: int) -> list[dict[str, float]]:
    """Time a sweep of 64 sets, all six runs of each, by the number of worker processes."""
    data = _data(RECORDED, bars)
    extent, settings = survey(data), Settings(start_equity=Decimal(5000))
    jobs = [
        job
        for parameters in _sets()
        for job in jobs_for(
            data, extent, parameters, settings, instance="bench", directory=None, whole=False, charts=False
        )
    ]
    found = []
    for workers in range(1, (os.cpu_count() or 1) + 1):
        _say(f"{SWEPT} sets, {workers} processes")
        wall, cpu = time.perf_counter(), _cpu_s()
        for _ in run_all(jobs, workers, lambda _bars: None):
            pass
        wall, cpu = time.perf_counter() - wall, _cpu_s() - cpu
        found.append(
            {"workers": workers, "wall_s": wall, "cores_busy": cpu / wall, "bars_per_s": len(jobs) * bars / wall}
        )
    return found


def _sets() -> Iterator[EppParameters]:
    for skew in range(8):
        for cap in range(8):
            yield EppParameters.model_validate(
                {"max_skew_pct": 0.0005 * (skew + 1), "turnover_cap_x": 2.5 + 0.25 * cap}
            )


def _cpu_s() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _text(found: dict[str, Any]) -> Iterator[str]:
    beside = found["side_by_side"]
    rounds = beside["rounds"]
    yield f"{beside['bars']:,} one-minute bars, one process; bars a second of processor time, median of {rounds}"
    yield f"{'':44}{'bars/s':>9}{'ratio':>8}"
    yield f"{'Hummingbot BacktestingEngineBase, 1 a bar':44}{beside['peer_bars_per_s']:>9,.0f}{1:>7.0f}x"
    for name, ours in beside["ours"].items():
        yield f"{f'epp replay, {name}':44}{ours['bars_per_s']:>9,.0f}{ours['ratio']:>7.1f}x"
    yield f"aim: {AIM:.0f}x"
    yield ""
    yield "peak memory of a replay: " + ", ".join(
        f"{one['days']} d {one['peak_mib']:.0f} MiB" for one in found["memory"]
    )
    yield ""
    yield f"a sweep of {SWEPT} sets, six runs each"
    yield f"{'processes':>10}{'wall':>10}{'cores busy':>12}{'bars/s':>10}"
    for one in found["sweep"]:
        yield (f"{one['workers']:>10}{one['wall_s']:>8.1f} s{one['cores_busy']:>12.2f}{one['bars_per_s']:>10,.0f}")


def main() -> int:
    """Measure and print. It judges nothing: figures belong to a machine."""
    parser = argparse.ArgumentParser(
        prog="python -m epp.bench.replay", description="Time the replay beside Hummingbot's own backtesting."
    )
    parser.add_argument("--days", type=float, default=0.0, help="of the recording (default: all 19)")
    parser.add_argument("--rounds", type=int, default=1, help="of ours and the peer in turn (default %(default)s)")
    parser.add_argument(
        "--sweep-bars", type=int, default=240, help="bars that each run of the sweep goes through (default %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--one", type=int, nargs=2, metavar=("BARS", "DECISIONS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(asdict(replayed(RECORDED, given.one[0] or None, given.one[1]))))
        return 0
    found = {
        "side_by_side": side_by_side(given.days, given.rounds),
        "memory": memory(),
        "sweep": sweep(given.sweep_bars),
    }
    print(json.dumps(found, indent=2) if given.json else "\n".join(_text(found)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
