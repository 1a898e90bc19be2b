"""The embedded VPS's fixed names and addresses, and where it keeps its files.

The addresses are from the documentation ranges: public-looking, because firewall rules that spare private ranges would
give false results. ``inventories/demo`` and the tests rely on them.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
IMAGES = Path(__file__).resolve().parent / "images"
STATE = REPOSITORY / "build" / "embedded_vps"
KEY = STATE / "id_ed25519"
KNOWN_HOSTS = STATE / "known_hosts"
INBOX = STATE / "inbox"

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
VPS = _host("embedded-vps", "vps1", 10)
OUTSIDE = _host("embedded-outside", "outside", 66)
THIRD = _host("embedded-third", "third", 77)

VOLUME_DOCKER = "embedded-vps-docker"
VOLUME_APT_ARCHIVES = "embedded-vps-apt-archives"
VOLUME_APT_LISTS = "embedded-vps-apt-lists"
VOLUME_REGISTRY = "embedded-registry"

BOT_IMAGE = "hummingbot/hummingbot:version-2.16.0"
BUSYBOX_IMAGE = "busybox:1.36"
