"""A market maker of order executors: plain post-only orders, and what they fill is kept."""

from decimal import Decimal

from hummingbot.strategy_v2.controllers.market_making_controller_base import (
    MarketMakingControllerBase,
    MarketMakingControllerConfigBase,
)
from hummingbot.strategy_v2.executors.order_executor.data_types import ExecutionStrategy, OrderExecutorConfig


class OrderMakerConfig(MarketMakingControllerConfigBase):  # type: ignore[misc]  # Hummingbot ships no types
    """The base's own parameters."""

    controller_name: str = "order_maker"


class OrderMaker(MarketMakingControllerBase):  # type: ignore[misc]  # Hummingbot ships no types
    """Places what the base proposes."""

    def get_executor_config(self, level_id: str, price: Decimal, amount: Decimal) -> OrderExecutorConfig:
        """One level's order."""
        return OrderExecutorConfig(
            timestamp=self.market_data_provider.time(),
            level_id=level_id,
            connector_name=self.config.connector_name,
            trading_pair=self.config.trading_pair,
            price=price,
            amount=amount,
            execution_strategy=ExecutionStrategy.LIMIT_MAKER,
            side=self.get_trade_type_from_level_id(level_id),
        )
