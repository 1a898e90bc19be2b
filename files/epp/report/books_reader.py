"""Reading the CSV books strictly: what is not what the writer writes is refused with file and line.

A last line without its line end is left out: the bot may be in the middle of writing it, or a crash tore it and the
next start will cut it off.
"""

from __future__ import annotations

import csv
import heapq
import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO, TypeVar

from ..books.columns import DAILY, FILLS, MINUTE, PROVENANCE

CLOCK_STEP_S = 300.0
"""How far ``ts`` may go back from one row to the next: a clock may be stepped, a file may not be shuffled."""

_REORDERED_FILLS = 256
_REMEMBERED_TRADES = 1_000

Row = TypeVar("Row")

Provenance = tuple[str, ...]
"""A row's provenance cells, in the order of ``PROVENANCE``."""


class BookError(Exception):
    """A book cannot be used; the message names the file and the line."""

    def __init__(self, path: Path, line: int | None, what: str) -> None:
        super().__init__(f"{path}: {what}" if line is None else f"{path}: line {line}: {what}")
        self.path = path
        self.line = line


@dataclass(frozen=True, slots=True)
class FillRow:
    """What the report reads of one row of fills.csv. Times are unix seconds."""

    ts: float
    provenance: Provenance
    exchange: str
    trading_pair: str
    is_buy: bool
    price: Decimal
    amount_base: Decimal
    notional_quote: Decimal
    fee_quote: Decimal
    order_id: str
    trade_id: str
    is_maker: bool
    mid: float | None


@dataclass(slots=True)
class MinuteRow:
    """What the report reads of one row of minute.csv. ``None`` is an empty cell: not known."""

    ts: float
    provenance: Provenance
    exchange: str
    trading_pair: str
    state: str
    reasons: tuple[str, ...]
    regime: str
    mid: float | None
    equity_quote: Decimal | None
    trading_pnl_quote: Decimal | None
    base_balance: Decimal | None
    quote_balance: Decimal | None
    base_pct: float | None
    target_base_pct: float | None
    spread_pct: float | None
    spread_floor_pct: float | None
    skew: float | None
    turnover_x: float | None
    orders_active: int
    cancel_fail_streak: int


class _Cells:
    """The cells of the current row by column, with errors that say where."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.line = 1
        self.cells: list[str] = []
        self._index = {column: index for index, column in enumerate(columns)}

    def error(self, what: str) -> BookError:
        return BookError(self.path, self.line, what)

    def text(self, column: str) -> str:
        return self.cells[self._index[column]]

    def required(self, column: str) -> str:
        text = self.text(column)
        if not text:
            raise self.error(f"{column} is empty")
        return text

    def time(self) -> float:
        text = self.required("ts")
        try:
            # Python 3.10 knows no Z.
            moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            raise self.error(f"ts {text!r} is not an ISO 8601 time") from None
        if moment.utcoffset() != timedelta(0):
            raise self.error(f"ts {text!r} is not in UTC")
        return moment.timestamp()

    def decimal_or_none(self, column: str) -> Decimal | None:
        text = self.text(column)
        if not text:
            return None
        try:
            value = Decimal(text)
        except InvalidOperation:
            raise self.error(f"{column} {text!r} is not a number") from None
        if not value.is_finite():
            raise self.error(f"{column} {text!r} is not a finite number")
        return value

    def decimal(self, column: str) -> Decimal:
        self.required(column)
        value = self.decimal_or_none(column)
        assert value is not None  # noqa: S101 -- just required
        return value

    def positive(self, column: str) -> Decimal:
        value = self.decimal(column)
        if value <= 0:
            raise self.error(f"{column} {value} is not positive")
        return value

    def number_or_none(self, column: str) -> float | None:
        text = self.text(column)
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            raise self.error(f"{column} {text!r} is not a number") from None
        if not -1e300 < value < 1e300:
            raise self.error(f"{column} {text!r} is not a finite number")
        return value

    def count(self, column: str) -> int:
        text = self.required(column)
        try:
            value = int(text)
        except ValueError:
            raise self.error(f"{column} {text!r} is not a whole number") from None
        if value < 0:
            raise self.error(f"{column} {value} is negative")
        return value

    def one_of(self, column: str, choices: Sequence[str]) -> str:
        text = self.text(column)
        if text not in choices:
            raise self.error(f"{column} {text!r} is none of {', '.join(choices)}")
        return text


def _whole_lines(file: IO[str]) -> Iterator[str]:
    """Lines that have their end."""
    for line in file:
        if line.endswith("\n"):
            yield line


def _rows(path: Path, columns: Sequence[str], parse: Callable[[_Cells], Row]) -> Iterator[Row]:
    cells = _Cells(path, columns)
    try:
        file = path.open(encoding="utf-8", newline="")
    except OSError as error:
        raise BookError(path, None, f"cannot be read: {error.strerror}") from error
    with file:
        reader = csv.reader(_whole_lines(file), strict=True)
        try:
            header = next(reader, None)
            if header is None:
                raise BookError(path, 1, "the file is empty: not even a header")
            if header != list(columns):
                raise BookError(path, 1, _header_difference(header, columns))
            for row in reader:
                cells.cells = row
                cells.line = reader.line_num
                if len(row) != len(columns):
                    raise cells.error(f"{len(row)} cells where the header has {len(columns)}")
                yield parse(cells)
        except csv.Error as error:
            raise BookError(path, reader.line_num, str(error)) from error
        except UnicodeDecodeError as error:
            raise BookError(path, reader.line_num + 1, f"not UTF-8: {error.reason}") from error


def _header_difference(header: Sequence[str], columns: Sequence[str]) -> str:
    missing = [column for column in columns if column not in header]
    unknown = [column for column in header if column not in columns]
    if missing or unknown:
        parts = [f"missing {', '.join(missing)}"] if missing else []
        parts += [f"unknown {', '.join(unknown)}"] if unknown else []
        return f"wrong columns: {'; '.join(parts)}"
    return "the columns are in another order"


def _provenance(cells: _Cells) -> Provenance:
    return tuple(cells.text(column) for column in PROVENANCE)


def _fill(cells: _Cells) -> FillRow:
    fee = cells.decimal("fee_quote")
    price, amount, notional = cells.positive("price"), cells.positive("amount_base"), cells.positive("notional_quote")
    # A fill's notional is its price times its amount; the writer may round, but not invent.
    if abs(price * amount - notional) > notional * Decimal("1e-6"):
        raise cells.error(f"notional_quote {notional} is not price {price} times amount_base {amount}")
    return FillRow(
        ts=cells.time(),
        provenance=_provenance(cells),
        exchange=cells.text("exchange"),
        trading_pair=cells.text("trading_pair"),
        is_buy=cells.one_of("side", ("buy", "sell")) == "buy",
        price=price,
        amount_base=amount,
        notional_quote=notional,
        fee_quote=fee,
        order_id=cells.required("order_id"),
        trade_id=cells.required("trade_id"),
        is_maker=cells.one_of("is_maker", ("true", "false")) == "true",
        mid=cells.number_or_none("mid"),
    )


def _minute(cells: _Cells) -> MinuteRow:
    return MinuteRow(
        ts=cells.time(),
        provenance=_provenance(cells),
        exchange=cells.text("exchange"),
        trading_pair=cells.text("trading_pair"),
        state=cells.one_of("state", STATES),
        reasons=tuple(code for code in cells.text("reasons").split(";") if code),
        regime=cells.text("regime"),
        mid=cells.number_or_none("mid"),
        equity_quote=cells.decimal_or_none("equity_quote"),
        trading_pnl_quote=cells.decimal_or_none("trading_pnl_quote"),
        base_balance=cells.decimal_or_none("base_balance"),
        quote_balance=cells.decimal_or_none("quote_balance"),
        base_pct=cells.number_or_none("base_pct"),
        target_base_pct=cells.number_or_none("target_base_pct"),
        spread_pct=cells.number_or_none("spread_pct"),
        spread_floor_pct=cells.number_or_none("spread_floor_pct"),
        skew=cells.number_or_none("skew"),
        turnover_x=cells.number_or_none("turnover_x"),
        orders_active=cells.count("orders_active"),
        cancel_fail_streak=cells.count("cancel_fail_streak"),
    )


STATES = ("running", "reduce_only", "soft_pause", "hard_stop")
"""The guard's states as the books name them, mildest first."""


def read_minutes(path: Path) -> Iterator[MinuteRow]:
    """The rows of minute.csv, oldest first.

    Raises:
        BookError: the file is not what EPP writes, or its times run back by more than a clock step.
    """
    previous = float("-inf")

    def parse(cells: _Cells) -> MinuteRow:
        nonlocal previous
        row = _minute(cells)
        if row.ts < previous - CLOCK_STEP_S:
            raise cells.error(f"ts {cells.text('ts')} is {previous - row.ts:.0f} s before the row above it")
        previous = max(previous, row.ts)
        return row

    return _rows(path, MINUTE, parse)


def read_fills(path: Path) -> Iterator[FillRow]:
    """The rows of fills.csv by time: fills booked a little out of turn are put in order.

    Raises:
        BookError: the file is not what EPP writes, a trade stands in it twice, or its times run back by more than a
            clock step.
    """
    newest = float("-inf")
    seen: OrderedDict[str, int] = OrderedDict()

    def parse(cells: _Cells) -> FillRow:
        nonlocal newest
        row = _fill(cells)
        if row.trade_id in seen:
            raise cells.error(f"trade {row.trade_id} is already booked on line {seen[row.trade_id]}")
        seen[row.trade_id] = cells.line
        if len(seen) > _REMEMBERED_TRADES:
            seen.popitem(last=False)
        if row.ts < newest - CLOCK_STEP_S:
            raise cells.error(f"ts {cells.text('ts')} is {newest - row.ts:.0f} s before the row above it")
        newest = max(newest, row.ts)
        return row

    waiting: list[tuple[float, int, FillRow]] = []
    serial = itertools.count()
    for row in _rows(path, FILLS, parse):
        heapq.heappush(waiting, (row.ts, next(serial), row))
        if len(waiting) > _REORDERED_FILLS:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]


def read_day_opens(path: Path) -> dict[str, Decimal]:
    """Opening equity by UTC day from daily.csv; a day written twice (a clean stop, then the roll) counts once.

    Raises:
        BookError: the file is not what EPP writes.
    """

    def parse(cells: _Cells) -> tuple[str, Decimal | None]:
        cells.time()
        day = cells.required("day")
        try:
            datetime.strptime(day, "%Y-%m-%d")  # noqa: DTZ007 -- a date, of which only the form matters
        except ValueError:
            raise cells.error(f"day {day!r} is not YYYY-MM-DD") from None
        return day, cells.decimal_or_none("equity_open_quote")

    return {day: equity for day, equity in _rows(path, DAILY, parse) if equity is not None}
