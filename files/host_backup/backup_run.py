"""One run: every set copied, taken into each repository, and read back."""

from __future__ import annotations

import shutil
import time
from datetime import datetime, timezone
from pathlib import Path

from . import containers, evidence, manifest, sets, staging
from .archive import export
from .errors import BackupError
from .metrics import Results
from .progress import complain, say
from .restic import LOCAL, Repository, Snapshot, repositories
from .sets import BackupSet
from .settings import Offsite, Settings
from .whole_file import write


class Run:
    """A backup of some sets.

    :param settings: what the role wrote.
    :param wanted: the sets.
    :param archives: whether each set is written as a plain archive as well.
    :param drops: whether snapshots that are older than is kept are dropped.
    """

    def __init__(
        self, settings: Settings, wanted: list[BackupSet], *, archives: bool = False, drops: bool = True
    ) -> None:
        self._settings = settings
        self._wanted = wanted
        self._archives = archives
        self._drops = drops
        self._repositories = repositories(settings)
        self._results = Results(settings)
        self._faults: list[str] = []
        self._manifests: dict[str, manifest.Manifest] = {}

    def run(self) -> list[str]:
        """Do it; returns what went wrong. Whatever did, the other sets and the other repository are still done."""
        began = time.time()
        taken: dict[str, dict[str, str]] = {}
        ready = [repository for repository in self._repositories if self._open(repository)]
        try:
            staging.require_space(self._settings, self._wanted)
        except BackupError as fault:
            for one in self._wanted:
                for repository in self._repositories:
                    self._failed(str(fault), one.name, repository)
            ready = []
        if ready:
            for one in self._wanted:
                self._take(one, ready, taken)
        if not any(repository.where == LOCAL for repository in ready):
            evidence.leave(self._settings, ok=False, detail=self._faults[0], bots=[])
        for repository in ready:
            self._settle(repository, taken)
        self._results.finished(began, time.time() - began)
        self._results.write()
        return self._faults

    def _open(self, repository: Repository) -> bool:
        try:
            repository.require()
        except BackupError as fault:
            for one in self._wanted:
                self._failed(str(fault), one.name, repository)
            return False
        return True

    def _take(self, one: BackupSet, ready: list[Repository], taken: dict[str, dict[str, str]]) -> None:
        """Copy one set and take the copy into each repository."""
        stage = self._settings.backups / ".stage"
        began = time.monotonic()
        try:
            staging.empty(stage)
            name, bytes_ = self._stage(one, stage)
        except (BackupError, OSError) as fault:
            for repository in ready:
                self._failed(f"{one.name}: {fault}", one.name, repository)
            shutil.rmtree(stage, ignore_errors=True)
            return
        copied = time.monotonic()
        for repository in ready:
            try:
                identity = repository.backup(stage, name, one.name)
            except BackupError as fault:
                self._failed(f"{one.name}: {fault}", one.name, repository)
                continue
            taken.setdefault(name, {})[repository.where] = identity
            seconds = time.monotonic() - began
            say(f"{name}: {-(-bytes_ // 1024)} KiB, copied in {copied - began:.1f} s, {repository.where} repository")
            self._results.taken(one.name, repository.where, bytes_, seconds)
        if self._archives and name in taken:
            try:
                say(f"{name}: {export(stage, self._settings.backups / f'{name}.tar.gz')}")
            except OSError as fault:
                self._failed(f"{one.name}: the archive could not be written: {fault.strerror}", one.name, None)
        shutil.rmtree(stage, ignore_errors=True)

    def _stage(self, one: BackupSet, stage: Path) -> tuple[str, int]:
        """Copy a set, its manifest included; returns the snapshot's name and the bytes."""
        settings = self._settings
        moment = manifest.following(self._newest(one.name))
        files, odd = staging.stage(settings.root, one, stage)
        for path in odd:
            say(f"{one.name}: {path} is no file and no directory, and is left out")
        described = manifest.Manifest(
            set=one.name,
            kind=one.kind,
            taken_at=moment,
            vps=settings.vps,
            collection=settings.collection,
            files=files,
            **(containers.described(settings, one.name) if one.kind == "bot" else {}),
        )
        (stage / manifest.NAME).write_text(described.text(), encoding="utf-8")
        self._manifests[described.name] = described
        return described.name, sum(file.size for file in files.values())

    def _newest(self, set_name: str) -> str | None:
        """The moment of a set's newest snapshot."""
        names = (manifest.SNAPSHOT.match(path.name) for path in self._settings.backups.iterdir())
        return max((name["moment"] for name in names if name and name["set"] == set_name), default=None)

    def _settle(self, repository: Repository, taken: dict[str, dict[str, str]]) -> None:
        """Read the repository back; only one that passes loses its old snapshots, and gets its manifests shown."""
        share = self._share(repository)
        try:
            began = time.monotonic()
            repository.verify(share)
            say(f"the {repository.where} repository was read back ({share}) in {time.monotonic() - began:.1f} s")
        except BackupError as fault:
            self._results.verified(repository.where, good=False)
            if repository.where == LOCAL:
                evidence.leave(self._settings, ok=False, detail=str(fault), bots=[])
            for one in self._wanted:
                self._failed(str(fault), one.name, repository)
            return
        self._results.verified(repository.where, good=True)
        for name, identities in taken.items():
            if repository.where in identities:
                self._results.succeeded(name.rsplit("_", 2)[0], repository.where)
        try:
            if self._drops:
                repository.forget(self._settings.retention)
            known = repository.snapshots()
        except BackupError as fault:
            self._failed(str(fault), None, repository)
            return
        self._results.counted(repository.where, [one.set for one in known])
        if repository.where == LOCAL:
            try:
                self._show(repository, known, taken)
            except OSError as error:
                self._failed(f"the manifests could not be written: {error.strerror}", None, repository)
                return
            # The whole repository was read: so are bots of which this run took no snapshot.
            bots = evidence.held(known, sets.bots(self._settings), datetime.now(tz=timezone.utc))
            newest = max((one.name for one in known if one.set in bots), key=lambda name: name[-15:], default="none")
            detail = f"{len(known)} snapshots, the newest of a bot {newest}; all data of the local repository read back"
            evidence.leave(self._settings, ok=True, detail=detail, bots=bots)

    def _share(self, repository: Repository) -> str:
        offsite = self._settings.offsite
        return offsite.verify if isinstance(offsite, Offsite) and repository.where != LOCAL else "100%"

    def _show(self, repository: Repository, known: list[Snapshot], taken: dict[str, dict[str, str]]) -> None:
        """Make the readable manifests those of the local repository."""
        directory = self._settings.backups
        names = {one.name for one in known}
        shown = {path.name for path in directory.iterdir() if manifest.SNAPSHOT.match(path.name) and path.is_file()}
        for name in shown - names:
            (directory / name).unlink()
        for one in known:
            if one.name not in shown:
                held = self._manifests.get(one.name) or manifest.parsed(repository.dump(one, manifest.NAME), one.name)
                write(directory / one.name, held.text(repositories=taken.get(one.name, {LOCAL: one.id})))

    def _failed(self, fault: str, set_name: str | None, repository: Repository | None) -> None:
        if fault not in self._faults:
            self._faults.append(fault)
            complain(fault)
        if set_name and repository:
            self._results.failed(set_name, repository.where)
