"""What is known at one moment: of the bot, of its container, and of the exchange."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Order:
    """An open order as the exchange lists it."""

    order_id: str
    client_id: str
    symbol: str
    is_buy: bool
    price: Decimal
    remaining: Decimal
    created: float
    """Unix seconds, by the exchange's clock."""


@dataclass(frozen=True, slots=True)
class Movement:
    """What one fill did to the account: the change of base and quote, its fee included where one of them paid it."""

    trade_id: str
    at: float
    """Unix seconds, by the exchange's clock."""
    base: Decimal
    quote: Decimal


@dataclass(frozen=True, slots=True)
class Holdings:
    """Base and quote of the account, frozen amounts included."""

    base: Decimal
    quote: Decimal


class ContainerState(StrEnum):
    """What the host said of the bot's container last."""

    RUNNING = "running"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Container:
    """The bot's container, by the host's record of it."""

    state: ContainerState = ContainerState.UNKNOWN
    since: float = 0.0
    """Unix seconds of the last start or exit."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The bot's last sign of life."""

    at: float
    """When its tick ended, unix seconds."""
    heard: float
    """When it last had any word from the exchange, unix seconds."""
    client_ids: frozenset[str] = frozenset()
    """Ids of the orders that it knows to be open or under way."""


@dataclass(frozen=True, slots=True)
class Account:
    """The exchange's answer to everything that a pass asks it."""

    own: tuple[Order, ...]
    foreign: int
    """Open orders that are not this bot's; they are never touched."""
    holdings: Holdings
    mid: Decimal
    placed_per_minute: int
    """Own orders that were placed in the last minute."""
    unexplained_quote: Decimal
    """What the balances moved without a fill, valued in quote."""

    @property
    def equity(self) -> Decimal:
        """All that the account holds, in quote."""
        return self.holdings.base * self.mid + self.holdings.quote

    @property
    def exposure(self) -> Decimal:
        """Inventory and everything that its open bids would add, in quote."""
        bids = sum((order.price * order.remaining for order in self.own if order.is_buy), Decimal(0))
        return self.holdings.base * self.mid + bids


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a decision rests on."""

    now: float
    """Unix seconds, as every time here that is not said to be the exchange's."""
    watching_since: float
    """When this watchdog began, or was re-armed."""
    watches_heartbeat: bool
    """Whether it sits beside the bot. A second watchdog on another machine sees the exchange alone."""
    heartbeat: Heartbeat | None
    container: Container
    lease_until: float
    """End of the lease that a planned stop holds; 0 without one."""
    account: Account | None
    """``None`` when the exchange did not answer all of it in this pass."""
    answered: float
    """When the exchange last listed the open orders; ``watching_since`` before it ever did."""
    open_orders_known: int
    """Own open orders by the last answer."""
    order_id_prefix: str = ""
    """What the client id of every order of this bot begins with; empty for a strategy that gives its orders none."""
    exchange_ahead: float = 0.0
    """What the exchange's clock is ahead of ours, seconds."""


def is_own(client_id: str, prefix: str, journal: Iterable[str] | Mapping[str, object] | frozenset[str]) -> bool:
    """Whether an order is this bot's: by the beginning of its client id, or because the bot wrote down that id.

    An empty prefix marks nothing: without one, only ids that the bot wrote down are its own.
    """
    return bool(client_id) and ((bool(prefix) and client_id.startswith(prefix)) or client_id in journal)
