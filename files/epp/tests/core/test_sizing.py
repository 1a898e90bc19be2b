"""Sizes and prices on the exchange's grid, and the start that its least order would dominate."""

import math
from decimal import Decimal

import pytest
from epp.core import TradingRules
from epp.core.sizing import least_amount, order_amount, start_refusal
from epp.tests.core.stage import PRICE, PROPERTY, RULES, Stage, configured, quoting
from hypothesis import given
from hypothesis import strategies as st

D = Decimal


def test_a_binding_minimum_rounds_the_step_up() -> None:
    rules = TradingRules(D("0.01"), D("0.001"), D(5))
    assert least_amount(D(3000), rules) == D("0.002")
    assert least_amount(D(2500), rules) == D("0.002")
    assert least_amount(D(5000), rules) == D("0.001")
    assert least_amount(D(5000), TradingRules(D("0.01"), D("0.001"), D(5), D("0.0035"))) == D("0.004")


@pytest.mark.parametrize(
    ("wanted", "cap", "expected"),
    [
        (100.0, 1000.0, "0.033"),
        (100.0, 60.0, "0.02"),
        (1.0, 1000.0, "0.002"),
        (1.0, 6.0, "0.002"),
        (1.0, 5.9, None),
        (100.0, 6.0, "0.002"),
        (100.0, 5.0, None),
        (0.0, 100.0, None),
        (-1.0, 100.0, None),
        (100.0, 0.0, None),
        (100.0, -5.0, None),
    ],
)
def test_an_order_is_as_large_as_wanted_at_least_the_minimum_and_at_most_the_cap(
    wanted: float, cap: float, expected: str | None
) -> None:
    found = order_amount(D(3000), wanted, cap, TradingRules(D("0.01"), D("0.001"), D(5)))
    assert found == (D(expected) if expected is not None else None)


@PROPERTY
@given(
    price=st.integers(1, 10**9).map(lambda units: D(units) / 1000),
    wanted=st.floats(0.01, 1e5),
    cap=st.floats(0.01, 1e5),
    step=st.integers(-8, 0),
    least=st.integers(1, 20),
)
def test_an_amount_is_on_the_step_worth_the_minimum_and_within_the_cap(
    price: Decimal, wanted: float, cap: float, step: int, least: int
) -> None:
    rules = TradingRules(D("0.001"), D(1).scaleb(step), D(least))
    found = order_amount(price, wanted, cap, rules)
    if found is None:
        one_least = least_amount(price, rules)
        assert one_least * price > D(repr(cap)) - rules.step * price, "an order would have fitted"
        return
    assert found % rules.step == 0
    assert found * price >= rules.min_notional
    assert float(found * price) <= cap * (1 + 1e-12)
    assert found <= max(D(repr(wanted)) / price, least_amount(price, rules))


def test_the_size_is_computed_at_the_orders_own_price() -> None:
    stage = quoting()
    for order in stage.orders.values():
        worth = float(order.price * order.remaining)
        assert 100 - float(order.price * RULES.step) <= worth <= 100


def test_an_order_is_never_worth_more_than_the_cap() -> None:
    stage = quoting(parameters=configured(max_order_notional_quote=40.0))
    assert {math.floor(float(order.price * order.remaining)) for order in stage.orders.values()} == {39}


def test_all_orders_together_are_never_worth_more_than_the_amount() -> None:
    stage = quoting(parameters=configured(total_amount_quote=250.0))
    worth = sorted(round(float(order.price * order.remaining)) for order in stage.orders.values())
    assert worth == [50, 100, 100]


# ---- the start


@pytest.mark.parametrize(("equity", "starts"), [(262.4, False), (262.5, True)])
def test_a_start_is_refused_when_the_least_order_is_over_two_percent_of_equity(equity: float, starts: bool) -> None:
    """5 USDT and 5 % to spare are 2 % of 262.50."""
    stage = Stage(equity=equity)
    stage.tick()
    assert bool(stage.orders) is starts
    if not starts:
        assert stage.doing == "hard_stop"
        assert stage.codes == ["capital"]
        assert "262.50 USDT" in stage.reason("capital").detail
        assert "262.40" in stage.reason("capital").detail
        assert stage.state.guard.latch is None


def test_the_least_amount_counts_as_the_least_order_too() -> None:
    rules = TradingRules(D("0.01"), D("0.000001"), D(5), D("0.0004"))  # 20 USDT
    refused = start_refusal(configured(), rules, D(1000), PRICE)
    assert refused is not None
    assert refused[0] == "capital"
    assert start_refusal(configured(), rules, D(1051), PRICE) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_order_notional_quote": 5.24}, "max_order_notional_quote"),
        ({"total_amount_quote": 5.24}, "total_amount_quote"),
        ({"total_amount_quote": 0.0}, "total_amount_quote"),
        ({"max_order_notional_quote": 5.25}, None),
        ({"total_amount_quote": 5.25}, None),
    ],
)
def test_a_start_is_refused_when_the_cap_is_below_the_minimum(changes: dict[str, float], said: str | None) -> None:
    stage = Stage(parameters=configured(**changes))
    stage.tick()
    if said is None:
        assert stage.doing == "running"
    else:
        assert stage.codes == ["order_cap"]
        assert stage.reason("order_cap").detail.startswith(f"{said} ")
        assert not stage.orders


def test_enough_capital_ends_the_refusal() -> None:
    stage = Stage(equity=200.0)
    stage.tick()
    assert stage.codes == ["capital"]
    stage.engine.transfer(stage.ts, quote=D(100), reason="more")
    stage.quote += 100
    stage.tick()
    assert "capital" not in stage.codes
    assert stage.doing in ("running", "reduce_only")


def test_a_bot_that_has_started_is_not_refused_for_what_the_market_took() -> None:
    stage = quoting(equity=263.0)
    stage.mid *= 0.985
    stage.run(600, 10)
    assert "capital" not in stage.codes


def test_a_withdrawal_asks_again() -> None:
    stage = quoting()
    stage.engine.transfer(stage.ts, quote=D(-4900), base=D("-0.098"), reason="home")
    stage.quote -= 4900
    stage.base -= D("0.098")
    stage.tick()
    assert stage.codes == ["capital"]
    assert stage.doing == "hard_stop"
    assert set(stage.last.cancel) == set(stage.orders)
