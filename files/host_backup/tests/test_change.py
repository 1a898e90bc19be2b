"""What is kept before a change is all that the change replaces."""

from pathlib import Path

import pytest
from host_backup import change, containers, sqlite_copy
from host_backup.change import Change
from host_backup.errors import BackupError
from host_backup.settings import Settings


@pytest.fixture
def under_way(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Change:
    """An update of bot1 that has begun: it has no container on this machine."""
    (settings.bot_data("bot1") / "exchange" / "config").mkdir(parents=True)
    (settings.bot_data("bot1") / "exchange" / "config" / "config.json").write_text("of the old simulator")
    monkeypatch.setattr(containers, "inspect", lambda _name: None)
    monkeypatch.setattr(containers, "image", lambda _reference: {"Id": "sha256:old"})
    begun = Change(settings, "bot1")
    begun.begin("update")
    return begun


def contents(settings: Settings) -> dict[str, str]:
    """Every file that a change may replace."""
    roots = [settings.bot_data("bot1") / name for name in ("conf", "scripts", "exchange/config")]
    files = [path for root in roots for path in root.rglob("*") if path.is_file()]
    return {str(path): path.read_text() for path in [*files, settings.fragments / "bot1.yml"]}


def test_what_was_there_comes_back_whole(settings: Settings, under_way: Change) -> None:
    before = contents(settings)
    for name in before:
        if "connectors" not in name:
            Path(name).write_text("of the new version")
    (settings.bot_data("bot1") / "conf" / "only_new.yml").write_text("x")
    under_way.abandon()
    assert contents(settings) == before
    assert under_way.journal() is None
    under_way.abandon()  # a second time does nothing
    assert contents(settings) == before


def test_a_run_that_was_cut_short_does_not_take_the_new_files_for_the_old(
    settings: Settings, under_way: Change
) -> None:
    journal = under_way.journal()
    assert journal is not None
    assert journal.image_id == "sha256:old"
    assert journal.phase == change.PREPARED


def test_after_a_kill_before_the_switch_the_new_files_count_as_a_change_again(
    settings: Settings, under_way: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else the next update finds its files in place, does not switch, and says that the bot runs them already.
    before = contents(settings)
    for name in before:
        if "connectors" not in name:
            Path(name).write_text("of the new version")
    runs = {"Image": "sha256:old", "Config": {"Labels": {"hbot.config-hash": "abc"}}}
    monkeypatch.setattr(containers, "inspect", lambda _name: runs)
    again = Change(settings, "bot1").begin("update")
    assert again == under_way.journal()
    assert contents(settings) == before


def test_a_keystore_is_not_rewound_because_its_password_is_not(settings: Settings, under_way: Change) -> None:
    conf = settings.bot_data("bot1") / "conf"
    (conf / "connectors" / "bitget.yml").write_text("encrypted with a newer password")
    (conf / "conf_client.yml").write_text("of the new version")
    under_way.abandon()
    assert (conf / "connectors" / "bitget.yml").read_text() == "encrypted with a newer password"
    assert (conf / "conf_client.yml").read_text() == "instance_id: bot1\n"


def test_a_database_of_another_schema_is_set_aside_and_not_lost(settings: Settings, tmp_path: Path) -> None:
    path = settings.bot_data("bot1") / "data" / "trades.sqlite"
    kept = tmp_path / "kept.sqlite"
    sqlite_copy.copy(path, kept)
    schema, migrated = sqlite_copy.schema(path), path.read_bytes()
    said = change.set_database(settings, "bot1", kept, path)
    assert sqlite_copy.schema(path) == schema
    (aside,) = (settings.backups / "set_aside").iterdir()
    assert (aside / "trades.sqlite").read_bytes() == migrated
    assert str(aside) in said


def test_a_bot_that_its_watchdog_has_latched_is_refused_before_anything_is_kept(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "inspect", lambda _name: None)
    latch = containers.latch(settings, "bot1")
    latch.parent.mkdir(parents=True)
    latch.write_text("{}")
    begun = Change(settings, "bot1")
    with pytest.raises(BackupError, match=r"latched by its watchdog.*nothing was done.*action=rearm"):
        begun.begin("update")
    assert begun.journal() is None
