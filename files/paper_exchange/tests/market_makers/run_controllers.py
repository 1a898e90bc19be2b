"""A script that runs the controllers of its configuration, and adds nothing."""

from hummingbot.strategy.strategy_v2_base import StrategyV2Base, StrategyV2ConfigBase
from hummingbot.strategy_v2.models.executor_actions import CreateExecutorAction, StopExecutorAction


class RunControllersConfig(StrategyV2ConfigBase):  # type: ignore[misc]  # Hummingbot ships no types
    """Names the controllers."""

    script_file_name: str = "run_controllers.py"


class RunControllers(StrategyV2Base):  # type: ignore[misc]  # Hummingbot ships no types
    """Hummingbot's own behaviour; what it asks of every script is here, and is nothing."""

    def create_actions_proposal(self) -> list[CreateExecutorAction]:
        """The controllers' business."""
        return []

    def stop_actions_proposal(self) -> list[StopExecutorAction]:
        """The controllers' business."""
        return []
