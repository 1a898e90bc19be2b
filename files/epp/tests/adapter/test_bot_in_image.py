"""EPP in real Hummingbot, in the bot image, against the paper exchange."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from epp.tests.adapter.conftest import wait_for
from epp.tests.adapter.paper_trading import FAST, FILL_S, assert_books_agree, first_fill

if TYPE_CHECKING:
    from .conftest import Bot, Exchange

pytestmark = pytest.mark.bot_image

MakeExchange = Callable[..., "Exchange"]
MakeBot = Callable[..., "Bot"]


def test_it_quotes_fills_books_and_leaves_nothing_behind(make_exchange: MakeExchange, make_bot: MakeBot) -> None:
    """The whole way: ready, quoting, maker fills in fills.csv, and ``docker stop`` with no order left."""
    exchange = make_exchange()
    bot = make_bot(exchange, **FAST)
    assert bot.check() == []
    started = time.time()
    bot.run()
    bot.wait_for_log("First quote")
    stamp = next(line for line in bot.log().splitlines() if "First quote" in line)[:23]
    took = datetime.strptime(stamp + " +0000", "%Y-%m-%d %H:%M:%S,%f %z").timestamp() - started
    print(f"container start to first quote: {took:.1f} s")
    first_fill(exchange)
    time.sleep(3)
    assert "healthy" in bot.health()

    assert bot.stop() == 0
    assert exchange.orders() == []
    assert_books_agree(bot, exchange)
    orders = exchange.orders(closed=True)
    assert all(order["clientOid"].startswith("hbot-bot1-") and len(order["clientOid"]) <= 64 for order in orders)
    assert all(order["force"] == "post_only" for order in orders)
    assert all(fill["tradeScope"] == "maker" for fill in exchange.fills().values())
    minutes = bot.book("minute")
    assert minutes[0]["state"] == "soft_pause"
    assert "start_sweep" in minutes[0]["reasons"]
    assert bot.book("daily")
    assert "ERROR" not in bot.log().replace("EVENT_LOG", "")


def test_bot_d_never_places_an_order(make_exchange: MakeExchange, make_bot: MakeBot) -> None:
    """Variant d watches and books, whatever else its configuration says."""
    exchange = make_exchange()
    bot = make_bot(exchange, "d", enabled=True, no_trade=False, **FAST)
    bot.run()
    bot.wait_for_log("Ready to quote")
    time.sleep(70)
    assert "healthy" in bot.health()
    assert bot.stop() == 0
    assert exchange.orders(closed=True) == []
    assert bot.book("fills") == []
    assert (bot.root / "logs/epp_v24/bot1_d/fills.csv").read_text().startswith("ts,instance,")
    minutes = bot.book("minute")
    assert len(minutes) >= 2
    assert minutes[-1]["state"] == "soft_pause"
    assert "no_trade" in minutes[-1]["reasons"].split(";")
    assert bot.book("daily")


def test_a_stub_loads_and_stays_stopped(make_exchange: MakeExchange, make_bot: MakeBot) -> None:
    """Variants b and c report hard_stop: stub_disabled and never place an order."""
    exchange = make_exchange()
    bot = make_bot(exchange, "b", enabled=False, **FAST)
    bot.run()
    bot.wait_for_log("Ready to quote")
    time.sleep(5)
    assert "healthy" in bot.health()
    assert bot.stop() == 0
    assert exchange.orders(closed=True) == []
    assert bot.book("daily")[-1]["state"] == "hard_stop"


def test_kill_9_then_the_old_orders_are_swept_and_every_fill_is_booked_once(
    make_exchange: MakeExchange, make_bot: MakeBot
) -> None:
    """Trap 13, and fills made while the bot was down: fetched and booked first, each once."""
    exchange = make_exchange()
    bot = make_bot(exchange, **FAST)
    bot.run()
    bot.wait_for_log("First quote")
    # Neither a replacement nor one that is still under way: what is killed has orders on the exchange.
    exchange.fault("refuse-cancel")
    wait_for("orders on the exchange", exchange.orders, FILL_S)
    bot.kill()
    exchange.behave()
    left = {order["clientOid"] for order in exchange.orders()}
    assert left, "kill -9 leaves the orders on the exchange; that is what this is about"
    first_fill(exchange)
    missed = set(exchange.fills()) - {row["trade_id"] for row in bot.book("fills")}
    bot.start()
    bot.wait_for_log("Ready to quote", times=2)
    assert left.isdisjoint(order["clientOid"] for order in exchange.orders())
    assert missed <= {row["trade_id"] for row in bot.book("fills")}
    bot.wait_for_log("First quote", times=2)
    assert bot.stop() == 0
    assert exchange.orders() == []
    assert_books_agree(bot, exchange)
