"""The control socket: a Unix socket in the state directory, one JSON request and one JSON answer per connection."""

import asyncio
import json
import logging
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import wire
from .exchange import Exchange
from .faults import KINDS, FaultError
from .websocket import SocketServer

_log = logging.getLogger(__name__)
SOCKET_NAME = "ctl.sock"
_MAX_REQUEST = 64 * 1024


def _bind(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    return listener


class ControlServer:
    """Answers `paper_exchange.ctl`.

    Args:
        exchange: what is asked about.
        sockets: the WebSocket side.
    """

    def __init__(self, exchange: Exchange, sockets: SocketServer) -> None:
        self._exchange = exchange
        self._sockets = sockets

    async def listen(self, path: Path) -> asyncio.Server:
        """Listen at ``path``, for this user alone."""
        return await asyncio.start_unix_server(self._serve, sock=_bind(path), limit=_MAX_REQUEST)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answer = await self._answer(json.loads(await asyncio.wait_for(reader.readline(), 5)))
        except FaultError as error:
            answer = {"error": str(error)}
        except (ValueError, KeyError, TypeError, TimeoutError, asyncio.LimitOverrunError) as error:
            answer = {"error": f"bad request: {error}"}
        try:
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except ConnectionError:
            _log.info("a control client went away")
        finally:
            writer.close()

    async def _answer(self, request: Mapping[str, Any]) -> object:
        exchange = self._exchange
        rules = exchange.rules
        match request["command"]:
            case "health":
                return self._health()
            case "market":
                return {**exchange.market.describe(), "moving": exchange.market.is_moving()}
            case "account":
                now_ms = exchange.true_ms()
                return {
                    "balances": [wire.balance(c, b, now_ms) for c, b in exchange.engine.balances.items()],
                    "open_orders": len(exchange.engine.open_orders),
                    "fills": exchange.books.count_fills(),
                }
            case "orders":
                orders = list(reversed(exchange.engine.open_orders))
                if request.get("all"):
                    orders += exchange.books.closed_orders(limit=int(request["limit"]))
                return [wire.order_info(order, rules) for order in orders[: int(request["limit"])]]
            case "fills":
                fills = exchange.books.fills(start_ms=int(request["since_ms"]), limit=int(request["limit"]))
                return [{"clientOid": trade.client_id, **wire.fill(trade, rules)} for trade in fills]
            case "fault-set":
                fault = exchange.faults.set(
                    request["kind"], request["parameters"], request["count"], request["seconds"]
                )
                _log.warning("fault on", extra={"kind": fault.kind, "parameters": fault.parameters})
                return exchange.faults.active()
            case "fault-clear":
                cleared = exchange.faults.clear(request["kind"])
                _log.warning("faults off", extra={"kind": request["kind"] or "all", "cleared": cleared})
                return exchange.faults.active()
            case "fault-list":
                return exchange.faults.active()
            case "fault-kinds":
                return {kind: {"does": does, "parameters": dict(values)} for kind, (does, values) in KINDS.items()}
            case "drop-sockets":
                return {"dropped": self._sockets.drop(request["which"])}
            case unknown:
                raise ValueError(f"no command {unknown!r}")

    def _health(self) -> object:
        exchange = self._exchange
        problems = []
        if not exchange.check_books():
            problems.append(f"the books cannot be written: {exchange.books_error}")
        if not exchange.market.is_moving():
            problems.append("the market does not move")
        return {
            "healthy": not problems,
            "problems": problems,
            "sockets": self._sockets.count(),
            "faults": exchange.faults.active(),
        }
