"""The core over the recorded days: a calm market quotes, a crash is neither bought down nor latched, all pauses end."""

from functools import cache
from pathlib import Path

import pytest
from epp.core import GuardState, Regime
from epp.tests.core.recorded import Run, drive, read_bars
from epp.tests.core.stage import configured

DATA = Path(__file__).parents[3] / "market" / "btc-usd-1m-2022-01.csv.gz"
CALM = ("2022-01-15 23:00:00", "2022-01-17 00:00:00")
"""16 January, the calmest whole day: a range of 2.1 %."""
CRASH = ("2022-01-05 12:00:00", "2022-01-06 06:00:00")
"""The fall of 5 January: from 47,000 to 42,500 within hours."""


NERVOUS = {
    "regimes": {"neutral_low_vol": {"spread_max_pct": 0.0078}},
    "trading_drawdown_soft_pct": 0.0015,
    "trading_day_soft_pct": 0.0010,
    "mtm_day_soft_pct": 0.015,
    "turnover_target_x": 0.1,
    "turnover_cap_x": 1.01,
    "cancel_budget_per_min": 7,
    "cancel_budget_pauses": 100,
    "min_base_pct": 0.44,
    "max_base_pct": 0.52,
}
"""Limits so tight that the recorded market meets them, none of them one that latches."""


@cache
def all_days(nervous: bool) -> Run:
    """All recorded days, with a decision every 20 s."""
    parameters = configured(**NERVOUS) if nervous else configured()
    return drive(read_bars(DATA), parameters, low_first=nervous, step_s=20.0)


def driven(part: tuple[str, str], *, low_first: bool = False, share: float = 0.5) -> Run:
    """A drive over part of the recording."""
    return drive(read_bars(DATA, *part), configured(), low_first=low_first, share=share)


def test_a_calm_market_quotes() -> None:
    run = driven(CALM)
    assert run.ticks > 8000
    assert run.quoting > 0.97 * run.ticks
    assert run.states[GuardState.HARD_STOP] == 0


@pytest.mark.parametrize("low_first", [False, True])
def test_a_crash_is_not_bought_down_past_the_band(low_first: bool) -> None:
    run = driven(CRASH, low_first=low_first)
    assert run.fills > 0
    assert run.most_share <= 0.85


def test_a_crash_that_begins_with_the_band_nearly_full_is_not_bought_down_either() -> None:
    """The market's fall itself lowers the share of base; no fill may take it over the edge."""
    run = driven(CRASH, share=0.845)
    assert run.most_share <= 0.8501


@pytest.mark.parametrize("low_first", [False, True])
def test_the_markets_own_fall_latches_nothing(low_first: bool) -> None:
    run = driven(CRASH, low_first=low_first)
    assert run.states[GuardState.HARD_STOP] == 0
    assert run.quoting > 0


@pytest.mark.parametrize("nervous", [False, True], ids=["defaults", "nervous"])
def test_over_all_recorded_days_every_pause_ends_and_says_what_ends_it(nervous: bool) -> None:
    """Nineteen days with a fall of 17 %: nothing latches, nothing is left over but what the last minutes began."""
    run = all_days(nervous)
    assert run.states[GuardState.HARD_STOP] == 0
    assert run.day_rows == 18
    for code, count in run.began.items():
        assert count - run.ended[code] == (1 if code in run.in_force else 0), code
        assert run.what_ends[code].startswith("ends "), code
    for code, longest in run.longest.items():
        assert longest <= 86_400, f"{code} was in force for {longest} s"
    if nervous:
        met = {"edge", "trading_drawdown", "trading_day_loss", "mtm_day_loss", "cancel_rate"}
        assert met <= set(run.began)
    else:
        assert run.quoting > 0.95 * run.ticks


def test_turnover_and_inventory_stay_within_their_limits_over_all_days() -> None:
    run = all_days(False)
    assert run.least_share >= 0.15
    assert run.most_share <= 0.85
    assert run.most_turnover < 3.1


def test_every_regime_was_met() -> None:
    run = all_days(False)
    assert set(run.regimes) == set(Regime)
    assert run.regimes.most_common(1)[0][0] is Regime.NEUTRAL_LOW_VOL
