"""The exchange's configuration: one JSON file, checked whole before anything starts."""

import json
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from .matching import TradingRules


class ConfigError(Exception):
    """A file that cannot be used; the message names the file, the key and the fix."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RecordedMarketConfig(_Strict):
    """A recording played at a pace. ``file``: one-minute bars; ``start_offset_s``: seconds into it at first start;
    ``speed``: market seconds per second. The rest is the synthetic book's shape."""

    kind: Literal["recorded"]
    file: Path
    start_offset_s: float = Field(default=0, ge=0)
    speed: float = Field(default=1, gt=0, le=60)
    spread_bps: Decimal = Field(default=Decimal(1), ge=0, le=100)
    level_gap_bps: Decimal = Field(default=Decimal(1), gt=0, le=100)
    levels: int = Field(default=50, ge=5, le=200)
    level_quote: Decimal = Field(default=Decimal(20000), gt=0)


class BitgetMarketConfig(_Strict):
    """Bitget's own public market, relayed. ``dns_servers``: asked directly for the exchange's addresses, because this
    container's own resolver answers its names with this container; empty: the system's resolver."""

    kind: Literal["bitget"]
    rest_url: str = Field(default="https://api.bitget.com", pattern=r"^https://[^/]+$")
    ws_url: str = Field(default="wss://ws.bitget.com/v2/ws/public", pattern=r"^wss://")
    dns_servers: tuple[IPv4Address | IPv6Address, ...] = (IPv4Address("1.1.1.1"), IPv4Address("8.8.8.8"))
    dns_port: int = Field(default=53, ge=1, le=65535)
    ca_file: Path | None = None


class Config(_Strict):
    """Everything the exchange is told. Amounts in coins, fees as fractions (0.001 = 10 bp), precisions in decimal
    places; start amounts count only when the books are new."""

    bot: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    pair: str = Field(pattern=r"^[A-Z0-9]+-[A-Z0-9]+$")
    market: Annotated[RecordedMarketConfig | BitgetMarketConfig, Field(discriminator="kind")]
    start_quote: Decimal = Field(ge=0)
    start_base: Decimal = Field(ge=0)
    maker_fee: Decimal = Field(ge=0, lt=Decimal("0.1"))
    taker_fee: Decimal = Field(ge=0, lt=Decimal("0.1"))
    price_precision: int = Field(ge=0, le=12)
    quantity_precision: int = Field(ge=0, le=12)
    min_trade_quote: Decimal = Field(gt=0)
    participation: Decimal = Field(default=Decimal("0.25"), gt=0, le=1)
    state_dir: Path = Path("/var/lib/paper_exchange")
    tls_dir: Path
    credentials: Path = Path("/run/paper_exchange/credentials.json")
    host_names: tuple[str, ...] = ("api.bitget.com", "ws.bitget.com")
    listen_addresses: tuple[IPv4Address | IPv6Address, ...] = (IPv4Address("0.0.0.0"), IPv6Address("::"))  # noqa: S104 - nothing is published
    port: int = Field(default=443, ge=0, le=65535)
    timestamp_window_s: float = Field(default=30, gt=0)

    @property
    def rules(self) -> TradingRules:
        """The pair's trading rules."""
        base, quote = self.pair.split("-")
        return TradingRules(
            base,
            quote,
            self.price_precision,
            self.quantity_precision,
            self.min_trade_quote,
            self.maker_fee,
            self.taker_fee,
        )


class Credentials(_Strict):
    """The one API key that this exchange knows."""

    api_key: str = Field(min_length=1)
    secret_key: SecretStr = Field(min_length=1)
    passphrase: SecretStr = Field(min_length=1)


def read_config(path: Path) -> Config:
    """Read and check the configuration.

    Raises:
        ConfigError: naming the file, the key and what is wrong with it.
    """
    return _read(path, Config)


def read_credentials(path: Path) -> Credentials:
    """Read the API key to accept.

    Raises:
        ConfigError: naming the file and the key, never a value.
    """
    return _read(path, Credentials)


def _read[Model: BaseModel](path: Path, model: type[Model]) -> Model:
    try:
        content: Any = json.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}): write it, readable by this user") from error
    except ValueError:
        # The parser's message may quote what it read, and that may be a secret.
        raise ConfigError(f"{path}: is not JSON: write one JSON object") from None
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = [
            f"{path}: {'.'.join(map(str, problem['loc'])) or 'the file'}: {_fix(problem['type'], problem['msg'])}"
            for problem in error.errors(include_input=False, include_url=False)
        ]
        raise ConfigError("\n".join(problems)) from None


def _fix(kind: str, message: str) -> str:
    if kind == "missing":
        return "is missing: set it"
    if kind == "extra_forbidden":
        return "is not a setting: remove it or correct its name"
    return f"{message}: correct it"
