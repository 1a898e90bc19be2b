"""EPP v2.4 as a Hummingbot controller: ``controller_type: epp.adapter``, ``controller_name: epp_v2_4``.

Hummingbot takes the first configuration class and the first controller class it finds in this module's namespace:
import no other one here. What the controller does is in :mod:`.desk`; this module is only what Hummingbot must find.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Literal

from hummingbot.strategy_v2.controllers.controller_base import ControllerBase, ControllerConfigBase
from pydantic import ConfigDict, Field

from ..core import EppParameters
from .desk import Desk


class EppV24Config(EppParameters, ControllerConfigBase):  # type: ignore[misc]  # Hummingbot has no types
    """``conf/controllers/epp_v2_4_bot_<variant>.yml``: EPP's parameters and what the bot is and runs on.

    The model is frozen, and no field can be changed in a running bot: Hummingbot's live update replaces the object
    under whoever kept it.
    """

    model_config = ConfigDict(validate_assignment=False, frozen=True, extra="forbid")

    id: str = Field(min_length=1, description="Unique among the controllers of a script; Hummingbot's own name for it.")
    controller_type: Literal["epp.adapter"] = "epp.adapter"
    controller_name: Literal["epp_v2_4"] = "epp_v2_4"
    connector_name: Literal["bitget"] = Field("bitget", description="EPP trades Bitget spot only.")
    instance_name: str = Field(
        pattern=r"^[a-z][a-z0-9-]*$",
        description="The bot's name; its books are in logs/epp_v24/<instance_name>_<variant>.",
    )
    mode: Literal["paper", "live"] = Field(description="What the routing must agree with before anything is placed.")
    market_source: Literal["relay", "recorded", "fault", "exchange"] = Field(
        description="Where the prices come from, for the books: exchange when live, else what the paper exchange shows."
    )
    speed: float = Field(1.0, gt=0, le=1000, description="Pace of a recorded market; 1 is real time.")
    strategy_hash: str = Field("", description="Hash of the strategy's files, for the books.")
    config_hash: str = Field("", description="Hash of the bot's configuration, for the books.")

    def model_post_init(self, _: Any) -> None:
        """Refuse what cannot be true together."""
        if (self.mode == "live") != (self.market_source == "exchange"):
            raise ValueError(
                f"mode {self.mode} and market_source {self.market_source} disagree: exchange is live, and live only"
            )
        if self.mode == "live" and self.speed != 1.0:
            raise ValueError(f"speed {self.speed}: a live market runs at 1")

    def update_markets(self, markets: Any) -> Any:
        """Tell Hummingbot which connector and pair to open."""
        return markets.add_or_update(self.connector_name, self.trading_pair)

    def parameters(self) -> EppParameters:
        """The strategy's share of the configuration."""
        return EppParameters.model_validate({name: getattr(self, name) for name in EppParameters.model_fields})


class EppV24(ControllerBase):  # type: ignore[misc]  # Hummingbot has no types
    """Wakes the desk once a second and speaks for it to Hummingbot."""

    _logger = None

    @classmethod
    def logger(cls) -> Any:
        """The controller's own logger: the base class would log as the framework."""
        if cls._logger is None:
            cls._logger = logging.getLogger(__name__)
        return cls._logger

    def __init__(
        self,
        config: EppV24Config,
        market_data_provider: Any,
        actions_queue: asyncio.Queue[Any],
        update_interval: float = 1.0,
    ) -> None:
        super().__init__(config, market_data_provider, actions_queue, update_interval)
        self._desk = Desk(
            config=config,
            connector=market_data_provider.get_connector(config.connector_name),
            actions=actions_queue,
            log=self.logger(),
        )
        self.order_id_prefix = ""

    async def on_start(self) -> None:
        """Called once by Hummingbot, before the first tick."""
        self._desk.open(self.order_id_prefix)

    async def control_task(self) -> None:
        """One tick. The base class would skip it while the connector is not ready, and swallow what it raises."""
        self._desk.tick({info.id: info for info in self.executors_info})

    async def leave_market(self, timeout_s: float) -> int:
        """See :meth:`.Desk.leave_market`."""
        return await self._desk.leave_market(timeout_s)

    def close_books(self) -> None:
        """See :meth:`.Desk.close_books`."""
        self._desk.close_books()

    async def update_processed_data(self) -> None:
        """Nothing: the desk reads the connector itself."""

    def determine_executor_actions(self) -> list[Any]:
        """None: the desk sends its actions itself."""
        return []

    def get_custom_info(self) -> dict[str, Any]:
        """State and reasons, for Hummingbot's own reports."""
        return self._desk.summary()

    def to_format_status(self) -> list[str]:
        """State and reasons, for ``hbot status``."""
        return self._desk.status_lines()
