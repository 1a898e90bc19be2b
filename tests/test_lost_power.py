"""Where a run is among the tasks of an undisturbed one, though some of those begin no more."""

from tests.campaigns.lost_power import is_past, place_in

KNOWN = ["log in", "make the user", "log in", "install", "restart"]


def test_a_task_is_found_by_its_name_and_its_turn() -> None:
    assert place_in(KNOWN, ["log in"]) == 0
    assert place_in(KNOWN, ["log in", "make the user", "log in"]) == 2


def test_what_no_undisturbed_run_does_has_no_place() -> None:
    assert place_in(KNOWN, ["log in", "undo"]) == -1
    assert place_in(KNOWN, ["install", "install"]) == -1


def test_a_row_goes_on_at_the_next_task_that_begins() -> None:
    assert not is_past(KNOWN, 3, ["log in", "install"])
    assert is_past(KNOWN, 3, ["log in", "install", "restart"])
    assert is_past(KNOWN, 1, ["log in", "install"])  # the user is there: its task begins no more
