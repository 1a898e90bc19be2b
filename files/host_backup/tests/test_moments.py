"""Names of snapshots: they sort as the snapshots were taken, whatever is done to the clock by less than a day."""

from datetime import datetime, timedelta, timezone
from unittest.mock import patch

from host_backup import manifest
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 1, 15, 4, 0, tzinfo=timezone.utc)


def following(newest: str | None, at: datetime) -> str:
    """The next moment when the clock says ``at``."""
    with patch.object(manifest, "datetime", wraps=datetime) as clock:
        clock.now.return_value = at
        return manifest.following(newest)


@given(st.lists(st.integers(-43_000, 43_000), min_size=1, max_size=20))
def test_they_ascend_though_the_clock_jumps(jumps: list[int]) -> None:
    taken: list[str] = []
    for jump in jumps:
        taken.append(following(taken[-1] if taken else None, NOW + timedelta(seconds=jump)))
    assert sorted(set(taken)) == taken


def test_one_that_is_right_is_now() -> None:
    assert following(None, NOW) == following("20260115_035959", NOW) == "20260115_040000"
    assert following("20260115_040000", NOW) == "20260115_040001", "two within a second have names of their own"


def test_one_from_a_clock_that_was_ahead_for_longer_is_not_followed() -> None:
    assert following("20270115_040000", NOW) == "20260115_040000"
    assert following("99999999_999999", NOW) == "20260115_040000"
