"""A directory becomes what it was without another one taking its place."""

import os
from pathlib import Path

import pytest
from host_backup.change import copy_tree
from host_backup.put_back import put_back


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """What is to come back."""
    kept = tmp_path / "kept"
    (kept / "controllers").mkdir(parents=True)
    (kept / "controllers" / "a.yml").write_text("old")
    (kept / "controllers" / "a.yml").chmod(0o640)
    (kept / "same.yml").write_text("same")
    (kept / "link").symlink_to("same.yml")
    return kept


def shown(root: Path) -> dict[str, tuple[int, str]]:
    """Mode and contents, or the target of a link, of all that is in a directory."""
    return {
        str(path.relative_to(root)): (
            path.lstat().st_mode,
            str(path.readlink()) if path.is_symlink() else path.read_text() if path.is_file() else "",
        )
        for path in root.rglob("*")
    }


def test_the_directory_stays_the_same_one_and_is_what_it_was(tmp_path: Path, kept: Path) -> None:
    target = tmp_path / "conf"
    copy_tree(kept, target)
    mounted, same = os.open(target, os.O_DIRECTORY), (target / "same.yml").stat()
    (target / "controllers" / "a.yml").write_text("new")
    (target / "controllers" / "a.yml").chmod(0o600)
    (target / "controllers" / "b.yml").write_text("only new")
    (target / "new").mkdir()
    (target / "new" / "file").write_text("only new")
    put_back(kept, target)
    assert shown(target) == shown(kept)
    assert os.fstat(mounted).st_ino == target.stat().st_ino, "who has it open sees another directory"
    assert (target / "same.yml").stat().st_ino == same.st_ino
    os.close(mounted)


def test_what_is_gone_comes_back(tmp_path: Path, kept: Path) -> None:
    put_back(kept, tmp_path / "conf")
    assert shown(tmp_path / "conf") == shown(kept)


def test_a_link_that_the_bot_put_there_is_never_written_through(tmp_path: Path, kept: Path) -> None:
    target, outside = tmp_path / "conf", tmp_path / "outside"
    outside.mkdir()
    (outside / "a.yml").write_text("not the bot's")
    target.mkdir()
    (target / "controllers").symlink_to(outside)
    (target / "same.yml").symlink_to(outside / "a.yml")
    (target / ".same.yml.new").symlink_to(outside / "a.yml")
    put_back(kept, target)
    assert shown(target) == shown(kept)
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"a.yml": "not the bot's"}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.symlink_to(outside)
    with pytest.raises(OSError, match=r"elsewhere"):
        put_back(kept, elsewhere)
