"""The small internet's network: a bridge on public-looking addresses, checked before use.

A network laid over addresses that this machine needs would cut it off from them, so its routes, its resolvers and the
package registries it is configured for are compared with the ranges first.
"""

import configparser
import json
import os
import re
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from embedded_vps import engine, layout
from embedded_vps.command import run
from embedded_vps.console import Console, EmbeddedVpsError


def overlaps(text: str) -> bool:
    """Whether an address or network (as text) shares addresses with the embedded network."""
    found = ip_network(text, strict=False)
    if found.version == 4:
        return found.overlaps(layout.SUBNET4)
    return found.overlaps(layout.SUBNET6)


def _routes() -> dict[str, str]:
    """Return this machine's routes, except default ones and the embedded network's own: destination -> interface."""
    routes: dict[str, str] = {}
    for family in ("-4", "-6"):
        result = run(["ip", "-json", family, "route", "show", "table", "all"], timeout=20, check=False)
        for route in json.loads(result.stdout or "[]"):
            destination, device = str(route.get("dst", "default")), str(route.get("dev", "?"))
            if destination not in {"default", "0.0.0.0/0", "::/0"} and device != layout.BRIDGE:
                routes[destination] = device
    return routes


def upstream_resolvers() -> list[str]:
    """Return the addresses of the resolvers this machine really asks, loopback stubs looked through."""
    for path in (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf")):
        if not path.exists():
            continue
        named = re.findall(r"^\s*nameserver\s+([0-9a-fA-F:.]+)", path.read_text(), re.MULTILINE)
        outer = [address for address in named if not ip_address(address).is_loopback]
        if outer:
            return outer
    return []


def _pip_hosts() -> set[str]:
    """Return the hosts pip would download from here, read from its configuration and environment."""
    settings = [os.environ.get(name, "") for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS")]
    home = Path.home()
    files = [
        Path("/etc/pip.conf"),
        *(Path(base) / "pip/pip.conf" for base in os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")),
        home / ".pip/pip.conf",
        home / ".config/pip/pip.conf",
        Path(sys.prefix) / "pip.conf",
        Path(os.environ.get("PIP_CONFIG_FILE", os.devnull)),
    ]
    for path in files:
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read(path)
        except (configparser.Error, UnicodeDecodeError):
            continue
        for section in parser.sections():
            settings += [
                parser.get(section, key, fallback="") for key in ("index-url", "extra-index-url", "find-links")
            ]
    # pip's own default, asked of pip itself.
    ask = "from pip._internal.models.index import PyPI; print(PyPI.url)"
    settings.append(run([sys.executable, "-c", ask], timeout=30, check=False).stdout)
    return {urlsplit(url).hostname or "" for setting in settings for url in setting.split() if "://" in url}


def _apt_hosts() -> set[str]:
    """Return the hosts of this machine's apt sources."""
    hosts: set[str] = set()
    for path in [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]:
        if path.is_file():
            lines = [
                line for line in path.read_text(errors="replace").splitlines() if not line.lstrip().startswith("#")
            ]
            hosts |= {urlsplit(url).hostname or "" for url in re.findall(r"\bhttps?://\S+", "\n".join(lines))}
    return hosts


def _proxy_hosts() -> set[str]:
    names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    return {urlsplit(os.environ[name]).hostname or "" for name in names if os.environ.get(name)}


def _resolve(host: str) -> tuple[str, list[str]]:
    try:
        return host, sorted({str(info[4][0]).split("%")[0] for info in socket.getaddrinfo(host, 443)})
    except OSError:
        return host, []


def conflicts() -> list[str]:
    """Return one sentence per reason why this machine must not use the embedded network's addresses."""
    found = [
        f"a route of this machine leads there: {to} by {device}" for to, device in _routes().items() if overlaps(to)
    ]
    found += [
        f"a resolver of this machine is there: {address}" for address in upstream_resolvers() if overlaps(address)
    ]
    hosts = sorted((_pip_hosts() | _apt_hosts() | _proxy_hosts()) - {""})
    with ThreadPoolExecutor(max_workers=8) as pool:
        for host, addresses in pool.map(_resolve, hosts):
            found += [f"{host}, which this machine downloads from, is there: {ip}" for ip in addresses if overlaps(ip)]
    return found


def ensure(console: Console) -> None:
    """Make the network where it is missing, after checking that nothing else needs its addresses."""
    if engine.inspect("network", layout.NETWORK) is not None:
        return
    reasons = conflicts()
    if reasons:
        listed = "\n  ".join(reasons)
        raise EmbeddedVpsError(
            f"{layout.SUBNET4} and {layout.SUBNET6} cannot be used here:\n  {listed}\n"
            "Fix: remove what holds them (`docker network ls` shows other container networks), or use another machine"
        )
    console.say(f"making the network {layout.SUBNET4} and {layout.SUBNET6}")
    engine.docker(
        "network",
        "create",
        "--driver=bridge",
        "--ipv6",
        f"--subnet={layout.SUBNET4}",
        f"--gateway={layout.GATEWAY.v4}",
        f"--subnet={layout.SUBNET6}",
        f"--gateway={layout.GATEWAY.v6}",
        f"--opt=com.docker.network.bridge.name={layout.BRIDGE}",
        f"--label={layout.LABEL}=network",
        layout.NETWORK,
    )


def remove(console: Console) -> None:
    """Remove the network where it is there and nothing uses it."""
    if engine.inspect("network", layout.NETWORK) is not None:
        console.say("removing the network")
        engine.docker("network", "rm", layout.NETWORK)
