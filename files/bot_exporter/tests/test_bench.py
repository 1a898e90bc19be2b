"""Twenty bots with a week of books each in one exporter. `make bench` shows the figures: aims are 100 ms and 80 MB."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from bot_exporter.tests.fleet import FILL_CELLS, MINUTE_CELLS, Fleet, line, stamp
from epp.books.columns import FILLS, MINUTE

BOTS = 20
MINUTES = 7 * 1440
FILLS_A_WEEK = 7 * 300
FILES = Path(__file__).resolve().parents[2]


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def address(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """The URL of a running exporter over such a fleet, and its process id."""
    fleet = Fleet(tmp_path)
    now = time.time()
    minutes = "".join(
        line(MINUTE, MINUTE_CELLS | {"ts": stamp(now - 60 * (MINUTES - minute)), "instance": "bot"})
        for minute in range(MINUTES)
    )
    fills = "".join(
        line(FILLS, FILL_CELLS | {"ts": stamp(now - 280 * (FILLS_A_WEEK - number)), "trade_id": str(number)})
        for number in range(FILLS_A_WEEK)
    )
    for number in range(BOTS):
        fleet.add(f"bot{number}")
        for book, columns, rows in (("minute", MINUTE, minutes), ("fills", FILLS, fills)):
            (fleet.books(f"bot{number}") / f"{book}.csv").write_text(",".join(columns) + "\n" + rows)
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "bot_exporter", "--root", str(tmp_path), "--port", str(port)],
        env=os.environ | {"PYTHONPATH": str(FILES)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "serving" in process.stdout.readline()
    yield f"http://127.0.0.1:{port}", process.pid
    process.terminate()
    process.wait(10)
    process.stdout.close()


def fetch(url: str) -> bytes:
    """What stands at a URL."""
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 -- a URL of our own
        return bytes(answer.read())


def memory_mb(pid: int) -> float:
    """What a process and its children hold resident, MB."""

    def read(path: Path) -> str:
        try:
            return path.read_text()
        except OSError:  # a thread of a request, or a report's process, that has just ended
            return ""

    children = [child for task in Path(f"/proc/{pid}/task").iterdir() for child in read(task / "children").split()]
    texts = [read(Path(f"/proc/{each}/status")) for each in (str(pid), *children)]
    sizes = [int(match[1]) for text in texts if (match := re.search(r"VmRSS:\s+(\d+) kB", text))]
    return sum(sizes) / 1024


def test_twenty_bots_with_a_week_of_books_each(address: tuple[str, int]) -> None:
    url, pid = address
    took, memory = [], []
    for _ in range(10):
        started = time.perf_counter()
        page = fetch(f"{url}/all")
        took.append(time.perf_counter() - started)
        memory.append(memory_mb(pid))
        time.sleep(0.3)
    assert page.count(b"hbot_bot_equity_quote{") == BOTS
    print(f"scrape of {BOTS} bots: median {sorted(took)[5] * 1000:.0f} ms, worst {max(took) * 1000:.0f} ms")
    print(f"memory: {max(memory):.0f} MB with the report's process, {len(page) / 1024:.0f} KiB a page")


def test_one_bot_is_scraped_alone_and_an_unknown_one_is_not_found(address: tuple[str, int]) -> None:
    url, _ = address
    assert fetch(f"{url}/bots/bot7").count(b"hbot_bot_equity_quote{") == 1
    assert b"hbot_exporter_bots 20" in fetch(f"{url}/metrics")
    with pytest.raises(urllib.error.HTTPError, match="no bot of that name"):
        fetch(f"{url}/bots/bot77")
