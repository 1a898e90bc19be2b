"""When the watchdog trips. Pure: facts and limits come in, trips go out.

A trip that compares two readings which were not taken at the same instant must hold for a moment before it counts: an
order that fills between the two is in neither list or in both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from .facts import ContainerState, Facts

MAX_LEASE_S = 600.0
"""A planned stop is over within ten minutes, or it is none."""

ANSWERS_S = 10.0
"""An exchange that listed the open orders within so long answers."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Beyond which the watchdog trips. Zero switches a limit off."""

    heartbeat_s: float = 15.0
    """Age of the heartbeat while own orders are open."""
    silence_s: float = 120.0
    """Age of the heartbeat while none is open."""
    deaf_s: float = 20.0
    """Since the bot last had a word from the exchange, while own orders are open and the exchange answers us."""
    blind_s: float = 45.0
    """Since the exchange last answered us, while own orders were open then, or are by the bot's own account."""
    start_grace_s: float = 240.0
    """From a start of the bot to its first heartbeat."""
    order_age_s: float = 600.0
    max_orders: int = 8
    max_exposure_quote: Decimal = Decimal(0)
    """Of inventory and bids together."""
    equity_floor_quote: Decimal = Decimal(0)
    orders_per_minute: int = 90
    unexplained_quote: Decimal = Decimal(0)
    """What balances may be off from their fills, in quote; at least 0.1 % of the equity is allowed."""


@dataclass(frozen=True, slots=True)
class Trip:
    """One reason to stop the bot."""

    code: str
    detail: str


HELD_S = {
    "exposure": 5.0,
    "too_many_orders": 5.0,
    "equity_floor": 5.0,
    "unexplained_balance": 20.0,
}
"""How long a trip must hold before it counts, by code; others count at once."""


@dataclass(slots=True)
class Memory:
    """Since when each condition has held."""

    since: dict[str, float] = field(default_factory=dict)


def judge(facts: Facts, limits: Limits, memory: Memory) -> list[Trip]:
    """All trips that count now, the gravest first; notes in ``memory`` since when each condition holds."""
    found = list(_conditions(facts, limits))
    # Without an answer a condition of the account has neither gone nor been seen again.
    unseen = {code: since for code, since in memory.since.items() if code in HELD_S and facts.account is None}
    memory.since = unseen | {trip.code: memory.since.get(trip.code, facts.now) for trip in found}
    return [trip for trip in found if facts.now - memory.since[trip.code] >= HELD_S.get(trip.code, 0.0)]


def _conditions(facts: Facts, limits: Limits) -> Iterator[Trip]:
    yield from _life(facts, limits)
    if facts.account is not None:
        yield from _account(facts, limits)
    # An order placed between the last answer and the silence is known to the bot alone. What it said before that
    # answer, such as a stopped bot's last heartbeat, the answer knows better.
    beat = facts.heartbeat
    by_the_bot = len(beat.client_ids) if beat is not None and beat.at > facts.answered else 0
    open_orders = max(facts.open_orders_known, by_the_bot)
    if limits.blind_s and open_orders and facts.now - facts.answered > limits.blind_s:
        yield Trip(
            "blind",
            f"the exchange has not answered for {facts.now - facts.answered:.0f} s (limit {limits.blind_s:.0f} s), "
            f"and {open_orders} own orders were open, by its last answer or by the bot",
        )


def _life(facts: Facts, limits: Limits) -> Iterator[Trip]:
    """Whether the bot gives signs of life, where it should."""
    if not facts.watches_heartbeat or facts.now < facts.lease_until or is_stopped(facts):
        return
    began = max(facts.watching_since, facts.container.since)
    beat = facts.heartbeat
    if beat is None or beat.at < began:
        waited = facts.now - began
        # Before its first heartbeat a bot sweeps what it finds; nothing of it is new.
        if waited > limits.start_grace_s:
            yield Trip("no_heartbeat", f"none since the start {waited:.0f} s ago (limit {limits.start_grace_s:.0f} s)")
        return
    answers = facts.now - facts.answered <= ANSWERS_S
    limit = limits.heartbeat_s if facts.open_orders_known or not answers else limits.silence_s
    age = facts.now - beat.at
    if limit and age > limit:
        yield Trip("stale_heartbeat", f"the last one was {age:.0f} s ago (limit {limit:.0f} s)")
        return
    deaf = facts.now - beat.heard
    if limits.deaf_s and deaf > limits.deaf_s and answers and facts.open_orders_known:
        yield Trip(
            "deaf",
            f"the bot has heard nothing from the exchange for {deaf:.0f} s (limit {limits.deaf_s:.0f} s), "
            f"which answers us, and {facts.open_orders_known} of its orders are open",
        )


def is_stopped(facts: Facts) -> bool:
    """Whether the container is known not to run. A heartbeat that is newer than the host's record refutes it."""
    beat = facts.heartbeat
    return facts.container.state is ContainerState.STOPPED and not (
        beat is not None and beat.at > facts.container.since + 1
    )


def _account(facts: Facts, limits: Limits) -> Iterator[Trip]:
    account = facts.account
    assert account is not None  # noqa: S101 -- the caller looked
    if limits.max_exposure_quote and account.exposure > limits.max_exposure_quote:
        yield Trip("exposure", f"inventory and bids are {account.exposure:.2f} (limit {limits.max_exposure_quote})")
    if limits.equity_floor_quote and account.equity < limits.equity_floor_quote:
        yield Trip("equity_floor", f"the account is worth {account.equity:.2f} (floor {limits.equity_floor_quote})")
    unmarked = [order.client_id for order in account.own if not order.client_id.startswith(facts.order_id_prefix)]
    if unmarked:
        # Off the VPS, and after a lost database, an order like this one could not be told from others'.
        yield Trip("no_prefix", f"its order {unmarked[0]} does not begin with {facts.order_id_prefix}")
    if limits.max_orders and len(account.own) > limits.max_orders:
        yield Trip("too_many_orders", f"{len(account.own)} own orders are open (limit {limits.max_orders})")
    if limits.orders_per_minute and account.placed_per_minute > limits.orders_per_minute:
        yield Trip(
            "orders_per_minute",
            f"{account.placed_per_minute} orders were placed in a minute (limit {limits.orders_per_minute})",
        )
    oldest = min((order.created for order in account.own), default=None)
    if limits.order_age_s and oldest is not None:
        age = facts.now + facts.exchange_ahead - oldest
        if age > limits.order_age_s:
            yield Trip("old_order", f"an own order is {age:.0f} s old (limit {limits.order_age_s:.0f} s)")
    if limits.unexplained_quote:
        allowed = max(limits.unexplained_quote, account.equity / 1000)
        if abs(account.unexplained_quote) > allowed:
            yield Trip(
                "unexplained_balance",
                f"the balances moved by {account.unexplained_quote:+.2f} without a fill (limit {allowed:.2f})",
            )
