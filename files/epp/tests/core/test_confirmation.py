"""A go-live confirmation limits what is at stake, and its end takes every quote off without forgetting anything."""

from __future__ import annotations

from decimal import Decimal

from epp.core import GuardState, Side
from epp.tests.core.stage import PROPERTY, Stage, quoting
from hypothesis import example, given
from hypothesis import strategies as st


def at_stake(stage: Stage) -> Decimal:
    """Inventory at mid and every bid at its own price."""
    bids = sum((order.price * order.remaining for order in stage.orders.values() if order.side is Side.BUY), Decimal(0))
    return stage.base * Decimal(repr(stage.mid)) + bids


@PROPERTY
@given(share=st.floats(0.2, 0.8), most=st.floats(0.1, 1.2), moves=st.lists(st.floats(-0.004, 0.004), max_size=6))
@example(share=0.203125, most=0.21875, moves=[-0.00390625])  # the market fell below standing bids
def test_inventory_and_bids_stay_under_the_maximum_notional(share: float, most: float, moves: list[float]) -> None:
    limit = most * 10_000.0
    stage = Stage(share=share, given={"max_notional": limit})
    for move in [0.0, *moves]:
        before = set(stage.orders)
        stage.mid *= 1 + move
        stage.tick()
        placed_buys = [name for name in set(stage.orders) - before if stage.orders[name].side is Side.BUY]
        if placed_buys:
            assert at_stake(stage) <= Decimal(repr(limit)) * (1 + Decimal("1e-9"))


def test_what_the_maximum_notional_has_room_for_is_bid() -> None:
    """Inventory at mid and bids at their own prices: one and a half fit, and one is placed whole."""
    free = quoting()
    bid = free.of(Side.BUY)[0]
    stage = Stage()
    inventory = float(stage.base) * stage.mid
    stage.given["max_notional"] = inventory + 1.5 * float(bid.price * bid.remaining)
    stage.tick()
    whole, rest = stage.of(Side.BUY)[0], stage.of(Side.BUY)[1:]
    assert whole.remaining == bid.remaining
    assert sum(float(order.price * order.remaining) for order in rest) <= 0.5 * float(bid.price * bid.remaining)
    assert rest, "what is left of the room is bid, too"


def test_bids_that_no_longer_fit_are_taken_back() -> None:
    stage = Stage()
    stage.tick()
    assert any(order.side is Side.BUY for order in stage.orders.values())
    stage.given["max_notional"] = float(stage.base) * stage.mid + 1
    stage.run(3)
    assert not [order for order in stage.orders.values() if order.side is Side.BUY]
    assert [order for order in stage.orders.values() if order.side is Side.SELL]


def test_the_end_of_a_confirmation_cancels_all_and_waits() -> None:
    stage = Stage()
    stage.tick()
    assert stage.orders
    stage.given["unconfirmed"] = "it ended at 2027-01-15 08:00 UTC"
    stage.run(3)
    assert stage.last.state is GuardState.SOFT_PAUSE
    assert [reason.code for reason in stage.last.reasons] == ["expired"]
    assert "new go-live confirmation" in stage.last.reasons[0].ends
    assert not stage.orders


def test_a_new_confirmation_lets_it_go_on() -> None:
    stage = Stage(given={"unconfirmed": "it ended"})
    stage.run(3)
    assert not stage.orders
    del stage.given["unconfirmed"]
    stage.tick()
    assert stage.last.state is GuardState.RUNNING
    assert stage.orders
