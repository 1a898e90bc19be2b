"""Whether fills explain the balances."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from watchdog.balances import KEEP_S, SETTLE_S, BalanceBook
from watchdog.facts import Holdings, Movement

MID = Decimal(100)
AMOUNTS = st.decimals("-5", "5", places=4)


def settled(base: str = "1", quote: str = "100") -> BalanceBook:
    book = BalanceBook.begin(Holdings(Decimal(base), Decimal(quote)), 0)
    for now in (0.0, SETTLE_S):
        assert book.unexplained(Holdings(Decimal(base), Decimal(quote)), MID, now) == 0
    assert book.settled
    return book


@given(fills=st.lists(st.tuples(AMOUNTS, AMOUNTS), max_size=20), moved=AMOUNTS)
def test_what_no_fill_explains_is_named_to_the_last_digit(fills: list[tuple[Decimal, Decimal]], moved: Decimal) -> None:
    """Whatever fills came, each told twice: only the movement without one is left."""
    book = settled()
    movements = [Movement(str(n), 60.0 + n, base, quote) for n, (base, quote) in enumerate(fills)]
    for _ in range(2):
        book.book(movements)
    held = Holdings(
        1 + sum((base for base, _ in fills), Decimal(0)),
        100 + moved + sum((quote for _, quote in fills), Decimal(0)),
    )
    assert book.unexplained(held, MID, 100) == moved
    assert BalanceBook.from_dict(book.to_dict()).unexplained(held, MID, 100) == moved
    book.fold(60 + KEEP_S + 10)
    assert book.unexplained(held, MID, 100) == moved


def test_coins_do_not_make_up_for_each_other() -> None:
    """A sale that nobody booked leaves the equity as it was."""
    assert settled().unexplained(Holdings(Decimal("0.5"), Decimal(150)), MID, 60) in (Decimal(50), Decimal(-50))


def test_a_fill_in_the_moment_of_the_baseline_is_no_surprise() -> None:
    """The balances have it, the list gets it seconds later, or the other way round."""
    book = BalanceBook.begin(Holdings(Decimal(1), Decimal(100)), 0)
    held = Holdings(Decimal(1), Decimal(100))
    book.unexplained(held, MID, 1)
    book.book([Movement("1", 0.1, Decimal(1), Decimal(-100))])  # listed late; the balances had it
    for now in (5.0, 15.0, 25.0, 40.0):
        assert book.unexplained(held, MID, now) == 0
    assert book.settled
    assert book.unexplained(held, MID, 60) == 0


def test_a_booked_transfer_is_none_either() -> None:
    book = settled()
    assert book.unexplained(Holdings(Decimal(1), Decimal(80)), MID, 60) == -20
    book.transfer(Decimal(0), Decimal(-20))
    assert book.unexplained(Holdings(Decimal(1), Decimal(80)), MID, 60) == 0
