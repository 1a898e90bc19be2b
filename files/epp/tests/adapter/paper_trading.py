"""A bot that trades fast on a paper exchange, and what must hold of its books."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import Bot, Exchange

FILL_S = 180.0

FAST = {
    # A market at 30 times its pace moves as no real one does: narrow quotes without the caution that would (rightly)
    # widen or stop them, so that fills come within seconds. The defaults are the core's tests' and the demo's business.
    "total_amount_quote": 2000,
    "drift_alpha": 0.0001,
    "band_floor_weight": 0.0,
    "trend_enter_pct": 0.2,
    "shock_band_pct": 0.2,
    "shock_drift_pct": 0.2,
    "max_sample_jump_pct": 0.5,
    "max_last_trade_gap_pct": 0.1,
    "rest_tolerance_bps": 100,
    "turnover_target_x": 50,
    "turnover_cap_x": 100,
    "trading_day_soft_pct": 0.5,
    "trading_day_hard_pct": 0.6,
    "trading_drawdown_soft_pct": 0.5,
    "trading_drawdown_hard_pct": 0.6,
    "mtm_day_soft_pct": 0.5,
    "mtm_day_hard_pct": 0.6,
    "mtm_drawdown_soft_pct": 0.5,
    "mtm_drawdown_hard_pct": 0.6,
}

STREAM = FAST | {
    # Quotes as near as the fee allows, for a stream of fills.
    "slippage_pct": 0.0,
    "min_net_edge_bps": 0.0,
    "markout_prior_pct": 0.0,
    "markout_cap_pct": 0.0,
    "max_fee_share": 0.9,
    "fee_share_limit": 0.95,
    "width_min_pct": 0.001,
}


def first_fill(exchange: Exchange) -> dict[str, dict[str, Any]]:
    """Wait for the market to reach one of the bot's orders."""
    deadline = time.monotonic() + FILL_S
    while time.monotonic() < deadline:
        if fills := exchange.fills():
            return fills
        time.sleep(1)
    pytest.fail(f"no fill within {FILL_S:.0f} s")


def assert_books_agree(bot: Bot, exchange: Exchange) -> None:
    """fills.csv has exactly the exchange's fills, each once, and the state file knows each."""
    theirs = exchange.fills()
    booked = bot.book("fills")
    assert sorted(row["trade_id"] for row in booked) == sorted(theirs)
    for row in booked:
        assert_row_agrees(row, theirs[row["trade_id"]])
    text = state_text(bot)
    assert all(f'"{trade_id}"' in text for trade_id in theirs)


def assert_row_agrees(row: dict[str, str], fill: dict[str, Any]) -> None:
    """A row of fills.csv says what the exchange says of the fill."""
    assert row["side"] == fill["side"]
    assert Decimal(row["price"]) == Decimal(fill["priceAvg"])
    assert Decimal(row["amount_base"]) == Decimal(fill["size"])
    assert Decimal(row["notional_quote"]) == Decimal(fill["priceAvg"]) * Decimal(fill["size"])
    assert row["is_maker"] == "true"
    detail = fill["feeDetail"]
    charged = detail[0] if isinstance(detail, list) else detail
    fee = -Decimal(charged["totalFee"]) * (Decimal(fill["priceAvg"]) if charged["feeCoin"] == "BTC" else 1)
    assert Decimal(row["fee_quote"]) == pytest.approx(fee, rel=Decimal("1e-9"))


def state_text(bot: Bot) -> str:
    """The body of the state file."""
    return json.dumps(json.loads((bot.state_directory / "state_paper.json").read_text())["body"])
