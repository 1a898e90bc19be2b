"""The ops guard: from what is wrong to a trading state, its reasons, and what ends each of them.

Three kinds of grave reason differ in how they end. A *latch* (a risk limit or an operational failure) is remembered
across restarts until an operator resets it. A *refusal* (a stub, an unknown fee, too little capital) holds while its
cause does and is not remembered. A *pause* ends by itself, without a fill, or by the operator who asked for it.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from statistics import median
from typing import Final

from . import ledger as books
from .config import EppParameters
from .ledger import LedgerState
from .spread import EdgeState
from .values import ClockSample, GuardState, OrderState, Reason, Snapshot

_CLOCK_SAMPLES: Final = 5
_HOUR_S: Final = 3600.0
_DUST: Final = Decimal("1e-8")
"""Free over total by less than this is rounding."""
RESET_ENDS: Final = "ends with an operator's reset, with a reason"


@dataclass(slots=True)
class Latch:
    """A hard stop that stays until it is reset."""

    code: str
    detail: str
    ts: float


@dataclass(slots=True)
class CancelTrack:
    """An order whose cancel was asked for and that is not yet gone."""

    since: float
    direct_ts: float = 0.0
    """Time of the last direct cancel; 0 before the first."""


@dataclass(slots=True)
class Backoff:
    """A slot that rests after a refused placement."""

    until: float
    failures: int


@dataclass(slots=True)
class GuardMemory:
    """What the guard remembers, across ticks and restarts."""

    latch: Latch | None = None
    state: GuardState = GuardState.SOFT_PAUSE
    codes: list[str] = field(default_factory=list)
    """Codes of the reasons in force."""
    not_ready_since: float | None = None
    ready_since: float = 0.0
    """When the connector last came back."""
    outage_since: float | None = None
    """Since when connector or feed has been out."""
    balance_strikes: int = 0
    balance_next: float = 0.0
    balance_off_since: float | None = None
    """Since when the balances have been off from the fills' sum without a break."""
    balance_base: Decimal | None = None
    """Last totals read."""
    balance_quote: Decimal | None = None
    cancelling: dict[str, CancelTrack] = field(default_factory=dict)
    cancels: list[float] = field(default_factory=list)
    """Times of the cancels of the last minute."""
    cancel_pause_until: float = 0.0
    cancel_pauses: list[float] = field(default_factory=list)
    cancel_fail_streak: int = 0
    """Cancels that led to nothing, since one last succeeded."""
    drawdown_pause_until: float = 0.0
    trading_loss_day: int = 0
    """Day whose trading loss pauses until the roll; 0 is none."""
    mtm_loss_day: int = 0
    mtm_drawdown_day: int = 0
    exception_streak: int = 0
    exception_until: float = 0.0
    exception_detail: str = ""
    exception_in_tick: bool = False
    """True when the tick that began with the last decision ended in an exception."""
    clock_ts: float = 0.0
    clock_excess: list[float] = field(default_factory=list)
    operator_pause: str = ""
    reconcile: str = ""
    widened_until: list[float] = field(default_factory=list)
    widened_at_trip: int = 0
    """Round trips when spreads were last widened for the fee share; another verdict needs new ones."""
    fee_share_bad: bool = False
    placements: list[float] = field(default_factory=list)
    """Times of the placements of the last minute."""
    backoff: dict[str, Backoff] = field(default_factory=dict)
    """By slot, ``buy:0``."""
    stop_cancel_ts: float = 0.0
    """Time of the last direct cancel of everything during a hard stop."""
    edge: EdgeState = field(default_factory=EdgeState)


def trim(times: list[float], oldest: float) -> None:
    """Forget times before ``oldest`` from a sorted list."""
    while times and times[0] <= oldest:
        times.pop(0)


def latch(memory: GuardMemory, code: str, detail: str, ts: float) -> None:
    """Latch a hard stop; the first one stays."""
    if memory.latch is None:
        memory.latch = Latch(code, detail, ts)


def pause(code: str, detail: str, ends: str) -> Reason:
    """A reason for ``soft_pause``."""
    return Reason(code, GuardState.SOFT_PAUSE, detail, ends)


def reduce(code: str, detail: str, ends: str) -> Reason:
    """A reason for ``reduce_only``."""
    return Reason(code, GuardState.REDUCE_ONLY, detail, ends)


def refuse(code: str, detail: str, ends: str) -> Reason:
    """A reason for a ``hard_stop`` that is not latched."""
    return Reason(code, GuardState.HARD_STOP, detail, ends)


def role(parameters: EppParameters) -> Reason | None:
    """Why this bot never trades, by its variant and switches alone."""
    if parameters.is_stub:
        return refuse(
            "stub_disabled", f"variant {parameters.variant} is a stub", "never: another variant is another bot"
        )
    if not parameters.enabled and parameters.variant != "d":
        return refuse("disabled", "enabled is false", "ends when enabled is set in the configuration")
    if parameters.never_trades:
        return pause(
            "no_trade",
            f"variant {parameters.variant}, no_trade",
            "ends when no_trade is taken out of the configuration",
        )
    return None


def outage(
    memory: GuardMemory,
    parameters: EppParameters,
    snapshot: Snapshot,
    feed: str,
    reasons: list[Reason],
    alerts: list[str],
) -> None:
    """Connector not ready, feed stale: pauses, pages, and latches only when own orders may still rest."""
    ts = snapshot.ts
    if snapshot.connector_ready:
        if memory.not_ready_since is not None:
            memory.not_ready_since = None
            memory.ready_since = ts
    elif memory.not_ready_since is None:
        memory.not_ready_since = ts
    if snapshot.connector_ready and not feed:
        memory.outage_since = None
        return
    if memory.outage_since is None:
        memory.outage_since = ts
    if memory.not_ready_since is not None and ts - memory.not_ready_since > parameters.connector_pause_s:
        reasons.append(
            pause("connector", f"not ready for {ts - memory.not_ready_since:.0f} s", "ends when the connector is ready")
        )
    if feed:
        reasons.append(pause("feed", feed, "ends with a public message, or a REST book that agrees with ours"))
    out = ts - memory.outage_since
    if out > parameters.connector_page_s:
        alerts.append("connector_30min")
        if snapshot.orders and not snapshot.connector_ready:
            latch(memory, "connector", f"out for {out:.0f} s, {len(snapshot.orders)} own orders not proven absent", ts)


def _impossible(parameters: EppParameters, snapshot: Snapshot) -> str:
    """Why the balances cannot be what the account holds, or an empty string."""
    base, quote = snapshot.base_total, snapshot.quote_total
    free_base, free_quote = snapshot.base_available, snapshot.quote_available
    if base is None or quote is None or free_base is None or free_quote is None:
        return "unreadable"
    if base < 0 or quote < 0 or free_base < 0 or free_quote < 0:
        return f"negative: {base} {parameters.base_asset}, {quote} {parameters.quote_asset}"
    if (free_base > base and free_base > base + _DUST) or (free_quote > quote and free_quote > quote + _DUST):
        return f"free over total: {free_base} of {base}, {free_quote} of {quote}"
    return ""


def _mismatch(parameters: EppParameters, snapshot: Snapshot, ledger: LedgerState, base: Decimal, quote: Decimal) -> str:
    """By how much the balances are off from what opening balance, fills and transfers add up to; empty within
    tolerance.
    """
    off_base, off_quote = base - ledger.expected_base, quote - ledger.expected_quote
    if not off_base and not off_quote:
        return ""
    least = snapshot.rules.min_notional if snapshot.rules is not None else Decimal(0)
    allowed = max(books.decimal(parameters.balance_tolerance_pct) * ledger.equity, least)
    if abs(off_base * books.decimal(ledger.mid)) <= allowed and abs(off_quote) <= allowed:
        return ""
    off = f"{off_base:+f} {parameters.base_asset}, {off_quote:+f} {parameters.quote_asset}"
    return f"off from the fills' sum by {off}"


def balances(
    memory: GuardMemory, parameters: EppParameters, snapshot: Snapshot, ledger: LedgerState, reasons: list[Reason]
) -> bool:
    """Whether balances are readable and agree with the fills; bad ones pause at once, the third check latches.

    A fill and the balance it changes arrive by different messages. While one of them is under way the balances are
    not bad, but no figure may be made of them: equity would be off by an order, and so would the room in the band.
    """
    if not snapshot.connector_ready:
        return False
    ts = snapshot.ts
    base, quote = snapshot.base_total, snapshot.quote_total
    fault = _impossible(parameters, snapshot)
    counts = True
    if not fault and base is not None and quote is not None:
        memory.balance_base, memory.balance_quote = base, quote
        # Before the start's sweep is done, fills made meanwhile may be in the balances and not yet in the books.
        if ledger.opened and snapshot.start_swept:
            fault = _mismatch(parameters, snapshot, ledger, base, quote)
        if fault:
            if memory.balance_off_since is None:
                memory.balance_off_since = ts
            counts = ts - max(ledger.last_fill_ts, memory.balance_off_since) >= parameters.balance_settle_s
    if not fault:
        memory.balance_off_since = None
        memory.balance_strikes = 0
        return True
    if not counts and not memory.balance_strikes:
        return False
    reasons.append(
        pause("balances", fault, "ends when balances are consistent again; a deposit or withdrawal has to be booked")
    )
    if counts and ts >= memory.balance_next:
        memory.balance_strikes += 1
        memory.balance_next = ts + parameters.balance_check_s
        if memory.balance_strikes >= parameters.balance_checks_max:
            latch(memory, "balances", f"{fault}, {memory.balance_strikes} checks in a row", ts)
    return False


def cancels(
    memory: GuardMemory, parameters: EppParameters, snapshot: Snapshot, reasons: list[Reason]
) -> tuple[list[str], bool]:
    """Orders that outlive their cancel. Ids to cancel directly now, and whether placements have to wait."""
    ts = snapshot.ts
    if memory.cancelling:
        present = {order.order_id for order in snapshot.orders}
        for order_id in [order_id for order_id in memory.cancelling if order_id not in present]:
            del memory.cancelling[order_id]
            memory.cancel_fail_streak = 0
    for order in snapshot.orders:
        if order.state is OrderState.CANCELLING and order.order_id not in memory.cancelling:
            memory.cancelling[order.order_id] = CancelTrack(ts)
    direct = []
    oldest = proven = 0.0
    for order_id, track in memory.cancelling.items():
        age = ts - track.since
        oldest = max(oldest, age)
        # With the exchange out of reach nothing could tell that the order is gone: the outage's own clock decides.
        proven = max(proven, ts - max(track.since, memory.ready_since))
        if age >= parameters.cancel_direct_s and ts - track.direct_ts >= parameters.cancel_direct_every_s:
            track.direct_ts = ts
            memory.cancel_fail_streak += 1
            direct.append(order_id)
    if oldest >= parameters.cancel_pause_s:
        reasons.append(
            pause(
                "cancel_stuck",
                f"an order outlives its cancel by {oldest:.0f} s",
                "ends when the order is known to be gone",
            )
        )
    if proven >= parameters.cancel_stop_s and snapshot.connector_ready:
        latch(memory, "cancel_stuck", f"an order outlives its cancel by {oldest:.0f} s", ts)
    return direct, oldest >= parameters.cancel_direct_s


def cancel_rate(memory: GuardMemory, parameters: EppParameters, ts: float, reasons: list[Reason]) -> None:
    """More cancels a minute than the budget: a pause, and a latch at the third within the hour."""
    trim(memory.cancels, ts - 60)
    if ts >= memory.cancel_pause_until and len(memory.cancels) > parameters.cancel_budget_per_min:
        memory.cancel_pause_until = ts + parameters.cancel_budget_hold_s
        trim(memory.cancel_pauses, ts - _HOUR_S)
        memory.cancel_pauses.append(ts)
        if len(memory.cancel_pauses) >= parameters.cancel_budget_pauses:
            latch(memory, "cancel_rate", f"{len(memory.cancel_pauses)} pauses for the cancel budget within an hour", ts)
    if ts < memory.cancel_pause_until:
        left = memory.cancel_pause_until - ts
        reasons.append(
            pause("cancel_rate", f"{len(memory.cancels)} cancels in 60 s", f"ends by itself in {left:.0f} s")
        )


def limits(
    memory: GuardMemory, parameters: EppParameters, ledger: LedgerState, ts: float, reasons: list[Reason]
) -> None:
    """Trading and mark-to-market limits, on the ledger's last mark."""
    day = ledger.day.day
    drawdown = books.trading_drawdown(ledger)
    if drawdown >= parameters.trading_drawdown_hard_pct:
        latch(memory, "trading_drawdown", f"{drawdown:.2%} of opening equity", ts)
    if memory.drawdown_pause_until and ts >= memory.drawdown_pause_until:
        # Measured anew from here, or the pause would start again at once and never end.
        memory.drawdown_pause_until = 0.0
        ledger.trading_soft_peak = ledger.trading_pnl
    soft = books.trading_soft_drawdown(ledger)
    if not memory.drawdown_pause_until and soft >= parameters.trading_drawdown_soft_pct:
        memory.drawdown_pause_until = ts + parameters.trading_drawdown_hold_h * _HOUR_S
    if memory.drawdown_pause_until:
        reasons.append(
            pause(
                "trading_drawdown", f"{drawdown:.2%} of opening equity from its peak",
                f"ends by itself in {(memory.drawdown_pause_until - ts) / _HOUR_S:.1f} h",
            )
        )  # fmt: skip

    loss = books.trading_day_loss(ledger)
    if loss >= parameters.trading_day_hard_pct:
        latch(memory, "trading_day_loss", f"{loss:.2%} of the day's opening equity", ts)
    if loss >= parameters.trading_day_soft_pct:
        memory.trading_loss_day = day
    if memory.trading_loss_day == day and day:
        reasons.append(pause("trading_day_loss", f"{loss:.2%} of the day's opening equity", "ends at 00:00 UTC"))

    loss = books.day_loss(ledger)
    if loss >= parameters.mtm_day_hard_pct:
        latch(memory, "mtm_day_loss", f"{loss:.2%} of the day's opening equity, marked to market", ts)
    if loss >= parameters.mtm_day_soft_pct:
        memory.mtm_loss_day = day
    if memory.mtm_loss_day == day and day:
        reasons.append(reduce("mtm_day_loss", f"{loss:.2%} of the day's opening equity", "ends at 00:00 UTC"))

    fall = books.drawdown(ledger)
    if fall >= parameters.mtm_drawdown_hard_pct:
        latch(memory, "mtm_drawdown", f"{fall:.2%} under the 30-day peak, marked to market", ts)
    if fall >= parameters.mtm_drawdown_soft_pct:
        memory.mtm_drawdown_day = day
    if memory.mtm_drawdown_day == day and day:
        reasons.append(reduce("mtm_drawdown", f"{fall:.2%} under the 30-day peak", "ends at 00:00 UTC"))


def clock(
    memory: GuardMemory, parameters: EppParameters, sample: ClockSample | None, ts: float, reasons: list[Reason]
) -> None:
    """Clock offset beyond half the round trip, median of five. A latch needs all five."""
    if sample is not None and sample.ts > memory.clock_ts:
        memory.clock_ts = sample.ts
        memory.clock_excess.append(max(0.0, abs(sample.offset_s) - sample.round_trip_s / 2))
        if len(memory.clock_excess) > _CLOCK_SAMPLES:
            memory.clock_excess.pop(0)
    if not memory.clock_excess or max(memory.clock_excess) <= parameters.clock_soft_s:
        return  # no median of theirs is over either limit
    off = median(memory.clock_excess)
    if off > parameters.clock_hard_s and len(memory.clock_excess) == _CLOCK_SAMPLES:
        latch(memory, "clock", f"off by {off:.1f} s beyond half the round trip", ts)
    if off > parameters.clock_soft_s:
        reasons.append(
            pause("clock", f"off by {off:.1f} s beyond half the round trip", "ends when the median of five is in step")
        )


def on_exception(memory: GuardMemory, parameters: EppParameters, ts: float, detail: str) -> None:
    """Count an exception in the tick: the framework logs and swallows them."""
    memory.exception_streak += 1
    memory.exception_in_tick = True
    memory.exception_until = ts + parameters.exception_hold_s
    memory.exception_detail = detail
    if memory.exception_streak >= parameters.exceptions_max:
        latch(memory, "exception", f"{memory.exception_streak} in a row, last: {detail}", ts)


def exceptions(memory: GuardMemory, ts: float, reasons: list[Reason]) -> None:
    """The pause after an exception. Only a whole tick without one, the adapter's part included, breaks the row."""
    if not memory.exception_in_tick:
        memory.exception_streak = 0
    memory.exception_in_tick = False
    if ts < memory.exception_until:
        reasons.append(
            pause("exception", memory.exception_detail, f"ends by itself in {memory.exception_until - ts:.0f} s")
        )


def at_once(memory: GuardMemory, snapshot: Snapshot) -> None:
    """What latches without a second look."""
    if snapshot.kill_file:
        latch(memory, "kill_file", "the operator's kill file is there", snapshot.ts)
    if not snapshot.routing_agrees:
        latch(memory, "routing", "mode, connector, key and routing disagree on paper or live", snapshot.ts)
    if snapshot.foreign_orders:
        latch(memory, "foreign_order", f"{snapshot.foreign_orders} open orders without the bot's prefix", snapshot.ts)


def judge_fee_share(memory: GuardMemory, parameters: EppParameters, ledger: LedgerState, ts: float) -> None:
    """Widen spreads for a day when fees take too much of the newest round trips' gross; twice at most in force."""
    share = books.fee_share(ledger, parameters)
    memory.fee_share_bad = share is not None and share >= parameters.fee_share_limit
    if not memory.fee_share_bad:
        return
    trim(memory.widened_until, ts)
    fresh = not memory.widened_at_trip or (
        ledger.round_trips_total - memory.widened_at_trip >= parameters.fee_share_round_trips
    )
    if fresh and len(memory.widened_until) < 2:
        memory.widened_until.append(ts + parameters.fee_share_widen_h * _HOUR_S)
        memory.widened_at_trip = ledger.round_trips_total


def widening(memory: GuardMemory, parameters: EppParameters, ts: float) -> float:
    """Factor on spread_min for the fee share, now."""
    if not memory.widened_until:
        return 1.0
    return parameters.fee_share_widen ** sum(1 for until in memory.widened_until if until > ts)


def gravest(reasons: list[Reason]) -> GuardState:
    """The gravest state that any reason asks for."""
    if not reasons:
        return GuardState.RUNNING
    found = {reason.state for reason in reasons}
    for state in (GuardState.HARD_STOP, GuardState.SOFT_PAUSE, GuardState.REDUCE_ONLY):
        if state in found:
            return state
    return GuardState.RUNNING


def clear(memory: GuardMemory) -> None:
    """Forget the latch and all that counts or lasts (an operator's reset); what is still wrong comes back."""
    memory.latch = None
    memory.outage_since = memory.not_ready_since = None
    memory.balance_strikes = 0
    memory.cancels.clear()
    memory.cancel_pauses.clear()
    memory.cancel_pause_until = memory.drawdown_pause_until = memory.exception_until = memory.stop_cancel_ts = 0.0
    memory.trading_loss_day = memory.mtm_loss_day = memory.mtm_drawdown_day = 0
    memory.exception_streak = memory.cancel_fail_streak = 0
    memory.clock_excess.clear()
    memory.cancelling.clear()


def stop_cancel(memory: GuardMemory, parameters: EppParameters, snapshot: Snapshot) -> bool:
    """Whether a hard stop cancels everything (again) now: until the exchange shows no own order.

    The first time it always does: what the exchange showed before it stopped proves nothing.
    """
    if memory.stop_cancel_ts and not snapshot.orders and snapshot.orders_on_exchange == 0:
        return False
    if snapshot.ts - memory.stop_cancel_ts < parameters.cancel_direct_every_s:
        return False
    memory.stop_cancel_ts = snapshot.ts
    return True
