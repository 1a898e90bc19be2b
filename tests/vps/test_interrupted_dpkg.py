"""An installation that was killed in the middle is finished by the next converge."""

from tests.vps.machine import Vps, run_playbook

CONTROL = """\
Package: hbot-half
Version: 1
Architecture: all
Maintainer: tests <tests@example.org>
Description: is killed while it is configured
"""
POSTINST = """\
#!/bin/sh
# The first time, dpkg is killed here, as a power cut would kill it.
[ -e /run/hbot-half-installed ] || { touch /run/hbot-half-installed; kill -9 $PPID; exit 1; }
"""


def test_a_killed_dpkg_is_finished_and_nothing_else_changes(vps: Vps) -> None:
    vps.run("rm -rf /tmp/half /run/hbot-half-installed && mkdir -p /tmp/half/DEBIAN")
    for name, content in (("control", CONTROL), ("postinst", POSTINST)):
        vps.run(f"cat > /tmp/half/DEBIAN/{name} <<'END'\n{content}END\n")
    vps.run("chmod -R 0755 /tmp/half/DEBIAN && dpkg-deb --build /tmp/half /tmp/half.deb >/dev/null")
    containers = vps.containers()
    assert not vps.succeeds("dpkg --install /tmp/half.deb")
    assert "dpkg was interrupted" in vps.run("apt-get -y install sl 2>&1 || true")
    run = run_playbook("site.yml", "--limit", "vps1")
    assert run.code == 0, run.output[-4000:]
    assert run.changed("vps1") == 1
    assert vps.run("dpkg --audit") == ""
    assert vps.containers() == containers
    vps.run("dpkg --purge hbot-half && rm -rf /tmp/half /tmp/half.deb /run/hbot-half-installed")
