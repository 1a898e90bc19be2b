"""Only the operator's key opens the VPS, and no mistake in a change of access locks the operator out."""

import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.vps.machine import KEYS, OPERATOR, VPS_ADDRESS, PlaybookRun, Vps, embedded_vps, run_playbook, wait_until

WRONG_DROP_IN = "/etc/ssh/sshd_config.d/000-wrong.conf"
# Any change of access will do: the transaction is what is under test.
CHANGE = ("-e", "host_access_maxretry=7", "-e", "host_access_rollback_seconds=20", "--limit", "vps1")
SSH = (
    "ssh", "-o", "BatchMode=yes", "-o", "ControlPath=none", "-o", f"UserKnownHostsFile={KEYS}/known_hosts",
    "-o", "ConnectTimeout=5", "-i", f"{KEYS}/id_ed25519",
)  # fmt: skip


def login(user: str, *options: str) -> "subprocess.CompletedProcess[str]":
    """Try one fresh login."""
    return subprocess.run(
        [*SSH, *options, f"{user}@{VPS_ADDRESS}", "true"], capture_output=True, text=True, check=False
    )


def test_root_cannot_log_in_with_the_key_that_made_the_operator() -> None:
    assert login("root").returncode == 255
    assert login(OPERATOR).returncode == 0


def test_passwords_are_not_even_asked_for() -> None:
    refused = login(OPERATOR, "-o", "PubkeyAuthentication=no", "-o", "BatchMode=no")
    assert refused.returncode == 255
    assert "Permission denied (publickey)" in refused.stderr


def test_a_tunnel_reaches_monitoring_and_nothing_else(vps: Vps) -> None:
    assert vps.fetch("http://127.0.0.1:9090/-/ready") != ""
    reached = {
        port: subprocess.run(
            [*SSH, "-W", f"127.0.0.1:{port}", f"{OPERATOR}@{VPS_ADDRESS}"],
            input="GET / HTTP/1.0\r\n\r\n",
            capture_output=True,
            text=True,
            check=False,
        ).stdout.startswith("HTTP/1.")
        for port in (9090, 22)
    }
    assert reached == {9090: True, 22: False}


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something that shuts the operator out, done on the VPS in the middle of a change of access."""

    command: str
    named: str
    """What the operator must be told."""


MISTAKES = {
    "a wrong sshd drop-in": Mistake(
        f"echo AllowUsers nobody > {WRONG_DROP_IN}; systemctl reload ssh.service", WRONG_DROP_IN
    ),
    "a firewall that denies everything": Mistake(
        "iptables -I INPUT -j DROP; ip6tables -I INPUT -j DROP", "the IPv4 INPUT chain"
    ),
    # The port is closed first: UFW takes a moment, in which the change could be confirmed.
    "a firewall without the rule for SSH": Mistake(
        "iptables -I INPUT -p tcp --dport 22 -j DROP; ufw --force delete allow 22/tcp", "/etc/ufw/user.rules"
    ),
}


def inject(vps: Vps, command: str) -> None:
    """Have the VPS run `command` as soon as a change of access is made and waits for its confirmation."""
    assert not vps.succeeds("ls /var/lib/hbot-access/applied.json"), "an earlier change waits still"
    vps.run(
        "systemd-run --unit=mistake --collect sh -c "
        f"'until [ -e /var/lib/hbot-access/applied.json ]; do sleep 0.02; done; {command}'"
    )


@pytest.fixture(params=MISTAKES, ids=lambda name: name.replace(" ", "-"))
def mistake(request: pytest.FixtureRequest, vps: Vps) -> Iterator[Mistake]:
    """One of the mistakes, waiting to happen; the VPS is as before afterwards."""
    made = MISTAKES[request.param]
    inject(vps, made.command)
    yield made
    vps.run("systemctl stop mistake 2>&1; true")


def undone(vps: Vps) -> dict[str, object]:
    """What the VPS says it put back last."""
    report: dict[str, object] = json.loads(vps.run("cat /var/lib/hbot-access/undone.json"))
    return report


def test_a_mistake_during_a_change_is_undone_by_the_vps_itself_and_named(vps: Vps, mistake: Mistake) -> None:
    run = run_playbook("site.yml", *CHANGE)
    assert run.code != 0, run.output
    assert mistake.named in run.output
    assert "undid it by itself" in run.output
    assert vps.answers()
    assert undone(vps)["how"] == "now"
    again = run_playbook("site.yml", "--limit", "vps1", "--check")
    assert (again.code, again.changed("vps1")) == (0, 0), again.output


def test_a_mistake_is_undone_by_the_reboot_that_hits_the_vps_while_the_timer_is_armed(vps: Vps) -> None:
    both = f"{MISTAKES['a wrong sshd drop-in'].command}; {MISTAKES['a firewall without the rule for SSH'].command}"
    inject(vps, f"{both}; touch /var/lib/hbot-access/mistaken")
    finished: list[PlaybookRun] = []
    change = ("-e", "host_access_maxretry=7", "-e", "host_access_rollback_seconds=90", "--limit", "vps1")
    converge = threading.Thread(target=lambda: finished.append(run_playbook("site.yml", *change)))
    converge.start()
    embedded_vps("exec", "--", "sh", "-c", "until [ -e /var/lib/hbot-access/mistaken ]; do sleep 0.1; done")
    embedded_vps("kill")
    embedded_vps("start")
    wait_until("the operator can log in", vps.answers, timeout_s=180)
    converge.join()
    (run,) = finished
    assert run.code != 0, run.output
    assert WRONG_DROP_IN in run.output
    assert "after its reboot" in run.output
    report = undone(vps)
    assert report["how"] == "boot"
    assert {WRONG_DROP_IN, "/etc/ufw/user.rules"} <= set(report["files"])  # type: ignore[call-overload] # JSON
    vps.run("rm /var/lib/hbot-access/mistaken")
    again = run_playbook("site.yml", "--limit", "vps1", "--check")
    assert (again.code, again.changed("vps1")) == (0, 0), again.output
