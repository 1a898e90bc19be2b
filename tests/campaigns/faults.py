"""Thirty faults of a machine, a line, a disk and a hand, each caused for real, and what must hold afterwards.

    python -m tests.campaigns.faults                 (what `make faults` runs, on a converged embedded VPS)
    python -m tests.campaigns.faults --only 1,3,22
    python -m tests.campaigns.faults --seen build/vps_tests.xml      (what `make scenario` saw is not run again)

A fault's proof is one or more tests; this runs them fault by fault, goes on where it was stopped, and writes the table
of docs/faults.md. `make test` runs most of them, and of the long ones another each day.
"""

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.campaigns import record
from tests.campaigns.record import ROOT
from tests.junit import Case
from tests.junit import cases as cases_of

RESULT = ROOT / "build" / "campaigns" / "faults.jsonl"
PAGE = ROOT / "docs" / "faults.md"
TABLE = "| # | fault | what must hold | held | s | commit | date |\n|---|---|---|---|---|---|---|\n"
ALL = {"HBOT_FAULTS": "all", "HBOT_ALERT_FAULTS": "all"}
"""The tests that otherwise try one of their cases a day try each."""


@dataclass(frozen=True)
class Fault:
    """What is done, what must hold, and what proves it."""

    what: str
    holds: str
    tests: tuple[str, ...]
    """As pytest takes them; with a space in it, the words of a campaign below tests.campaigns."""


VPS = "tests/vps/test_"
RACED = "raced_playbooks --total 5"
FAULTS: dict[int, Fault] = {
    1: Fault(
        "`kill -9` of dockerd in the middle of an update",
        "the next run finishes it; one container of the bot; no other was started anew",
        (f"{VPS}broken_off.py::test_an_update_whose_docker_is_killed_is_finished_by_the_next_one",),
    ),
    2: Fault(
        "the VPS loses power between two tasks of `site.yml`",
        "port 22 alone answers after the boot; the next run makes it what an undisturbed one makes",
        (f"{VPS}broken_off.py::test_a_loss_of_power_costs_a_second_run_and_nothing_else",),
    ),
    3: Fault(
        "SSH is cut for 75 s in the middle of `site.yml`",
        "the lock is taken over, the next run ends well, nothing is left",
        (f"{VPS}broken_off.py::test_a_cut_line_costs_a_second_run_and_nothing_else[site.yml]",),
    ),
    4: Fault(
        "the disk is full during a backup",
        "exit code 1, the metric says so, earlier backups whole, the bot not stopped",
        (f"{VPS}backup.py::test_a_full_disk_is_refused_and_the_backups_from_before_are_intact",),
    ),
    5: Fault(
        "the disk is full during a rollback: while it restores, and once the bot is stopped",
        "the bot is what it was, and runs",
        (f"{VPS}rollback.py::test_a_disk_that_is_full_leaves_the_bot_what_it_was",),
    ),
    6: Fault(
        "a truncated archive, a damaged snapshot",
        "refused before the bot is touched; the next older one is named",
        (
            "files/host_backup/tests/test_aside.py::test_a_truncated_archive_is_refused",
            f"{VPS}something_is_wrong.py::test_a_backup_cannot_be_restored",
        ),
    ),
    7: Fault(
        "a flipped bit in the repository, a file cut short, one gone, another key",
        "the run itself notices; nothing is dropped",
        (f"{VPS}backup.py::test_damage_is_noticed_by_the_run_and_nothing_is_dropped",),
    ),
    8: Fault(
        "another bot's backup for a rollback",
        "refused before the bot is touched",
        (f"{VPS}rollback.py::test_what_is_not_this_bots_or_not_whole_is_refused_before_the_bot_is_touched",),
    ),
    9: Fault(
        "an archive with `../`, absolute paths or links",
        "nothing is written outside",
        ("files/host_backup/tests/test_aside.py::test_nothing_of_an_archive_lands_outside",),
    ),
    10: Fault(
        "a wrong or missing vault password",
        "refused before any host is touched, without a secret in the output",
        ("tests/preflight/test_bad_input.py", f"{VPS}secrets.py"),
    ),
    11: Fault(
        "an image that does not exist",
        "the bot is not stopped",
        (f"{VPS}update.py::test_a_bot_that_does_not_get_well_is_what_it_was[does-not-exist]",),
    ),
    12: Fault(
        "a new image dies after 5 s, or never gets healthy",
        "the bot runs its old image with its old data; the others were not touched",
        (
            f"{VPS}update.py::test_a_bot_that_does_not_get_well_is_what_it_was[crashes-after-5-s]",
            f"{VPS}update.py::test_a_bot_that_does_not_get_well_is_what_it_was[never-gets-healthy]",
        ),
    ),
    13: Fault(
        "a new image is healthy and does not tick",
        "the same",
        (f"{VPS}update.py::test_a_bot_that_does_not_get_well_is_what_it_was[is-healthy-and-does-not-tick]",),
    ),
    14: Fault(
        "a new image migrates the database, then crashes",
        "the database from before is back, every row of it",
        (
            f"{VPS}update.py::test_a_bot_that_does_not_get_well_is_what_it_was[migrates-its-database-and-then-crashes]",
            f"{VPS}update.py::test_a_bot_that_does_not_get_well_is_what_it_was"
            "[rewrites-its-configuration-and-then-crashes]",
        ),
    ),
    15: Fault(
        "broken YAML, one name, port or key twice",
        "the preflight refuses with file, variable and fix; nothing changed",
        ("tests/preflight/test_bad_input.py", "tests/preflight/test_rules.py"),
    ),
    16: Fault(
        "a broken sshd drop-in",
        "`sshd -t` refuses it, or the VPS undoes it by itself; a login works",
        (f"{VPS}access.py::test_a_mistake_during_a_change_is_undone_by_the_vps_itself_and_named",),
    ),
    17: Fault(
        "no rule for the SSH port, power lost while the timer is armed",
        "undone by the timer or by the boot",
        (f"{VPS}access.py::test_a_mistake_is_undone_by_the_reboot_that_hits_the_vps_while_the_timer_is_armed",),
    ),
    18: Fault(
        "`ufw disable`, `iptables -F`, a port published by hand",
        "`--check` announces it, the next run repairs it; from outside port 22 alone answers",
        (f"{VPS}drift.py", f"{VPS}outside.py"),
    ),
    19: Fault("two playbooks at once", "one waits, or is refused by name; no half state", (RACED,)),
    20: Fault(
        "a clock an hour or 400 days ahead, an exchange's clock that is moved",
        "backups sort as they were taken, the newest are kept; the alert arrives",
        (
            "tests/offsite/test_offsite.py",
            f"{VPS}alerts.py::test_what_goes_wrong_is_told_in_time_and_so_is_its_end[long]",
        ),
    ),
    21: Fault(
        "the network is cut in `add_bot.yml`, the bot's directories made and the bot not started",
        "the next run finishes it",
        (f"{VPS}broken_off.py::test_a_cut_line_costs_a_second_run_and_nothing_else[add_bot.yml]",),
    ),
    22: Fault(
        "`kill -9` of a backup, with its lock on the repository",
        "the next backup runs",
        (f"{VPS}broken_off.py::test_a_killed_backup_stands_in_no_other_ones_way",),
    ),
    23: Fault(
        "the offsite repository is dead, silent or forbidding",
        "the local backup is whole; the failure is told by name",
        ("tests/offsite/test_offsite.py",),
    ),
    24: Fault(
        "a container is killed for want of memory, or crashes again and again",
        "the alert arrives, and its end",
        (f"{VPS}alerts.py::test_what_goes_wrong_is_told_in_time_and_so_is_its_end[killed]",),
    ),
    25: Fault(
        "Prometheus's write-ahead log is damaged; a broken rule",
        "Prometheus comes up and samples; `promtool` refuses the rule",
        (
            f"{VPS}monitoring.py::test_a_write_ahead_log_that_is_damaged_is_repaired_by_the_start",
            f"{VPS}monitoring.py::test_a_broken_rule_is_refused_and_prometheus_stays_on_the_old_ones",
        ),
    ),
    26: Fault(
        "another package manager holds apt's lock; dpkg is killed",
        "the run waits; it finishes what dpkg left",
        (f"{VPS}machine_faults.py::test_a_package_manager_at_work_is_waited_for", f"{VPS}interrupted_dpkg.py"),
    ),
    27: Fault(
        "a security upgrade of Docker during trading",
        "no bot is stopped",
        (f"{VPS}machine_faults.py::test_an_upgrade_of_docker_stops_no_bot", f"{VPS}upgrade_host.py"),
    ),
    28: Fault(
        "a flood of log lines",
        "the cap holds",
        (f"{VPS}machine_faults.py::test_a_flood_of_log_lines_is_capped",),
    ),
    29: Fault(
        "no inode is left; a file system goes read-only",
        "as with a full disk",
        (f"{VPS}backup.py::test_a_place_that_takes_no_file_is_refused_and_the_backups_from_before_are_intact",),
    ),
    30: Fault(
        "rollback twice, update twice, rebuild twice",
        "the same comes of it",
        (
            f"{VPS}rollback.py::test_a_second_time_comes_to_the_same",
            f"{VPS}update.py::test_a_good_image_is_gated_and_reported_and_a_second_run_stops_nothing",
            f"{VPS}rebuild.py",
        ),
    ),
}


@dataclass(frozen=True)
class Outcome:
    """One fault tried."""

    number: int
    held: bool
    seconds: float
    commit: str
    at: str


def of_node(node: str, seen: list[Case]) -> list[Case]:
    """The cases of what pytest would run for a node: a file's, or a test's with all of its parameters."""
    return [one for one in seen if one.name == node or one.name.startswith((f"{node}::", f"{node}["))]


def tried(number: int, seen: list[Case]) -> Outcome:
    """Run a fault's proofs, but for those that were seen, and say what came of them."""
    began = time.monotonic()
    environment = {**os.environ, **ALL}
    earlier = {name: of_node(name, seen) for name in FAULTS[number].tests}
    nodes = [name for name in FAULTS[number].tests if " " not in name and not earlier[name]]
    commands = [["pytest", "-q", "-s", "--no-header", *nodes]] if nodes else []
    campaigns = [name.split() for name in FAULTS[number].tests if " " in name]
    commands += [[sys.executable, "-m", f"tests.campaigns.{name}", *words] for name, *words in campaigns]
    codes = [subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode for command in commands]
    cases = [case for found in earlier.values() for case in found]
    held = not any(codes) and not any(case.failures for case in cases)
    seconds = time.monotonic() - began + sum(case.seconds for case in cases)
    return Outcome(number, held, round(seconds), record.commit(), record.now())


def write(done: dict[int, Outcome]) -> None:
    """Write the table; a fault that is not among these keeps the row that it has."""
    before, _, table = PAGE.read_text(encoding="utf-8").partition(TABLE)
    kept = table.splitlines(keepends=True)
    rows = []
    for number, fault in FAULTS.items():
        row = f"| {number} | {fault.what} | {fault.holds} | "
        if one := done.get(number):
            told = f"{'yes' if one.held else '**no**'} | {one.seconds:.0f} | {one.commit} | {one.at[:10]} |\n"
            rows.append(row + told)
        else:
            rows.append(next((line for line in kept if line.startswith(row)), f"{row}not run | | |  |\n"))
    PAGE.write_text(before + TABLE + "".join(rows), encoding="utf-8")


def main() -> int:
    """Try what was not tried yet. 1: something did not hold."""
    parser = argparse.ArgumentParser(description="cause thirty faults and see what holds")
    parser.add_argument("--only", default=",".join(map(str, FAULTS)), help="these alone, by number")
    parser.add_argument("--seen", type=Path, nargs="+", default=[], help="JUnit files of runs of the same commit")
    options = parser.parse_args()
    seen = [case for file in options.seen for case in cases_of(file)]
    done = {row["number"]: Outcome(**row) for row in record.rows(RESULT)}
    for number in map(int, options.only.split(",")):
        if number in done and done[number].held:
            continue
        print(f"==> {number}: {FAULTS[number].what}", flush=True)
        done[number] = tried(number, seen)
        record.add(RESULT, done[number])
        write(done)
    write(done)
    bad = sorted(one.number for one in done.values() if not one.held)
    print(f"{len(done) - len(bad)} of {len(FAULTS)} held" + (f"; not: {bad}" if bad else ""))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
