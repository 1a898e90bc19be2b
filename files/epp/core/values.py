"""What goes into a decision and what comes out: plain values, no behaviour.

Units, everywhere in the core: times are unix seconds (UTC); prices are quote per base; fractions are of price unless
said (0.0025 is 25 bp); amounts are in base, notionals in quote. Signal mathematics is in ``float``; booked money, order
prices and order amounts are ``Decimal``.

Nothing here is changed once it is made, but for the bar of the running minute. What is made on every tick is not
declared ``frozen`` all the same: each field of a frozen dataclass is set by a call.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Side(StrEnum):
    """Side of an order or a fill."""

    BUY = "buy"
    SELL = "sell"


class GuardState(StrEnum):
    """Trading state, mildest first. ``reduce_only`` is a flavour of running."""

    RUNNING = "running"
    REDUCE_ONLY = "reduce_only"
    SOFT_PAUSE = "soft_pause"
    HARD_STOP = "hard_stop"


class Regime(StrEnum):
    """Market regime; each has its own widths, levels, refresh age, target and order size."""

    NEUTRAL_LOW_VOL = "neutral_low_vol"
    UP = "up"
    DOWN = "down"
    HIGH_VOL_SHOCK = "high_vol_shock"


class OrderState(StrEnum):
    """Life of an own order as the connector tells it.

    ``pending``: sent, not acknowledged. ``open``: resting. ``cancelling``: a cancel was sent and the order is not yet
    known to be gone; it may still fill and is counted as open.
    """

    PENDING = "pending"
    OPEN = "open"
    CANCELLING = "cancelling"


@dataclass(frozen=True, slots=True)
class TradingRules:
    """The exchange's rules for the pair."""

    tick: Decimal
    """Price step, quote."""
    step: Decimal
    """Amount step, base."""
    min_notional: Decimal
    """Least order value, quote."""
    min_amount: Decimal = Decimal(0)
    """Least order amount, base."""


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An own order from the moment it was asked for until it is known to be gone.

    The adapter lists every :class:`Placement` it accepted, from the same tick on, and drops it only when the exchange
    is known to have filled, cancelled or refused it. The order's ``(side, level)`` slot is not quoted anew before
    that.
    """

    order_id: str
    side: Side
    price: Decimal
    remaining: Decimal
    """Unfilled amount, base."""
    level: int
    """Level of the placement it came from; -1 when unknown (such an order is cancelled)."""
    asked_ts: float
    """When it was asked for."""
    state: OrderState = OrderState.OPEN


@dataclass(slots=True)
class RestTicker:
    """Best bid and ask read over REST, independent of the WebSocket feed. ``ts``: when it was read."""

    ts: float
    bid: float
    ask: float


@dataclass(frozen=True, slots=True)
class ClockSample:
    """One comparison of the local clock with the exchange's."""

    ts: float
    offset_s: float
    """Exchange time minus the local time at the middle of the request; either sign."""
    round_trip_s: float


@dataclass(slots=True)
class Bar:
    """One-minute bar of mid prices, or an exchange candle that stands for it."""

    start: float
    """Start of the minute."""
    open: float
    high: float
    low: float
    close: float


@dataclass(slots=True, kw_only=True)
class Snapshot:
    """Everything a decision looks at, as the connector tells it at ``ts``. ``None`` means "not known", never zero."""

    ts: float
    bid: float | None
    """Best bid; None when the book is empty or absent."""
    ask: float | None
    last: float | None
    """Price of the last public trade."""
    book_age_s: float
    """Seconds since the last public message of any kind (a trade, a book update, a pong)."""
    base_total: Decimal | None
    base_available: Decimal | None
    quote_total: Decimal | None
    quote_available: Decimal | None
    maker_fee: float | None
    """The account's own maker fee, or the connector's (0.001 is 10 bp). Zero is a fee; None is unknown."""
    rules: TradingRules | None
    orders: tuple[OpenOrder, ...]
    """Own orders only."""
    connector_ready: bool
    start_swept: bool = True
    """True once, after a start, own leftover orders are proven gone and the fills made meanwhile are booked."""
    routing_agrees: bool = True
    """False when mode, connector, key and routing disagree on paper or live."""
    foreign_orders: int = 0
    """Open orders on the account without the bot's prefix."""
    kill_file: bool = False
    unconfirmed: str = ""
    """Why a bot must not trade with money just now: its go-live confirmation is missing or over. Empty while it may."""
    max_notional: float | None = None
    """Most that inventory and bids together may be worth, quote; None is no limit."""
    rest: RestTicker | None = None
    """Newest REST ticker, repeated until there is a newer one."""
    clock: ClockSample | None = None
    """Newest clock sample, repeated until there is a newer one."""
    orders_on_exchange: int | None = None
    """Own open orders by the newest REST read; None while unread. A hard stop retries until this is 0."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the state is not ``running``."""

    code: str
    """Short name, for example ``edge`` or ``feed``; stable, used by alerts and CSVs."""
    state: GuardState
    """The state this reason alone would ask for."""
    detail: str
    """Figures, for a person."""
    ends: str
    """What ends it."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A post-only limit order to place. ``level`` 0 is the innermost."""

    side: Side
    level: int
    price: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Event:
    """A line for the bot's log: a state change, a latch, a day roll, a reset, a transfer."""

    ts: float
    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRow:
    """Values of one row of daily.csv, named as its columns. ``ts`` is when the row was made, ``day`` is YYYY-MM-DD."""

    ts: float
    day: str
    state: GuardState
    equity_open_quote: Decimal
    equity_now_quote: Decimal
    equity_peak_quote: Decimal
    pnl_quote: Decimal
    pnl_pct: float
    trading_pnl_quote: Decimal
    """Trading PnL of this day."""
    turnover_x: float
    fills_count: int
    fees_quote: Decimal
    gross_profit_quote: Decimal
    """PnL before fees of the round trips closed this day."""
    profit_factor: float | None
    """Net gains over net losses of the day's round trips; None under 100 of them or without a loss."""
    max_drawdown_pct: float
    max_trading_drawdown_pct: float
    ops_events: str
    """Reasons that began this day with their number: ``edge:3;feed:1``."""


@dataclass(slots=True, kw_only=True)
class MinuteRow:
    """Values of one row of minute.csv, named as its columns; the adapter adds the rest."""

    ts: float
    state: GuardState
    reasons: str
    """Codes joined by ``;``, gravest first."""
    regime: Regime
    mid: float | None
    best_bid: float | None
    best_ask: float | None
    equity_quote: Decimal | None
    trading_pnl_quote: Decimal | None
    base_balance: Decimal | None
    quote_balance: Decimal | None
    base_pct: float | None
    target_base_pct: float
    spread_pct: float | None
    spread_floor_pct: float | None
    quote_margin_pct: float | None
    adverse_pct: float | None
    markout_30s_pct: float
    band_pct: float | None
    skew: float | None
    turnover_x: float
    drawdown_pct: float
    trading_drawdown_pct: float
    fees_quote: Decimal
    """Fees of this UTC day."""
    realized_pnl_quote: Decimal
    """Net PnL of the round trips closed this UTC day."""
    orders_active: int
    oldest_order_age_s: float | None
    cancels_per_min: int
    cancel_fail_streak: int
    fills_count: int
    """Fills of this UTC day."""
    book_age_s: float
    clock_skew_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """An own execution as the exchange reports it."""

    trade_id: str
    """The exchange's id of the execution, unique in the account: what makes a fill count once."""
    order_id: str
    ts: float
    side: Side
    price: Decimal
    amount: Decimal
    fee_amount: Decimal
    """Fee charged, in ``fee_asset``; positive is a cost."""
    fee_asset: str
    fee_asset_price: Decimal | None = None
    """Quote per unit of ``fee_asset`` when that is neither base nor quote (a fee coin)."""
    is_maker: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedFill:
    """A fill as booked: values of one row of fills.csv, named as its columns."""

    ts: float
    side: Side
    price: Decimal
    amount_base: Decimal
    notional_quote: Decimal
    fee_quote: Decimal
    order_id: str
    trade_id: str
    is_maker: bool
    mid: float | None
    """Mid when it was booked."""
    spread_pct: float | None
    """Quoted spread (full width) when its order was placed."""
    quote_margin_pct: float | None
    """Margin of its order when it was placed."""
    realized_pnl_quote: Decimal
    """Net PnL, after both fees, of what it closed; zero when it only opened."""
    base_pct: float | None
    regime: Regime
    state: GuardState


@dataclass(slots=True, kw_only=True)
class Decision:
    """What to do now. Cancels come before placements; a slot is never cancelled and placed in one decision."""

    ts: float
    state: GuardState
    reasons: tuple[Reason, ...]
    """Gravest first; empty when running without restriction."""
    regime: Regime
    cancel: tuple[str, ...]
    """Ids to cancel in the ordinary way."""
    place: tuple[Placement, ...]
    direct_cancel: tuple[str, ...]
    """Ids to cancel by a direct request to the exchange, past the framework's own bookkeeping."""
    direct_cancel_all: bool
    """Cancel every own order by direct request, then read the open orders and report ``orders_on_exchange``."""
    bars_wanted: bool
    """One-minute candles are missing: call :meth:`Engine.seed_bars` when they can be had."""
    alerts: tuple[str, ...]
    """Codes that page without changing the state: ``connector_30min``, ``fee_share``."""
    events: tuple[Event, ...]
    """Lines for the log, since the last decision."""
    day_rows: tuple[DayRow, ...]
    """Rows of ended days, repeated until :meth:`Engine.day_row_written` names them."""
    persist: bool
    """Write the state file before acting on this decision: something changed that a restart must not forget."""


@dataclass(frozen=True, slots=True)
class ResetRecord:
    """What an operator's reset changed, old and new, for the log."""

    ts: float
    reason: str
    cleared: str
    """The latch it cleared, or an empty string."""
    old: dict[str, str]
    new: dict[str, str]
