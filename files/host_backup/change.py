"""One bot changed for another version of itself, and back to what was there when that does not go well.

What was there is kept in ``backups/.change/<bot>`` from before the first file changes until the new version has proved
itself. From the moment the bot is stopped until it is decided, everything happens in this one process: nothing depends
on the connection of whoever asked. A change that a power cut ended is taken back by whatever runs next.
"""

from __future__ import annotations

import fcntl
import filecmp
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from . import containers, gate, sqlite_copy
from .errors import BackupError
from .manifest import now
from .progress import say
from .put_back import put_back
from .sets import CONFIGURATION
from .settings import Settings

PREPARED = "prepared"
SWITCHING = "switching"

SECRETS = ("connectors", ".password_verification")
"""Of ``conf/``, what is encrypted with today's password, which is not rewound: it stays."""


@dataclass(frozen=True)
class Journal:
    """What a change needs to know to be taken back."""

    bot: str
    kind: str
    phase: str
    began_at: str
    image: str
    """The old image as the old fragment names it."""

    image_id: str
    """The old image itself: a name may come to mean another one."""

    ran: bool
    databases: list[str] = field(default_factory=list)
    """Copied after the bot's stop, relative to the bot's directory."""


@dataclass(frozen=True)
class Done:
    """What came of a change."""

    downtime_s: float
    """From the stop until the bot was healthy."""

    ticking_s: float
    """From the stop until the bot's own loop went round."""


class Change:
    """The change of one bot that is under way on this VPS, if there is one."""

    def __init__(self, settings: Settings, bot: str) -> None:
        self.settings = settings
        self.bot = bot
        self.directory = settings.backups / ".change" / bot
        self.before = self.directory / "before"
        self._journal = self.directory / "journal.json"
        self.fragment = settings.fragments / f"{bot}.yml"
        self.data = settings.bot_data(bot)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Alone with this bot: a second change of it waits until the first is decided.

        :raises BackupError: it waited in vain.
        """
        place = self.settings.backups / ".change"
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (place / f"{self.bot}.lock").open("w") as file:
            deadline = time.monotonic() + 1800
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise BackupError(f"another change of {self.bot} goes on for more than 30 minutes") from None
                    time.sleep(1)
            yield

    def journal(self) -> Journal | None:
        """The change under way; None when there is none."""
        try:
            return Journal(**json.loads(self._journal.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    # -- before the bot is stopped

    def refuse_latched(self) -> None:
        """Pass when the bot's watchdog lets it run.

        :raises BackupError: it keeps the bot stopped, and so would stop any version of it.
        """
        if containers.latch(self.settings, self.bot).exists():
            raise BackupError(
                f"{self.bot} is latched by its watchdog, which keeps every version of it stopped: nothing was done. "
                f"Find out why (docs/kill_switch.md); control.yml -e bot={self.bot} -e action=rearm -e reason=… ends it"
            )

    def begin(self, kind: str) -> Journal:
        """Keep what is there now. A change that was cut short before is taken back, or its copy used again.

        :raises BackupError: there is no such bot here, its watchdog keeps it stopped, or the disk refuses.
        """
        self.heal()
        self.refuse_latched()
        found = self.journal()
        if found is not None and self._still_runs(found):
            # With the new files in place already, nothing would tell that the bot does not run them yet.
            self._files_back()
            say(f"{self.bot}: an earlier {found.kind} ended before the bot was stopped; what it kept is used again")
            return found
        if not self.fragment.is_file():
            raise BackupError(f"there is no bot {self.bot} on this VPS: {self.fragment} is missing")
        container = containers.inspect(f"hbot-{self.bot}")
        text = self.fragment.read_text(encoding="utf-8")
        image = containers.image_of(text)
        held = container["Image"] if container else (containers.image(image) or {"Id": ""})["Id"]
        shutil.rmtree(self.directory, ignore_errors=True)
        partial = self.directory / "before.partial"
        partial.mkdir(mode=0o700, parents=True)
        for name in CONFIGURATION:
            if (self.data / name).is_dir():
                (partial / name).parent.mkdir(exist_ok=True)
                copy_tree(self.data / name, partial / name)
        shutil.copy2(self.fragment, partial / "fragment.yml")
        partial.rename(self.before)
        journal = Journal(
            bot=self.bot,
            kind=kind,
            phase=PREPARED,
            began_at=now(),
            image=container["Config"]["Image"] if container else image,
            image_id=held,
            ran=bool(container and container["State"]["Running"]),
        )
        self._write(journal)
        return journal

    def _still_runs(self, found: Journal) -> bool:
        """Whether the bot's container is still the one whose files are kept."""
        container = containers.inspect(f"hbot-{self.bot}")
        if container is None or container["Image"] != found.image_id or not self.before.is_dir():
            return False
        label = str(container["Config"]["Labels"].get("hbot.config-hash", ""))
        return label in (self.before / "fragment.yml").read_text(encoding="utf-8")

    def abandon(self) -> None:
        """Put the kept files back; the bot was not stopped for the change and goes on."""
        found = self.journal()
        if found is not None and found.phase == PREPARED:
            self._files_back()
            self._end()

    # -- the change itself

    def switch(self, swap: Callable[[], None], *, within_s: float, soak_s: float) -> Done:
        """Stop the bot, change its files, start it, and see whether it is well; else back to what was there.

        :param swap: changes the files while the bot is stopped.
        :raises BackupError: it was not well. What was there runs again, unless the message says otherwise.
        """
        journal = self._required()
        was = gate.before(self.settings, self.bot)
        containers.plan_stop(self.bot)
        stopped = time.monotonic()
        self._write(Journal(**{**asdict(journal), "phase": SWITCHING}))
        try:
            containers.stop(self.settings, self.bot)
            say(f"{self.bot}: stopped, its orders cancelled, after {time.monotonic() - stopped:.1f} s")
            self._keep_databases(journal)
            swap()
            wanted = containers.present(containers.image_of(self.fragment.read_text(encoding="utf-8")))
            started = time.monotonic()
            self._up(within_s)
            passed = gate.wait(self.settings, self.bot, was, image_id=wanted["Id"], within_s=within_s, soak_s=soak_s)
        except Exception as fault:
            words = containers.last_words(self.settings, self.bot)
            raise BackupError(self._back(str(fault), words, stopped)) from fault
        self._end()
        containers.stop_is_over(self.bot)
        return Done(started - stopped + passed.healthy_s, started - stopped + passed.ticking_s)

    def heal(self) -> None:
        """Take back a change that ended while the bot was being switched.

        :raises BackupError: what was there does not run again.
        """
        found = self.journal()
        if found is not None and found.phase == SWITCHING:
            said = self._back("it was cut short, by a power cut or a kill", [])
            say(said)

    def _up(self, within_s: float) -> None:
        text = self.fragment.read_text(encoding="utf-8")
        if not containers.enabled(text):
            raise BackupError(f"{self.bot} is disabled (bot_enabled: false), and is not started")
        words = ("up", "--detach", "--no-build", "--pull", "missing")
        deadline = time.monotonic() + within_s
        while True:
            done = containers.compose(self.settings, self.bot, *words, timeout_s=int(within_s) + 300)
            if done.returncode == 0:
                return
            # On a busy machine a paper exchange may be called unhealthy before it has come up.
            if "dependency failed to start" not in done.stderr or time.monotonic() > deadline:
                raise BackupError(f"compose: {' / '.join(done.stderr.strip().splitlines()[-4:])}")
            time.sleep(5)

    def _back(self, why: str, words: list[str], stopped: float | None = None) -> str:
        """Run what was there again; returns what to say.

        :param stopped: when the bot was stopped, where this process did that.
        :raises BackupError: it does not run; what it takes stays where it is.
        """
        journal = self._required()
        say(f"{self.bot}: {why}. Back to what was there")
        with suppress(BackupError):
            containers.plan_stop(self.bot)
            containers.stop(self.settings, self.bot)
            containers.stop_exchange(self.bot)
        try:
            self._files_back()
            aside = self._databases_back(journal)
        except OSError as fault:
            raise BackupError(
                f"{why}. {self.bot} is stopped, and what was there cannot be put back: {fault.strerror}. "
                f"When the disk takes files again (df -h; df -i): sudo {self.settings.root}/scripts/host_backup heal"
            ) from fault
        if journal.image_id and containers.image(journal.image_id) is not None and "@" not in journal.image:
            containers.checked("tag", journal.image_id, journal.image)
        tail = "".join(f"\n    {line}" for line in words)
        told = f"{why}." + (f" The last lines of hbot-{self.bot}:{tail}\n" if tail else " ")
        told += "".join(f"{line} " for line in aside)
        latched = containers.latch(self.settings, self.bot).exists()
        if journal.ran and not latched:
            was = gate.before(self.settings, self.bot)
            try:
                self._up(600)
                gate.wait(self.settings, self.bot, was, image_id=journal.image_id, within_s=600, soak_s=0)
            except BackupError as fault:
                raise BackupError(
                    f"{told}{self.bot} is back on {journal.image} and its old files, and does not get well: {fault}. "
                    f"docs/rollback.md says what to do"
                ) from fault
            containers.stop_is_over(self.bot)
        self._end()
        state = "runs again, healthy," if journal.ran else "is stopped, as before,"
        down = ""
        if stopped is not None and journal.ran and not latched:
            down = f"; {time.monotonic() - stopped:.1f} s without a healthy bot"
        if latched:
            state = "is latched by its watchdog and stays stopped (docs/kill_switch.md),"
        return f"{told}{self.bot} {state} on {journal.image} with its old configuration{down}"

    # -- files

    def _files_back(self) -> None:
        if (self.before / "conf").is_dir():
            keep_secrets(self.settings, self.data / "conf", self.before / "conf")
        for name in CONFIGURATION:
            if (self.before / name).is_dir():
                put_back(self.before / name, self.data / name)
        if not same_file(self.before / "fragment.yml", self.fragment):
            replace_file(self.before / "fragment.yml", self.fragment)

    def _keep_databases(self, journal: Journal) -> None:
        """Copy the databases as the bot left them: a newer program migrates them at its start.

        The paper exchange still runs, and nothing happens in its books: the only one to trade there is stopped.
        """
        kept = []
        for path in (*sorted(self.data.glob("data/*.sqlite")), *sorted(self.data.glob("exchange/state/*.sqlite"))):
            if path.is_file() and not path.is_symlink():
                name = str(path.relative_to(self.data))
                target = self.before / "databases" / name
                target.parent.mkdir(parents=True, exist_ok=True)
                sqlite_copy.copy(path, target)
                shutil.copystat(path, target)
                kept.append(name)
        self._write(Journal(**{**asdict(journal), "phase": SWITCHING, "databases": kept}))

    def _databases_back(self, journal: Journal) -> list[str]:
        """Put back what the new program migrated; a database that only has more rows stays as it is."""
        said = []
        for name in journal.databases:
            path, kept = self.data / name, self.before / "databases" / name
            if not kept.is_file():
                continue
            with suppress(BackupError):
                if path.is_file() and sqlite_copy.schema(path) == sqlite_copy.schema(kept):
                    continue
            said.append(set_database(self.settings, self.bot, kept, path))
        return said

    def _required(self) -> Journal:
        found = self.journal()
        if found is None:
            raise BackupError(f"no change of {self.bot} is under way")
        return found

    def _write(self, journal: Journal) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self._journal.with_suffix(".partial")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(asdict(journal), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._journal)

    def _end(self) -> None:
        self._journal.unlink()
        shutil.rmtree(self.directory, ignore_errors=True)


def set_database(settings: Settings, bot: str, kept: Path, path: Path) -> str:
    """Put a database in the place of one of another schema, which is set aside; returns what to say."""
    aside = settings.backups / "set_aside" / f"{bot}_{now()}"
    aside.mkdir(mode=0o700, parents=True, exist_ok=True)
    for suffix in ("", *sqlite_copy.SIDE_FILES):
        old = path.with_name(path.name + suffix)
        if old.is_file():
            shutil.move(old, aside / old.name)
    replace_file(kept, path, owner=(settings.uid, settings.gid))
    return f"{path.name} had been migrated: the one from before is back, the other is in {aside}."


def keep_secrets(settings: Settings, current: Path, restored: Path) -> None:
    """Put today's keystore into a ``conf/`` that comes back, as far as it is another: it fits today's password."""
    for name in SECRETS:
        old, new = current / name, restored / name
        if old.is_symlink() or not old.exists():
            continue
        if old.is_dir():
            put_back(old, new)
        elif not same_file(old, new):
            shutil.copy2(old, new)
        for entry in (new, *new.rglob("*")):
            os.chown(entry, settings.uid, settings.gid, follow_symlinks=False)


def same_file(one: Path, other: Path) -> bool:
    """Whether both are files with the same bytes."""
    return one.is_file() and other.is_file() and filecmp.cmp(one, other, shallow=False)


def copy_tree(source: Path, target: Path) -> None:
    """Copy a tree with modes, times and owners; links are copied as links."""
    shutil.copytree(source, target, symlinks=True)
    for origin, copied in (
        (source, target),
        *((path, target / path.relative_to(source)) for path in source.rglob("*")),
    ):
        status = origin.lstat()
        os.chown(copied, status.st_uid, status.st_gid, follow_symlinks=False)


def replace_directory(source: Path, target: Path) -> None:
    """Put a directory in another's place by rename; the other is removed."""
    new = target.with_name(f".{target.name}.new")
    old = target.with_name(f".{target.name}.old")
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    shutil.move(source, new)
    if target.exists():
        target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def replace_file(source: Path, target: Path, owner: tuple[int, int] | None = None) -> None:
    """Put a copy of a file in another's place by rename."""
    new = target.with_name(f".{target.name}.new")
    # A bot may own the directory: what it put under this name is removed, never written through.
    new.unlink(missing_ok=True)
    status = source.stat()
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file, source.open("rb") as origin:
        shutil.copyfileobj(origin, file, 1 << 20)
        file.flush()
        os.fchown(file.fileno(), *(owner or (status.st_uid, status.st_gid)))
        os.fchmod(file.fileno(), status.st_mode & 0o7777)
        os.fsync(file.fileno())
    new.replace(target)


def outcome(done: Done) -> dict[str, Any]:
    """For whoever asked, as JSON."""
    return {"downtime_s": round(done.downtime_s, 1), "ticking_s": round(done.ticking_s, 1)}
