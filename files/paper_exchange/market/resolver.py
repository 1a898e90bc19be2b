"""Looking a name up at given DNS servers, past the system's resolver.

The paper exchange's container carries the real exchange's names as its own network aliases, and Docker's resolver
answers them from every network the container is on: asked there, the relay would find itself. So it asks the Internet's
servers directly.
"""

import asyncio
import contextlib
import secrets
import socket
import struct
from collections.abc import Sequence

from aiohttp.abc import AbstractResolver, ResolveResult

_TIMEOUT_S = 3.0
_TYPES = {socket.AF_INET: 1, socket.AF_INET6: 28}
_HEADER = struct.Struct(">HHHHHH")
_RECORD = struct.Struct(">HHIH")
_RECURSION_DESIRED = 0x0100
_CLASS_INTERNET = 1
_CODE_MASK = 0x000F
_POINTER = 0xC0


class DnsAnswerError(Exception):
    """A DNS answer that cannot be used."""


def make_query(name: str, record_type: int, identity: int) -> bytes:
    """A recursive query for one name (RFC 1035, section 4.1)."""
    labels = name.rstrip(".").encode("idna").split(b".")
    question = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    header = _HEADER.pack(identity, _RECURSION_DESIRED, 1, 0, 0, 0)
    return header + question + struct.pack(">HH", record_type, _CLASS_INTERNET)


def read_answer(packet: bytes, record_type: int, identity: int) -> list[str]:
    """The addresses in an answer, aliases (CNAME) skipped.

    Raises:
        DnsAnswerError: it is malformed, belongs to another query, or says the name cannot be found.
    """
    try:
        answered, flags, questions, answers, _, _ = _HEADER.unpack_from(packet)
        if answered != identity or not flags & 0x8000:
            raise DnsAnswerError("not an answer to this query")
        if flags & _CODE_MASK:
            raise DnsAnswerError(f"refused with code {flags & _CODE_MASK}")
        at = _HEADER.size
        for _ in range(questions):
            at = _skip_name(packet, at) + 4
        addresses: list[str] = []
        for _ in range(answers):
            at = _skip_name(packet, at)
            kind, _, _, length = _RECORD.unpack_from(packet, at)
            at += _RECORD.size
            if kind == record_type:
                family = socket.AF_INET if record_type == _TYPES[socket.AF_INET] else socket.AF_INET6
                addresses.append(socket.inet_ntop(family, packet[at : at + length]))
            at += length
    except (struct.error, IndexError, ValueError, OSError) as error:
        raise DnsAnswerError(f"malformed: {error}") from error
    return addresses


def _skip_name(packet: bytes, at: int) -> int:
    while True:
        length = packet[at]
        if length & _POINTER == _POINTER:
            return at + 2
        at += 1 + length
        if not length:
            return at


class _Exchange(asyncio.DatagramProtocol):
    def __init__(self, answer: asyncio.Future[bytes]) -> None:
        self._answer = answer

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self._answer.done():
            self._answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(exc)


class DirectResolver(AbstractResolver):
    """Asks the given DNS servers, one after the other.

    Args:
        servers: their addresses.
        port: their port.
    """

    def __init__(self, servers: Sequence[str], port: int = 53) -> None:
        self._servers = list(servers)
        self._port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of ``host``.

        Raises:
            OSError: no server knows it or none answers.
        """
        families = (socket.AF_INET, socket.AF_INET6) if family == socket.AF_UNSPEC else (family,)
        results: list[ResolveResult] = []
        problems: list[str] = []
        for wanted in families:
            for server in self._servers:
                try:
                    addresses = await self._ask(server, host, _TYPES[wanted])
                except (OSError, TimeoutError, DnsAnswerError) as error:
                    problems.append(f"{server}: {error or 'no answer'}")
                    continue
                results += [
                    ResolveResult(hostname=host, host=address, port=port, family=wanted, proto=0, flags=0)
                    for address in addresses
                ]
                break
        if not results:
            raise OSError(f"{host}: no address from the DNS servers ({'; '.join(problems) or 'empty answers'})")
        return results

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _ask(self, server: str, host: str, record_type: int) -> list[str]:
        identity = secrets.randbelow(2**16)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Exchange(answer), remote_addr=(server, self._port))
        with contextlib.closing(transport):
            transport.sendto(make_query(host, record_type, identity))
            packet = await asyncio.wait_for(answer, _TIMEOUT_S)
        return read_answer(packet, record_type, identity)
