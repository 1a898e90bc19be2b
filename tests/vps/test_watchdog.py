"""The kill switch on a VPS: the latch is a file, and systemd does the rest."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.vps.machine import PlaybookRun, Vps, run_playbook, wait_until

LATCH = "/opt/hbot/watchdog/latches/bot1/latch.json"
MARK = "/opt/hbot/evidence/bot1/watchdog_drill.json"


def control(action: str, bot: str = "bot1") -> PlaybookRun:
    """Run `control.yml` with a reason."""
    return run_playbook("control.yml", "-e", f"bot={bot}", "-e", f"action={action}", "-e", "reason='a test'")


def status(vps: Vps, bot: str = "bot1") -> dict[str, Any]:
    """What a bot's watchdog says of itself."""
    return dict(json.loads(vps.run(f"docker exec hbot-{bot}-watchdog python -m watchdog status")))


def runs(vps: Vps, bot: str = "bot1") -> bool:
    """Whether a bot's container runs."""
    return vps.run(f"docker inspect -f '{{{{.State.Running}}}}' hbot-{bot}").strip() == "true"


@pytest.fixture
def quoting(vps: Vps) -> Iterator[None]:
    """bot1 has orders on its exchange, before and after."""
    wait_until("bot1 has open orders", lambda: bool(vps.exchange("bot1", "orders")), timeout_s=420)
    yield
    wait_until("bot1 has open orders", lambda: bool(vps.exchange("bot1", "orders")), timeout_s=420)


def test_every_bot_has_a_watchdog_that_is_in_a_dry_run_in_paper(vps: Vps) -> None:
    for bot in ("bot1", "bot2"):
        assert vps.health(f"hbot-{bot}-watchdog") == "healthy"
        assert vps.succeeds(f"systemctl is-active hbot-latch@{bot}.path")
    assert vps.succeeds("systemctl is-active hbot-containers.service")
    assert status(vps)["armed"] is False
    assert json.loads(vps.run("cat /opt/hbot/watchdog/containers/bot1.json"))["state"] == "running"
    # Its key, its latch and its memory are nothing that the bot can reach.
    assert not vps.succeeds("docker inspect hbot-bot1 | grep -q /opt/hbot/watchdog")


@pytest.mark.usefixtures("quoting")
def test_a_kill_stops_the_bot_through_the_latch_and_only_rearm_ends_it(vps: Vps) -> None:
    other = vps.container("hbot-bot2")
    killed = control("kill")
    assert killed.code == 0, killed.output
    assert "no own order was open" in " ".join(killed.output.split())
    assert vps.succeeds(f"test -e {LATCH}")
    assert not runs(vps)
    assert vps.exchange("bot1", "orders") == []

    refused = control("start")
    assert refused.code != 0
    assert "-e action=rearm" in " ".join(refused.output.split())
    vps.run("docker start hbot-bot1")  # by hand
    wait_until("it is stopped again", lambda: not runs(vps), timeout_s=60)
    converged = run_playbook("site.yml", "--limit", "bot1")
    assert converged.code == 0, converged.output
    assert "is latched by its watchdog and stays stopped" in " ".join(converged.output.split())
    assert not runs(vps)
    assert vps.exchange("bot1", "orders") == []

    rearmed = control("rearm")
    assert rearmed.code == 0, rearmed.output
    assert runs(vps)
    assert not vps.succeeds(f"test -e {LATCH}")
    assert vps.container("hbot-bot2") == other


@pytest.mark.usefixtures("quoting")
def test_a_latch_alone_stops_the_bot(vps: Vps) -> None:
    """The path unit sees the file, whoever wrote it: here nobody else is there to stop the bot."""
    vps.run("docker stop hbot-bot1-watchdog")
    vps.run(f"echo '{{}}' > {LATCH}")
    wait_until("it is stopped", lambda: not runs(vps), timeout_s=60, poll_s=0.5)
    vps.run("docker start hbot-bot1-watchdog")
    wait_until("the watchdog has proved it", lambda: bool((status(vps)["stop"] or {}).get("proved")), timeout_s=180)
    assert "cannot be read" in status(vps)["latched"]["detail"]
    assert control("rearm").code == 0


@pytest.mark.usefixtures("quoting")
def test_a_drill_leaves_the_mark_that_the_gate_reads(vps: Vps) -> None:
    vps.run(f"rm -f {MARK}")
    drilled = control("drill")
    assert drilled.code == 0, drilled.output
    mark = json.loads(vps.run(f"cat {MARK}"))
    assert (mark["schema"], mark["kind"], mark["ok"], mark["bot"]) == (1, "watchdog_drill", True, "bot1")
    assert mark["armed"] is False
    assert mark["account"]
    assert runs(vps)


def test_an_alert_stops_the_bot_that_it_names(vps: Vps) -> None:
    """As Alertmanager posts it, on loopback."""
    labels = {"alertname": "BotUnhealthy", "bot": "bot2", "watchdog": "trip"}
    notification = {"version": "4", "alerts": [{"status": "firing", "labels": labels, "annotations": {}}]}
    post = f"urlopen('http://127.0.0.1:9097/alertmanager', json.dumps({notification}).encode())"
    said = vps.run(f'python3 -c "import json; from urllib.request import urlopen; print({post}.read().decode())"')
    assert said.strip() == "1 handed over"
    wait_until("bot2 is stopped", lambda: not runs(vps, "bot2"), timeout_s=60)
    wait_until("it is proved", lambda: bool((status(vps, "bot2")["stop"] or {}).get("proved")), timeout_s=180)
    assert status(vps, "bot2")["latched"]["code"] == "alert"
    assert runs(vps, "bot1")
    assert control("rearm", "bot2").code == 0
