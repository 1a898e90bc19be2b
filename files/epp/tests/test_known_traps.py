"""The known traps of public designs and of trials, numbered as in the contract, each proven avoided.

Those of Hummingbot itself can be shown only where it runs, in the bot image (tests/adapter): 5, 6, 7, 11, 12, 13, 15
and 16. The core's share in them is here.
"""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from epp.books.columns import FILLS
from epp.books.csv_book import CsvBook, format_value, read_rows
from epp.core import Fill, GuardState, OrderState, Placement, Side, State
from epp.core import ledger as books
from epp.replay.exchange import ReplayExchange
from epp.replay.settings import FILL_PROBABILITIES, Settings, run_kinds
from epp.replay.settings import Path as CandlePath
from epp.tests.core.stage import DAY_S, MIDNIGHT, NOON, PRICE, Stage, configured, flat_bars, quoting
from pydantic import ValidationError

D = Decimal


def test_trap_1_a_gate_stricter_than_the_floor_so_that_the_bot_could_only_ever_sell() -> None:
    """There is one gate, on the floor: while it is open both sides quote, at any inventory inside the band."""
    for share in (0.2, 0.35, 0.5, 0.65, 0.8):
        stage = quoting(share=share)
        least = stage.engine.minute_row().spread_floor_pct
        assert least is not None
        for side in Side:
            assert abs(float(stage.of(side)[0].price) / PRICE - 1) >= least / 2 - 0.002
    with pytest.raises(ValidationError, match="could never"):
        configured(regimes={"up": {"spread_min_pct": 0.006, "spread_max_pct": 0.0068}})


def test_trap_2_a_skew_with_the_wrong_sign_feeds_the_error() -> None:
    """Each fill of the side that is favoured brings the inventory nearer to its target."""
    for share, favoured in ((0.7, Side.SELL), (0.3, Side.BUY)):
        stage = quoting(share=share)
        distances = {side: abs(float(stage.of(side)[0].price) / PRICE - 1) for side in Side}
        assert min(distances, key=lambda side: distances[side]) is favoured
        error = abs(stage.base_share() - 0.5)
        stage.fill(stage.of(favoured)[0].order_id)
        assert abs(stage.base_share() - 0.5) < error


@pytest.mark.parametrize("move", [1.005, 0.995])
def test_trap_3_drift_that_sees_only_rises(move: float) -> None:
    stage = quoting()
    stage.run(20, 10)
    stage.mid *= move
    stage.tick(10)
    assert stage.state.market.drift_30s == pytest.approx(0.005)
    assert stage.last.regime.value == "high_vol_shock"


def test_trap_3_raw_drift_as_a_cost_pauses_twenty_times_a_day() -> None:
    """One move of 0.3 % in 30 s costs a quarter of it, and quoting goes on."""
    stage = quoting()
    stage.run(20, 10)
    stage.mid *= 1.003
    stage.tick(10)
    adverse = stage.engine.minute_row().adverse_pct
    assert adverse == pytest.approx(0.00075)
    assert stage.doing == "running"


def test_trap_4_spreads_so_narrow_that_the_fee_share_limit_can_never_be_met() -> None:
    """Skew included: a round trip at the two innermost prices, whatever the inventory, pays under 40 % in fees."""
    for share in (0.16, 0.5, 0.84):
        stage = quoting(share=share)
        for side in Side:
            distance = abs(float(stage.of(side)[0].price) / PRICE - 1)
            assert stage.fee / distance <= 0.35 + 1e-6
    with pytest.raises(ValidationError, match="max_fee_share"):
        configured(max_fee_share=0.40)


def test_trap_5_without_events_fills_and_turnover_stay_empty() -> None:
    """The core is told of fills, cancels and failures; it infers none of them from an order that is gone."""
    stage = quoting()
    stage.orders.clear()
    stage.tick()
    assert stage.state.ledger.fills_total == 0
    stage.fill(stage.of(Side.BUY)[0].order_id)
    stage.tick()
    assert stage.engine.minute_row().fills_count == 1
    assert stage.engine.minute_row().turnover_x > 0


def test_trap_6_and_7_nothing_ever_takes_liquidity() -> None:
    """The core has no word for a market order: a placement is a price outside the book."""
    assert set(Placement.__dataclass_fields__) == {"side", "level", "price", "amount"}
    stage = Stage(share=0.0)
    stage.tick()
    assert stage.codes == ["inventory"]
    assert stage.of(Side.BUY)
    assert all(float(order.price) < PRICE for order in stage.of(Side.BUY)), "the target mix is reached maker-only"


def test_trap_8_regimes_that_change_the_number_of_levels_while_the_amounts_keep_theirs() -> None:
    """Amounts are computed for each order; a level that is no more is taken back."""
    stage = quoting(parameters=configured(regime_hold_s=3600))
    assert len(stage.orders) == 8
    stage.state.regime.regime, stage.state.regime.since = stage.state.regime.regime.HIGH_VOL_SHOCK, stage.ts
    stage.tick()
    gone = [stage.orders[name] for name in stage.last.cancel]
    assert {order.level for order in gone} >= {2, 3}
    stage.run(5)
    for side in Side:
        assert [order.level for order in stage.of(side)] == [0, 1]
        assert all(40 < float(order.price * order.remaining) <= 50 for order in stage.of(side))


class _Listener:
    def __init__(self) -> None:
        self.fills: list[Fill] = []

    def filled(self, fill: Fill) -> None:
        self.fills.append(fill)

    def cancelled(self, order_id: str, ts: float) -> None:
        """Not of interest."""

    def refused(self, placement: Placement, ts: float, detail: str) -> None:
        raise AssertionError(detail)


def _replayed(*prices: float, latency: float = 0.0) -> list[Fill]:
    """Fills of a bid at 100 in a replay, over prices that trade 10 each."""
    listener = _Listener()
    settings = Settings(latency_s=latency, market_spread=0.0002, price_precision=2, quantity_precision=4)
    exchange = ReplayExchange(settings, "BTC", "USDT", D(0), D(10_000), listener)
    exchange.place(Placement(Side.BUY, 0, D(100), D(5)), NOON)
    exchange.arrive(NOON, 101.0)
    for number, price in enumerate(prices):
        exchange.trade(price, 10.0, NOON + number, (True, True))
    return listener.fills


def test_trap_9_a_fill_model_that_fills_at_mid_or_on_a_touch() -> None:
    """Not on a touch, only through; at the order's own price; a quarter of what printed."""
    assert _replayed(101.0, 100.5, 100.01, 100.0) == []
    (fill,) = _replayed(101.0, 99.99)
    assert fill.price == 100
    assert fill.amount == D("2.5")
    assert fill.is_maker
    assert _replayed(99.0, latency=1.0) == [], "an order that has not yet arrived cannot fill"


def test_trap_10_a_hard_stop_that_clears_itself() -> None:
    stage = quoting()
    stage.tick(kill_file=True)
    stage.restart()
    stage.ts += 3 * DAY_S
    stage.engine.seed_bars(flat_bars(stage.ts, PRICE, 60))
    stage.run(600, 60)
    assert stage.codes == ["kill_file"]
    assert not stage.orders


def test_trap_10_day_figures_that_a_restart_forgets() -> None:
    stage = quoting()
    stage.trade(Side.BUY, D(49_900), D("0.01"))
    stage.mid *= 0.99
    stage.tick(10)
    before, loss = stage.engine.minute_row(), books.day_loss(stage.state.ledger)
    assert loss > 0
    stage.restart()
    stage.tick(1)
    after = stage.engine.minute_row()
    for name in ("turnover_x", "fills_count", "fees_quote", "realized_pnl_quote", "drawdown_pct", "trading_pnl_quote"):
        assert getattr(after, name) == getattr(before, name), name
    assert books.day_loss(stage.state.ledger) == loss


def test_trap_10_fees_and_balances_that_read_as_zero_on_error() -> None:
    """None is not known, and not known is never zero."""
    for name in ("maker_fee", "base_total", "quote_available"):
        stage = quoting()
        stage.given[name] = None
        stage.tick()
        assert stage.doing in ("soft_pause", "hard_stop")
        assert stage.state.ledger.equity == 10_000
    assert quoting(fee=0.0).doing == "running", "zero is a fee"
    assert format_value(None) == ""
    assert format_value(D(0)) == "0"


def test_trap_11_the_signal_of_a_refused_cancel_is_an_order_that_outlives_it() -> None:
    """No event says so: the core sees that the order is still there."""
    stage = quoting()
    stage.deaf = True
    stage.run(42, book_age_s=99.0)
    assert "cancel_stuck" in stage.codes
    assert stage.engine.minute_row().cancel_fail_streak > 0


def test_trap_12_exceptions_that_the_framework_swallows() -> None:
    """The guard counts them itself."""
    stage = quoting()
    for _ in range(3):
        stage.engine.on_exception(stage.ts, "ValueError: x")
        stage.tick()
    assert stage.doing == "hard_stop"


def test_trap_13_after_a_crash_old_orders_are_swept_before_the_first_quote() -> None:
    """Without the sweep the bot would quote twice."""
    stage = quoting()
    stage.restart()
    stage.orders.clear()
    for decision in stage.run(30, start_swept=False):
        assert not decision.place
    assert len(stage.tick().place) == 8


def test_trap_14_the_books_keep_every_digit(tmp_path: Path) -> None:
    """Hummingbot's own database keeps six decimals; ours are not read back from there."""
    stage = quoting()
    price, amount = D("0.000012345678"), D("12345.12345678")
    booked = stage.engine.on_fill(
        Fill(
            trade_id="1", order_id="x", ts=stage.ts, side=Side.BUY, price=price, amount=amount,
            fee_amount=D("0.00000001"), fee_asset="USDT",
        )
    )  # fmt: skip
    assert booked is not None
    assert (
        booked.notional_quote == D("0.15240892").__class__("0.152408917348147500")
        or booked.notional_quote == price * amount
    )
    plain = json.loads(json.dumps(stage.engine.state.to_dict()))
    assert State.from_dict(plain).ledger.lots[0].price == price
    book = CsvBook(tmp_path / "fills.csv", FILLS, datetime.fromtimestamp(NOON, UTC))
    row: dict[str, Any] = dict.fromkeys(FILLS, None) | {
        "price": booked.price, "amount_base": booked.amount_base, "notional_quote": booked.notional_quote,
        "fee_quote": booked.fee_quote,
    }  # fmt: skip
    book.append(row)
    book.close()
    (written,) = read_rows(tmp_path / "fills.csv")
    assert D(written["price"]) == price
    assert D(written["amount_base"]) == amount
    assert D(written["notional_quote"]) == price * amount
    assert written["fee_quote"] == "0.00000001"


def test_trap_15_quote_anew_only_when_the_old_order_is_known_to_be_gone() -> None:
    """Seconds after its cancel an order may still rest."""
    stage = quoting()
    stage.run(95, 5)
    stage.deaf = True
    stage.mid *= 1.002
    stage.tick()
    assert len(stage.last.cancel) == 8
    for decision in stage.run(9):
        assert not decision.place
        assert {order.state for order in stage.orders.values()} == {OrderState.CANCELLING}
    stage.deaf = False
    assert len(stage.tick().place) == 8


def test_trap_16_a_cached_configuration_goes_stale() -> None:
    """It is frozen: nothing can be changed under the core's feet."""
    parameters = configured()
    for name in type(parameters).model_fields:
        with pytest.raises(ValidationError):
            setattr(parameters, name, getattr(parameters, name))


@pytest.mark.parametrize("what", ["markout", "fee share", "drawdown"])
def test_trap_17_a_pause_whose_end_needs_a_fill(what: str) -> None:
    stage = quoting(parameters=configured(trading_day_soft_pct=0.5, trading_day_hard_pct=0.6))
    if what == "markout":  # only fills measure it; it decays by itself, and is capped
        stage.state.markout.value, stage.state.markout.ts = 0.05, stage.ts
    elif what == "fee share":  # only new lots cure it; it widens for a day, and never pauses
        stage.state.ledger.round_trips = [books.RoundTrip(D(1), D(9)) for _ in range(100)]
        stage.trade(Side.BUY, D(PRICE), D("0.000001"))
    else:  # from a peak that must be taken anew
        stage.quote -= 220
        stage.state.ledger.expected_quote -= 220
    fills = stage.state.ledger.fills_total
    for ts in (stage.ts, stage.ts + 6 * 3600, MIDNIGHT + DAY_S, MIDNIGHT + DAY_S + 18 * 3600):
        stage.ts = ts
        stage.engine.seed_bars(flat_bars(stage.ts, PRICE, 60))
        stage.run(100, 10)
    assert stage.doing == "running"
    assert stage.orders
    assert stage.state.ledger.fills_total == fills


def test_trap_18_loss_limits_on_a_half_btc_inventory_are_limits_on_btc() -> None:
    """A fall of 7 % in a day: half of it is lost on paper, and trading is to blame for none of it."""
    stage = quoting()
    while stage.mid > PRICE * 0.93:
        stage.mid *= 0.995
        stage.tick(60)
        for order in list(stage.orders):
            stage.orders.pop(order)
    ledger = stage.state.ledger
    assert books.day_loss(ledger) > 0.03
    assert books.trading_day_loss(ledger) == 0
    assert books.trading_drawdown(ledger) == 0
    assert ledger.trading_pnl == 0
    assert stage.last.state is not GuardState.HARD_STOP
    (line,) = configured(mtm_day_hard_pct=0.041).warnings()
    assert "a limit on the price, not on the strategy" in line


def test_trap_19_orders_that_are_each_fine_and_together_leave_the_band() -> None:
    stage = quoting(share=0.83)
    assert len(stage.of(Side.BUY)) < 4
    for order in stage.of(Side.BUY):
        stage.fill(order.order_id)
    assert stage.base_share() <= 0.85


def test_trap_19_orders_of_a_tenth_of_a_micro_account_because_the_minimum_binds() -> None:
    stage = Stage(equity=50.0)
    stage.tick()
    assert stage.codes == ["capital"]
    assert not stage.orders


def test_trap_20_a_candles_inner_order_decides_the_sign_of_a_result() -> None:
    """Both orders are run, with every fill probability."""
    kinds = list(run_kinds(trades=False))
    assert {kind.path for kind in kinds} == {CandlePath.HIGH_FIRST, CandlePath.LOW_FIRST}
    assert {kind.fill_probability for kind in kinds} == set(FILL_PROBABILITIES) == {1.0, 0.5, 0.25}
    assert len(kinds) == 6
