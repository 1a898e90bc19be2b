"""Which bots a verified repository is evidence for."""

from datetime import datetime, timedelta, timezone

from host_backup.evidence import held
from host_backup.restic import Snapshot

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)


def snapshot(name: str, age: timedelta) -> Snapshot:
    """A snapshot of a set, so old."""
    return Snapshot("0", name, f"{name}_{NOW - age:%Y%m%d_%H%M%S}")


def test_a_bot_whose_newest_snapshot_is_over_a_day_old_is_not_held() -> None:
    known = [
        snapshot("bot1", timedelta(days=9)),
        snapshot("bot1", timedelta(hours=23)),
        snapshot("bot2", timedelta(hours=25)),
        snapshot("environment", timedelta(0)),
    ]
    assert held(known, ["bot1", "bot2", "bot3"], NOW) == ["bot1"]
