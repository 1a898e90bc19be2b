"""The control socket: a Unix socket in the state directory, one JSON request and one JSON answer per connection."""

import asyncio
import json
import logging
import socket
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from . import wire
from .exchange import Account, Exchange
from .faults import KINDS, FaultError
from .scenario import Step
from .stage import Stage
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


def _refusal(problem: Mapping[str, Any]) -> str:
    where = ".".join(map(str, problem["loc"]))
    return f"{where}: {problem['msg']}" if where else str(problem["msg"])


class ControlServer:
    """Answers `paper_exchange.ctl`.

    Args:
        exchange: what is asked about.
        sockets: the WebSocket side.
        stage: plays scenarios.
    """

    def __init__(self, exchange: Exchange, sockets: SocketServer, stage: Stage) -> None:
        self._exchange = exchange
        self._sockets = sockets
        self._stage = stage

    async def listen(self, path: Path) -> asyncio.Server:
        """Listen at ``path``, for this user alone."""
        return await asyncio.start_unix_server(self._serve, sock=_bind(path), limit=_MAX_REQUEST)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answer = await self._answer(json.loads(await asyncio.wait_for(reader.readline(), 5)))
        except FaultError as error:
            answer = {"error": str(error)}
        except ValidationError as error:
            answer = {"error": "; ".join(_refusal(problem) for problem in error.errors(include_url=False))}
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
                told = {"moving": exchange.market.is_moving(), "misbehaved_ms": exchange.books.meta("misbehaved_ms")}
                return {**exchange.market.describe(), **told}
            case "accounts":
                return list(exchange.accounts)
            case "account":
                account = self._account(request)
                now_ms = exchange.true_ms()
                return {
                    "balances": [wire.balance(c, b, now_ms) for c, b in account.engine.balances.items()],
                    "open_orders": len(account.engine.open_orders),
                    "fills": exchange.books.count_fills(account.name),
                }
            case "orders":
                account = self._account(request)
                orders = list(reversed(account.engine.open_orders))
                if request.get("all"):
                    orders += exchange.books.closed_orders(account.name, limit=int(request["limit"]))
                shown = orders[: int(request["limit"])]
                fees = exchange.books.fees(shown)
                return [wire.order_info(order, rules, account.user_id, fees.get(order.order_id)) for order in shown]
            case "fills":
                account = self._account(request)
                fills = exchange.books.fills(
                    account.name, start_ms=int(request["since_ms"]), limit=int(request["limit"])
                )
                return [{"clientOid": trade.client_id, **wire.fill(trade, rules, account.user_id)} for trade in fills]
            case "gaps":
                return [asdict(gap) for gap in exchange.books.gaps(int(request["limit"]))]
            case "fault-set":
                fault = exchange.faults.set(
                    request["kind"], request["parameters"], request["count"], request["seconds"]
                )
                _log.warning("fault on", extra={"kind": fault.kind, "parameters": fault.parameters})
                if fault.kind == "wrong-balance":
                    self._sockets.accounts_shown()
                return exchange.faults.active()
            case "fault-clear":
                cleared = exchange.faults.clear(request["kind"])
                _log.warning("faults off", extra={"kind": request["kind"] or "all", "cleared": cleared})
                if request["kind"] in (None, "wrong-balance"):
                    self._sockets.accounts_shown()
                return exchange.faults.active()
            case "fault-list":
                return exchange.faults.active()
            case "fault-kinds":
                return {kind: {"does": does, "parameters": dict(values)} for kind, (does, values) in KINDS.items()}
            case "drop-sockets":
                return {"dropped": self._sockets.drop(request["which"])}
            case "scenario-play":
                self._stage.play([Step.model_validate(step) for step in request["steps"]])
                return self._stage.describe()
            case "scenario-stop":
                self._stage.stop()
                return self._stage.describe()
            case "scenario-status":
                return self._stage.describe()
            case unknown:
                raise ValueError(f"no command {unknown!r}")

    def _account(self, request: Mapping[str, Any]) -> Account:
        name = request.get("account") or self._exchange.main.name
        if name not in self._exchange.accounts:
            raise ValueError(f"no account {name!r}: one of {', '.join(self._exchange.accounts)}")
        return self._exchange.accounts[name]

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
