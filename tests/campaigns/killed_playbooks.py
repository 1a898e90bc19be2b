"""ansible-playbook killed at random moments: the next run heals what the killed one left.

    python -m tests.campaigns.killed_playbooks --total 30        (what `make killed` runs, on a converged embedded VPS)
    python -m tests.campaigns.killed_playbooks --total 30 --of site.yml

A playbook gets SIGKILL at a moment drawn from its whole length: every other time all of it, which is its own process,
the workers that it forks (each a session of its own) and their ssh; otherwise its own process alone. A run that was
over by then was no kill, and is made again. Then the same command must end well, at once: what the killed one left
running on the VPS may still be at work. Afterwards nothing of it may be seen; `judged` says what is looked at.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ansible.parsing.vault import VaultLib, VaultSecret

from tests.campaigns import record
from tests.campaigns.still_whole import BOTS, NEW_BOT, Seen, gone_again, not_whole, seen, traces
from tests.vps.machine import INVENTORY, ROOT, Vps, run_playbook, wait_until

RESULT = ROOT / "build" / "campaigns" / "killed_playbooks.jsonl"
COPY = ROOT / "build" / "inventory_killed"
VAULT_PASSWORD = ROOT / "build" / "campaigns" / "killed_playbooks.vault"
OUTPUT = ROOT / "build" / "campaigns" / "killed_playbooks.log"
SEED = 20_261_130
NEW_PASSWORD = "of-a-bot-that-was-being-added"

PLAYBOOKS = {"update.yml": 110.0, "backup.yml": 20.0, "rollback.yml": 60.0, "add_bot.yml": 30.0, "site.yml": 70.0}
"""Each with about how many seconds it takes; what is measured takes its place."""

RULES = "/opt/hbot/monitoring/prometheus/rules/thresholds.yml"
RULES_IN_EFFECT = f"curl -s localhost:9090/api/v1/rules | grep /{Path(RULES).name}"

OF_MOST_ROLES = (
    "/etc/sysctl.d/zz-hbot.conf",
    "/etc/sudoers.d/hbot-hardening",
    "/etc/systemd/system/hbot-bot-exporter.service",
    "/etc/systemd/system/hbot-backup.timer",
    RULES,
    "/opt/hbot/scripts/status.sh",
)
"""Of most roles a file: once they are gone, site.yml has something to do nearly everywhere."""

DRAWN = ("update.yml", "backup.yml", "rollback.yml", "add_bot.yml")
"""In turn, where no playbook is named."""


@dataclass(frozen=True)
class Kill:
    """One playbook killed, and what came of it."""

    number: int
    playbook: str
    whole: bool
    """Whether the workers and their ssh were killed with it."""

    share: float
    """When, in shares of its length."""

    after_s: float
    task: str
    """The task that it was in."""

    healed_s: float
    """How long the next run took."""

    fault: str
    """Empty when all held."""

    commit: str
    at: str


# -- what is run


def inventory_with(amounts: dict[str, int], passwords: dict[str, str]) -> None:
    """A copy of the demo's inventory whose bots have these amounts, and their keystores' passwords in a vault."""
    shutil.rmtree(COPY, ignore_errors=True)
    shutil.copytree(INVENTORY, COPY, symlinks=True)
    for bot, amount in amounts.items():
        with (COPY / "bots" / f"{bot}.yml").open("a", encoding="utf-8") as file:
            file.write(f"      bot_total_amount_quote: {amount}\n")
    vault = VaultLib([("default", VaultSecret(VAULT_PASSWORD.read_bytes().strip()))])
    for bot, password in passwords.items():
        place = COPY / "host_vars" / bot / "vault.yml"
        place.parent.mkdir(parents=True)
        place.write_bytes(vault.encrypt(f"bot_password: {password}\n"))


def amount_in(text: str) -> int:
    """The amount that a controller's configuration has."""
    found = re.search(r"^total_amount_quote: '?(\d+)", text, re.MULTILINE)
    assert found, text
    return int(found[1])


def prepared(vps: Vps, playbook: str) -> list[str]:
    """Give the playbook something to do, and the inventory what must be there afterwards; returns its arguments."""
    conf = {bot: f"data/{bot}/conf/controllers/epp_v2_4_bot_{variant}.yml" for bot, variant in BOTS.items()}
    amounts = {bot: amount_in(vps.run(f"cat /opt/hbot/{path}")) for bot, path in conf.items()}
    passwords = {bot: vps.run(f"cat /opt/hbot/env/{bot}/password").strip() for bot in BOTS}
    arguments = []
    if playbook in ("update.yml", "site.yml"):
        newer = 500 + (max(amounts.values()) + 7) % 400
        amounts = dict.fromkeys(BOTS, newer)
        arguments = ["-e", "soak=5"] if playbook == "update.yml" else []
    if playbook == "site.yml":
        vps.run(f"rm -f {' '.join(OF_MOST_ROLES)}; docker exec hbot-prometheus sh -c 'kill -HUP 1'")
    if playbook == "add_bot.yml":
        passwords[NEW_BOT] = NEW_PASSWORD
        arguments = ["-e", f"bot={NEW_BOT}", "-e", "variant=d"]
    if playbook == "rollback.yml":
        snapshot, amounts["bot1"] = earlier(vps, conf["bot1"], amounts["bot1"])
        arguments = ["-e", "bot=bot1", "-e", f"snapshot={snapshot}", "-e", "soak=5"]
    inventory_with(amounts, passwords)
    return arguments


def settled(vps: Vps) -> None:
    """Have the bots run what this checkout has, whatever the campaign left when it was stopped.

    Raises:
        SystemExit: that failed; its output is printed.
    """
    prepared(vps, "site.yml")
    run = run_playbook("site.yml", inventory=COPY)
    if run.code != 0:
        sys.exit(f"site.yml failed, before any kill:\n{run.output[-3000:]}")


def earlier(vps: Vps, conf: str, now: int) -> tuple[str, int]:
    """The newest snapshot of bot1 in which it had another amount, and that amount."""
    restic = "restic -q -r /opt/hbot/backups/repository --password-file /opt/hbot/env/backup/password dump --no-lock"
    listed = vps.run("/opt/hbot/scripts/rollback.sh bot1 --list")
    for snapshot in reversed([word for word in listed.split() if word.startswith("bot1_")]):
        amount = amount_in(vps.run(f"{restic} --tag {snapshot} latest /{conf}"))
        if amount != now:
            return snapshot, amount
    sys.exit(f"no snapshot of bot1 has another amount than {now}:\n{listed}")


# -- the kill


def family(pid: int) -> set[int]:
    """A process and all that descend from it."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(entry.parent.name)] = int(fields[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def kill(playbook: str, arguments: list[str], after_s: float, *, whole: bool) -> tuple[str, set[int], float]:
    """Start a playbook and kill it after so long.

    :returns: the task that it was in, empty when it had ended; the processes that it had; how long it ran.
    """
    command = ["ansible-playbook", "-i", str(COPY), str(ROOT / playbook), *arguments]
    with OUTPUT.open("w", encoding="utf-8") as output:
        began = time.monotonic()
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "ANSIBLE_NOCOLOR": "1"}, stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(after_s)
            return "", set(), time.monotonic() - began
        except subprocess.TimeoutExpired:
            everyone = kill_now(process.pid, whole=whole)
            process.wait()
    tasks = [line[6:].strip(" *]") for line in OUTPUT.read_text(encoding="utf-8").splitlines() if line[:6] == "TASK ["]
    return tasks[-1] if tasks else "before its first task", everyone, time.monotonic() - began


def kill_now(pid: int, *, whole: bool) -> set[int]:
    """Kill a playbook, whole or its own process alone; returns the processes that it had."""
    members: set[int] = set()
    # Stopped first, and looked at again: none of them makes another one meanwhile.
    while new := (family(pid) if whole else {pid}) - members:
        for member in new:
            signalled(member, signal.SIGSTOP)
        members |= new
    everyone = family(pid)
    for member in members:
        signalled(member, signal.SIGKILL)
    return everyone


def signalled(pid: int, what: signal.Signals) -> None:
    """Send a signal to a process that may be gone."""
    try:
        os.kill(pid, what)
    except ProcessLookupError:
        return


# -- what must hold


def half_written(before: Seen, halfway: Seen, after: Seen) -> list[str]:
    """Files that were neither the old nor the new one at the moment of the kill."""
    old, new = before.config(), after.config()
    wrong = [path for path, digest in halfway.config().items() if digest not in (old.get(path), new.get(path))]
    return [f"at the kill, {path} was neither the old nor the new one" for path in wrong if not _temporary(path)]


def _temporary(path: str) -> bool:
    """What is not in its place yet is read by nobody; that none is left is looked at afterwards."""
    return Path(path).name.startswith(".") and Path(path).name != ".password_verification"


def not_in_use(after: Seen) -> list[str]:
    """Bots that were started before their configuration was what it is."""
    said = []
    for path, (_, written) in after.traces["configuration"].items():
        parts = Path(path).parts
        if "controllers" in parts and parts[:4] == ("/", "opt", "hbot", "data"):
            _, at = after.containers[f"hbot-{parts[4]}"]
            started = datetime.fromisoformat(at[:26].rstrip("Z") + "+00:00").timestamp()
            if started < written:
                said.append(f"{parts[4]} runs, and {path} was written {written - started:.0f} s after its start")
    return said


def on_the_controller(secrets: list[str]) -> list[str]:
    """Files that a killed ansible-playbook left on this machine with a secret in it."""
    said = []
    places = [ROOT / ".ansible", COPY, Path.home() / ".ansible", *Path(tempfile.gettempdir()).glob("ansible*")]
    for path in (path for place in places for path in place.rglob("*")):
        if path.is_file() and not path.is_symlink() and not path.name.startswith("backup_key_"):
            data = path.read_bytes()
            if any(secret.encode() in data for secret in secrets):
                said.append(f"on the controller, {path} holds a secret")
    return said


def judged(vps: Vps, playbook: str, before: Seen, halfway: Seen, family_of_it: set[int]) -> list[str]:
    """What does not hold after the next run; empty when all does.

    All of `not_whole`; and what the playbook does not restart was not restarted. Of each file that a bot is configured
    by there was the old or the new one, whole, at the moment of the kill; now it is what the inventory says, and what
    the bot was started with. After site.yml nothing of the VPS is left to change either, and Prometheus follows its
    rules. No file or command line holds a secret that did not hold one before, here and on the VPS. No process of the
    killed run lives.
    """
    adds = playbook == "add_bot.yml"
    bots = [*BOTS, *([NEW_BOT] if adds else [])]
    said, after = not_whole(vps, before, adds=adds)
    try:
        wait_until("no process of the killed run lives", lambda: not any(_is_ansible(pid) for pid in family_of_it), 30)
    except AssertionError as fault:
        said.append(str(fault))
    untouched = {"update.yml": (), "site.yml": (), "rollback.yml": ("hbot-bot2",)}.get(
        playbook, ("hbot-bot1", "hbot-bot2")
    )
    said += [f"{name} was restarted" for name in untouched if after.containers[name] != before.containers[name]]
    said += half_written(before, halfway, after)
    said += not_in_use(after)
    kept = (f"/opt/hbot/env/{NEW_BOT}/", f"/opt/hbot/env/{NEW_BOT}-exchange/") if adds else ()
    holders = set(after.traces["holders"]) - set(before.traces["holders"])
    said += [f"{path} holds a secret" for path in sorted(holders) if not path.startswith(kept)]
    said += on_the_controller(after.traces["secrets"])
    converged = [*bots, *(["vps1"] if playbook == "site.yml" else [])]
    check = run_playbook("site.yml", "--check", "--limit", ",".join(converged), inventory=COPY)
    if check.code != 0:
        said.append(f"--check: {check.output[-300:]}")
    else:
        said += [f"--check would change {host}" for host in converged if check.changed(host) != 0]
    if not vps.succeeds(RULES_IN_EFFECT):
        said.append(f"Prometheus does not follow {RULES}")
    return said


def _is_ansible(pid: int) -> bool:
    try:
        return b"ansible-playbook" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


# -- the campaign


def one(
    number: int, total: int, drawn: Sequence[str], vps: Vps, lengths: dict[str, float], say: Callable[[str], None]
) -> Kill:
    """Kill one playbook, heal, look."""
    playbook = drawn[number % len(drawn)]
    turn, turns = number // len(drawn), -(-total // len(drawn))
    # One moment in each of so many parts of its length, and the parts in no order that the seed does not say.
    chance = record.drawn_by(SEED + number % len(drawn))
    order = chance.sample(range(turns), turns)
    within = [chance.random() for _ in range(turns)]
    share = (order[turn % turns] + within[turn % turns]) / turns
    whole = number // len(drawn) % 2 == 0
    if vps.succeeds(f"test -e /opt/hbot/compose/{NEW_BOT}.yml"):
        vps.remove_bot(NEW_BOT)
    task = ""
    while not task:
        arguments = prepared(vps, playbook)
        before = seen(vps)
        after_s = max(1.0, share * lengths[playbook])
        task, members, ran_s = kill(playbook, arguments, after_s, whole=whole)
        if not task:
            say(f"{number}: {playbook} had ended after {ran_s:.0f} s; again")
            lengths[playbook] = ran_s
            if playbook == "add_bot.yml":
                vps.remove_bot(NEW_BOT)
    halfway = Seen(traces(vps), {}, [])
    say(f"{number}: {playbook} killed{'' if whole else ', its own process alone,'} after {after_s:.0f} s in {task}")
    began = time.monotonic()
    again = run_playbook(playbook, *arguments, inventory=COPY)
    healed_s = time.monotonic() - began
    lengths[playbook] = max(lengths[playbook], healed_s)
    faults = judged(vps, playbook, before, halfway, members) if again.code == 0 else [f"again: {again.output[-500:]}"]
    if playbook == "add_bot.yml" and again.code == 0:
        faults += gone_again(vps, COPY)
    return Kill(
        number=number,
        playbook=playbook,
        whole=whole,
        share=round(share, 2),
        after_s=round(after_s, 1),
        task=task,
        healed_s=round(healed_s, 1),
        fault=record.on_one_line(faults),
        commit=record.commit(),
        at=record.now(),
    )


def main() -> int:
    """Kill until there are so many; goes on where it was stopped. 1: something did not hold."""
    parser = argparse.ArgumentParser(description="kill ansible-playbook at random moments")
    parser.add_argument("--total", type=int, default=30)
    parser.add_argument("--begin-at", type=int, default=0, metavar="KILL", help="those before were on another machine")
    parser.add_argument("--of", choices=list(PLAYBOOKS), help="this playbook alone")
    parser.add_argument("--result", type=Path)
    options = parser.parse_args()
    drawn = (options.of,) if options.of else DRAWN
    options.result = options.result or (RESULT.with_stem(f"killed_{Path(options.of).stem}") if options.of else RESULT)
    VAULT_PASSWORD.parent.mkdir(parents=True, exist_ok=True)
    VAULT_PASSWORD.write_text("a campaign's\n", encoding="utf-8")
    os.environ["ANSIBLE_VAULT_PASSWORD_FILE"] = str(VAULT_PASSWORD)
    done = {found["number"]: found for found in record.rows(options.result)}
    lengths = {
        playbook: max([guess, *(found["healed_s"] for found in done.values() if found["playbook"] == playbook)])
        for playbook, guess in PLAYBOOKS.items()
    }
    vps = Vps()
    settled(vps)
    for number in range(options.begin_at, options.total):
        if number in done and not done[number]["fault"]:
            continue
        found = one(number, options.total, drawn, vps, lengths, lambda text: print(text, flush=True))
        done[number] = record.add(options.result, found)
        print(f"{number}: healed in {found.healed_s} s; {found.fault or 'all holds'}", flush=True)
    bad = [found for found in done.values() if found["fault"]]
    print(f"{len(done) - len(bad)} of {len(done)} healed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
