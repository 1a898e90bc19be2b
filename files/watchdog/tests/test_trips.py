"""When the watchdog trips, and when it must not."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from watchdog.facts import Account, Container, ContainerState, Facts, Heartbeat, Holdings, Order, is_own
from watchdog.trips import HELD_S, Limits, Memory, judge

NOW = 1_000_000.0
LIMITS = Limits(
    max_exposure_quote=Decimal(1000), equity_floor_quote=Decimal(500), unexplained_quote=Decimal(5), max_orders=4
)


def order(number: int = 1, *, is_buy: bool = True, age: float = 10.0, price: str = "100", size: str = "1") -> Order:
    return Order(str(number), f"hbot-bot1-{number}", "BTCUSDT", is_buy, Decimal(price), Decimal(size), NOW - age)


ACCOUNT = Account(
    (order(1), order(2, is_buy=False)), 0, Holdings(Decimal(5), Decimal(500)), Decimal(100), 10, Decimal(0)
)
WELL = Facts(
    now=NOW,
    watching_since=NOW - 10_000,
    watches_heartbeat=True,
    heartbeat=Heartbeat(NOW - 1, NOW - 1),
    container=Container(ContainerState.RUNNING, NOW - 9_000),
    lease_until=0,
    account=ACCOUNT,
    answered=NOW,
    open_orders_known=2,
    order_id_prefix="hbot-bot1-",
)


def held(facts: Facts, limits: Limits = LIMITS) -> list[str]:
    """Codes of the trips when the facts stay as they are for as long as any condition must hold."""
    memory = Memory()
    judge(facts, limits, memory)
    memory.since = {code: since - max(HELD_S.values()) for code, since in memory.since.items()}
    return [trip.code for trip in judge(facts, limits, memory)]


def test_a_bot_that_is_well_trips_nothing() -> None:
    assert held(WELL) == []


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (replace(WELL, heartbeat=Heartbeat(NOW - 15.1, NOW - 15.1)), "stale_heartbeat"),
        (replace(WELL, heartbeat=Heartbeat(NOW - 1, NOW - 20.1)), "deaf"),
        (replace(WELL, heartbeat=None, watching_since=NOW - 241, container=Container()), "no_heartbeat"),
        (replace(WELL, account=None, answered=NOW - 45.1), "blind"),
        # Placed after the last answer, which showed none.
        (
            replace(
                WELL,
                heartbeat=Heartbeat(NOW - 1, NOW - 1, frozenset({"hbot-bot1-3"})),
                account=None,
                answered=NOW - 45.1,
                open_orders_known=0,
            ),
            "blind",
        ),
        (replace(WELL, account=replace(ACCOUNT, own=tuple(map(order, range(5))))), "too_many_orders"),
        (replace(WELL, account=replace(ACCOUNT, holdings=Holdings(Decimal("9.01"), Decimal(0)))), "exposure"),
        (replace(WELL, account=replace(ACCOUNT, holdings=Holdings(Decimal(1), Decimal(399)))), "equity_floor"),
        (replace(WELL, account=replace(ACCOUNT, placed_per_minute=91)), "orders_per_minute"),
        (replace(WELL, account=replace(ACCOUNT, own=(order(age=600.1),))), "old_order"),
        (replace(WELL, account=replace(ACCOUNT, unexplained_quote=Decimal("-5.01"))), "unexplained_balance"),
        # Known as its own by its heartbeat or its database.
        (replace(WELL, account=replace(ACCOUNT, own=(replace(order(), client_id="BBCUT1"),))), "no_prefix"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_limit_trips_beyond_its_value(facts: Facts, code: str) -> None:
    assert held(facts) == [code]


@pytest.mark.parametrize(
    "facts",
    [
        replace(WELL, heartbeat=Heartbeat(NOW - 15, NOW - 15)),
        replace(WELL, heartbeat=Heartbeat(NOW - 1, NOW - 20)),
        replace(WELL, account=None, answered=NOW - 45),
        replace(WELL, account=replace(ACCOUNT, own=tuple(map(order, range(4))))),
        # Inventory of 900 and one bid of 100 are the maximum, and the ask adds nothing.
        replace(WELL, account=replace(ACCOUNT, holdings=Holdings(Decimal(9), Decimal(0)))),
        replace(WELL, account=replace(ACCOUNT, holdings=Holdings(Decimal(1), Decimal(400)))),
        replace(WELL, account=replace(ACCOUNT, own=(order(age=600),))),
        replace(WELL, account=replace(ACCOUNT, unexplained_quote=Decimal(5))),
        # A strategy that is told to give its orders no prefix.
        replace(WELL, order_id_prefix="", account=replace(ACCOUNT, own=(replace(order(), client_id="BBCUT1"),))),
    ],
)
def test_no_limit_trips_at_its_value(facts: Facts) -> None:
    assert held(facts) == []


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (replace(WELL, heartbeat=Heartbeat(NOW - 100, NOW - 100), lease_until=NOW + 1), "a planned stop has a lease"),
        (
            replace(
                WELL,
                heartbeat=Heartbeat(NOW - 9_000, NOW - 9_000),
                container=Container(ContainerState.STOPPED, NOW - 8_999),
            ),
            "a stopped container has no heartbeat, and its orders were swept",
        ),
        (
            replace(WELL, heartbeat=Heartbeat(NOW - 300, 0), container=Container(ContainerState.RUNNING, NOW - 100)),
            "a bot that has just started has none yet",
        ),
        (
            replace(
                WELL,
                heartbeat=Heartbeat(NOW - 100, NOW - 100),
                account=replace(ACCOUNT, own=()),
                open_orders_known=0,
            ),
            "a silent bot without an open order has two minutes",
        ),
        (replace(WELL, account=None, answered=NOW - 1000, open_orders_known=0), "nothing is at risk"),
        (
            replace(
                WELL,
                heartbeat=Heartbeat(NOW - 1100, NOW - 1100, frozenset({"hbot-bot1-3"})),
                container=Container(ContainerState.STOPPED, NOW - 1099),
                account=None,
                answered=NOW - 1000,
                open_orders_known=0,
            ),
            "a stopped bot's last heartbeat lists orders that were gone when the exchange last answered",
        ),
        (replace(WELL, watches_heartbeat=False, heartbeat=None), "a second watchdog sees the exchange alone"),
    ],
)
def test_silence_that_has_an_explanation_trips_nothing(facts: Facts, why: str) -> None:
    assert held(facts) == [], why


def test_a_heartbeat_that_is_newer_than_the_record_of_a_stop_refutes_it() -> None:
    """The host's record may be old: a frozen bot must not pass for a stopped one."""
    stopped = Container(ContainerState.STOPPED, NOW - 1000)
    assert held(replace(WELL, container=stopped, heartbeat=Heartbeat(NOW - 20, NOW - 20))) == ["stale_heartbeat"]


def test_readings_that_were_not_taken_at_one_instant_must_hold() -> None:
    """An order that fills between two readings is in the holdings and in the bids."""
    memory = Memory()
    over = replace(WELL, account=replace(ACCOUNT, holdings=Holdings(Decimal(20), Decimal(0))))
    assert judge(over, LIMITS, memory) == []
    assert judge(replace(WELL, now=NOW + 2), LIMITS, memory) == []
    assert judge(replace(over, now=NOW + 4), LIMITS, memory) == []
    assert judge(replace(over, now=NOW + 8), LIMITS, memory) == []
    assert [trip.code for trip in judge(replace(over, now=NOW + 9), LIMITS, memory)] == ["exposure"]


def test_a_silent_exchange_does_not_forget_what_it_said() -> None:
    memory = Memory()
    over = replace(WELL, account=replace(ACCOUNT, holdings=Holdings(Decimal(20), Decimal(0))))
    judge(over, LIMITS, memory)
    assert judge(replace(WELL, now=NOW + 3, account=None), LIMITS, memory) == []
    assert [trip.code for trip in judge(replace(over, now=NOW + 6), LIMITS, memory)] == ["exposure"]


def test_zero_switches_a_limit_off() -> None:
    nothing = Limits(0, 0, 0, 0, 240, 0, 0, Decimal(0), Decimal(0), 0, Decimal(0))
    worst = replace(ACCOUNT, own=tuple(order(n, age=9e5) for n in range(50)), placed_per_minute=999)
    silent = Heartbeat(NOW - 5_000, NOW - 5_000)
    assert held(replace(WELL, account=worst, heartbeat=silent), nothing) == []


@given(
    prefix=st.sampled_from(["", "hbot-bot1-", "hbot-bot10-"]),
    client_id=st.one_of(st.text(max_size=12), st.sampled_from(["hbot-bot1-7", "hbot-bot10-7", "hbot-bot", ""])),
    journal=st.frozensets(st.text(max_size=4)),
)
def test_only_what_carries_the_prefix_or_stands_in_the_journal_is_own(
    prefix: str, client_id: str, journal: frozenset[str]
) -> None:
    own = is_own(client_id, prefix, journal)
    assert own == (client_id != "" and (client_id in journal or (prefix != "" and client_id.startswith(prefix))))
    if prefix == "hbot-bot1-" and client_id == "hbot-bot10-7" and client_id not in journal:
        assert not own
