"""Who fails to log in too often is banned at once, on each address family by itself; the operator never is."""

import re
import shlex
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.vps.machine import VPS_ADDRESS, VPS_ADDRESS_V6, Vps, embedded_vps, embedded_vps_code, wait_until

THIRD = {VPS_ADDRESS: "198.51.100.77", VPS_ADDRESS_V6: "2001:db8:51:100::77"}
OTHER = {VPS_ADDRESS: VPS_ADDRESS_V6, VPS_ADDRESS_V6: VPS_ADDRESS}
ALLOWED_FAILURES = 5
BANNED_WITHIN_S = 2.0
FAILED_LOGIN = (
    "ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
    "-o", "ConnectTimeout=3", "-o", "PreferredAuthentications=none",
)  # fmt: skip


def third_is_let_in(address: str) -> bool:
    """Whether a TCP connection from the third host to sshd is accepted. It counts as a failed login itself."""
    return embedded_vps_code("third", "--", "nc", "-z", "-w", "1", address, "22") == 0


def forgiven(vps: Vps) -> bool:
    """Whether the jail, started anew where it stopped reading, has neither a ban nor a failure left."""
    vps.run("fail2ban-client reload --restart --unban sshd")
    wait_until("the jail runs", lambda: vps.succeeds("fail2ban-client status sshd"), timeout_s=10, poll_s=0.2)
    return bool(re.search(r"Currently failed:\s+0\n", vps.run("fail2ban-client status sshd")))


@pytest.fixture(params=[VPS_ADDRESS, VPS_ADDRESS_V6])
def attacked(request: pytest.FixtureRequest, vps: Vps) -> Iterator[str]:
    """One of the VPS's addresses; no ban and no failure on either, before and after."""
    wait_until("no failed login is remembered", lambda: forgiven(vps), timeout_s=30)
    yield str(request.param)
    wait_until("no failed login is remembered", lambda: forgiven(vps), timeout_s=30)


def test_failed_logins_get_a_host_banned_on_the_address_family_that_it_used(attacked: str) -> None:
    for _ in range(ALLOWED_FAILURES):
        said = embedded_vps("third", "--", "sh", "-c", f"{shlex.join(FAILED_LOGIN)} nobody@{attacked} true 2>&1; true")
        assert "Permission denied" in said, said
    failed_at = time.monotonic()
    while third_is_let_in(attacked):
        assert time.monotonic() - failed_at < BANNED_WITHIN_S, f"not banned after {BANNED_WITHIN_S} s"
    assert third_is_let_in(OTHER[attacked])


def test_the_operators_addresses_are_never_banned(vps: Vps) -> None:
    """The one that Ansible comes from by itself, the other one because `host_access_never_ban` names it."""
    for address in THIRD:
        for _ in range(ALLOWED_FAILURES + 2):
            login = [*FAILED_LOGIN, f"nobody@{address}", "true"]
            failed = subprocess.run(login, capture_output=True, timeout=30, check=False)
            assert b"Permission denied" in failed.stderr
    time.sleep(BANNED_WITHIN_S)
    assert vps.answers()
    assert vps.run("fail2ban-client get sshd banip").split() == []


def test_a_ban_can_be_lifted_by_hand(vps: Vps) -> None:
    vps.run(f"fail2ban-client set sshd banip {THIRD[VPS_ADDRESS]}")
    assert not third_is_let_in(VPS_ADDRESS)
    vps.run(f"fail2ban-client set sshd unbanip {THIRD[VPS_ADDRESS]}")
    assert third_is_let_in(VPS_ADDRESS)
