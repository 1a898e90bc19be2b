"""One resting post-only order: Hummingbot's ``OrderExecutor`` without the habits a market maker cannot have.

The stock executor places an order again, at its old price, when the exchange cancelled it; tries a refused one ten more
times; and after a stop reports itself inactive five to seven seconds before its order is known to be gone, through a
cancel that Hummingbot's strategy layer will not repeat for a minute. Here an executor places **one** order, once, and
is done when that order is: quoting anew is the core's business. The runner registers this class in the place of the
stock one, so that actions, reports and Hummingbot's own status know nothing of the difference.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hummingbot.core.data_type.common import OrderType, PriceType, TradeType
from hummingbot.strategy_v2.executors.order_executor.data_types import OrderExecutorConfig
from hummingbot.strategy_v2.executors.order_executor.order_executor import OrderExecutor
from hummingbot.strategy_v2.models.base import RunnableStatus
from hummingbot.strategy_v2.models.executors import CloseType
from pydantic import Field


class RestingOrderConfig(OrderExecutorConfig):  # type: ignore[misc]  # Hummingbot has no types
    """What to place, and how near to mid it may still be when it is placed."""

    min_distance: Decimal
    """Least distance from mid at placement, as a fraction: an order nearer than this is dropped, not moved."""
    placed: Callable[[str, str], None] | None = Field(default=None, exclude=True)
    """Told the executor's id and the order's client id when the order is given to the connector."""


class RestingOrder(OrderExecutor):  # type: ignore[misc]  # Hummingbot has no types
    """An executor for one post-only order at exactly its price, or none at all."""

    _logger = None
    config: RestingOrderConfig

    @classmethod
    def logger(cls) -> Any:
        """The class's own logger: the base would log as the stock executor."""
        if cls._logger is None:
            cls._logger = logging.getLogger(__name__)
        return cls._logger

    def __init__(self, strategy: Any, config: RestingOrderConfig, update_interval: float = 1.0, max_retries: int = 0):
        # No retries, whatever the orchestrator's setting.
        super().__init__(strategy=strategy, config=config, update_interval=update_interval, max_retries=0)
        self._attempted = False
        self._cancel_sent = False

    # -- placing

    def control_order(self) -> None:
        """Place the order in the first round; afterwards only notice that it has ended."""
        if not self._attempted:
            self._attempted = True
            reason = self._reason_to_drop()
            if reason is not None:
                self.logger().info(f"Order dropped, not placed: {reason}.")
                self._end(CloseType.EXPIRED)
                return
            self.place_open_order()
            if self.config.placed is not None and self._order is not None:
                self.config.placed(self.config.id, self._order.order_id)
        elif self._has_ended():
            self._end_as_order_did()

    def get_order_type(self) -> OrderType:
        """Post-only, always."""
        return OrderType.LIMIT_MAKER

    def get_order_price(self) -> Decimal:
        """The price the core chose; the stock executor would move it to the touch."""
        return Decimal(self.config.price)

    def _reason_to_drop(self) -> str | None:
        name, pair = self.config.connector_name, self.config.trading_pair
        bid = Decimal(str(self.get_price(name, pair, PriceType.BestBid)))
        ask = Decimal(str(self.get_price(name, pair, PriceType.BestAsk)))
        if not (bid.is_finite() and ask.is_finite() and 0 < bid < ask):
            return f"the book is not sane (bid {bid}, ask {ask})"
        mid = (bid + ask) / 2
        buying = self.config.side == TradeType.BUY
        price = self.get_order_price()
        if (buying and price >= ask) or (not buying and price <= bid):
            return f"{price} would take liquidity (bid {bid}, ask {ask})"
        distance = (mid - price) / mid if buying else (price - mid) / mid
        if distance < self.config.min_distance:
            return f"{price} is {distance:.6f} from mid {mid} by now, nearer than {self.config.min_distance:.6f}"
        return None

    # -- ending

    def early_stop(self, keep_position: bool = True) -> None:
        """Cancel now rather than in the next round."""
        if self.status not in (RunnableStatus.RUNNING, RunnableStatus.NOT_STARTED):
            return
        super().early_stop(keep_position)
        if self._attempted:
            self.cancel_order()
        else:
            self._end(CloseType.EARLY_STOP)

    async def control_shutdown_process(self) -> None:
        """End as soon as the order has; cancel one that was not yet on the exchange when the stop came."""
        if self._has_ended():
            self._end_as_order_did()
        else:
            self.cancel_order()

    def cancel_order(self) -> None:
        """Ask the exchange once, directly.

        Hummingbot's strategy layer would swallow a second cancel of the same order for 60 s. Whether and when to ask
        again is decided above, where an order that outlives its cancel is watched.
        """
        order = self._in_flight()
        if self._cancel_sent or order is None or order.is_done or order.is_pending_create:
            return
        self._cancel_sent = True
        self.connectors[self.config.connector_name].cancel(self.config.trading_pair, order.client_order_id)

    def process_order_canceled_event(self, _: int, market: Any, event: Any) -> None:
        """A cancelled order ends the executor, whoever cancelled it: it is never placed again."""
        if self._order is not None and event.order_id == self._order.order_id:
            self.update_tracked_order_with_order_id(event.order_id)
            self._end_as_order_did()

    def process_order_failed_event(self, _: int, market: Any, event: Any) -> None:
        """A refused order ends the executor: it is never tried again."""
        if self._order is not None and event.order_id == self._order.order_id:
            self.update_tracked_order_with_order_id(event.order_id)
            self._end_as_order_did(failed=True)

    def _in_flight(self) -> Any:
        if self._order is None:
            return None
        return self.get_in_flight_order(self.config.connector_name, self._order.order_id) or self._order.order

    def _has_ended(self) -> bool:
        order = self._in_flight()
        return order is None or order.current_state.name in {"CANCELED", "FILLED", "FAILED"}

    def _end_as_order_did(self, *, failed: bool = False) -> None:
        order = self._in_flight()
        if order is not None and order.executed_amount_base > 0:
            self._held_position_orders.append(order.to_json())
            self._end(CloseType.POSITION_HOLD)
        else:
            self._end(CloseType.FAILED if failed else CloseType.EARLY_STOP)

    def _end(self, how: CloseType) -> None:
        if self.status != RunnableStatus.TERMINATED:
            self.close_type = how
            self.stop()

    def get_cum_fees_quote(self) -> Decimal:
        """Fees are booked by EPP at the fill's own price; the stock way asks a rate oracle for the rate."""
        return Decimal(0)
