"""`site.yml --check --diff` tells the truth about a VPS that drifted: what it announces is what the run then changes.

Ten kinds of drift, a dozen and more of them, are caused at once. Then one check, one run, and one run that changes
nothing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.vps.machine import VPS_ADDRESS, PlaybookRun, Vps, embedded_vps_code, run_playbook, wait_until

ROGUE_PORT = 9999
IMAGE = "busybox:1.36"
REGISTRY = "http://198.51.100.5:5000/v2/"
MARTIANS = "net.ipv4.conf.all.log_martians"
BY_HAND = "docker compose -p hbot -f /opt/hbot/compose/bot2.yml --profile '*' up -d --no-deps bot2"


@dataclass(frozen=True)
class Drift:
    """Something on the VPS that is not as the inventory says, made so by a shell command."""

    cause: str
    right: str
    """A shell command on the VPS, as root, that succeeds when it is as the inventory says."""


DRIFTS = {
    # A flush with the policy still at DROP would cut off the operator as well: the other way round.
    "UFW is switched off": Drift("ufw disable", "ufw status | grep -q '^Status: active'"),
    "the kernel's firewall rules are flushed": Drift(
        "iptables -F && ip6tables -F",
        "iptables -S INPUT | grep -q -- '-P INPUT DROP' && iptables -C FORWARD -j DOCKER-USER"
        " && iptables -C DOCKER-USER -j DROP && ip6tables -S INPUT | grep -q -- '-P INPUT DROP'"
        " && for bridge in /sys/class/net/hb-*; do iptables -S | grep -qw -- ${bridge##*/} || exit 1; done",
    ),
    "sshd's drop-in is edited": Drift(
        "sed -i 's/^X11Forwarding no/X11Forwarding yes/' /etc/ssh/sshd_config.d/00-hbot.conf && systemctl reload ssh"
        # It starts itself anew, and refuses meanwhile whoever comes next.
        " && sleep 2 && until ss -Hltn 'sport = :22' | grep -q .; do sleep 0.1; done",
        "sshd -T | grep -q '^x11forwarding no'",
    ),
    "a compose fragment is edited and applied": Drift(
        f"sed -i 's/^    pids_limit: [0-9]*$/    pids_limit: 77/' /opt/hbot/compose/bot2.yml && {BY_HAND}",
        "! grep -q 'pids_limit: 77' /opt/hbot/compose/bot2.yml"
        " && ! docker inspect -f '{{.HostConfig.PidsLimit}}' hbot-bot2 | grep -qx 77",
    ),
    "a compose fragment is edited and not applied": Drift(
        "sed -i 's/^  pids_limit: 128$/  pids_limit: 129/' /opt/hbot/compose/monitoring.yml",
        "! grep -q 'pids_limit: 129' /opt/hbot/compose/monitoring.yml",
    ),
    "a package is removed": Drift("dpkg --remove debsums", "dpkg -s debsums | grep -q '^Status: install ok installed'"),
    "the bots' user can log in": Drift(
        "usermod --shell /bin/bash hbot", "getent passwd hbot | grep -q ':/usr/sbin/nologin$'"
    ),
    "the bots' group has another number": Drift(
        "sed -i 's/^hbot:x:[0-9]*:/hbot:x:7000:/' /etc/group", "getent group hbot | grep -q '^hbot:x:6420:'"
    ),
    "live bots can reach each other": Drift(
        "docker network rm hbot-trading"
        " && docker network create -o com.docker.network.bridge.name=hb-trading hbot-trading",
        "docker network inspect -f '{{json .Options}}' hbot-trading | grep -q 'enable_icc\":\"false'",
    ),
    "the hold of Docker's packages is lifted": Drift(
        "apt-mark showhold | xargs apt-mark unhold", "apt-mark showhold | grep -q docker"
    ),
    "a kernel setting's file is edited": Drift(
        f"sed -i 's/^{MARTIANS} = 1/{MARTIANS} = 0/' /etc/sysctl.d/zz-hbot.conf && sysctl -q -w {MARTIANS}=0",
        f"grep -q '^{MARTIANS} = 1' /etc/sysctl.d/zz-hbot.conf && sysctl -n {MARTIANS} | grep -qx 1",
    ),
    "a kernel setting is changed without its file": Drift(
        "sysctl -q -w net.ipv4.conf.all.send_redirects=1",
        "sysctl -n net.ipv4.conf.all.send_redirects | grep -qx 0",
    ),
    "a timer is stopped": Drift("systemctl stop hbot-backup.timer", "systemctl is-active -q hbot-backup.timer"),
    "another timer is stopped and disabled": Drift(
        "systemctl disable --now hbot-facts.timer",
        "systemctl is-active -q hbot-facts.timer && systemctl is-enabled -q hbot-facts.timer",
    ),
    "what carries the alerts is stopped": Drift(
        "systemctl stop hbot-alert-webhook.service", "systemctl is-active -q hbot-alert-webhook.service"
    ),
    "a program runs since before its unit was written": Drift(
        "touch /etc/systemd/system/hbot-bot-exporter.service",
        "test $(stat -c %Y /etc/systemd/system/hbot-bot-exporter.service)"
        ' -le $(date +%s -d "$(systemctl show --value -p ActiveEnterTimestamp hbot-bot-exporter.service)")',
    ),
    "a bot's latch is looked out for no more": Drift(
        "systemctl disable --now hbot-latch@bot1.path",
        "systemctl is-active -q hbot-latch@bot1.path && systemctl is-enabled -q hbot-latch@bot1.path",
    ),
    "a secret can be read by everybody": Drift(
        "chmod 0644 /opt/hbot/env/bot1/password", "stat -c %a /opt/hbot/env/bot1/password | grep -qx 600"
    ),
    "fail2ban's jail is deleted": Drift(
        "rm /etc/fail2ban/jail.d/zz-hbot.local && systemctl restart fail2ban",
        "fail2ban-client get sshd ignoreip | grep -q 2001:db8:51:100::1",
    ),
    "the monitoring's configuration is edited": Drift(
        "sed -i 's/scrape_interval: .*/scrape_interval: 59s/' /opt/hbot/monitoring/prometheus/prometheus.yml",
        "! grep -q 59s /opt/hbot/monitoring/prometheus/prometheus.yml",
    ),
    "a container of the monitoring is stopped": Drift(
        "docker stop hbot-blackbox", "docker inspect -f '{{.State.Running}}' hbot-blackbox | grep -qx true"
    ),
}


def changes(run: PlaybookRun) -> set[tuple[str, str]]:
    """Each task or handler of a run that changed something, with the host on which it did."""
    found: set[tuple[str, str]] = set()
    task = ""
    for line in run.output.splitlines():
        if began := re.match(r"(?:TASK|RUNNING HANDLER) \[(.*)\]", line):
            task = began.group(1)
        elif changed := re.match(r"changed: \[(\S+?)(?: -> \S+)?\]", line):
            found.add((task, changed.group(1)))
    return found


def not_right(vps: Vps) -> set[str]:
    """Which of the drifts are to be seen on the VPS."""
    asked = "\n".join(f'( {drift.right} ) >/dev/null 2>&1 || echo "{name}"' for name, drift in DRIFTS.items())
    return set(vps.run(asked + "\ntrue").splitlines())


def reached_from_outside() -> bool:
    """Whether a port that somebody published by hand answers the host outside."""
    fetch = ("curl", "--silent", "--output", "/dev/null", "--max-time", "4")
    return embedded_vps_code("outside", "--", *fetch, f"http://{VPS_ADDRESS}:{ROGUE_PORT}/") == 0


@pytest.fixture
def rogue_port(vps: Vps) -> Iterator[None]:
    """A port that somebody published by hand; whatever the proof came to, all is converged afterwards."""
    vps.run(f"docker run -d --name rogue -p 0.0.0.0:{ROGUE_PORT}:80 {IMAGE} httpd -f -p 80 -h /www 2>&1")
    yield
    vps.run("docker rm -f rogue")
    if not_right(vps):
        run_playbook("site.yml")


@pytest.mark.usefixtures("rogue_port")
def test_what_check_announces_is_what_the_run_changes(vps: Vps) -> None:
    assert not_right(vps) == set()
    for drift in DRIFTS.values():
        vps.run(drift.cause + " 2>&1")
    assert not_right(vps) == set(DRIFTS)
    wait_until("the port that was published by hand answers outside", reached_from_outside, timeout_s=30)
    others = {name: at for name, at in vps.containers().items() if name != "hbot-bot2"}

    check = run_playbook("site.yml", "--check", "--diff")
    assert check.code == 0, check.output
    assert not_right(vps) == set(DRIFTS), "a check changes nothing"

    run = run_playbook("site.yml")
    assert run.code == 0, run.output
    assert changes(run) == changes(check)
    assert not_right(vps) == set()
    assert not reached_from_outside()
    assert vps.run(f"docker run --rm --network hbot-trading {IMAGE} wget -q -O - {REGISTRY}").strip() == "{}"
    assert others.items() <= vps.containers().items(), "what was not drifted was stopped"

    again = run_playbook("site.yml")
    assert again.code == 0, again.output
    assert changes(again) == set()
    assert not_right(vps) == set()

    # What was told to read its configuration anew was not stopped by that: Docker starts it when it dies.
    _, started_at = vps.container("hbot-prometheus")
    vps.run("kill -9 $(docker inspect -f '{{.State.Pid}}' hbot-prometheus)")
    wait_until(
        "Prometheus runs again",
        lambda: vps.containers().get("hbot-prometheus", ("", started_at))[1] != started_at,
        timeout_s=30,
    )
