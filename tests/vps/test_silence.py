"""What a planned stop of a bot causes is not told while it lasts, by the VPS's own Alertmanager; anything else is."""

import json
import re
import shlex
import urllib.parse
from collections.abc import Iterator

import pytest

from tests.vps.machine import Vps, wait_until

ALERTMANAGER = "http://127.0.0.1:9093/api/v2"

Alert = tuple[str, str]
"""Name and bot."""


def program(vps: Vps, call: str) -> None:
    """Call the VPS's own program as an update or a rollback does."""
    script = vps.run("cat /opt/hbot/scripts/backup.sh")
    found = re.search(r"PYTHONPATH=(\S+)", script)
    assert found, script
    vps.run(f"PYTHONPATH={found[1]} python3 -B -c {shlex.quote(f'from host_backup import silence; silence.{call}')}")


def send(vps: Vps, alerts: list[dict[str, object]]) -> None:
    """Tell Alertmanager of alerts as Prometheus would."""
    script = (
        "import json,sys,urllib.request as web;"
        f"web.urlopen(web.Request('{ALERTMANAGER}/alerts',sys.argv[1].encode(),{{'Content-Type':'application/json'}}))"
    )
    vps.run(f"python3 -c {shlex.quote(script)} {shlex.quote(json.dumps(alerts))}")


def fire(vps: Vps, *alerts: Alert) -> None:
    """Have Alertmanager know alerts as Prometheus would."""
    send(vps, [{"labels": {"alertname": name, "bot": bot, "test": "silence"}} for name, bot in alerts])


def told(vps: Vps) -> set[Alert]:
    """This test's alerts that no silence holds back."""
    chosen = urllib.parse.urlencode({"silenced": "false", "filter": 'test="silence"'})
    found = json.loads(vps.fetch(f"{ALERTMANAGER}/alerts?{chosen}"))
    return {(alert["labels"]["alertname"], alert["labels"]["bot"]) for alert in found}


@pytest.fixture(autouse=True)
def nothing_is_left(vps: Vps) -> Iterator[None]:
    """The alerts of a test end with it."""
    yield
    over = "2020-01-01T00:00:00Z"
    ended = [{"alertname": name, "bot": bot, "test": "silence"} for name, bot in told(vps)]
    send(vps, [{"labels": labels, "endsAt": over} for labels in ended])


def test_what_a_planned_stop_causes_is_silent_until_it_is_over_and_nothing_else_is(vps: Vps) -> None:
    stop, others = ("ContainerDown", "bot8"), {("BotHardStop", "bot8"), ("ContainerDown", "bot88")}
    program(vps, 'begin("bot8", 600)')
    fire(vps, stop, *others)
    assert told(vps) == others
    program(vps, 'end("bot8")')
    wait_until("it is told again", lambda: told(vps) == {stop, *others}, 10)


def test_a_stop_whose_end_nobody_told_is_silent_no_longer_than_planned(vps: Vps) -> None:
    program(vps, 'begin("bot9", 3)')
    fire(vps, ("ContainerDown", "bot9"))
    wait_until("it is told", lambda: told(vps) == {("ContainerDown", "bot9")}, 30)


def test_an_operators_own_silence_stays(vps: Vps) -> None:
    amtool = "docker exec hbot-alertmanager amtool --alertmanager.url=http://127.0.0.1:9093 silence"
    by_hand = vps.run(f"{amtool} add bot=bot9 -d 5m -c test").strip()
    try:
        program(vps, 'begin("bot9", 600)')
        program(vps, 'end("bot9")')
        fire(vps, ("ContainerDown", "bot9"))
        assert told(vps) == set()
    finally:
        vps.run(f"{amtool} expire {by_hand}")


def test_without_an_alertmanager_the_work_goes_on(vps: Vps) -> None:
    program(vps, 'begin("bot9", 600, alertmanager="http://127.0.0.1:9")')
    program(vps, 'end("bot9", alertmanager="http://127.0.0.1:9")')
