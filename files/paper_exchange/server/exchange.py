"""The exchange itself: one account, one market, durable books, and everyone who listens."""

import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Protocol

from ..market.feed import BookUpdate, Market, Print
from ..matching import Change, MatchingEngine, Order, OrderRequest, Reject, RejectedError, TradingRules
from .books import Books
from .errors import ApiError, from_reject
from .faults import Faults

_log = logging.getLogger(__name__)


class Audience(Protocol):
    """Who is told what happens: the WebSocket side."""

    def account_changed(self, change: Change) -> None:
        """Orders, fills and balances changed; it is on the disk."""

    def traded(self, prints: Sequence[Print]) -> None:
        """Public trades happened."""

    def book_moved(self, update: BookUpdate) -> None:
        """The public book changed."""


class Exchange:
    """Places, cancels and fills orders, each durable before anyone hears of it.

    Args:
        rules: the pair's rules.
        engine: the matching engine, in the state of the books.
        books: the durable books.
        market: the public market.
        faults: misbehaviour on demand.
        wall: the wall clock in epoch seconds.
    """

    def __init__(
        self,
        rules: TradingRules,
        engine: MatchingEngine,
        books: Books,
        market: Market,
        faults: Faults,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.rules = rules
        self.engine = engine
        self.books = books
        self.market = market
        self.faults = faults
        self._wall = wall
        self._participation = engine.participation
        self._audience: Audience | None = None
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

    def place(self, request: OrderRequest) -> Order:
        """Place an order; returns its first state.

        Raises:
            ApiError: refused; nothing changed.
        """
        if (fault := self.faults.use("refuse-place")) is not None:
            raise ApiError(fault["code"], fault["message"], int(fault["status"]))
        if self.books.order(client_id=request.client_id) is not None:
            raise from_reject(RejectedError(Reject.DUPLICATE_CLIENT_ID, request.client_id))
        depth = self.market.depth()
        if not depth.bids or not depth.asks:
            raise ApiError("40015", "the market has no book yet", 503)
        try:
            change = self.engine.plan_place(request, depth, self.true_ms())
        except RejectedError as rejected:
            _log.info("order refused", extra={"client_id": request.client_id, "why": rejected.detail})
            raise from_reject(rejected) from None
        self._settle(change)
        return change.orders[-1]

    def cancel(self, *, order_id: int | None = None, client_id: str | None = None) -> Order:
        """Cancel an open order; returns its last state.

        Raises:
            ApiError: refused; nothing changed.
        """
        if (fault := self.faults.use("refuse-cancel")) is not None:
            raise ApiError(fault["code"], fault["message"], int(fault["status"]))
        order = self.engine.find(order_id=order_id, client_id=client_id)
        if order is None:
            raise from_reject(RejectedError(Reject.ORDER_NOT_FOUND, ""))
        if self.faults.use("lost-cancel") is not None:
            _log.warning("fault: cancel acknowledged and forgotten", extra={"client_id": order.client_id})
            return order
        change = self.engine.plan_cancel(order.order_id, self.true_ms())
        self._settle(change)
        return change.orders[-1]

    def find(self, *, order_id: int | None = None, client_id: str | None = None) -> Order | None:
        """An order, open or not."""
        found = self.engine.find(order_id=order_id, client_id=client_id)
        return found or self.books.order(order_id=order_id, client_id=client_id)

    def on_prints(self, prints: Sequence[Print]) -> None:
        """Fill what public trades printed through, then pass them on."""
        fault = self.faults.use("partial-fills") if self.engine.open_orders else None
        self.engine.participation = Decimal(fault["participation"]) if fault else self._participation
        for printed in prints:
            change = self.engine.plan_print(printed.price, printed.size, self.true_ms())
            if change:
                try:
                    self._settle(change)
                except ApiError:
                    # Not on the disk: it did not happen. The health check tells; the next print may succeed.
                    break
        if self._audience is not None:
            self._audience.traded(prints)

    def on_book(self, update: BookUpdate) -> None:
        """Pass a book change on."""
        if self._audience is not None:
            self._audience.book_moved(update)

    def check_books(self) -> bool:
        """Whether the books can be written now: writes them."""
        try:
            self.books.set_meta("checked_ms", self.true_ms())
        except sqlite3.Error as error:
            self.books_error = str(error)
        else:
            self.books_error = None
        return self.books_error is None

    def _settle(self, change: Change) -> None:
        """Make a change durable, then true, then known."""
        try:
            self.books.commit(change)
        except sqlite3.Error as error:
            self.books_error = str(error)
            _log.critical("the books cannot be written: nothing done", extra={"error": str(error)})
            raise ApiError("40015", "System is abnormal, please try again later", 500) from error
        self.books_error = None
        self.engine.apply(change)
        for step in change.steps:
            order = step.order
            if step.fill is None:
                _log.info(
                    "order %s",
                    order.status,
                    extra={
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
                        "client_id": order.client_id,
                        "trade_id": step.fill.trade_id,
                        "side": order.side,
                        "price": str(step.fill.price),
                        "base": str(step.fill.base),
                        "maker": step.fill.is_maker,
                        "status": order.status,
                    },
                )
        if self._audience is not None:
            self._audience.account_changed(change)
