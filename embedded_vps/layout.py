"""The embedded VPS's fixed names and addresses, and where it keeps its files.

The addresses are from the documentation ranges: public-looking, because firewall rules that spare private ranges would
give false results. ``inventories/demo`` and the tests rely on them.
"""

import os
import tempfile
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
IMAGES = Path(__file__).resolve().parent / "images"
STATE = REPOSITORY / "build" / "embedded_vps"
SHARED_LOCK = Path(tempfile.gettempdir()) / f"embedded-vps-{os.getuid()}.lock"
KEY = STATE / "id_ed25519"
KNOWN_HOSTS = STATE / "known_hosts"

NETWORK = "embedded-vps"
BRIDGE = "br-embedded-vps"  # 15 characters, the most that Linux takes
SUBNET4 = IPv4Network("198.51.100.0/24")
SUBNET6 = IPv6Network("2001:db8:51:100::/64")
REGISTRY_MIRROR = "http://198.51.100.5:5000"

LABEL = "hbot.embedded-vps"


@dataclass(frozen=True)
class Host:
    """One machine of the small internet."""

    container: str
    hostname: str
    v4: IPv4Address
    v6: IPv6Address


def _host(container: str, hostname: str, number: int) -> Host:
    # .10 and ::10 read alike: the IPv6 interface number is the decimal one, read as hexadecimal.
    return Host(container, hostname, SUBNET4[number], SUBNET6[int(str(number), 16)])


GATEWAY = _host("", "builder", 1)
REGISTRY = _host("embedded-registry", "registry", 5)
_RENTED = (("vps1", 10), ("vps2", 20), ("vps3", 30), ("vps4", 40), ("vps5", 50), ("vps6", 60))
VPSES = {name: _host(f"embedded-{name}", name, number) for name, number in _RENTED}
"""The machines that can be rented here, side by side."""

VPS_VARIABLE = "HBOT_EMBEDDED_VPS"
VPS = VPSES.get(os.environ.get(VPS_VARIABLE, "vps1"), VPSES["vps1"])
"""The one that commands are about."""

OUTSIDE = _host("embedded-outside", "outside", 66)
THIRD = _host("embedded-third", "third", 77)

VOLUME_DOCKER = f"{VPS.container}-docker"
VOLUME_APT_ARCHIVES = f"{VPS.container}-apt-archives"
VOLUME_APT_LISTS = f"{VPS.container}-apt-lists"
VOLUME_REGISTRY = "embedded-registry"

BOT_IMAGE = "hummingbot/hummingbot:version-2.16.0"
BUSYBOX_IMAGE = "busybox:1.36"

PROMETHEUS_IMAGES = {
    # the official image: its program
    "prom/prometheus:v2.53.3": "prometheus",
    "prom/alertmanager:v0.28.1": "alertmanager",
    "prom/node-exporter:v1.9.0": "node_exporter",
    "prom/blackbox-exporter:v0.26.0": "blackbox_exporter",
}
CADVISOR_IMAGE = "cadvisor/cadvisor:v0.49.1"
"""The name that the demo's inventory has for cAdvisor: a mirror serves Docker Hub's names only."""
CADVISOR_OFFICIAL = "gcr.io/cadvisor/cadvisor:v0.49.1"
GRAFANA_IMAGE = "grafana/grafana:11.6.0"

VPS_IMAGES = (BOT_IMAGE, BUSYBOX_IMAGE, *PROMETHEUS_IMAGES, CADVISOR_IMAGE, GRAFANA_IMAGE)
"""What the VPS pulls from the local registry."""
