"""The engine: snapshots in, decisions out. It holds the state and nothing else that a decision depends on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from . import costs, guard, inventory, market, quoting, regime, sizing, spread, turnover
from . import ledger as books
from .config import REFERENCE_FEE, EppParameters, RegimeParameters
from .state import QuotedOrder, State
from .values import (
    Bar,
    BookedFill,
    DayRow,
    Decision,
    Event,
    Fill,
    GuardState,
    MinuteRow,
    OpenOrder,
    OrderState,
    Placement,
    Reason,
    Regime,
    ResetRecord,
    Side,
    Snapshot,
)

_FEE_MAX: Final = 0.01
"""A maker fee over 1 % is a misreading, not a fee."""
_QUOTED_KEPT: Final = 400
_BACKOFF_MAX_S: Final = 300.0
_NO_LIMIT: Final = float("inf")
_NO_SLOTS: Final[frozenset[str]] = frozenset()


def _quoted_key(side: Side, price: Decimal) -> str:
    return f"{side}:{float(price)!r}"


def _oldest_age(snapshot: Snapshot) -> float | None:
    if not snapshot.orders:
        return None
    return max(0.0, snapshot.ts - min(order.asked_ts for order in snapshot.orders))


@dataclass(slots=True)
class _Figures:
    """Signals of one decision, for the minute row and the quotes."""

    mid: float | None = None
    base_pct: float | None = None
    turnover_x: float = 0.0
    cost: costs.Costs | None = None
    floor: float | None = None
    spread: float | None = None
    inputs: quoting.QuoteInputs | None = None


@dataclass(slots=True)
class _InForce:
    """The regime in force and the widths that the account's fee makes of its own."""

    regime: Regime
    fee: float
    parameters: RegimeParameters
    spread_min: float
    spread_max: float


@dataclass(frozen=True, slots=True)
class RunMemory:
    """What the engine remembers of its run beyond the state, between two decisions. A restart forgets it."""

    started: bool = False
    """Whether the start was found to have enough capital."""
    fee: float | None = None
    """The last maker fee known."""


@dataclass(slots=True)
class _Funds:
    """The balances, and the same as floats."""

    exact: tuple[Decimal | None, Decimal | None, Decimal | None, Decimal | None]
    base: float
    quote: float
    free_base: float
    free_quote: float


class Engine:
    """EPP v2.4. One per bot; not thread-safe; time only comes in with its arguments."""

    def __init__(self, parameters: EppParameters, state: State, run: RunMemory | None = None) -> None:
        """Resume from ``state``, which the engine owns and changes from now on.

        Args:
            parameters: the strategy's.
            state: what survives a restart.
            run: what does not; given to go on in the middle of a run, as the journal's replay does.
        """
        self.parameters = parameters
        self.state = state
        self._events: list[Event] = []
        run = run or RunMemory()
        self._started = run.started
        self._latch_said = state.guard.latch
        self._fee = run.fee
        self._fee_checked: float | None = None
        self._fee_refusal = ""
        self._role = guard.role(parameters)
        self._in_force: _InForce | None = None
        self._funds: _Funds | None = None
        self._standing: quoting.Standing | None = None
        self._snapshot: Snapshot | None = None
        self._figures = _Figures()

    @property
    def run_memory(self) -> RunMemory:
        """What another engine needs, with the state, to go on as this one would after its last decision."""
        return RunMemory(self._started, self._fee)

    # ---- the tick

    def decide(self, snapshot: Snapshot) -> Decision:
        """What to do now."""
        state = self.state
        memory = state.guard
        self._snapshot = snapshot
        self._figures = _Figures()
        reasons: list[Reason] = []
        alerts: list[str] = []
        guard.exceptions(memory, snapshot.ts, reasons)
        if memory.latch is not None and memory.latch.code == "exception":
            # What raised may raise again: a stop for exceptions looks at nothing but its orders.
            return self._conclude(snapshot, reasons, alerts, quotes=None, hold=True)
        # The fills made while the bot was down belong to their own day: it ends when they are booked.
        if snapshot.start_swept and books.roll(state.ledger, memory.state, snapshot.ts):
            self._say(snapshot.ts, "day_roll", books.day_name(state.ledger.day.day))
        if self._role is not None:
            self._watch(snapshot)
            return self._conclude(snapshot, [self._role], alerts, quotes=None, hold=True)
        guard.at_once(memory, snapshot)
        hold = self._look(snapshot, reasons, alerts)
        quotes = self._quotes(snapshot, reasons)
        return self._conclude(snapshot, reasons, alerts, quotes=quotes, hold=hold)

    def _watch(self, snapshot: Snapshot) -> None:
        """Market and books of a bot that never trades; nothing it sees can change what it does."""
        market_state = self.state.market
        feed = market.stale(market_state, self.parameters, snapshot)
        if not self._sample(snapshot) and not feed and snapshot.connector_ready:
            self._mark(snapshot)

    def _sample(self, snapshot: Snapshot) -> str:
        """Take the price if it is sane; why it is not, or an empty string."""
        state, parameters = self.state, self.parameters
        fault = market.insane(parameters, snapshot)
        if fault:
            return fault
        assert snapshot.bid is not None and snapshot.ask is not None  # noqa: S101, PT018 (sane)
        mid = (snapshot.bid + snapshot.ask) / 2
        self._figures.mid = mid
        if market.sample(state.market, parameters, snapshot, mid):
            before = state.regime.regime
            if regime.update(state.regime, parameters, state.market, snapshot.ts):
                self._say(snapshot.ts, "regime", f"{before} to {state.regime.regime}")
        if state.market.jump_since is not None:
            return f"a jump to {mid} that no REST ticker confirms yet"
        costs.observe(state.markout, parameters, snapshot.ts, mid)
        return ""

    def _mark(self, snapshot: Snapshot) -> bool:
        """Value the balances at the sane mid; True when there is something to value.

        Not before the start's sweep is done: opening balances must not contain fills that are yet to be booked.
        """
        state, parameters = self.state, self.parameters
        base, quote, mid = snapshot.base_total, snapshot.quote_total, self._figures.mid
        if base is None or quote is None or mid is None or base < 0 or quote < 0 or not snapshot.start_swept:
            return False
        ledger = state.ledger
        books.mark(ledger, base, quote, mid, snapshot.ts)
        funds = self._funds_of(snapshot)
        share = inventory.base_share(funds.base, funds.quote, mid)
        self._figures.base_pct = share
        target = inventory.move_target(
            state.target, parameters, parameters.regime(state.regime.regime).target_base_pct, snapshot.ts
        )
        if ledger.window_since is None and abs(share - target) <= parameters.window_tolerance_pct:
            books.open_window(ledger, base, quote, snapshot.ts)
            self._say(
                snapshot.ts,
                "window",
                f"opened with {base} {parameters.base_asset} and {quote} {parameters.quote_asset}",
            )
        return True

    def _look(self, snapshot: Snapshot, reasons: list[Reason], alerts: list[str]) -> bool:
        """Everything but the edge: market, connector, balances, limits. True when nothing may be placed just now."""
        state, parameters = self.state, self.parameters
        memory, ledger = state.guard, state.ledger
        ts = snapshot.ts
        if memory.reconcile:
            reasons.append(
                guard.pause(
                    "reconcile", memory.reconcile, "ends when the day's fills are fetched and booked, or with a resume"
                )
            )
        if memory.operator_pause:
            reasons.append(guard.pause("operator_pause", memory.operator_pause, "ends with the operator's resume"))
        if snapshot.unconfirmed:
            reasons.append(guard.pause("expired", snapshot.unconfirmed, "ends with a new go-live confirmation"))
        if not snapshot.start_swept:
            reasons.append(
                guard.pause(
                    "start_sweep", "own leftover orders, fills made meanwhile", "ends when they are gone and booked"
                )
            )
        feed = market.stale(state.market, parameters, snapshot)
        guard.outage(memory, parameters, snapshot, feed, reasons, alerts)
        insane = self._sample(snapshot)
        if insane and snapshot.connector_ready and not feed:
            reasons.append(guard.pause("price_sanity", insane, "ends when book, last trade and REST ticker agree"))
        readable = guard.balances(memory, parameters, snapshot, ledger, reasons)
        usable = readable and not insane and not feed and self._mark(snapshot)
        turnover_x = self._figures.turnover_x = books.turnover(ledger)
        if ledger.opened:
            guard.limits(memory, parameters, ledger, ts, reasons)
            if turnover_x >= parameters.turnover_cap_x:
                reasons.append(guard.reduce("turnover_cap", f"{turnover_x:.2f}x today", "ends at 00:00 UTC"))
        if len(state.market.bars) < market.ATR_BARS:
            reasons.append(
                guard.pause(
                    "bars",
                    f"{len(state.market.bars)} of {market.ATR_BARS} minutes",
                    "ends with as many minutes or candles",
                )
            )
        if usable:
            self._may_start(snapshot, reasons)
        guard.clock(memory, parameters, snapshot.clock, ts, reasons)
        if memory.fee_share_bad:
            alerts.append("fee_share")
        return not usable

    def _may_start(self, snapshot: Snapshot, reasons: list[Reason]) -> None:
        """Refuse a start that the exchange's least order would dominate; once started, only a transfer asks again."""
        if self._started or snapshot.rules is None or self._figures.mid is None:
            return
        refusal = sizing.start_refusal(self.parameters, snapshot.rules, self.state.ledger.equity, self._figures.mid)
        if refusal is None:
            self._started = True
            return
        code, detail = refusal
        ends = "ends with enough capital" if code == "capital" else "ends with another configuration"
        reasons.append(guard.refuse(code, detail, ends))

    def _known_fee(self, snapshot: Snapshot) -> float | None:
        fee = self.parameters.maker_fee_pct if self.parameters.maker_fee_pct is not None else snapshot.maker_fee
        if fee is None or not fee <= _FEE_MAX:
            return None
        return max(0.0, fee)  # a rebate is not counted on

    def _quotes(self, snapshot: Snapshot, reasons: list[Reason]) -> quoting.QuoteInputs | None:
        """Fee, costs, floor, edge gate; the inputs of the quotes when they can be computed."""
        state, parameters, figures = self.state, self.parameters, self._figures
        memory, ledger = state.guard, state.ledger
        ts = snapshot.ts
        fee = self._known_fee(snapshot)
        if fee is None:
            if snapshot.connector_ready:
                reasons.append(
                    guard.refuse(
                        "fee_unknown", f"maker fee {snapshot.maker_fee}", "ends when the account's fee is known"
                    )
                )
            return None
        self._fee = fee
        if fee != self._fee_checked:
            self._fee_checked = fee
            self._fee_refusal = "; ".join(parameters.edge_refusals(fee))
        if self._fee_refusal:
            reasons.append(guard.refuse("edge_impossible", self._fee_refusal, "ends with another fee or configuration"))
        if snapshot.rules is None:
            if snapshot.connector_ready:
                reasons.append(guard.pause("rules", "the pair's trading rules are unknown", "ends when they are known"))
            return None
        band = state.market.band
        mid, bid, ask = figures.mid, snapshot.bid, snapshot.ask
        if mid is None or bid is None or ask is None or band is None or state.market.jump_since is not None:
            if memory.edge.shut:
                memory.edge.low_since = None
                reasons.append(self._no_edge("the floor is unknown"))
            return None

        turnover_x = figures.turnover_x
        ratio = turnover.ratio(parameters, turnover_x)
        cost = costs.costs(
            parameters, fee, state.market.drift_ewma, costs.current_markout(state.markout, parameters, ts)
        )
        floor = spread.floor(
            parameters,
            cost,
            band=band,
            penalty=turnover.penalty(parameters, turnover_x),
            tick=float(snapshot.rules.tick) / mid,
            market_spread=(ask - bid) / mid,
        )
        in_force = self._regime_in_force(fee)
        in_regime, spread_max = in_force.parameters, in_force.spread_max
        width = spread.quoted(in_force.spread_min * guard.widening(memory, parameters, ts), spread_max, ratio, floor)
        figures.cost, figures.floor, figures.spread = cost, floor, width
        if not spread.gate(memory.edge, parameters, floor, spread_max, ts):
            reasons.append(
                self._no_edge(f"floor {floor:.3%} over spread_max {spread_max:.3%} of {state.regime.regime}")
            )
        if figures.base_pct is None or state.target.base_pct is None:
            return None

        share, target = figures.base_pct, state.target.base_pct
        if not parameters.min_base_pct <= share <= parameters.max_base_pct:
            reasons.append(
                guard.reduce(
                    "inventory", f"{share:.1%} of equity in base",
                    f"ends inside {parameters.min_base_pct:.0%} … {parameters.max_base_pct:.0%}",
                )
            )  # fmt: skip
        skew = inventory.skew(parameters, share, target)
        reducing = bool(reasons) and any(reason.state is GuardState.REDUCE_ONLY for reason in reasons)
        in_shock = state.regime.regime is Regime.HIGH_VOL_SHOCK
        guard.trim(memory.placements, ts - 60)
        funds = self._funds_of(snapshot)
        inputs = quoting.QuoteInputs(
            bid=bid,
            ask=ask,
            ts=ts,
            mid=mid,
            last=snapshot.last if snapshot.last is not None else mid,
            spread=width,
            skew=skew,
            min_distance=cost.min_distance,
            fee=fee,
            levels=turnover.levels(in_regime, ratio),
            regime=in_regime,
            equity=float(ledger.equity),
            base=funds.base,
            quote=funds.quote,
            free_base=funds.free_base,
            free_quote=funds.free_quote,
            buy_to=target if reducing else parameters.max_base_pct,
            sell_to=target if reducing else parameters.min_base_pct,
            notional_to=_NO_LIMIT if snapshot.max_notional is None else snapshot.max_notional,
            buys=not reducing or share < target,
            sells=not reducing or share > target,
            requote_older_than=ts - state.regime.since if in_shock else float("inf"),
            budget=parameters.max_placements_per_min - len(memory.placements),
            resting_slots=(
                frozenset(name for name, rest in memory.backoff.items() if rest.until > ts)
                if memory.backoff
                else _NO_SLOTS
            ),
        )
        figures.inputs = inputs
        return inputs

    def _funds_of(self, snapshot: Snapshot) -> _Funds:
        """The snapshot's balances; what did not change is not made anew."""
        exact = (snapshot.base_total, snapshot.quote_total, snapshot.base_available, snapshot.quote_available)
        known = self._funds
        if known is None or known.exact != exact:
            known = self._funds = _Funds(exact, *(float(amount or 0) for amount in exact))
        return known

    def _regime_in_force(self, fee: float) -> _InForce:
        regime_now, known = self.state.regime.regime, self._in_force
        if known is None or known.regime is not regime_now or known.fee != fee:
            found = self.parameters.regime(regime_now)
            scale = self.parameters.width_scale(regime_now, fee)
            known = self._in_force = _InForce(
                regime_now, fee, found, found.spread_min_pct * scale, found.spread_max_pct * scale
            )
        return known

    def _no_edge(self, detail: str) -> Reason:
        return guard.pause(
            "edge", detail,
            f"ends when the floor has been under {self.parameters.edge_resume_ratio:.0%} of spread_max "
            f"for {self.parameters.edge_hold_s:.0f} s",
        )  # fmt: skip

    def _conclude(
        self,
        snapshot: Snapshot,
        reasons: list[Reason],
        alerts: list[str],
        *,
        quotes: quoting.QuoteInputs | None,
        hold: bool,
    ) -> Decision:
        memory = self.state.guard
        ts = snapshot.ts
        direct, stuck = guard.cancels(memory, self.parameters, snapshot, reasons)
        guard.cancel_rate(memory, self.parameters, ts, reasons)
        if memory.latch is not None:
            held = (
                f"; holds {snapshot.base_total} {self.parameters.base_asset}" if snapshot.base_total is not None else ""
            )
            reasons.append(
                Reason(memory.latch.code, GuardState.HARD_STOP, memory.latch.detail + held, guard.RESET_ENDS)
            )
        state = guard.gravest(reasons)
        if len(reasons) > 1:
            reasons.sort(key=lambda reason: _GRAVITY[reason.state])
        cancel: tuple[str, ...] = ()
        place: tuple[Placement, ...] = ()
        if state is GuardState.HARD_STOP or state is GuardState.SOFT_PAUSE:
            cancel = tuple(order.order_id for order in snapshot.orders if order.state is not OrderState.CANCELLING)
        elif quotes is not None and snapshot.rules is not None and not hold:
            self._forgive(snapshot.orders)
            standing = self._standing_of(self._as_known(snapshot.orders), quotes)
            planned = quoting.plan(self.parameters, quotes, snapshot.rules, standing, hold=stuck)
            cancel, place = planned.cancel, planned.place
        if cancel:
            cancel = tuple(order_id for order_id in cancel if order_id not in memory.cancelling)
        for order_id in cancel:
            memory.cancelling[order_id] = guard.CancelTrack(ts)
            memory.cancels.append(ts)
        for placement in place:
            memory.placements.append(ts)
            self._remember(placement)
        self._record(ts, state, reasons)
        events = self._said()
        return Decision(
            ts=ts,
            state=state,
            reasons=tuple(reasons),
            regime=self.state.regime.regime,
            cancel=cancel,
            place=place,
            direct_cancel=tuple(direct),
            direct_cancel_all=memory.latch is not None and guard.stop_cancel(memory, self.parameters, snapshot),
            bars_wanted=len(self.state.market.bars) < market.EMA_BARS,
            alerts=tuple(alerts),
            events=events,
            day_rows=tuple(self.state.ledger.ended_days),
            # Whatever is worth a line is worth surviving a crash: a latch, the day's open, a refused order's rest.
            persist=bool(events),
        )

    def _as_known(self, orders: tuple[OpenOrder, ...]) -> tuple[OpenOrder, ...]:
        """Orders whose cancel was asked for are on their way out, whatever the connector still says."""
        cancelling = self.state.guard.cancelling
        if not cancelling or all(
            order.state is OrderState.CANCELLING or order.order_id not in cancelling for order in orders
        ):
            return orders
        return tuple(
            replace(order, state=OrderState.CANCELLING) if order.order_id in cancelling else order for order in orders
        )

    def _standing_of(self, orders: tuple[OpenOrder, ...], inputs: quoting.QuoteInputs) -> quoting.Standing:
        known = self._standing
        if known is None or orders is not known.orders or inputs.base != known.base or inputs.quote != known.quote:
            known = self._standing = quoting.Standing(orders, inputs.base, inputs.quote, known)
        return known

    def _forgive(self, orders: tuple[OpenOrder, ...]) -> None:
        """A slot whose order rests has no refusal to back off from."""
        backoff = self.state.guard.backoff
        if backoff:
            for order in orders:
                if order.state is OrderState.OPEN:
                    backoff.pop(quoting.slot(order.side, order.level), None)

    def _remember(self, placement: Placement) -> None:
        figures, mid = self._figures, self._figures.mid
        if figures.spread is None or figures.cost is None or mid is None:
            return
        distance = abs(float(placement.price) / mid - 1)
        quoted = self.state.quoted
        key = _quoted_key(placement.side, placement.price)
        quoted.pop(key, None)
        quoted[key] = QuotedOrder(figures.spread, figures.cost.margin(distance))
        if len(quoted) > _QUOTED_KEPT:
            del quoted[next(iter(quoted))]

    def _record(self, ts: float, state: GuardState, reasons: Sequence[Reason]) -> None:
        """Note what began and ended."""
        memory = self.state.guard
        if memory.latch is not self._latch_said:
            self._latch_said = memory.latch
            if memory.latch is not None:
                self._say(ts, "latch", f"{memory.latch.code}: {memory.latch.detail}; {guard.RESET_ENDS}")
        codes = list(dict.fromkeys(reason.code for reason in reasons)) if reasons else []
        if state is memory.state and codes == memory.codes:
            return
        counts = self.state.ledger.day.reasons
        for code in codes:
            if code not in memory.codes:
                counts[code] = counts.get(code, 0) + 1
        why = "; ".join(f"{reason.code} ({reason.detail}; {reason.ends})" for reason in reasons)
        ended = ", ".join(code for code in memory.codes if code not in codes)
        self._say(
            ts, "state", f"{memory.state} to {state}{': ' + why if why else ''}{'; over: ' + ended if ended else ''}"
        )
        memory.state, memory.codes = state, codes

    def _say(self, ts: float, code: str, detail: str) -> None:
        self._events.append(Event(ts, code, detail))

    def _said(self) -> tuple[Event, ...]:
        if not self._events:
            return ()
        said = tuple(self._events)
        self._events.clear()
        return said

    # ---- what happened

    def on_fill(self, fill: Fill) -> BookedFill | None:
        """Book an own execution; None when it was booked before, whatever is replayed."""
        state, parameters = self.state, self.parameters
        ledger = state.ledger
        if books.is_booked(ledger, fill.trade_id, fill.ts):
            return None
        if books.roll(ledger, state.guard.state, fill.ts):
            self._say(fill.ts, "day_roll", books.day_name(ledger.day.day))
        rate = self._fee if self._fee is not None else REFERENCE_FEE
        booking = books.book(ledger, parameters, fill, rate)
        if booking.fee_estimated:
            self._say(
                fill.ts, "fee_estimated",
                f"{fill.trade_id}: no price for {fill.fee_amount} {fill.fee_asset}, booked {booking.fee_quote}",
            )  # fmt: skip
        state.markout.pending.append(costs.PendingMarkout(fill.ts, fill.side, float(fill.price)))
        guard.judge_fee_share(state.guard, parameters, ledger, fill.ts)
        quoted = state.quoted.get(_quoted_key(fill.side, fill.price))
        mid = ledger.mid or None
        share = None
        if ledger.opened and mid is not None:
            share = inventory.base_share(float(ledger.expected_base), float(ledger.expected_quote), mid)
        return BookedFill(
            ts=fill.ts,
            side=fill.side,
            price=fill.price,
            amount_base=fill.amount,
            notional_quote=booking.notional,
            fee_quote=booking.fee_quote,
            order_id=fill.order_id,
            trade_id=fill.trade_id,
            is_maker=fill.is_maker,
            mid=mid,
            spread_pct=quoted.spread_pct if quoted is not None else None,
            quote_margin_pct=quoted.margin_pct if quoted is not None else None,
            realized_pnl_quote=booking.realized,
            base_pct=share,
            regime=state.regime.regime,
            state=state.guard.state,
        )

    def is_booked(self, trade_id: str, ts: float) -> bool:
        """Whether an execution was counted before."""
        return books.is_booked(self.state.ledger, trade_id, ts)

    def on_cancel(self, order_id: str, ts: float) -> None:
        """The exchange confirmed that an order is gone."""
        if self.state.guard.cancelling.pop(order_id, None) is not None:
            self.state.guard.cancel_fail_streak = 0

    def on_cancel_failure(self, order_id: str, ts: float, detail: str) -> None:
        """A cancel was refused. The order is followed from its first cancel on, refused or not."""
        self.state.guard.cancelling.setdefault(order_id, guard.CancelTrack(ts))
        self.state.guard.cancel_fail_streak += 1
        self._say(ts, "cancel_refused", f"{order_id}: {detail}")

    def on_placement_failure(self, side: Side, level: int, ts: float, detail: str) -> None:
        """An order was refused: its slot rests, twice as long each time in a row, up to five minutes."""
        backoff = self.state.guard.backoff
        name = quoting.slot(side, level)
        failures = backoff[name].failures + 1 if name in backoff else 1
        wait = min(_BACKOFF_MAX_S, self.parameters.placement_backoff_s * 2 ** min(failures - 1, 16))
        backoff[name] = guard.Backoff(ts + wait, failures)
        self._say(ts, "placement_refused", f"{name}: {detail}; rests {wait:.0f} s")

    def on_exception(self, ts: float, detail: str) -> None:
        """An exception was caught in the tick, the engine's or the adapter's."""
        guard.on_exception(self.state.guard, self.parameters, ts, detail)
        self._say(ts, "exception", detail)

    def seed_bars(self, bars: Sequence[Bar]) -> None:
        """Take closed one-minute candles of the exchange, oldest first.

        Raises:
            ValueError: unsorted, off the minute, or impossible prices.
        """
        market.seed(self.state.market, self.parameters, bars)

    def reconcile_done(self, ts: float, detail: str) -> None:
        """The fills that a lost state file knew are fetched and booked."""
        if self.state.guard.reconcile:
            self.state.guard.reconcile = ""
            self._say(ts, "reconciled", detail)

    # ---- the operator

    def pause(self, ts: float, reason: str) -> None:
        """Stop quoting until :meth:`resume`."""
        self.state.guard.operator_pause = reason or "no reason given"
        self._say(ts, "pause", reason)

    def resume(self, ts: float, reason: str) -> None:
        """End an operator's pause, or a reconcile that he has checked by hand. A latch needs :meth:`reset`."""
        self.state.guard.operator_pause = ""
        self.state.guard.reconcile = ""
        self._say(ts, "resume", reason)

    def reset(self, ts: float, reason: str) -> ResetRecord:
        """Clear the latch, re-base peaks and the day's open; what is still wrong stops the bot again.

        After a latch for balances the exchange's balances are taken as they are. A deposit or withdrawal should be
        booked with :meth:`transfer` before: here it would count as a gain or a loss.

        Raises:
            ValueError: no reason given.
        """
        if not reason.strip():
            raise ValueError("a reset needs a reason")
        memory, ledger = self.state.guard, self.state.ledger
        cleared = f"{memory.latch.code}: {memory.latch.detail}" if memory.latch is not None else ""
        old = self._bases()
        base, quote = memory.balance_base, memory.balance_quote
        if memory.latch is not None and memory.latch.code == "balances" and base is not None and quote is not None:
            ledger.expected_base, ledger.expected_quote = base, quote
        if ledger.opened:
            books.rebase(ledger)
        guard.clear(memory)
        new = self._bases()
        self._say(ts, "reset", f"{reason}; cleared {cleared or 'nothing'}; was {old}, is {new}")
        return ResetRecord(ts, reason, cleared, old, new)

    def _bases(self) -> dict[str, str]:
        ledger = self.state.ledger
        return {
            "equity_open_quote": str(ledger.day.equity_open),
            "equity_peak_quote": str(books.peak_equity(ledger)),
            "trading_peak_quote": str(ledger.trading_peak),
            "trading_open_quote": str(ledger.day.trading_open),
            "expected_base": str(ledger.expected_base),
            "expected_quote": str(ledger.expected_quote),
        }

    def transfer(self, ts: float, *, base: Decimal = books.ZERO, quote: Decimal = books.ZERO, reason: str = "") -> None:
        """Book a deposit (positive) or a withdrawal (negative): no gain, no loss, no drawdown.

        Raises:
            ValueError: the books are not open yet, so there is nothing to book against.
        """
        ledger = self.state.ledger
        if not ledger.opened:
            raise ValueError("no transfer before the opening balances were read: they will contain it")
        value = books.transfer(ledger, base, quote)
        self._started = False
        assets = f"{base:+f} {self.parameters.base_asset}, {quote:+f} {self.parameters.quote_asset}"
        self._say(ts, "transfer", f"{assets} ({value:+.2f}): {reason}")

    # ---- the books' rows

    def minute_row(self) -> MinuteRow:
        """Values of a minute row, as of the last decision.

        Raises:
            RuntimeError: nothing was decided yet.
        """
        snapshot, figures = self._snapshot, self._figures
        if snapshot is None:
            raise RuntimeError("no minute row before the first decision")
        state, parameters = self.state, self.parameters
        memory, ledger = state.guard, state.ledger
        known = ledger.opened
        return MinuteRow(
            ts=snapshot.ts,
            state=memory.state,
            reasons=";".join(memory.codes),
            regime=state.regime.regime,
            mid=figures.mid,
            best_bid=snapshot.bid,
            best_ask=snapshot.ask,
            equity_quote=ledger.equity if known else None,
            trading_pnl_quote=ledger.trading_pnl if known else None,
            base_balance=snapshot.base_total,
            quote_balance=snapshot.quote_total,
            base_pct=figures.base_pct,
            target_base_pct=(
                state.target.base_pct
                if state.target.base_pct is not None
                else parameters.regime(state.regime.regime).target_base_pct
            ),
            spread_pct=figures.spread,
            spread_floor_pct=figures.floor,
            quote_margin_pct=self._margin(),
            adverse_pct=figures.cost.adverse if figures.cost is not None else None,
            markout_30s_pct=costs.current_markout(state.markout, parameters, snapshot.ts),
            band_pct=state.market.band,
            skew=figures.inputs.skew if figures.inputs is not None else None,
            turnover_x=books.turnover(ledger),
            drawdown_pct=books.drawdown(ledger),
            trading_drawdown_pct=books.trading_drawdown(ledger),
            fees_quote=ledger.day.fees,
            realized_pnl_quote=ledger.day.realized,
            orders_active=len(snapshot.orders),
            oldest_order_age_s=_oldest_age(snapshot),
            cancels_per_min=len(memory.cancels),
            cancel_fail_streak=memory.cancel_fail_streak,
            fills_count=ledger.day.fills,
            book_age_s=snapshot.book_age_s,
            clock_skew_s=snapshot.clock.offset_s if snapshot.clock is not None else None,
        )

    def _margin(self) -> float | None:
        """Margin of the quote nearest to mid."""
        inputs, cost = self._figures.inputs, self._figures.cost
        if inputs is None or cost is None:
            return None
        sides = [side for side, on in ((Side.BUY, inputs.buys), (Side.SELL, inputs.sells)) if on]
        if not sides:
            return None
        return cost.margin(min(quoting.distances(self.parameters, inputs, side)[0] for side in sides))

    def day_row(self, ts: float) -> DayRow:
        """Values of the running day's row, for a clean stop."""
        return books.day_row(self.state.ledger, self.state.guard.state, ts)

    def day_row_written(self, day: str) -> None:
        """The row of an ended day is in the file: stop handing it out."""
        ledger = self.state.ledger
        ledger.ended_days = [row for row in ledger.ended_days if row.day != day]


_GRAVITY: Final = {
    GuardState.HARD_STOP: 0,
    GuardState.SOFT_PAUSE: 1,
    GuardState.REDUCE_ONLY: 2,
    GuardState.RUNNING: 3,
}
