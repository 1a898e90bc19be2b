"""Alerts that real faults cause arrive at a receiver within the promised time, and end when the fault does.

A test alert arrives at a receiver of each kind, and one that cannot take it is named with the reason.

The faults of a round are caused at once, and each is mended as soon as it has been told. `HBOT_ALERT_FAULTS=all` goes
through every round, a round's name through that one; otherwise the quick one is.
"""

import json
import math
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from embedded_vps import layout, small_disk
from tests.vps import services
from tests.vps.machine import INVENTORY, ROOT, Vps, cable, processes, run_playbook, wait_until
from tests.vps.services import Mailbox, Services

BOT1 = "/opt/hbot/data/bot1"
LOG = f"{BOT1}/logs/logs_v2_epp_v2_4_bot_a.log"
REPOSITORY = "/opt/hbot/backups/repository"
BACKUP = "/opt/hbot/scripts/backup.sh bot2"

SILENT_LOG_S, STALE_ORDER_S, BACKUP_AGE_S = 60, 240, 300
"""Thresholds of the inventory that the VPS is converged from here, so that nobody waits for a day."""

DELIVERY_S = 45.0
"""A scrape and an evaluation, a quarter of a minute each, and 10 s in which Alertmanager gathers: docs/alerts.md."""
FACTS_S, MINUTE_ROW_S, PROBE_S = 40.0, 65.0, 30.0
"""How often containers are looked at, a bot writes down how it is, and the exchange is asked; at most."""
CHANGES_S = 60.0
"""Alertmanager tells changes of what it told once a minute."""


class Receiver:
    """A server on this machine that takes what Alertmanager sends, and stands in for the exchange's public API."""

    def __init__(self) -> None:
        self.taken: list[tuple[float, dict[str, Any]]] = []
        """When each alert came, and the alert."""
        self.takes = True
        self.exchange_answers = True
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._end(200 if receiver.exchange_answers else 503)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if receiver.takes:
                    receiver.taken += [(time.time(), alert) for alert in body["alerts"]]
                self._end(200 if receiver.takes else 500)

            def _end(self, status: int) -> None:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
                pass

        self.server = ThreadingHTTPServer((str(layout.GATEWAY.v4), 0), Handler)
        self.url = f"http://{layout.GATEWAY.v4}:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def seconds_until(self, promise: "Promise", status: str, deed: "Deed") -> float:
        """From a deed's end to the first message of what began, or ended, since its begin; infinite without one."""
        wanted = {"alertname": promise.alert} | promise.labels
        for at, alert in self.taken:
            changed = datetime.fromisoformat(alert["startsAt" if status == "firing" else "endsAt"]).timestamp()
            if alert["status"] == status and changed >= deed.began and wanted.items() <= alert["labels"].items():
                return at - deed.ended
        return math.inf


@dataclass(frozen=True)
class Deed:
    """When a fault was caused, or mended. A backup that fails, or succeeds, takes its time, which is no alert's."""

    began: float
    ended: float


def done(deed: Callable[[Vps, Receiver], object], vps: Vps, receiver: Receiver) -> Deed:
    """Cause a fault, or mend it."""
    began = time.time()
    deed(vps, receiver)
    return Deed(began, time.time())


@dataclass(frozen=True)
class Promise:
    """An alert that a fault causes."""

    alert: str
    labels: dict[str, str]
    within_s: float
    """From the fault to the message."""
    ends_within_s: float
    """From the fault's end to the message of that."""


@dataclass(frozen=True)
class Fault:
    """What is done to the VPS, what undoes it, and what is told of it."""

    promises: tuple[Promise, ...]
    cause: Callable[[Vps, Receiver], object]
    mend: Callable[[Vps, Receiver], object]


def of_exchange(answers: bool) -> Callable[[Vps, Receiver], object]:
    """Let the exchange's API answer, or not."""
    return lambda _, receiver: setattr(receiver, "exchange_answers", answers)


def on_vps(command: str) -> Callable[[Vps, Receiver], object]:
    """Run a command on the VPS."""
    return lambda vps, _: vps.run(command)


def reset(bot: str) -> Callable[[Vps, Receiver], object]:
    """Let the exchange cancel again, and take the bot's hard stop away as its operator does."""

    def mend(vps: Vps, _receiver: Receiver) -> None:
        vps.exchange(bot, "fault", "clear")
        run = run_playbook("control.yml", "-e", f"bot={bot}", "-e", "action=reset", "-e", "reason='a test'")
        assert run.code == 0, run.output

    return mend


def refuse_cancels(vps: Vps, _receiver: Receiver) -> None:
    """Let the exchange keep the orders that the bot has."""
    wait_until("bot1 has orders", lambda: bool(vps.exchange("bot1", "orders")), 120)
    vps.exchange("bot1", "fault", "set", "refuse-cancel")


def fill_small_disk(vps: Vps, _receiver: Receiver) -> None:
    """Give the VPS a disk of its own, and fill it."""
    small_disk.attach()
    vps.run(f"! dd if=/dev/zero of={small_disk.MOUNT_POINT}/full bs=1M 2>/dev/null")


QUICK = {
    "a container is killed": Fault(
        (
            Promise(
                "ContainerDown",
                {"bot": "bot2", "name": "hbot-bot2"},
                FACTS_S + 30 + DELIVERY_S,
                FACTS_S + DELIVERY_S + CHANGES_S,
            ),
        ),
        on_vps("docker kill hbot-bot2"),
        on_vps("docker start hbot-bot2"),
    ),
    "a backup fails": Fault(
        (
            Promise(
                "BackupFailed",
                {"set": "bot2", "repository": "local"},
                60 + DELIVERY_S,
                DELIVERY_S + CHANGES_S,
            ),
        ),
        on_vps(f"mv {REPOSITORY} {REPOSITORY}.moved; ! {BACKUP}"),
        on_vps(f"mv {REPOSITORY}.moved {REPOSITORY}; {BACKUP}"),
    ),
}
SLOW = {
    "a log is silent": Fault(
        (Promise("BotLogSilent", {"bot": "bot1"}, SILENT_LOG_S + 60 + DELIVERY_S, DELIVERY_S + CHANGES_S),),
        # What Hummingbot goes on writing to is no file of its logs any more.
        on_vps(f"mv {LOG} {LOG}.moved && cp -p {LOG}.moved {LOG}"),
        on_vps(f"mv {LOG}.moved {LOG}"),
    ),
    "the exchange's API does not answer": Fault(
        (
            Promise(
                "ExchangeApiDown",
                {"severity": "critical"},
                PROBE_S + 120 + DELIVERY_S,
                PROBE_S + DELIVERY_S + CHANGES_S,
            ),
        ),
        of_exchange(answers=False),
        of_exchange(answers=True),
    ),
    # Its check fails once the last minute row is 150 s old; Docker wants three failures, half a minute apart.
    "a bot is frozen": Fault(
        (
            Promise(
                "ContainerUnhealthy",
                {"bot": "bot2", "name": "hbot-bot2"},
                150 + 3 * 40 + FACTS_S + 60 + DELIVERY_S,
                MINUTE_ROW_S + 40 + FACTS_S + DELIVERY_S + CHANGES_S,
            ),
        ),
        on_vps(f"kill -STOP {processes('bot2')}"),
        on_vps(f"kill -CONT {processes('bot2')}"),
    ),
    "a small disk is filled": Fault(
        (Promise("DiskAlmostFull", {"mountpoint": small_disk.MOUNT_POINT}, 300 + DELIVERY_S, DELIVERY_S + CHANGES_S),),
        fill_small_disk,
        lambda _vps, _receiver: small_disk.detach(),
    ),
}
LONG = {
    "cancels are refused, so that orders get stale": Fault(
        (
            # A misplaced order is replaced within two minutes. A cancel is repeated after 10 s, then every 5 s.
            Promise(
                "BotCancelsFail",
                {"bot": "bot1"},
                120 + 20 + MINUTE_ROW_S + 60 + DELIVERY_S,
                MINUTE_ROW_S + DELIVERY_S + CHANGES_S,
            ),
            Promise(
                "BotOrdersStale",
                {"bot": "bot1"},
                STALE_ORDER_S + MINUTE_ROW_S + 300 + DELIVERY_S,
                MINUTE_ROW_S + DELIVERY_S + CHANGES_S,
            ),
        ),
        refuse_cancels,
        reset("bot1"),
    ),
    # A bot looks at the clock once a minute, and believes the median of five looks.
    "the exchange's clock is moved": Fault(
        (
            Promise(
                "BotClockSkewed",
                {"bot": "bot1"},
                3 * 60 + MINUTE_ROW_S + 120 + DELIVERY_S,
                3 * 60 + MINUTE_ROW_S + DELIVERY_S + CHANGES_S,
            ),
        ),
        lambda vps, _: vps.exchange("bot1", "fault", "set", "clock-skew", "ms=3000"),
        lambda vps, _: vps.exchange("bot1", "fault", "clear", "clock-skew"),
    ),
    # Three minutes without a byte, for two more.
    "a bot's network is cut": Fault(
        (Promise("BotNoNetwork", {"bot": "bot2"}, 180 + 15 + 120 + DELIVERY_S, DELIVERY_S + CHANGES_S),),
        on_vps(f"ip link set {cable('bot2')} down"),
        on_vps(f"ip link set {cable('bot2')} up"),
    ),
    "a backup is skipped": Fault(
        (
            Promise(
                "BackupOld",
                {"set": "bot2", "repository": "local"},
                BACKUP_AGE_S + 300 + DELIVERY_S,
                DELIVERY_S + CHANGES_S,
            ),
        ),
        on_vps(BACKUP),  # after which none runs
        on_vps(BACKUP),
    ),
}
STOP = {
    "a bot is driven to a hard stop": Fault(
        (
            Promise(
                "BotHardStop",
                {"bot": "bot1", "severity": "critical"},
                MINUTE_ROW_S + 30 + DELIVERY_S,
                MINUTE_ROW_S + DELIVERY_S + CHANGES_S,
            ),
        ),
        on_vps(f"touch {BOT1}/data/epp_v24/bot1_a/kill"),
        reset("bot1"),
    ),
}
EXPORTER = {
    "the bot exporter is stopped": Fault(
        (Promise("BotExporterDown", {"job": "bot-exporter"}, 60 + DELIVERY_S, DELIVERY_S + CHANGES_S),),
        on_vps("systemctl stop hbot-bot-exporter"),
        on_vps("systemctl start hbot-bot-exporter"),
    ),
}
CRASHES = 5
"""Restarts in a quarter of an hour; above three they are a loop. Docker waits longer before each."""
GONE_FROM_WINDOW_S = 15 * 60


def told_for_a_while(alert: str, bot: str) -> Promise:
    """An alert on what happened in the last quarter of an hour: its end comes when that is over."""
    ends_within_s = GONE_FROM_WINDOW_S + FACTS_S + DELIVERY_S + CHANGES_S
    return Promise(alert, {"bot": bot, "name": f"hbot-{bot}"}, FACTS_S + DELIVERY_S, ends_within_s)


KILLED = {
    # The process that takes too much is the one that the kernel kills, or the bot: either is told.
    "a container wants more memory than it may have": Fault(
        (told_for_a_while("ContainerOomKilled", "bot2"),),
        on_vps("! docker exec hbot-bot2 python -c 'bytearray(3 << 30)'"),
        on_vps("true"),
    ),
    "a container crashes again and again": Fault(
        (told_for_a_while("ContainerRestartLoop", "bot1"),),
        on_vps(
            f"for n in $(seq {CRASHES}); do "
            "until p=$(docker inspect -f '{{.State.Pid}}' hbot-bot1) && [ $p != 0 ]; do sleep 1; done; "
            "kill -9 $p; sleep 10; done"
        ),
        on_vps("true"),
    ),
}
ROUNDS = {
    "quick": QUICK,
    "slow": SLOW,
    "long": LONG,
    "killed": KILLED,
    "hard stop": STOP,
    "without the exporter": EXPORTER,
}
WANTED = os.environ.get("HBOT_ALERT_FAULTS", "quick")
CAUSED = list(ROUNDS) if WANTED == "all" else [WANTED]


GATEWAY = str(layout.GATEWAY.v4)
TEST_TITLE, TEST_SUMMARY = "[FIRING, critical] TestAlert", "This is a test: alerts of this VPS arrive here."

REFUSED = {
    # what its words must be, by receiver
    "hook": "unexpected status code 500",
    "hook-unreachable": "connect: connection refused. Fix: its host and port",
    "mail-password": "auth: 535 5.7.8 Authentication credentials invalid. Fix: its username, and its password",
    "mail-unreachable": "connect: connection refused. Fix: its host and port",
    "mail-plain": "does not advertise the STARTTLS extension. Fix: a smarthost that has it",
    "mail-stranger": "certificate signed by unknown authority. Fix: ca, the certificate of the authority",
    "chat-revoked": "unexpected status code 403: invalid_token. Fix: its secret",
    "phone-revoked": "telegram: Unauthorized (401). Fix: its secret",
    "phone-unreachable": "/bot…/sendMessage",
    "duty-revoked": "Invalid routing key. Fix: its secret",
}


@dataclass(frozen=True)
class World:
    """What the VPS sends its alerts to: servers on this machine."""

    hook: Receiver
    mailbox: Mailbox
    plain: Mailbox
    services: Services
    authority: str

    def receivers(self) -> dict[str, tuple[dict[str, Any], str]]:
        """Receivers of each kind, with their secrets, all of them right."""
        mail = {"to": "you@example.net", "from": "vps1@example.net", "username": services.USER}
        address, url, trusted = f"{GATEWAY}:{self.mailbox.port}", self.services.url, {"ca": self.authority}
        return {
            "hook": ({"type": "webhook"}, f"{self.hook.url}/alerts"),
            "mail": ({"type": "email", **mail, "smarthost": address, **trusted}, services.PASSWORD),
            "chat": ({"type": "slack", "channel": "#bots", **trusted}, f"{url}{services.SLACK_PATH}"),
            "phone": ({"type": "telegram", "chat_id": services.CHAT, "url": url, **trusted}, services.TELEGRAM_TOKEN),
            "duty": ({"type": "pagerduty", "url": f"{url}/v2/enqueue", **trusted}, services.ROUTING_KEY),
        }

    def wrong_receivers(self) -> dict[str, tuple[dict[str, Any], str]]:
        """Receivers that cannot work. They get alerts that nothing but a test sends."""
        right = self.receivers()
        mail, chat, phone, duty = (
            right[name][0] | {"severities": ["info"]} for name in ("mail", "chat", "phone", "duty")
        )
        nobody = services.free_port(GATEWAY)
        return {
            "hook-unreachable": ({"type": "webhook", "severities": ["info"]}, f"http://{GATEWAY}:{nobody}/alerts"),
            "mail-password": (mail, "another password"),
            "mail-unreachable": (mail | {"smarthost": f"{GATEWAY}:{nobody}"}, services.PASSWORD),
            "mail-plain": (mail | {"smarthost": f"{GATEWAY}:{self.plain.port}"}, services.PASSWORD),
            "mail-stranger": (mail | {"ca": ""}, services.PASSWORD),
            "chat-revoked": (chat, f"{self.services.url}/services/T0123/B0123/revoked"),
            "phone-revoked": (phone, "1:revoked"),
            "phone-unreachable": (phone | {"url": f"https://{GATEWAY}:{nobody}"}, services.TELEGRAM_TOKEN),
            "duty-revoked": (duty, "f" * 32),
        }


@pytest.fixture(scope="module")
def world(vps: Vps, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The VPS sends its alerts to this machine, until the last of these tests."""
    authority, tls = services.certified(layout.GATEWAY.v4, tmp_path_factory.mktemp("certificate"))
    made = World(Receiver(), Mailbox(GATEWAY, tls), Mailbox(GATEWAY, None), Services(GATEWAY, tls), authority)
    write_inventory(RIGHT, made.hook, made.receivers())
    write_inventory(WRONG, made.hook, made.receivers() | made.wrong_receivers())
    run = run_playbook("site.yml", "--limit", "vps1", inventory=WRONG)
    assert run.code == 0, run.output
    yield made
    run = run_playbook("site.yml", "--limit", "vps1")
    made.hook.server.shutdown()
    made.hook.server.server_close()
    for server in (made.mailbox, made.plain, made.services):
        server.stop()
    assert run.code == 0, run.output
    for copy in (RIGHT, WRONG):
        shutil.rmtree(copy)


@pytest.fixture(scope="module")
def receiver(world: World) -> Receiver:
    """The webhook receiver, at which each fault has to be told."""
    return world.hook


RIGHT, WRONG = (ROOT / "build" / f"inventory_alerts_{name}" for name in ("right", "wrong"))


def write_inventory(copy: Path, hook: Receiver, receivers: dict[str, tuple[dict[str, Any], str]]) -> None:
    """A copy of the demo's inventory that names receivers, and asks this machine in the exchange's place."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(INVENTORY, copy, symlinks=True)
    variables = {
        "monitoring_probes": [f"{hook.url}/time"],
        "monitoring_receivers": [{"name": name, **receiver} for name, (receiver, _) in receivers.items()],
        "monitoring_receiver_secrets": {name: secret for name, (_, secret) in receivers.items()},
        "monitoring_thresholds": {
            "silent_log_seconds": SILENT_LOG_S,
            "stale_order_seconds": STALE_ORDER_S,
            "backup_age_seconds": BACKUP_AGE_S,
        },
    }
    told = "\n      ".join(f"{name}: {json.dumps(value)}" for name, value in variables.items())
    hosts = copy / "hosts.yml"
    hosts.write_text(re.sub(r"monitoring_probes: .*", lambda _: told, hosts.read_text()))


def test_a_test_alert_arrives_at_a_receiver_of_each_kind(world: World) -> None:
    now = time.time()
    run = run_playbook("test_alert.yml", inventory=RIGHT)
    assert run.code == 0, run.output
    assert f"it arrived at {', '.join(world.receivers())}" in run.output
    test_alert = Promise("TestAlert", {"severity": "critical"}, math.inf, math.inf)
    assert math.isfinite(world.hook.seconds_until(test_alert, "firing", Deed(now, now)))
    (mail,) = [mail for mail in world.mailbox.mails if mail["Subject"] == TEST_TITLE]
    assert (mail["To"], mail["From"]) == ("you@example.net", "vps1@example.net")
    (text,) = [part.get_payload(decode=True) for part in mail.walk() if part.get_content_type() == "text/plain"]
    assert isinstance(text, bytes)
    assert text.decode().splitlines()[:2] == [TEST_SUMMARY, "What to do: docs/alerts.md"]
    (message,) = [each for each in world.services.of("slack") if each["attachments"][0]["title"] == TEST_TITLE]
    assert message["channel"] == "#bots"
    assert TEST_SUMMARY in message["attachments"][0]["text"]
    (message,) = [each for each in world.services.of("telegram") if each["text"].startswith(TEST_TITLE)]
    assert message["text"].splitlines()[:2] == [TEST_TITLE, TEST_SUMMARY]
    assert not message.get("parse_mode")  # so that no character of a message is markup
    (event,) = [each for each in world.services.of("pagerduty") if each["payload"]["summary"] == TEST_TITLE]
    assert event["event_action"] == "trigger"
    assert event["payload"]["severity"] == "critical"


def test_each_receiver_that_does_not_take_it_is_named_with_the_reason(world: World) -> None:
    world.hook.takes = False
    try:
        run = run_playbook("test_alert.yml", inventory=WRONG)
    finally:
        world.hook.takes = True
    assert run.code != 0
    assert f"the test alert did not arrive at {', '.join(REFUSED)}:" in run.output
    said = dict(re.findall(r"^ *- ([\w-]+): (.*)$", run.output, re.MULTILINE))
    assert said.keys() >= REFUSED.keys(), run.output
    assert {name: words for name, words in REFUSED.items() if words not in said[name]} == {}, run.output
    for secret in (secret for _, secret in world.wrong_receivers().values()):
        assert secret not in run.output
    assert world.plain.mails == []


@pytest.mark.parametrize("round_", CAUSED)
def test_what_goes_wrong_is_told_in_time_and_so_is_its_end(vps: Vps, receiver: Receiver, round_: str) -> None:
    faults = ROUNDS[round_]
    vps.until_bots_are_well(240)
    caused: dict[str, Deed] = {}
    mended: dict[str, Deed] = {}
    try:
        for name, fault in faults.items():
            caused[name] = Deed(time.time(), math.inf)  # to be mended, though only half be done
            caused[name] = done(fault.cause, vps, receiver)
        while len(mended) < len(faults):
            time.sleep(1)
            for name, fault in faults.items():
                if name not in mended and (
                    told(receiver, fault, "firing", caused[name]) or given_up(fault, caused[name])
                ):
                    mended[name] = Deed(time.time(), math.inf)
                    mended[name] = done(fault.mend, vps, receiver)
    finally:
        for name in caused.keys() - mended.keys():
            faults[name].mend(vps, receiver)
    while not all(told(receiver, fault, "resolved", mended[name]) for name, fault in faults.items()):
        if all(given_up(fault, mended[name]) for name, fault in faults.items()):
            break
        time.sleep(1)
    late = []
    for name, fault in faults.items():
        for promise in fault.promises:
            told_s = receiver.seconds_until(promise, "firing", caused[name])
            ended_s = receiver.seconds_until(promise, "resolved", mended[name])
            said = (
                f"{name}: {promise.alert} after {told_s:.0f} s of {promise.within_s:.0f}, "
                f"its end after {ended_s:.0f} s of {promise.ends_within_s:.0f}"
            )
            print(said)
            if told_s > promise.within_s or ended_s > promise.ends_within_s:
                late.append(said)
    assert not late, "told too late, or never"


def test_a_receiver_of_each_kind_is_told_of_the_end(world: World) -> None:
    """Of the test alerts' end, after the faults: Alertmanager tells it within a minute."""
    title = "[RESOLVED] TestAlert"

    def ended() -> list[str]:
        taken = world.services.of
        return [
            *{"mail" for mail in world.mailbox.mails if mail["Subject"] == title},
            *{"slack" for each in taken("slack") if each["attachments"][0]["title"] == title},
            *{"telegram" for each in taken("telegram") if each["text"].startswith(title)},
            *{"pagerduty" for each in taken("pagerduty") if each["dedup_key"] in began and is_end(each)},
        ]

    def is_end(event: dict[str, Any]) -> bool:
        return bool(event["event_action"] == "resolve")

    began = {each["dedup_key"] for each in world.services.of("pagerduty") if each["payload"]["summary"] == TEST_TITLE}
    wait_until("each was told", lambda: len(ended()) == 4, DELIVERY_S + CHANGES_S)


def told(receiver: Receiver, fault: Fault, status: str, deed: Deed) -> bool:
    """Whether all of a fault's alerts have come, or have ended."""
    return all(math.isfinite(receiver.seconds_until(promise, status, deed)) for promise in fault.promises)


def given_up(fault: Fault, deed: Deed) -> bool:
    """Whether what was promised for after a deed is so late that it is waited for no longer."""
    promised = max(max(promise.within_s, promise.ends_within_s) for promise in fault.promises)
    return time.time() > deed.ended + promised + 60
