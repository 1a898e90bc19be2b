"""The strategy's parameters: one immutable model, validated on load, refused when it could never quote.

Fractions are of price or of equity, never per cent: 0.0025 is 25 bp. The model is frozen; a changed configuration is
a new model and a new engine.
"""

from functools import cached_property
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .values import Regime

REFERENCE_FEE: Final = 0.0010
"""Maker fee for which the regimes' widths are stated; widths scale with the account's fee over it."""
LEVELS_MOST: Final = 10
"""Levels a side that a configuration may ask for."""


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class RegimeParameters(_Frozen):
    """What one market regime does."""

    spread_min_pct: float = Field(gt=0, le=0.2, description="Least quoted width (bid to ask), at a maker fee of 10 bp.")
    spread_max_pct: float = Field(
        gt=0, le=0.2, description="Width quoted at the turnover cap; a spread floor above it pauses quoting (`edge`)."
    )
    levels_min: int = Field(ge=1, le=LEVELS_MOST, description="Levels a side at the turnover cap.")
    levels_max: int = Field(ge=1, le=LEVELS_MOST, description="Levels a side up to a turnover of 1.")
    refresh_s: float = Field(ge=5, le=3600, description="Age from which a misplaced order is replaced, seconds.")
    target_base_pct: float = Field(gt=0, lt=1, description="Share of equity to hold in base.")
    order_size_pct: float = Field(gt=0, le=0.1, description="Value of one order as a share of equity.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.spread_max_pct < self.spread_min_pct:
            raise ValueError(
                f"spread_max_pct {self.spread_max_pct} is below spread_min_pct {self.spread_min_pct}: raise the one or "
                "lower the other"
            )
        if self.levels_max < self.levels_min:
            raise ValueError(f"levels_max {self.levels_max} is below levels_min {self.levels_min}")
        return self


_REGIME_DEFAULTS: Final[dict[str, dict[str, float | int]]] = {
    "neutral_low_vol": {
        "spread_min_pct": 0.0070, "spread_max_pct": 0.0120, "levels_min": 2, "levels_max": 4,
        "refresh_s": 90, "target_base_pct": 0.50, "order_size_pct": 0.01,
    },
    "up": {
        "spread_min_pct": 0.0070, "spread_max_pct": 0.0130, "levels_min": 2, "levels_max": 3,
        "refresh_s": 70, "target_base_pct": 0.50, "order_size_pct": 0.01,
    },
    "down": {
        "spread_min_pct": 0.0080, "spread_max_pct": 0.0150, "levels_min": 2, "levels_max": 3,
        "refresh_s": 60, "target_base_pct": 0.50, "order_size_pct": 0.01,
    },
    "high_vol_shock": {
        "spread_min_pct": 0.0120, "spread_max_pct": 0.0300, "levels_min": 1, "levels_max": 2,
        "refresh_s": 120, "target_base_pct": 0.45, "order_size_pct": 0.005,
    },
}  # fmt: skip


def _regime(name: str) -> Any:
    return Field(
        default_factory=lambda: RegimeParameters.model_validate(_REGIME_DEFAULTS[name]),
        description=f"Regime `{name}`; keys left out keep their defaults.",
    )


class Regimes(_Frozen):
    """The four regimes. A regime given in part is completed from its own defaults."""

    neutral_low_vol: RegimeParameters = _regime("neutral_low_vol")
    up: RegimeParameters = _regime("up")
    down: RegimeParameters = _regime("down")
    high_vol_shock: RegimeParameters = _regime("high_vol_shock")

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {
            name: _REGIME_DEFAULTS[name] | part if name in _REGIME_DEFAULTS and isinstance(part, dict) else part
            for name, part in given.items()
        }


class EppParameters(_Frozen):
    """Every parameter of EPP v2.4."""

    # Role
    variant: Literal["a", "b", "c", "d"] = Field(
        "a",
        description="a trades; b and c are stubs that never place an order; d never trades, it only watches and books.",
    )
    enabled: bool = Field(True, description="False: `hard_stop: disabled`, nothing is placed.")
    no_trade: bool = Field(
        False, description="True: `soft_pause: no_trade`, nothing is placed. Variant d is always so."
    )
    trading_pair: str = Field("BTC-USDT", pattern=r"^[A-Z0-9]{1,20}-[A-Z0-9]{1,20}$", description="Base-quote.")

    # Money
    total_amount_quote: float = Field(
        1000.0, ge=0, description="Most that all open orders together may be worth, quote."
    )
    max_order_notional_quote: float = Field(250.0, gt=0, description="Most that one order may be worth, quote.")
    min_base_pct: float = Field(
        0.15, ge=0, lt=1, description="Lower edge of the hard inventory band, share of equity in base."
    )
    max_base_pct: float = Field(0.85, gt=0, le=1, description="Upper edge of the hard inventory band.")
    capital_share_max: float = Field(
        0.02,
        gt=0,
        le=0.5,
        description="A start is refused when the exchange's least order (and 5 %) is a larger share of equity.",
    )

    # Costs
    maker_fee_pct: float | None = Field(
        None,
        ge=0,
        le=0.01,
        description="Maker fee to count with; unset: the account's own, and no trading while it is unknown.",
    )
    fee_coin: str = Field(
        "", description="Coin that fees are paid in when neither base nor quote (BGB); informational."
    )
    fee_coin_price_quote: float | None = Field(
        None, gt=0, description="Its price in quote, for a fill that comes without one; else the fee rate is booked."
    )
    slippage_pct: float = Field(0.00025, ge=0, le=0.01, description="Slippage `s` per fill.")
    min_net_edge_bps: float = Field(2.0, ge=0, le=100, description="Least margin `e` per fill after all costs, bp.")
    max_fee_share: float = Field(
        0.35, gt=0, le=1, description="Rho: fees may take this share of half the width at most."
    )
    markout_prior_pct: float = Field(0.0003, ge=0, le=0.01, description="Markout assumed without fills of one's own.")
    markout_cap_pct: float = Field(
        0.0010, ge=0, le=0.01, description="Most that the measured markout adds to the floor."
    )
    markout_alpha: float = Field(0.10, gt=0, le=1, description="Weight of one fill in the markout EWMA.")
    markout_half_life_h: float = Field(6.0, gt=0, le=168, description="Half-life of its decay to the prior, hours.")
    markout_horizon_s: float = Field(
        30.0, ge=5, le=600, description="Seconds after a fill at which its markout is read."
    )
    fee_share_limit: float = Field(
        0.40,
        gt=0,
        le=1,
        description="Fees over gross of recent round trips that alerts and widens; must exceed max_fee_share.",
    )
    fee_share_round_trips: int = Field(100, ge=10, le=1000, description="Round trips it is measured over.")
    fee_share_widen: float = Field(
        1.25, ge=1, le=2, description="Factor on spread_min while widened; at most twice in force."
    )
    fee_share_widen_h: float = Field(24.0, gt=0, le=168, description="Hours that one widening lasts.")

    # Market state
    sample_interval_s: float = Field(10.0, ge=5, le=30, description="Seconds between samples of mid.")
    drift_alpha: float = Field(0.25, gt=0, le=1, description="Weight of one sample in the EWMA of drift_30s.")
    band_floor_weight: float = Field(
        0.5, ge=0, le=5, description="Share of `band` (ATR 14 over close) in the spread floor."
    )
    max_market_spread_pct: float = Field(0.005, gt=0, le=0.1, description="No quoting in a market wider than this.")
    max_last_trade_gap_pct: float = Field(
        0.01, gt=0, le=0.1, description="No quoting with mid further from the last trade."
    )
    max_sample_jump_pct: float = Field(
        0.02, gt=0, le=0.5, description="A larger jump of one sample waits for a REST ticker."
    )
    feed_stale_s: float = Field(
        30.0, ge=1, le=600, description="The feed is stale without any public message for so long."
    )
    rest_tolerance_bps: float = Field(
        5.0, ge=0, le=100, description="Stale, too, when a REST mid differs by more: bp …"
    )
    rest_tolerance_ticks: float = Field(2.0, ge=0, le=100, description="… plus so many ticks.")
    bars_gap_max_min: int = Field(
        10, ge=1, le=120, description="Minutes without a bar after which the bars start anew."
    )

    # Regimes
    trend_enter_pct: float = Field(0.0030, gt=0, le=0.2, description="Close beyond EMA(50) by this: up or down …")
    trend_exit_pct: float = Field(0.0015, ge=0, le=0.2, description="… until it is back within this.")
    shock_band_pct: float = Field(0.0035, gt=0, le=0.2, description="`band` from here on is high_vol_shock.")
    shock_drift_pct: float = Field(0.0040, gt=0, le=0.2, description="A drift_30s from here on is high_vol_shock.")
    shock_exit_ratio: float = Field(
        0.8, gt=0, le=1, description="A shock ends when both are under this share of their limits."
    )
    regime_hold_s: float = Field(
        180.0, ge=0, le=3600, description="Least time in a regime; entering a shock never waits."
    )
    width_min_pct: float = Field(0.0030, gt=0, le=0.1, description="Widths scale with the fee, never below this.")
    regimes: Regimes = Field(
        default_factory=Regimes, description="Widths, levels, refresh, target and size per regime."
    )

    # Quotes
    level_step: float = Field(0.4, gt=0, le=5, description="Level i sits at half·(1 + level_step·i).")
    max_skew_pct: float = Field(
        0.0020, ge=0, le=0.05, description="Shift of both quotes at the edge of the inventory band."
    )
    target_step_per_min: float = Field(0.01, gt=0, le=1, description="The target moves at most this much a minute.")
    keep_tolerance_bps: float = Field(
        5.0, ge=0, le=100, description="An order this near to where it should be is kept."
    )
    price_collar_pct: float = Field(0.05, gt=0, le=0.5, description="No order further than this from the last trade.")
    max_placements_per_min: int = Field(60, ge=1, le=600, description="Placements in any 60 s.")
    placement_backoff_s: float = Field(
        10.0, ge=0, le=600, description="A slot rests so long after a refused order, doubling to 5 min."
    )

    # Turnover and edge
    turnover_target_x: float = Field(
        2.0, gt=0, le=100, description="Turnover over opening equity and day from which the floor rises."
    )
    turnover_cap_x: float = Field(
        3.0, gt=1, le=100, description="Turnover from which only the side that reduces the error quotes."
    )
    turnover_penalty_step_pct: float = Field(
        0.0010, ge=0, le=0.05, description="Rise of the floor per 1x over the target."
    )
    edge_hold_s: float = Field(
        60.0, ge=0, le=3600, description="The floor must be low enough for so long before quoting resumes."
    )
    edge_resume_ratio: float = Field(0.9, gt=0, le=1, description="Low enough is this share of spread_max.")

    # Ops guard
    connector_pause_s: float = Field(30.0, ge=0, le=3600, description="Connector not ready for longer: soft_pause.")
    connector_page_s: float = Field(
        1800.0,
        ge=60,
        le=86400,
        description="Connector or feed out for longer: pages; hard_stop if own orders may still rest.",
    )
    balance_settle_s: float = Field(
        20.0,
        ge=0,
        le=600,
        description="A difference between balances and fills counts from so long after the last fill.",
    )
    balance_check_s: float = Field(60.0, ge=1, le=3600, description="Seconds between counted checks of a bad balance.")
    balance_tolerance_pct: float = Field(
        0.001, gt=0, le=0.1, description="Tolerance, share of equity (or one minimum order)."
    )
    balance_checks_max: int = Field(3, ge=2, le=100, description="Bad checks in a row: hard_stop.")
    cancel_direct_s: float = Field(
        10.0, ge=1, le=600, description="An order that outlives its cancel by so long is cancelled directly …"
    )
    cancel_direct_every_s: float = Field(5.0, ge=1, le=600, description="… again and again, this often.")
    cancel_pause_s: float = Field(30.0, ge=1, le=3600, description="It outlives it by this: soft_pause.")
    cancel_stop_s: float = Field(120.0, ge=1, le=3600, description="By this: hard_stop.")
    cancel_budget_per_min: int = Field(50, ge=1, le=600, description="More cancels in 60 s: soft_pause …")
    cancel_budget_hold_s: float = Field(120.0, ge=1, le=3600, description="… for so long …")
    cancel_budget_pauses: int = Field(
        3, ge=2, le=100, description="… and hard_stop at so many such pauses within an hour."
    )
    trading_drawdown_soft_pct: float = Field(
        0.02, gt=0, le=1, description="Trading drawdown, share of opening equity: soft_pause …"
    )
    trading_drawdown_hold_h: float = Field(
        6.0, gt=0, le=168, description="… for so long, then measured from a new peak."
    )
    trading_drawdown_hard_pct: float = Field(
        0.03, gt=0, le=1, description="Trading drawdown from its true peak: hard_stop."
    )
    trading_day_soft_pct: float = Field(
        0.01, gt=0, le=1, description="Trading loss on the UTC day: soft_pause to the roll."
    )
    trading_day_hard_pct: float = Field(0.015, gt=0, le=1, description="Trading loss on the UTC day: hard_stop.")
    mtm_day_soft_pct: float = Field(
        0.04, gt=0, le=1, description="Mark-to-market loss on the UTC day: reduce_only to the roll."
    )
    mtm_day_hard_pct: float = Field(0.06, gt=0, le=1, description="Mark-to-market loss on the UTC day: hard_stop.")
    mtm_drawdown_soft_pct: float = Field(
        0.10, gt=0, le=1, description="Drawdown from the 30-day peak: reduce_only to the roll."
    )
    mtm_drawdown_hard_pct: float = Field(0.15, gt=0, le=1, description="Drawdown from the 30-day peak: hard_stop.")
    clock_soft_s: float = Field(
        1.0, gt=0, le=60, description="Clock offset beyond half the round trip, median of 5: soft_pause."
    )
    clock_hard_s: float = Field(5.0, gt=0, le=600, description="Clock offset, the same: hard_stop.")
    exception_hold_s: float = Field(60.0, ge=0, le=3600, description="An exception in the tick pauses for so long.")
    exceptions_max: int = Field(3, ge=1, le=100, description="Exceptions in a row: hard_stop.")
    window_tolerance_pct: float = Field(
        0.05, gt=0, le=0.5, description="The validation window opens this near to the target."
    )

    # Journal
    journal_max_mb: int = Field(
        128, ge=0, le=100_000, description="Most disk that the journal of decisions may take, MB; 0 keeps none."
    )

    @cached_property
    def is_stub(self) -> bool:
        """True for variants b and c, which exist to be deployed, not to trade."""
        return self.variant in ("b", "c")

    @cached_property
    def never_trades(self) -> bool:
        """True when no order may ever be placed, whatever else is configured."""
        return self.is_stub or not self.enabled or self.no_trade or self.variant == "d"

    @cached_property
    def base_asset(self) -> str:
        """Base asset of the pair."""
        return self.trading_pair.split("-")[0]

    @cached_property
    def quote_asset(self) -> str:
        """Quote asset of the pair."""
        return self.trading_pair.split("-")[1]

    def regime(self, regime: Regime) -> RegimeParameters:
        """Parameters of a regime."""
        found: RegimeParameters = getattr(self.regimes, regime.value)
        return found

    def width_scale(self, regime: Regime, fee: float) -> float:
        """Factor on a regime's widths for a maker fee.

        Fee over 10 bp, but never so small that spread_min falls below ``width_min_pct``. Both widths share the
        factor, so that a cheap account keeps the room between them that the edge gate needs.
        """
        return max(fee / REFERENCE_FEE, self.width_min_pct / self.regime(regime).spread_min_pct)

    def calm_floor(self, fee: float) -> float:
        """Spread floor (full width) in a dead-calm market: no drift, no band, no turnover, markout at its prior."""
        adverse = min(self.markout_prior_pct, self.markout_cap_pct)
        share_bound = 2 * (fee / self.max_fee_share + adverse + self.slippage_pct)
        return max(share_bound, 2 * (fee + self.slippage_pct + adverse + self.min_net_edge_bps / 1e4))

    def edge_refusals(self, fee: float) -> tuple[str, ...]:
        """Why this configuration could never quote at a maker fee, one line per regime; empty when it can.

        A regime is refused when the calm-market floor is over its spread_max, and also when it is over
        ``edge_resume_ratio`` of it: then one pause for edge would never end.
        """
        floor = self.calm_floor(fee)
        lines = []
        for regime in Regime:
            width = self.regime(regime).spread_max_pct * self.width_scale(regime, fee)
            limit = width * self.edge_resume_ratio
            what = (
                f"regimes.{regime.value}.spread_max_pct: the spread floor in a dead-calm market, {floor:.4%} at a "
                f"maker fee of {fee:.4%}, exceeds"
            )
            if floor > width:
                lines.append(f"{what} it, {width:.4%}, by {floor - width:.4%}: it could never quote")
            elif floor > limit:
                lines.append(
                    f"{what} {self.edge_resume_ratio:.0%} of it, {limit:.4%}, by {floor - limit:.4%}: a pause for edge "
                    "could never end"
                )
        return tuple(lines)

    def warnings(self) -> tuple[str, ...]:
        """What is legal but unwise: mark-to-market limits that the allowed inventory's own price moves would reach."""
        lines = []
        for name, limit, fall in (
            ("mtm_day_hard_pct", self.mtm_day_hard_pct, 0.05),
            ("mtm_drawdown_hard_pct", self.mtm_drawdown_hard_pct, 0.15),
        ):
            if limit < fall * self.max_base_pct:
                lines.append(
                    f"{name} {limit:.2%} is a limit on the price, not on the strategy: with {self.max_base_pct:.0%} of "
                    f"equity in base a fall of {limit / self.max_base_pct:.2%} latches the bot; allow "
                    f"{fall * self.max_base_pct:.2%} or more"
                )
        return tuple(lines)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for low, high in (
            ("trend_exit_pct", "trend_enter_pct"),
            ("turnover_target_x", "turnover_cap_x"),
            ("max_fee_share", "fee_share_limit"),
            ("trading_drawdown_soft_pct", "trading_drawdown_hard_pct"),
            ("trading_day_soft_pct", "trading_day_hard_pct"),
            ("mtm_day_soft_pct", "mtm_day_hard_pct"),
            ("mtm_drawdown_soft_pct", "mtm_drawdown_hard_pct"),
            ("clock_soft_s", "clock_hard_s"),
            ("cancel_direct_s", "cancel_pause_s"),
            ("cancel_pause_s", "cancel_stop_s"),
        ):
            if getattr(self, low) >= getattr(self, high):
                raise ValueError(f"{low} {getattr(self, low)} must be below {high} {getattr(self, high)}")
        neutral = self.regimes.neutral_low_vol.target_base_pct
        for regime in Regime:
            target = self.regime(regime).target_base_pct
            if abs(target - neutral) > 0.05 + 1e-12:
                raise ValueError(
                    f"regimes.{regime.value}.target_base_pct {target} is more than 5 points from neutral_low_vol's "
                    f"{neutral}"
                )
            if not self.min_base_pct < target < self.max_base_pct:
                raise ValueError(
                    f"regimes.{regime.value}.target_base_pct {target} is not inside min_base_pct {self.min_base_pct} "
                    f"… max_base_pct {self.max_base_pct}"
                )
        refusals = self.edge_refusals(REFERENCE_FEE if self.maker_fee_pct is None else self.maker_fee_pct)
        if refusals:
            raise ValueError("; ".join(refusals))
        return self
