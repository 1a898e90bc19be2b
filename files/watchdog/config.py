"""What a watchdog is told: one JSON file, checked whole before anything starts."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, get_type_hints

from .trips import Limits


class ConfigError(Exception):
    """A file that cannot be used; the message names the file, the key and the fix."""


@dataclass(frozen=True)
class Config:
    """One watchdog of one bot. Paths are as its container has them."""

    bot: str
    pair: str
    """As ``BTC-USDT``."""
    armed: bool
    """Whether it acts on what it sees. The operator's own word, and a drill, it always obeys."""
    order_id_prefix: str = ""
    """Begins the client id of each of the bot's orders; empty for a bot whose ids are only in its journal."""
    limits: Limits = field(default_factory=Limits)
    beside_bot: bool = True
    """Whether the bot is on this machine; a second watchdog elsewhere sees the exchange alone."""
    heartbeat: Path | None = None
    """The file that the bot writes at every tick, or, of a bot without one, a log that grows. A pattern of names."""
    journal: Path | None = None
    """Hummingbot's SQLite files, which have each order's id. A pattern of names."""
    state: Path = Path("/var/lib/watchdog")
    """What this watchdog keeps, and the operator's requests."""
    latch: Path = Path("/var/lib/watchdog_latch/latch.json")
    """While it is there, the host keeps the bot's container stopped."""
    container: Path | None = None
    """The host's record of the bot's container."""
    alerts: Path | None = None
    """Where the webhook leaves alerts."""
    key: Path = Path("/run/watchdog/key.json")
    url: str = "https://api.bitget.com"
    ca_file: Path | None = None
    address: str = ""
    page_url: str = ""
    """Where a page is posted to, as JSON; none when empty."""


def read_config(path: Path) -> Config:
    """Read and check the configuration.

    Raises:
        ConfigError: naming the file, the key and what is wrong with it.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}): write it, readable by this user") from error
    except ValueError as error:
        raise ConfigError(f"{path}: is not JSON ({error}): write one JSON object") from error
    try:
        config = _build(Config, plain)
    except (TypeError, ValueError, InvalidOperation) as error:
        raise ConfigError(f"{path}: {error}: correct it") from error
    base, _, quote = config.pair.partition("-")
    if not base or not quote:
        raise ConfigError(f"{path}: pair: {config.pair!r} is not like BTC-USDT: correct it")
    return config


def _build[Model](model: type[Model], plain: Any) -> Model:
    """A dataclass of plain data, every key known and of its type.

    Raises:
        TypeError, ValueError: naming the key.
    """
    if not isinstance(plain, dict):
        raise TypeError(f"{model.__name__.lower()} is not a JSON object")
    hints = get_type_hints(model)
    fields = {each.name: each for each in dataclasses.fields(model)}  # type: ignore[arg-type]  # it is a dataclass
    if unknown := set(plain) - set(fields):
        raise ValueError(f"{', '.join(sorted(unknown))} is not a setting")
    required = {name for name, each in fields.items() if each.default is each.default_factory is dataclasses.MISSING}
    if missing := required - set(plain):
        raise ValueError(f"{', '.join(sorted(missing))} is missing")
    return model(**{name: _value(name, hints[name], value) for name, value in plain.items()})


def _value(name: str, hint: Any, value: Any) -> Any:
    if hint is Limits:
        return _build(Limits, value)
    if hint in (Path, Path | None):
        if value is None and hint is not Path:
            return None
        if not isinstance(value, str):
            raise TypeError(f"{name} is not a path")
        return Path(value)
    if hint is Decimal:
        number = Decimal(str(value))
        if not number.is_finite() or number < 0:
            raise ValueError(f"{name} is not an amount")
        return number
    if hint is float and type(value) in (int, float) and value >= 0:
        return float(value)
    if type(value) is not hint:
        raise TypeError(f"{name} is {value!r}, not {hint.__name__}")
    return value
