"""What the gate is asked: one JSON object on standard input, secrets included, checked whole before anything else."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

RunKind = Literal["entry", "renewal", "raise"]


class RequestError(Exception):
    """The request cannot be used; the message names the field, never its value."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Key(_Strict):
    """The live account's API key."""

    api_key: str = Field(min_length=1)
    secret_key: SecretStr = Field(min_length=1)
    passphrase: SecretStr = Field(min_length=1)
    since: date | None = None
    """The day it was made, or was first seen here."""


class ExchangeAddress(_Strict):
    """Where the exchange is; a rehearsal's is a paper exchange playing Bitget."""

    url: str = "https://api.bitget.com"
    ca_file: Path | None = None
    address: str | None = None


class Assumed(_Strict):
    """What the evidence was made with: the paper exchange's account and rules. Amounts in quote, fees as fractions."""

    maker_fee: Decimal
    taker_fee: Decimal
    min_trade_quote: Decimal
    price_precision: int
    quantity_precision: int
    unchanged_since: float
    """When the paper exchange's configuration last changed, unix seconds."""
    faults: tuple[str, ...] = ()
    """Misbehaviour that is switched on."""
    faults_until: float = 0.0
    """When misbehaviour was last on, unix seconds; 0 for never."""


class Watcher(_Strict):
    """The other bot of the pair: EPP's variant d, which never trades."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    enabled: bool


class Mark(_Strict):
    """What the gate has left for a bot that is live."""

    account: str
    max_notional_quote: Decimal
    passed_at: float
    expires_at: float


class Request(_Strict):
    """Everything that the gate is told."""

    bot: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    variant: Literal["a", "b", "c", "d"]
    epp: bool = True
    """Whether it runs EPP; another strategy has no books of ours."""
    enabled: bool = True
    connector: Literal["bitget", "bitget_perpetual"] = "bitget"
    trading_pair: str = Field(pattern=r"^[A-Z0-9]+-[A-Z0-9]+$")
    order_id_prefix: str = ""
    strategy_hash: str
    config_hash: str
    profile: Literal["money", "rehearsal"] = "money"
    max_notional_quote: Decimal = Field(gt=0)
    days: int = Field(ge=1, le=31)
    waivers: dict[str, str] = Field(default_factory=dict)
    watcher: Watcher | None = None
    key: Key | None = None
    exchange: ExchangeAddress = ExchangeAddress()
    vps_addresses: tuple[str, ...] = ()
    other_accounts: dict[str, str] = Field(default_factory=dict)
    """By bot: the accounts that others trade with."""
    assumed: Assumed | None = None
    """None when no paper exchange is there."""
    exchange_fills: tuple[dict[str, Any], ...] | None = None
    """The paper exchange's own list of fills; None when it could not be read."""
    evidence: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Marks that drills have left, by kind."""
    mark: Mark | None = None
    """Of the bot as it trades now; None while it is on paper."""
    data: Path = Path("/bots")
    """Has ``<bot>/conf``, ``<bot>/logs`` and ``<bot>/data`` of the pair."""
    replay_books: Path | None = None
    """Books of one run of a replay: of the live days, for more money; of a rehearsal's weeks that it does not have."""

    @property
    def symbol(self) -> str:
        """The pair as the exchange writes it."""
        return self.trading_pair.replace("-", "")

    @property
    def base(self) -> str:
        """The pair's base coin."""
        return self.trading_pair.split("-")[0]

    @property
    def quote(self) -> str:
        """The pair's quote coin."""
        return self.trading_pair.split("-")[1]

    @property
    def kind(self) -> RunKind:
        """From paper to live, the same once more, or with more money."""
        if self.mark is None:
            return "entry"
        return "raise" if self.max_notional_quote > self.mark.max_notional_quote else "renewal"


def parse(text: str) -> Request:
    """Check the request.

    Raises:
        RequestError: naming what is wrong, without a value.
    """
    try:
        return Request.model_validate_json(text)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'the request'}: {fault['msg']}"
            for fault in error.errors(include_input=False, include_url=False, include_context=False)
        ]
        raise RequestError("; ".join(faults)) from None
