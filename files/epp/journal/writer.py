"""Writes a journal beside a running bot: a thread of its own, bounded in memory and on the disk.

A tick only puts a value into a queue. Whatever the disk does, the tick goes on: what cannot be written is counted, and
a new segment begins with the core's whole memory as soon as it can be. A crash cuts the last line; the next start
begins a new file, so nothing is ever appended to a torn one. A segment that is done is compressed.
"""

from __future__ import annotations

import gzip
import json
import platform
import queue
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from ..core import EppParameters, RunMemory
from ..source import core_hash
from .entries import Call, Encoder, Head

JOURNAL: Final = "journal"
"""Name of the journal's directory, beside a bot's books."""

QUEUE: Final = 2000
"""Calls that may wait for the disk: half an hour of a quiet bot's."""

RETRY_S: Final = 60.0
"""After the disk refused."""

SEGMENT_MAX: Final = 16_000_000
SEGMENTS: Final = 8
"""Into at least so many parts is the allowance divided, so that dropping the oldest leaves most of it."""

_BATCH: Final = 256


@dataclass(frozen=True, slots=True)
class Origin:
    """What every segment's head says of where it comes from."""

    instance: str
    variant: str
    mode: str
    market_source: str
    speed: float
    strategy_hash: str
    config_hash: str


@dataclass(frozen=True, slots=True)
class _Begin:
    ts: float
    state: dict[str, Any]
    run: RunMemory
    lost: int
    whole: bool
    """Whether nothing was lost since the segment before."""


class JournalWriter:
    """One bot's journal.

    Args:
        directory: where its segments are; made when missing.
        origin: for the heads.
        parameters: for the heads.
        max_bytes: what all segments together may take.
        warn: told what a person should know, from the writer's thread.
        clock: unix seconds.
    """

    def __init__(
        self,
        directory: Path,
        origin: Origin,
        parameters: EppParameters,
        max_bytes: int,
        warn: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.directory = directory
        self._origin = origin
        self._parameters = parameters.model_dump(mode="json")
        self._max_bytes = max_bytes
        self._segment_bytes = min(SEGMENT_MAX, max_bytes // SEGMENTS)
        self._warn = warn
        self._clock = clock
        self._queue: queue.Queue[_Begin | Call | None] = queue.Queue(QUEUE)
        self._core_hash = core_hash()
        # The caller's side.
        self._lost = 0
        self._overflowed = False
        # Both sides': a begin is in the queue until the thread has come to it.
        self._wanted = self._begin_waits = False
        # The thread's side.
        self._file: IO[bytes] | None = None
        self._path: Path | None = None
        self._encoder = Encoder()
        self._written = 0
        self._unwritten = 0
        self._retry_at = 0.0
        self._thread = threading.Thread(target=self._run, name="epp journal", daemon=True)
        self._thread.start()

    # ---- the caller's side: never waits, never raises

    @property
    def wants_begin(self) -> bool:
        """Whether a new segment is due and can be taken."""
        due = (self._wanted and not self._begin_waits) or self._overflowed
        return due and self._queue.qsize() < QUEUE // 2

    def begin(self, state: dict[str, Any], run: RunMemory) -> None:
        """Begin a segment with the core's memory as it is now; ``state`` is the journal's from now on."""
        start = _Begin(self._clock(), state, run, self._lost, not self._overflowed)
        self._begin_waits = True
        try:
            self._queue.put_nowait(start)
        except queue.Full:
            self._begin_waits, self._overflowed = False, True
            return
        self._lost, self._overflowed = 0, False

    def write(self, call: Call) -> None:
        """Take a call; a call that finds the queue full is counted as lost, and so are those up to a new segment."""
        if not self._overflowed:
            try:
                self._queue.put_nowait(call)
            except queue.Full:
                self._overflowed = True
            else:
                return
        self._lost += 1

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what waits, and end. Never raises; what the disk does not take in this time is lost."""
        try:
            self._queue.put(None, timeout=timeout_s)
        except queue.Full:
            return
        self._thread.join(timeout_s)

    # ---- the thread's side

    def _run(self) -> None:
        try:
            self._tidy()
        except OSError as error:
            self._refused(error)
        while True:
            items = [self._queue.get()]
            while len(items) < _BATCH and not self._queue.empty():
                items.append(self._queue.get_nowait())
            lines: list[bytes] = []
            for item in items:
                if isinstance(item, Call):
                    self._add(item, lines)
                    continue
                self._flush(lines)
                if item is None:
                    self._close_file()
                    return
                self._start(item)
            self._flush(lines)

    def _add(self, call: Call, lines: list[bytes]) -> None:
        if self._file is None:
            self._unwritten += 1
            self._wanted = self._wanted or time.monotonic() >= self._retry_at
            return
        try:
            lines.append(self._encoder.line(call).encode() + b"\n")
        except Exception as error:  # a value that cannot be written must not end the journal
            self._warn(f"Journal: {call.name} cannot be written ({error!r}); a new segment begins.")
            self._flush(lines)
            self._close_file()
            self._unwritten += 1

    def _flush(self, lines: list[bytes]) -> None:
        data = b"".join(lines)
        count = len(lines)
        lines.clear()
        if not data or self._file is None:
            self._unwritten += count
            return
        try:
            _write(self._file, data)
        except OSError as error:
            self._unwritten += count
            self._refused(error)
            return
        self._written += len(data)
        if self._written >= self._segment_bytes:
            self._wanted = True

    def _start(self, start: _Begin) -> None:
        self._wanted = self._begin_waits = False
        whole = start.whole and self._file is not None and not self._unwritten
        before = self._path
        self._close_file()
        head = Head(
            **asdict(self._origin),
            core_hash=self._core_hash,
            python=f"{platform.python_version()} {platform.machine()}",
            began=start.ts,
            after=before.name.removesuffix(".jsonl") if whole and before is not None else None,
            lost=start.lost + self._unwritten,
            parameters=self._parameters,
            state=start.state,
            run=asdict(start.run),
        )
        try:
            self._tidy()
            _write(
                self._open(start.ts), json.dumps(head.model_dump(mode="json"), separators=(",", ":")).encode() + b"\n"
            )
        except OSError as error:
            self._refused(error)
            return
        self._encoder, self._written, self._unwritten = Encoder(), 0, 0
        if head.lost:
            self._warn(f"Journal: {head.lost} calls could not be written; {self._path} begins after them.")

    def _open(self, ts: float) -> IO[bytes]:
        self.directory.mkdir(parents=True, exist_ok=True)
        stamp = datetime.fromtimestamp(ts, tz=UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        number = 0
        path = self.directory / f"{stamp}.jsonl"
        while path.exists() or path.with_name(f"{path.name}.gz").exists():
            number += 1
            path = self.directory / f"{stamp}-{number}.jsonl"
        self._file = path.open("xb", buffering=0)
        self._path = path
        return self._file

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None

    def _refused(self, error: OSError) -> None:
        self._close_file()
        self._retry_at = time.monotonic() + RETRY_S
        self._warn(f"Journal: {error}; decisions are not written down, again in {RETRY_S:.0f} s. Trading goes on.")

    def _tidy(self) -> None:
        """Compress what is done, and keep within the allowance, oldest first."""
        for partial in self.directory.glob("*.partial"):
            partial.unlink()
        for path in sorted(self.directory.glob("*.jsonl")):
            compress(path)
        sizes = {path: path.stat().st_size for path in segments(self.directory)}
        total = sum(sizes.values()) + self._segment_bytes
        for path, size in sizes.items():
            if total <= self._max_bytes:
                return
            path.unlink()
            total -= size


def segments(directory: Path) -> list[Path]:
    """A journal's segments, oldest first: the file names are times."""
    found = {path.name.removesuffix(".jsonl.gz"): path for path in directory.glob("*.jsonl.gz")}
    # After a crash in the middle of compressing there may be both.
    found |= {path.stem: path for path in directory.glob("*.jsonl")}
    return [found[name] for name in sorted(found)]


def compress(path: Path) -> None:
    """Put a compressed file in the place of one that is done; a crash leaves one of the two whole."""
    packed = path.with_name(f"{path.name}.gz")
    partial = path.with_name(f"{path.name}.gz.partial")
    with path.open("rb") as source, gzip.open(partial, "wb", compresslevel=6) as target:
        shutil.copyfileobj(source, target, 1 << 20)
    partial.replace(packed)
    path.unlink()


def _write(file: IO[bytes], data: bytes) -> None:
    """Write all of it: an unbuffered file may take less at a time."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
