"""No stop, kill or power loss loses a fill, counts one twice, or leaves an order behind."""

import time

from tests.vps.machine import VPS_ADDRESS, Vps, embedded_vps, wait_until

BOT, CONTAINER = "bot1", "hbot-bot1"


def exchange_trade_ids(vps: Vps) -> list[str]:
    """Trade ids of the bot's fills in the exchange's own books, oldest first."""
    return sorted(str(fill["tradeId"]) for fill in vps.exchange(BOT, "fills"))


def booked_trade_ids(vps: Vps) -> list[str]:
    """Trade ids in fills.csv, repetitions included."""
    return sorted(row["trade_id"] for row in vps.fills_book(BOT))


def open_orders(vps: Vps) -> list[object]:
    """The bot's open orders in the exchange's books."""
    orders: list[object] = vps.exchange(BOT, "orders")
    return orders


def have_an_order_filled(vps: Vps) -> None:
    """Move the market up and down, further each time, until it meets an order: of itself it may not for an hour."""
    before = len(exchange_trade_ids(vps))
    try:
        for percent in ("0.6", "-0.6", "1.2", "-1.2", "2.4", "-2.4"):
            vps.exchange(BOT, "fault", "set", "price-jump", f"percent={percent}")
            deadline = time.monotonic() + 30  # five minutes of the market
            while time.monotonic() < deadline:
                if len(exchange_trade_ids(vps)) > before:
                    return
                time.sleep(1)
    finally:
        vps.exchange(BOT, "fault", "clear", "price-jump")
    raise AssertionError("no order was filled, wherever the market went")


def bot_agrees_with_its_exchange(vps: Vps) -> None:
    """Wait until the bot is well, then demand the same fills on both sides."""
    wait_until("the bot is healthy", lambda: vps.health(CONTAINER) == "healthy", timeout_s=300)
    wait_until(
        "fills.csv equals the exchange's fills", lambda: booked_trade_ids(vps) == exchange_trade_ids(vps), timeout_s=180
    )


def test_docker_stop_leaves_no_open_order(vps: Vps) -> None:
    wait_until("the bot has open orders", lambda: bool(open_orders(vps)), timeout_s=420)
    vps.run(f"docker stop {CONTAINER}")
    assert open_orders(vps) == []
    assert vps.run(f"docker inspect -f '{{{{.State.ExitCode}}}}' {CONTAINER}").strip() == "0"
    vps.run(f"docker start {CONTAINER}")
    bot_agrees_with_its_exchange(vps)


def test_fills_made_while_the_bot_was_down_are_booked_once(vps: Vps) -> None:
    wait_until("the bot has open orders", lambda: bool(open_orders(vps)), timeout_s=420)
    vps.run(f"docker kill {CONTAINER}")
    have_an_order_filled(vps)
    vps.run(f"docker start {CONTAINER}")
    bot_agrees_with_its_exchange(vps)


def test_a_reboot_gives_the_bot_time_to_cancel_its_orders(vps: Vps) -> None:
    wait_until("the bot has open orders", lambda: bool(open_orders(vps)), timeout_s=420)
    log = f"/opt/hbot/data/{BOT}/logs/logs_v2_epp_v2_4_bot_a.log"
    proof = f"grep -c 'Stop: the exchange shows no own order' {log}; true"
    before, running = int(vps.run(proof)), set(vps.containers())
    embedded_vps("reboot")
    wait_until(f"SSH answers on {VPS_ADDRESS}", vps.answers, timeout_s=180)
    assert int(vps.run(proof)) == before + 1
    wait_until("every container runs again", lambda: set(vps.containers()) == running, timeout_s=300)
    bot_agrees_with_its_exchange(vps)


def test_everything_comes_back_by_itself_after_a_power_loss(vps: Vps) -> None:
    running = set(vps.containers())
    embedded_vps("kill")
    embedded_vps("start")
    wait_until(f"SSH answers on {VPS_ADDRESS}", vps.answers, timeout_s=180)
    wait_until("every container runs again", lambda: set(vps.containers()) == running, timeout_s=300)
    bot_agrees_with_its_exchange(vps)
    wait_until("the bot quotes again", lambda: bool(open_orders(vps)), timeout_s=420)


def test_bot2_never_sent_an_order(vps: Vps) -> None:
    assert vps.exchange("bot2", "orders", "--all") == []
    assert vps.exchange("bot2", "fills") == []
