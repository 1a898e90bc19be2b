"""The known traps of Hummingbot itself, numbered as in the contract, each proven avoided where it lurks.

The core's share in them, and the other traps, are in tests/test_known_traps.py; 5, 6, 7, 10 and 13 are proven by what
test_bot_in_image.py and test_guard_in_hummingbot.py do.
"""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from epp.tests.adapter.conftest import docker, wait_for
from epp.tests.adapter.watch import RECOVERY_S, SOON_S, Watch, a_bot, neutral, wave

pytestmark = pytest.mark.bot_image

CANCEL = "/api/v2/spot/trade/cancel-order"


@pytest.fixture(scope="module")
def watch(bot_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    """One bot with one order a side, which it replaces whenever the market has moved."""
    one_level = neutral(levels_min=1, levels_max=1, refresh_s=5)
    with a_bot(tmp_path_factory.mktemp("traps"), wave(), **one_level, exception_hold_s=15) as watch:
        yield watch


def notional(watch: Watch, since: float = 0.0) -> Decimal:
    """Worth of all open orders that were placed since."""
    orders = [order for order in watch.exchange.orders() if int(order["cTime"]) / 1000 > since]
    return sum((Decimal(order["price"]) * Decimal(order["size"]) for order in orders), Decimal(0))


def placements_refused(watch: Watch) -> list[float]:
    """When the exchange refused a placement, by its own log."""
    lines = [json.loads(line) for line in docker("logs", watch.exchange.name).splitlines()]
    refused = [line for line in lines if line["message"] == "request refused" and line["endpoint"] == "place-order"]
    return [datetime.fromisoformat(line["ts"]).timestamp() for line in refused]


def created_after(watch: Watch, moment: float) -> list[dict[str, Any]]:
    """Orders placed since, oldest first."""
    orders = [order for order in watch.exchange.orders(closed=True) if int(order["cTime"]) / 1000 > moment]
    return sorted(orders, key=lambda order: int(order["cTime"]))


def test_trap_16_the_config_object_is_replaced_by_a_copy_on_a_live_update(watch: Watch) -> None:
    """Hummingbot looks at the file every 10 s; a running bot takes nothing from it, whole or broken."""
    watch.running()
    path = watch.bot.root / watch.bot.configuration
    as_started = path.read_text()
    changed = time.time()
    watch.bot.configure(total_amount_quote=120, manual_kill_switch=True)
    time.sleep(12)
    path.write_text("id: [torn")
    time.sleep(12)
    wait_for("an order placed since", lambda: created_after(watch, changed), 60, 1)
    watch.running(RECOVERY_S)
    # Two orders of 1 % of 10,000, which are now and then away to be replaced.
    wait_for("orders as it was started with", lambda: notional(watch, changed) > 150, SOON_S)
    assert "Unexpected error running clock tick" not in watch.bot.log()
    path.write_text(as_started)


def cancelled_from_outside(watch: Watch) -> dict[str, Any]:
    """An order that was cancelled, and not by the bot; it may be replacing the one that is tried, then the next is."""

    def attempt() -> dict[str, Any] | None:
        order = max(watch.exchange.orders(), key=lambda each: int(each["cTime"]), default=None)
        if order is None:
            return None
        before = len(watch.bot.log())
        answer = watch.exchange.request("POST", CANCEL, {"symbol": "BTCUSDT", "clientOid": order["clientOid"]})
        if answer["code"] != "00000":
            return None
        said = f"{order['side']} level 0 was not accepted: the exchange cancelled it by itself"
        heard = time.monotonic() + 10
        while time.monotonic() < heard:
            new = watch.bot.log()[before:]
            if said in new:
                return order
            time.sleep(0.25)
        return None

    return wait_for("an order cancelled by another than the bot", attempt, 90)


def test_trap_15_an_order_that_the_exchange_cancelled_is_not_placed_again_at_its_old_price(watch: Watch) -> None:
    watch.running()
    order = cancelled_from_outside(watch)
    gone = next(
        int(each["uTime"]) / 1000
        for each in watch.exchange.orders(closed=True)
        if each["clientOid"] == order["clientOid"]
    )
    same_side = wait_for(
        "another order",
        lambda: [other for other in created_after(watch, gone) if other["side"] == order["side"]],
        60,
        1,
    )
    assert int(same_side[0]["cTime"]) / 1000 - gone > 9, "its place rests for 10 s"
    watch.running(30)


def test_trap_15_a_refused_order_is_not_tried_ten_times(watch: Watch) -> None:
    """Its place rests for 10 s, then 20 s; the executor tries once."""
    watch.running()
    watch.bot.request("pause", "the exchange is about to refuse")
    watch.no_order_is_left()
    watch.exchange.fault("refuse-place")
    before = len(placements_refused(watch))
    watch.bot.request("resume", "see what happens")
    wait_for("both places tried again", lambda: len(placements_refused(watch)) >= before + 4, SOON_S, 1)
    time.sleep(12)
    refused = placements_refused(watch)[before:]
    assert refused[2] - refused[1] > 9, "two places, at once and after 10 s"
    assert [moment for moment in refused[4:] if moment < refused[2] + 19] == [], "and then after 20 s"
    watch.exchange.behave()
    watch.running(RECOVERY_S)


def test_trap_15_quote_anew_only_when_the_old_order_is_known_to_be_gone(watch: Watch) -> None:
    """With cancels that take 4 s, no side ever has two orders at once."""
    watch.running()
    began = time.time()
    watch.exchange.fault("latency", "endpoint=cancel-order", "ms=4000")
    wait_for(
        "orders that were replaced",
        lambda: sum(order["status"] == "cancelled" for order in created_after(watch, began)) >= 4,
        RECOVERY_S,
        2,
    )
    watch.exchange.behave()
    orders = created_after(watch, began)
    for side in ("buy", "sell"):
        own = [order for order in orders if order["side"] == side]
        for before, after in itertools.pairwise(own):
            assert before["status"] != "live"
            assert int(after["cTime"]) >= int(before["uTime"])
    watch.running(RECOVERY_S)


def test_trap_12_exceptions_inside_a_controllers_loop_are_logged_and_swallowed_by_the_framework(watch: Watch) -> None:
    """The process lives and ticks on; the guard has counted them, pulled the quotes and latched."""
    watch.running()
    failed = watch.bot.log().count("The tick failed")
    watch.bot.state_directory.chmod(0)
    try:
        wait_for("exceptions", lambda: watch.bot.log().count("The tick failed") >= failed + 4, SOON_S, 0.1)
        watch.no_order_is_left()
    finally:
        watch.bot.state_directory.chmod(0o755)
    watch.until("hard_stop", "exception", SOON_S)
    assert "healthy" in watch.bot.health()
    watch.reset("exception")


def test_trap_11_a_refused_cancel_raises_no_event_at_all(watch: Watch) -> None:
    """One log line of Hummingbot's, and 60 s in which it would not try again: the order's outliving is the signal."""
    watch.running()
    before = len(watch.bot.log())
    watch.holds_its_orders()
    found = wait_for(
        "a refused cancel", lambda: re.search(r"Failed to cancel order (\S+)", watch.bot.log()[before:]), 60
    )
    order_id = found[1].rstrip(".")
    watch.bot.wait_for_log(f"Cancel of {order_id} refused", SOON_S)
    told = [line for line in watch.bot.log()[before:].splitlines() if "EVENT_LOG" in line and order_id in line]
    assert not [line for line in told if "Cancel" in line or "Fail" in line]
    wait_for("the guard's count", lambda: watch.guard()["cancel_fail_streak"] > 0, SOON_S)
    watch.exchange.behave()
    wait_for("the order gone", lambda: order_id not in {o["clientOid"] for o in watch.exchange.orders()}, SOON_S, 1)
    watch.running(RECOVERY_S)


def test_trap_11_a_graceful_stop_can_leave_orders_behind_and_still_exit_0(watch: Watch) -> None:
    """It says so, and the next start sweeps them before its first quote. That start reads the new configuration."""
    watch.running()
    watch.holds_its_orders()
    assert watch.bot.stop() == 0
    left = {order["clientOid"] for order in watch.exchange.orders()}
    assert left
    assert "OWN ORDERS MAY STILL BE OPEN" in watch.bot.log()
    watch.exchange.behave()
    watch.bot.configure(total_amount_quote=120)
    watch.bot.start()
    watch.bot.wait_until_ready()
    assert left.isdisjoint(order["clientOid"] for order in watch.exchange.orders())
    wait_for("an order", watch.exchange.orders, SOON_S, 1)
    assert notional(watch) <= 120
    assert watch.bot.stop() == 0
    assert watch.exchange.orders() == []
