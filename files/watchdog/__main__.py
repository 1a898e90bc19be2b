"""``python -m watchdog``: the watchdog itself, and what an operator says to it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from . import durable_file
from .config import Config, ConfigError, read_config
from .exchange import BitgetSpot, read_key
from .requests import RefusedError, RequestBox
from .watch import Watch

CONFIG = Path("/etc/watchdog/config.json")
STATUS_MAX_AGE_S = 45.0
"""A pass that waits for a silent exchange takes up to half a minute."""


def make_exchange(config: Config) -> BitgetSpot:
    """The account that a configuration names.

    Raises:
        ConfigError: its key cannot be read.
    """
    try:
        key = read_key(config.key)
    except ValueError as error:
        raise ConfigError(f"{error}: site.yml writes it") from error
    return BitgetSpot(key, config.pair, config.url, config.ca_file, config.address)


def health(config: Config) -> str:
    """What a health check says.

    Raises:
        RefusedError: the watchdog is not well.
    """
    status = durable_file.read(config.state / "status.json")
    if status is None:
        raise RefusedError("unhealthy: it has not completed a pass")
    age = time.time() - float(status["at"])
    if age > STATUS_MAX_AGE_S:
        raise RefusedError(f"unhealthy: its last pass was {age:.0f} s ago (limit {STATUS_MAX_AGE_S:.0f} s)")
    return f"healthy: its last pass was {max(age, 0):.0f} s ago"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="watchdog", description="the kill switch beside one bot")
    top.add_argument("--config", type=Path, default=CONFIG)
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="watch, for ever")
    commands.add_parser("health", help="exit 0 when it watches")
    commands.add_parser("status", help="how things stand, as JSON")
    for name, does in (
        ("kill", "stop the bot, cancel its orders, stay off until re-armed"),
        ("rearm", "end a stop"),
        ("lease", "let the bot be silent, for a planned stop"),
        ("release", "end a lease"),
        ("transfer", "book a deposit or withdrawal"),
        ("drill", "stop the bot for real, and write down how it went"),
    ):
        command = commands.add_parser(name, help=does)
        command.add_argument("--reason", required=True, help="kept with what was done")
        command.add_argument("--by", default="operator", help="who asks")
        if name == "rearm":
            command.add_argument("--force", action="store_true", help="though the stop is not proven")
        if name == "lease":
            command.add_argument("--seconds", type=float, required=True, help="at most 600")
        if name == "transfer":
            command.add_argument("--base", default="0", help="of the base coin, negative for a withdrawal")
            command.add_argument("--quote", default="0", help="the same of the quote coin")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 1 when unhealthy or refused, 2 when it could not be tried."""
    options = parser().parse_args(arguments)
    try:
        config = read_config(options.config)
        print(run(config, options))
    except ConfigError as error:
        print(f"watchdog: {error}", file=sys.stderr)
        return 2
    except RefusedError as error:
        print(f"watchdog: {error}", file=sys.stderr)
        return 1
    return 0


def run(config: Config, options: argparse.Namespace) -> str:
    """Carry out one command; what is to be said of it.

    Raises:
        ConfigError: it could not be tried.
        RefusedError: it was refused.
    """
    match options.command:
        case "run":
            Watch(config, make_exchange(config)).forever()
            return ""
        case "health":
            return health(config)
        case "status":
            return json.dumps(durable_file.read(config.state / "status.json"), indent=2)
        case action:
            values = {
                name: getattr(options, name) for name in ("seconds", "base", "quote", "force") if hasattr(options, name)
            }
            return RequestBox(config.state / "requests").ask(action, options.reason, options.by, **values)


if __name__ == "__main__":
    sys.exit(main())
