"""The exchange's configuration: one JSON file, checked whole before anything starts."""

import json
from dataclasses import replace
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from .matching import TradingRules
from .server.scenario import Step

# The account that the bot's own key belongs to.
MAIN_ACCOUNT = "main"

FeeTier = Literal["none", "vip0", "vip1", "vip2", "vip3", "vip4", "vip5"]
# Maker and taker as fractions, by Bitget's spot tiers; "none": the pair's own rates.
FEE_TIERS: dict[str, tuple[Decimal, Decimal]] = {
    "vip0": (Decimal("0.001"), Decimal("0.001")),
    "vip1": (Decimal("0.0004"), Decimal("0.0006")),
    "vip2": (Decimal("0.0003"), Decimal("0.0005")),
    "vip3": (Decimal("0.0002"), Decimal("0.0004")),
    "vip4": (Decimal("0.0001"), Decimal("0.0003")),
    "vip5": (Decimal(0), Decimal("0.0002")),
}


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


class AccountConfig(_Strict):
    """One more account than the bot's own; its keys are in the credentials file."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    start_quote: Decimal = Field(ge=0)
    start_base: Decimal = Field(ge=0)
    fee_tier: FeeTier = "none"


class Config(_Strict):
    """Everything the exchange is told. Amounts in coins, fees as fractions (0.001 = 10 bp), precisions in decimal
    places; start amounts count only when an account is new. ``maker_fee`` and ``taker_fee`` are the pair's rates; an
    account whose ``fee_tier`` is not ``none`` pays its tier's."""

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
    fee_tier: FeeTier = "none"
    accounts: tuple[AccountConfig, ...] = ()
    price_band: Decimal = Field(default=Decimal("0.05"), gt=0, lt=1)
    latency_ms: int = Field(default=150, ge=0, le=60000)
    latency_jitter_ms: int = Field(default=100, ge=0, le=60000)
    rate_limits: bool = True
    scenario: tuple[Step, ...] = ()
    state_dir: Path = Path("/var/lib/paper_exchange")
    tls_dir: Path
    credentials: Path = Path("/run/paper_exchange/credentials.json")
    host_names: tuple[str, ...] = ("api.bitget.com", "ws.bitget.com")
    listen_addresses: tuple[IPv4Address | IPv6Address, ...] = (IPv4Address("0.0.0.0"), IPv6Address("::"))  # noqa: S104 - nothing is published
    port: int = Field(default=443, ge=0, le=65535)
    timestamp_window_s: float = Field(default=30, gt=0)
    socket_life_s: float = Field(default=86400, gt=0)

    @model_validator(mode="after")
    def _agree(self) -> "Config":
        names = [account.name for account in self.accounts]
        if MAIN_ACCOUNT in names or len(set(names)) < len(names):
            raise ValueError(f"accounts: names must differ, and {MAIN_ACCOUNT!r} is the bot's own")
        if self.latency_jitter_ms > self.latency_ms:
            raise ValueError(f"latency_jitter_ms must not exceed latency_ms ({self.latency_ms})")
        return self

    @property
    def all_accounts(self) -> tuple[AccountConfig, ...]:
        """Every account, the bot's own first."""
        own = AccountConfig.model_construct(
            name=MAIN_ACCOUNT, start_quote=self.start_quote, start_base=self.start_base, fee_tier=self.fee_tier
        )
        return own, *self.accounts

    def rules_of(self, account: AccountConfig) -> TradingRules:
        """The trading rules with one account's fees."""
        if account.fee_tier == "none":
            return self.rules
        maker, taker = FEE_TIERS[account.fee_tier]
        return replace(self.rules, maker_fee=maker, taker_fee=taker)

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
            self.price_band,
        )


class ApiKey(_Strict):
    """An API key. ``authorities``: what it may do, in Bitget's codes; ``ips``: the addresses it works from (none: any,
    which the account-info endpoint then says)."""

    api_key: str = Field(min_length=1)
    secret_key: SecretStr = Field(min_length=1)
    passphrase: SecretStr = Field(min_length=1)
    authorities: tuple[str, ...] = ("stor", "stow")
    ips: tuple[IPv4Address | IPv6Address, ...] = ()


class FurtherKey(ApiKey):
    """One more key, of the bot's own account or of another."""

    account: str = MAIN_ACCOUNT


class Credentials(ApiKey):
    """The API keys that this exchange knows: the bot's own, and more."""

    keys: tuple[FurtherKey, ...] = ()

    @property
    def all_keys(self) -> tuple[FurtherKey, ...]:
        """Every key with its account."""
        own = {name: getattr(self, name) for name in ApiKey.model_fields}
        return FurtherKey.model_construct(account=MAIN_ACCOUNT, **own), *self.keys


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
