"""One changing run at a time: the lock says who holds it, and is taken from nobody who lives."""

import multiprocessing
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from host_backup.host_lock import HeldError, HostLock, alive, held_by_this_process, process_owner, process_started

SITE = {"what": "site.yml", "who": "ops@laptop", "run": "laptop|10|then"}
UPDATE = {"what": "update.yml", "who": "ops@desk", "run": "desk|10|then"}


def test_a_second_run_is_told_who_holds_it_and_since_when(tmp_path: Path) -> None:
    lock = HostLock(tmp_path)
    assert lock.take(SITE) == ""
    assert lock.take(SITE) == "", "its own run takes it again"
    with pytest.raises(HeldError, match=r"site\.yml of ops@laptop, since \d s"):
        lock.take(UPDATE)
    assert not lock.release(UPDATE)
    assert lock.release(SITE)
    assert lock.take(UPDATE) == ""


def test_a_run_that_is_over_is_taken_over_from(tmp_path: Path) -> None:
    lock = HostLock(tmp_path)
    lock.take(SITE)
    assert lock.take(UPDATE, gone=SITE["run"]).startswith("site.yml of ops@laptop")
    with pytest.raises(HeldError):
        lock.take(SITE, gone="some other run")


def test_a_process_that_died_holds_nothing(tmp_path: Path) -> None:
    lock = HostLock(tmp_path)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        owner = {"what": "a backup", "who": "this VPS", "pid": process.pid, "started": process_started(process.pid)}
        lock.take(owner)
        with pytest.raises(HeldError, match="a backup of this VPS"):
            lock.take(SITE)
        process.kill()
    assert lock.take(SITE).startswith("a backup of this VPS")
    assert not alive(process.pid, str(owner["started"]))


def test_a_boot_frees_it(tmp_path: Path) -> None:
    HostLock(tmp_path).take(SITE)
    (tmp_path / "lock.json").unlink()  # /run is empty after a boot
    assert HostLock(tmp_path).take(UPDATE) == ""


def test_a_process_waits_for_who_holds_it_and_gives_it_back(tmp_path: Path) -> None:
    told: list[str] = []
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        HostLock(tmp_path).take(
            {"what": "a backup", "who": "this VPS", "pid": other.pid, "started": process_started(other.pid)}
        )
        with (
            pytest.raises(HeldError, match="a backup of this VPS"),
            held_by_this_process("x", 0.0, told.append, tmp_path),
        ):
            pytest.fail("it was let in beside the other")
        assert [words.split(",")[0] for words in told] == ["a backup of this VPS"]
        other.kill()
    with held_by_this_process("control.yml, restart of bot1", 0.0, told.append, tmp_path):
        held = HostLock(tmp_path).held()
        assert held is not None
        assert held["what"] == "control.yml, restart of bot1"
    assert HostLock(tmp_path).held() is None
    with pytest.raises(ZeroDivisionError), held_by_this_process("x", 0.0, told.append, tmp_path):
        raise ZeroDivisionError
    assert HostLock(tmp_path).held() is None, "what failed gives it back as well"


def race(directory: Path, wins: "multiprocessing.Queue[bool]", over: Any) -> None:
    """Try for the lock; whoever gets it keeps it until all have tried."""
    try:
        HostLock(directory).take(process_owner("a race"))
    except HeldError:
        wins.put(False)
    else:
        wins.put(True)
    over.wait(20)


@pytest.mark.parametrize("number", range(25))
def test_of_many_at_once_one_gets_it(tmp_path: Path, number: int) -> None:
    wins: multiprocessing.Queue[bool] = multiprocessing.Queue()
    over = multiprocessing.Event()
    racers = [multiprocessing.Process(target=race, args=(tmp_path, wins, over)) for _ in range(4)]
    for racer in racers:
        racer.start()
    got = [wins.get(timeout=20) for _ in racers]
    over.set()
    for racer in racers:
        racer.join()
    assert sum(got) == 1, f"round {number}"
