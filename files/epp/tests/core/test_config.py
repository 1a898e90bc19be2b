"""The configuration: the contract's defaults, and what is refused at load."""

import itertools
from typing import Any

import pytest
from epp.core import EppParameters, Regime
from epp.tests.core.stage import PROPERTY, Stage, configured
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError


def test_the_regimes_defaults_are_the_contracts() -> None:
    expected = {
        Regime.NEUTRAL_LOW_VOL: (0.0070, 0.0120, 2, 4, 90, 0.50, 0.01),
        Regime.UP: (0.0070, 0.0130, 2, 3, 70, 0.50, 0.01),
        Regime.DOWN: (0.0080, 0.0150, 2, 3, 60, 0.50, 0.01),
        Regime.HIGH_VOL_SHOCK: (0.0120, 0.0300, 1, 2, 120, 0.45, 0.005),
    }
    for regime, values in expected.items():
        assert tuple(configured().regime(regime).model_dump().values()) == values


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("min_base_pct", 0.15), ("max_base_pct", 0.85), ("capital_share_max", 0.02), ("slippage_pct", 0.00025),
        ("min_net_edge_bps", 2.0), ("max_fee_share", 0.35), ("fee_share_limit", 0.40), ("fee_share_round_trips", 100),
        ("fee_share_widen", 1.25), ("fee_share_widen_h", 24.0), ("markout_prior_pct", 0.0003),
        ("markout_cap_pct", 0.0010), ("markout_half_life_h", 6.0), ("markout_horizon_s", 30.0),
        ("sample_interval_s", 10.0), ("drift_alpha", 0.25), ("band_floor_weight", 0.5),
        ("max_market_spread_pct", 0.005), ("max_last_trade_gap_pct", 0.01), ("max_sample_jump_pct", 0.02),
        ("feed_stale_s", 30.0), ("rest_tolerance_bps", 5.0), ("rest_tolerance_ticks", 2.0),
        ("trend_enter_pct", 0.0030), ("trend_exit_pct", 0.0015), ("shock_band_pct", 0.0035),
        ("shock_drift_pct", 0.0040), ("regime_hold_s", 180.0), ("width_min_pct", 0.0030), ("level_step", 0.4),
        ("max_skew_pct", 0.0020), ("target_step_per_min", 0.01), ("keep_tolerance_bps", 5.0),
        ("price_collar_pct", 0.05), ("max_placements_per_min", 60), ("turnover_target_x", 2.0),
        ("turnover_cap_x", 3.0), ("turnover_penalty_step_pct", 0.0010), ("edge_hold_s", 60.0),
        ("edge_resume_ratio", 0.9), ("connector_pause_s", 30.0), ("connector_page_s", 1800.0),
        ("balance_settle_s", 20.0), ("balance_tolerance_pct", 0.001), ("balance_checks_max", 3),
        ("cancel_direct_s", 10.0), ("cancel_direct_every_s", 5.0), ("cancel_pause_s", 30.0), ("cancel_stop_s", 120.0),
        ("cancel_budget_per_min", 50), ("cancel_budget_hold_s", 120.0), ("cancel_budget_pauses", 3),
        ("trading_drawdown_soft_pct", 0.02), ("trading_drawdown_hold_h", 6.0), ("trading_drawdown_hard_pct", 0.03),
        ("trading_day_soft_pct", 0.01), ("trading_day_hard_pct", 0.015), ("mtm_day_soft_pct", 0.04),
        ("mtm_day_hard_pct", 0.06), ("mtm_drawdown_soft_pct", 0.10), ("mtm_drawdown_hard_pct", 0.15),
        ("clock_soft_s", 1.0), ("clock_hard_s", 5.0), ("exceptions_max", 3), ("window_tolerance_pct", 0.05),
    ],
)  # fmt: skip
def test_every_other_default_is_the_contracts(name: str, value: float) -> None:
    assert getattr(configured(), name) == value


def test_the_configuration_cannot_be_changed_at_run_time() -> None:
    parameters = configured()
    with pytest.raises(ValidationError):
        parameters.max_skew_pct = 0.01
    with pytest.raises(ValidationError):
        parameters.regimes.up.spread_min_pct = 0.01


@pytest.mark.parametrize("given_value", [float("nan"), float("inf"), -1, "wide", None])
def test_a_value_that_is_none_is_refused(given_value: object) -> None:
    with pytest.raises(ValidationError, match="max_skew_pct"):
        configured(max_skew_pct=given_value)


def test_an_unknown_parameter_is_refused() -> None:
    with pytest.raises(ValidationError, match="spread_mim_pct"):
        configured(spread_mim_pct=0.1)
    with pytest.raises(ValidationError, match="sideways"):
        configured(regimes={"sideways": {}})


def test_every_parameter_says_what_it_means() -> None:
    for name, field in EppParameters.model_fields.items():
        assert field.description, name


def test_a_regime_given_in_part_keeps_its_other_defaults() -> None:
    parameters = configured(regimes={"down": {"spread_max_pct": 0.02}})
    assert parameters.regimes.down.spread_max_pct == 0.02
    assert parameters.regimes.down.spread_min_pct == 0.008
    assert parameters.regimes.down.refresh_s == 60
    assert parameters.regimes.up == configured().regimes.up


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"trend_exit_pct": 0.003}, "trend_exit_pct"),
        ({"turnover_target_x": 3.0}, "turnover_target_x"),
        ({"max_fee_share": 0.4}, "max_fee_share"),
        ({"trading_drawdown_soft_pct": 0.03}, "trading_drawdown_soft_pct"),
        ({"trading_day_soft_pct": 0.015}, "trading_day_soft_pct"),
        ({"mtm_day_soft_pct": 0.06}, "mtm_day_soft_pct"),
        ({"mtm_drawdown_soft_pct": 0.15}, "mtm_drawdown_soft_pct"),
        ({"clock_soft_s": 5.0}, "clock_soft_s"),
        ({"cancel_direct_s": 30.0}, "cancel_direct_s"),
        ({"cancel_pause_s": 120.0}, "cancel_pause_s"),
        ({"regimes": {"up": {"spread_max_pct": 0.006}}}, "spread_max_pct"),
        ({"regimes": {"up": {"levels_max": 1}}}, "levels_max"),
        ({"regimes": {"up": {"target_base_pct": 0.56}}}, r"regimes\.up\.target_base_pct"),
        ({"regimes": {"down": {"target_base_pct": 0.44}}}, r"regimes\.down\.target_base_pct"),
        ({"min_base_pct": 0.46}, "high_vol_shock.target_base_pct"),
        ({"min_base_pct": 0.45}, "high_vol_shock.target_base_pct"),
        ({"max_base_pct": 0.5}, "neutral_low_vol.target_base_pct"),
        ({"variant": "e"}, "variant"),
        ({"trading_pair": "BTCUSDT"}, "trading_pair"),
    ],
)
def test_what_cannot_be_together_is_refused_by_name(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        configured(**changes)


@pytest.mark.parametrize("target", [0.45, 0.55])
def test_a_trends_target_may_be_five_points_from_neutrals(target: float) -> None:
    assert configured(regimes={"up": {"target_base_pct": target}}).regimes.up.target_base_pct == target


# ---- the edge that could never be


def test_a_floor_over_a_regimes_spread_max_in_a_calm_market_is_refused_saying_which_and_by_how_much() -> None:
    """2·(0.0010/0.35 + 0.0003 + 0.00025) = 0.6814 %, and 2·(0.0010 + 0.00025 + 0.0003 + 0.0002) is less."""
    with pytest.raises(ValidationError) as refused:
        configured(regimes={"up": {"spread_min_pct": 0.005, "spread_max_pct": 0.006}})
    said = str(refused.value)
    assert "regimes.up.spread_max_pct" in said
    assert "0.6814%" in said
    assert "0.6000%" in said
    assert "0.0814%" in said
    assert "neutral" not in said


def test_a_pause_for_edge_that_could_never_end_is_refused_too() -> None:
    """The gate opens again under 90 % of spread_max: a floor between the two would shut it for good."""
    with pytest.raises(ValidationError, match="could never end"):
        configured(regimes={"up": {"spread_min_pct": 0.005, "spread_max_pct": 0.0075}})
    assert configured(regimes={"up": {"spread_min_pct": 0.005, "spread_max_pct": 0.0076}})


@PROPERTY
@given(
    fee=st.floats(0, 0.003),
    rho=st.sampled_from([0.2, 0.35, 0.39]),
    edge=st.floats(0, 20),
    slippage=st.floats(0, 0.002),
    prior=st.floats(0, 0.002),
    cap=st.floats(0, 0.002),
    width=st.floats(0.007, 0.03),
)
def test_a_configuration_that_loads_can_open_its_gate_in_a_calm_market(
    fee: float, rho: float, edge: float, slippage: float, prior: float, cap: float, width: float
) -> None:
    """The floor is computed here once more, from the contract's formula."""
    changes: dict[str, Any] = {
        "maker_fee_pct": fee, "max_fee_share": rho, "min_net_edge_bps": edge, "slippage_pct": slippage,
        "markout_prior_pct": prior, "markout_cap_pct": cap,
        "regimes": {"neutral_low_vol": {"spread_max_pct": width}},
    }  # fmt: skip
    adverse = min(prior, cap)
    floor = max(2 * (fee / rho + adverse + slippage), 2 * (fee + slippage + adverse + edge / 1e4))
    possible = all(
        floor <= 0.9 * spread_max * max(fee / 0.001, 0.003 / spread_min)
        for spread_min, spread_max in ((0.007, width), (0.007, 0.013), (0.008, 0.015), (0.012, 0.030))
    )
    try:
        configured(**changes)
    except ValidationError:
        assert not possible
    else:
        assert possible


def test_a_fee_that_makes_quoting_impossible_stops_the_bot_and_says_why() -> None:
    """The account's own fee is known only when it runs; the same check is made then."""
    stage = Stage(parameters=configured(min_net_edge_bps=35.0, regimes=_wide()), fee=0.0002)
    stage.tick()
    assert stage.doing == "hard_stop"
    assert stage.codes[0] == "edge_impossible"
    refused = stage.reason("edge_impossible")
    assert (refused.detail,) == stage.parameters.edge_refusals(0.0002)
    assert refused.ends == "ends with another fee or configuration"
    assert "spread_max_pct" in stage.last.reasons[0].detail
    assert not stage.orders
    stage.fee = 0.001
    stage.run(2)
    assert stage.doing == "running", "nothing is latched: another fee ends it"


def _wide() -> dict[str, dict[str, float]]:
    return {name.value: {"spread_max_pct": 0.03} for name in Regime}


# ---- widths and fees


@pytest.mark.parametrize(
    ("fee", "width"), [(0.001, 0.007), (0.002, 0.014), (0.0008, 0.0056), (0.0004, 0.003), (0.0, 0.003)]
)
def test_widths_scale_with_the_fee_and_never_below_30_bp(fee: float, width: float) -> None:
    parameters = configured()
    neutral = parameters.regimes.neutral_low_vol
    assert neutral.spread_min_pct * parameters.width_scale(Regime.NEUTRAL_LOW_VOL, fee) == pytest.approx(width)


@PROPERTY
@given(fee=st.floats(0, 0.01), regime=st.sampled_from(Regime))
def test_no_regimes_least_width_is_ever_below_30_bp(fee: float, regime: Regime) -> None:
    parameters = configured()
    scaled = parameters.regime(regime).spread_min_pct * parameters.width_scale(regime, fee)
    assert scaled >= 0.003 * (1 - 1e-12)
    assert scaled == pytest.approx(max(0.003, parameters.regime(regime).spread_min_pct * fee / 0.001))


# ---- what is legal but unwise


def test_the_defaults_leave_nothing_to_warn_of() -> None:
    assert configured().warnings() == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mtm_day_hard_pct": 0.042}, "mtm_day_hard_pct"),
        ({"mtm_drawdown_hard_pct": 0.127}, "mtm_drawdown_hard_pct"),
    ],
)
def test_mark_to_market_limits_that_the_markets_own_moves_would_reach_are_warned_of(
    changes: dict[str, Any], said: str
) -> None:
    (line,) = configured(**changes).warnings()
    assert said in line
    assert "85%" in line
    wider = {name: value + 0.001 for name, value in changes.items()}
    assert configured(**wider).warnings() == ()


def test_both_limits_can_be_warned_of() -> None:
    day, drawdown = configured(mtm_day_hard_pct=0.0401, mtm_drawdown_hard_pct=0.102).warnings()
    assert day.startswith("mtm_day_hard_pct 4.01% is a limit on the price")
    assert drawdown == (
        "mtm_drawdown_hard_pct 10.20% is a limit on the price, not on the strategy: with 85% of equity in base a fall "
        "of 12.00% latches the bot; allow 12.75% or more"
    )


# ---- roles


@pytest.mark.parametrize(
    ("variant", "enabled", "no_trade"), list(itertools.product("abcd", [True, False], [True, False]))
)
def test_who_never_trades(variant: str, enabled: bool, no_trade: bool) -> None:
    parameters = configured(variant=variant, enabled=enabled, no_trade=no_trade)
    assert parameters.never_trades is not (variant == "a" and enabled and not no_trade)
    assert parameters.is_stub is (variant in "bc")


def test_the_pairs_two_coins() -> None:
    parameters = configured(trading_pair="ETH-BTC")
    assert (parameters.base_asset, parameters.quote_asset) == ("ETH", "BTC")
