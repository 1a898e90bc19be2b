"""From outside, on IPv4 and IPv6, the VPS answers on port 22 and on nothing else, whatever happens to it."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.vps.machine import VPS_ADDRESS, VPS_ADDRESS_V6, Vps, embedded_vps, embedded_vps_code, wait_until

SSH_ALONE = {VPS_ADDRESS: {22}, VPS_ADDRESS_V6: {22}}
ROGUE_PORT, LOOPBACK_PORT = 9999, 8081
IMAGE = "busybox:1.36"
REGISTRY = "http://198.51.100.5:5000/v2/"


def open_ports(address: str) -> set[int]:
    """The TCP ports, of all 65535, that answer a host outside."""
    family = ["-6"] if ":" in address else []
    scan = ["nmap", *family, "-Pn", "-n", "-sS", "-p-", "--min-rate=8000", "--max-retries=2", "-oG", "-", address]
    found: set[int] = set()
    # On a busy machine answers get lost. A scan that did not even see sshd was blind, and whatever one saw counts.
    for _ in range(3):
        found |= {int(port) for port in re.findall(r"(\d+)/open/tcp", embedded_vps("outside", "--", *scan))}
        if 22 in found:
            break
    return found


def found_from_outside() -> dict[str, set[int]]:
    """The open ports of both addresses, scanned at the same time."""
    with ThreadPoolExecutor() as pool:
        return dict(zip(SSH_ALONE, pool.map(open_ports, SSH_ALONE), strict=True))


@dataclass(frozen=True, slots=True)
class Rogue:
    """A container that somebody started by hand, published to the world and to loopback."""

    address: str


@pytest.fixture(scope="module")
def rogue(vps: Vps) -> Iterator[Rogue]:
    """A web server with `-p 0.0.0.0:9999:80`, the same on IPv6, and a port on loopback."""
    published = f"-p 0.0.0.0:{ROGUE_PORT}:80 -p [::]:{ROGUE_PORT}:80 -p 127.0.0.1:{LOOPBACK_PORT}:80"
    vps.run(f"docker run -d --name rogue --restart always {published} {IMAGE} httpd -f -p 80 -h /www 2>&1")
    address = vps.run("docker inspect -f '{{.NetworkSettings.Networks.bridge.IPAddress}}' rogue").strip()
    yield Rogue(address)
    vps.run("docker rm -f rogue")


def rogue_answers(vps: Vps) -> bool:
    """Whether the published port leads to the rogue container, asked on the VPS itself."""
    return vps.fetch(f"http://{VPS_ADDRESS}:{ROGUE_PORT}/") == "hello\n"


@pytest.fixture
def scanner_routes(rogue: Rogue) -> Iterator[None]:
    """The host outside sends what is meant for the VPS's containers and for its loopback to the VPS."""
    routed = [f"{rogue.address}/32", "127.0.0.1/32"]
    # A host delivers to 127.0.0.1 by itself for as long as the address is its own.
    set_up = ["ip addr del 127.0.0.1/8 dev lo", *(f"ip route replace {target} via {VPS_ADDRESS}" for target in routed)]
    embedded_vps("outside", "--", "sh", "-c", " && ".join(set_up))
    yield
    take_down = [*(f"ip route del {target}" for target in routed), "ip addr add 127.0.0.1/8 dev lo"]
    embedded_vps("outside", "--", "sh", "-c", " && ".join(take_down))


def neighbours_reach(rogue: Rogue) -> dict[str, bool]:
    """What a neighbour on the VPS's own network segment reaches by routing to it."""
    probes = {"a container's own address": f"{rogue.address}:80", "a port on loopback": f"127.0.0.1:{LOOPBACK_PORT}"}
    fetch = ("curl", "--silent", "--output", "/dev/null", "--max-time", "4")
    return {
        what: embedded_vps_code("outside", "--", *fetch, f"http://{target}/") == 0 for what, target in probes.items()
    }


def test_only_ssh_answers_on_a_converged_vps() -> None:
    assert found_from_outside() == SSH_ALONE


def test_a_rogue_container_is_not_reached_from_outside(vps: Vps, rogue: Rogue) -> None:
    wait_until("the rogue container answers on the VPS", lambda: rogue_answers(vps), timeout_s=60)
    assert found_from_outside() == SSH_ALONE


def test_only_ssh_answers_after_docker_and_ufw_were_restarted(vps: Vps, rogue: Rogue) -> None:
    vps.run("systemctl reset-failed docker.service docker.socket; systemctl restart docker && ufw reload")
    wait_until("the rogue container answers", lambda: rogue_answers(vps), timeout_s=180)
    assert found_from_outside() == SSH_ALONE


@pytest.mark.usefixtures("scanner_routes")
def test_neighbours_do_not_reach_containers_by_routing(vps: Vps, rogue: Rogue) -> None:
    assert neighbours_reach(rogue) == {"a container's own address": False, "a port on loopback": False}
    # With the firewall's chain opened by hand the same probes get through: they are able to see a hole.
    vps.run("iptables -I DOCKER-USER -j RETURN")
    try:
        opened = {"a container's own address": True, "a port on loopback": True}
        wait_until("both probes get through", lambda: neighbours_reach(rogue) == opened, timeout_s=60)
    finally:
        vps.run("iptables -D DOCKER-USER -j RETURN")


def test_a_container_on_the_live_network_reaches_out(vps: Vps) -> None:
    assert vps.run(f"docker run --rm --network hbot-trading {IMAGE} wget -q -O - {REGISTRY}").strip() == "{}"


def test_only_ssh_answers_after_a_reboot(vps: Vps, rogue: Rogue) -> None:
    embedded_vps("reboot")
    wait_until("SSH answers", vps.answers, timeout_s=180)
    wait_until("the rogue container answers", lambda: rogue_answers(vps), timeout_s=180)
    assert found_from_outside() == SSH_ALONE
    vps.until_bots_are_well(300)  # the next proof finds them as this one did
