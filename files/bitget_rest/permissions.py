"""What a trading bot's key may do at most, by Bitget's permission codes."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from .client import Account

READING = {
    "readonly": "read (an older code)",
    "stor": "read spot",
    "coor": "read futures orders",
    "cpor": "read futures positions",
    "smor": "read margin",
    "ttor": "read copy trading",
    "wtor": "read transfers",
    "taxr": "read taxes",
    "chor": "read sub-accounts",
    "p2pr": "read P2P",
}
"""Codes that change nothing on the account."""

REFUSED = {
    "wwow": "withdraw",
    "withdraw": "withdraw (an older code)",
    "wtow": "transfer",
    "transfer": "transfer (an older code)",
    "coow": "trade futures",
    "cpow": "change futures positions",
    "smow": "trade on margin",
    "ttow": "copy trading",
    "chow": "change sub-accounts",
    "p2p": "P2P",
    "pllw": "loans",
    "taxw": "change taxes",
}
"""Codes that a spot bot has no use for and a thief has."""

SPOT = ("stow", "trade")
"""Spot trading; the second is an older code."""

FUTURES = ("coow", "cpow")

WIDEST = 256
"""Addresses that one entry of a whitelist may hold: more is no whitelist of a VPS."""


def objections(account: Account, addresses: Sequence[str], connector: str, *, trades: bool = True) -> dict[str, str]:
    """Why a bot may not go live with this key: by ``key_permissions`` and ``key_whitelist``; empty when it may.

    Args:
        account: what the exchange tells of the key.
        addresses: those the VPS may be seen with.
        connector: ``bitget`` or ``bitget_perpetual``, which has to trade futures.
        trades: whether the bot places orders; one that only watches needs no right to.
    """
    found = {
        "key_permissions": _permissions(account.authorities, connector, trades=trades),
        "key_whitelist": _whitelist(account.ips, addresses),
    }
    return {name: why for name, why in found.items() if why}


def _permissions(codes: Sequence[str], connector: str, *, trades: bool) -> str:
    futures = connector == "bitget_perpetual"
    wanted = FUTURES if futures else SPOT
    allowed = {*READING, *SPOT, *(FUTURES if futures else ())}
    too_much = [f"{code} ({REFUSED[code]})" for code in codes if code in REFUSED and code not in allowed]
    unknown = [repr(code) for code in codes if code not in REFUSED and code not in allowed]
    faults = []
    if too_much:
        faults.append(f"it may {', '.join(too_much)}")
    if unknown:
        faults.append(f"it has permissions that nobody here knows: {', '.join(unknown)}")
    if trades and not set(codes) & set(wanted):
        faults.append(f"it may not trade {'futures' if futures else 'spot'} ({wanted[0]})")
    return "; ".join(faults)


def _whitelist(entries: Sequence[str], addresses: Sequence[str]) -> str:
    if not entries:
        return "it has no IP whitelist: it works from anywhere"
    networks = []
    for entry in entries:
        try:
            network = ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return f"its IP whitelist has {entry!r}, which is no address"
        if network.num_addresses > WIDEST:
            return f"its IP whitelist has {entry}, which is {network.num_addresses} addresses"
        networks.append(network)
    known = []
    for address in addresses:
        try:
            known.append(ipaddress.ip_address(address))
        except ValueError:
            continue
    if not known:
        return "no address of this VPS is known to look for in its IP whitelist"
    if not any(address in network for address in known for network in networks if address.version == network.version):
        return f"its IP whitelist ({', '.join(entries)}) does not hold this VPS ({', '.join(map(str, known))})"
    return ""
