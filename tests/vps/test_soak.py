"""A few minutes of `make soak`: whatever happens to a bot, its book is its exchange's and nothing is half-done."""

import pytest

from tests.campaigns import soak
from tests.vps.machine import INVENTORY, TODAY, Vps

ROUNDS = 2
SCENE = soak.Scene(INVENTORY, ("bot1",), "bot2", (10.0, 30.0))


@pytest.mark.parametrize("number", range(TODAY * ROUNDS, (TODAY + 1) * ROUNDS))
def test_whatever_happens_at_random_the_books_are_whole(vps: Vps, number: int) -> None:
    last = soak.one(number, vps, SCENE)
    print(f"{last.what}: well after {last.well_s:.0f} s")
    assert not last.fault, f"{last.what} ({last.bot}): {last.fault}"
