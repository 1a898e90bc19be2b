"""An exchange in a process of its own, without network and clock: told what to do line by line, so that it can be
killed at any moment and the same run made again.

``python -m paper_exchange.tests.exchange_process STATE_DIR STARTS``: each line of standard input is one JSON command,
answered by one line.
"""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from paper_exchange.market.feed import BookUpdate, Candle, Listener, Print, Ticker
from paper_exchange.matching import (
    Change,
    Depth,
    Force,
    MatchingEngine,
    OrderRequest,
    OrderType,
    Side,
    TradingRules,
)
from paper_exchange.server.books import Books
from paper_exchange.server.errors import ApiError
from paper_exchange.server.exchange import Account, Exchange
from paper_exchange.server.faults import Faults

RULES = TradingRules("BTC", "USDT", 2, 4, Decimal(1), Decimal("0.0008"), Decimal("0.001"), Decimal("0.2"))
# A tier of its own for every account.
FEES = [(Decimal("0.0008"), Decimal("0.001")), (Decimal(0), Decimal("0.0002")), (Decimal("0.00033"), Decimal("0.0007"))]


class Tally:
    """Adds up what orders were filled with."""

    def __init__(self) -> None:
        self.base = Decimal(0)

    def account_changed(self, account: Account, change: Change) -> None:
        self.base += sum((fill.base for fill in change.fills), Decimal(0))

    def traded(self, prints: Sequence[Print]) -> None:
        """Nobody listens."""

    def book_moved(self, update: BookUpdate) -> None:
        """Nobody listens."""

    def accounts_shown(self) -> None:
        """Nobody listens."""


class SaidMarket:
    """A market that stands where it is told to."""

    kind = "said"
    speed = 1.0

    def __init__(self) -> None:
        self.mid = Decimal(100)

    async def run(self, listener: Listener) -> None:
        await asyncio.Event().wait()

    def is_moving(self) -> bool:
        return True

    def depth(self) -> Depth:
        tick = RULES.tick
        return Depth(
            [(self.mid - tick * n, Decimal(3) / 2**n) for n in range(1, 5)],
            [(self.mid + tick * n, Decimal(3) / 2**n) for n in range(1, 5)],
        )

    def book_snapshot(self) -> BookUpdate:
        depth = self.depth()
        return BookUpdate(0, True, depth.bids, depth.asks)

    async def ticker(self) -> Ticker:
        return Ticker(self.mid, self.mid, self.mid, self.mid, Decimal(0), Decimal(0))

    async def candles(self, length_s: int, start_ms: int, end_ms: int) -> Sequence[Candle]:
        return []

    def describe(self) -> Mapping[str, object]:
        return {"kind": self.kind}


def open_exchange(state_dir: Path, starts: Sequence[Mapping[str, str]]) -> tuple[Exchange, SaidMarket]:
    """The exchange, going on where its books stand."""
    names = [f"account{number}" for number in range(len(starts))]
    start = {
        name: {coin: Decimal(amount) for coin, amount in amounts.items()}
        for name, amounts in zip(names, starts, strict=True)
    }
    books = Books(state_dir / "books.sqlite", "BTC-USDT", start, 1)
    numbers = books.numbers()
    accounts = []
    for number, name in enumerate(names):
        maker, taker = FEES[number % len(FEES)]
        rules = TradingRules("BTC", "USDT", 2, 4, Decimal(1), maker, taker, Decimal("0.2"))
        opening = books.opening(name)
        engine = MatchingEngine(rules, opening.balances, opening.open_orders, numbers=numbers)
        accounts.append(Account(name, name, engine))
    market = SaidMarket()
    return Exchange(RULES, accounts, books, market, Faults()), market


def perform(exchange: Exchange, market: SaidMarket, command: Mapping[str, Any]) -> object:
    """Do one command."""
    match command["do"]:
        case "place":
            price = command["price"]
            request = OrderRequest(
                command["client_id"],
                Side(command["side"]),
                OrderType.LIMIT if price else OrderType.MARKET,
                Decimal(command["size"]),
                Decimal(price) if price else None,
                Force(command["force"]),
            )
            return exchange.place(exchange.accounts[command["account"]], request).status
        case "cancel":
            return exchange.cancel(exchange.accounts[command["account"]], client_id=command["client_id"]).status
        case "print":
            printed = Print(
                command["trade_id"], exchange.true_ms(), Decimal(command["price"]), Decimal(command["size"]), Side.BUY
            )
            tally = Tally()
            exchange.attach(tally)
            # A feed that repeats itself, as after a reconnect.
            exchange.on_prints([printed, printed])
            exchange.on_prints([printed])
            return str(tally.base)
        case "mid":
            market.mid = Decimal(command["mid"])
            exchange.on_book(market.book_snapshot())
        case "break":
            exchange.books._db.execute(f"PRAGMA query_only={'ON' if command['broken'] else 'OFF'}")
    return None


def main() -> None:
    exchange, market = open_exchange(Path(sys.argv[1]), json.loads(sys.argv[2]))
    print("up", flush=True)
    for line in sys.stdin:
        try:
            answer = {"ok": perform(exchange, market, json.loads(line))}
        except ApiError as error:
            answer = {"refused": error.code}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
