"""Who fails to log in too often is banned at once, on each address family by itself; the operator never is."""

import re
import shlex
import subprocess
from collections.abc import Iterator

import pytest

from tests.vps.machine import VPS_ADDRESS, VPS_ADDRESS_V6, Vps, embedded_vps, embedded_vps_code, wait_until

THIRD = {VPS_ADDRESS: "198.51.100.77", VPS_ADDRESS_V6: "2001:db8:51:100::77"}
OTHER = {VPS_ADDRESS: VPS_ADDRESS_V6, VPS_ADDRESS_V6: VPS_ADDRESS}
ALLOWED_FAILURES = 5
BANNED_WITHIN_S = 20.0
"""The jail reads the journal as it is written; the rest is a busy machine's."""
FAILED_LOGIN = (
    "ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
    "-o", "ConnectTimeout=15", "-o", "PreferredAuthentications=none",
)  # fmt: skip


def third_is_let_in(address: str) -> bool:
    """Whether a TCP connection from the third host to sshd is accepted. It counts as a failed login itself."""
    return embedded_vps_code("third", "--", "nc", "-z", "-w", "1", address, "22") == 0


def failures(vps: Vps) -> int:
    """How many hosts have failed logins that the jail remembers."""
    found = re.search(r"Currently failed:\s+(\d+)\n", vps.run("fail2ban-client status sshd"))
    assert found
    return int(found[1])


def forgiven(vps: Vps) -> bool:
    """Whether the jail, started anew where it stopped reading, has neither a ban nor a failure left."""
    vps.run("fail2ban-client reload --restart --unban sshd")
    wait_until("the jail runs", lambda: vps.succeeds("fail2ban-client status sshd"), timeout_s=60, poll_s=0.2)
    return failures(vps) == 0


@pytest.fixture(autouse=True)
def no_failure(vps: Vps) -> Iterator[None]:
    """No ban and no failure on either address, before and after."""
    wait_until("no failed login is remembered", lambda: forgiven(vps), timeout_s=120)
    yield
    wait_until("no failed login is remembered", lambda: forgiven(vps), timeout_s=120)


def fail_to_log_in(address: str) -> None:
    """One failed login of the third host."""
    said = embedded_vps("third", "--", "sh", "-c", f"{shlex.join(FAILED_LOGIN)} nobody@{address} true 2>&1; true")
    assert "Permission denied" in said, said


def banned(vps: Vps) -> list[str]:
    """The addresses that fail2ban has banned, by its own word. Unlike a try to connect, it counts as no failure."""
    return vps.run("fail2ban-client get sshd banip").split()


@pytest.mark.parametrize("attacked", [VPS_ADDRESS, VPS_ADDRESS_V6], ids=["IPv4", "IPv6"])
def test_failed_logins_get_a_host_banned_on_the_address_family_that_it_used(vps: Vps, attacked: str) -> None:
    for _ in range(ALLOWED_FAILURES):
        fail_to_log_in(attacked)
    wait_until("it is banned", lambda: banned(vps) == [THIRD[attacked]], timeout_s=BANNED_WITHIN_S, poll_s=0.2)
    wait_until("it is shut out", lambda: not third_is_let_in(attacked), timeout_s=BANNED_WITHIN_S, poll_s=0.2)
    assert third_is_let_in(OTHER[attacked])


def test_the_operators_addresses_are_never_banned(vps: Vps) -> None:
    """The one that Ansible comes from by itself, the other one because `host_access_never_ban` names it."""
    for address in THIRD:
        for _ in range(ALLOWED_FAILURES + 2):
            login = [*FAILED_LOGIN, f"nobody@{address}", "true"]
            failed = subprocess.run(login, capture_output=True, timeout=60, check=False)
            assert b"Permission denied" in failed.stderr
    # Somebody else's failure is behind all of these: once it is counted, they have been read.
    fail_to_log_in(VPS_ADDRESS)
    wait_until("they have been read", lambda: failures(vps) == 1, timeout_s=BANNED_WITHIN_S, poll_s=0.2)
    assert vps.answers()
    assert banned(vps) == []


def test_a_ban_can_be_lifted_by_hand(vps: Vps) -> None:
    vps.run(f"fail2ban-client set sshd banip {THIRD[VPS_ADDRESS]}")
    # fail2ban says yes first and bans then.
    wait_until("the third host is shut out", lambda: not third_is_let_in(VPS_ADDRESS), timeout_s=30, poll_s=1)
    vps.run(f"fail2ban-client set sshd unbanip {THIRD[VPS_ADDRESS]}")
    assert third_is_let_in(VPS_ADDRESS)


JAIL = "/etc/fail2ban/jail.d/zz-hbot.local"


def test_fail2ban_does_not_start_before_it_knows_its_operator(vps: Vps) -> None:
    """As after a loss of power in a first run, between fail2ban's installation and its jail."""
    vps.run(f"mv {JAIL} {JAIL}.away && systemctl restart fail2ban")
    try:
        assert not vps.succeeds("systemctl is-active fail2ban")
    finally:
        vps.run(f"mv {JAIL}.away {JAIL} && systemctl restart fail2ban")
    assert vps.succeeds("systemctl is-active fail2ban")
