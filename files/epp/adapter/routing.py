"""Where the exchange's names lead, and whether that is where the mode says it should.

A paper bot must never speak to the exchange, a live one never to the simulator. The container's network decides; this
is the bot's own proof of it before it quotes. Both signs must agree with the mode: the addresses behind the names
(the simulator has private ones, the exchange has public ones) and the certificate shown there (the simulator's own
authority names itself, and a paper bot trusts no other).

A rehearsal's bot is live and trades on a paper exchange: here it counts as one on paper, so that it can never meet the
exchange itself, nor use a key of it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from typing import Literal

HOSTS = ("api.bitget.com", "ws.bitget.com")

SIMULATOR_AUTHORITY = "paper exchange"
"""Begins the common name of the simulator's certificate authority."""

TIMEOUT_S = 10.0

PAPER_KEY = "paper_"
"""How the keys begin that are made for paper exchanges; the exchange's own begin otherwise."""

Mode = Literal["paper", "live"]


@dataclass(frozen=True, slots=True)
class Destination:
    """What stands behind one of the exchange's names."""

    host: str
    addresses: tuple[str, ...]
    authority: str
    """Common name of the certificate's issuer."""

    @property
    def is_simulator(self) -> bool:
        """Whether the certificate says so."""
        return self.authority.lower().startswith(SIMULATOR_AUTHORITY)


async def look_up(host: str) -> Destination:
    """Resolve ``host``, shake hands with it over TLS and read who vouches for it.

    Raises:
        OSError: it cannot be resolved or reached, or its certificate is not trusted.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    addresses = tuple(sorted({str(entry[4][0]) for entry in found}))
    context = ssl.create_default_context()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, 443, ssl=context)
    except TimeoutError:
        raise OSError(f"{host}: no TLS handshake within {TIMEOUT_S:.0f} s") from None
    try:
        certificate = writer.get_extra_info("peercert") or {}
    finally:
        writer.close()
    names = dict(pair[0] for pair in certificate.get("issuer", ()))
    return Destination(host, addresses, str(names.get("commonName", "")))


def key_objection(mode: Mode, api_key: str) -> str:
    """Why a bot of this mode may not use this key; empty when it may. The key is not in it."""
    if mode == "paper" and not api_key.startswith(PAPER_KEY):
        return "mode is paper, but the API key is none that was made for a paper exchange"
    if mode == "live" and api_key.startswith(PAPER_KEY):
        return "mode is live, but the API key was made for a paper exchange"
    return ""


def objection(mode: Mode, destination: Destination) -> str:
    """Why ``destination`` is not where a bot of this mode may trade; empty when it is."""
    where = (
        f"{destination.host} is {', '.join(destination.addresses)}, certified by {destination.authority or 'nobody'!r}"
    )
    addresses = [ipaddress.ip_address(address.partition("%")[0]) for address in destination.addresses]
    if not addresses:
        return f"{destination.host} has no address"
    if mode == "paper":
        if not all(address.is_private for address in addresses):
            return f"mode is paper, but {where}: a paper exchange has private addresses only"
        if not destination.is_simulator:
            return f"mode is paper, but {where}: not the paper exchange's own authority"
    else:
        if not all(address.is_global for address in addresses):
            return f"mode is live, but {where}: the exchange has public addresses only"
        if destination.is_simulator:
            return f"mode is live, but {where}: that is the paper exchange"
    return ""


async def disagreements(mode: Mode) -> list[str]:
    """Why routing does not fit the mode, one line per name; empty when all agrees.

    Raises:
        OSError: a name could not be looked up; nothing is known then.
    """
    destinations = await asyncio.gather(*(look_up(host) for host in HOSTS))
    return [line for line in (objection(mode, destination) for destination in destinations) if line]
