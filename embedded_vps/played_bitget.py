"""A paper exchange that plays Bitget for a rehearsal: on the VPS, in a network of its own that has no way out.

It shows the market of a bot's own paper exchange, by the same rules, and has an account with money in it. Whoever is in
its network finds it under Bitget's names. The operator's machine gets there by a relay into the container, because the
VPS lets nobody in.
"""

import json
import secrets
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from ipaddress import IPv4Network
from typing import Any

from embedded_vps import engine, layout

NAME = "hbot-rehearsal-bitget"
NETWORK = "hbot-rehearsal"
SUBNET = IPv4Network("203.0.113.0/28")
"""For documentation: private enough for a paper exchange, and known beforehand for the keys' whitelists."""
ROOT = "/opt/hbot/rehearsal"
CA_FILE = f"{ROOT}/tls/public/ca.pem"
ACCOUNT = "live"

_RELAY = """
import socket, sys, threading
there = socket.create_connection(("127.0.0.1", 443))
def back():
    while data := there.recv(65536):
        sys.stdout.buffer.write(data); sys.stdout.buffer.flush()
threading.Thread(target=back, daemon=True).start()
while data := sys.stdin.buffer.read1(65536):
    there.sendall(data)
"""


def on_vps(*command: str, stdin: str = "", check: bool = True) -> str:
    """Run a command on the VPS as root, past sshd, and return its output."""
    arguments = ["exec", "-i", layout.VPS.container, *command]
    return engine.docker(*arguments, stdin=stdin.encode(), check=check, timeout=180)


def new_key() -> dict[str, str]:
    """A key as paper exchanges have them."""
    return {
        "api_key": f"paper_{secrets.token_hex(16)}",
        "secret_key": secrets.token_hex(32),
        "passphrase": secrets.token_hex(12),
    }


def addresses() -> list[str]:
    """Every address that a container in the network may have."""
    return [str(address) for address in SUBNET.hosts()]


def make_network() -> None:
    """Make the network, which nothing leaves. Its bridge is named as the firewall knows those of bots."""
    bridge = "com.docker.network.bridge.name=hb-rehearsal"
    on_vps("docker", "network", "create", "--internal", f"--subnet={SUBNET}", "--opt", bridge, NETWORK)


def start(beside: str, keys: Sequence[dict[str, str]], start_quote: str, start_base: str) -> None:
    """Start it.

    Args:
        beside: the bot whose paper exchange it is like.
        keys: of the account, the second of which the operator's own machine may use, too.
        start_quote: what the account has.
        start_base: the same.
    """
    like: dict[str, Any] = json.loads(on_vps("docker", "inspect", f"hbot-{beside}-exchange"))[0]
    mounts = {mount["Destination"]: mount["Source"] for mount in like["Mounts"]}
    config = json.loads(on_vps("cat", f"{mounts['/etc/paper_exchange']}/config.json"))
    config |= {"bot": "rehearsal", "start_quote": "0", "start_base": "0", "scenario": []}
    config["accounts"] = [{"name": ACCOUNT, "start_quote": start_quote, "start_base": start_base}]
    own, other = keys
    credentials = new_key() | {
        "keys": [
            own | {"account": ACCOUNT, "ips": addresses()},
            other | {"account": ACCOUNT, "ips": [*addresses(), "127.0.0.1"]},
        ]
    }
    for directory in ("config", "state", "tls", "credentials"):
        on_vps("install", "-d", "-m", "0750", "-o", "6420", "-g", "6420", f"{ROOT}/{directory}")
    write = "umask 077 && cat > $0 && chown 6420:6420 $0"
    on_vps("sh", "-c", write, f"{ROOT}/config/config.json", stdin=json.dumps(config))
    on_vps("sh", "-c", write, f"{ROOT}/credentials/credentials.json", stdin=json.dumps(credentials))
    volumes = {
        "/opt/paper_exchange/paper_exchange": mounts["/opt/paper_exchange/paper_exchange"],
        "/opt/market": mounts["/opt/market"],
        "/etc/paper_exchange": f"{ROOT}/config",
        "/run/paper_exchange": f"{ROOT}/credentials",
    }
    written = {"/var/lib/paper_exchange": f"{ROOT}/state", "/var/lib/paper_exchange_tls": f"{ROOT}/tls"}
    command = ["docker", "run", "--detach", f"--name={NAME}", "--user=6420:6420", "--read-only", "--cap-drop=ALL"]
    command += ["--security-opt=no-new-privileges", "--sysctl=net.ipv4.ip_unprivileged_port_start=0", "--tmpfs=/tmp"]
    command += ["--env=PYTHONPATH=/opt/paper_exchange", "--env=PYTHONDONTWRITEBYTECODE=1", "--workdir=/tmp"]
    command += [f"--network={NETWORK}", "--network-alias=api.bitget.com", "--network-alias=ws.bitget.com"]
    command += [f"--volume={source}:{target}:ro" for target, source in volumes.items()]
    command += [f"--volume={source}:{target}" for target, source in written.items()]
    command += [like["Config"]["Image"], "python", "-m", "paper_exchange", "--config=/etc/paper_exchange/config.json"]
    on_vps(*command)


def authority() -> str:
    """Its certificate authority, once it answers."""
    deadline = time.monotonic() + 180
    while not (ctl("health") or {}).get("healthy"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{NAME} is not healthy after 180 s: docker logs {NAME} on the VPS")
        time.sleep(1)
    return on_vps("cat", CA_FILE) + "\n"


def ctl(*arguments: str, container: str = NAME) -> Any:
    """Ask its control socket, or another exchange's; None when it does not answer yet."""
    ask = ["docker", "exec", container, "python", "-m", "paper_exchange.ctl", "--compact", *arguments]
    try:
        return json.loads(on_vps(*ask, check=False))
    except ValueError:
        return None


def remove() -> None:
    """Remove it with all it has."""
    on_vps("docker", "rm", "--force", "--volumes", NAME, check=False)
    on_vps("docker", "network", "rm", NETWORK, check=False)
    on_vps("rm", "-rf", ROOT)


class Relay:
    """A port on this machine that leads to it: the operator's own way there, which is not by the VPS's sshd."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            command = ["docker", "exec", "-i", layout.VPS.container]
            command += ["docker", "exec", "-i", NAME, "python", "-c", _RELAY]
            with connection:
                # The process has the connection's two ends; it ends when either side does.
                subprocess.Popen(
                    command, stdin=connection.fileno(), stdout=connection.fileno(), stderr=subprocess.DEVNULL
                )

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()
