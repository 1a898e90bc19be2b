"""Copies of SQLite databases that are being written, through SQLite's own online backup."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from .errors import BackupError

MAGIC = b"SQLite format 3\x00"
SIDE_FILES = ("-journal", "-wal", "-shm")
"""What SQLite keeps beside a database; a copy through the backup API needs none of it."""

BUSY_S = 30.0
BUSY = (5, 6)
"""SQLITE_BUSY and SQLITE_LOCKED."""

PAGES = 4096
"""Pages a step. Between steps a writer gets its turn; the copy starts over when it has used it."""

PATIENCE = 3
"""So often a writer may make the copy start over; then all is copied in one step, and the writer waits for it."""


def is_database(path: Path) -> bool:
    """Whether a file says of itself that it is an SQLite database."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def copy(source: Path, target: Path) -> None:
    """Copy a database whole: as of one moment, everything committed before the copy began included.

    The target is one file without side files, in rollback-journal mode.

    :raises BackupError: it cannot be read, or is no sound database.
    """
    try:
        with closing(_open(source)) as origin, closing(sqlite3.connect(target, timeout=BUSY_S)) as copied:
            _transfer(origin, copied)
            # A copy of a database in WAL mode says so in its header, and would make side files when it is read.
            copied.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise BackupError(f"{source} cannot be copied: {error}") from error
    fault = fault_of(target)
    if fault:
        raise BackupError(f"{source} is damaged: {fault}")


def fault_of(path: Path) -> str:
    """What SQLite's own check says against a database; empty when it says nothing."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as database:
            rows = [str(row[0]) for row in database.execute("PRAGMA integrity_check(3)")]
    except sqlite3.Error as error:
        return str(error)
    return "" if rows == ["ok"] else "; ".join(rows)


def schema(path: Path) -> str:
    """A fingerprint of a database's schema and of the version that Hummingbot, or the paper exchange, keeps in it.

    A program that migrates a database changes it; one that writes rows does not.

    :raises BackupError: it cannot be read.
    """
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=BUSY_S)) as database:
            said = database.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").fetchall()
            said.append(database.execute("PRAGMA user_version").fetchone())
            if any(row[:2] == ("table", "Metadata") for row in said):
                said += database.execute("SELECT * FROM Metadata ORDER BY 1").fetchall()
            if any(row[:2] == ("table", "meta") for row in said):
                said += database.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchall()
    except sqlite3.Error as error:
        raise BackupError(f"{path} cannot be read: {error}") from error
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]


def _open(source: Path) -> sqlite3.Connection:
    # Read and write, because a database whose writer died wants its journal played back first, as the writer itself
    # would do at its next start. As root, SQLite gives what it makes beside it to the database's owner.
    connection = sqlite3.connect(f"file:{source}?mode=rw", uri=True, timeout=BUSY_S)
    connection.execute("PRAGMA query_only=ON")
    return connection


class _Impatient(Exception):  # noqa: N818  # it is no error: the copy goes on in one step
    pass


def _transfer(origin: sqlite3.Connection, copied: sqlite3.Connection) -> None:
    left: int | None = None
    restarts = 0
    moved = time.monotonic()

    def progress(status: int, remaining: int, _total: int) -> None:
        nonlocal left, restarts, moved
        if status in BUSY:
            # Python's own loop would go round for ever when a writer hangs in a transaction.
            if time.monotonic() - moved > BUSY_S:
                raise sqlite3.OperationalError(f"a writer has kept it locked for {BUSY_S:.0f} s")
            return
        moved = time.monotonic()
        if left is not None and remaining >= left > 0:
            restarts += 1
        left = remaining
        if restarts > PATIENCE:
            raise _Impatient

    try:
        origin.backup(copied, pages=PAGES, progress=progress, sleep=0.005)
    except _Impatient:
        restarts, left = -1000, None
        origin.backup(copied, pages=-1, progress=progress, sleep=0.005)
