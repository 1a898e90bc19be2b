"""A real bot while its exchange misbehaves: no crash, no order forgotten, no fill uncounted, and the guard as promised.

One misbehaviour a day in an ordinary run. All of them, two minutes each, is ``make misbehave``.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from epp.tests.adapter.conftest import docker, wait_for
from epp.tests.adapter.misbehaviours import ALL, WANTED, Misbehaviour, Outcome, Record, chosen, now_text
from epp.tests.adapter.paper_trading import STREAM, assert_row_agrees

if TYPE_CHECKING:
    from .conftest import Bot, Exchange

pytestmark = pytest.mark.bot_image

RECORD = os.environ.get("EPP_MISBEHAVE_RECORD", "")
START_S = 600.0
RECOVERY_S = 420.0
"""The longest pause that ends by itself is 120 s; what a silent socket did not say is asked for every two minutes."""

QUOTES = {name: value for name, value in STREAM.items() if name != "rest_tolerance_bps"}


def placed(exchange: Exchange, since_ms: float) -> list[dict[str, Any]]:
    """Orders that reached the exchange."""
    return [order for order in exchange.orders(closed=True) if int(order["cTime"]) >= since_ms]


def uncounted(bot: Bot, exchange: Exchange) -> set[str]:
    """Fills of the exchange that the bot's books do not have."""
    return set(exchange.fills()) - {row["trade_id"] for row in bot.book("fills")}


def states_in(log: str) -> list[str]:
    """The states that the bot's log says it came to, with their reasons."""
    found: set[str] = set()
    for state, why in re.findall(r"state: \w+ to (\w+)(.*)", log):
        reasons = re.findall(r"[:,;] ([a-z_]+) \(", why)
        found.add(f"{state} ({', '.join(reasons)})" if reasons else state)
    return sorted(found)


def suffer(bot: Bot, exchange: Exchange, name: str, case: Misbehaviour) -> Outcome:
    """Let the exchange misbehave, then look at everything."""
    log_before, fills_before = len(bot.log()), len(exchange.fills())
    began_ms = time.time() * 1000
    parameters = [f"{key}={value}" for key, value in case.parameters.items()]
    exchange.ctl("fault", "set", case.fault, *parameters)
    time.sleep(case.seconds)
    exchange.ctl("fault", "clear")
    ended = time.time()
    meanwhile = len([order for order in placed(exchange, began_ms) if int(order["cTime"]) < ended * 1000])
    states = states_in(bot.log()[log_before:])
    reasons = {word for state in states for word in re.findall(r"[a-z_]+", state)}
    problem = ""
    again: float | None = None
    latched = "hard_stop" in reasons
    try:
        assert json.loads(docker("inspect", "-f", "{{json .State.Running}}", bot.container)), "the bot's process ended"
        assert not case.promised or case.promised & reasons, f"none of {sorted(case.promised)} was said"
        assert case.may_latch or not latched, "a hard stop that was not promised"
        if not latched:
            first = wait_for(
                "an order after it",
                lambda: [int(order["cTime"]) for order in placed(exchange, ended * 1000)],
                RECOVERY_S,
            )
            again = round(max(min(first) / 1000 - ended, 0), 1)
            wait_for(
                "the end of orders from before",
                lambda: all(int(order["cTime"]) >= ended * 1000 for order in exchange.orders()),
                RECOVERY_S,
            )
        wait_for("every fill in the books", lambda: not uncounted(bot, exchange), RECOVERY_S)
        booked = [row["trade_id"] for row in bot.book("fills")]
        assert len(booked) == len(set(booked)), "a fill is booked twice"
        theirs = exchange.fills()
        for row in bot.book("fills"):
            if row["trade_id"] in theirs:
                assert_row_agrees(row, theirs[row["trade_id"]])
    except (AssertionError, pytest.fail.Exception) as failure:
        problem = str(failure).splitlines()[0][:200]
    return Outcome(name, now_text(), tuple(states), meanwhile, len(exchange.fills()) - fills_before, again, problem)


def assert_end_is_clean(bot: Bot, exchange: Exchange) -> None:
    """A clean stop leaves no order, and books that agree."""
    assert bot.stop() == 0
    assert exchange.orders() == []
    assert not uncounted(bot, exchange)


def test_a_bot_lives_through_what_its_exchange_does(
    make_exchange: Callable[..., Exchange], make_bot: Callable[..., Bot]
) -> None:
    """Each misbehaviour in turn on one bot; another bot where one was latched or failed."""
    record = Record(Path(RECORD) if RECORD else None)
    names = record.pending(chosen(WANTED, datetime.now(UTC)))
    print(f"to do: {', '.join(names) or 'nothing'}")
    failed: list[str] = []
    bot: Bot | None = None
    exchange: Exchange | None = None
    for name in names:
        if bot is None or exchange is None:
            exchange = make_exchange(market={"speed": 30})
            bot = make_bot(exchange, **QUOTES)
            bot.run()
            bot.wait_for_log("First quote", START_S)
        outcome = suffer(bot, exchange, name, ALL[name])
        record.add(outcome)
        if outcome.problem:
            failed.append(f"{name}: {outcome.problem}")
            print("\n".join(line for line in bot.log().splitlines() if " DEBUG " not in line)[-8000:])
        if outcome.problem or outcome.quoting_after_s is None:
            bot.remove()
            exchange.remove()
            bot = exchange = None
    if bot is not None and exchange is not None:
        assert_end_is_clean(bot, exchange)
    assert not failed, "\n".join(failed)
