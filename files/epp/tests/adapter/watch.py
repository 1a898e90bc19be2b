"""A bot that is watched while something goes wrong: markets to trade in, and what the ops guard must make of it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from .conftest import USER, Bot, Exchange, wait_for
from .paper_trading import FAST

START_S = 600.0
"""From the container's start to the first quotes: 16 s on an idle machine, minutes on a busy one."""

SOON_S = 60.0
"""What takes a second or a few on an idle machine, and is no promise of a time."""

RECOVERY_S = 180.0
"""Likewise, for what waits for the bot's next looks at clock, ticker or network, up to 20 s apart."""

PRICE = 47_000.0
BAR_S = 2.0
"""Wall-clock seconds of a bar at the tests' pace."""

LARGE = {
    # Orders of 4 % of equity and more, so that inventory and turnover move within a minute.
    "total_amount_quote": 20_000,
    "max_order_notional_quote": 5_000,
    "cancel_budget_per_min": 600,
}


def wave() -> list[float]:
    """Up and down by half a percent, a basis point a second, for an hour: quotes are filled and replaced."""
    return [PRICE * (1 + 0.0002 * (abs((number % 50) - 25) - 12.5)) for number in range(1800)]


def fall() -> list[float]:
    """Half a minute of stillness, then two basis points a second down, for half an hour."""
    return [PRICE * 0.9996 ** max(0, number - 15) for number in range(900)]


STILL_BARS, FALLING_BARS = 60, 4


def stairs() -> list[float]:
    """Two minutes of stillness, then 0.8 % down within eight seconds, again and again for an hour.

    What stands in the way of a fall is bought, and what was bought loses; between two falls nothing moves.
    """
    prices, price = [], PRICE
    for number in range(1800):
        if number % (STILL_BARS + FALLING_BARS) >= STILL_BARS:
            price *= 0.998
        prices.append(price)
    return prices


def descent() -> list[float]:
    """Down by 1.2 %, up by 0.8 %, and so on: round trips that lose."""
    prices, price = [], PRICE
    for number in range(1500):
        price *= 0.999 if number % 20 < 12 else 1.001
        prices.append(price)
    return prices


def neutral(**changes: float) -> dict[str, Any]:
    """Parameters of the one regime that these markets are ever in."""
    return {"regimes": {"neutral_low_vol": changes}}


def log_time(line: str) -> float:
    """When the bot wrote a line of its log."""
    return datetime.strptime(line[:23] + " +0000", "%Y-%m-%d %H:%M:%S,%f %z").timestamp()


class Watch:
    """A bot, its exchange, and what the guard is expected to say of them."""

    def __init__(self, exchange: Exchange, bot: Bot) -> None:
        self.exchange, self.bot = exchange, bot
        self.seen: set[str] = set()
        self._slept = 0

    # -- the state

    def guard(self) -> dict[str, Any]:
        """The guard's memory, as saved."""
        return dict(self.bot.state().get("guard", {}))

    def until(self, state: str, code: str = "", within: float = 90.0) -> float:
        """Wait until the guard is in a state, for a reason; returns when it was seen."""

        def look() -> bool:
            guard = self.guard()
            return guard.get("state") == state and (not code or code in guard["codes"])

        try:
            wait_for(f"{state}: {code}", look, within, 0.25)
        except pytest.fail.Exception as missing:
            pytest.fail(f"{missing}; it is {self.guard().get('state')}: {self.guard().get('codes')}\n{self.tail()}")
        if code:
            self.seen.add(code)
        return time.time()

    def tail(self) -> str:
        """The newest of the bot's log that is not Hummingbot's own talk of events."""
        lines = [line for line in self.bot.log().splitlines() if "EVENT_LOG" not in line]
        return "\n".join(lines[-40:])

    def running(self, within: float = START_S) -> None:
        """The bot runs, and quotes both sides."""
        if not self.bot.starts:
            self.bot.run()
        self.until("running", within=within)
        self.quotes_both_sides()

    def runs_into_the_fall(self) -> None:
        """The bot runs; the market may fall already, and leave it its quotes on both sides for a few seconds only."""
        self.bot.run()
        wait_for("running", self.runs, START_S)
        wait_for("an order", lambda: self.exchange.orders(closed=True), SOON_S)

    def runs(self) -> int:
        """How often the bot has come to run, by its log."""
        return len(re.findall(r" state: \w+ to running", self.bot.log()))

    def quotes_both_sides(self) -> None:
        """The exchange has orders of both sides; one that is being replaced is missing for a second or two."""
        wait_for("quotes on both sides", lambda: self.sides() == {"buy", "sell"}, SOON_S)

    def holds_its_orders(self) -> None:
        """From here on the bot has orders on both sides, and neither it nor the market can take one away."""
        self.exchange.fault("partial-fills", "participation=0.0000000001")
        self.exchange.fault("refuse-cancel")
        self.quotes_both_sides()

    def sides(self) -> set[str]:
        """Sides on which the exchange has own orders."""
        return {order["side"] for order in self.exchange.orders()}

    # -- what the table says

    def pauses(self, code: str, within: float = 90.0, *, orders_go: bool = True) -> dict[str, str]:
        """soft_pause for this reason, every quote cancelled, and so it stands in minute.csv; returns the row."""
        since = self.until("soft_pause", code, within)
        if orders_go:
            self.no_order_is_left()
        row = self.row("soft_pause", code, since)
        if orders_go:
            assert row["orders_active"] == "0"
        return row

    def reduces(self, code: str, within: float = 90.0) -> dict[str, str]:
        """reduce_only for this reason: the side that reduces the error, and no other, quotes."""
        since = self.until("reduce_only", code, within)
        row = self.row("reduce_only", code, since)
        assert row["base_pct"] != row["target_base_pct"]
        # The error changes its sign when the market turns after the row: then the next row tells the side.
        wait_for("no quotes but those that reduce the error", self._reduces_only, 130)
        return row

    def _reduces_only(self) -> bool:
        row = self.bot.book("minute")[-1]
        reducing = "sell" if float(row["base_pct"]) > float(row["target_base_pct"]) else "buy"
        return self.sides() <= {reducing}

    def latches(self, code: str, within: float = 150.0, *, orders_go: bool = True) -> dict[str, str]:
        """hard_stop for this reason: no order is left, so it stands in minute.csv, and a restart changes nothing."""
        since = self.until("hard_stop", code, within)
        assert self.guard()["latch"]["code"] == code
        if not orders_go:
            return self.row("hard_stop", code, since)
        self.no_order_is_left()
        row = self.row("hard_stop", code, since)
        self.stays_latched(code)
        return row

    def stays_latched(self, code: str) -> None:
        """The latch holds over kill -9, and nothing is placed."""
        placed = len(self.exchange.orders(closed=True))
        self.bot.kill()
        self.bot.start()
        self.bot.wait_until_ready()
        time.sleep(3)
        assert self.guard()["state"] == "hard_stop"
        assert self.guard()["latch"]["code"] == code
        assert "healthy" in self.bot.health(), "a latched bot is a healthy container"
        assert self.exchange.orders() == []
        assert len(self.exchange.orders(closed=True)) == placed

    def reset(self, code: str) -> None:
        """Only the operator ends a latch, with a reason, and is told the old and the new values."""
        placed, runs = len(self.exchange.orders(closed=True)), self.runs()
        answer = self.bot.request("reset", f"the test of {code} is over")
        assert f"cleared {code}" in answer
        assert "before {" in answer
        # The market may pause it again within seconds: its log and the exchange's history tell that it ran and quoted.
        wait_for("running", lambda: self.runs() > runs, RECOVERY_S)
        wait_for("an order", lambda: len(self.exchange.orders(closed=True)) > placed, RECOVERY_S, 1)

    def no_order_is_left(self) -> None:
        """The exchange comes to show none open."""
        wait_for("no order left", lambda: self.exchange.orders() == [], SOON_S, 1)

    def row(self, state: str, code: str, since: float) -> dict[str, str]:
        """The next row of minute.csv, which must be in this state for this reason."""

        def look() -> dict[str, str] | None:
            rows = [row for row in self.bot.book("minute") if datetime.fromisoformat(row["ts"]).timestamp() > since]
            return rows[0] if rows else None

        row = wait_for("a minute row", look, 60 + SOON_S)
        assert (row["state"], code in row["reasons"].split(";")) == (state, True), row
        assert row["mode"] == "paper"
        return row

    def the_day_counts_them(self) -> None:
        """A clean stop leaves no order, and daily.csv names every reason that was seen."""
        assert self.bot.stop() == 0
        assert self.exchange.orders() == []
        days = self.bot.book("daily")
        counted = {event.partition(":")[0] for day in days for event in day["ops_events"].split(";")}
        assert self.seen <= counted, f"seen {self.seen}, counted {counted}"
        assert self.seen, "nothing was seen: run the whole class"

    # -- time

    def shortly_before_a_row(self, seconds: float) -> None:
        """Wait until the next row of minute.csv is so many seconds away."""
        time.sleep((60 - seconds - time.time() % 60) % 60)

    def clear_of_midnight(self, minutes: float) -> None:
        """Wait for the new UTC day when this one is over in so many minutes: what lasts to the roll would end by it."""
        left = 86400 - time.time() % 86400
        if left < minutes * 60:
            time.sleep(left + 5)

    def changed(self, text: str) -> float:
        """When the guard last came from one state to another, by the bot's own log: ``text`` is ``running to …``."""
        lines = [line for line in self.bot.log().splitlines() if f"state: {text}" in line]
        assert lines, f"never {text}"
        return log_time(lines[-1])

    def sleep_over_midnight(self) -> None:
        """Stop the bot as a crash does, make its state yesterday's, and start it again."""
        self.bot.kill()
        path = self.bot.state_directory / "state_paper.json"
        document = json.loads(path.read_text())
        self._slept = document["body"]["engine"]["ledger"]["day"]["day"] - 1
        ledger, guard = document["body"]["engine"]["ledger"], document["body"]["engine"]["guard"]
        ledger["day"]["day"] -= 1
        for peak in ledger["peaks"]:
            peak["day"] -= 1
        for name in ("trading_loss_day", "mtm_loss_day", "mtm_drawdown_day"):
            if guard[name]:
                guard[name] -= 1
        path.write_text(json.dumps(document))
        os.chown(path, USER, USER)
        self.bot.start()
        self.bot.wait_until_ready()

    def yesterday(self) -> dict[str, str]:
        """The row of the day that was slept through."""
        day = f"{datetime.fromtimestamp(self._slept * 86400, UTC):%Y-%m-%d}"

        def look() -> dict[str, str] | None:
            return next((row for row in self.bot.book("daily") if row["day"] == day), None)

        return wait_for("yesterday's row", look, SOON_S)


@contextlib.contextmanager
def a_bot(directory: Path, bars: list[float], **settings: Any) -> Iterator[Watch]:
    """A bot on an exchange of its own, gone afterwards."""
    name = f"epp-guard-{uuid.uuid4().hex[:8]}"
    with contextlib.ExitStack() as stack:
        exchange = Exchange(directory / "exchange", name, bars=bars)
        stack.callback(exchange.remove)
        bot = Bot(directory / "bot", exchange, **(FAST | settings))
        stack.callback(bot.remove)
        yield Watch(exchange, bot)
