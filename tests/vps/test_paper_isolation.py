"""A paper bot reaches its paper exchange and nothing else, tried from inside its container."""

import json

import pytest

from tests.vps.machine import VPS_ADDRESS, Vps, wait_until

TRY_TO_CONNECT = """
import json, socket, sys
reached = {}
for target in json.loads(sys.argv[1]):
    host, port = target.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
        reached[target] = True
    except OSError:
        reached[target] = False
print(json.dumps(reached))
"""


def reached_from(vps: Vps, container: str, targets: list[str]) -> dict[str, bool]:
    """Which `host:port` targets a TCP connection from inside `container` reaches."""
    command = f"docker exec -i {container} python - '{json.dumps(targets)}' <<'PY'\n{TRY_TO_CONNECT}\nPY"
    answers: dict[str, bool] = json.loads(vps.run(command))
    return answers


def addresses(vps: Vps, container: str) -> list[str]:
    """A container's addresses on all its networks."""
    return vps.run(
        f"docker inspect -f '{{{{range .NetworkSettings.Networks}}}}{{{{.IPAddress}}}} {{{{end}}}}' {container}"
    ).split()


@pytest.fixture(scope="module")
def forbidden(vps: Vps) -> list[str]:
    """Everything that a paper bot must not reach, each known to answer somebody else."""
    gateways = vps.run("ip -4 -o addr show | awk '{print $4}' | cut -d/ -f1").split()
    vps.run("systemd-run --unit=isolation-listener --collect python3 -m http.server 8088 --bind 0.0.0.0")
    others = [
        *addresses(vps, "hbot-bot2"),
        *addresses(vps, "hbot-bot2-exchange"),
    ]
    targets = [f"{address}:{port}" for address in gateways if address != "127.0.0.1" for port in (22, 8088)]
    targets += [f"{address}:443" for address in others]
    targets += ["198.51.100.66:22", "198.51.100.5:5000", "1.1.1.1:443"]
    return targets


def test_a_paper_bot_reaches_its_exchange_and_nothing_else(vps: Vps, forbidden: list[str]) -> None:
    allowed = ["api.bitget.com:443", "ws.bitget.com:443"]
    try:
        wait_until("the listener answers", lambda: vps.fetch(f"http://{VPS_ADDRESS}:8088/") != "", timeout_s=60)
        reached = reached_from(vps, "hbot-bot1", [*allowed, *forbidden])
    finally:
        vps.run("systemctl stop isolation-listener")
    assert [target for target, yes in reached.items() if yes] == allowed


def test_a_paper_bots_exchange_is_the_simulator(vps: Vps) -> None:
    resolved = vps.run("docker exec hbot-bot1 getent hosts api.bitget.com").split()[0]
    assert resolved in addresses(vps, "hbot-bot1-exchange")
