"""kill -9 of a bot at random moments under a stream of fills.

Three moments in an ordinary run. The whole proof is ``make kills``: EPP_KILL_ROUNDS moments, and a record of the rounds
done (EPP_KILL_RECORD), from which an interrupted run goes on as long as the code is the same.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from epp.journal.reader import Segment, find_segments
from epp.journal.verify import verify
from epp.tests.adapter.kill_record import ROUNDS, KillRecord, Round
from epp.tests.adapter.paper_trading import STREAM, assert_books_agree, assert_row_agrees, state_text

if TYPE_CHECKING:
    from .conftest import Bot, Exchange

pytestmark = pytest.mark.bot_image

RECORD = os.environ.get("EPP_KILL_RECORD", "")
BOOKED_S = 60.0
"""A fill is announced and booked within a second; the machine may be busy with other things."""

START_S = 600.0
"""Likewise a start, of which 16 s are Hummingbot's."""


def assert_booked_once(bot: Bot, exchange: Exchange) -> int:
    """Every fill that the exchange has now is, or soon will be, in fills.csv and in the state, once and alike."""
    theirs = exchange.fills()
    deadline = time.monotonic() + BOOKED_S
    while True:
        booked = {row["trade_id"]: row for row in bot.book("fills")}
        text = state_text(bot)
        missing = [trade_id for trade_id in theirs if trade_id not in booked or f'"{trade_id}"' not in text]
        if not missing:
            break
        assert time.monotonic() < deadline, f"not in fills.csv or not in the state: {missing}"
        time.sleep(0.5)
    ids = [row["trade_id"] for row in bot.book("fills")]
    assert len(ids) == len(set(ids)), "a fill is booked twice"
    for trade_id, fill in theirs.items():
        assert_row_agrees(booked[trade_id], fill)
    return len(theirs)


def assert_knows_its_orders(bot: Bot, exchange: Exchange, log_before: int) -> None:
    """Every own order on the exchange was placed by the process that runs now."""
    deadline = time.monotonic() + BOOKED_S
    while True:
        own = [order["clientOid"] for order in exchange.orders() if order["clientOid"].startswith("hbot-bot1-")]
        log = bot.log()[log_before:]
        unknown = [client_id for client_id in own if client_id not in log]
        if not unknown:
            return
        assert time.monotonic() < deadline, f"open, but unknown to the bot: {unknown}"
        time.sleep(0.5)


def kill_once(bot: Bot, exchange: Exchange, number: int) -> Round:
    """Kill the bot, start it, and look at everything."""
    chance = random.Random(f"kill {number}")  # noqa: S311 -- repeatable moments, no secret
    while_starting = number % 4 == 0
    after_s = chance.uniform(0, 20)
    if while_starting:
        bot.kill()
        bot.start()
    time.sleep(after_s)
    bot.kill()
    left = {order["clientOid"] for order in exchange.orders()}
    unbooked = set(exchange.fills()) - {row["trade_id"] for row in bot.book("fills")}
    log = bot.log()
    bot.start()
    bot.wait_for_log("Ready to quote", START_S, times=log.count("Ready to quote") + 1)
    still = left & {order["clientOid"] for order in exchange.orders()}
    assert not still, f"orders from before the kill are still open: {still}"
    bot.wait_for_log("First quote", START_S, times=log.count("First quote") + 1)
    assert_knows_its_orders(bot, exchange, len(log))
    return Round(
        number=number,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        killed=f"{after_s:.1f} s after {'the start' if while_starting else 'the look of the round before'}",
        while_starting=while_starting,
        orders_left=len(left),
        fills_unbooked=len(unbooked),
        fills=assert_booked_once(bot, exchange),
    )


def assert_end_is_clean(bot: Bot, exchange: Exchange) -> None:
    """After the last round: a clean stop, books that agree, and no decision that cannot be made again."""
    assert bot.stop() == 0
    assert exchange.orders() == []
    assert_books_agree(bot, exchange)
    assert exchange.fills(), "no fill happened: nothing was proven"
    assert "but nothing here knows it" not in bot.log()
    found = verify(map(Segment, find_segments(bot.root / "logs/epp_v24/bot1_a")))
    print(found)
    assert found.difference is None, found.difference
    assert found.lost == 0


def test_kill_9_at_random_moments(make_exchange: Callable[..., Exchange], make_bot: Callable[..., Bot]) -> None:
    """State, fills.csv and the exchange's own fills agree to the last one, every time, and no order is left over.

    Every fourth kill comes while the bot starts, which sweeps and books; the others up to 20 s after a first quote.
    """
    record = KillRecord(Path(RECORD) if RECORD else None)
    done = len(record.rounds())
    if done >= ROUNDS:
        print(f"all {ROUNDS} rounds are in {RECORD}")
        return
    exchange = make_exchange(market={"speed": 60})
    bot = make_bot(exchange, **STREAM)
    bot.run()
    bot.wait_for_log("First quote", START_S)
    try:
        for number in range(done + 1, ROUNDS + 1):
            record.add(kill_once(bot, exchange, number))
        assert_end_is_clean(bot, exchange)
    except (AssertionError, pytest.fail.Exception) as failure:
        record.fail(str(failure)[:500])
        raise
