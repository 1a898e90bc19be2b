"""The kill switch with a real bot: whatever befalls it, its orders are off the exchange within 30 s and stay off."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from epp.tests.adapter.conftest import KEYS, docker, wait_for

from .conftest import SEEN_S

if TYPE_CHECKING:
    from .conftest import Stage

pytestmark = pytest.mark.bot_image

PROMISED_S = 30.0


def assert_off(stage: Stage, trip: str, since: float | None = None, within: float = PROMISED_S) -> None:
    """The bot's orders are off in time and stay off, for this reason, and no stranger's order was touched."""
    print(f"{trip}: off after {stage.off_within(within, since):.1f} s")
    wait_for("it is proved", lambda: stage.own_orders() == [] and stage.proved(), 2 * SEEN_S)
    stage.stays_off(5)
    assert stage.trip() == trip
    assert not stage.bot_runs()
    assert stage.strangers_untouched()


def test_a_frozen_bot_that_thaws_while_it_is_being_stopped(quoting: Stage) -> None:
    """SIGSTOP, and SIGCONT when it could place orders again."""
    began = time.time()
    quoting.signal_engine("SIGSTOP")
    quoting.invite_strangers()
    wait_for("the latch", lambda: quoting.watchdog.latch.exists() or None, PROMISED_S + SEEN_S, every=0.1)
    time.sleep(3)
    quoting.signal_engine("SIGCONT")
    assert_off(quoting, "stale_heartbeat", began)


def test_nothing_but_the_operator_with_a_reason_ends_it(stage: Stage) -> None:
    """A latched bot that is started is stopped again before it quotes; a restarted watchdog keeps the latch."""
    assert stage.watchdog.latch.exists(), "the test before this one leaves it latched"
    docker("restart", stage.watchdog.container)
    docker("start", stage.bot.container)
    wait_for("the bot is stopped again", lambda: not stage.bot_runs() or None, SEEN_S)
    assert stage.own_orders() == []
    refused = stage.watchdog.say("rearm", "--reason", " ")
    assert (refused.returncode, refused.stderr) == (1, "watchdog: a reason is required\n")
    wait_for("it is proved anew", lambda: stage.proved() or None, 2 * SEEN_S)
    assert stage.watchdog.say("rearm", "--reason", "looked at it").returncode == 0
    assert not stage.watchdog.latch.exists()
    assert stage.watchdog.events("rearmed")[-1]["detail"] == "looked at it"


def test_a_bot_whose_container_is_gone(quoting: Stage) -> None:
    """Its orders are swept at once; the watchdog does not latch, because nothing is left to guard."""
    docker("rm", "-f", quoting.bot.container)
    quoting.invite_strangers()
    print(f"gone: off after {quoting.off_within(PROMISED_S):.1f} s")
    quoting.stays_off(10)
    assert quoting.watchdog.events("swept")
    assert not quoting.watchdog.latch.exists()
    assert quoting.strangers_untouched()


def test_a_bot_whose_network_is_cut(quoting: Stage) -> None:
    """It ticks, and hears nothing."""
    began = time.time()
    docker("network", "disconnect", quoting.exchange.network, quoting.bot.container)
    quoting.invite_strangers()
    try:
        assert_off(quoting, "deaf", began)
    finally:
        docker("rm", "-f", quoting.bot.container)


def test_an_exchange_that_answers_5xx_for_a_minute(quoting: Stage) -> None:
    """The bot is stopped meanwhile, and the orders are off as soon as the exchange answers."""
    quoting.invite_strangers()
    quoting.exchange.ctl("fault", "set", "http-error", "status=503", "--for", "60")
    began = time.time()
    wait_for("the bot is stopped", lambda: not quoting.bot_runs() or None, 60 + SEEN_S)
    print(f"5xx: stopped after {time.time() - began:.1f} s")
    wait_for("the fault is over", lambda: quoting.exchange.ctl("fault", "list") == [] or None, 60 + SEEN_S, every=0.2)
    assert_off(quoting, "blind", began + 60, within=10)


def test_an_operators_word_and_an_alert(quoting: Stage) -> None:
    """Both stop a bot that is well; an alert can do nothing else."""
    alerts = quoting.watchdog.root / "alerts" / quoting.watchdog.name
    quoting.invite_strangers()
    for name, action, reason in (("1", "rearm", "let me"), ("2", "kill", "BotUnhealthy is firing")):
        (alerts / f"{name}.tmp").write_text(json.dumps({"action": action, "reason": reason}))
        (alerts / f"{name}.tmp").rename(alerts / f"{name}.json")
    wait_for("the answer to the kill", (alerts / "answered/2.json").exists, SEEN_S)
    assert_off(quoting, "alert")
    answers = [json.loads((alerts / f"answered/{n}.json").read_text())["answer"] for n in (1, 2)]
    assert answers[0] == "refused: action is 'rearm', not one of kill"
    assert answers[1].startswith("latched")
    quoting.quote()
    quoting.invite_strangers()
    assert quoting.watchdog.say("kill", "--reason", "a test").returncode == 0
    assert_off(quoting, "operator")


def test_a_planned_stop_holds_a_lease(quoting: Stage) -> None:
    """A bot may be silent for so long, and not for longer than ten minutes."""
    refused = quoting.watchdog.say("lease", "--seconds", "601", "--reason", "a test")
    assert refused.returncode == 1
    assert "at most 600 s" in refused.stderr
    assert quoting.watchdog.say("lease", "--seconds", "60", "--reason", "a test").returncode == 0
    quoting.signal_engine("SIGSTOP")
    quoting.invite_strangers()
    time.sleep(25)
    assert not quoting.watchdog.latch.exists()
    wait_for("the lease is over and the latch is there", lambda: quoting.watchdog.latch.exists() or None, 2 * SEEN_S)
    assert_off(quoting, "stale_heartbeat")


def test_the_operators_own_machine_takes_the_orders_off(quoting: Stage) -> None:
    """Neither the bot nor its watchdog is there: only the key and a way to the exchange."""
    docker("stop", quoting.watchdog.container)
    docker("kill", quoting.bot.container)
    quoting.invite_strangers()
    try:
        done = quoting.off_from_here(linger_s=5)
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout.splitlines()[-1])["ok"] is True
        assert quoting.own_orders() == []
        assert quoting.strangers_untouched()
        assert KEYS["secret_key"] not in done.stdout + done.stderr
    finally:
        docker("start", quoting.watchdog.container)


def test_a_second_watchdog_elsewhere_keeps_cancelling_what_a_living_bot_places(quoting: Stage) -> None:
    """It can stop no container; the orders are off again and again until the bot gives up or is stopped."""
    docker("stop", quoting.watchdog.container)
    second = quoting.second_watchdog()
    try:
        assert second.say("kill", "--reason", "a test").returncode == 0
        wait_for("no own order is open", lambda: not quoting.own_orders() or None, PROMISED_S)
        seen = []
        for look in range(20):
            if look == 10:
                quoting.invite_strangers()
            seen.append(len(quoting.own_orders()))
            time.sleep(1)
        assert seen.count(0) >= 10, seen
        assert quoting.bot_runs()
        assert quoting.strangers_untouched()
    finally:
        second.remove()
        docker("start", quoting.watchdog.container)
        docker("rm", "-f", quoting.bot.container)
