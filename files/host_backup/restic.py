"""restic, as Ubuntu 22.04 has it (0.12) and later: one repository, local or elsewhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from .errors import BackupError
from .manifest import MOMENT
from .settings import Retention, Settings

WRONG_PASSWORD = "wrong password or no key found"  # noqa: S105  # restic's words, no password
ABSENT = ("unable to open config file", "Is there a repository at", "does not exist")
UNREACHED = ("denied", "Denied", "Forbidden", "refused", "timeout", "no such host", "connection", "EOF")
"""Said beside the words for an absent repository when its place could not be asked at all."""

LOCAL = "local"
OFFSITE = "offsite"
LOCAL_TIMEOUT_S = 6 * 3600
PROBE_S = 120
"""Within this long a repository says whether it is there; restic itself would try for a quarter of an hour."""

_SFTP = re.compile(r"^sftp:(?://(?P<server>[^/:]+)(?::(?P<port>\d+))?/|(?P<host>[^/:]+):)")


@dataclass(frozen=True)
class Snapshot:
    """One snapshot as the repository knows it."""

    id: str
    set: str
    name: str
    """``bot1_20260115_040000``."""


class Repository:
    """One repository.

    :param where: ``local`` or ``offsite``, for messages and metrics.
    :param location: as restic writes it.
    """

    def __init__(
        self,
        where: str,
        location: str,
        password: Path,
        *,
        cache: Path,
        environment: dict[str, str] | None = None,
        options: tuple[str, ...] = (),
        timeout_s: int = LOCAL_TIMEOUT_S,
    ) -> None:
        self.where = where
        self.location = location
        self._timeout_s = timeout_s
        self._command = ["restic", "--repo", location, "--password-file", str(password), "--cache-dir", str(cache)]
        for option in options:
            self._command += ["--option", option]
        self._environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": "/root",
            "TZ": "UTC",
            **(environment or {}),
        }

    def exists(self) -> bool:
        """Whether there is a repository that this key opens. Locks of processes that are gone are taken away.

        :raises BackupError: there is one that it does not open, or the place cannot be reached.
        """
        run = self._run("unlock", timeout_s=min(PROBE_S, self._timeout_s))
        if run.returncode == 0:
            return True
        said = run.stderr.decode(errors="replace")
        missing = any(words in said for words in ABSENT) and not any(words in said for words in UNREACHED)
        if missing:
            return False
        raise self._fault("cannot be opened", said)

    def require(self) -> None:
        """Pass when there is a repository that this key opens.

        :raises BackupError: there is none.
        """
        if not self.exists():
            raise BackupError(
                f"the {self.where} repository {self.location} is gone, or its place is empty: bring it back, or let "
                "site.yml make a new one (docs/backup.md)"
            )

    def make(self) -> None:
        """Make the repository.

        :raises BackupError: restic could not.
        """
        self._check(self._run("init"), "cannot be made")

    def backup(self, directory: Path, snapshot: str, set_name: str) -> str:
        """Take what is in a directory as one snapshot; returns its id.

        restic publishes the snapshot last: one that was cut short is not there.

        :raises BackupError: it was not taken whole.
        """
        # What restic calls the host is the set here: it groups snapshots by that, and orders them as their names do.
        taken = datetime.strptime(f"{snapshot[-15:]}+0000", f"{MOMENT}%z").strftime("%Y-%m-%d %H:%M:%S")
        named = ("--host", set_name, "--tag", snapshot, "--time", taken)
        run = self._run("backup", "--json", "--force", *named, ".", cwd=directory)
        self._check(run, "did not take the backup")
        for line in reversed(run.stdout.splitlines()):
            said = json.loads(line)
            if said.get("message_type") == "summary":
                return str(said["snapshot_id"])
        raise self._fault("did not take the backup", "restic names no snapshot")

    def snapshots(self, set_name: str | None = None) -> list[Snapshot]:
        """The snapshots, oldest first.

        :raises BackupError: the repository cannot be read.
        """
        wanted = ["--host", set_name] if set_name else []
        # Whoever only wants to see them, ahead of a rollback, is not kept out by a backup that reads everything back.
        run = self._run("snapshots", "--no-lock", "--json", *wanted)
        self._check(run, "cannot be listed")
        found = []
        for one in json.loads(run.stdout) or []:
            name = (one.get("tags") or [""])[0]
            if name.startswith(f"{one['hostname']}_"):
                found.append(Snapshot(one["short_id"], one["hostname"], name))
        return sorted(found, key=lambda one: one.name)

    def restore(self, snapshot: Snapshot, target: Path) -> None:
        """Restore a snapshot into a directory.

        :raises BackupError: not all of it could be.
        """
        self._check(self._run("restore", snapshot.id, "--target", str(target)), f"did not give back {snapshot.name}")

    def dump(self, snapshot: Snapshot, path: str) -> bytes:
        """One file of a snapshot.

        :raises BackupError: it is not there.
        """
        run = self._run("dump", snapshot.id, f"/{path}")
        self._check(run, f"does not give {path} of {snapshot.name}")
        return run.stdout

    def verify(self, share: str) -> None:
        """Check the structure, and read back ``share`` of the data, ``100%`` for all.

        Without reading the data, restic's check does not see a flipped bit.

        :raises BackupError: something is wrong.
        """
        how = "--read-data" if share == "100%" else f"--read-data-subset={share}"
        self._check(self._run("check", how), "does not pass its check; the earlier backups may be damaged as well")

    def forget(self, keep: Retention) -> None:
        """Drop what is older than is kept, each set by itself, and give back its space.

        :raises BackupError: it failed; nothing that is kept is lost.
        """
        kept = ["--keep-last", keep.last, "--keep-daily", keep.daily]
        kept += ["--keep-weekly", keep.weekly, "--keep-monthly", keep.monthly]
        run = self._run("forget", "--group-by", "host", "--prune", *(str(word) for word in kept))
        self._check(run, "could not drop old snapshots")

    def _run(
        self, *words: str, cwd: Path | None = None, timeout_s: int | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        within_s = timeout_s or self._timeout_s
        try:
            return subprocess.run(
                [*self._command, *words],
                cwd=cwd,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=within_s,
                check=False,
            )
        except FileNotFoundError:
            raise BackupError("restic is not installed: site.yml installs it") from None
        except subprocess.TimeoutExpired:
            raise self._fault(f"did not answer within {within_s} s", "given up") from None

    def _check(self, run: subprocess.CompletedProcess[bytes], what: str) -> None:
        if run.returncode != 0:
            raise self._fault(what, run.stderr.decode(errors="replace"))

    def _fault(self, what: str, said: str) -> BackupError:
        fix = ""
        if WRONG_PASSWORD in said:
            fix = " Fix: the key of this repository belongs into host_backup_password (docs/backup.md)."
        lines = [line for line in said.strip().splitlines() if line.strip()][-3:]
        return BackupError(f"the {self.where} repository {self.location} {what}: {' / '.join(lines)}.{fix}")


def repositories(settings: Settings) -> list[Repository]:
    """The local repository, and the offsite one when there is one."""
    password = settings.secrets / "password"
    cache = settings.backups / ".cache"
    found = [Repository(LOCAL, str(settings.repository), password, cache=cache)]
    if settings.offsite:
        found.append(
            Repository(
                OFFSITE,
                settings.offsite.repository,
                password,
                cache=cache,
                environment=_credentials(settings.secrets / "offsite.json"),
                options=_sftp(settings.offsite.repository, settings.secrets),
                timeout_s=settings.offsite.timeout_s,
            )
        )
    return found


def _sftp(location: str, secrets: Path) -> tuple[str, ...]:
    """The command by which restic reaches an SFTP server: with a key and a known server of its own, and asking nothing.

    :raises BackupError: the place is not written as restic wants it.
    """
    if not location.startswith("sftp:"):
        return ()
    match = _SFTP.match(location)
    if match is None:
        raise BackupError(f"{location} is no sftp:user@host:/path and no sftp://user@host:port//path")
    port = ["-p", match["port"]] if match["port"] else []
    words = [
        "ssh",
        "-i",
        str(secrets / "offsite_ssh_key"),
        "-o",
        f"UserKnownHostsFile={secrets / 'offsite_known_hosts'}",
    ]
    for option in ("StrictHostKeyChecking=yes", "IdentitiesOnly=yes", "BatchMode=yes", "ConnectTimeout=20"):
        words += ["-o", option]
    words += [
        "-o",
        "ServerAliveInterval=15",
        "-o",
        "ServerAliveCountMax=4",
        *port,
        match["server"] or match["host"],
        "-s",
        "sftp",
    ]
    return (f"sftp.command={' '.join(words)}",)


def _credentials(path: Path) -> dict[str, str]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return {name: str(value) for name, value in found.items()}
