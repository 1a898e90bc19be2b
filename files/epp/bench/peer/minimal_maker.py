"""The least market maker that Hummingbot's market-making base allows: its own defaults, quoted as limit orders."""

from decimal import Decimal

from hummingbot.strategy_v2.controllers.market_making_controller_base import (
    MarketMakingControllerBase,
    MarketMakingControllerConfigBase,
)
from hummingbot.strategy_v2.executors.position_executor.data_types import PositionExecutorConfig


class MinimalMakerConfig(MarketMakingControllerConfigBase):  # type: ignore[misc]  # Hummingbot ships no types
    """The base's own parameters."""

    controller_name: str = "minimal_maker"


class MinimalMaker(MarketMakingControllerBase):  # type: ignore[misc]  # Hummingbot ships no types
    """Places what the base proposes."""

    def get_executor_config(self, level_id: str, price: Decimal, amount: Decimal) -> PositionExecutorConfig:
        """One level's order."""
        return PositionExecutorConfig(
            timestamp=self.market_data_provider.time(),
            level_id=level_id,
            connector_name=self.config.connector_name,
            trading_pair=self.config.trading_pair,
            entry_price=price,
            amount=amount,
            triple_barrier_config=self.config.triple_barrier_config,
            leverage=self.config.leverage,
            side=self.get_trade_type_from_level_id(level_id),
        )
