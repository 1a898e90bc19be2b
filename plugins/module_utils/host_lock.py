# Copyright: hbot.infra maintainers. Not for redistribution.
"""One changing run on a VPS at a time: who it is, since when, and whether it still goes on."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DIRECTORY = Path("/run/hbot")
"""Gone after a boot, as is whoever held the lock."""

QUIET_S = 60.0
"""A playbook's run cannot be asked whether it lives. One whose modules are not seen for so long counts as gone."""

POLL_S = 1.0

_MODULE = b"BECOME-SUCCESS-"
"""In the command line of every module that Ansible runs as root."""


class HeldError(Exception):
    """Somebody else holds the lock; the message says who, and since when.

    :param held: what the lock says.
    """

    def __init__(self, message: str, held: dict[str, Any]) -> None:
        super().__init__(message)
        self.held = held


def alive(pid: int, started: str) -> bool:
    """Whether a process of this machine lives, and is not another one under the same number."""
    try:
        return process_started(pid) == started
    except OSError:
        return False


def process_started(pid: int) -> str:
    """The moment of a process's start, as the kernel counts it.

    :raises OSError: there is no such process.
    """
    text = Path("/proc", str(pid), "stat").read_text(encoding="utf-8", errors="replace")
    fields = text.rpartition(")")[2].split()
    if fields[0] == "Z":
        raise ProcessLookupError(pid)
    return fields[19]


def ansible_is_at_work(proc: Path = Path("/proc")) -> bool:
    """Whether a module of a playbook runs on this machine, other than the one that this process is in."""
    own = _ancestors(proc)
    for entry in proc.iterdir():
        if entry.name.isdigit() and int(entry.name) not in own:
            try:
                if _MODULE in (entry / "cmdline").read_bytes():
                    return True
            except OSError:  # it ended while it was looked at
                continue
    return False


def _ancestors(proc: Path) -> set[int]:
    found, pid = set(), os.getpid()
    while pid > 1:
        found.add(pid)
        try:
            pid = int(
                (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1]
            )
        except OSError:
            break
    return found


def process_owner(what: str) -> dict[str, Any]:
    """The owner that this process of the VPS is."""
    pid = os.getpid()
    return {"what": what, "who": "this VPS", "pid": pid, "started": process_started(pid)}


class HostLock:
    """The lock of this VPS.

    :param directory: where its files are.
    """

    def __init__(self, directory: Path = DIRECTORY) -> None:
        self._directory = directory
        self._file = directory / "lock.json"

    def take(self, owner: dict[str, Any], gone: str = "", *, breaks: bool = False) -> str:
        """Take the lock, or renew it.

        :param owner: ``what`` and ``who`` for people; ``run``, which tells one run of a controller from another; or
            ``pid`` and ``started`` of a process of this VPS.
        :param gone: a run that is known to be over: its controller said so, or it was quiet for too long.
        :param breaks: take it whoever holds it.
        :returns: whom it was taken from, empty when it was free or one's own.
        :raises HeldError: somebody else holds it.
        """
        with self._guarded():
            held = self._read()
            now = time.time()
            theirs = held is not None and not self._same(held, owner)
            if held is not None and theirs and not breaks and not self._over(held, gone):
                raise HeldError(described(held, now), held)
            since = now if held is None or theirs else held["since"]
            self._write({**owner, "since": since})
            return described(held, now) if held is not None and theirs else ""

    def held(self) -> dict[str, Any] | None:
        """Who holds it; None when nobody does."""
        return self._read()

    def release(self, owner: dict[str, Any]) -> bool:
        """Give it back; whether it was one's own."""
        with self._guarded():
            held = self._read()
            if held is None or not self._same(held, owner):
                return False
            self._file.unlink()
            return True

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        self._directory.mkdir(mode=0o700, exist_ok=True)
        with (self._directory / "lock.guard").open("w") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield

    def _read(self) -> dict[str, Any] | None:
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return found if isinstance(found, dict) and "since" in found else None

    def _write(self, held: dict[str, Any]) -> None:
        temporary = self._file.with_suffix(".partial")
        temporary.write_text(json.dumps(held), encoding="utf-8")
        temporary.replace(self._file)

    @staticmethod
    def _same(held: dict[str, Any], owner: dict[str, Any]) -> bool:
        if "run" in owner:
            return bool(held.get("run") == owner["run"])
        return (held.get("pid"), held.get("started")) == (owner["pid"], owner["started"])

    @staticmethod
    def _over(held: dict[str, Any], gone: str) -> bool:
        if "run" in held:
            return bool(held["run"] == gone)
        return not alive(int(held["pid"]), str(held["started"]))


@contextmanager
def held_by_this_process(
    what: str, patience_s: float, told: Callable[[str], None], directory: Path = DIRECTORY
) -> Iterator[None]:
    """Hold the lock for as long as this process of the VPS is at work; whoever holds it is waited for.

    :param patience_s: for how long.
    :param told: is given once, when there is somebody to wait for, who that is.
    :raises HeldError: somebody else held it for all of that time.
    """
    lock, owner = HostLock(directory), process_owner(what)
    began = at_work = time.monotonic()
    said, gone = False, ""
    while True:
        try:
            lock.take(owner, gone)
            break
        except HeldError as other:
            now = time.monotonic()
            if not said:
                told(str(other))
                said = True
            if now - began >= patience_s:
                raise
            if ansible_is_at_work():
                at_work = now
            if now - at_work > QUIET_S:
                gone = str(other.held.get("run", ""))
            time.sleep(POLL_S)
    try:
        yield
    finally:
        lock.release(owner)


def described(held: dict[str, Any], now: float) -> str:
    """Who holds the lock, and since when."""
    return f"{held['what']} of {held['who']}, since {max(0, round(now - held['since']))} s"
