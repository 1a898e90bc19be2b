"""How long a backup of a bot with 500 MB takes, and tar with gzip of the same in the same run: `make bench`.

    python -m tests.bench.backups

The backup goes the product's own way: copied (the database by SQLite's online backup, every file hashed), taken by
restic, read back, restored and judged as a rollback judges it. The bot is never stopped for it. It judges nothing:
figures belong to a machine.
"""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from host_backup import aside, manifest, sets, staging
from host_backup.restic import Repository
from host_backup.settings import Retention, Settings

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "build" / "bench_backups.json"
DATABASE = "data/bot1/data/trades.sqlite"
BOOKS = "data/bot1/logs/epp_v24/bot1_a"

FILLS = 730_000
"""Rows of the database: 220 MB with its indexes."""

MINUTES = 1_700_000
"""Rows of the two books: 287 MB."""


def fills(first: int, count: int, chance: random.Random) -> Iterator[tuple[object, ...]]:
    """Rows as Hummingbot's own table of fills has them; the names of its orders grow with the time."""
    return (
        (
            number, "v2_epp_v2_4.yml", "v2_epp_v2_4", "bitget", "BTC-USDT", "BTC", "USDT",
            1_700_000_000_000 + number * 31_337, f"x-{'SB'[number % 2]}BTCUT{number * 31_337_000:016x}",
            "BUY" if number % 2 else "SELL",
            "LIMIT_MAKER", int(chance.gauss(42e9, 1e9)), int(chance.expovariate(1e-3) * 1e3), 1,
            json.dumps({"percent": "0", "flat_fees": [{"token": "USDT", "amount": f"{chance.random():.10f}"}]}),
            f"{chance.getrandbits(64)}", "NIL",
        )
        for number in range(first, first + count)
    )  # fmt: skip


COLUMNS = (
    "id INTEGER PRIMARY KEY, config TEXT, strategy TEXT, market TEXT, symbol TEXT, base TEXT, quote TEXT,"
    " timestamp INTEGER, order_id TEXT, trade_type TEXT, order_type TEXT, price INTEGER, amount INTEGER,"
    " leverage INTEGER, trade_fee TEXT, exchange_trade_id TEXT, position TEXT"
)
MARKS = ",".join("?" * (COLUMNS.count(",") + 1))


def add_fills(path: Path, first: int, count: int, chance: random.Random) -> None:
    """Book fills in the database."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"CREATE TABLE IF NOT EXISTS TradeFill ({COLUMNS})")
        database.execute("CREATE INDEX IF NOT EXISTS by_order ON TradeFill (order_id)")
        database.execute("CREATE INDEX IF NOT EXISTS by_time ON TradeFill (config, timestamp)")
        database.executemany(f"INSERT INTO TradeFill VALUES ({MARKS})", fills(first, count, chance))  # noqa: S608 (marks)


def add_rows(directory: Path, first: int, count: int, chance: random.Random) -> None:
    """Write rows of figures into the books."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("minute.csv", "fills.csv"):
        with (directory / name).open("a", encoding="utf-8") as book:
            for number in range(first, first + count // 2):
                mid = chance.gauss(42000, 900)
                moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_700_000_000 + number * 60))
                figures = ",".join(f"{chance.random() * scale:.8f}" for scale in (1, 1, 20, 500, 1e3, 1e3, 1))
                book.write(
                    f"{moment},bot1,BTC-USDT,running,{mid:.2f},{mid - 3:.2f},{mid + 3:.2f},{figures},neutral,,paper\n"
                )


def make_root(root: Path, chance: random.Random) -> Settings:
    """A bot with 500 MB."""
    files = {
        "data/bot1/conf/conf_client.yml": "instance_id: bot1\n",
        "compose/bot1.yml": 'name: hbot\nservices:\n  bot1:\n    image: "hummingbot/hummingbot:version-2.16.0"\n',
        "env/backup/password": "a password\n",
        "backups/.empty": "",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    (root / DATABASE).parent.mkdir(parents=True)
    add_fills(root / DATABASE, 1, FILLS, chance)
    add_rows(root / BOOKS, 0, MINUTES, chance)
    return Settings(root, "vps1", "0", os.getuid(), os.getgid(), Retention(1, 1, 1, 1), None, 1)


def timed(what: Callable[[], object]) -> float:
    """Seconds that it takes."""
    began = time.monotonic()
    what()
    return time.monotonic() - began


def size_mb(path: Path) -> float:
    """What a file, or a directory with all in it, takes."""
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return sum(one.stat().st_size for one in files) / 1e6


class Product:
    """The backups of `host_backup`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stage = settings.backups / ".stage"
        password = settings.secrets / "password"
        self.repository = Repository("local", str(settings.repository), password, cache=settings.backups / ".cache")
        self.repository.make()

    def copy(self) -> None:
        """Copy the bot as of one moment."""
        staging.empty(self.stage)
        files, _ = staging.stage(self.settings.root, sets.of_bot(self.settings, "bot1"), self.stage)
        described = manifest.Manifest("bot1", "bot", manifest.now(), "vps1", "0", files=files)
        (self.stage / manifest.NAME).write_text(described.text(), encoding="utf-8")
        self.name = described.name

    def take(self) -> None:
        """Take the copy into the repository."""
        self.repository.backup(self.stage, self.name, "bot1")
        shutil.rmtree(self.stage)

    def verify(self) -> None:
        """Read all of the repository back."""
        self.repository.verify("100%")

    def restore(self) -> None:
        """Bring the newest back, and judge every hash and the database."""
        aside.fetch(self.settings, "bot1", self.name, self.settings.backups / ".aside")


def tar(*words: str) -> Callable[[], object]:
    """One run of tar."""
    return lambda: subprocess.run(["tar", *words], check=True)


def measured(root: Path) -> dict[str, float]:
    """All figures, seconds and MB."""
    chance = random.Random(1)  # noqa: S311 (a seeded sample, no secret)
    settings = make_root(root, chance)
    archive, back = root / "bot1.tar.gz", root / "back"
    back.mkdir()
    product = Product(settings)
    found = {"MB": size_mb(root / "data")}
    for which in ("first", "second"):
        found[f"{which}: copy"] = timed(product.copy)
        found[f"{which}: restic"] = timed(product.take)
        found[f"{which}: verify"] = timed(product.verify)
        found[f"{which}: repository MB"] = size_mb(settings.repository)
        found[f"{which}: tar+gzip"] = timed(tar("-czf", str(archive), "-C", str(root), "data", "compose"))
        found[f"{which}: tar MB"] = size_mb(archive)
        if which == "first":
            add_fills(root / DATABASE, FILLS + 1, FILLS // 100, chance)
            add_rows(root / BOOKS, MINUTES, MINUTES // 100, chance)
    found["restore"] = timed(product.restore)
    found["tar: verify"] = timed(lambda: subprocess.run(["gzip", "-t", str(archive)], check=True))
    found["tar: restore"] = timed(tar("-xzf", str(archive), "-C", str(back)))
    return found


def main() -> int:
    """Print the figures."""
    before = os.getloadavg()[0]
    place = Path(tempfile.mkdtemp(prefix="bench_backups_", dir="/var/tmp"))  # on a disk, not in memory
    try:
        found = measured(place)
    finally:
        shutil.rmtree(place)
    whole = {which: found[f"{which}: copy"] + found[f"{which}: restic"] for which in ("first", "second")}
    rows = [
        ("first", whole["first"], found["first: tar+gzip"]),
        ("1 % more", whole["second"], found["second: tar+gzip"]),
        ("  of it, the copy", found["second: copy"], None),
        ("read back", found["second: verify"], found["tar: verify"]),
        ("restored (and judged)", found["restore"], found["tar: restore"]),
    ]
    print(f"{found['MB']:.0f} MB of one bot; load {before:.1f} before, {os.getloadavg()[0]:.1f} after")
    print(f"{'':<24}{'host_backup':>14}{'tar+gzip':>12}")
    for what, ours, theirs in rows:
        print(f"{what:<24}{ours:>12.1f} s" + (f"{theirs:>10.1f} s" if theirs is not None else ""))
    kept = found["second: repository MB"], found["first: tar MB"] + found["second: tar MB"]
    print(f"{'both kept':<24}{kept[0]:>11.0f} MB{kept[1]:>9.0f} MB")
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({name: round(value, 2) for name, value in found.items()}, indent=1), encoding="utf-8")
    print(f"also in {RESULT.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
