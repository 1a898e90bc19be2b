"""What a machine does to its bots by itself: package managers at work, an upgrade of Docker, a flood of log lines."""

import json

from tests.vps.machine import Vps, run_playbook

LOCK = "/var/lib/dpkg/lock-frontend"
LOCK_HELD_S = 45


def test_a_package_manager_at_work_is_waited_for(vps: Vps) -> None:
    vps.run("dpkg --remove --force-depends cracklib-runtime 2>&1")
    holder = f"import fcntl, time; f = open('{LOCK}', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); time.sleep({LOCK_HELD_S})"
    vps.run(f'systemd-run --quiet --unit=holds-the-apt-lock python3 -c "{holder}"')
    run = run_playbook("site.yml", "--limit", "vps1")
    assert run.code == 0, run.output
    assert vps.succeeds("dpkg -s cracklib-runtime | grep -qx 'Status: install ok installed'")
    assert not vps.succeeds("systemctl is-active holds-the-apt-lock")


def test_an_upgrade_of_docker_stops_no_bot(vps: Vps) -> None:
    vps.until_bots_are_well(240)
    before = vps.containers()
    engine = vps.run("systemctl show docker -p MainPID")
    # An upgrade in everything but the version: unpacked and configured anew, the daemon started anew.
    packages = "apt-get install -y -q --reinstall --allow-change-held-packages docker.io"
    vps.run(f"DEBIAN_FRONTEND=noninteractive {packages} 2>&1 && apt-mark hold docker.io && systemctl restart docker")
    assert vps.run("systemctl show docker -p MainPID") != engine, "the engine is a new process"
    assert vps.containers() == before
    vps.until_bots_are_well(60)


def test_a_flood_of_log_lines_is_capped(vps: Vps) -> None:
    image = vps.run("docker inspect -f '{{.Image}}' hbot-bot2").strip()
    flood = "python3 -c \"import sys; [sys.stdout.write('x' * 999 + chr(10)) for _ in range(250_000)]\""
    vps.run(f"docker run -d --name flood --network none --entrypoint sh {image} -c '{flood}'")
    try:
        vps.run("timeout 200 docker wait flood")
        config, path = vps.run("docker inspect -f '{{json .HostConfig.LogConfig.Config}} {{.LogPath}}' flood").split()
        files, size = int(json.loads(config)["max-file"]), json.loads(config)["max-size"]
        assert size.endswith("m")
        kept_mb = int(vps.run(f"du -sm --apparent-size {path}* | awk '{{s += $1}} END {{print s}}'"))
        assert kept_mb <= files * (int(size.removesuffix("m")) + 1), "250 MB were written"
    finally:
        vps.run("docker rm -f flood")
    bots = [vps.run(f"docker inspect -f '{{{{json .HostConfig.LogConfig}}}}' {name}") for name in vps.containers()]
    assert {json.loads(one)["Type"] for one in bots} == {"json-file"}
    assert all(json.loads(one)["Config"]["max-size"] == size for one in bots)
