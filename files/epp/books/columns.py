"""The columns of the three CSV books.

One place names them, so that a writer, the report and the exporter cannot drift apart. All times are UTC, amounts are
in the asset the name ends with (``_base``, ``_quote``), and ``_pct`` columns are fractions of the price or of equity
(0.0025 is 25 basis points), never multiplied by a hundred.
"""

from __future__ import annotations

PROVENANCE = ("instance", "variant", "mode", "market_source", "speed", "strategy_hash", "config_hash")
"""On every row, after ``ts``: which bot wrote it, on what market, with which code and configuration."""

FILLS = (
    "ts",
    *PROVENANCE,
    "exchange",
    "trading_pair",
    "side",
    "price",
    "amount_base",
    "notional_quote",
    "fee_quote",
    "order_id",
    "trade_id",
    "is_maker",
    "mid",
    "spread_pct",
    "quote_margin_pct",
    "realized_pnl_quote",
    "base_pct",
    "regime",
    "state",
)

MINUTE = (
    "ts",
    *PROVENANCE,
    "exchange",
    "trading_pair",
    "state",
    "reasons",
    "regime",
    "mid",
    "best_bid",
    "best_ask",
    "equity_quote",
    "trading_pnl_quote",
    "base_balance",
    "quote_balance",
    "base_pct",
    "target_base_pct",
    "spread_pct",
    "spread_floor_pct",
    "quote_margin_pct",
    "adverse_pct",
    "markout_30s_pct",
    "band_pct",
    "skew",
    "turnover_x",
    "drawdown_pct",
    "trading_drawdown_pct",
    "fees_quote",
    "realized_pnl_quote",
    "orders_active",
    "oldest_order_age_s",
    "cancels_per_min",
    "cancel_fail_streak",
    "fills_count",
    "book_age_s",
    "clock_skew_s",
    "tick_ms",
)

DAILY = (
    "ts",
    *PROVENANCE,
    "day",
    "exchange",
    "trading_pair",
    "state",
    "equity_open_quote",
    "equity_now_quote",
    "equity_peak_quote",
    "pnl_quote",
    "pnl_pct",
    "trading_pnl_quote",
    "turnover_x",
    "fills_count",
    "fees_quote",
    "gross_profit_quote",
    "profit_factor",
    "max_drawdown_pct",
    "max_trading_drawdown_pct",
    "ops_events",
)
