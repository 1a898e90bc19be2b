"""The ops guard's table in real Hummingbot: one test for each row, against the paper exchange's own misbehaviour.

Rows that do not disturb each other share a bot, one class each; its last test stops the bot and reads the day's row.
Long thresholds are shortened by the configuration where it allows; the defaults are proven in the core
(tests/core/test_guard_table.py). What lasts to the roll is ended by a night that the bot sleeps through: its state is
moved back by a day while it is down.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest
from epp.tests.adapter.conftest import KEYS, wait_for
from epp.tests.adapter.watch import (
    LARGE,
    RECOVERY_S,
    SOON_S,
    START_S,
    Watch,
    a_bot,
    descent,
    fall,
    log_time,
    neutral,
    stairs,
    wave,
)

pytestmark = pytest.mark.bot_image


@pytest.fixture(scope="class")
def watch(request: pytest.FixtureRequest, bot_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    """The bot that the tests of a class share."""
    market: Callable[[], list[float]] = request.cls.MARKET
    with a_bot(tmp_path_factory.mktemp("guard"), market(), **request.cls.PARAMETERS) as watch:
        yield watch


class TestConnectorAndFeed:
    """connector not ready / feed stale: soft_pause, pages, recovers by itself; hard_stop only with orders unproven."""

    MARKET = staticmethod(wave)
    PARAMETERS: ClassVar[dict[str, Any]] = {
        # The market moves by 1 bp a second: a look that comes some seconds late finds no other book.
        "rest_tolerance_bps": 15,
        # A silent socket is pinged every 10 s.
        "feed_stale_s": 16,
        "connector_pause_s": 12,
        "connector_page_s": 60,
    }

    def test_a_dropped_socket_is_opened_again_and_nothing_pauses(self, watch: Watch) -> None:
        watch.running()
        assert watch.exchange.ctl("fault", "drop-sockets")["dropped"] == 2
        wait_for(
            "both sockets again", lambda: watch.exchange.ctl("health")["sockets"] == {"public": 1, "private": 1}, SOON_S
        )
        time.sleep(12)
        assert watch.guard()["state"] == "running"
        watch.quotes_both_sides()

    def test_a_silent_socket_is_told_by_the_rest_book(self, watch: Watch) -> None:
        """Its keepalive is answered, so that its age says nothing; the REST book has moved on, and stays away."""
        watch.running()
        watch.shortly_before_a_row(35)
        watch.exchange.fault("silent-feed")
        watch.exchange.fault("price-jump", "percent=1")
        row = watch.pauses("feed", SOON_S)
        assert float(row["book_age_s"]) < 16
        assert "the REST book is" in watch.bot.log()
        watch.exchange.behave()
        watch.running(RECOVERY_S)

    def test_a_socket_that_cannot_be_opened_again_is_a_stale_feed(self, watch: Watch) -> None:
        watch.running()
        watch.exchange.fault("refuse-socket")
        watch.exchange.ctl("fault", "drop-sockets")
        watch.bot.wait_for_log("no public message for", SOON_S)
        row = watch.pauses("feed", SOON_S)
        assert float(row["book_age_s"]) > 16
        watch.exchange.behave()
        watch.running(RECOVERY_S)

    def test_a_connector_that_is_not_ready_pauses_pages_and_comes_back(self, watch: Watch) -> None:
        """The exchange is down for its own status, and takes cancels still: no order is left, so nothing latches."""
        watch.running()
        watch.exchange.fault("http-error", "endpoint=time")
        watch.pauses("connector", RECOVERY_S)
        watch.bot.wait_for_log("Alert: connector_30min", RECOVERY_S)
        time.sleep(3)
        assert watch.guard()["latch"] is None
        watch.exchange.behave()
        watch.running(RECOVERY_S)

    def test_an_outage_with_own_orders_not_proven_absent_latches(self, watch: Watch) -> None:
        """Nothing answers: after so long the orders may still be there. They are cancelled when it answers again."""
        watch.running()
        watch.holds_its_orders()
        watch.exchange.fault("http-error", "status=503")
        watch.exchange.fault("refuse-socket")
        watch.exchange.ctl("fault", "drop-sockets")
        watch.latches("connector", 60 + RECOVERY_S, orders_go=False)
        assert watch.exchange.orders(), "they could not be cancelled"
        watch.exchange.behave()
        watch.no_order_is_left()
        watch.stays_latched("connector")
        watch.reset("connector")

    def test_the_days_row(self, watch: Watch) -> None:
        watch.the_day_counts_them()


class TestBalancesAndClock:
    """balances inconsistent: soft_pause at once, hard_stop after three checks; the clock off by over 1 s and 5 s."""

    MARKET = staticmethod(wave)
    PARAMETERS: ClassVar[dict[str, Any]] = {"balance_settle_s": 4, "balance_check_s": 20}

    def test_impossible_balances_pause_at_once_and_end_by_themselves(self, watch: Watch) -> None:
        watch.running()
        watch.shortly_before_a_row(15)
        watch.exchange.fault("wrong-balance", "amount=-100000")
        watch.pauses("balances", 20)
        assert "balances (negative:" in watch.bot.log()
        watch.exchange.behave()
        watch.running(RECOVERY_S)

    def test_balances_off_from_the_fills_sum_latch_at_the_third_check(self, watch: Watch) -> None:
        """A withdrawal that nobody booked. A reset takes the balances as they are."""
        watch.running()
        began = time.time()
        watch.exchange.fault("wrong-balance", "amount=-100")
        watch.until("soft_pause", "balances", SOON_S)
        watch.no_order_is_left()
        assert watch.until("hard_stop", "balances", RECOVERY_S) - began > 2 * 20
        watch.latches("balances")
        assert "off from the fills' sum by" in watch.guard()["latch"]["detail"]
        watch.reset("balances")
        watch.exchange.behave()  # the money is back: that is a mismatch, too
        watch.until("soft_pause", "balances", SOON_S)
        answer = watch.bot.request("transfer", "it was the test's", quote="100")
        assert answer == "done"
        watch.running(RECOVERY_S)

    def test_a_clock_off_by_over_a_second_pauses_until_it_is_in_step(self, watch: Watch) -> None:
        watch.running()
        watch.exchange.fault("clock-skew", "ms=2500")
        row = watch.pauses("clock", RECOVERY_S)
        # The one sample that the row tells is uncertain by half its round trip.
        assert 1.5 < float(row["clock_skew_s"]) < 3.5
        assert watch.guard()["latch"] is None
        watch.exchange.behave()
        watch.running(RECOVERY_S)

    def test_a_clock_off_by_over_five_seconds_latches(self, watch: Watch) -> None:
        watch.running()
        watch.exchange.fault("clock-skew", "ms=-8000")
        watch.latches("clock", RECOVERY_S)
        watch.exchange.behave()
        watch.reset("clock")

    def test_the_days_row(self, watch: Watch) -> None:
        watch.the_day_counts_them()


class TestAnOrderThatOutlivesItsCancel:
    """Direct cancels every 5 s from 10 s on, soft_pause at 30 s, hard_stop at 120 s: the defaults."""

    MARKET = staticmethod(wave)
    PARAMETERS: ClassVar[dict[str, Any]] = neutral(refresh_s=5)

    def refusals(self, watch: Watch) -> int:
        """Direct cancels that were refused so far."""
        return watch.bot.log().count("refused: ")

    def test_it_pauses_and_ends_when_the_order_is_gone(self, watch: Watch) -> None:
        watch.running()
        watch.holds_its_orders()  # what is stuck stays
        watch.until("soft_pause", "cancel_stuck", 60 + SOON_S)
        lines = watch.bot.log().splitlines()
        first = log_time(next(line for line in lines if "refused: " in line))
        assert 12 < watch.changed("running to soft_pause") - first < 30
        assert self.refusals(watch) >= 4
        late = [o for o in watch.exchange.orders(closed=True) if first + 2 < int(o["cTime"]) / 1000]
        assert late == [], "nothing is placed while an order outlives its cancel"
        left = {order["clientOid"] for order in watch.exchange.orders()}
        assert left, "refused is refused"
        watch.exchange.behave()
        wait_for("them gone", lambda: left.isdisjoint(o["clientOid"] for o in watch.exchange.orders()), SOON_S, 1)
        watch.running(RECOVERY_S)

    def test_at_two_minutes_it_latches_and_cancels_until_none_is_open(self, watch: Watch) -> None:
        watch.running()
        watch.holds_its_orders()  # what is stuck stays
        watch.pauses("cancel_stuck", 60 + SOON_S, orders_go=False)
        row = watch.latches("cancel_stuck", RECOVERY_S, orders_go=False)
        assert int(row["orders_active"]) > 0
        assert int(row["cancel_fail_streak"]) > 15
        refused = self.refusals(watch)
        wait_for("it goes on trying", lambda: self.refusals(watch) > refused, SOON_S)
        watch.exchange.behave()
        watch.no_order_is_left()
        watch.stays_latched("cancel_stuck")
        watch.reset("cancel_stuck")

    def test_the_days_row(self, watch: Watch) -> None:
        watch.the_day_counts_them()


class TestCancelsPerMinute:
    """More than the budget: soft_pause for its hold; the last of so many such pauses within an hour latches."""

    MARKET = staticmethod(wave)
    PARAMETERS: ClassVar[dict[str, Any]] = neutral(refresh_s=5) | {
        "cancel_budget_per_min": 10,
        # Longer than until the next row, also when ticks are late.
        "cancel_budget_hold_s": 75,
        "cancel_budget_pauses": 2,
    }

    def test_too_many_pause_for_the_hold_and_the_last_pause_of_an_hour_latches(self, watch: Watch) -> None:
        watch.running()
        watch.pauses("cancel_rate", RECOVERY_S)
        began = watch.changed("running to soft_pause")
        watch.until("running", within=75 + SOON_S)
        assert 74 < watch.changed("soft_pause to running") - began < 83
        watch.latches("cancel_rate", RECOVERY_S)
        watch.reset("cancel_rate")

    def test_the_days_row(self, watch: Watch) -> None:
        watch.the_day_counts_them()


class TestPriceSanityAndEdge:
    """A market nobody should quote in: soft_pause, which ends by itself and never latches."""

    MARKET = staticmethod(wave)
    PARAMETERS: ClassVar[dict[str, Any]] = neutral(spread_max_pct=0.0110) | {"edge_hold_s": 10}

    def test_a_market_too_wide_to_trust_pauses_until_it_is_narrow_again(self, watch: Watch) -> None:
        watch.running()
        watch.shortly_before_a_row(15)
        watch.exchange.fault("thin-book", "bps=40")
        row = watch.pauses("price_sanity", SOON_S)
        assert float(row["best_ask"]) / float(row["best_bid"]) > 1.0075
        watch.exchange.behave()
        watch.running(RECOVERY_S)

    def test_a_floor_over_the_widest_spread_is_no_edge(self, watch: Watch) -> None:
        """The market's own width lifts the floor; it must have been low again for its hold."""
        watch.running()
        watch.shortly_before_a_row(15)
        watch.exchange.fault("thin-book", "bps=24")
        row = watch.pauses("edge", SOON_S)
        assert float(row["spread_floor_pct"]) > 0.0110 * 0.003 / 0.007
        cleared = time.time()
        watch.exchange.behave()
        watch.until("running", within=RECOVERY_S)
        assert watch.changed("soft_pause to running") - cleared > 10
        watch.quotes_both_sides()

    def test_the_days_row(self, watch: Watch) -> None:
        assert watch.guard()["latch"] is None
        watch.the_day_counts_them()


class TestExceptionsAndKillFile:
    """An exception in the tick pauses, three in a row latch, and so does the operator's kill file."""

    MARKET = staticmethod(wave)
    PARAMETERS: ClassVar[dict[str, Any]] = {"exception_hold_s": 40}

    @contextlib.contextmanager
    def no_way_into_the_state(self, watch: Watch) -> Iterator[None]:
        """What somebody's chmod does: every tick of the adapter raises."""
        watch.bot.state_directory.chmod(0)
        try:
            yield
        finally:
            watch.bot.state_directory.chmod(0o755)

    def test_an_exception_in_the_tick_pauses_at_once_and_for_its_hold(self, watch: Watch) -> None:
        watch.running()
        watch.shortly_before_a_row(20)
        with self.no_way_into_the_state(watch):
            wait_for("an exception", lambda: "The tick failed" in watch.bot.log(), 19, 0.05)
        row = watch.pauses("exception", 19)
        assert "PermissionError" in watch.guard()["exception_detail"]
        assert row["state"] == "soft_pause"
        watch.running(RECOVERY_S)

    def test_three_in_a_row_latch(self, watch: Watch) -> None:
        watch.running()
        failed = watch.bot.log().count("The tick failed")
        with self.no_way_into_the_state(watch):
            wait_for("exceptions", lambda: watch.bot.log().count("The tick failed") >= failed + 4, SOON_S, 0.1)
            watch.no_order_is_left()
        watch.latches("exception", SOON_S)
        watch.reset("exception")

    def test_a_request_that_cannot_be_answered_is_carried_out_once(self, watch: Watch) -> None:
        """Money is booked once, however often the answer fails, and over a crash."""

        def reference() -> Decimal:
            return Decimal(watch.bot.state()["ledger"]["reference_quote"])

        watch.running()
        before = reference()
        answers = watch.bot.state_directory / "commands/answered"
        answers.chmod(0o555)
        answer = watch.bot.ask("transfer", "a deposit", quote="5")
        watch.until("hard_stop", "exception", SOON_S)
        assert reference() == before + 5
        watch.bot.kill()
        answers.chmod(0o755)
        watch.bot.start()
        watch.bot.wait_until_ready()
        assert watch.bot.answer(answer) == "done"
        assert reference() == before + 5
        watch.reset("exception")

    def test_the_kill_file_stops_it_at_once_and_its_removal_ends_nothing(self, watch: Watch) -> None:
        watch.running()
        (watch.bot.state_directory / "kill").touch()
        touched = time.time()
        watch.until("hard_stop", "kill_file", SOON_S)
        assert watch.changed("running to hard_stop") - touched < 5, "at its next tick, one a second"
        watch.latches("kill_file")
        (watch.bot.state_directory / "kill").unlink()
        watch.bot.kill()
        state = watch.bot.state_directory / "state_paper.json"
        state.write_text(state.read_text().replace('"schema":1', '"schema":99', 1))
        watch.bot.start()
        watch.bot.wait_for_log("its schema is 99, this program writes 1; set aside")
        watch.seen = set()  # what it counted of the day is set aside with it
        watch.bot.wait_until_ready()
        time.sleep(3)
        watch.until("hard_stop", "kill_file", SOON_S)
        watch.reset("kill_file")

    def test_the_days_row(self, watch: Watch) -> None:
        watch.the_day_counts_them()


class TestTradingDrawdown:
    """Bought on the way down: soft_pause for its hold, then from a new peak; hard_stop from the true one."""

    MARKET = staticmethod(stairs)
    PARAMETERS: ClassVar[dict[str, Any]] = (
        LARGE
        | neutral(order_size_pct=0.03, refresh_s=60)
        | {
            # The first fall costs some 6 of 10,000, each later one 10 and more.
            "trading_drawdown_soft_pct": 0.0002,
            "trading_drawdown_hold_h": 0.02,
            "trading_drawdown_hard_pct": 0.0013,
        }
    )

    def test_it_pauses_for_its_hold_and_measures_anew(self, watch: Watch) -> None:
        watch.running()
        row = watch.pauses("trading_drawdown", 400)
        assert float(row["trading_drawdown_pct"]) >= 0.0002
        assert float(row["trading_pnl_quote"]) < 0
        watch.bot.wait_for_log("over: trading_drawdown", RECOVERY_S)

    def test_from_the_true_peak_it_latches(self, watch: Watch) -> None:
        row = watch.latches("trading_drawdown", 600)
        assert float(row["trading_drawdown_pct"]) >= 0.0013
        watch.reset("trading_drawdown")

    def test_the_days_row(self, watch: Watch) -> None:
        watch.the_day_counts_them()


class TestTradingLossOfTheDay:
    """soft_pause to the roll, hard_stop."""

    MARKET = staticmethod(stairs)
    PARAMETERS: ClassVar[dict[str, Any]] = (
        LARGE
        | neutral(order_size_pct=0.03, refresh_s=60)
        | {"trading_day_soft_pct": 0.0002, "trading_day_hard_pct": 0.0018}
    )

    def test_it_pauses_to_the_roll(self, watch: Watch) -> None:
        watch.clear_of_midnight(12)
        watch.running()
        watch.pauses("trading_day_loss", 400)
        watch.sleep_over_midnight()
        assert "trading_day_loss:1" in watch.yesterday()["ops_events"].split(";")
        assert "over: " in watch.bot.log().rpartition("Ready to quote")[2]

    def test_a_greater_loss_latches(self, watch: Watch) -> None:
        watch.until("soft_pause", "trading_day_loss", 400)
        watch.latches("trading_day_loss", 600)
        watch.reset("trading_day_loss")

    def test_the_days_row(self, watch: Watch) -> None:
        watch.the_day_counts_them()


class TestMarkToMarketLossOfTheDay:
    """reduce_only to the roll, hard_stop; nothing is sold for it."""

    MARKET = staticmethod(fall)
    PARAMETERS: ClassVar[dict[str, Any]] = {
        "rest_tolerance_bps": 100,
        "mtm_day_soft_pct": 0.001,
        "mtm_day_hard_pct": 0.01,
    }

    def test_it_reduces_only_to_the_roll(self, watch: Watch) -> None:
        watch.clear_of_midnight(8)
        watch.runs_into_the_fall()
        watch.reduces("mtm_day_loss", RECOVERY_S)
        watch.sleep_over_midnight()
        assert "mtm_day_loss:1" in watch.yesterday()["ops_events"].split(";")
        assert "over: " in watch.bot.log().rpartition("Ready to quote")[2]

    def test_a_greater_loss_latches_and_sells_nothing(self, watch: Watch) -> None:
        watch.until("reduce_only", "mtm_day_loss", RECOVERY_S)
        watch.until("hard_stop", "mtm_day_loss", 300)
        watch.no_order_is_left()
        fills = watch.exchange.fills()
        row = watch.latches("mtm_day_loss")
        assert watch.exchange.fills() == fills
        assert float(row["base_balance"]) > 0
        assert "; holds" in watch.bot.log(), "the alert says how much it holds"
        watch.reset("mtm_day_loss")

    def test_the_days_row(self, watch: Watch) -> None:
        watch.the_day_counts_them()


class TestMarkToMarketDrawdown:
    """reduce_only, then hard_stop, under the peak of 30 days."""

    MARKET = staticmethod(fall)
    PARAMETERS: ClassVar[dict[str, Any]] = {
        "rest_tolerance_bps": 100,
        "mtm_drawdown_soft_pct": 0.001,
        "mtm_drawdown_hard_pct": 0.01,
    }

    def test_it_reduces_only_and_then_latches(self, watch: Watch) -> None:
        watch.clear_of_midnight(5)
        watch.runs_into_the_fall()
        row = watch.reduces("mtm_drawdown", RECOVERY_S)
        assert 0.001 <= float(row["drawdown_pct"]) < 0.01
        row = watch.latches("mtm_drawdown", 300)
        assert float(row["drawdown_pct"]) >= 0.01
        watch.reset("mtm_drawdown")

    def test_the_days_row(self, watch: Watch) -> None:
        watch.the_day_counts_them()


class TestTurnoverAndFees:
    """At the turnover cap only the error is reduced, to the roll; fees that take too much alert and never pause."""

    MARKET = staticmethod(descent)
    PARAMETERS: ClassVar[dict[str, Any]] = (
        LARGE
        | neutral(order_size_pct=0.04, refresh_s=5)
        | {"turnover_target_x": 1.4, "turnover_cap_x": 1.5, "fee_share_round_trips": 10}
    )

    def test_fees_over_gross_alert_and_widen_and_never_pause(self, watch: Watch) -> None:
        watch.clear_of_midnight(12)
        watch.running()
        before = [float(row["spread_pct"]) for row in watch.bot.book("minute") if row["spread_pct"]]
        watch.bot.wait_for_log("Alert: fee_share", 480)
        since = time.time()
        guard = watch.guard()
        assert guard["fee_share_bad"]
        assert guard["state"] in ("running", "reduce_only")
        wait_for(
            "a minute row",
            lambda: datetime.fromisoformat(watch.bot.book("minute")[-1]["ts"]).timestamp() > since,
            60 + SOON_S,
        )
        row = watch.bot.book("minute")[-1]
        assert row["state"] in ("running", "reduce_only")
        assert "fee_share" not in row["reasons"]
        assert float(row["spread_pct"]) >= 1.25 * min(before, default=0.003) - 1e-9

    def test_at_the_turnover_cap_only_the_error_is_reduced_to_the_roll(self, watch: Watch) -> None:
        row = watch.reduces("turnover_cap", 480)
        assert float(row["turnover_x"]) >= 1.5
        watch.sleep_over_midnight()
        assert "turnover_cap:1" in watch.yesterday()["ops_events"].split(";")
        watch.running(RECOVERY_S)
        assert "turnover_cap" not in watch.guard()["codes"]

    def test_the_days_row(self, watch: Watch) -> None:
        watch.the_day_counts_them()


class TestWrongAtTheStart:
    """mode, connector, key and routing disagree, or an order without the bot's prefix: hard_stop, nothing placed."""

    @pytest.fixture
    def stopped(self, bot_image: str, tmp_path: Path) -> Iterator[Callable[..., Watch]]:
        """Makes exchanges and bots that are to stop at the start."""
        with contextlib.ExitStack() as stack:
            yield lambda **settings: stack.enter_context(a_bot(tmp_path, wave(), **settings))

    def last_reasons(self, watch: Watch) -> list[str]:
        """Of the newest row of minute.csv."""
        rows = watch.bot.book("minute")
        return rows[-1]["reasons"].split(";") if rows else []

    def test_a_live_bot_routed_to_the_simulator(self, stopped: Callable[..., Watch]) -> None:
        watch = stopped(mode="live", market_source="exchange")
        watch.clear_of_midnight(4)
        watch.bot.run()
        watch.bot.wait_for_log("Routing: mode is live, but api.bitget.com is")
        path = watch.bot.state_directory / "state_live.json"
        wait_for("the latch", lambda: path.exists() and '"code":"routing"' in path.read_text(), SOON_S)
        assert "healthy" in watch.bot.health()
        wait_for("a row", lambda: "routing" in self.last_reasons(watch), 60 + SOON_S)
        watch.bot.stop()
        assert watch.exchange.orders(closed=True) == []
        (day,) = watch.bot.book("daily")
        assert (day["state"], day["mode"]) == ("hard_stop", "live")
        assert "routing:1" in day["ops_events"].split(";")
        assert not (watch.bot.state_directory / "state_paper.json").exists()

    def test_a_key_that_is_not_this_exchanges(self, stopped: Callable[..., Watch]) -> None:
        """That of another bot, say. The right key alone does not end it: an operator's reset does."""
        watch = stopped()
        keystore = watch.bot.root / "conf/connectors/bitget.yml"
        right = keystore.read_bytes()
        watch.bot.keystore(keys=KEYS | {"api_key": "paper_of_another_exchange"})
        assert keystore.read_bytes() != right
        watch.bot.run()
        watch.bot.wait_for_log("does not know the bot's key (Bitget's code 40006)")
        watch.until("hard_stop", "routing", SOON_S)
        watch.row("hard_stop", "routing", time.time())
        watch.bot.kill()
        keystore.write_bytes(right)
        watch.bot.start()
        watch.bot.wait_for_log("Ready to quote")
        time.sleep(3)
        assert watch.guard()["state"] == "hard_stop"
        assert watch.exchange.orders(closed=True) == []
        watch.reset("routing")
        watch.the_day_counts_them()

    def test_an_order_without_the_bots_prefix(self, stopped: Callable[..., Watch]) -> None:
        """It is never touched, and the latch outlives it."""
        watch = stopped()
        watch.exchange.request(
            "POST",
            "/api/v2/spot/trade/place-order",
            {"symbol": "BTCUSDT", "side": "buy", "orderType": "limit", "force": "post_only", "size": "0.001",
             "price": "20000", "clientOid": "somebody-else-1"},
        )  # fmt: skip
        watch.bot.run()
        watch.until("hard_stop", "foreign_order", START_S)
        watch.row("hard_stop", "foreign_order", time.time())
        assert "healthy" in watch.bot.health()
        (order,) = watch.exchange.orders(closed=True)
        assert (order["clientOid"], order["status"]) == ("somebody-else-1", "live")
        watch.exchange.request(
            "POST", "/api/v2/spot/trade/cancel-order", {"symbol": "BTCUSDT", "clientOid": "somebody-else-1"}
        )
        watch.stays_latched("foreign_order")
        watch.reset("foreign_order")
        watch.the_day_counts_them()
