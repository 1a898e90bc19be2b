"""The operator's word reaches a running bot: pause, resume and reset, stop, start and restart."""

import csv
import io
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.vps.machine import PlaybookRun, Vps, run_playbook, wait_until


def control(action: str, *words: str, bot: str = "bot1") -> PlaybookRun:
    """Run `control.yml` with a reason."""
    return run_playbook("control.yml", "-e", f"bot={bot}", "-e", f"action={action}", "-e", "reason=a test", *words)


def minute(vps: Vps) -> dict[str, str]:
    """bot1's newest minute row."""
    text = vps.run("cat /opt/hbot/data/bot1/logs/epp_v24/bot1_a/minute.csv")
    return list(csv.DictReader(io.StringIO(text)))[-1]


@pytest.fixture
def quoting(vps: Vps) -> Iterator[None]:
    """bot1 has orders on its exchange, before and after."""
    wait_until("bot1 has open orders", lambda: bool(vps.exchange("bot1", "orders")), timeout_s=420)
    yield
    wait_until("bot1 has open orders", lambda: bool(vps.exchange("bot1", "orders")), timeout_s=420)


@pytest.mark.usefixtures("quoting")
def test_a_pause_ends_the_quoting_and_resume_ends_that(vps: Vps) -> None:
    said = control("pause")
    assert said.code == 0, said.output
    wait_until("no order is open", lambda: vps.exchange("bot1", "orders") == [], timeout_s=30)
    wait_until("the minute row says soft_pause", lambda: minute(vps)["state"] == "soft_pause", timeout_s=180)
    assert control("resume").code == 0


@pytest.mark.usefixtures("quoting")
def test_the_kill_file_latches_the_bot_and_reset_ends_that(vps: Vps) -> None:
    vps.run("touch /opt/hbot/data/bot1/data/epp_v24/bot1_a/kill")
    wait_until("no order is open", lambda: vps.exchange("bot1", "orders") == [], timeout_s=30)
    wait_until("the minute row says hard_stop", lambda: minute(vps)["state"] == "hard_stop", timeout_s=180)
    assert control("reset").code == 0


@pytest.mark.usefixtures("quoting")
def test_a_stopped_bot_is_started_and_restarted(vps: Vps) -> None:
    assert control("stop").code == 0
    assert vps.exchange("bot1", "orders") == []
    assert control("stop").changed("bot1") == 0
    refused = control("pause")
    assert refused.code != 0
    assert "hbot-bot1 does not run, and so cannot pause: start it first" in refused.output
    assert control("start").code == 0
    wait_until("the bot is healthy", lambda: vps.health("hbot-bot1") == "healthy", timeout_s=300)
    before = vps.container("hbot-bot1")
    assert control("restart", "-e", "force=true").code == 0
    assert vps.container("hbot-bot1") != before
    wait_until("the bot is healthy", lambda: vps.health("hbot-bot1") == "healthy", timeout_s=300)


@pytest.mark.usefixtures("quoting")
def test_what_starts_a_bot_waits_for_another_run_and_a_pause_does_not(vps: Vps, held: Callable[[], object]) -> None:
    before = vps.container("hbot-bot1")
    assert control("pause").code == 0
    assert control("resume").code == 0
    refused = control("restart", "-e", "force=true")
    assert refused.code != 0
    words = " ".join(refused.output.split())
    assert "Nothing was done: a proof of this VPS, since" in words
    assert "waits for nobody: -e action=stop, -e action=kill" in words
    with ThreadPoolExecutor() as pool:
        restarted = pool.submit(control, "restart", "-e", "force=true")
        time.sleep(20)
        assert vps.container("hbot-bot1") == before
        held()
        assert restarted.result().code == 0, restarted.result().output
    assert vps.container("hbot-bot1") != before
    assert not vps.succeeds("test -e /run/hbot/lock.json")
    wait_until("the bot is healthy", lambda: vps.health("hbot-bot1") == "healthy", timeout_s=300)
