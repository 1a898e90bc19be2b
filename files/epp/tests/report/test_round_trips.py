"""Own buys matched first-in-first-out with own sells around the opening inventory."""

from __future__ import annotations

from collections import deque
from decimal import Decimal

from epp.report.round_trips import AverageCost, RoundTrip, RoundTripLedger
from hypothesis import given, settings
from hypothesis import strategies as st

D = Decimal


def _book(*fills: tuple[str, str, str, str, str]) -> tuple[list[RoundTrip], RoundTripLedger]:
    ledger = RoundTripLedger()
    trips: list[RoundTrip] = []
    for number, (side, price, amount, fee, order) in enumerate(fills):
        trips += ledger.add(
            ts=float(number),
            is_buy=side == "buy",
            price=D(price),
            amount=D(amount),
            fee_quote=D(fee),
            order_id=order,
        )
    trips += ledger.finish()
    return trips, ledger


def test_a_buy_and_a_later_sell_are_one_round_trip_after_both_fees() -> None:
    trips, ledger = _book(("buy", "99", "2", "0.2", "b"), ("sell", "101", "2", "0.3", "s"))
    assert [(trip.gross, trip.fees, trip.net, trip.amount_base) for trip in trips] == [(D(4), D("0.5"), D("3.5"), D(2))]
    assert ledger.open_base == 0


def test_a_sale_of_the_opening_inventory_is_closed_by_a_later_buy() -> None:
    trips, _ = _book(("sell", "101", "1", "0", "s"), ("buy", "99", "1", "0", "b"))
    assert [trip.net for trip in trips] == [D(2)]


def test_the_oldest_lot_is_closed_first() -> None:
    trips, ledger = _book(("buy", "90", "1", "0", "b1"), ("buy", "95", "1", "0", "b2"), ("sell", "100", "1", "0", "s1"))
    assert [trip.gross for trip in trips] == [D(10)]
    assert ledger.open_base == 1
    assert ledger.unrealised(D(100)) == 5


def test_a_sell_through_the_opening_inventory_closes_the_long_and_opens_a_short() -> None:
    trips, ledger = _book(("buy", "100", "1", "0.1", "b"), ("sell", "102", "3", "0.3", "s"))
    assert [(trip.amount_base, trip.net) for trip in trips] == [(D(1), D("1.8"))]
    assert ledger.open_base == -2
    assert ledger.unrealised(D(101)) == D("1.8")


def test_partial_fills_of_one_order_are_one_lot_and_one_round_trip() -> None:
    trips, _ = _book(
        ("buy", "100", "0.4", "0.04", "b"),
        ("buy", "100", "0.6", "0.06", "b"),
        ("sell", "101", "0.5", "0.05", "s"),
        ("sell", "101", "0.5", "0.05", "s"),
    )
    assert [(trip.amount_base, trip.net) for trip in trips] == [(D(1), D("0.80"))]


def test_one_sale_over_two_lots_is_two_round_trips_with_the_fee_shared() -> None:
    trips, _ = _book(("buy", "99", "1", "0", "b1"), ("buy", "98", "3", "0", "b2"), ("sell", "100", "4", "0.4", "s"))
    assert [(trip.gross, trip.fees) for trip in trips] == [(D(1), D("0.1")), (D(6), D("0.3"))]


fills = st.lists(
    st.tuples(st.booleans(), st.integers(90, 110), st.integers(1, 50), st.integers(0, 30), st.integers(1, 6)),
    max_size=40,
)


@settings(max_examples=500, deadline=None)
@given(fills)
def test_round_trips_and_open_lots_account_for_every_unit_of_profit(
    made: list[tuple[bool, int, int, int, int]],
) -> None:
    """What the trips and the lots made is exactly what cash and inventory say, whatever the order of fills."""
    rows = [
        ("buy" if buy else "sell", str(price), str(D(amount) / 10), str(D(fee) / 100), f"{buy}{order}")
        for buy, price, amount, fee, order in made
    ]
    trips, ledger = _book(*rows)
    mark = D(100)
    cash = base = D(0)
    for side, price, amount, fee, _ in rows:
        sign = 1 if side == "buy" else -1
        cash -= sign * D(price) * D(amount) + D(fee)
        base += sign * D(amount)
    assert ledger.open_base == base
    total = sum((trip.net for trip in trips), D(0)) + ledger.unrealised(mark)
    assert abs(total - (cash + base * mark)) < D("1e-18")


@settings(max_examples=500, deadline=None)
@given(fills)
def test_the_matching_is_the_one_a_plain_queue_of_units_gives(made: list[tuple[bool, int, int, int, int]]) -> None:
    """The oracle holds one price for each single unit and closes unit by unit."""
    trips, _ = _book(
        *(("buy" if b else "sell", str(p), str(a), "0", f"{b}{i}") for i, (b, p, a, _, _) in enumerate(made))
    )
    queue: deque[int] = deque()
    long, gross = True, 0
    for buy, price, amount, _, _ in made:
        for _unit in range(amount):
            if queue and buy != long:
                opened = queue.popleft()
                gross += (price - opened) if long else (opened - price)
            else:
                long = buy if not queue else long
                queue.append(price)
    assert sum((trip.gross for trip in trips), D(0)) == gross


def test_average_cost_calls_the_markets_rise_a_gain_which_is_why_it_never_gates() -> None:
    cost = AverageCost(D(1), D(100))
    cost.add(is_buy=False, price=D(150), amount=D(1), fee_quote=D(1))
    assert (cost.gains, cost.losses) == (D(49), D(0))
    _, ledger = _book(("sell", "150", "1", "1", "s"))
    assert ledger.unrealised(D(150)) == -1
