"""The second repository: it alone brings the bots back; its failures cost no local backup, and are noticed."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import pytest
from host_backup import aside, manifest, sets
from host_backup.adopt import rebuild
from host_backup.backup_run import Run
from host_backup.errors import BackupError
from host_backup.restic import repositories
from host_backup.settings import Settings

from .conftest import Server, new_machine, secrets


def backed_up(settings: Settings) -> list[str]:
    """Back everything up; returns the faults."""
    return Run(settings, sets.all_sets(settings)).run()


def metrics(settings: Settings) -> str:
    """What Prometheus reads."""
    return (settings.root / "monitoring" / "textfile" / "hbot_backup.prom").read_text()


def test_the_offsite_alone_brings_the_bots_back(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert backed_up(settings) == []
    assert backed_up(settings) == [], "a second run finds the repository that the first made"
    lost = new_machine(settings, tmp_path_factory.mktemp("new") / "hbot")
    assert rebuild(lost, ["bot9"]) == ["bot9"]
    for name in ("conf/conf_client.yml", "logs/epp_v24/bot9_a/fills.csv"):
        assert (lost.bot_data("bot9") / name).read_text() == (settings.bot_data("bot9") / name).read_text()
    state = json.loads((lost.bot_data("bot9") / "data/epp_v24/bot9_a/state_paper.json").read_text())
    assert state["body"]["engine"]["guard"]["reconcile"].startswith("restored from bot9_")
    assert (lost.root / "env/bot9/password").read_text() == "the bot's password\n"
    assert not (lost.root / "env/bot9/golive.json").exists(), "only the gate lets a bot trade live"
    assert not (lost.bot_data("bot9") / "data/epp_v24/bot9_a/commands/1.json").exists()
    assert rebuild(lost, ["bot9"]) == [], "what is there is left alone"


def test_only_a_backup_that_was_read_back_is_evidence_for_the_gate(settings: Settings) -> None:
    def evidence() -> tuple[bool, list[str]]:
        mark = json.loads((settings.root / "evidence/backup_verified.json").read_text())
        assert (mark["schema"], mark["kind"]) == (1, "backup_verified")
        return mark["ok"], mark["bots"]

    assert backed_up(settings) == []
    assert evidence() == (True, ["bot9"])
    assert Run(settings, [sets.named(settings, "environment")]).run() == []
    assert evidence() == (True, ["bot9"]), "its snapshot of a moment ago was read as well"
    pack = max((settings.repository / "data").rglob("*"), key=lambda path: path.is_file() and path.stat().st_size)
    pack.chmod(0o600)
    held = bytearray(pack.read_bytes())
    held[len(held) // 2] ^= 1
    pack.write_bytes(held)
    assert Run(settings, [sets.named(settings, "environment")]).run()
    assert evidence() == (False, []), "a flipped bit takes the older proof away"
    shutil.rmtree(settings.repository)
    assert backed_up(settings)
    assert evidence() == (False, [])


def test_a_local_repository_that_is_damaged_is_made_up_for_by_the_offsite(settings: Settings) -> None:
    assert backed_up(settings) == []
    shutil.rmtree(settings.repository / "data")
    manifest = aside.fetch(settings, "bot9", "", settings.backups / ".aside" / "bot9")
    assert manifest.set == "bot9"


@pytest.mark.parametrize("harm", [Server.die, Server.hang])
def test_a_dead_or_silent_offsite_costs_no_local_backup(
    settings: Settings, server: Server, harm: Callable[[Server], None]
) -> None:
    assert backed_up(settings) == []
    harm(server)
    impatient = replace(settings, offsite=replace(server.offsite, timeout_s=8))
    faults = backed_up(impatient)
    assert faults
    assert all("offsite" in fault for fault in faults)
    text = metrics(settings)
    assert 'hbot_backup_last_attempt_succeeded{set="bot9",repository="local"} 1' in text
    assert 'hbot_backup_last_attempt_succeeded{set="bot9",repository="offsite"} 0' in text
    assert len(repositories(settings)[0].snapshots("bot9")) == 2


def test_a_forbidding_offsite_is_named(settings: Settings, server: Server) -> None:
    if not server.forbidden:
        # S3: a bucket that is not one's own.
        other = replace(server.offsite, repository=server.offsite.repository.replace("/backups/", "/somebody-elses/"))
        settings = replace(settings, offsite=replace(other, timeout_s=8))
    secrets(settings, server.forbidden)
    faults = backed_up(settings)
    assert faults
    assert all("offsite" in fault for fault in faults)
    assert 'hbot_backup_last_attempt_succeeded{set="bot9",repository="local"} 1' in metrics(settings)


def test_a_repository_with_another_key_is_refused(settings: Settings) -> None:
    (settings.secrets / "password").write_text("another key\n")
    with pytest.raises(BackupError, match=r"wrong password or no key found.*host_backup_password"):
        repositories(settings)[1].exists()


def test_one_bots_backups_never_evict_anothers(settings: Settings) -> None:
    assert backed_up(settings) == []
    first = repositories(settings)[0].snapshots("environment")
    for _ in range(5):
        assert Run(settings, [sets.named(settings, "bot9")]).run() == []
    kept = repositories(settings)[0]
    assert len(kept.snapshots("bot9")) <= 4, "three newest, and at most one of an earlier day"
    assert kept.snapshots("environment") == first
    shown = {path.name for path in Path(settings.backups).iterdir() if path.name.startswith("bot9_")}
    assert shown == {one.name for one in kept.snapshots("bot9")}


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(days=400)], ids=["an hour", "400 days"])
def test_a_clock_that_was_ahead_costs_no_backup(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, ahead: timedelta
) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Ahead":
            return cls.fromtimestamp((datetime.now(tz) + ahead).timestamp(), tz)

    with monkeypatch.context() as moved:
        moved.setattr(manifest, "datetime", Ahead)
        assert backed_up(settings) == []
    early = {one.name for one in repositories(settings)[0].snapshots("bot9")}
    taken: list[str] = []
    for _ in range(3):
        assert Run(settings, [sets.named(settings, "bot9")]).run() == []
        held = {one.name for one in repositories(settings)[0].snapshots("bot9")}
        taken += sorted(held - early - set(taken))
        assert set(taken[-2:]) <= held, "three are kept, and what was taken last is among them"
    assert len(taken) == 3
    if ahead < manifest.CLOCK_MAY_LEAD:
        assert sorted({*early, *taken}) == [*early, *taken], "their names sort as they were taken"
        assert aside.fetch(settings, "bot9", "", settings.backups / ".aside" / "bot9").name == taken[-1]


def test_what_a_rollback_backs_up_first_drops_nothing(settings: Settings) -> None:
    for _ in range(5):
        assert Run(settings, [sets.named(settings, "bot9")], drops=False).run() == []
    assert len(repositories(settings)[0].snapshots("bot9")) == 5, "three are kept, and that is the next backup's work"
    assert backed_up(settings) == []
    assert len(repositories(settings)[0].snapshots("bot9")) == 3
