"""Strategies that are not EPP, on Hummingbot's own market-making base, trade on the paper exchange without an error.

A minute each in an ordinary run; ``make market-makers`` takes MARKET_MAKER_MINUTES.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from epp.tests.adapter.conftest import FILES, HOME, Bot, Exchange, bot_image, make_exchange, own, wait_for

__all__ = ["bot_image", "make_exchange"]

pytestmark = pytest.mark.bot_image

MINUTES = float(os.environ.get("MARKET_MAKER_MINUTES", "1"))
CODE = Path(__file__).parent / "market_makers"
CONTROLLERS = {
    "minimal_maker": FILES / "epp/bench/peer/minimal_maker.py",  # of position executors; the replay is timed beside it
    "order_maker": CODE / "order_maker.py",
}
ERROR = re.compile(
    r" - (?!hummingbot\.core\.rate_oracle\.)\S+ - (ERROR|CRITICAL)"
    r" - (?!Executors \[.*\] did not finish closing before shutdown)"
)
"""An error of anything but the rate oracle, which asks other exchanges (the network has no way to them), and but what
Hummingbot says of an executor that holds coins when it is stopped: it keeps them as a position."""

QUICK: dict[str, Any] = {
    # At 30 times its pace the market reaches these within seconds, and the barriers as well.
    "buy_spreads": "0.001,0.002",
    "sell_spreads": "0.001,0.002",
    "buy_amounts_pct": "50,50",
    "sell_amounts_pct": "50,50",
    "position_mode": "ONEWAY",
    "total_amount_quote": 400,
    "executor_refresh_time": 15,
    "cooldown_time": 2,
    "stop_loss": 0.004,
    "take_profit": 0.002,
    "time_limit": 45,
    "leverage": 1,
    "skip_rebalance": True,
}


class Maker(Bot):
    """A Hummingbot container with one of the controllers, and a script that only runs it."""

    def __init__(self, root: Path, exchange: Exchange, controller: str) -> None:
        self.controller = controller
        super().__init__(root, exchange)
        self.script = "run_controllers.yml"
        self.write("conf/scripts/run_controllers.yml", {
            "script_file_name": "run_controllers.py", "controllers_config": ["maker.yml"],
        })  # fmt: skip
        self.write("conf/controllers/maker.yml", {
            "id": "maker", "controller_type": "market_making", "controller_name": controller,
            "connector_name": "bitget", "trading_pair": "BTC-USDT",
        } | QUICK)  # fmt: skip
        own(root)

    def arguments(self) -> list[str]:
        """As a bot's, and the code."""
        return [
            *super().arguments(),
            "-v", f"{CONTROLLERS[self.controller]}:{HOME}/controllers/market_making/{self.controller}.py:ro",
            "-v", f"{CODE}/run_controllers.py:{HOME}/scripts/run_controllers.py:ro",
        ]  # fmt: skip

    def error(self) -> str:
        """The first error in its log, with what follows it; empty when there is none."""
        lines = self.log().splitlines()
        first = next((number for number, line in enumerate(lines) if ERROR.search(line)), len(lines))
        return "\n".join(lines[max(0, first - 3) : first + 25]) if first < len(lines) else ""


@pytest.fixture
def make_maker(make_exchange: Callable[..., Exchange], tmp_path: Path) -> Iterator[Callable[[str], Maker]]:
    """Makes market makers, each with an exchange of its own."""
    made: list[Maker] = []

    def make(controller: str) -> Maker:
        made.append(Maker(tmp_path / controller, make_exchange(), controller))
        return made[-1]

    yield make
    for maker in made:
        maker.remove()


@pytest.mark.parametrize("controller", sorted(CONTROLLERS))
def test_a_market_maker_trades_without_an_error(make_maker: Callable[[str], Maker], controller: str) -> None:
    maker = make_maker(controller)
    maker.run()
    wait_for("its first order", maker.exchange.orders, 600)
    wait_for("its first fill", maker.exchange.fills, 180)
    time.sleep(60 * MINUTES)
    assert not maker.error(), maker.error()
    orders, fills = maker.exchange.orders(closed=True), maker.exchange.fills()
    print(f"{controller}: {len(orders)} orders, {len(fills)} fills in {MINUTES:g} min")
    assert {order["side"] for order in orders} == {"buy", "sell"}
    assert len(fills) >= MINUTES
    assert maker.stop() == 0
    assert not maker.error(), maker.error()
