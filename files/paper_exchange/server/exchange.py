"""The exchange itself: accounts, one market, durable books, and everyone who listens."""

import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from typing import Protocol

from ..market.feed import BookUpdate, Market, Print
from ..matching import (
    Balance,
    Change,
    Depth,
    MatchingEngine,
    Order,
    OrderRequest,
    Reject,
    RejectedError,
    Side,
    TradingRules,
    share_print,
)
from .books import Books, Gap
from .errors import ApiError, from_reject
from .faults import Faults

_log = logging.getLogger(__name__)
_EXACT = Context(prec=50)
# Public trades remembered: one that is told twice fills nothing the second time.
_REMEMBERED_TRADES = 5000


class Audience(Protocol):
    """Who is told what happens: the WebSocket side."""

    def account_changed(self, account: "Account", change: Change) -> None:
        """Orders, fills and balances of an account changed; it is on the disk."""

    def traded(self, prints: Sequence[Print]) -> None:
        """Public trades happened."""

    def book_moved(self, update: BookUpdate) -> None:
        """The public book changed."""

    def accounts_shown(self) -> None:
        """What accounts are shown to hold changed without an order or a fill."""


@dataclass(frozen=True, slots=True)
class Account:
    """One customer: a name, the exchange's id for it, and its orders and balances."""

    name: str
    user_id: str
    engine: MatchingEngine


class Exchange:
    """Places, cancels and fills orders, each durable before anyone hears of it.

    Args:
        rules: the pair's rules.
        accounts: the accounts, in the state of the books; the bot's own first.
        books: the durable books.
        market: the public market.
        faults: misbehaviour on demand.
        wall: the wall clock in epoch seconds.
    """

    def __init__(
        self,
        rules: TradingRules,
        accounts: Sequence[Account],
        books: Books,
        market: Market,
        faults: Faults,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.rules = rules
        self.accounts: Mapping[str, Account] = {account.name: account for account in accounts}
        self.main = accounts[0]
        self.books = books
        self.market = market
        self.faults = faults
        self._wall = wall
        self._participation = self.main.engine.participation
        self._audience: Audience | None = None
        self._printed: deque[int] = deque(maxlen=_REMEMBERED_TRADES)
        self._printed_set: set[int] = set()
        self.recent_prints: deque[Print] = deque(maxlen=500)
        # What takers ate of a level stays eaten until the level is told anew.
        self._eaten: dict[tuple[Side, Decimal], Decimal] = {}
        self.books_error: str | None = None

    def attach(self, audience: Audience) -> None:
        """Tell ``audience`` from now on."""
        self._audience = audience

    def true_ms(self) -> int:
        """The wall clock in milliseconds."""
        return int(self._wall() * 1000)

    def now_ms(self) -> int:
        """The exchange's clock in milliseconds: the wall clock, unless a fault skews it."""
        skew = self.faults.use("clock-skew")
        return self.true_ms() + (int(skew["ms"]) if skew else 0)

    def depth(self) -> Depth:
        """What a taker may take: the public book less what takers already took."""
        depth = self.market.depth()
        if not self._eaten:
            return depth
        return Depth(self._left(Side.BUY, depth.bids), self._left(Side.SELL, depth.asks))

    def shown_depth(self) -> Depth:
        """The public book as everyone is shown it: the market's, unless a fault thins or crosses it."""
        depth = self.market.depth()
        if not depth.bids or not depth.asks:
            return depth
        mid = (depth.bids[0][0] + depth.asks[0][0]) / 2
        if (fault := self.faults.use("thin-book")) is not None:
            reach = mid * Decimal(fault["bps"]) / 10_000
            depth = Depth(
                [level for level in depth.bids if level[0] <= mid - reach],
                [level for level in depth.asks if level[0] >= mid + reach],
            )
        if (fault := self.faults.use("crossed-book")) is not None and depth.bids and depth.asks:
            lift = depth.asks[0][0] - depth.bids[0][0] + mid * Decimal(fault["bps"]) / 10_000
            lift = self.rules.floor_price(lift) + self.rules.tick
            depth = Depth([(price + lift, size) for price, size in depth.bids], depth.asks)
        return depth

    def shown_book(self) -> BookUpdate:
        """The same with its time."""
        depth = self.shown_depth()
        return BookUpdate(self.market.book_snapshot().time_ms, is_snapshot=True, bids=depth.bids, asks=depth.asks)

    def shown_balances(self, account: Account, coins: Iterable[str] | None = None) -> dict[str, Balance]:
        """Balances as an account is shown them: what it has, off by an amount under a fault. Default: all coins."""
        balances = account.engine.balances
        shown = {coin: balances[coin] for coin in (balances if coins is None else coins)}
        fault = self.faults.use("wrong-balance")
        coin = "" if fault is None else fault["coin"].upper() or self.rules.quote
        if fault is not None and coin in shown:
            true = shown[coin]
            shown[coin] = Balance(true.available + Decimal(fault["amount"]), true.frozen)
        return shown

    def place(self, account: Account, request: OrderRequest) -> Order:
        """Place an order; returns its first state.

        Raises:
            ApiError: refused; nothing changed.
        """
        if (fault := self.faults.use("refuse-place")) is not None:
            raise ApiError(fault["code"], fault["message"], int(fault["status"]))
        if self.books.order(account.name, client_id=request.client_id) is not None:
            raise from_reject(RejectedError(Reject.DUPLICATE_CLIENT_ID, request.client_id))
        depth = self.depth()
        if not depth.bids or not depth.asks:
            raise ApiError("40015", "the market has no book yet", 503)
        try:
            change = account.engine.plan_place(request, depth, self.true_ms())
        except RejectedError as rejected:
            _log.info(
                "order refused",
                extra={"account": account.name, "client_id": request.client_id, "why": rejected.detail},
            )
            raise from_reject(rejected) from None
        self._settle(account, change)
        for fill in change.fills:
            eaten_side = Side.SELL if request.side is Side.BUY else Side.BUY
            key = eaten_side, fill.price
            self._eaten[key] = self._eaten.get(key, Decimal(0)) + fill.base
        return change.orders[-1]

    def cancel(self, account: Account, *, order_id: int | None = None, client_id: str | None = None) -> Order:
        """Cancel an open order; returns its last state.

        Raises:
            ApiError: refused; nothing changed.
        """
        if (fault := self.faults.use("refuse-cancel")) is not None:
            raise ApiError(fault["code"], fault["message"], int(fault["status"]))
        order = account.engine.find(order_id=order_id, client_id=client_id)
        if order is None:
            raise from_reject(RejectedError(Reject.ORDER_NOT_FOUND, ""))
        if self.faults.use("lost-cancel") is not None:
            _log.warning("fault: cancel acknowledged and forgotten", extra={"client_id": order.client_id})
            return order
        change = account.engine.plan_cancel(order.order_id, self.true_ms())
        self._settle(account, change)
        return change.orders[-1]

    def find(self, account: Account, *, order_id: int | None = None, client_id: str | None = None) -> Order | None:
        """An order, open or not."""
        found = account.engine.find(order_id=order_id, client_id=client_id)
        return found or self.books.order(account.name, order_id=order_id, client_id=client_id)

    def on_prints(self, prints: Sequence[Print]) -> None:
        """Fill what public trades printed through, then pass them on."""
        fresh = [printed for printed in prints if self._is_new(printed)]
        busy = any(account.engine.open_orders for account in self.accounts.values())
        fault = self.faults.use("partial-fills") if busy else None
        share = Decimal(fault["participation"]) if fault else self._participation
        try:
            for printed in fresh:
                self._fill(printed, share)
        except ApiError:
            # Not on the disk: it did not happen. The health check tells; the next print may succeed.
            _log.warning("fills dropped: the books cannot be written")
        self.recent_prints.extend(fresh)
        if self._audience is not None and fresh:
            self._audience.traded(fresh)

    def on_book(self, update: BookUpdate) -> None:
        """Pass a book change on."""
        if self._eaten:
            self._refresh(update)
        if self._audience is not None:
            self._audience.book_moved(update)

    def on_gap(self, began_ms: int, ended_ms: int, why: str) -> None:
        """Keep a time in which the market was not seen: nothing filled in it."""
        gap = Gap(began_ms, ended_ms, why)
        _log.warning("market gap", extra={"seconds": round((ended_ms - began_ms) / 1000, 1), "why": why})
        try:
            self.books.add_gap(gap)
        except sqlite3.Error as error:
            self.books_error = str(error)

    def check_books(self) -> bool:
        """Whether the books can be written now: writes when the market was last seen, and misbehaved."""
        try:
            self.books.set_meta("checked_ms", self.true_ms())
            if self.market.is_moving():
                self.books.set_meta("watched_ms", self.true_ms())
            if self.faults.active():
                self.books.set_meta("misbehaved_ms", self.true_ms())
        except sqlite3.Error as error:
            self.books_error = str(error)
        else:
            self.books_error = None
        return self.books_error is None

    def _is_new(self, printed: Print) -> bool:
        if printed.trade_id in self._printed_set:
            return False
        if len(self._printed) == self._printed.maxlen:
            self._printed_set.discard(self._printed[0])
        self._printed.append(printed.trade_id)
        self._printed_set.add(printed.trade_id)
        return True

    def _fill(self, printed: Print, participation: Decimal) -> None:
        """Share one public trade among all accounts' orders; each account's part is one transaction."""
        touched = [account for account in self.accounts.values() if account.engine.reaches(printed.price)]
        if not touched:
            return
        with localcontext(_EXACT):
            budget = self.rules.floor_base(printed.size * participation)
        owners = {order.order_id: account for account in touched for order in account.engine.open_orders}
        shares: dict[str, list[tuple[Order, Decimal]]] = {}
        every = [order for account in touched for order in account.engine.open_orders]
        for order, base in share_print(printed.price, budget, every, printed.time_ms):
            shares.setdefault(owners[order.order_id].name, []).append((order, base))
        for name, part in shares.items():
            account = self.accounts[name]
            self._settle(account, account.engine.plan_fills(part, self.true_ms()))

    def _left(self, side: Side, levels: Sequence[tuple[Decimal, Decimal]]) -> list[tuple[Decimal, Decimal]]:
        rest = ((price, size - self._eaten.get((side, price), Decimal(0))) for price, size in levels)
        return [(price, size) for price, size in rest if size > 0]

    def _refresh(self, update: BookUpdate) -> None:
        if update.is_snapshot:
            self._eaten.clear()
        for side, levels in ((Side.BUY, update.bids), (Side.SELL, update.asks)):
            for price, _ in levels:
                self._eaten.pop((side, price), None)

    def _settle(self, account: Account, change: Change) -> None:
        """Make a change durable, then true, then known."""
        try:
            self.books.commit(account.name, change)
        except sqlite3.Error as error:
            self.books_error = str(error)
            _log.critical("the books cannot be written: nothing done", extra={"error": str(error)})
            raise ApiError("40015", "System is abnormal, please try again later", 500) from error
        self.books_error = None
        account.engine.apply(change)
        if _log.isEnabledFor(logging.INFO):
            self._tell(account, change)
        if self._audience is not None:
            self._audience.account_changed(account, change)

    def _tell(self, account: Account, change: Change) -> None:
        whose = {} if account is self.main else {"account": account.name}
        for step in change.steps:
            order = step.order
            if step.fill is None:
                _log.info(
                    "order %s",
                    order.status,
                    extra={
                        **whose,
                        "client_id": order.client_id,
                        "side": order.side,
                        "price": str(order.price),
                        "size": str(order.size),
                        **({"why": order.cancel_reason} if order.cancel_reason else {}),
                    },
                )
            else:
                _log.info(
                    "fill",
                    extra={
                        **whose,
                        "client_id": order.client_id,
                        "trade_id": step.fill.trade_id,
                        "side": order.side,
                        "price": str(step.fill.price),
                        "base": str(step.fill.base),
                        "maker": step.fill.is_maker,
                        "status": order.status,
                    },
                )
