"""What is brought back is used only when it is whole, of this bot, and holds nothing that leads out."""

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from host_backup import archive, aside, manifest, sets, staging
from host_backup.errors import BackupError
from host_backup.settings import Settings
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st


@pytest.fixture
def restored(settings: Settings) -> Path:
    """A snapshot of bot1, restored aside."""
    stage = settings.backups / "stage"
    stage.mkdir()
    files, _ = staging.stage(settings.root, sets.of_bot(settings, "bot1"), stage)
    described = manifest.Manifest("bot1", "bot", "20260115_040000", "vps1", "0.1.0", mode="paper", files=files)
    (stage / manifest.NAME).write_text(described.text())
    return stage


def test_a_whole_one_passes(restored: Path) -> None:
    assert aside.check(restored, "bot1", "it").name == "bot1_20260115_040000"


def test_another_bots_is_refused(restored: Path) -> None:
    with pytest.raises(BackupError, match="it is a backup of bot1, not of bot2: it is refused"):
        aside.check(restored, "bot2", "it")


def flip(path: Path) -> None:
    """Turn one bit of a file round."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def a_file_more(path: Path) -> None:
    """Put a file beside it."""
    path.with_name("more").write_text("x")


def a_link(path: Path) -> None:
    """Make it a link to a file of the host."""
    path.unlink()
    path.symlink_to("/etc/hostname")


def a_directory(path: Path) -> None:
    """Make it a directory."""
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (flip, "is not what was backed up"),
        (Path.unlink, "is missing"),
        (lambda path: os.truncate(path, 3), "is not what was backed up"),
        (a_file_more, "was not backed up and is there"),
        (a_link, "is a link or a device"),
        (a_directory, "is of another kind"),
    ],
)
def test_what_is_not_whole_is_refused(restored: Path, harm: Callable[[Path], None], said: str) -> None:
    harm(restored / "data/bot1/conf/conf_client.yml")
    with pytest.raises(BackupError, match=said):
        aside.check(restored, "bot1", "it")


@pytest.mark.parametrize("path", ["../x", "/etc/x", "data/../../x", "data//x", "", "./x"])
def test_a_manifest_that_leads_out_is_refused(restored: Path, path: str) -> None:
    text = json.loads((restored / manifest.NAME).read_text())
    text["files"][path] = {"mode": "0644", "uid": 0, "gid": 0, "size": 0, "sha256": None, "schema": None}
    (restored / manifest.NAME).write_text(json.dumps(text))
    with pytest.raises(BackupError, match="leads out of the backup"):
        aside.check(restored, "bot1", "it")


def test_an_export_comes_back_as_it_was(restored: Path, tmp_path: Path) -> None:
    target, back = tmp_path / "bot1_20260115_040000.tar.gz", tmp_path / "back"
    back.mkdir()
    archive.export(restored, target)
    assert target.stat().st_mode & 0o777 == 0o600
    archive.unpack(target, back)
    assert aside.check(back, "bot1", "it").name == "bot1_20260115_040000"


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.99])
def test_a_truncated_archive_is_refused(restored: Path, tmp_path: Path, kept: float) -> None:
    target, back = tmp_path / "a.tar.gz", tmp_path / "back"
    back.mkdir()
    archive.export(restored, target)
    os.truncate(target, int(kept if kept >= 1 else kept * target.stat().st_size))
    with pytest.raises(BackupError, match="is damaged or no archive"):
        archive.unpack(target, back)


@examples(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    name=st.sampled_from(["../out", "/abs", "a/../../out", "data/bot1/x"]),
    kind=st.sampled_from([tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]),
)
def test_nothing_of_an_archive_lands_outside(tmp_path_factory: pytest.TempPathFactory, name: str, kind: bytes) -> None:
    place = tmp_path_factory.mktemp("archive")
    target, back = place / "a.tar.gz", place / "inner" / "back"
    back.mkdir(parents=True)
    with tarfile.open(target, "w:gz") as made:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        member.size = 4 if kind == tarfile.REGTYPE else 0
        made.addfile(member, io.BytesIO(b"evil"))
    if name == "data/bot1/x" and kind == tarfile.REGTYPE:
        archive.unpack(target, back)
        return
    with pytest.raises(BackupError, match="it is refused"):
        archive.unpack(target, back)
    assert [path for path in place.rglob("*") if path.is_file() or path.is_symlink()] == [target]
