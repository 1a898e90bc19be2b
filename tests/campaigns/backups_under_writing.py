"""A thousand backups of a bot whose database is being written: each is restored and judged.

    python -m tests.campaigns.backups_under_writing --total 1000        (what `make torture` runs)

Each backup goes the product's own way: staged, taken by restic, restored into an empty directory, checked as a rollback
checks it. Then the application's invariant is asked of the database, which sees what SQLite's own check does not: all
tables are of one moment. And nothing that was committed before the backup began may be missing.
"""

import argparse
import json
import multiprocessing
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

from host_backup import aside, manifest, sets, staging
from host_backup.errors import BackupError
from host_backup.restic import Repository
from host_backup.settings import Retention, Settings

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "build" / "campaigns" / "backups_under_writing.jsonl"
PAGE = ROOT / "docs" / "campaigns.md"

MODES = ("DELETE", "WAL")
RATES = (8, 60, 150, 400, 0)
"""Transactions a second that the writer tries for; 0 is as many as it can."""

TABLE = "| commit | date | backups | restic |"
START_ROWS = 4000
DATABASE = "data/bot1/data/trades.sqlite"
FRAGMENT = 'name: hbot\nservices:\n  bot1:\n    image: "none:1"\n'


@dataclass(frozen=True)
class Verdict:
    """One backup."""

    number: int
    mode: str
    rate: int
    fault: str
    """Empty when it was whole."""

    transactions: int
    """Committed by the writer while it was made."""

    seconds: float
    """Making the copy and taking it into the repository."""


def write(path: str, rate: int, seed: int, committed: "Synchronized[int]", over: Any) -> None:
    """The writer: each transaction makes a trade, its fills and the balance they add up to, and is then counted."""
    chance = random.Random(seed)  # noqa: S311  # no secret: a seeded sample
    with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as database:
        begin = time.monotonic()
        done = 0
        while not over.is_set():
            (number,) = database.execute("SELECT max(id) + 1 FROM trades").fetchone()
            database.execute("BEGIN IMMEDIATE")
            fills = chance.randint(1, 4)
            database.execute("INSERT INTO trades VALUES (?, ?, ?)", (number, fills, chance.randbytes(300).hex()))
            database.executemany("INSERT INTO fills (trade, amount) VALUES (?, 1)", [(number,)] * fills)
            database.execute("UPDATE balance SET amount = amount + ?, trades = trades + 1", (fills,))
            if chance.random() < 0.1:  # old pages are touched as well, far from the end of the file
                database.execute("UPDATE trades SET note = ? WHERE id = ?", (chance.randbytes(300).hex(), number // 2))
            database.execute("COMMIT")
            committed.value = number
            done += 1
            if rate:
                time.sleep(max(0.0, begin + done / rate - time.monotonic()))


def make_root(root: Path, mode: str) -> Settings:
    """A bot with a database."""
    for path in (DATABASE, "data/bot1/conf/conf_client.yml", "compose/bot1.yml", "backups/x", "env/backup/password"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / "data/bot1/conf/conf_client.yml").write_text("instance_id: bot1\n")
    (root / "compose/bot1.yml").write_text(FRAGMENT)
    (root / "env/backup/password").write_text("a password\n")
    with closing(sqlite3.connect(root / DATABASE)) as database, database:
        database.execute(f"PRAGMA journal_mode={mode}")
        database.execute("CREATE TABLE trades (id INTEGER PRIMARY KEY, fills INTEGER, note TEXT)")
        database.execute("CREATE TABLE fills (id INTEGER PRIMARY KEY, trade INTEGER, amount INTEGER)")
        database.execute("CREATE INDEX by_trade ON fills (trade)")
        database.execute("CREATE TABLE balance (amount INTEGER, trades INTEGER)")
        database.executemany("INSERT INTO trades VALUES (?, 1, ?)", [(n, "x" * 600) for n in range(1, START_ROWS + 1)])
        database.executemany(
            "INSERT INTO fills (trade, amount) VALUES (?, 1)", [(n,) for n in range(1, START_ROWS + 1)]
        )
        database.execute("INSERT INTO balance VALUES (?, ?)", (START_ROWS, START_ROWS))
    return Settings(root, "vps1", "0", 0, 0, Retention(1, 1, 1, 1), None, 1)


@contextmanager
def being_written(settings: Settings, rate: int, seed: int) -> Iterator["Synchronized[int]"]:
    """A writer at work; yields the number of the last trade that it knows to be committed."""
    committed: Synchronized[int] = multiprocessing.Value("q", START_ROWS)
    over = multiprocessing.Event()
    path = str(settings.root / DATABASE)
    writer = multiprocessing.Process(target=write, args=(path, rate, seed, committed, over), daemon=True)
    writer.start()
    try:
        while committed.value < START_ROWS + 3:
            time.sleep(0.01)
        yield committed
    finally:
        over.set()
        writer.join(60)


def fault_of(database: Path, at_least: int) -> str:
    """What is wrong with a restored database; empty when nothing is."""
    with closing(sqlite3.connect(database)) as restored:
        (said,) = restored.execute("PRAGMA integrity_check").fetchone()
        if said != "ok":
            return f"integrity_check: {said}"
        last, trades, fills = restored.execute("SELECT max(id), count(*), sum(fills) FROM trades").fetchone()
        (rows,) = restored.execute("SELECT count(*) FROM fills").fetchone()
        amount, counted = restored.execute("SELECT amount, trades FROM balance").fetchone()
    if not (last == trades == counted and fills == rows == amount):
        return f"torn: trades {last}/{trades}/{counted}, fills {fills}/{rows}/{amount}"
    return "" if last >= at_least else f"trade {at_least} was committed before, and the last one is {last}"


def one_backup(
    settings: Settings, repository: Repository | None, committed: "Synchronized[int]"
) -> tuple[str, int, float]:
    """Make, restore and judge one backup; returns its fault, the transactions meanwhile, and the seconds."""
    at_least, began = committed.value, time.monotonic()
    stage, back = settings.backups / ".stage", settings.backups / ".aside"
    staging.empty(stage)
    try:
        files, _ = staging.stage(settings.root, sets.of_bot(settings, "bot1"), stage)
        described = manifest.Manifest("bot1", "bot", manifest.now(), "vps1", "0", files=files)
        (stage / manifest.NAME).write_text(described.text())
        if repository is not None:
            repository.backup(stage, described.name, "bot1")
        seconds, meanwhile = time.monotonic() - began, committed.value - at_least
        if repository is None:
            back = stage
        else:
            staging.empty(back)
            repository.restore(repository.snapshots("bot1")[-1], back)
        aside.check(back, "bot1", "the backup")
    except BackupError as fault:
        return str(fault), 0, 0.0
    return fault_of(back / DATABASE, at_least), meanwhile, seconds


def run(numbers: range, mode: str, rate: int, seed: int, *, restic: bool) -> Generator[Verdict]:
    """Some backups of one database with one writer."""
    place = Path(tempfile.mkdtemp(prefix="backups_under_writing_", dir="/var/tmp"))  # on a disk, not in memory
    try:
        settings = make_root(place, mode)
        repository = None
        if restic:
            repository = Repository(
                "local", str(settings.repository), settings.secrets / "password", cache=place / "cache"
            )
            repository.make()
        chance = random.Random(seed)  # noqa: S311  # no secret: a seeded sample
        with being_written(settings, rate, seed) as committed:
            for number in numbers:
                time.sleep(chance.random() * 0.05)
                fault, meanwhile, seconds = one_backup(settings, repository, committed)
                yield Verdict(number, mode, rate, fault, meanwhile, round(seconds, 3))
    finally:
        shutil.rmtree(place)


def main() -> int:
    """Run what is missing of the campaign; returns 1 when a backup was not whole."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--total", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    done = [Verdict(**json.loads(line)) for line in RESULT.read_text().splitlines()] if RESULT.exists() else []
    known = Counter((one.mode, one.rate) for one in done)
    kinds = [(mode, rate) for mode in MODES for rate in RATES]
    each = -(-options.total // len(kinds))
    with RESULT.open("a") as result:
        for mode, rate in kinds:
            begin = known[mode, rate]
            # A database of its own for every 20: it grows, and a campaign that was stopped goes on here.
            for first in range(begin, each, 20):
                numbers = range(first, min(first + 20, each))
                for verdict in run(numbers, mode, rate, options.seed + first, restic=True):
                    done.append(verdict)
                    result.write(json.dumps(asdict(verdict)) + "\n")
                    result.flush()
                print(
                    f"{mode} {rate or 'full'} tx/s: {numbers.stop}/{each}, {sum(bool(v.fault) for v in done)} faults",
                    flush=True,
                )
    faults = [one for one in done if one.fault]
    report(done, faults)
    for one in faults[:10]:
        print(one, file=sys.stderr)
    return 1 if faults else 0


def report(done: list[Verdict], faults: list[Verdict]) -> None:
    """Put the campaign's row below the others of its table."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    version = subprocess.run(["restic", "version"], capture_output=True, text=True, check=True).stdout.split()[1]
    transactions = sum(one.transactions for one in done)
    row = (
        f"| `{commit.stdout.strip()}` | {datetime.now(tz=UTC):%Y-%m-%d} | {len(done)} | {version} | {transactions} "
        f"| {len(faults)} |"
    )
    before, table, after = PAGE.read_text(encoding="utf-8").partition(TABLE)
    rows, gap, rest = after.partition("\n\n")
    PAGE.write_text(f"{before}{table}{rows.rstrip()}\n{row}{gap or chr(10)}{rest}", encoding="utf-8")
    print(row)


if __name__ == "__main__":
    sys.exit(main())
