"""What Alertmanager's log says of a receiver that did not take the test alert is handed on, with what to look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

Load = Callable[[str], ModuleType]

TIME = "time=2026-11-30T10:50:24.021Z"
GROUP = r'aggrGroup="{}/{severity=~\"critical|warning\"}:{alertname=\"TestAlert\", bot=\"\", vps=\"\"}"'


def tried(receiver: str, kind: str, error: str) -> str:
    """The line of a receiver that Alertmanager will try again."""
    said = f'{TIME} level=WARN source=notify.go:865 msg="Notify attempt failed, will retry later" component=dispatcher'
    return f"{said} receiver={receiver} integration={kind}[0] {GROUP} attempts=1 err={error}\n"


def given_up(receiver: str, kind: str, error: str) -> str:
    """The line of one that it will not: only the error tells which."""
    said = f'{TIME} level=ERROR source=dispatch.go:360 msg="Notify for alerts failed" component=dispatcher num_alerts=1'
    why = "notify retry canceled due to unrecoverable error after 1 attempts"
    return f'{said} err="{receiver}/{kind}[0]: {why}: {error}"\n'


STARTTLS = r"""'require_tls' is true (default) but \"192.0.2.1:25\" does not advertise the STARTTLS extension"""
TOKEN = "98:AAsecret"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            tried("mail", "email", '"*smtp.plainAuth auth: 535 5.7.8 Authentication credentials invalid"'),
            "*smtp.plainAuth auth: 535 5.7.8 Authentication credentials invalid. "
            "Fix: its username, and its password in monitoring_receiver_secrets",
        ),
        (
            tried("mail", "email", f'"{STARTTLS}"'),
            "'require_tls' is true (default) but \"192.0.2.1:25\" does not advertise the STARTTLS extension. "
            "Fix: a smarthost that has it; or require_tls: false, and others can read the mail",
        ),
        (
            tried(
                "mail", "email", '"establish connection to server: dial tcp 192.0.2.1:25: connect: connection refused"'
            ),
            "establish connection to server: dial tcp 192.0.2.1:25: connect: connection refused. "
            "Fix: its host and port; or what keeps the VPS from there",
        ),
        (
            tried(
                "mail",
                "email",
                '"send STARTTLS command: tls: failed to verify certificate: '
                'x509: certificate signed by unknown authority"',
            ),
            "send STARTTLS command: tls: failed to verify certificate: x509: certificate signed by unknown authority. "
            "Fix: ca, the certificate of the authority that signed the server's",
        ),
        (
            given_up("mail", "slack", r"channel \"#bots\": unexpected status code 403: invalid_token"),
            'channel "#bots": unexpected status code 403: invalid_token. '
            "Fix: its secret in monitoring_receiver_secrets",
        ),
        (
            given_up("mail", "pagerduty", "unexpected status code 400: Event object is invalid: Invalid routing key"),
            "unexpected status code 400: Event object is invalid: Invalid routing key. "
            "Fix: its secret in monitoring_receiver_secrets",
        ),
        (
            tried(
                "mail", "telegram", rf'"telebot: Post \"https://192.0.2.1/bot{TOKEN}/sendMessage\": dial tcp: refused"'
            ),
            'telebot: Post "https://192.0.2.1/bot…/sendMessage": dial tcp: refused. '
            "Fix: its host and port; or what keeps the VPS from there",
        ),
        (tried("mail", "webhook", '"unexpected status code 500"'), "unexpected status code 500"),
        (tried("mail-2", "webhook", '"other"'), "it failed; `sudo docker logs hbot-alertmanager` may say why"),
        (given_up("e-mail", "slack", "other"), "it failed; `sudo docker logs hbot-alertmanager` may say why"),
    ],
)
def test_the_log_names_the_cause_and_the_message_what_to_look_at(
    load_module: Load, tmp_path: Path, line: str, said: str
) -> None:
    secret = tmp_path / "env" / "alertmanager" / "mail"
    secret.parent.mkdir(parents=True)
    secret.write_text(TOKEN)
    log = tried("phone", "webhook", '"first"') + line + given_up("hook", "slack", "last")
    assert load_module("alert_delivery").last_words("mail", log, tmp_path) == said


def test_the_newest_words_count(load_module: Load, tmp_path: Path) -> None:
    log = tried("mail", "email", '"first"') + given_up("mail", "email", "then")
    assert load_module("alert_delivery").last_words("mail", log, tmp_path) == "then"
