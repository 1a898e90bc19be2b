#!/usr/bin/python
# Copyright: hbot.infra maintainers. Not for redistribution.
"""Send a test alert through every receiver of a VPS's Alertmanager and tell which took it."""
# ruff: noqa: E402 (Ansible wants the documentation ahead of the imports)

from __future__ import annotations

DOCUMENTATION = r"""
module: alert_delivery
short_description: Sends a test alert through every receiver and tells which took it
version_added: 0.1.0
description:
  - Gives Alertmanager, on its own loopback address, one alert of each severity that a receiver wants, waits until each
    receiver has taken or refused it, and ends the alert. Taken means that the server at the other end accepted it;
    Alertmanager tries a receiver that did not again and again, and that is waited for.
  - Why a receiver did not take it is what Alertmanager's log says, with what to look at and without the secret.
  - What came of it is left as the mark C(evidence/alert_delivered.json), which the go-live gate reads.
options:
  root:
    description: The directory of the installation on the host.
    type: path
    required: true
  receivers:
    description: The receivers of the inventory, of which the name, the type and the severities are read.
    type: list
    elements: dict
    required: true
  url:
    description: Where Alertmanager listens.
    type: str
    default: http://127.0.0.1:9093
  timeout:
    description: Seconds to wait for all of them.
    type: int
    default: 90
attributes:
  check_mode:
    support: full
    description: Nothing is sent in check mode.
author: hbot.infra maintainers
"""

EXAMPLES = r"""
- name: A test alert goes through every receiver
  hbot.infra.alert_delivery:
    root: /opt/hbot
    receivers: "{{ monitoring_receivers }}"
"""

RETURN = r"""
delivered:
  description: The receivers that took it.
  returned: always
  type: list
  elements: str
"""

import json
import re
import subprocess
import time
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hbot.infra.plugins.module_utils import evidence

# Of requests, not of notifications: a notification counts from its first try on, whatever comes of that.
SAMPLE = re.compile(r"^alertmanager_notification_requests_(failed_)?total\{(.*)\} (\S+)$", re.MULTILINE)
RECEIVER = re.compile(r'receiver_name="([^"]*)"')
DEFAULT_SEVERITIES = ["critical", "warning"]
AFTER_FAILURE_S = 5.0

GIVEN_UP = re.compile(r"^\S+/\S+: notify retry canceled [\w ]+ after \d+ attempts: ")
REMEDIES = (
    # A part of what Alertmanager says, and what to look at.
    (
        r"does not advertise the STARTTLS",
        "a smarthost that has it; or require_tls: false, and others can read the mail",
    ),
    (r" auth: 5\d\d |find auth mechanism", "its username, and its password in monitoring_receiver_secrets"),
    (r"certificate signed by unknown authority", "ca, the certificate of the authority that signed the server's"),
    (r"status code 40[134]\b|\(401\)|Invalid routing key", "its secret in monitoring_receiver_secrets"),
    (r"\bdial tcp\b|\btimeout\b|deadline exceeded", "its host and port; or what keeps the VPS from there"),
)


def request(url: str, body: Any = None) -> str:
    """What Alertmanager answers.

    :raises RuntimeError: it does not.
    """
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as answer:  # noqa: S310 (loopback)
            return str(answer.read().decode())
    except (OSError, urllib.error.URLError) as error:
        raise RuntimeError(f"Alertmanager at {url} does not answer ({error}); site.yml starts it") from None


def counts(url: str) -> tuple[dict[str, float], dict[str, float]]:
    """By receiver, the requests that were answered well and those that failed, since Alertmanager started."""
    tried: dict[str, float] = {}
    failed: dict[str, float] = {}
    for failures, labels, value in SAMPLE.findall(request(f"{url}/metrics")):
        receiver = RECEIVER.search(labels)
        if receiver:
            of = failed if failures else tried
            of[receiver[1]] = of.get(receiver[1], 0.0) + float(value)
    return {name: made - failed.get(name, 0.0) for name, made in tried.items()}, failed


def alerts(severities: set[str], mark: str, ends: datetime) -> list[dict[str, Any]]:
    """The test alerts, firing until a moment."""
    return [
        {
            "labels": {"alertname": "TestAlert", "severity": severity, "test": mark},
            "annotations": {
                "summary": "This is a test: alerts of this VPS arrive here.",
                "runbook_url": "docs/alerts.md",
            },
            "endsAt": ends.isoformat(),
        }
        for severity in sorted(severities)
    ]


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "receivers": {"type": "list", "elements": "dict", "required": True},
            "url": {"type": "str", "default": "http://127.0.0.1:9093"},
            "timeout": {"type": "int", "default": 90},
        },
        supports_check_mode=True,
    )
    receivers, url, root = module.params["receivers"], module.params["url"], Path(module.params["root"])
    if module.check_mode:
        module.exit_json(changed=False, delivered=[])
    delivered, fault = deliver(receivers, url, module.params["timeout"], root)
    said = f"it arrived at {', '.join(delivered)}"
    try:
        evidence.leave(root, "alert_delivered", ok=not fault, detail=fault or said)
    except OSError as error:
        fault = fault or f"{said}, but its mark could not be left: {error}"
    if fault:
        module.fail_json(msg=fault, delivered=delivered)
    module.exit_json(changed=False, delivered=delivered, msg=said)


def deliver(receivers: list[dict[str, Any]], url: str, timeout: int, root: Path) -> tuple[list[str], str]:
    """The receivers that took it, and what is wrong; empty when all did."""
    names = [str(receiver["name"]) for receiver in receivers]
    if not names:
        return [], "there is no receiver: alerts of this VPS go nowhere. Fix: monitoring_receivers (docs/alerts.md)"
    try:
        delivered, failing = send(receivers, url, timeout)
    except RuntimeError as error:
        return [], str(error)
    missing = [name for name in names if name not in delivered]
    log = alertmanagers_log() if missing else ""
    lines = [
        f"  - {name}: {last_words(name, log, root) if name in failing else 'nothing was sent within the time'}"
        for name in missing
    ]
    return delivered, "\n".join([f"the test alert did not arrive at {', '.join(missing)}:", *lines]) if missing else ""


def send(receivers: list[dict[str, Any]], url: str, timeout: int) -> tuple[list[str], set[str]]:
    """Send, wait, and end the alert; the receivers that took it, and those that were tried and did not."""
    names = [str(receiver["name"]) for receiver in receivers]
    severities = {str((receiver.get("severities") or DEFAULT_SEVERITIES)[0]) for receiver in receivers}
    now = datetime.now(tz=timezone.utc)
    mark = now.strftime("%H%M%S")
    taken_before, failed_before = counts(url)
    request(f"{url}/api/v2/alerts", alerts(severities, mark, now + timedelta(seconds=timeout + 60)))
    delivered: set[str] = set()
    failing: set[str] = set()
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and not delivered.issuperset(names):
        time.sleep(1)
        taken, failed = counts(url)
        delivered = {name for name in names if taken.get(name, 0.0) > taken_before.get(name, 0.0)}
        failing = {name for name in names if failed.get(name, 0.0) > failed_before.get(name, 0.0)} - delivered
        # Once all have been tried, those that failed get two more tries, and no more of the operator's time.
        if failing and delivered.union(failing).issuperset(names):
            deadline = min(deadline, time.monotonic() + AFTER_FAILURE_S)
    request(f"{url}/api/v2/alerts", alerts(severities, mark, datetime.now(tz=timezone.utc)))
    return [name for name in names if name in delivered], failing


def alertmanagers_log() -> str:
    """What Alertmanager said of late."""
    log = subprocess.run(
        ["docker", "logs", "--since=3m", "hbot-alertmanager"], capture_output=True, text=True, timeout=20, check=False
    )
    return log.stdout + log.stderr


def last_words(receiver: str, log: str, root: Path) -> str:
    """What Alertmanager's log says of a receiver that did not take it, and what to look at."""
    # A receiver that may take it later is a key of the line; one that is given up stands in the error alone.
    marks = (f" receiver={receiver} ", f' err="{receiver}/', f" err={receiver}/")
    said = [line for line in log.splitlines() if " err=" in line and any(mark in line for mark in marks)]
    if not said:
        return "it failed; `sudo docker logs hbot-alertmanager` may say why"
    words = said[-1].partition(" err=")[2].strip().removeprefix('"').removesuffix('"').replace('\\"', '"')
    words = without_secret(GIVEN_UP.sub("", words), root / "env" / "alertmanager" / receiver)
    remedies = [f". Fix: {remedy}" for pattern, remedy in REMEDIES if re.search(pattern, words)]
    return words + "".join(remedies[:1])


def without_secret(words: str, file: Path) -> str:
    """The words without a receiver's secret: Alertmanager tells Telegram's token when it does not reach the server."""
    try:
        secret = file.read_text().strip()
    except OSError:
        return words
    return words.replace(secret, "…") if secret else words


if __name__ == "__main__":
    main()
