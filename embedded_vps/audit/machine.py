"""Measuring the embedded VPS: the auditors are put on it, run, and taken off again."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from embedded_vps import engine, layout
from embedded_vps.audit import docker_benchmark, readings
from embedded_vps.audit.readings import Reading
from embedded_vps.command import run
from embedded_vps.console import Console, EmbeddedVpsError

PACKAGES = ("lynis", "openscap-scanner", "ssg-debderived")
PROFILE = "xccdf_org.ssgproject.content_profile_cis_level1_server"
DATASTREAM = "/usr/share/xml/scap/ssg/content/ssg-ubuntu2404-ds.xml"
SSH_POLICY = "Hardened Debian 13 (version 1)"
MINUTES = 60.0

# The profile is Ubuntu 24.04's, the one of this family that there is: in a mount namespace of its own the scan sees a
# machine of that name, and one with a kernel package, as a rented machine has. Without the package the profile passes
# over three rules of five, those of sshd, cron, the firewall and the network among them.
AS_UBUNTU = """
set -e
there=$(test -e /etc/lsb-release && echo yes || echo no)
touch /etc/lsb-release
trap 'if [ $there = no ]; then rm -f /etc/lsb-release; fi; install -m 755 /dev/null /.dockerenv' EXIT
rm -f /.dockerenv
scratch=$(mktemp -d)
sed 's/^ID=.*/ID=ubuntu/; s/^VERSION_ID=.*/VERSION_ID="24.04"/; s/^VERSION_CODENAME=.*/VERSION_CODENAME=noble/' \
  /usr/lib/os-release > $scratch/os-release
printf 'DISTRIB_ID=Ubuntu\\nDISTRIB_RELEASE=24.04\\nDISTRIB_CODENAME=noble\\n' > $scratch/lsb-release
cp /var/lib/dpkg/status $scratch/status
if [ {machine} = yes ]; then
  printf '\\nPackage: linux-base\\nStatus: install ok installed\\nMaintainer: none\\n' >> $scratch/status
  printf 'Architecture: all\\nVersion: 4.12\\nDescription: the kernel of a rented machine\\n' >> $scratch/status
fi
unshare --mount sh -c "
  mount --bind $scratch/os-release /usr/lib/os-release
  mount --bind $scratch/lsb-release /etc/lsb-release
  mount --bind $scratch/status /var/lib/dpkg/status
  oscap xccdf eval --profile {profile} --results $scratch/results.xml {datastream} > $scratch/log 2>&1
" || [ $? = 2 ]
cat $scratch/results.xml
rm -r $scratch
"""


def on_vps(script: str, minutes: float = 15) -> str:
    """The output of a shell script that root runs on the VPS.

    Raises:
        EmbeddedVpsError: it failed; the message has the end of what it said.
    """
    _, output, _ = engine.execute(layout.VPS.container, ["sh", "-c", script], timeout=minutes * MINUTES)
    return output


def command(*argv: str) -> None:
    """Run a command of this checkout, its output shown.

    Raises:
        EmbeddedVpsError: it ended with anything but 0.
    """
    if subprocess.run(argv, cwd=layout.REPOSITORY, stdin=subprocess.DEVNULL, check=False).returncode:
        raise EmbeddedVpsError(f"{shlex.join(argv)} failed; its output is above. `make audit` goes on where it was")


def identity() -> str:
    """Which embedded VPS there is; empty when there is none. A reset one is another."""
    found = engine.inspect("container", layout.VPS.container)
    return str(found["Id"]) if found else ""


def reset() -> None:
    """Give the VPS an empty disk."""
    command(sys.executable, "-m", "embedded_vps", "reset", "--distribution", "debian:13")


def converge() -> None:
    """What an operator does, and what the next night does: site.yml, then the security upgrades that are pending."""
    os.environ.setdefault("ANSIBLE_DISPLAY_SKIPPED_HOSTS", "false")
    inventory = layout.REPOSITORY / "inventories" / "demo"
    command("ansible-playbook", "-i", str(inventory), str(layout.REPOSITORY / "site.yml"))
    on_vps("unattended-upgrade")


@contextmanager
def auditors() -> Iterator[None]:
    """Have the auditors' packages on the VPS for as long as it takes."""
    quiet = "export DEBIAN_FRONTEND=noninteractive;"
    names = " ".join(PACKAGES)
    on_vps(f"{quiet} apt-get update -qq && apt-get install -qq -y --no-install-recommends {names} >/dev/null")
    try:
        yield
    finally:
        on_vps(f"{quiet} apt-get purge -qq -y --auto-remove {names} >/dev/null; rm -f /var/log/lynis*")


def _lynis() -> Reading:
    # Its exit code says that there are findings; they are read from its report.
    on_vps("lynis audit system --no-colors --quiet >/dev/null 2>&1 || true")
    return readings.lynis(on_vps("cat /var/log/lynis-report.dat"))


def _cis(machine: str) -> Callable[[], Reading]:
    words = {"{profile}": PROFILE, "{datastream}": DATASTREAM, "{machine}": machine}

    def measure() -> Reading:
        script = AS_UBUNTU
        for word, value in words.items():
            script = script.replace(word, value)
        return readings.openscap(on_vps(script))

    return measure


def _ssh_audit() -> Reading:
    address = str(layout.VPS.v4)
    listing = run(["ssh-audit", "--no-colors", "--skip-rate-test", address], timeout=5 * MINUTES, check=False)
    judged = run(["ssh-audit", "--no-colors", "--policy", SSH_POLICY, address], timeout=5 * MINUTES, check=False)
    return readings.ssh_audit(listing.stdout, SSH_POLICY, judged.stdout)


def _docker() -> Reading:
    # A bare machine has none, and that is no failure.
    if not on_vps("command -v dockerd || true").strip():
        return Reading({})
    return docker_benchmark.judge(docker_benchmark.collect(on_vps))


AUDITORS: dict[str, Callable[[], Reading]] = {
    "docker": _docker,
    "ssh-audit": _ssh_audit,
    "lynis": _lynis,
    "cis-container": _cis("no"),
    "cis": _cis("yes"),
}
"""By name, how each auditor is asked; the order is the one in which they are."""


def measure(auditor: str, console: Console) -> Reading:
    """Ask one auditor about the VPS as it is."""
    console.say(f"{auditor} …")
    reading = AUDITORS[auditor]()
    console.say(f"{auditor}: " + ", ".join(f"{value:g} {name}" for name, value in reading.figures.items()))
    return reading
