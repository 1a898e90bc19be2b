"""Who trades and who never does, whatever else is configured or happens."""

from typing import Any

import pytest
from epp.core import Placement, Side, State
from epp.tests.core.situations import SITUATIONS, Situation, decided, stages
from epp.tests.core.stage import NOON, PROPERTY, Stage, configured
from hypothesis import given
from hypothesis import strategies as st

ROLES: list[dict[str, Any]] = [
    {"variant": "b"}, {"variant": "c"}, {"variant": "d"}, {"no_trade": True}, {"enabled": False},
    {"variant": "d", "no_trade": False, "enabled": True}, {"variant": "b", "enabled": True},
]  # fmt: skip
IDLE = st.one_of([stages(**role).map(decided) for role in ROLES])


@PROPERTY
@given(IDLE)
def test_variants_b_c_and_d_never_yield_an_order(situation: Situation) -> None:
    """In any market, with any account, orders and configuration; and what rests is taken back."""
    assert not situation.decision.place
    assert not situation.kept


@PROPERTY
@given(SITUATIONS)
def test_only_a_running_bot_yields_one(situation: Situation) -> None:
    if situation.decision.place:
        assert situation.stage.parameters.variant == "a"
        assert situation.decision.state.value in ("running", "reduce_only")


@pytest.mark.parametrize(
    ("role", "detail", "ends"),
    [
        ({"variant": "c"}, "variant c is a stub", "never: another variant is another bot"),
        ({"variant": "d"}, "variant d, no_trade", "ends when no_trade is taken out of the configuration"),
        ({"enabled": False}, "enabled is false", "ends when enabled is set in the configuration"),
    ],
)
def test_a_role_says_what_it_is_and_what_ends_it(role: dict[str, Any], detail: str, ends: str) -> None:
    stage = Stage(parameters=configured(**role))
    (reason,) = stage.tick().reasons
    assert (reason.detail, reason.ends) == (detail, ends)


@pytest.mark.parametrize(
    ("role", "state", "reason"),
    [
        ({"variant": "a"}, "running", None),
        ({"variant": "b"}, "hard_stop", "stub_disabled"),
        ({"variant": "c", "enabled": False}, "hard_stop", "stub_disabled"),
        ({"variant": "b", "no_trade": True}, "hard_stop", "stub_disabled"),
        ({"variant": "d"}, "soft_pause", "no_trade"),
        ({"variant": "d", "no_trade": False, "enabled": False}, "soft_pause", "no_trade"),
        ({"variant": "a", "no_trade": True}, "soft_pause", "no_trade"),
        ({"variant": "a", "enabled": False}, "hard_stop", "disabled"),
        ({"variant": "a", "enabled": False, "no_trade": True}, "hard_stop", "disabled"),
    ],
)
def test_what_each_variant_reports(role: dict[str, Any], state: str, reason: str | None) -> None:
    stage = Stage(parameters=configured(**role))
    stage.run(120, 10)
    assert stage.doing == state
    assert stage.codes == ([reason] if reason is not None else [])
    assert bool(stage.orders) is (reason is None)
    if reason is not None:
        assert stage.last.reasons[0].ends
        assert stage.state.guard.latch is None, "a role is no incident: nothing is latched"
        assert not stage.last.direct_cancel_all


def test_bot_d_keeps_its_books_and_its_market_all_the_same() -> None:
    stage = Stage(parameters=configured(variant="d"))
    stage.run(120, 10)
    stage.mid *= 1.01
    stage.tick(10)
    row = stage.engine.minute_row()
    assert row.state.value == "soft_pause"
    assert row.reasons == "no_trade"
    assert row.mid == stage.mid
    assert row.equity_quote is not None
    assert float(row.equity_quote) == pytest.approx(10_050)
    assert row.drawdown_pct == 0
    assert row.band_pct is not None
    assert stage.state.market.samples[-1] == (stage.ts, stage.mid)
    stage.ts = NOON + 86_400
    assert stage.tick().day_rows


def test_a_kill_file_changes_nothing_of_a_bot_that_never_trades() -> None:
    stage = Stage(parameters=configured(variant="d"))
    stage.run(20, 10, kill_file=True)
    assert (stage.doing, stage.codes) == ("soft_pause", ["no_trade"])
    assert stage.state.guard.latch is None


def test_bot_d_takes_back_an_order_that_is_its_own() -> None:
    stage = Stage(parameters=configured(variant="d"))
    stage.tick()
    name = stage.put(Placement(Side.BUY, 0, stage.base * 0 + 40_000, stage.base))
    stage.tick()
    assert list(stage.last.cancel) == [name]


@pytest.mark.parametrize(
    "seen", [{"bid": None}, {"connector_ready": False}, {"base_total": None}, {"book_age_s": 99.0}]
)
def test_bot_d_books_nothing_that_cannot_be_trusted(seen: dict[str, Any]) -> None:
    stage = Stage(parameters=configured(variant="d"))
    stage.tick()
    equity = stage.state.ledger.equity
    stage.base *= 2
    stage.mid *= 1.001
    stage.tick(10, **seen)
    assert stage.state.ledger.equity == equity


def test_a_latch_from_another_life_shows_in_bot_d_too() -> None:
    stage = Stage()
    stage.tick(kill_file=True)
    plain = stage.engine.state.to_dict()
    other = Stage(parameters=configured(variant="d"), state=State.from_dict(plain))
    other.tick()
    assert other.codes == ["kill_file", "no_trade"]
    assert other.doing == "hard_stop"
