"""A VPS that loses power at a task of its first site.yml: the next run makes it what an undisturbed one makes it.

    python -m tests.campaigns.lost_power --in-a-row         (what `make lost-power` runs; it empties the embedded VPS)
    python -m tests.campaigns.lost_power --total all        (what `make lost-power-alone` runs)

Twice a bare VPS is converged undisturbed: what differs between those two belongs to a machine or a moment, and of that
only the being there is compared. Then, for each task, a bare VPS is cut off from power as the task begins, and booted:
port 22 answers, and from outside no other does. `site.yml` then runs through; nothing is left to change, and the
machine is, thing by thing, what the undisturbed ones are.

In a row, one bare VPS loses power at each task in turn: the run after a loss comes, on what the loss left, to the next
task, and loses power there. The last run ends, and the machine is what the undisturbed ones are. That is all tasks in
the time of a dozen alone; what one loss spoils and the next puts right is seen alone only.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from socket import create_connection

from tests.campaigns import record
from tests.vps.machine import (
    INVENTORY,
    ROOT,
    VPS_ADDRESS,
    Vps,
    embedded_vps,
    embedded_vps_code,
    run_playbook,
    wait_until,
)

RESULT = ROOT / "build" / "campaigns" / "lost_power.jsonl"
IN_A_ROW = RESULT.with_stem("lost_power_in_a_row")
UNDISTURBED = ROOT / "build" / "campaigns" / "undisturbed.json"
STATE = Path(__file__).with_name("machine_state.py")
SEED = 20_261_130
ANSWERS_WITHIN_S = 60.0
BEGINS = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(?P<name>.*)\] \**$")
MARK = "/var/lib/losses_in_a_row"
"""On the VPS: how many losses it had, so that a row goes on with the machine that it began with."""

PORTS = "1-1024,3000,8080,9090-9125,9323,9465,9999"


@dataclass(frozen=True)
class Undisturbed:
    """What a run that nothing disturbed does, and what it makes of a bare VPS."""

    commit: str
    tasks: list[str]
    state: dict[str, str]
    differs: list[str]
    """What two such machines do not share."""


@dataclass(frozen=True)
class Loss:
    """Power lost at one task, and what came of it."""

    index: int
    task: str
    answered_s: float
    """From the power's return to sshd's first word."""

    healed_s: float
    """How long the next run took that went to the end; 0 for one that lost power as well."""

    fault: str
    """Empty when all held."""

    commit: str
    at: str


def state(vps: Vps) -> dict[str, str]:
    """What the VPS is."""
    found: dict[str, str] = json.loads(vps.run(f"python3 - <<'END'\n{STATE.read_text()}\nEND\n"))
    return found


def power_lost(playbook: int) -> None:
    """The VPS has no power any more, and ansible-playbook, which process this is, is ended."""
    embedded_vps("kill")
    os.kill(playbook, signal.SIGKILL)


def converge(
    cut: Callable[[list[str]], bool] = lambda _: False, how: Callable[[int], object] = power_lost
) -> tuple[list[str], int | None, str]:
    """Run site.yml, and end it as a task begins.

    :param cut: says of the tasks that began whether it is at the last of them.
    :param how: is given the process that it ends.
    :returns: the tasks that began, the exit code (None if it was ended), the output.
    """
    tasks: list[str] = []
    said: list[str] = []
    with subprocess.Popen(
        ["ansible-playbook", "-i", str(INVENTORY), str(ROOT / "site.yml")],
        cwd=ROOT, env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as run:  # fmt: skip
        assert run.stdout is not None
        for line in run.stdout:
            said.append(line)
            if begins := BEGINS.match(line.rstrip()):
                tasks.append(begins["name"])
                if cut(tasks):
                    how(run.pid)
                    return tasks, None, "".join(said)
    return tasks, run.wait(), "".join(said)


def converged(vps: Vps) -> dict[str, str]:
    """What the VPS is once its bots are well and no run is left to change anything.

    :raises AssertionError: they are not, or one is.
    """
    vps.until_bots_are_well(300)
    check = run_playbook("site.yml", "--check")
    assert check.code == 0, f"--check: {check.output[-600:]}"
    changes = {host: check.changed(host) for host in ("vps1", "bot1", "bot2")}
    assert not any(changes.values()), f"--check would change {changes}"
    return state(vps)


def undisturbed(vps: Vps) -> Undisturbed:
    """What two undisturbed runs come to, made once for each commit."""
    if UNDISTURBED.exists():
        kept = Undisturbed(**json.loads(UNDISTURBED.read_text(encoding="utf-8")))
        if kept.commit == record.commit():
            return kept
    seen = []
    for _ in range(2):
        embedded_vps("reset")
        tasks, code, said = converge()
        if code != 0:
            sys.exit(f"site.yml failed, and nothing had disturbed it:\n{said[-3000:]}")
        seen.append(converged(vps))
    names = {name for one in seen for name in one}
    differs = sorted(name for name in names if seen[0].get(name) != seen[1].get(name))
    made = Undisturbed(record.commit(), tasks, seen[1], differs)
    UNDISTURBED.write_text(json.dumps(asdict(made)), encoding="utf-8")
    print(f"{len(tasks)} tasks; {len(made.state)} things, {len(differs)} of them another on each machine", flush=True)
    return made


def other_than(known: Undisturbed, now: dict[str, str]) -> list[str]:
    """What the machine is and the undisturbed ones are not, or the other way round."""
    said = []
    for name in sorted(known.state.keys() | now.keys()):
        if name in known.differs:
            continue
        if known.state.get(name) != now.get(name):
            said.append(f"{name}: {now.get(name, 'is not there')}, undisturbed {known.state.get(name, 'is not there')}")
    return said


def answers() -> bool:
    """Whether sshd says its first word."""
    try:
        with closing(create_connection((VPS_ADDRESS, 22), timeout=2)) as line:
            line.settimeout(5)
            return line.recv(4) == b"SSH-"
    except OSError:
        return False


def open_from_outside() -> set[int]:
    """Which ports that something of ours listens on answer a host outside."""
    said = embedded_vps("outside", "--", "nmap", "-Pn", "-n", "-sS", "-p", PORTS, "-oG", "-", VPS_ADDRESS)
    return {int(port) for port in re.findall(r"(\d+)/open/tcp", said)}


def booted() -> tuple[float, list[str]]:
    """Give the power back; the seconds until sshd answers, and what else answers from outside.

    :raises AssertionError: sshd does not answer.
    """
    began = time.monotonic()
    embedded_vps("start")
    wait_until("sshd answers after the boot", answers, ANSWERS_WITHIN_S, poll_s=0.2)
    answered_s = time.monotonic() - began
    found = open_from_outside()
    return answered_s, [] if found == {22} else [f"open from outside after the boot: {sorted(found)}"]


def healed(vps: Vps, known: Undisturbed) -> list[str]:
    """What the VPS is, after a run that went to the end, and should not be.

    :raises AssertionError: its bots are not well, or a run would change something.
    """
    faults = other_than(known, converged(vps))
    if (found := open_from_outside()) != {22}:
        faults.append(f"open from outside: {sorted(found)}")
    return faults


def loss(index: int, task: str, answered_s: float, healed_s: float, faults: list[str]) -> Loss:
    """A line of the record."""
    told = record.on_one_line(faults)
    return Loss(index, task, round(answered_s, 1), round(healed_s, 1), told, record.commit(), record.now())


def one(index: int, vps: Vps, known: Undisturbed) -> Loss:
    """Lose power at a task of a bare VPS, boot, run again, look."""
    faults: list[str] = []
    embedded_vps("reset")
    tasks, code, said = converge(lambda begun: len(begun) == index + 1)
    if code is not None:
        faults.append(f"the run ended with {code} before task {index}: {said[-300:]}")
    answered_s = healed_s = 0.0
    try:
        answered_s, open_ports = booted()
        faults += open_ports
        began = time.monotonic()
        again = run_playbook("site.yml")
        healed_s = time.monotonic() - began
        assert again.code == 0, f"again: {again.output[-900:]}"
        faults += healed(vps, known)
    except AssertionError as fault:
        faults.append(str(fault))
    return loss(index, tasks[-1] if tasks else "", answered_s, healed_s, faults)


def alone(vps: Vps, known: Undisturbed, total: str) -> bool:
    """Lose power at one task of a bare VPS each, so many of them; whether all held."""
    done = {found["index"]: found for found in record.rows(RESULT)}
    order = list(range(len(known.tasks)))
    record.drawn_by(SEED).shuffle(order)
    wanted = order if total == "all" else order[: int(total)]
    for index in wanted:
        if index in done and not done[index]["fault"]:
            continue
        done[index] = record.add(RESULT, one(index, vps, known))
        print(f"{index}: {done[index]['task']}: {done[index]['fault'] or 'all holds'}", flush=True)
    bad = [found for found in done.values() if found["fault"]]
    print(f"{len(done) - len(bad)} of {len(done)} held, of {len(known.tasks)} tasks")
    return not bad


def place_in(known: list[str], begun: list[str]) -> int:
    """Which of the undisturbed run's tasks began last, by its name and how often it came up; -1: none of them."""
    name, times = begun[-1], begun.count(begun[-1])
    places = [index for index, other in enumerate(known) if other == name]
    return places[times - 1] if times <= len(places) else -1


def is_past(known: list[str], at: int, begun: list[str]) -> bool:
    """Whether the last task that began comes after the one at a place."""
    return place_in(known, begun) > at


def in_a_row(vps: Vps, known: Undisturbed) -> bool:
    """Have one VPS lose power at each task in turn; whether it is what an undisturbed one is, and all held meanwhile.

    What no longer begins is passed over: a first run's own tasks once they are done, a handler whose change is made.
    """
    done = [Loss(**row) for row in record.rows(IN_A_ROW)]
    same = ("exec", "--", "grep", "-qx", str(len(done)), MARK)
    goes_on = bool(done) and done[-1].commit == record.commit() and embedded_vps_code(*same) == 0
    if not goes_on:
        IN_A_ROW.unlink(missing_ok=True)
        done = []
        embedded_vps("reset")
    at = done[-1].index if done else -1
    while True:
        began = time.monotonic()
        tasks, code, said = converge(partial(is_past, known.tasks, at))
        if code is not None:
            break
        at = place_in(known.tasks, tasks)
        try:
            answered_s, faults = booted()
        except AssertionError as fault:
            answered_s, faults = 0.0, [str(fault)]
        done.append(loss(at, tasks[-1], answered_s, 0.0, faults))
        record.add(IN_A_ROW, done[-1])
        told = done[-1].fault or "nothing else answers"
        print(f"{at}: {tasks[-1]}: sshd after {answered_s:.1f} s; {told}", flush=True)
        embedded_vps("exec", "--", "sh", "-c", f"echo {len(done)} >{MARK}")  # nobody but root may log in yet
    healed_s = time.monotonic() - began
    if code != 0:
        print(f"after the loss at task {at}, site.yml failed; the row goes on from here:\n{said[-3000:]}")
        return False
    embedded_vps("exec", "--", "rm", "-f", MARK)
    try:
        faults = healed(vps, known)
    except AssertionError as fault:
        faults = [str(fault)]
    record.add(IN_A_ROW, loss(len(known.tasks), "", 0.0, healed_s, faults))
    slowest = max((one.answered_s for one in done), default=0.0)
    print(f"{len(done)} losses of power in a row, at {len(known.tasks)} tasks; sshd answered within {slowest:.1f} s")
    told = record.on_one_line(faults) or "the machine is what undisturbed ones are"
    print(f"the run after the last took {healed_s:.0f} s: {told}")
    return not faults and not any(one.fault for one in done)


def main() -> int:
    """Lose power; goes on where it was stopped. 1: something did not hold."""
    parser = argparse.ArgumentParser(description="cut a VPS's power at tasks of its first site.yml")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--in-a-row", action="store_true", help="one VPS loses power at each task in turn")
    how.add_argument("--total", help="a bare VPS each: how many tasks, drawn by the seed; or all")
    options = parser.parse_args()
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    vps = Vps()
    known = undisturbed(vps)
    held = in_a_row(vps, known) if options.in_a_row else alone(vps, known, options.total)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
