"""Passwords, su and sudo follow the policy; what was changed by hand comes back; nothing shuts the operator out."""

from collections.abc import Iterator

import pytest

from tests.vps.machine import OPERATOR, Vps, run_playbook

LIMIT = ("--limit", "vps1")
DRIFT = {
    "PAM no longer locks": "pam-auth-update --package --remove hbot-faillock",
    "everybody may use su": "sed -i /pam_wheel.so/d /etc/pam.d/su",
    "a kernel module may be loaded": "rm /etc/modprobe.d/hbot.conf",
    "sudo keeps no log": "rm /etc/sudoers.d/hbot-hardening",
    "everybody may read what sshd is told, and what cron runs": "chmod 644 /etc/ssh/sshd_config /etc/crontab",
    "every user may have a table of cron's": "rm /etc/cron.allow",
    "a new account stays open for ever": "sed -i /^INACTIVE=/d /etc/default/useradd",
}


@pytest.fixture
def drifted(vps: Vps) -> Iterator[None]:
    """A VPS on which somebody changed things by hand."""
    for command in DRIFT.values():
        vps.run(command)
    yield
    run_playbook("site.yml", *LIMIT)


def test_what_check_mode_announces_is_what_the_run_repairs(vps: Vps, drifted: None) -> None:
    announced = run_playbook("site.yml", *LIMIT, "--check", "--diff")
    for trace in (
        "pam-auth-update --enable hbot-faillock",
        "+auth       required   pam_wheel.so",
        "+blacklist",
        "+Defaults",
        "+INACTIVE=45",
        "+root",
    ):
        assert trace in announced.output, announced.output
    repaired = run_playbook("site.yml", *LIMIT)
    assert repaired.code == 0, repaired.output
    assert repaired.changed("vps1") == announced.changed("vps1")
    assert "pam_faillock.so authfail" in vps.run("cat /etc/pam.d/common-auth")
    assert run_playbook("site.yml", *LIMIT).changed("vps1") == 0


def test_only_root_may_use_su(vps: Vps) -> None:
    assert vps.succeeds("su -s /bin/sh nobody -c true")
    assert not vps.succeeds(f"runuser -u {OPERATOR} -- sh -c 'echo | su -c true'")


@pytest.fixture
def clerk(vps: Vps) -> Iterator[str]:
    """A user of the VPS who becomes root by a password."""
    vps.run("useradd --create-home --groups sudo clerk")
    try:
        vps.run("printf 'clerk:Right-Pass4word-of-his' | chpasswd")
        yield "clerk"
    finally:
        vps.run("faillock --user clerk --reset; userdel --remove clerk 2>&1")


def test_wrong_passwords_lock_an_account_for_a_while(vps: Vps, clerk: str) -> None:
    def becomes_root(password: str) -> bool:
        return vps.succeeds(f"printf '{password}\\n' | runuser -u {clerk} -- sudo -k -S true")

    assert becomes_root("Right-Pass4word-of-his")
    for _ in range(4):
        assert not becomes_root("wrong")
    assert not becomes_root("Right-Pass4word-of-his"), "it is locked by now"
    vps.run(f"faillock --user {clerk} --reset")
    assert becomes_root("Right-Pass4word-of-his")
    assert vps.answers(), "a key is no password"


def test_a_policy_that_would_shut_the_operator_out_is_taken_back(vps: Vps) -> None:
    profile = (
        "Name: deny\\nDefault: yes\\nPriority: 2000\\nAccount-Type: Primary\\nAccount:\\n\\trequisite\\tpam_deny.so\\n"
    )
    run = run_playbook("site.yml", *LIMIT, "-e", f'{{"__host_hardening_pam_profiles": {{"hbot-deny": "{profile}"}}}}')
    assert run.code != 0
    assert f"{OPERATOR} could not become root any more. Everything was put back." in run.output
    assert vps.answers()
    assert not vps.succeeds("test -e /usr/share/pam-configs/hbot-deny")
    assert run_playbook("site.yml", *LIMIT).changed("vps1") == 0


def test_only_root_has_a_table_of_crons(vps: Vps) -> None:
    assert vps.succeeds("echo '' | crontab - && crontab -r")
    assert not vps.succeeds(f"echo '' | runuser -u {OPERATOR} -- crontab -")


def test_the_units_of_what_guards_the_machine_run(vps: Vps) -> None:
    """UFW's rules hold without its unit; whoever asks systemd for it must not be told otherwise."""
    for name in ("ufw", "fail2ban", "cron", "ssh"):
        service = vps.host.service(name)
        assert service.is_running, name
        assert service.is_enabled, name


@pytest.mark.parametrize(
    ("setting", "value"),
    [("fs.suid_dumpable", "0"), ("kernel.randomize_va_space", "2"), ("net.ipv6.conf.all.accept_redirects", "0")],
)
def test_the_kernel_has_the_settings_of_the_benchmarks(vps: Vps, setting: str, value: str) -> None:
    assert vps.run(f"sysctl -n {setting}").strip() == value
    assert vps.succeeds(f"grep -qx '{setting} = {value}' /etc/sysctl.d/zz-hbot.conf")
