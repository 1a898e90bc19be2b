"""The desk: reads the connector, asks the core, and does what the core decided.

Nothing here chooses a price, an amount, a pause or a stop. What it does know is Hummingbot: which orders are out
there and when one is known to be gone, that a refused cancel raises no event, that exceptions in a controller are
swallowed, that a restart finds orders which nobody owns, and that fills can be missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hummingbot import data_path, prefix_path
from hummingbot.core.data_type.common import PriceType, TradeType
from hummingbot.core.event.event_forwarder import SourceInfoEventForwarder
from hummingbot.core.event.events import MarketEvent
from hummingbot.strategy_v2.executors.order_executor.data_types import ExecutionStrategy
from hummingbot.strategy_v2.models.executor_actions import CreateExecutorAction, StopExecutorAction

from ..books.csv_book import Value
from ..books.heartbeat import Heartbeat
from ..books.latch_file import Latched
from ..books.ledger import Ledger, Provenance
from ..books.requests import Request, RequestBox
from ..core import (
    BookedFill,
    ClockSample,
    DayRow,
    Decision,
    Engine,
    EppParameters,
    Fill,
    GuardState,
    OpenOrder,
    OrderState,
    Placement,
    RestTicker,
    Side,
    Snapshot,
    State,
    StateError,
    TradingRules,
)
from ..journal.recorder import JournaledEngine
from ..journal.writer import JOURNAL, JournalWriter, Origin
from . import routing
from .confirmation import Confirmation, is_rehearsal, read_confirmation
from .exchange import BitgetSpot, ExchangeOrder
from .resting_order import RestingOrderConfig

if TYPE_CHECKING:
    from .epp_v2_4 import EppV24Config

BARS = 200
"""Candles asked for when bars are wanted; the EMA(50) needs a good run-in."""

BARS_S = 60.0
"""Before they are asked for again: a new candle comes once a minute."""

AUDIT_S = 60.0
"""Between two comparisons of open orders and fills with the exchange's own lists."""

TICKER_S = 15.0
CLOCK_S = 20.0
CLOCK_OFF_S = 5.0
"""While the clocks are apart: the guard wants five comparisons before it believes it, and before it forgets it."""

CONFIRMATION_S = 5.0
FEE_S = 3600.0
RETRY_S = 2.0
"""After a request that failed."""

FILLS_OVERLAP_S = 60.0
"""Fills are asked for from so long before the last complete list: the exchange lists them with a delay."""

UNLISTED_S = 5.0
"""An order whose cancel is so old and that the exchange does not list is gone, whether or not Hummingbot has heard."""

LOST_EXECUTOR_S = 10.0
"""An executor that Hummingbot does not show after so long was never made."""

_GONE = {"CANCELED", "FILLED", "FAILED"}


@dataclass
class Slot:
    """One placement, from the moment it was accepted until its order is known to be gone."""

    key: str
    """Our id: the executor's, and the order's as the core knows it."""
    placement: Placement
    asked: float
    client_id: str = ""
    """The order's id at the exchange, once the executor has placed it."""
    state: OrderState = OrderState.PENDING
    remaining: Decimal = Decimal(0)
    stopped: float = 0.0
    """When its cancel was asked for."""


class Desk:
    """One controller's work; see the module.

    Args:
        config: the controller's configuration.
        connector: Hummingbot's ``bitget`` connector.
        actions: where executor actions go.
        log: the controller's logger.
    """

    def __init__(self, config: EppV24Config, connector: Any, actions: asyncio.Queue[Any], log: logging.Logger) -> None:
        self._config = config
        self._connector = connector
        self._actions = actions
        self._log = log
        self._exchange = BitgetSpot(connector, config.trading_pair)
        self._ledger = Ledger(
            logs=Path(prefix_path()) / "logs",
            data=Path(data_path()),
            provenance=Provenance(
                instance=config.instance_name,
                variant=config.variant,
                mode=config.mode,
                market_source=config.market_source,
                speed=config.speed,
                strategy_hash=config.strategy_hash,
                config_hash=config.config_hash,
            ),
            common={"exchange": config.connector_name, "trading_pair": config.trading_pair},
        )
        for repair in self._ledger.repairs:
            log.warning(f"{repair.path}: {repair.what}.")
        parameters = config.parameters()
        for warning in parameters.warnings():
            log.warning(f"Configuration: {warning}.")
        self._obeyed: dict[str, str] = {}
        """Requests carried out and not yet answered, with the answer: kept, so that none is ever carried out twice."""
        state, self._fills_known_until, self._reconciling = self._load_state()
        if latched := self._ledger.latched():
            state.stay_latched(latched.code, latched.detail, latched.ts)
        self._journal = self._make_journal(parameters)
        self._engine = (
            Engine(parameters, state) if self._journal is None else JournaledEngine(parameters, state, self._journal)
        )
        self._requests = RequestBox(self._ledger.state_directory)
        self._heartbeat = Heartbeat(self._ledger.state_directory)

        self._prefix = ""
        self._slots: dict[str, Slot] = {}
        self._keys: dict[str, str] = {}
        self._strays: dict[str, ExchangeOrder] = {}
        self._foreign = 0
        self._takers: set[str] = set()
        self._orders_on_exchange: int | None = None
        self._swept = False
        self._routing_agrees = True
        self._confirmation = Confirmation("", None)
        self._confirmation_read = 0.0
        self._fee: float | None = None
        self._rest: RestTicker | None = None
        self._clock: ClockSample | None = None
        self._last_public = 0.0
        self._bars_wanted = asyncio.Event()
        self._audit_wanted = asyncio.Event()
        self._sweep_wanted = asyncio.Event()
        self._direct: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._forwarders: list[tuple[Any, Any]] = []
        self._decision: Decision | None = None
        self._minute: int | None = None
        self._tick_ms = 0.0
        self._opened = time.time()
        self._first_quote: float | None = None
        self._unsaved = False
        """Whether something that a restart must not forget could not be written yet."""
        self._leaving = False

    # -- start

    def open(self, order_id_prefix: str) -> None:
        """Listen to the connector and begin to prove that nothing is left from before.

        Raises:
            RuntimeError: the bot's orders would not be told from others'.
        """
        if not order_id_prefix:
            raise RuntimeError("no order id prefix: EPP runs under its own script, epp_v2_4.py")
        self._prefix = order_id_prefix
        handlers: list[tuple[Any, Callable[[Any], None]]] = [
            (MarketEvent.OrderFilled, self._on_filled),
            (MarketEvent.OrderCancelled, self._on_cancelled),
            (MarketEvent.OrderFailure, self._on_failed),
            (MarketEvent.BuyOrderCompleted, self._on_completed),
            (MarketEvent.SellOrderCompleted, self._on_completed),
        ]
        for tag, handler in handlers:
            # The connector holds its listeners weakly: the forwarders must be kept here.
            forwarder = SourceInfoEventForwarder(self._guarded(handler))
            self._connector.add_listener(tag, forwarder)
            self._forwarders.append((tag, forwarder))
        for name, work in (
            ("start", self._start()),
            ("ticker", self._repeat(TICKER_S, self._read_ticker)),
            ("clock", self._compare_clocks()),
            ("fee", self._repeat(FEE_S, self._read_fee)),
            ("bars", self._seed_bars()),
            ("direct cancels", self._sweep_when_wanted()),
        ):
            self._tasks.append(asyncio.create_task(work, name=f"epp {name}"))

    def _make_journal(self, parameters: EppParameters) -> JournalWriter | None:
        """Where every call of the core is written down; None when the configuration keeps no journal."""
        if not parameters.journal_max_mb:
            return None
        config = self._config
        return JournalWriter(
            self._ledger.directory / JOURNAL,
            Origin(
                instance=config.instance_name,
                variant=config.variant,
                mode=config.mode,
                market_source=config.market_source,
                speed=config.speed,
                strategy_hash=config.strategy_hash,
                config_hash=config.config_hash,
            ),
            parameters,
            max_bytes=parameters.journal_max_mb * 1_000_000,
            warn=self._log.warning,
        )

    def _load_state(self) -> tuple[State, float, str]:
        """The engine's state, the moment up to which fills are known, and why it is not the old one."""
        now = time.time()
        loaded = self._ledger.load_state()
        if loaded.body is not None:
            try:
                self._obeyed = {str(name): str(said) for name, said in loaded.body.get("obeyed", {}).items()}
                state = State.from_dict(loaded.body["engine"])
                # Why it had to reconcile when it ended, or was restored from a backup: that is still to be done.
                return state, float(loaded.body["fills_known_until"]), state.guard.reconcile
            except (StateError, AttributeError, KeyError, TypeError, ValueError) as error:
                loaded = self._ledger.refuse_state(f"it cannot be used ({type(error).__name__}: {error})")
        why = loaded.set_aside or ""
        if not why and self._ledger.fills_written:
            why = f"there is no state file, though fills.csv has {self._ledger.fills_written} fills"
        if not why:
            return State.new(), now, ""
        self._log.error(
            f"State: {why}. Starting in soft_pause: reconcile; the day's fills are fetched and booked first."
        )
        return State.new(reconcile=why), now // 86400 * 86400, why

    async def _start(self) -> None:
        """Prove routing, sweep, book what was missed; then audit for ever."""
        await self._until_done("routing", self._check_routing)
        if not self._routing_agrees:
            return  # latched by the core; nothing is asked of an exchange that may be the wrong one
        await self._until_done("sweep of left orders", self._sweep)
        await self._until_done("fills since the last stop", self._book_missed)
        if self._reconciling:
            self._engine.reconcile_done(time.time(), f"the day's fills are booked; before: {self._reconciling}")
        self._swept = True
        self._log.info(f"Ready to quote {time.time() - self._opened:.1f} s after the controller was made.")
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._audit_wanted.wait(), AUDIT_S)
            self._audit_wanted.clear()
            await self._until_done("audit", self._audit)

    async def _check_routing(self) -> None:
        mode: routing.Mode = self._config.mode
        if mode == "live" and is_rehearsal():
            mode = "paper"
        lines = await routing.disagreements(mode)
        if why := routing.key_objection(mode, str(self._connector._api_key)):
            lines.append(why)
        if not lines and (refusal := await self._exchange.key_refusal()):
            lines = [f"mode is {self._config.mode}, but the exchange there does not know the bot's key ({refusal})"]
        self._routing_agrees = not lines
        for line in lines:
            self._log.critical(f"Routing: {line}.")

    async def _sweep(self) -> None:
        """Cancel every own order on the exchange, and look again until none is there. Other orders are never
        touched."""
        for attempt in range(20):
            own = await self._read_open_orders()
            if not own:
                return
            self._log.warning(f"{len(own)} own orders are open that nobody here placed: cancelling them.")
            await asyncio.gather(*(self._exchange.cancel(order) for order in own))
            await asyncio.sleep(min(0.2 * 2**attempt, RETRY_S))
        raise OSError("own orders are still open after their cancels")

    async def _read_open_orders(self) -> list[ExchangeOrder]:
        """Own orders as the exchange lists them now; also counts the others, and forgets what is gone."""
        asked = time.time()
        orders = await self._exchange.open_orders()
        own = [order for order in orders if order.client_id.startswith(self._prefix)]
        self._foreign = len(orders) - len(own)
        self._orders_on_exchange = len(own)
        self._let_go(asked, {order.client_id for order in own})
        return own

    def _let_go(self, asked: float, listed: set[str]) -> None:
        """Forget cancelled orders that are not in a list which was asked for after they had time to go.

        Hummingbot learns of a cancel by its private socket or a poll; with both away, an order would seem to outlive
        its cancel. One that the exchange has not acknowledged yet may still arrive: its absence proves nothing.
        """
        for slot in list(self._slots.values()):
            if slot.state is not OrderState.CANCELLING or not slot.client_id or slot.client_id in listed:
                continue
            order = self._connector._order_tracker.fetch_order(slot.client_id)
            if slot.stopped + UNLISTED_S < asked and order is not None and order.exchange_order_id is not None:
                self._log.warning(f"Order {slot.client_id} is not listed any more: it is gone, though nobody said so.")
                self._engine.on_cancel(slot.key, time.time())
                self._forget(slot)

    async def _book_missed(self) -> None:
        """Fetch and book the fills since the last complete list."""
        asked = time.time()
        for fill, order_id in await self._exchange.fills_since(self._fills_known_until - FILLS_OVERLAP_S):
            if not fill.is_maker and fill.trade_id not in self._takers:
                self._takers.add(fill.trade_id)
                self._log.error(f"Alert: fill {fill.trade_id} took liquidity, though every order is post-only.")
            if self._engine.is_booked(fill.trade_id, fill.ts):
                continue
            client_id = self._client_id(order_id) or await self._exchange.client_id_of(order_id)
            if client_id is not None and not client_id.startswith(self._prefix):
                self._log.error(f"Fill {fill.trade_id} belongs to {client_id!r}, not to this bot: not booked.")
                continue
            self._log.warning(f"Fill {fill.trade_id} was not announced: booked from the exchange's list.")
            self._book(fill, client_id or order_id)
        self._fills_known_until = asked
        self._save_state()

    async def _audit(self) -> None:
        """Compare with the exchange: own orders that no slot has, and fills that nobody announced."""
        asked = time.time()
        own = await self._read_open_orders()
        known = {slot.client_id for slot in self._slots.values() if slot.client_id}
        # An order that ended while the list was under way, or that was placed since, is no stray.
        known |= set(self._connector._order_tracker.cached_orders)
        unplaced = any(not slot.client_id for slot in self._slots.values())
        self._strays = {
            order.client_id: order
            for order in own
            if order.client_id not in known and not (unplaced and order.created > asked - LOST_EXECUTOR_S)
        }
        for client_id in self._strays:
            self._log.warning(f"Own order {client_id} is open, but nothing here knows it.")
        await self._book_missed()

    # -- requests to the exchange, in the background

    async def _until_done(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                return await work()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                self._log.warning(f"{what.capitalize()}: {error!r}; again in {RETRY_S:.0f} s.")
                await asyncio.sleep(RETRY_S)

    async def _repeat(self, every: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._until_done(work.__name__.strip("_").replace("_", " "), work)
            await asyncio.sleep(every)

    async def _read_ticker(self) -> None:
        self._rest = await self._exchange.ticker()

    async def _compare_clocks(self) -> None:
        while True:
            await self._until_done("clock", self._read_clock)
            await asyncio.sleep(CLOCK_OFF_S if self._clock_is_off() else CLOCK_S)

    def _clock_is_off(self) -> bool:
        sample, decision = self._clock, self._decision
        apart = sample is not None and abs(sample.offset_s) - sample.round_trip_s / 2 > self._config.clock_soft_s
        return apart or (decision is not None and any(reason.code == "clock" for reason in decision.reasons))

    async def _read_clock(self) -> None:
        self._clock = await self._exchange.clock()

    async def _read_fee(self) -> None:
        self._fee = await self._exchange.maker_fee()

    async def _seed_bars(self) -> None:
        while True:
            await self._bars_wanted.wait()
            await self._until_done("candles", self._read_bars)
            await asyncio.sleep(BARS_S)
            self._bars_wanted.clear()

    async def _read_bars(self) -> None:
        bars = await self._exchange.closed_bars(BARS)
        self._engine.seed_bars(bars)
        self._log.info(f"{len(bars)} bars from the exchange's candles.")

    async def _sweep_when_wanted(self) -> None:
        """Cancel by direct request what the core asked for, then read what is left."""
        while True:
            await self._sweep_wanted.wait()
            self._sweep_wanted.clear()
            ids, self._direct = self._direct, set()
            try:
                own = await self._read_open_orders()
                targets = own if "*" in ids else [order for order in own if order.client_id in ids]
                for order in targets:
                    await self._cancel_directly(order)
                if targets:
                    await self._read_open_orders()
            except asyncio.CancelledError:
                raise
            except Exception as error:  # the core asks again in its own time
                self._log.error(f"Direct cancel: {error!r}.")
            self._audit_wanted.set()

    async def _cancel_directly(self, order: ExchangeOrder) -> None:
        try:
            await self._exchange.cancel(order)
        except OSError as error:
            self._log.error(f"Cancel of {order.client_id} refused: {error}.")
            self._engine.on_cancel_failure(self._keys.get(order.client_id, order.client_id), time.time(), str(error))

    # -- events of the connector

    def _guarded(self, handler: Callable[[Any], None]) -> Callable[[int, Any, Any], None]:
        """The connector swallows what a listener raises: count it as the tick's own."""

        def call(_: int, __: Any, event: Any) -> None:
            try:
                handler(event)
            except Exception as error:
                self._on_exception(error)

        return call

    def _on_filled(self, event: Any) -> None:
        if event.trading_pair != self._config.trading_pair or not event.order_id.startswith(self._prefix):
            return
        order = self._connector._order_tracker.fetch_order(event.order_id)
        update = order.order_fills.get(event.exchange_trade_id) if order is not None else None
        charged = event.trade_fee.flat_fees
        fill = Fill(
            trade_id=str(event.exchange_trade_id),
            order_id=event.order_id,
            # The event's own time is when Hummingbot heard of it.
            ts=float(update.fill_timestamp) if update is not None else float(event.timestamp),
            side=Side.BUY if event.trade_type == TradeType.BUY else Side.SELL,
            price=Decimal(event.price),
            amount=Decimal(event.amount),
            fee_amount=sum((Decimal(fee.amount) for fee in charged), Decimal(0)),
            fee_asset=charged[0].token if charged else self._exchange.quote,
            is_maker=True,  # every order is post-only; the audit alarms when the exchange's own list says otherwise
        )
        self._book(fill, event.order_id)

    def _on_cancelled(self, event: Any) -> None:
        self._strays.pop(event.order_id, None)
        key = self._keys.get(event.order_id)
        slot = self._slots.get(key) if key else None
        now = time.time()
        if key is None or slot is None:
            return
        if slot.state is not OrderState.CANCELLING:
            # Nobody here asked for it: a post-only order that would have crossed ends like this.
            self._refused(slot, now, "the exchange cancelled it by itself")
        self._engine.on_cancel(key, now)
        self._forget(slot)

    def _on_failed(self, event: Any) -> None:
        key = self._keys.get(event.order_id)
        slot = self._slots.get(key) if key else None
        if slot is None:
            return
        self._refused(slot, time.time(), f"{event.error_type}: {event.error_message}")
        # A request that timed out may have arrived: look before the slot is used again.
        self._forget(slot)
        self._audit_wanted.set()

    def _on_completed(self, event: Any) -> None:
        slot = self._slots.get(self._keys.get(event.order_id, ""))
        if slot is not None:
            self._forget(slot)

    def _refused(self, slot: Slot, now: float, why: str) -> None:
        self._log.warning(f"{slot.placement.side} level {slot.placement.level} was not accepted: {why}.")
        self._engine.on_placement_failure(slot.placement.side, slot.placement.level, now, why)

    def _forget(self, slot: Slot) -> None:
        self._slots.pop(slot.key, None)

    def _client_id(self, order_id: str) -> str | None:
        order = self._connector._order_tracker.fetch_order(exchange_order_id=order_id)
        return str(order.client_order_id) if order is not None else None

    def _book(self, fill: Fill, client_id: str) -> None:
        """Count a fill once, write its row, save the state: in this order (see :mod:`..books.ledger`)."""
        booked = self._engine.on_fill(dataclasses.replace(fill, order_id=self._keys.get(client_id, client_id)))
        if booked is None:
            return
        self._ledger.book_fill(booked.ts, booked.trade_id, _fill_cells(booked, client_id))
        self._save_state()
        self._log.info(
            f"Filled: {booked.side} {booked.amount_base} at {booked.price}, worth {booked.notional_quote:.2f}, "
            f"fee {booked.fee_quote:.6f}, trade {booked.trade_id}, order {client_id}."
        )

    # -- the tick

    def tick(self, executors: Mapping[str, Any]) -> None:
        """Look, decide, act; never raises.

        Args:
            executors: Hummingbot's report of this controller's executors, by id.
        """
        if self._leaving:
            return
        started = time.perf_counter()
        now = time.time()
        try:
            self._work(now, executors)
            self._beat()
        except Exception as error:
            self._on_exception(error)
            self._decide_blind(now)
        self._tick_ms = (time.perf_counter() - started) * 1000
        try:
            self._write_minute(now)
        except Exception as error:
            self._on_exception(error)

    def _on_exception(self, error: Exception) -> None:
        self._log.exception("The tick failed; all quotes are pulled.", exc_info=error)
        self._engine.on_exception(time.time(), f"{type(error).__name__}: {error}")
        self._stop([slot for slot in self._slots.values() if slot.state is not OrderState.CANCELLING])

    def _decide_blind(self, now: float) -> None:
        """Decide after a tick that failed, on the orders alone: a pause or a stop must not depend on what raises."""
        try:
            decision = self._engine.decide(
                Snapshot(
                    ts=now,
                    bid=None,
                    ask=None,
                    last=None,
                    book_age_s=0.0,
                    base_total=None,
                    base_available=None,
                    quote_total=None,
                    quote_available=None,
                    maker_fee=None,
                    rules=None,
                    orders=self._open_orders(now),
                    connector_ready=False,
                    start_swept=self._swept,
                    routing_agrees=self._routing_agrees,
                    foreign_orders=self._foreign,
                    unconfirmed=self._confirmation.objection,
                    max_notional=self._confirmation.max_notional,
                    orders_on_exchange=self._orders_on_exchange,
                )
            )
            self._unsaved |= decision.persist
            self._tell(decision)
            self._decision = decision
            self._cancel(decision)
            self._save_state()
        except Exception as error:  # counted already, as the tick's own
            self._log.error(f"After the failed tick: {error!r}.")

    def _work(self, now: float, executors: Mapping[str, Any]) -> None:
        self._obey(now)
        self._look_after_slots(now, executors)
        self._look_at_confirmation(now)
        decision = self._engine.decide(self._snapshot(now))
        self._tell(decision)
        self._decision = decision
        self._unsaved |= decision.persist
        if self._unsaved:
            self._save_state()
        for row in decision.day_rows:
            self._write_day(row)
        if decision.bars_wanted and self._connector.ready:
            self._bars_wanted.set()
        self._cancel(decision)
        self._place(decision, now)

    def _look_at_confirmation(self, now: float) -> None:
        """A bot for money has to be confirmed, again and again; one on paper risks nothing."""
        config = self._config
        if config.mode == "live" and now >= self._confirmation_read + CONFIRMATION_S:
            self._confirmation_read = now
            self._confirmation = read_confirmation(config.instance_name, config.strategy_hash, config.config_hash, now)

    def _snapshot(self, now: float) -> Snapshot:
        pair = self._config.trading_pair
        ready = bool(self._connector.ready)
        book = self._connector.order_books.get(pair) if ready else None
        base_total, base_available = self._balance(self._exchange.base)
        quote_total, quote_available = self._balance(self._exchange.quote)
        return Snapshot(
            ts=now,
            bid=self._price(PriceType.BestBid) if book is not None else None,
            ask=self._price(PriceType.BestAsk) if book is not None else None,
            last=_number(book.last_trade_price) if book is not None else None,
            book_age_s=self._book_age(now),
            base_total=base_total,
            base_available=base_available,
            quote_total=quote_total,
            quote_available=quote_available,
            maker_fee=self._maker_fee(),
            rules=self._rules(),
            orders=self._open_orders(now),
            connector_ready=ready,
            start_swept=self._swept,
            routing_agrees=self._routing_agrees,
            foreign_orders=self._foreign,
            kill_file=self._ledger.killed,
            unconfirmed=self._confirmation.objection,
            max_notional=self._confirmation.max_notional,
            rest=self._rest,
            clock=self._clock,
            orders_on_exchange=self._orders_on_exchange,
        )

    def _price(self, kind: Any) -> float | None:
        return _number(self._connector.get_price_by_type(self._config.trading_pair, kind))

    def _book_age(self, now: float) -> float:
        """Seconds since the public socket brought anything at all; since the start, before it ever did."""
        socket = self._connector._orderbook_ds._ws_assistant
        if socket is not None:
            self._last_public = max(self._last_public, float(socket.last_recv_time))
        return max(0.0, now - (self._last_public or self._opened))

    def _balance(self, asset: str) -> tuple[Decimal | None, Decimal | None]:
        """Total and available; unknown until the account was read. Bitget lists only coins that are held."""
        balances = self._connector.get_all_balances()
        if not balances:
            return None, None
        return Decimal(balances.get(asset, 0)), Decimal(self._connector.available_balances.get(asset, 0))

    def _maker_fee(self) -> float | None:
        """The account's own fee; the pair's public one until that is read; else unknown."""
        if self._fee is not None:
            return self._fee
        schema = self._connector._trading_fees.get(self._config.trading_pair)
        return float(schema.maker_percent_fee_decimal) if schema is not None else None

    def _rules(self) -> TradingRules | None:
        rule = self._connector.trading_rules.get(self._config.trading_pair)
        if rule is None:
            return None
        return TradingRules(
            tick=Decimal(rule.min_price_increment),
            step=Decimal(rule.min_base_amount_increment),
            min_notional=Decimal(rule.min_notional_size),
            min_amount=Decimal(rule.min_order_size),
        )

    # -- orders

    def _look_after_slots(self, now: float, executors: Mapping[str, Any]) -> None:
        """Follow every placement to its order and to its end."""
        tracker = self._connector._order_tracker
        for slot in list(self._slots.values()):
            info = executors.get(slot.key)
            if not slot.client_id:
                if info is not None and info.is_done:
                    if info.close_type is not None and info.close_type.name == "INSUFFICIENT_BALANCE":
                        self._refused(slot, now, "the balance does not cover it")
                    self._forget(slot)
                elif info is None and now - slot.asked > LOST_EXECUTOR_S:
                    self._refused(slot, now, "Hummingbot made no executor for it")
                    self._forget(slot)
                continue
            order = tracker.fetch_order(slot.client_id)
            lost = tracker.fetch_lost_order(slot.client_id)
            if order is None and lost is None:
                # Not tracked a moment after placing is normal; half a minute after its end it is forgotten.
                if info is None or info.is_done:
                    self._forget(slot)
                continue
            current = lost or order
            slot.remaining = max(Decimal(0), Decimal(current.amount) - Decimal(current.executed_amount_base))
            if lost is None and current.current_state.name in _GONE:
                self._forget(slot)
            elif slot.state is OrderState.PENDING and not current.is_pending_create:
                slot.state = OrderState.OPEN
        gone = [client_id for client_id, key in self._keys.items() if key not in self._slots]
        for client_id in gone[: max(0, len(gone) - 1000)]:  # late fills still find their slot's key
            del self._keys[client_id]

    def _open_orders(self, now: float) -> tuple[OpenOrder, ...]:
        own = [
            OpenOrder(
                order_id=slot.key,
                side=slot.placement.side,
                price=slot.placement.price,
                remaining=slot.remaining,
                level=slot.placement.level,
                asked_ts=slot.asked,
                state=slot.state,
            )
            for slot in self._slots.values()
        ]
        strays = [
            OpenOrder(
                order_id=order.client_id,
                side=order.side,
                price=order.price,
                remaining=order.remaining,
                level=-1,
                asked_ts=order.created,
            )
            for order in self._strays.values()
        ]
        return (*own, *strays)

    def _cancel(self, decision: Decision) -> None:
        self._stop([self._slots[key] for key in decision.cancel if key in self._slots])
        for key in decision.direct_cancel:
            slot = self._slots.get(key)
            if slot is not None and slot.state is not OrderState.CANCELLING:
                slot.state, slot.stopped = OrderState.CANCELLING, time.time()
        direct = {self._slots[key].client_id if key in self._slots else key for key in decision.direct_cancel}
        direct |= {key for key in decision.cancel if key in self._strays}
        if decision.direct_cancel_all:
            direct.add("*")
        if direct:
            self._direct |= direct
            self._sweep_wanted.set()

    def _stop(self, slots: list[Slot]) -> None:
        for slot in slots:
            slot.state = OrderState.CANCELLING
            slot.stopped = time.time()
        self._send(
            [
                StopExecutorAction(controller_id=self._config.id, executor_id=slot.key, keep_position=True)
                for slot in slots
            ]
        )

    def _place(self, decision: Decision, now: float) -> None:
        if not decision.place:
            return
        bid, ask = self._price(PriceType.BestBid), self._price(PriceType.BestAsk)
        if bid is None or ask is None:
            return
        mid = Decimal(str((bid + ask) / 2))
        tolerance = Decimal(str(self._config.keep_tolerance_bps)) / 10_000
        actions = []
        for number, placement in enumerate(decision.place):
            key = f"{placement.side}-{placement.level}-{int(now * 1000)}-{number}"
            distance = abs(placement.price - mid) / mid
            actions.append(
                CreateExecutorAction(
                    controller_id=self._config.id,
                    executor_config=RestingOrderConfig(
                        id=key,
                        timestamp=now,
                        connector_name=self._config.connector_name,
                        trading_pair=self._config.trading_pair,
                        side=TradeType.BUY if placement.side is Side.BUY else TradeType.SELL,
                        amount=placement.amount,
                        price=placement.price,
                        execution_strategy=ExecutionStrategy.LIMIT_MAKER,
                        level_id=str(placement.level),
                        min_distance=max(Decimal(0), distance - tolerance),
                        placed=self._placed,
                    ),
                )
            )
            self._slots[key] = Slot(key=key, placement=placement, asked=now, remaining=placement.amount)
        self._send(actions)

    def _placed(self, key: str, client_id: str) -> None:
        """An executor has given its order to the connector."""
        self._keys[client_id] = key
        if key in self._slots:
            self._slots[key].client_id = client_id
        if self._first_quote is None:
            self._first_quote = time.time()
            self._log.info(f"First quote {self._first_quote - self._opened:.1f} s after the controller was made.")

    def _send(self, actions: list[Any]) -> None:
        if actions:
            self._actions.put_nowait(actions)

    # -- the operator

    def _obey(self, now: float) -> None:
        for request in self._requests.pending():
            name = request.path.name
            if name not in self._obeyed:
                try:
                    said = self._carry_out(request, now)
                except Exception as error:
                    said = f"refused: {error}"
                self._log.warning(f"Operator: {request.action} ({request.reason}): {said}.")
                self._obeyed[name] = said
            self._save_state()
            self._requests.answer(request, self._obeyed[name])
            del self._obeyed[name]

    def _carry_out(self, request: Request, now: float) -> str:
        if request.action == "pause":
            self._engine.pause(now, request.reason)
        elif request.action == "resume":
            self._engine.resume(now, request.reason)
        elif request.action == "transfer":
            self._engine.transfer(now, base=request.base, quote=request.quote, reason=request.reason)
        else:
            record = self._engine.reset(now, request.reason)
            return f"cleared {record.cleared or 'nothing'}; before {record.old}, now {record.new}"
        return "done"

    # -- books

    def _save_state(self) -> None:
        state = self._engine.state
        latch = state.guard.latch
        self._ledger.save_state(
            {"engine": state.to_dict(), "fills_known_until": self._fills_known_until, "obeyed": self._obeyed},
            None if latch is None else Latched(latch.code, latch.detail, latch.ts),
        )
        self._unsaved = False

    def _write_minute(self, now: float) -> None:
        minute = int(now // 60)
        if minute == self._minute or self._decision is None:
            return
        row = dataclasses.asdict(self._engine.minute_row())
        del row["ts"]
        self._ledger.write_minute(now, _cells(row) | {"tick_ms": round(self._tick_ms, 3)})
        self._minute = minute

    def _beat(self) -> None:
        """Tell the watchdog that a tick went well, when the exchange was heard last, and which orders are out."""
        now = time.time()
        orders = {slot.client_id for slot in self._slots.values() if slot.client_id} | set(self._strays)
        self._heartbeat.beat(now, max(now - self._book_age(now), self._exchange.answered), orders)

    def _write_day(self, row: DayRow) -> None:
        cells = dataclasses.asdict(row)
        del cells["ts"], cells["day"]
        self._ledger.write_day(row.ts, row.day, _cells(cells))
        self._engine.day_row_written(row.day)

    def _tell(self, decision: Decision) -> None:
        for event in decision.events:
            self._log.info(f"{event.code}: {event.detail}")
        new = set(decision.alerts) - set(self._decision.alerts if self._decision is not None else ())
        for code in sorted(new):
            self._log.error(f"Alert: {code}.")

    # -- stop

    async def leave_market(self, timeout_s: float) -> int:
        """Cancel all own orders and prove it by the exchange's list; book the last fills.

        Args:
            timeout_s: how long to try.

        Returns:
            Own orders still open; zero is the proof.

        Raises:
            OSError: the exchange could not be asked.
        """
        self._leaving = True
        for task in self._tasks:
            task.cancel()
        for slot in self._slots.values():
            slot.state = OrderState.CANCELLING
        deadline = time.monotonic() + timeout_s
        left, empty = 0, 0
        failure: Exception | None = None
        while time.monotonic() < deadline:
            try:
                own = await self._read_open_orders()
                failure = None
            except OSError as error:
                failure = error
                self._log.error(f"Stop: the open orders cannot be read: {error}.")
                await asyncio.sleep(RETRY_S)
                continue
            left = len(own)
            sending = any(order.is_pending_create for order in self._connector.in_flight_orders.values())
            empty = empty + 1 if not own and not sending else 0
            if empty == 2:  # an order on its way at the first look is there at the second
                break
            for order in own:
                await self._cancel_directly(order)
            await asyncio.sleep(0.5)
        if failure is not None:
            raise failure
        if left == 0:
            self._log.info("Stop: the exchange shows no own order.")
        await self._book_missed()
        return left

    def close_books(self) -> None:
        """Write the day's row and the state; afterwards nothing is written any more."""
        for tag, forwarder in self._forwarders:
            self._connector.remove_listener(tag, forwarder)
        if self._decision is not None:
            row = self._engine.day_row(time.time())
            self._ledger.write_day(
                row.ts, row.day, _cells({k: v for k, v in dataclasses.asdict(row).items() if k not in ("ts", "day")})
            )
        self._save_state()
        self._ledger.close()
        if self._journal is not None:
            self._journal.close()

    # -- what others see

    def summary(self) -> dict[str, Any]:
        """A few values for Hummingbot's reports."""
        decision = self._decision
        return {
            "instance": self._config.instance_name,
            "variant": self._config.variant,
            "mode": self._config.mode,
            "state": decision.state.value if decision is not None else GuardState.SOFT_PAUSE.value,
            "reasons": [reason.code for reason in decision.reasons] if decision is not None else ["starting"],
            "regime": decision.regime.value if decision is not None else "",
            "orders": len(self._slots),
            "fills": self._ledger.fills_written,
        }

    def status_lines(self) -> list[str]:
        """A few lines for ``hbot status``."""
        decision = self._decision
        if decision is None:
            return ["EPP v2.4: starting"]
        config = self._config
        head = (
            f"EPP v2.4 {config.instance_name} variant {config.variant}, {config.mode} "
            f"({config.market_source}, {config.speed:g}x): {decision.state.value}, {decision.regime.value}, "
            f"{len(self._slots)} orders, {self._ledger.fills_written} fills"
        )
        return [head, *(f"  {reason.code}: {reason.detail}; ends when {reason.ends}" for reason in decision.reasons)]


def _number(value: Any) -> float | None:
    """A finite float, or unknown."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if number == number and abs(number) != float("inf") and number > 0 else None


def _cells(values: Mapping[str, Any]) -> dict[str, Value]:
    return {name: getattr(value, "value", value) for name, value in values.items()}


def _fill_cells(booked: BookedFill, client_id: str) -> dict[str, Value]:
    cells = _cells(dataclasses.asdict(booked))
    del cells["ts"]
    return cells | {"order_id": client_id}
