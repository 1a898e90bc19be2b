"""Books made up row by row, written the way the bot writes them."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from epp.books.columns import DAILY, FILLS, MINUTE

START = datetime(2022, 1, 3, tzinfo=UTC).timestamp()

PROVENANCE = {
    "instance": "bot1",
    "variant": "a",
    "mode": "paper",
    "market_source": "relay",
    "speed": "1",
    "strategy_hash": "5" * 16,
    "config_hash": "c" * 16,
    "exchange": "bitget",
    "trading_pair": "BTC-USDT",
}


def stamp(ts: float) -> str:
    """As the books write times."""
    return datetime.fromtimestamp(ts, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class BookMaker:
    """Keeps an account, so that the rows it writes agree with one another.

    Starts with 1 base and ``100`` quote at a mid of 100: half of the equity of 200 in base.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ts = START
        self.mid = 100.0
        self.base = self.open_base = Decimal(1)
        self.quote = self.open_quote = Decimal(100)
        self.rows: dict[str, list[dict[str, str]]] = {"fills": [], "minute": [], "daily": []}

    def minute(self, mid: float | None = None, **cells: object) -> None:
        """Write a row now and let a minute pass."""
        self.mid = self.mid if mid is None else mid
        price = Decimal(repr(self.mid))
        equity = self.base * price + self.quote
        row: dict[str, object] = {
            "state": "running",
            "reasons": "",
            "regime": "neutral_low_vol",
            "mid": self.mid,
            "equity_quote": equity,
            "trading_pnl_quote": equity - self.open_base * price - self.open_quote,
            "base_balance": self.base,
            "quote_balance": self.quote,
            "base_pct": float(self.base * price / equity),
            "target_base_pct": 0.5,
            "spread_pct": 0.007,
            "spread_floor_pct": 0.0064,
            "skew": 0,
            "turnover_x": 0,
            "orders_active": 4,
            "cancel_fail_streak": 0,
        }
        self._add("minute", MINUTE, row | cells)
        self.ts += 60

    def fill(self, side: str, price: str, amount: str, fee: str = "0", *, after: float = 10, **cells: object) -> None:
        """Write a fill ``after`` seconds from the last row, inside the minute that ends with the next one."""
        price_, amount_, fee_ = Decimal(price), Decimal(amount), Decimal(fee)
        sign = 1 if side == "buy" else -1
        self.base += sign * amount_
        self.quote -= sign * price_ * amount_ + fee_
        number = len(self.rows["fills"]) + 1
        row: dict[str, object] = {
            "side": side,
            "price": price_,
            "amount_base": amount_,
            "notional_quote": price_ * amount_,
            "fee_quote": fee_,
            "order_id": f"o{number}",
            "trade_id": f"t{number}",
            "is_maker": "true",
            "mid": "",
            "state": "running",
            "regime": "neutral_low_vol",
        }
        self._add("fills", FILLS, {"ts": stamp(self.ts - 60 + after)} | row | cells)

    def day(self, day: str, equity_open: str) -> None:
        """Write a row of daily.csv."""
        self._add("daily", DAILY, {"day": day, "equity_open_quote": equity_open, "state": "running"})

    def write(self) -> Path:
        """Write the three books; returns their directory."""
        for name, columns in (("fills", FILLS), ("minute", MINUTE), ("daily", DAILY)):
            with (self.directory / f"{name}.csv").open("w", newline="") as file:
                writer = csv.DictWriter(file, columns, lineterminator="\r\n")
                writer.writeheader()
                writer.writerows(self.rows[name])
        return self.directory

    def _add(self, name: str, columns: tuple[str, ...], cells: Mapping[str, object]) -> None:
        row = dict.fromkeys(columns, "") | PROVENANCE | {"ts": stamp(self.ts)}
        self.rows[name].append(row | {column: str(value) for column, value in cells.items()})
