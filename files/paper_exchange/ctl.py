"""``python -m paper_exchange.ctl``: look at a running paper exchange, and make it misbehave.

Exit codes: 0 done (and, for ``health``, healthy); 1 unhealthy, or refused by the exchange; 2 wrong usage; 3 no exchange
answers.
"""

import argparse
import json
import os
import socket
import sys
from pathlib import Path

# Only the standard library: a health check runs this every few seconds.
_SOCKET = "ctl.sock"
_MAX_ANSWER = 64 * 1024 * 1024


def main(arguments: list[str] | None = None) -> int:
    """Run one command; prints its answer as JSON."""
    options = _parser().parse_args(arguments)
    try:
        request = _request(options)
    except (OSError, ValueError) as error:
        print(json.dumps({"error": f"{options.file}: {error}"}))
        return 2
    try:
        answer = _ask(options.state_dir / _SOCKET, request)
    except (OSError, ValueError) as error:
        print(json.dumps({"error": f"no paper exchange answers at {options.state_dir / _SOCKET}: {error}"}))
        return 3
    print(json.dumps(answer, indent=None if options.compact else 2))
    if isinstance(answer, dict):
        return 1 if "error" in answer or answer.get("healthy") is False else 0
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m paper_exchange.ctl",
        description="Look at a running paper exchange, and make it misbehave. Answers are JSON.",
        epilog="Exit codes: 0 done and healthy; 1 unhealthy or refused; 2 wrong usage; 3 no exchange answers.",
    )
    default = Path(os.environ.get("PAPER_EXCHANGE_STATE_DIR", "/var/lib/paper_exchange"))
    parser.add_argument("--state-dir", type=Path, default=default, help="where its socket is (default: %(default)s)")
    parser.add_argument("--compact", action="store_true", help="one line")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("health", help="server up, market moving, books writable; exit 1 when not")
    commands.add_parser("market", help="kind, pace, where the recording stands")
    commands.add_parser("accounts", help="names of all accounts")
    account = commands.add_parser("account", help="balances, number of open orders and fills")
    orders = commands.add_parser("orders", help="open orders, newest first")
    orders.add_argument("--all", action="store_true", help="closed ones too")
    orders.add_argument("--limit", type=int, default=100)
    fills = commands.add_parser("fills", help="fills, newest first")
    fills.add_argument("--since-ms", type=int, default=0, metavar="EPOCH_MS", help="not older than this")
    fills.add_argument("--limit", type=int, default=100)
    for of_one in (account, orders, fills):
        of_one.add_argument("--account", metavar="NAME", help="default: the bot's own")
    gaps = commands.add_parser("gaps", help="times in which the market was not seen and nothing filled")
    gaps.add_argument("--limit", type=int, default=100)
    fault = commands.add_parser("fault", help="misbehaviour on demand")
    faults = fault.add_subparsers(dest="action", required=True, metavar="ACTION")
    switch = faults.add_parser("set", help="switch one on")
    switch.add_argument("kind", help="see: fault kinds")
    switch.add_argument("parameters", nargs="*", metavar="NAME=VALUE", type=_parameter)
    switch.add_argument("--count", type=int, help="only so many times (default: until cleared)")
    switch.add_argument("--for", type=float, dest="seconds", metavar="SECONDS", help="only so long")
    clear = faults.add_parser("clear", help="switch one off, or all")
    clear.add_argument("kind", nargs="?")
    faults.add_parser("list", help="what is on")
    faults.add_parser("kinds", help="what there is, with parameters")
    drop = faults.add_parser("drop-sockets", help="close WebSocket connections now")
    drop.add_argument("which", nargs="?", default="all", choices=("public", "private", "all"))
    scenario = commands.add_parser("scenario", help="scripted misbehaviour")
    scenarios = scenario.add_subparsers(dest="action", required=True, metavar="ACTION")
    play = scenarios.add_parser("play", help="begin one")
    play.add_argument("file", type=Path, help="JSON: a list of steps; - for standard input")
    scenarios.add_parser("stop", help="break off; faults that are on stay on")
    scenarios.add_parser("status", help="how far it is")
    return parser


def _parameter(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _request(options: argparse.Namespace) -> dict[str, object]:
    match options.command, getattr(options, "action", None):
        case "fault", "set":
            return {
                "command": "fault-set",
                "kind": options.kind,
                "parameters": dict(options.parameters),
                "count": options.count,
                "seconds": options.seconds,
            }
        case "fault", "clear":
            return {"command": "fault-clear", "kind": options.kind}
        case "fault", "drop-sockets":
            return {"command": "drop-sockets", "which": options.which}
        case "fault", action:
            return {"command": f"fault-{action}"}
        case "scenario", "play":
            text = sys.stdin.read() if str(options.file) == "-" else options.file.read_text()
            return {"command": "scenario-play", "steps": json.loads(text)}
        case "scenario", action:
            return {"command": f"scenario-{action}"}
        case "account", _:
            return {"command": "account", "account": options.account}
        case "orders", _:
            return {"command": "orders", "all": options.all, "limit": options.limit, "account": options.account}
        case "fills", _:
            return {
                "command": "fills",
                "since_ms": options.since_ms,
                "limit": options.limit,
                "account": options.account,
            }
        case "gaps", _:
            return {"command": "gaps", "limit": options.limit}
        case command, _:
            return {"command": command}


def _ask(path: Path, request: dict[str, object]) -> object:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        connection.connect(str(path))
        connection.sendall(json.dumps(request).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n") and len(answer) < _MAX_ANSWER:
            part = connection.recv(65536)
            if not part:
                break
            answer += part
    return json.loads(answer)


if __name__ == "__main__":
    sys.exit(main())
