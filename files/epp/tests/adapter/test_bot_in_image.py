"""EPP in real Hummingbot, in the bot image, against the paper exchange."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import Bot, Exchange

pytestmark = pytest.mark.bot_image

FILL_S = 180.0
KILL_ROUNDS = int(os.environ.get("EPP_KILL_ROUNDS", "3"))
"""Moments of kill -9 to try; 50 for the whole proof."""

FAST = {
    # A market at 30 times its pace moves as no real one does: narrow quotes without the caution that would (rightly)
    # widen or stop them, so that fills come within seconds. The defaults are the core's tests' and the demo's business.
    "total_amount_quote": 2000,
    "drift_alpha": 0.0001,
    "band_floor_weight": 0.0,
    "trend_enter_pct": 0.2,
    "shock_band_pct": 0.2,
    "shock_drift_pct": 0.2,
    "max_sample_jump_pct": 0.5,
    "max_last_trade_gap_pct": 0.1,
    "turnover_target_x": 50,
    "turnover_cap_x": 100,
    "trading_day_soft_pct": 0.5,
    "trading_day_hard_pct": 0.6,
    "trading_drawdown_soft_pct": 0.5,
    "trading_drawdown_hard_pct": 0.6,
    "mtm_day_soft_pct": 0.5,
    "mtm_day_hard_pct": 0.6,
    "mtm_drawdown_soft_pct": 0.5,
    "mtm_drawdown_hard_pct": 0.6,
}

MakeExchange = Callable[..., "Exchange"]
MakeBot = Callable[..., "Bot"]


def first_fill(exchange: Exchange) -> dict[str, dict[str, Any]]:
    """Wait for the market to reach one of the bot's orders."""
    deadline = time.monotonic() + FILL_S
    while time.monotonic() < deadline:
        if fills := exchange.fills():
            return fills
        time.sleep(1)
    pytest.fail(f"no fill within {FILL_S:.0f} s")


def assert_books_agree(bot: Bot, exchange: Exchange) -> None:
    """fills.csv has exactly the exchange's fills, each once, and the state file knows each."""
    booked = bot.book("fills")
    theirs = exchange.fills()
    assert sorted(row["trade_id"] for row in booked) == sorted(theirs)
    for row in booked:
        fill = theirs[row["trade_id"]]
        assert row["side"] == fill["side"]
        assert Decimal(row["price"]) == Decimal(fill["priceAvg"])
        assert Decimal(row["amount_base"]) == Decimal(fill["size"])
        assert Decimal(row["notional_quote"]) == Decimal(fill["priceAvg"]) * Decimal(fill["size"])
        assert row["is_maker"] == "true"
        detail = fill["feeDetail"]
        charged = detail[0] if isinstance(detail, list) else detail
        fee = -Decimal(charged["totalFee"]) * (Decimal(fill["priceAvg"]) if charged["feeCoin"] == "BTC" else 1)
        assert Decimal(row["fee_quote"]) == pytest.approx(fee, rel=Decimal("1e-9"))
    state = json.loads((bot.state_directory / "state_paper.json").read_text())
    text = json.dumps(state["body"])
    assert all(f'"{trade_id}"' in text for trade_id in theirs)


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
    bot.kill()
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


def test_kill_9_at_random_moments(make_exchange: MakeExchange, make_bot: MakeBot) -> None:
    """State, fills.csv and the exchange's own fills agree to the last one, every time."""
    exchange = make_exchange(market={"speed": 60})
    bot = make_bot(exchange, **FAST)
    bot.run()
    chance = random.Random(20260102)  # noqa: S311 -- not for secrets
    for number in range(KILL_ROUNDS):
        bot.wait_for_log("First quote", times=number + 1)
        time.sleep(chance.uniform(0, 20))
        bot.kill()
        bot.start()
    bot.wait_for_log("First quote", times=KILL_ROUNDS + 1)
    assert bot.stop() == 0
    assert exchange.orders() == []
    assert_books_agree(bot, exchange)
    assert exchange.fills(), "no fill happened: nothing was proven"


def test_other_orders_are_never_touched(make_exchange: MakeExchange, make_bot: MakeBot) -> None:
    """An order without the bot's prefix stops the bot for good, and stays where it is."""
    exchange = make_exchange()
    exchange.request(
        "POST",
        "/api/v2/spot/trade/place-order",
        {"symbol": "BTCUSDT", "side": "buy", "orderType": "limit", "force": "post_only", "size": "0.001",
         "price": "20000", "clientOid": "somebody-else-1"},
    )  # fmt: skip
    bot = make_bot(exchange, **FAST)
    bot.run()
    bot.wait_for_log("Ready to quote")
    time.sleep(5)
    assert "healthy" in bot.health()
    bot.stop()
    assert [order["clientOid"] for order in exchange.orders(closed=True)] == ["somebody-else-1"]
    assert exchange.orders()[0]["status"] == "live"
    assert bot.book("daily")[-1]["state"] == "hard_stop"


def test_a_live_bot_routed_to_the_simulator_stops(make_exchange: MakeExchange, make_bot: MakeBot) -> None:
    """Mode and routing must agree, or nothing is placed."""
    exchange = make_exchange()
    bot = make_bot(exchange, mode="live", market_source="exchange", **FAST)
    bot.run()
    bot.wait_for_log("Routing: mode is live, but api.bitget.com is")
    time.sleep(3)
    bot.stop()
    assert exchange.orders(closed=True) == []
    assert bot.book("daily")[-1]["state"] == "hard_stop"
    assert not (bot.state_directory / "state_paper.json").exists()


def test_the_kill_file_stops_it_at_once(make_exchange: MakeExchange, make_bot: MakeBot) -> None:
    """Everything is cancelled, and the latch survives a restart until the operator resets it with a reason."""
    exchange = make_exchange()
    bot = make_bot(exchange, **FAST)
    bot.run()
    bot.wait_for_log("First quote")
    (bot.state_directory / "kill").touch()
    time.sleep(8)
    assert exchange.orders() == []
    (bot.state_directory / "kill").unlink()
    bot.kill()
    bot.start()
    bot.wait_for_log("Ready to quote", times=2)
    time.sleep(5)
    assert exchange.orders() == []
    request = bot.state_directory / "commands/1.json"
    request.with_suffix(".tmp").write_text('{"action": "reset", "reason": "the test is over"}')
    request.with_suffix(".tmp").rename(request)
    bot.wait_for_log("First quote", times=2)
    answer = json.loads((bot.state_directory / "commands/answered/1.json").read_text())["answer"]
    assert "kill_file" in answer
    assert bot.stop() == 0
    assert exchange.orders() == []
