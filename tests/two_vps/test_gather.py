"""One VPS keeps what all of them measure, over a tunnel that can do nothing else."""

import json
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.vps.machine import Vps, run_playbook, wait_until

USER = "hbot-metrics"
HOME = "/var/lib/hbot-metrics"


@pytest.fixture(scope="module")
def gathering(both: tuple[Vps, Vps], inventory: Path) -> Iterator[tuple[Vps, Vps]]:
    """vps1 gathers, vps2 sends."""
    hosts = inventory / "hosts.yml"
    before = hosts.read_text()
    hosts.write_text(
        before.replace(
            "      hbot_allow_debian: true\n", "      hbot_allow_debian: true\n      monitoring_gather_on: vps1\n"
        )
    )
    run = run_playbook("site.yml", inventory=inventory)
    assert run.code == 0, run.output[-6000:]
    again = run_playbook("site.yml", inventory=inventory)
    assert (again.code, again.changed("vps1"), again.changed("vps2")) == (0, 0, 0), again.output[-6000:]
    yield both
    hosts.write_text(before)


def gathered(vps: Vps, query: str) -> list[dict[str, Any]]:
    """What the Prometheus that gathers answers."""
    found = json.loads(vps.fetch(f"http://127.0.0.1:9098/api/v1/query?{urllib.parse.urlencode({'query': query})}"))
    result: list[dict[str, Any]] = found["data"]["result"]
    return result


def machines(vps: Vps) -> set[str]:
    """The VPSs that have sent something in the last five minutes."""
    return {sample["metric"].get("vps", "") for sample in gathered(vps, "count by (vps) (up)")}


def test_what_every_vps_measures_comes_together_on_one(gathering: tuple[Vps, Vps]) -> None:
    first, _ = gathering
    wait_until("both send", lambda: machines(first) == {"vps1", "vps2"}, 180)
    wait_until("their bots are there", lambda: bool(gathered(first, "hbot_bot_enabled")), 120)
    source = first.run("cat /opt/hbot/monitoring/grafana/provisioning/datasources/prometheus.yml")
    assert "All VPSs" in source
    own = json.loads(first.fetch("http://127.0.0.1:9090/api/v1/query?query=up"))["data"]["result"]
    assert "vps2" not in {sample["metric"].get("vps") for sample in own}, "each judges itself alone"


def test_the_tunnels_key_opens_that_port_and_nothing_else(gathering: tuple[Vps, Vps]) -> None:
    first, second = gathering
    address = second.run("systemctl cat hbot-metrics-tunnel | grep -o 'hbot-metrics@[^ ]*'").strip()
    ssh = f"ssh -o BatchMode=yes -o UserKnownHostsFile={HOME}/.ssh/known_hosts -i {HOME}/.ssh/id_ed25519"
    as_it = f"runuser -u {USER} --"
    assert not second.succeeds(f"{as_it} timeout 20 {ssh} {address} id"), "a command"
    opened = f"{as_it} timeout 20 {ssh} -N -o ExitOnForwardFailure=yes -W 127.0.0.1:9090 {address} </dev/null"
    assert "administratively prohibited" in second.run(f"{opened} 2>&1 || true"), "another port"
    assert not first.succeeds(f"sudo -n -u {USER} sudo -n true"), "root"


def test_a_vps_that_was_away_sends_what_it_measured_meanwhile(gathering: tuple[Vps, Vps]) -> None:
    first, second = gathering
    second.run("systemctl stop hbot-metrics-tunnel")
    wait_until("nothing comes any more", lambda: machines(first) == {"vps1"}, 420, 15)
    second.run("systemctl start hbot-metrics-tunnel")
    wait_until("it sends", lambda: "vps2" in machines(first), 300, 5)
    holes = 'count_over_time(up{vps="vps2",job="prometheus"}[5m])'
    wait_until("the gap is filled", lambda: float(gathered(first, holes)[0]["value"][1]) >= 18, 180, 5)
