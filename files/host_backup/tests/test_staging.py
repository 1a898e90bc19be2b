"""A copy of a set is what was there, hashed, with nothing followed and nothing half."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from host_backup import sets, sqlite_copy, staging
from host_backup.errors import BackupError
from host_backup.settings import Settings
from hypothesis import given
from hypothesis import strategies as st


def staged(settings: Settings, target: Path) -> dict[str, str | None]:
    """What a copy of bot1's set says of itself."""
    target.mkdir()
    files, _ = staging.stage(settings.root, sets.of_bot(settings, "bot1"), target)
    return {path: file.sha256 for path, file in files.items()}


def test_every_file_is_copied_byte_for_byte_and_its_hash_is_the_originals(settings: Settings) -> None:
    stage = settings.backups / "stage"
    hashes = staged(settings, stage)
    for path, digest in hashes.items():
        source = settings.root / path
        if digest is None or path.endswith((".csv", ".sqlite")):
            continue
        assert (stage / path).read_bytes() == source.read_bytes(), path
        assert digest == staging.sha256(source), path
    assert "data/bot1/conf/connectors/bitget.yml" in hashes
    assert "strategies/0123456789abcdef/epp/core.py" in hashes
    assert "compose/bot1.yml" in hashes


@pytest.mark.parametrize("size", [0, 1, 15, 8191, 8192, 8193, (1 << 20) - 1, (1 << 20) + 1])
def test_the_size_of_a_file_does_not_matter(settings: Settings, size: int) -> None:
    content = os.urandom(size)
    (settings.root / "data/bot1/data/blob").write_bytes(content)
    stage = settings.backups / "stage"
    staged(settings, stage)
    assert (stage / "data/bot1/data/blob").read_bytes() == content


def test_logs_stay_out_and_books_are_in_up_to_their_last_whole_line(settings: Settings) -> None:
    stage = settings.backups / "stage"
    hashes = staged(settings, stage)
    assert not [path for path in hashes if ".log" in path]
    assert (stage / "data/bot1/logs/epp_v24/bot1_a/fills.csv").read_text() == "ts,price\n1,2\n3,4\n"


def test_a_database_is_copied_with_what_its_log_holds_and_without_side_files(settings: Settings) -> None:
    path = settings.root / "data/bot1/data/trades.sqlite"
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        with writer:
            writer.execute("INSERT INTO trades (note) VALUES ('only in the log')")
        assert path.with_name("trades.sqlite-wal").stat().st_size > 0
        stage = settings.backups / "stage"
        hashes = staged(settings, stage)
    assert [name for name in hashes if "trades.sqlite" in name] == ["data/bot1/data/trades.sqlite"]
    with closing(sqlite3.connect(stage / "data/bot1/data/trades.sqlite")) as copied:
        assert copied.execute("SELECT count(*) FROM trades").fetchone() == (501,)


def test_a_link_is_never_followed(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "shadow").write_text("secret of the host")
    (settings.root / "data/bot1/conf/link").symlink_to(outside / "shadow")
    (settings.root / "data/bot1/conf/directory").symlink_to(outside)
    (settings.root / "data/bot1/data/trades2.sqlite").symlink_to(settings.root / "data/bot1/data/trades.sqlite")
    stage = settings.backups / "stage"
    stage.mkdir()
    files, odd = staging.stage(settings.root, sets.of_bot(settings, "bot1"), stage)
    assert odd == ["data/bot1/data/trades2.sqlite", "data/bot1/conf/directory", "data/bot1/conf/link"]
    assert not set(odd) & set(files)
    assert not [path for path in stage.rglob("*") if path.is_symlink()]


def test_the_environment_has_the_secrets_and_not_the_key_that_locks_them(settings: Settings) -> None:
    stage = settings.backups / "stage"
    stage.mkdir()
    files, _ = staging.stage(settings.root, sets.environment(), stage)
    assert "env/bot1/password" in files
    assert not [path for path in files if path.startswith("env/backup")]


def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(settings: Settings) -> None:
    greedy = Settings(**{**vars(settings), "reserve_mb": 1 << 40})
    with pytest.raises(BackupError, match="MiB free, and this backup wants"):
        staging.require_space(greedy, [sets.environment()])
    assert list(settings.backups.iterdir()) == []


def test_a_writer_that_hangs_in_a_transaction_does_not_hang_the_backup(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_copy, "BUSY_S", 0.2)
    stage = settings.backups / "stage"
    stage.mkdir()
    with closing(sqlite3.connect(settings.root / "data/bot1/data/trades.sqlite", isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(BackupError, match=r"trades\.sqlite cannot be copied: a writer has kept it locked"):
            staging.stage(settings.root, sets.of_bot(settings, "bot1"), stage)


def test_a_damaged_database_is_named(settings: Settings) -> None:
    path = settings.root / "data/bot1/data/trades.sqlite"
    data = bytearray(path.read_bytes())
    data[4096:8192] = os.urandom(4096)
    path.write_bytes(data)
    (settings.backups / "stage").mkdir()
    with pytest.raises(BackupError, match=r"trades\.sqlite (is damaged|cannot be copied)"):
        staging.stage(settings.root, sets.of_bot(settings, "bot1"), settings.backups / "stage")


@given(st.text(alphabet="abc.lg-", min_size=1, max_size=12).filter(lambda name: name not in (".", "..")))
def test_only_logs_are_left_out_of_logs(name: str) -> None:
    relative = Path("data", "bot1", "logs", name)
    assert sets.belongs(relative) == (".log." not in name and not name.endswith(".log"))
