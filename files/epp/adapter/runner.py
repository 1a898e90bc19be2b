"""The runner: Hummingbot's strategy object around EPP's controllers.

It does what no controller can: gives every order of this bot its own id prefix before a connector exists, replaces the
stock order executor, ignores configuration files that change under a running bot, and sees to it that a stop leaves no
order behind, which Hummingbot's own graceful stop does not promise.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from hummingbot.connector.exchange.bitget import bitget_constants
from hummingbot.core.rate_oracle.rate_oracle import RateOracle
from hummingbot.strategy.strategy_v2_base import StrategyV2Base, StrategyV2ConfigBase
from pydantic import Field

from .resting_order import RestingOrder

CLIENT_ID_MAX_LENGTH = 50
"""Bitget takes 64 characters. Hummingbot's own part is a time stamp and a hash of the process, and may be cut."""

STOP_SWEEP_S = 50.0
"""How long a stop tries to prove that no order is left. Hummingbot's own steps take up to 26 s more when the exchange
does not answer; the container's grace period is 90 s."""


def _speak_on_the_console() -> None:
    """Let ``docker logs`` have EPP's own lines: Hummingbot's engine takes the console from all logs."""
    console = logging.StreamHandler(sys.stdout)
    console.setLevel(logging.INFO)
    console.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.getLogger(__name__.rpartition(".adapter.")[0]).addHandler(console)


class EppRunnerConfig(StrategyV2ConfigBase):  # type: ignore[misc]  # Hummingbot has no types
    """The script's configuration: ``conf/scripts/v2_epp_v2_4_bot_<variant>.yml``."""

    script_file_name: str = "epp_v2_4.py"
    order_id_prefix: str = Field(
        description="Begins every client order id of this bot, and marks its orders among others on the account. "
        "It ends in a dash, so that bot1 is not taken for the beginning of bot10.",
        pattern=r"^[a-z][a-z0-9-]{0,22}-$",
    )


class EppRunner(StrategyV2Base):  # type: ignore[misc]  # Hummingbot has no types
    """Runs the controllers of its configuration; it takes no trading decision."""

    max_executors_close_attempts = 3  # two seconds each; the orders are swept by then

    _runner_logger: Any = None

    @classmethod
    def logger(cls) -> Any:
        """The runner's own logger."""
        if cls._runner_logger is None:
            cls._runner_logger = logging.getLogger(__name__)
        return cls._runner_logger

    @classmethod
    def init_markets(cls, config: EppRunnerConfig) -> None:
        """Read the markets from the controllers' configurations, and set the id prefix while no connector exists."""
        bitget_constants.HBOT_ORDER_ID_PREFIX = config.order_id_prefix
        bitget_constants.ORDER_ID_MAX_LEN = CLIENT_ID_MAX_LENGTH
        _speak_on_the_console()
        super().init_markets(config)

    def __init__(self, connectors: dict[str, Any], config: EppRunnerConfig) -> None:
        super().__init__(connectors, config)
        wanted = [controller.id for controller in config.load_controller_configs()]
        missing = [name for name in wanted if name not in self.controllers]
        if missing or len(set(wanted)) != len(wanted):
            # The framework logs a controller that could not be made and goes on without it.
            raise RuntimeError(f"controllers not running: {missing or 'two of the same id'}; the log says why")
        self.executor_orchestrator._executor_mapping = {
            **self.executor_orchestrator._executor_mapping,
            "order_executor": RestingOrder,
        }
        for controller in self.controllers.values():
            controller.order_id_prefix = config.order_id_prefix
        self._oracle_silenced = False
        self._stopped = False

    def on_tick(self) -> None:
        """The framework's tick, without the rate oracle.

        It asks a third party for prices all the time; every amount of EPP is in the pair's own two coins.
        """
        if not self._oracle_silenced:
            RateOracle.get_instance().stop()
            self._oracle_silenced = True
        super().on_tick()

    def update_controllers_configs(self) -> None:
        """Do nothing: a changed configuration comes with a new container, never into a running one."""

    def create_actions_proposal(self) -> list[Any]:
        """None: only controllers act."""
        return []

    def stop_actions_proposal(self) -> list[Any]:
        """None: only controllers act."""
        return []

    async def on_stop(self) -> None:
        """Stop deciding, take every own order off the exchange, prove it, close the books.

        Hummingbot calls this before it removes the connectors, so the sweep still has one to work with.
        """
        if self._stopped:
            return
        self._stopped = True
        self._is_stop_triggered = True
        for controller in self.controllers.values():
            controller.stop()
        for name, controller in self.controllers.items():
            try:
                left = await controller.leave_market(STOP_SWEEP_S)
            except Exception:
                self.logger().exception(f"{name}: the sweep of open orders failed")
                left = None
            if left != 0:
                self.logger().critical(
                    f"{name}: OWN ORDERS MAY STILL BE OPEN on the exchange ({'unknown' if left is None else left}); "
                    "cancel them by hand or start the bot again, it sweeps them first"
                )
        await super().on_stop()
        for controller in self.controllers.values():
            controller.close_books()
