"""The exchange's durable books: accounts, orders, fills and the market's anchor in one SQLite file.

Every change is one transaction, committed to the disk (write-ahead log, ``synchronous=FULL``) before anyone hears of
it. Amounts are stored as decimal text: nothing is rounded.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from ..matching import Balance, Change, Fill, Force, Numbers, Order, OrderType, Side, Status

_SCHEMA_VERSION = 2
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE balances (
    account TEXT NOT NULL, coin TEXT NOT NULL, available TEXT NOT NULL, frozen TEXT NOT NULL,
    PRIMARY KEY (account, coin)
) STRICT;
CREATE TABLE orders (
    order_id INTEGER PRIMARY KEY, account TEXT NOT NULL, client_id TEXT NOT NULL, side TEXT NOT NULL,
    order_type TEXT NOT NULL, force TEXT NOT NULL, price TEXT, size TEXT NOT NULL, filled_base TEXT NOT NULL,
    filled_quote TEXT NOT NULL, status TEXT NOT NULL, cancel_reason TEXT NOT NULL, created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL, UNIQUE (account, client_id)
) STRICT;
CREATE INDEX open_orders ON orders (order_id) WHERE status IN ('live', 'partially_filled');
CREATE INDEX orders_by_time ON orders (account, created_ms);
CREATE TABLE fills (
    trade_id INTEGER PRIMARY KEY, account TEXT NOT NULL, order_id INTEGER NOT NULL REFERENCES orders,
    client_id TEXT NOT NULL, side TEXT NOT NULL, order_type TEXT NOT NULL, price TEXT NOT NULL, base TEXT NOT NULL,
    quote TEXT NOT NULL, fee TEXT NOT NULL, fee_coin TEXT NOT NULL, is_maker INTEGER NOT NULL, time_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX fills_by_order ON fills (order_id);
CREATE INDEX fills_by_time ON fills (account, time_ms);
CREATE TABLE gaps (began_ms INTEGER PRIMARY KEY, ended_ms INTEGER NOT NULL, why TEXT NOT NULL) STRICT;
"""
# From version 1, which knew one account only: its tables are renamed, copied and dropped.
_FROM_1 = """
INSERT INTO balances SELECT 'main', coin, available, frozen FROM old_balances;
INSERT INTO orders SELECT order_id, 'main', client_id, side, order_type, force, price, size, filled_base, filled_quote,
    status, cancel_reason, created_ms, updated_ms FROM old_orders;
INSERT INTO fills SELECT trade_id, 'main', order_id, client_id, side, order_type, price, base, quote, fee, fee_coin,
    is_maker, time_ms FROM old_fills;
INSERT OR REPLACE INTO meta SELECT key, value FROM old_meta WHERE key != 'schema_version';
DROP TABLE old_fills; DROP TABLE old_orders; DROP TABLE old_balances; DROP TABLE old_meta
"""
_TABLES_OF_1 = ("fills", "orders", "balances", "meta")
_INDEXES_OF_1 = ("fills_by_order", "fills_by_time", "open_orders", "orders_by_time")


class BooksError(Exception):
    """The books cannot be used; the message names the file and what to do."""


@dataclass(frozen=True, slots=True)
class AccountOpening:
    """What an account holds when the exchange starts."""

    balances: Mapping[str, Balance]
    open_orders: Sequence[Order]


@dataclass(frozen=True, slots=True)
class Gap:
    """A time during which the public market was not seen, so nothing could fill."""

    began_ms: int
    ended_ms: int
    why: str


class Books:
    """The open books. One process at a time: the file stays locked against a second writer.

    Args:
        path: the SQLite file; made when missing.
        pair: the pair they are kept for.
        accounts: balances to begin with, by account, for those that are new.
        now_ms: when new books begin; ids grow from here, so that books begun anew never reuse an old id.

    Raises:
        BooksError: unreadable, damaged, of another schema or another pair.
    """

    def __init__(self, path: Path, pair: str, accounts: Mapping[str, Mapping[str, Decimal]], now_ms: int) -> None:
        self._path = path
        try:
            # One thread, one connection: the event loop's.
            self._db = sqlite3.connect(path, isolation_level=None, timeout=5)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA foreign_keys=ON")
            self.is_new = not self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
            if self.is_new:
                self._begin(pair, now_ms)
            elif self.meta("schema_version") == 1:
                self._upgrade()
            damage = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.Error as error:
            raise BooksError(f"{path}: {error}: restore it from a backup, or move it away to begin anew") from error
        if damage != "ok":
            raise BooksError(f"{path}: {damage}: restore it from a backup, or move it away to begin anew")
        version, kept_pair = self.meta("schema_version"), self.meta("pair")
        if version != _SCHEMA_VERSION:
            raise BooksError(f"{path}: schema version {version}, not {_SCHEMA_VERSION}: move it away to begin anew")
        if kept_pair != pair:
            raise BooksError(f"{path}: kept for {kept_pair}, not {pair}: set pair to {kept_pair}, or move it away")
        self._begin_accounts(accounts)
        self.created_ms = int(self.meta("created_ms"))

    def _begin(self, pair: str, now_ms: int) -> None:
        with self._transaction():
            self._run(_SCHEMA)
            for key, value in {"schema_version": _SCHEMA_VERSION, "pair": pair, "created_ms": now_ms}.items():
                self._db.execute("INSERT INTO meta VALUES (?, ?)", (key, json.dumps(value)))

    def _upgrade(self) -> None:
        """Bring version 1 up to date, whole or not at all."""
        self._db.execute("PRAGMA foreign_keys=OFF")
        with self._transaction():
            for index in _INDEXES_OF_1:
                self._db.execute(f"DROP INDEX {index}")
            for table in _TABLES_OF_1:
                self._db.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
            self._run(_SCHEMA)
            self._db.execute("INSERT INTO meta VALUES ('schema_version', ?)", (json.dumps(_SCHEMA_VERSION),))
            self._run(_FROM_1)
        self._db.execute("PRAGMA foreign_keys=ON")

    def _begin_accounts(self, accounts: Mapping[str, Mapping[str, Decimal]]) -> None:
        known = {row[0] for row in self._db.execute("SELECT DISTINCT account FROM balances")}
        new = {account: start for account, start in accounts.items() if account not in known}
        if new:
            with self._transaction():
                for account, start in new.items():
                    for coin, amount in start.items():
                        self._write_balance(account, coin, Balance(amount))

    def _run(self, statements: str) -> None:
        for statement in statements.split(";"):
            self._db.execute(statement)

    @contextlib.contextmanager
    def _transaction(self) -> Any:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    def numbers(self) -> Numbers:
        """The ids to give next."""
        order_id, trade_id = self._db.execute(
            "SELECT (SELECT max(order_id) FROM orders), (SELECT max(trade_id) FROM fills)"
        ).fetchone()
        first_id = self.created_ms * 1_000_000
        return Numbers(max(first_id, order_id or 0) + 1, max(first_id, trade_id or 0) + 1)

    def opening(self, account: str) -> AccountOpening:
        """Everything needed to go on where an account stands."""
        rows = self._db.execute("SELECT * FROM balances WHERE account = ?", (account,))
        return AccountOpening(
            {row["coin"]: Balance(Decimal(row["available"]), Decimal(row["frozen"])) for row in rows},
            self.open_orders(account),
        )

    def commit(self, account: str, change: Change) -> None:
        """Write one change of one account to the disk, whole or not at all.

        Raises:
            sqlite3.Error: nothing was written.
        """
        with self._transaction():
            for coin, balance in change.balances.items():
                self._write_balance(account, coin, balance)
            self._db.executemany(
                "INSERT INTO orders VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (order_id) DO UPDATE SET"
                " filled_base=excluded.filled_base, filled_quote=excluded.filled_quote, status=excluded.status,"
                " cancel_reason=excluded.cancel_reason, updated_ms=excluded.updated_ms",
                [_order_row(account, order) for order in change.orders],
            )
            self._db.executemany(
                "INSERT INTO fills VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
                [_fill_row(account, fill) for fill in change.fills],
            )

    def add_gap(self, gap: Gap) -> None:
        """Keep a gap.

        Raises:
            sqlite3.Error: it could not be written.
        """
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO gaps VALUES (?, ?, ?)", (gap.began_ms, gap.ended_ms, gap.why))

    def gaps(self, limit: int = 100) -> list[Gap]:
        """Gaps, newest first."""
        rows = self._db.execute("SELECT * FROM gaps ORDER BY began_ms DESC LIMIT ?", (limit,))
        return [Gap(row["began_ms"], row["ended_ms"], row["why"]) for row in rows]

    def _write_balance(self, account: str, coin: str, balance: Balance) -> None:
        self._db.execute(
            "INSERT INTO balances VALUES (?, ?, ?, ?)"
            " ON CONFLICT (account, coin) DO UPDATE SET available=excluded.available, frozen=excluded.frozen",
            (account, coin, str(balance.available), str(balance.frozen)),
        )

    def meta(self, key: str) -> Any:
        """A small value kept beside the books, None when never set."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else json.loads(row["value"])

    def set_meta(self, key: str, value: object) -> None:
        """Keep a small value beside the books.

        Raises:
            sqlite3.Error: it could not be written.
        """
        with self._transaction():
            self._db.execute(
                "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value=excluded.value",
                (key, json.dumps(value)),
            )

    def open_orders(self, account: str) -> list[Order]:
        """Resting orders, oldest first."""
        return self._orders(
            "WHERE status IN ('live', 'partially_filled') AND account = ? ORDER BY order_id", (account,)
        )

    def order(self, account: str, *, order_id: int | None = None, client_id: str | None = None) -> Order | None:
        """One order, open or not, by either id."""
        if order_id is not None:
            found = self._orders("WHERE account = ? AND order_id = ?", (account, order_id))
        else:
            found = self._orders("WHERE account = ? AND client_id = ?", (account, client_id))
        return found[0] if found else None

    def closed_orders(
        self, account: str, *, start_ms: int = 0, end_ms: int = 2**62, before_id: int = 2**62, limit: int = 100
    ) -> list[Order]:
        """Filled and cancelled orders by creation time, newest first."""
        return self._orders(
            "WHERE account = ? AND status IN ('filled', 'cancelled') AND created_ms BETWEEN ? AND ? AND order_id < ?"
            " ORDER BY order_id DESC LIMIT ?",
            (account, start_ms, end_ms, before_id, limit),
        )

    def fills(
        self,
        account: str,
        *,
        order_id: int | None = None,
        start_ms: int = 0,
        end_ms: int = 2**62,
        before_id: int = 2**62,
        limit: int = 100,
    ) -> list[Fill]:
        """Fills, newest first; by order, by time, below a trade id."""
        where = "WHERE account = ? AND time_ms BETWEEN ? AND ? AND trade_id < ?"
        values: list[object] = [account, start_ms, end_ms, before_id]
        if order_id is not None:
            where += " AND order_id = ?"
            values.append(order_id)
        rows = self._db.execute(
            f"SELECT * FROM fills {where} ORDER BY trade_id DESC LIMIT ?",  # noqa: S608 - fixed text only
            (*values, limit),
        )
        return [_fill(row) for row in rows]

    def fees(self, orders: Iterable[Order]) -> dict[int, dict[str, Decimal]]:
        """What the fills of some orders cost so far: by order id, by coin."""
        fees: dict[int, dict[str, Decimal]] = {}
        for order in orders:
            if order.filled_base:
                coins = fees.setdefault(order.order_id, {})
                for row in self._db.execute("SELECT fee, fee_coin FROM fills WHERE order_id = ?", (order.order_id,)):
                    coins[row["fee_coin"]] = coins.get(row["fee_coin"], Decimal(0)) + Decimal(row["fee"])
        return fees

    def count_fills(self, account: str) -> int:
        """How many fills an account has."""
        count: int = self._db.execute("SELECT count(*) FROM fills WHERE account = ?", (account,)).fetchone()[0]
        return count

    def _orders(self, where: str, values: Iterable[object]) -> list[Order]:
        rows = self._db.execute(f"SELECT * FROM orders {where}", tuple(values))  # noqa: S608 - fixed text only
        return [_order(row) for row in rows]

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _order_row(account: str, order: Order) -> tuple[object, ...]:
    return (
        order.order_id,
        account,
        order.client_id,
        order.side,
        order.order_type,
        order.force,
        None if order.price is None else str(order.price),
        str(order.size),
        str(order.filled_base),
        str(order.filled_quote),
        order.status,
        order.cancel_reason,
        order.created_ms,
        order.updated_ms,
    )


def _order(row: sqlite3.Row) -> Order:
    return Order(
        row["order_id"],
        row["client_id"],
        Side(row["side"]),
        OrderType(row["order_type"]),
        Force(row["force"]),
        None if row["price"] is None else Decimal(row["price"]),
        Decimal(row["size"]),
        Decimal(row["filled_base"]),
        Decimal(row["filled_quote"]),
        Status(row["status"]),
        row["cancel_reason"],
        row["created_ms"],
        row["updated_ms"],
    )


def _fill_row(account: str, fill: Fill) -> tuple[object, ...]:
    return (
        fill.trade_id,
        account,
        fill.order_id,
        fill.client_id,
        fill.side,
        fill.order_type,
        str(fill.price),
        str(fill.base),
        str(fill.quote),
        str(fill.fee),
        fill.fee_coin,
        int(fill.is_maker),
        fill.time_ms,
    )


def _fill(row: sqlite3.Row) -> Fill:
    return Fill(
        row["trade_id"],
        row["order_id"],
        row["client_id"],
        Side(row["side"]),
        OrderType(row["order_type"]),
        Decimal(row["price"]),
        Decimal(row["base"]),
        Decimal(row["quote"]),
        Decimal(row["fee"]),
        row["fee_coin"],
        bool(row["is_maker"]),
        row["time_ms"],
    )
