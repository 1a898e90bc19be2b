"""Snapshot of everything that decides who may log in, and the way back to it.

The module ``access_transaction`` imports this file to take the snapshot and installs the same file on the
VPS as ``/var/lib/hbot-access/restore.py``, where a timer (``restore.py now``) or, after a reboot, a unit ordered
before sshd and UFW (``restore.py boot``) runs it. It therefore uses the standard library only and runs on
the oldest supported Python (3.10, Ubuntu 22.04).
"""

from __future__ import annotations

import contextlib
import fcntl
import filecmp
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

STATE = Path("/var/lib/hbot-access")
SNAPSHOT = STATE / "snapshot"
ARMED = STATE / "armed.json"  # exists from before the first change until the commit or the restore
APPLIED = STATE / "applied.json"  # the files as the transaction left them: a commit keeps these and no others
REPORT = STATE / "undone.json"  # what the last restore put back
SCRIPT = STATE / "restore.py"
BOOT_UNIT = Path("/etc/systemd/system/hbot-access-restore.service")
BOOT_WANTS = Path("/etc/systemd/system/sysinit.target.wants/hbot-access-restore.service")
TIMER = "hbot-access-timer"
FAMILIES = {"IPv4": "iptables", "IPv6": "ip6tables"}


def run(*argv: str, stdin: str | None = None) -> tuple[int, str]:
    """Run a command; return its exit code (127 if it is not installed) and its joined output."""
    try:
        done = subprocess.run(
            argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
    except FileNotFoundError:
        return 127, f"{argv[0]}: not installed"
    return done.returncode, done.stdout


def write(path: Path, text: str, mode: int = 0o600) -> None:
    """Write durably: the snapshot and the armed mark must survive a power cut that follows at once."""
    partial = path.with_name(path.name + ".partial")
    with open(partial, "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, mode)) as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    partial.replace(path)
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy(source: Path, target: Path) -> None:
    """Copy a file or a tree with owner, mode and times; symbolic links stay links."""
    if source.is_dir() and not source.is_symlink():
        target.mkdir(parents=True, exist_ok=True)
        for child in sorted(source.iterdir()):
            _copy(child, target / child.name)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)
    status = source.lstat()
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
    if not source.is_symlink():
        shutil.copystat(source, target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _differing(kept: Path, live: Path) -> list[str]:
    """Name every file below ``live`` that is not as it was kept (changed, new or gone)."""
    if kept.is_dir() and live.is_dir():
        names = {child.name for child in kept.iterdir()} | {child.name for child in live.iterdir()}
        return [path for name in sorted(names) for path in _differing(kept / name, live / name)]
    if not os.path.lexists(kept) and not os.path.lexists(live):
        return []
    if kept.is_file() and live.is_file():
        old, new = kept.stat(), live.stat()
        same = (old.st_mode, old.st_uid, old.st_gid) == (new.st_mode, new.st_uid, new.st_gid)
        return [] if same and filecmp.cmp(kept, live, shallow=False) else [str(live)]
    return [str(live)]


def fingerprints(paths: list[str], root: Path = Path("/")) -> dict[str, str]:
    """Return the SHA-256 of every file below the given paths, of the host's or of those kept below another root."""
    found: dict[str, str] = {}
    for name in paths:
        top = root / name.lstrip("/")
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file():
                found[f"/{path.relative_to(root)}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def input_chain(command: str) -> str:
    """Return the INPUT chain as an iptables-restore text: UFW reloads its own chains, but not this one."""
    code, output = run(command, "-S", "INPUT")
    if code != 0:
        return ""
    policy = next((line.split()[2] for line in output.splitlines() if line.startswith("-P INPUT")), "ACCEPT")
    rules = [line for line in output.splitlines() if line.startswith("-A INPUT")]
    return "\n".join(["*filter", f":INPUT {policy} [0:0]", "-F INPUT", *rules, "COMMIT", ""])


def take(paths: list[str], seconds: int, operator: str | None) -> None:
    """Keep the files and what runs, then mark the transaction as armed; the caller arms the timer."""
    if SNAPSHOT.exists():
        shutil.rmtree(SNAPSHOT)
    SNAPSHOT.mkdir(parents=True, mode=0o700)
    for name in paths:
        source = Path(name)
        if os.path.lexists(source):
            _copy(source, SNAPSHOT / name.lstrip("/"))
    os.sync()
    REPORT.unlink(missing_ok=True)
    state = {
        "paths": paths,
        "seconds": seconds,
        "operator": operator,
        "armed_at": time.time(),
        "ufw_active": run("ufw", "status")[1].startswith("Status: active"),
        "fail2ban_active": run("systemctl", "is-active", "--quiet", "fail2ban.service")[0] == 0,
        "input": {command: input_chain(command) for command in FAMILIES.values()},
    }
    write(ARMED, json.dumps(state))


def restore(how: str) -> dict[str, Any]:
    """Put everything back as it was when armed and report the files that differed.

    how: "now" also reloads sshd, UFW and fail2ban; "boot" runs before they start and only restores the files.
    """
    state: dict[str, Any] = json.loads(ARMED.read_text(encoding="utf-8"))
    changed: list[str] = []
    for name in state["paths"]:
        for path in _differing(SNAPSHOT / name.lstrip("/"), Path(name)):
            changed.append(path)
            live, kept = Path(path), SNAPSHOT / path.lstrip("/")
            _remove(live)
            if os.path.lexists(kept):
                _copy(kept, live)
    rules: list[str] = []
    if how == "now":
        rules = _restore_services(state)
    report = {"how": how, "at": time.time(), "files": changed, "rules": rules, "seconds": state["seconds"]}
    write(REPORT, json.dumps(report))
    disarm()
    return report


def _restore_services(state: dict[str, Any]) -> list[str]:
    """Make sshd, the firewall and fail2ban follow the restored files; name the INPUT chains that differed."""
    if run("systemctl", "is-active", "--quiet", "ssh.service")[0] == 0:
        run("systemctl", "reload", "ssh.service")
    if state["ufw_active"]:
        run("ufw", "--force", "enable")
        run("ufw", "reload")
    else:
        run("ufw", "--force", "disable")
    differing = []
    for family, command in FAMILIES.items():
        kept = state["input"].get(command, "")
        if kept and input_chain(command) != kept:
            differing.append(f"the {family} INPUT chain")
            run(f"{command}-restore", "-n", stdin=kept)
    run("systemctl", "restart" if state["fail2ban_active"] else "stop", "fail2ban.service")
    if state["fail2ban_active"] and state["operator"]:
        # The jail of before may not know the operator, whose refused logins it now finds in the journal.
        for _ in range(20):
            if run("fail2ban-client", "set", "sshd", "addignoreip", state["operator"])[0] == 0:
                break
            time.sleep(0.5)
        run("fail2ban-client", "set", "sshd", "unbanip", state["operator"])
    return differing


def disarm() -> None:
    """Forget the transaction: from here on neither the timer nor a reboot restores anything."""
    ARMED.unlink(missing_ok=True)
    _sync_directory(STATE)
    APPLIED.unlink(missing_ok=True)
    BOOT_WANTS.unlink(missing_ok=True)
    BOOT_UNIT.unlink(missing_ok=True)
    if SNAPSHOT.exists():
        shutil.rmtree(SNAPSHOT)


@contextlib.contextmanager
def exclusive() -> Iterator[None]:
    """Hold the transaction's lock: the timer and a commit may meet, and exactly one of them must win."""
    STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (STATE / "lock").open("w", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Restore if the transaction is still armed; the timer and the boot unit call this."""
    with exclusive():
        if ARMED.exists():
            print("hbot-access: undone:", json.dumps(restore(sys.argv[1])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
