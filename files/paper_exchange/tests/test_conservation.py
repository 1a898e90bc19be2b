"""Nothing is lost and nothing comes from nowhere, whatever several accounts do and whenever the exchange is killed.

The exchange runs in a process of its own and is killed with SIGKILL between its answers and in the middle of them. What
it had answered must be there afterwards; what it had not may be there whole or not at all.

``make conservation`` runs it until PAPER_EXCHANGE_ORDERS orders were sent.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from paper_exchange.matching import Fill, Force, Order, OrderType, Side, Status
from paper_exchange.server.books import Books

from .exchange_process import FEES

FILES = Path(__file__).parents[2]
WANTED = int(os.environ.get("PAPER_EXCHANGE_ORDERS", "500"))
# Orders at once: few find, and shrink to, short stories; many make 100,000 a matter of minutes.
BULK = 20 if WANTED < 10_000 else 500
# A disk that is memory: a killed process loses nothing that it wrote, and no disk is worn.
MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of its own in it

ACCOUNTS = st.integers(0, 2)
SIDES = st.sampled_from(["buy", "sell"])
FORCES = st.sampled_from(["gtc", "post_only", "ioc", "fok", "market"])
TICKS = st.integers(-60, 60)
SIZES = st.integers(1, 40_000)
ORDERS = st.lists(st.tuples(ACCOUNTS, SIDES, FORCES, TICKS, SIZES), min_size=5, max_size=40)
PRINTS = st.lists(st.tuples(TICKS, st.integers(1, 200_000)), min_size=1, max_size=8)
STARTS = st.lists(st.tuples(st.integers(0, 100_000), st.integers(0, 800)), min_size=3, max_size=3)

counts: dict[str, int] = defaultdict(int)


class Exchange(RuleBasedStateMachine):
    """Three accounts on one exchange."""

    @initialize(starts=STARTS)
    def begin(self, starts: list[tuple[int, int]]) -> None:
        self.directory = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.starts = [{"USDT": str(quote), "BTC": str(base)} for quote, base in starts]
        self.mid = Decimal(100)
        self.number = self.trade_id = 0
        self.answered: dict[tuple[str, str], str] = {}
        self.unanswered: set[tuple[str, str]] = set()
        self.printed: dict[int, Decimal] = {}
        self.start()
        counts["examples"] += 1

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "paper_exchange.tests.exchange_process",
                self.directory.name,
                json.dumps(self.starts),
            ],
            env={**os.environ, "PYTHONPATH": str(FILES)},
            # What it says of a broken disk is expected, and long.
            stderr=subprocess.DEVNULL,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.read() == "up"
        self.ask({"do": "mid", "mid": str(self.mid)})

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def send(self, command: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        self.send(command)
        answer: dict[str, Any] = json.loads(self.read())
        return answer

    def order(self, order: tuple[int, str, str, int, int]) -> dict[str, Any]:
        account, side, force, ticks, size = order
        self.number += 1
        counts["orders"] += 1
        base = Decimal(size) / 10_000
        price = "" if force == "market" else str(self.mid + Decimal(ticks) / 100)
        is_quote = force == "market" and side == "buy"
        return {
            "do": "place",
            "account": f"account{account}",
            "client_id": f"c{self.number}",
            "side": side,
            "force": "gtc" if force == "market" else force,
            "price": price,
            "size": str((base * self.mid).quantize(Decimal("0.000001")) if is_quote else base),
        }

    def place_one(self, command: dict[str, Any]) -> None:
        answer = self.ask(command)
        if "ok" in answer:
            self.answered[command["account"], command["client_id"]] = answer["ok"]
        else:
            assert answer["refused"] in {"43012", "45110", "43009", "43008", "40015"}, answer

    @rule(orders=ORDERS)
    def place(self, orders: list[tuple[int, str, str, int, int]]) -> None:
        for order in orders:
            self.place_one(self.order(order))

    @rule(chance=st.randoms(use_true_random=False), count=st.integers(1, BULK))
    def place_many(self, chance: Random, count: int) -> None:
        chance = Random(chance.getrandbits(64))  # noqa: S311 - a story to tell again, no secret
        for _ in range(count):
            side, force = chance.choice(["buy", "sell"]), chance.choice(["gtc", "post_only", "ioc", "fok", "market"])
            self.place_one(
                self.order((chance.randrange(3), side, force, chance.randint(-60, 60), chance.randint(1, 4000)))
            )

    @rule(share=st.integers(1, 4))
    def cancel(self, share: int) -> None:
        open_orders = [key for key, status in self.answered.items() if status in ("live", "partially_filled")]
        for account, client_id in open_orders[::share]:
            answer = self.ask({"do": "cancel", "account": account, "client_id": client_id})
            if "ok" in answer:
                self.answered[account, client_id] = "cancelled"
            else:
                # It had filled meanwhile.
                assert answer["refused"] == "43001"
                self.answered[account, client_id] = "filled"

    @rule(prints=PRINTS)
    def trade(self, prints: list[tuple[int, int]]) -> None:
        for ticks, size in prints:
            self.trade_id += 1
            self.printed[self.trade_id] = Decimal(size) / 10_000
            command = {"do": "print", "trade_id": self.trade_id, "price": str(self.mid + Decimal(ticks) / 100)}
            answer = self.ask({**command, "size": str(self.printed[self.trade_id])})
            # It was told three times, and a quarter of it may be filled, once.
            assert Decimal(answer["ok"]) <= self.printed[self.trade_id] / 4

    @rule(ticks=TICKS)
    def move(self, ticks: int) -> None:
        self.mid = max(self.mid + Decimal(ticks) / 100, Decimal(50))
        self.ask({"do": "mid", "mid": str(self.mid)})

    @rule(orders=ORDERS)
    def break_the_disk(self, orders: list[tuple[int, str, str, int, int]]) -> None:
        """Books that cannot be written: everything is refused, nothing changes."""
        self.ask({"do": "break", "broken": True})
        for order in orders[:5]:
            answer = self.ask(self.order(order))
            assert "refused" in answer
        self.ask({"do": "break", "broken": False})

    @rule()
    def kill_between_answers(self) -> None:
        self.kill()

    @rule(orders=ORDERS)
    def kill_in_the_middle(self, orders: list[tuple[int, str, str, int, int]]) -> None:
        """Send many, read a few answers, kill: what was not answered may have happened."""
        commands = [self.order(order) for order in orders]
        for command in commands:
            self.send(command)
            self.unanswered.add((command["account"], command["client_id"]))
        for command in commands[: len(commands) // 3]:
            answer = json.loads(self.read())
            key = command["account"], command["client_id"]
            self.unanswered.discard(key)
            if "ok" in answer:
                self.answered[key] = answer["ok"]
        self.kill()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        counts["kills"] += 1
        self.look()
        self.start()

    def look(self) -> None:
        """Read the books as the dead exchange left them, and add everything up."""
        books = Books(Path(self.directory.name) / "books.sqlite", "BTC-USDT", {}, 1)
        try:
            trade_ids: list[int] = []
            for number, start in enumerate(self.starts):
                account = f"account{number}"
                fills = books.fills(account, limit=10**9)
                trade_ids += [fill.trade_id for fill in fills]
                open_orders = books.open_orders(account)
                orders = {order.client_id: order for order in open_orders}
                orders |= {order.client_id: order for order in books.closed_orders(account, limit=10**9)}
                self.check_orders(account, orders, fills)
                self.check_balances(books, account, start, fills, open_orders)
                self.check_fees(number, fills)
                counts["fills"] += len(fills) - counts.pop(f"{id(self)} {account}", 0)
                counts[f"{id(self)} {account}"] = len(fills)
            assert len(trade_ids) == len(set(trade_ids)), "a trade id is given twice"
        finally:
            books.close()

    def check_orders(self, account: str, orders: dict[str, Order], fills: list[Fill]) -> None:
        by_order: dict[int, list[Fill]] = defaultdict(list)
        for fill in fills:
            by_order[fill.order_id].append(fill)
        for (owner, client_id), status in self.answered.items():
            if owner == account:
                assert client_id in orders, f"{client_id} was acknowledged and is lost"
                if status in ("cancelled", "filled"):
                    assert orders[client_id].status == status
        known = {client_id for owner, client_id in self.answered if owner == account}
        maybe = {client_id for owner, client_id in self.unanswered if owner == account}
        assert orders.keys() <= known | maybe, "an order that nobody placed"
        for client_id in orders.keys() & maybe:
            # It happened, though nobody was told: from now on it is an order like any other.
            self.unanswered.discard((account, client_id))
            self.answered[account, client_id] = orders[client_id].status
        for client_id in maybe - orders.keys():
            self.unanswered.discard((account, client_id))
        for order in orders.values():
            own = by_order[order.order_id]
            assert order.filled_base == sum((fill.base for fill in own), Decimal(0))
            assert order.filled_quote == sum((fill.quote for fill in own), Decimal(0))
            assert order.remaining >= 0, "filled beyond its size"
            if order.status is Status.FILLED and not order.is_market_buy:
                assert order.remaining == 0
            for fill in own:
                assert fill.quote == fill.price * fill.base
                if order.price is not None:
                    assert fill.price <= order.price if order.side is Side.BUY else fill.price >= order.price
                    assert not fill.is_maker or fill.price == order.price
                assert fill.is_maker or order.force is not Force.POST_ONLY
            if order.order_type is OrderType.MARKET or order.force in (Force.IOC, Force.FOK):
                assert not order.status.is_open
            if order.force is Force.FOK:
                assert order.filled_base in (0, order.size)

    def check_balances(
        self, books: Books, account: str, start: dict[str, str], fills: list[Fill], open_orders: list[Order]
    ) -> None:
        expected = {coin: Decimal(amount) for coin, amount in start.items()}
        for fill in fills:
            sign = 1 if fill.side is Side.BUY else -1
            expected["BTC"] += sign * fill.base
            expected["USDT"] -= sign * fill.quote
            expected[fill.fee_coin] -= fill.fee
        balances = books.opening(account).balances
        assert {coin: balance.total for coin, balance in balances.items()} == expected
        assert all(balance.available >= 0 and balance.frozen >= 0 for balance in balances.values())
        frozen = {"USDT": Decimal(0), "BTC": Decimal(0)}
        for order in open_orders:
            frozen["USDT" if order.side is Side.BUY else "BTC"] += order.need
        assert {coin: balance.frozen for coin, balance in balances.items()} == frozen

    def check_fees(self, number: int, fills: list[Fill]) -> None:
        maker, taker = FEES[number]
        for fill in fills:
            assert fill.fee_coin == ("BTC" if fill.side is Side.BUY else "USDT")
            received = fill.base if fill.side is Side.BUY else fill.quote
            assert fill.fee == received * (maker if fill.is_maker else taker)

    def teardown(self) -> None:
        if not hasattr(self, "process"):
            return
        self.process.kill()
        self.process.wait(10)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self.look()
        finally:
            self.directory.cleanup()


def test_nothing_is_lost_and_nothing_comes_from_nowhere() -> None:
    number = 0
    while counts["orders"] < WANTED:
        number += 1
        run_state_machine_as_test(
            seed(number)(Exchange),
            settings=settings(
                max_examples=min(max(WANTED // 400, 3), 25),
                stateful_step_count=30,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    shown = {name: count for name, count in counts.items() if not name[0].isdigit()}
    print(json.dumps(shown))
    assert shown["kills"] > 0
    assert shown["fills"] > 0
