"""The watch: one pass after the other, each of which looks, judges and acts."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from . import durable_file
from .balances import BalanceBook
from .config import Config
from .exchange import MALFORMED, BitgetSpot, ExchangeError
from .facts import Account, Container, ContainerState, Facts, Heartbeat, Order, is_own
from .page import Journal
from .requests import RefusedError, Request, RequestBox
from .steps import Steps
from .surroundings import OrderJournal, read_container, read_heartbeat
from .trips import MAX_LEASE_S, Memory, Trip, is_stopped, judge

PASS_S = 2.0
"""Between two passes."""

HASTE_S = 0.5
"""The same while a stop is under way."""

CLOCK_S = 60.0
HISTORY_S = 10.0
"""Between two looks at orders that have ended: only their number per minute is wanted."""

SWEEP_WITHIN_S = 30.0
"""Orders that an ended bot left and that are still open after this trip the watchdog."""

REMEMBERED_ORDERS = 4096
"""Own orders whose placement is remembered; at the limit of ten a second no minute has as many."""


@dataclass
class Sweep:
    """Orders that an ended bot left, being taken off."""

    exited: float
    """When the container ended."""
    began: float
    cancelled: int = 0
    zero: int = 0
    """Looks in a row that showed none."""


@dataclass
class Latch:
    """A trip that stands until an operator re-arms."""

    code: str
    detail: str
    at: float
    by: str
    drill: bool = False


@dataclass
class _Known:
    """What the exchange said last."""

    account: Account | None = None
    orders: tuple[Order, ...] = ()
    """Own ones."""
    answered: float = 0.0
    """When it last listed the open orders."""
    silent: bool = False
    """Whether it did not, in this pass."""
    fault: str = ""
    """What it failed at in this pass."""
    placed: dict[str, float] = field(default_factory=dict)
    """Own client ids with when they were placed, by the exchange's clock."""


class Watch:
    """One bot's watchdog.

    Args:
        config: what it is told.
        exchange: the account.
    """

    def __init__(self, config: Config, exchange: BitgetSpot) -> None:
        self._config = config
        self._exchange = exchange
        config.state.mkdir(parents=True, exist_ok=True)
        self._journal = Journal(config.state / "journal.jsonl", config.bot, config.page_url)
        self._requests = RequestBox(config.state / "requests")
        self._alerts = RequestBox(config.alerts, frozenset({"kill"})) if config.alerts is not None else None
        self._order_journal = OrderJournal(config.journal) if config.journal is not None else None
        self._memory = Memory()
        self._known = _Known()
        now = time.time()
        self._since = now
        self._heartbeat: Heartbeat | None = None
        self._container = Container()
        self._clock_at = self._history_at = 0.0
        self._tripped: set[str] = set()
        self._would: dict[str, float] = {}
        self._sweep: Sweep | None = None
        self._refused: list[str] = []
        """Cancels that the last attempt could not do."""
        kept = durable_file.read(self._memory_file) or {}
        self._lease_until = float(kept.get("lease_until", 0))
        self._swept_exit = float(kept.get("swept_exit", 0))
        self._balances = self._kept_balances(kept)
        self._latch = self._kept_latch()
        self._steps = Steps(self._latch.at) if self._latch is not None else None
        self._drill: dict[str, Any] | None = None
        self._journal.note("watching", f"{'armed' if config.armed else 'dry run'}; {self._latch_text()}")

    # -- one pass

    def forever(self) -> None:
        """Pass after pass; what one of them raises is written down, and the next one begins anew."""
        while True:
            started = time.monotonic()
            try:
                self.look()
            except Exception as error:
                self._journal.note("pass_failed", f"{type(error).__name__}: {error}")
            wait = HASTE_S if self._in_haste else PASS_S
            time.sleep(max(0.1, wait - (time.monotonic() - started)))

    @property
    def _in_haste(self) -> bool:
        return self._sweep is not None or (self._steps is not None and not self._steps.proved)

    def look(self) -> None:
        """One pass: obey, look, judge, act, and say how things stand."""
        self._look_around()
        self._obey()
        self._ask_exchange()
        self._look_around()  # asking may have taken seconds, in which a heartbeat came
        facts = self._facts()
        trips = judge(facts, self._config.limits, self._memory)
        if self._steps is None:
            self._consider(trips, facts)
        self._begin_sweep(facts)
        if self._steps is not None:
            self._stop_steps(facts)
        elif self._sweep is not None:
            self._continue_sweep(facts)
        self._write_status(facts, trips)

    def _look_around(self) -> None:
        if self._config.heartbeat is not None:
            self._heartbeat = read_heartbeat(self._config.heartbeat)
        if self._config.container is not None:
            self._container = read_container(self._config.container)

    def _facts(self) -> Facts:
        return Facts(
            now=time.time(),
            watching_since=self._since,
            watches_heartbeat=self._config.beside_bot and self._config.heartbeat is not None,
            heartbeat=self._heartbeat,
            container=self._container,
            lease_until=self._lease_until,
            account=self._known.account,
            answered=self._known.answered or self._since,
            open_orders_known=len(self._known.orders),
            order_id_prefix=self._config.order_id_prefix,
            exchange_ahead=self._exchange.ahead,
        )

    # -- the exchange

    def _ask_exchange(self) -> None:
        """The orders first, by themselves: they are what a stop needs, whatever else fails."""
        known = self._known
        known.account = None
        try:
            orders = self._exchange.open_orders()
        except (ExchangeError, *MALFORMED) as error:
            self._note_fault(f"{type(error).__name__}: {error}")
            known.silent = True
            return
        known.orders = tuple(order for order in orders if self._is_own(order.client_id))
        known.answered, known.silent = time.time(), False
        try:
            if time.time() - self._clock_at > CLOCK_S:
                self._exchange.synchronise()
                self._clock_at = time.time()
            known.account = self._read_account(known.orders, len(orders) - len(known.orders))
        except (ExchangeError, *MALFORMED) as error:
            self._note_fault(f"{type(error).__name__}: {error}")
        else:
            self._note_fault("")

    def _note_fault(self, fault: str) -> None:
        """Keep what the exchange failed at; write it down when that is news."""
        if bool(fault) != bool(self._known.fault):
            self._journal.note("exchange_fault" if fault else "exchange_answers", fault)
        self._known.fault = fault

    def _is_own(self, client_id: str) -> bool:
        if is_own(client_id, self._config.order_id_prefix, ()):
            return True
        beat = self._heartbeat
        if beat is not None and client_id in beat.client_ids:
            return True
        return self._order_journal is not None and is_own(client_id, "", self._order_journal.ids())

    def _read_account(self, own: tuple[Order, ...], foreign: int) -> Account:
        exchange, known = self._exchange, self._known
        now = exchange.now()
        known.placed |= {order.client_id: order.created for order in own}
        if now - self._history_at > HISTORY_S:
            ended = exchange.closed_order_ids(now - 60)
            known.placed |= {client_id: at for client_id, at in ended.items() if self._is_own(client_id)}
            self._history_at = now
        if len(known.placed) > REMEMBERED_ORDERS:
            known.placed = {client_id: at for client_id, at in known.placed.items() if at > now - 60}
        holdings = exchange.holdings()
        mid = exchange.mid()
        if self._balances is None:
            self._balances = BalanceBook.begin(holdings, now)
            self._remember()
        book = self._balances
        before = len(book.fills), book.settled, book.at
        book.book(exchange.fills(book.at))
        unexplained = book.unexplained(holdings, mid, now)
        book.fold(now)
        if (len(book.fills), book.settled, book.at) != before and int(now) % 10 < PASS_S:
            self._remember()
        return Account(
            own=own,
            foreign=foreign,
            holdings=holdings,
            mid=mid,
            placed_per_minute=sum(at > now - 60 for at in known.placed.values()),
            unexplained_quote=unexplained,
        )

    # -- a trip

    def _consider(self, trips: list[Trip], facts: Facts) -> None:
        """Latch on the gravest trip, or say what would have been done."""
        if trips and self._config.armed:
            self._trip(Latch(trips[0].code, trips[0].detail, facts.now, "watchdog"))
            return
        codes = {trip.code for trip in trips}
        for trip in trips:
            if trip.code not in self._tripped:
                self._would[trip.code] = facts.now
                self._journal.page("would_trip", f"dry run: {trip.code}: {trip.detail}")
        self._tripped = codes

    def _trip(self, latch: Latch) -> None:
        """Write the latch, which is what stops the container; everything else comes after it."""
        durable_file.write(self._config.latch, {"bot": self._config.bot, **asdict(latch)})
        self._latch = latch
        self._steps = Steps(latch.at)
        self._sweep = None
        self._journal.page("tripped", f"{latch.code}: {latch.detail}", by=latch.by, drill=latch.drill)

    def _stop_steps(self, facts: Facts) -> None:
        steps = self._steps
        assert steps is not None  # noqa: S101 -- the caller looked
        if steps.look_at_bot(facts.now, stopped=is_stopped(facts), watched=self._config.beside_bot):
            self._journal.note(
                "bot_stopped" if steps.stop_proven else "bot_not_proven_stopped",
                f"{facts.now - steps.latched:.1f} s after the latch",
            )
        known = self._known
        self._cancel(known.orders)
        if known.silent:
            return
        news = steps.look_at_orders(facts.now, len(known.orders))
        if news and steps.proved:
            self._journal.page(
                "proved",
                f"no own order was open at two looks {steps.proved - steps.zero:.1f} s apart, the first one "
                f"{steps.zero - steps.latched:.1f} s after the latch; {self._holding_text()}",
            )
            self._end_drill(steps)
        elif news:
            self._journal.page("orders_again", f"{len(known.orders)} own orders are open after all; cancelling them")

    def _cancel(self, orders: tuple[Order, ...]) -> int:
        """Cancel, and write down what came of it where that is news; how many were tried."""
        if not orders:
            self._refused = []
            return 0
        refused = sorted(self._exchange.cancel((order.symbol, order.client_id) for order in orders))
        if refused != self._refused or len(refused) < len(orders):
            self._journal.note("cancel", f"{len(orders) - len(refused)} of {len(orders)} own orders", refused=refused)
        self._refused = refused
        return len(orders)

    # -- after an exit of the container

    def _begin_sweep(self, facts: Facts) -> None:
        container = facts.container
        if container.state is not ContainerState.STOPPED or container.since <= self._swept_exit:
            return
        self._swept_exit = container.since
        self._remember()
        if self._config.armed and self._steps is None:
            self._sweep = Sweep(container.since, facts.now)
            self._journal.note("sweep", f"the bot's container ended {facts.now - container.since:.1f} s ago")

    def _continue_sweep(self, facts: Facts) -> None:
        sweep = self._sweep
        assert sweep is not None  # noqa: S101 -- the caller looked
        if not self._known.silent:
            # A bot that has been started again meanwhile owns what it placed since.
            left = tuple(
                order
                for order in self._known.orders
                if facts.container.state is not ContainerState.RUNNING
                or order.created < facts.container.since + facts.exchange_ahead
            )
            sweep.zero = 0 if left else sweep.zero + 1
            sweep.cancelled += self._cancel(left)
            if sweep.zero >= 2:  # an order on its way at the first look is there at the second
                self._journal.note("swept", f"no order is left; cancels sent: {sweep.cancelled}")
                self._sweep = None
                return
        if facts.now - sweep.began > SWEEP_WITHIN_S:
            self._trip(
                Latch(
                    "left_orders",
                    f"{len(self._known.orders)} orders of the ended bot could not be taken off within "
                    f"{SWEEP_WITHIN_S:.0f} s",
                    facts.now,
                    "watchdog",
                )
            )

    # -- the operator

    def _obey(self) -> None:
        for request in self._alerts.pending() if self._alerts is not None else []:
            assert self._alerts is not None  # noqa: S101 -- the loop has none without it
            self._alerts.answer(request, self._kill(request, "alert"))
        for request in self._requests.pending():
            try:
                said = self._carry_out(request)
            except RefusedError as refused:
                said = f"refused: {refused}"
            except (ExchangeError, *MALFORMED) as error:
                said = f"refused: {type(error).__name__}: {error}"
            self._journal.note(request.action, request.reason, by=request.by, answer=said)
            self._requests.answer(request, said)

    def _carry_out(self, request: Request) -> str:
        match request.action:
            case "kill":
                return self._kill(request, "operator")
            case "rearm":
                return self._rearm(request)
            case "lease":
                if not 0 < request.seconds <= MAX_LEASE_S:
                    raise RefusedError(f"a lease is for at most {MAX_LEASE_S:.0f} s, not {request.seconds:.0f}")
                self._lease_until = time.time() + request.seconds
                self._remember()
                return f"a silent bot is no reason to trip for {request.seconds:.0f} s"
            case "release":
                self._lease_until = 0.0
                self._remember()
                return "the lease is over"
            case "transfer":
                if self._balances is not None:
                    self._balances.transfer(request.base, request.quote)
                    self._remember()
                return f"booked: base {request.base:+}, quote {request.quote:+}"
            case "drill":
                return self._begin_drill(request)

    def _kill(self, request: Request, code: str) -> str:
        if self._latch is not None:
            return f"it is latched already; {self._latch_text()}"
        self._trip(Latch(code, request.reason, time.time(), request.by))
        return "latched: the bot is stopped and its orders are cancelled"

    def _rearm(self, request: Request) -> str:
        if self._latch is None or self._steps is None:
            raise RefusedError("it is not latched")
        if not self._steps.proved and not request.force:
            raise RefusedError(
                "the stop is not complete: no own order must be open at two looks 10 s apart, and "
                f"{len(self._known.orders)} are ({self._known.fault or 'the exchange answers'}); wait, or force it"
            )
        old = self._latch_text()
        durable_file.remove(self._config.latch)
        self._latch = self._steps = None
        self._begin_anew()
        self._journal.page("rearmed", request.reason, by=request.by, cleared=old)
        return f"re-armed; it was {old}"

    def _begin_anew(self) -> None:
        self._since = time.time()
        self._memory = Memory()
        self._tripped = set()
        self._balances = None
        self._remember()

    # -- a drill

    def _begin_drill(self, request: Request) -> str:
        if self._latch is not None:
            raise RefusedError(f"no drill now: {self._latch_text()}")
        if self._known.fault:
            raise RefusedError(f"no drill now, the exchange does not answer: {self._known.fault}")
        placed = ""
        if not self._known.orders:
            placed = f"{self._config.order_id_prefix}drill-{int(time.time())}"
            account = self._known.account
            if not self._config.order_id_prefix or account is None:
                raise RefusedError("no drill now: the bot has no open order, and none can be placed in its name")
            try:
                price_places, amount_places, least = self._exchange.rules()
                self._exchange.place_far_away(
                    placed, least * Decimal("1.1"), account.mid, (price_places, amount_places)
                )
                self._known.orders = tuple(
                    order for order in self._exchange.open_orders() if self._is_own(order.client_id)
                )
            except (ExchangeError, *MALFORMED) as error:
                raise RefusedError(f"no drill: the bot has no open order, and none could be placed: {error}") from error
        now = time.time()
        self._drill = {
            "account": self._exchange.account_id(),
            "began": now,
            "reason": request.reason,
            "by": request.by,
            "orders": len(self._known.orders),
            "placed_for_it": placed,
            "foreign": self._known.account.foreign if self._known.account is not None else None,
        }
        durable_file.remove(self._config.state / "drill.json")
        self._trip(Latch("drill", request.reason, now, request.by, drill=True))
        return f"the drill began with {len(self._known.orders)} open orders"

    def _end_drill(self, steps: Steps) -> None:
        """Write what the drill showed; re-arming is the operator's, as after any trip."""
        if self._drill is None:
            return
        account = self._known.account
        durable_file.write(
            self._config.state / "drill.json",
            self._drill
            | {
                "bot": self._config.bot,
                "armed": self._config.armed,
                "stopped_after_s": round(steps.stopped - steps.latched, 3),
                "stop_proven": steps.stop_proven,
                "zero_after_s": round(steps.zero - steps.latched, 3),
                "proved_after_s": round(steps.proved - steps.latched, 3),
                "ended": time.time(),
                "foreign_after": account.foreign if account is not None else None,
                "passed": steps.stop_proven or not self._config.beside_bot,
            },
        )
        self._drill = None

    # -- what is kept and what is told

    @property
    def _memory_file(self) -> Any:
        return self._config.state / "memory.json"

    def _remember(self) -> None:
        durable_file.write(
            self._memory_file,
            {
                "lease_until": self._lease_until,
                "swept_exit": self._swept_exit,
                "balances": self._balances.to_dict() if self._balances is not None else None,
            },
        )

    def _kept_balances(self, kept: dict[str, Any]) -> BalanceBook | None:
        try:
            return BalanceBook.from_dict(kept["balances"])
        except MALFORMED:
            return None

    def _kept_latch(self) -> Latch | None:
        """The latch on the disk: one that cannot be read is a latch all the same."""
        if not self._config.latch.exists():
            return None
        try:
            plain = durable_file.read(self._config.latch) or {}
            return Latch(
                str(plain["code"]),
                str(plain["detail"]),
                float(plain["at"]),
                str(plain["by"]),
                bool(plain.get("drill", False)),
            )
        except (OSError, *MALFORMED):
            return Latch("latch_file", f"{self._config.latch} is there and cannot be read", time.time(), "unknown")

    def _latch_text(self) -> str:
        latch = self._latch
        if latch is None:
            return "not latched"
        return f"latched by {latch.by}: {latch.code}: {latch.detail}"

    def _holding_text(self) -> str:
        account = self._known.account
        if account is None:
            return "what it holds is unknown"
        held = account.holdings
        return (
            f"held are {held.base} {self._exchange.base} and {held.quote} {self._exchange.quote}, "
            f"worth {account.equity:.2f} {self._exchange.quote}, which keep moving with the market"
        )

    def _write_status(self, facts: Facts, trips: list[Trip]) -> None:
        known, steps, beat = self._known, self._steps, facts.heartbeat
        account = known.account
        durable_file.write(
            self._config.state / "status.json",
            {
                "bot": self._config.bot,
                "at": facts.now,
                "armed": self._config.armed,
                "latched": asdict(self._latch) if self._latch is not None else None,
                "stop": asdict(steps) if steps is not None else None,
                "trips": [asdict(trip) for trip in trips],
                "would_have_tripped": self._would,
                "sweeping": self._sweep is not None,
                "lease_until": self._lease_until if self._lease_until > facts.now else 0,
                "heartbeat_at": beat.at if beat is not None else None,
                "bot_heard_at": beat.heard if beat is not None else None,
                "container": facts.container.state.value,
                "exchange_answered_at": known.answered or None,
                "exchange_error": known.fault,
                "own_orders": len(known.orders),
                "foreign_orders": account.foreign if account is not None else None,
                "equity_quote": str(account.equity) if account is not None else None,
                "exposure_quote": str(account.exposure) if account is not None else None,
                "unexplained_quote": str(account.unexplained_quote) if account is not None else None,
                "orders_per_minute": account.placed_per_minute if account is not None else None,
            },
            durable=False,
        )
