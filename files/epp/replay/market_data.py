"""Recorded market data, read strictly and row by row.

Candles are one-minute OHLCV rows; trades are single prints. Both come as CSV (plain or gzip) or Parquet, with a header
that names the columns. What is malformed, unsorted, duplicated or gappy is refused with file and line; with ``repair``
it is mended as far as that can be done without making prices up, and every repair is counted.
"""

from __future__ import annotations

import csv
import gzip
import heapq
import io
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

BAR_S = 60

_TIME_COLUMNS = ("timestamp", "timestamp_ms", "ts", "time", "date", "datetime", "open_time")
_VOLUME_COLUMNS = {"volume": None, "base_volume": "base", "volume_base": "base", "quote_volume": "quote"}
_SIDE_COLUMNS = ("taker_side", "side")
_AMOUNT_COLUMNS = ("amount", "size", "qty", "quantity")
# How far out of place a row may be for --repair to put it back: a day of candles.
_REORDERED_ROWS = 1440
# The longest gap of candles that --repair bridges with flat bars.
_MAX_BRIDGED_S = 3600


class VolumeUnit(StrEnum):
    """What a candle's volume counts."""

    BASE = "base"
    QUOTE = "quote"


class DataError(Exception):
    """The data cannot be used; the message names the file and the line."""


class Candle(NamedTuple):
    """One minute. ``start`` is in unix seconds, ``volume`` in base."""

    start: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class Trade(NamedTuple):
    """One public trade. ``ts`` is in unix seconds, ``amount`` in base."""

    ts: float
    price: float
    amount: float
    taker_buys: bool | None
    """None when the file does not say."""


@dataclass
class Repairs:
    """What ``repair`` mended, by kind, with the first line of each."""

    counts: dict[str, int] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, where: str, number: int = 1) -> None:
        """Count repairs of one kind."""
        self.counts[kind] = self.counts.get(kind, 0) + number
        self.first.setdefault(kind, where)

    def sentences(self) -> list[str]:
        """One sentence a kind."""
        return [f"repaired: {number} x {kind}, first at {self.first[kind]}" for kind, number in self.counts.items()]


Row = tuple[int, Mapping[str, str]]
"""Line number and cells by column."""


def is_trades(path: Path) -> bool:
    """Whether the file holds trades: it has a price column and no candle's.

    Raises:
        DataError: the file cannot be read or is empty.
    """
    columns = _columns(path)
    return "price" in columns and "close" not in columns


class Candles:
    """The one-minute candles of a file; each iteration reads the file anew.

    Args:
        path: CSV, CSV.gz or Parquet.
        volume: what the column ``volume`` counts; columns named ``base_volume`` or ``quote_volume`` say so themselves.
        repair: mend what can be mended.
        begin: leave out candles that start earlier (unix seconds).
        end: leave out candles that do not start earlier.
    """

    def __init__(
        self,
        path: Path,
        *,
        volume: VolumeUnit | None,
        repair: bool = False,
        begin: float | None = None,
        end: float | None = None,
    ) -> None:
        self.path = path
        self.repairs = Repairs()
        self._repair = repair
        self._begin = -math.inf if begin is None else begin
        self._end = math.inf if end is None else end
        columns = _columns(path)
        self._time = _first_of(path, columns, _TIME_COLUMNS, "time")
        self._volume = _first_of(path, columns, tuple(_VOLUME_COLUMNS), "volume")
        _require(path, columns, ("open", "high", "low", "close"))
        unit = _VOLUME_COLUMNS[self._volume] or volume
        if unit is None:
            raise DataError(f"{path}: line 1: say what column volume counts: --volume-unit base or quote")
        self._in_quote = unit == VolumeUnit.QUOTE

    def __iter__(self) -> Iterator[Candle]:
        self.repairs = Repairs()
        previous: Candle | None = None
        previous_line = 0
        rows = self._parsed()
        if self._repair:
            rows = _sorted_nearly(rows, self.repairs, self.path)
        for line, _, candle in rows:
            if previous is not None:
                step = candle.start - previous.start
                if step != BAR_S:
                    mended = self._irregular(line, candle, previous, previous_line, step)
                    if mended is None:
                        continue
                    yield from (bar for bar in mended if self._begin <= bar.start < self._end)
            previous, previous_line = candle, line
            if candle.start >= self._end:
                return
            if candle.start >= self._begin:
                yield candle
        if previous is None:
            raise DataError(f"{self.path}: line 2: no candle: the file holds a header only")

    def _irregular(
        self, line: int, candle: Candle, previous: Candle, previous_line: int, step: int
    ) -> list[Candle] | None:
        """What to put before a candle that does not follow the one before it; None leaves the candle out."""
        if step == 0:
            if not self._repair:
                raise self._error(line, f"{_when(candle.start)} stands on line {previous_line} already")
            self.repairs.add("duplicated minute, the first one kept", f"line {line}")
            return None
        if step < 0:
            raise self._error(
                line, f"{_when(candle.start)} comes before {_when(previous.start)} of line {previous_line}"
            )
        if step % BAR_S:
            raise self._error(line, f"{_when(candle.start)} does not follow line {previous_line} by whole minutes")
        missing = step // BAR_S - 1
        minutes = "minute" if missing == 1 else "minutes"
        what = f"{missing} {minutes} missing after {_when(previous.start)} of line {previous_line}"
        if not self._repair:
            raise self._error(line, what)
        if step > _MAX_BRIDGED_S:
            raise self._error(line, f"{what}: too many to bridge; replay the parts with --from and --to")
        self.repairs.add("missing minute, bridged flat and without volume", f"line {line}", missing)
        price = previous.close
        return [
            Candle(start, price, price, price, price, 0.0)
            for start in range(previous.start + BAR_S, candle.start, BAR_S)
        ]

    def _parsed(self) -> Iterator[tuple[int, float, Candle]]:
        time = _Times(self.path, self._time)
        for line, cells in _rows(self.path, self.repairs if self._repair else None):
            try:
                candle = self._candle(line, cells, time)
                yield line, candle.start, candle
            except DataError as error:
                if not self._repair:
                    raise
                self.repairs.add("unusable row left out", f"{error}".removeprefix(f"{self.path}: "))

    def _candle(self, line: int, cells: Mapping[str, str], time: _Times) -> Candle:
        ts = time.read(line, cells[self._time])
        start = int(ts)
        if ts != start or start % BAR_S:
            raise self._error(
                line, f"{self._time} {cells[self._time]!r} is not a full minute: candles of one minute are needed"
            )
        prices = [_number(self.path, line, name, cells[name]) for name in ("open", "high", "low", "close")]
        volume = _number(self.path, line, self._volume, cells[self._volume])
        opened, high, low, close = prices
        if low <= 0:
            raise self._error(line, f"low {low} is not positive")
        if not low <= min(opened, close) <= max(opened, close) <= high:
            raise self._error(line, f"open {opened} and close {close} do not lie between low {low} and high {high}")
        if volume < 0:
            raise self._error(line, f"{self._volume} {volume} is negative")
        return Candle(start, opened, high, low, close, volume / close if self._in_quote else volume)

    def _error(self, line: int, what: str) -> DataError:
        return DataError(f"{self.path}: line {line}: {what}")


class Trades:
    """The trades of a file, amounts in base; each iteration reads the file anew. Arguments as of :class:`Candles`."""

    def __init__(
        self, path: Path, *, repair: bool = False, begin: float | None = None, end: float | None = None
    ) -> None:
        self.path = path
        self.repairs = Repairs()
        self._repair = repair
        self._begin = -math.inf if begin is None else begin
        self._end = math.inf if end is None else end
        columns = _columns(path)
        self._time = _first_of(path, columns, _TIME_COLUMNS, "time")
        self._amount = _first_of(path, columns, _AMOUNT_COLUMNS, "amount")
        self._side = next((name for name in _SIDE_COLUMNS if name in columns), None)
        self._id = next((name for name in ("trade_id", "id") if name in columns), None)
        _require(path, columns, ("price",))

    def __iter__(self) -> Iterator[Trade]:
        self.repairs = Repairs()
        previous_ts, previous_line = -math.inf, 0
        ids: dict[str, int] = {}
        found = False
        rows = self._parsed()
        if self._repair:
            rows = _sorted_nearly(rows, self.repairs, self.path)
        for line, _, (trade, trade_id) in rows:
            found = True
            if trade.ts < previous_ts:
                raise self._error(line, f"{_when(trade.ts)} comes before {_when(previous_ts)} of line {previous_line}")
            if trade.ts > previous_ts:
                ids.clear()  # an id can only be met again within its own moment: the rest is sorted
            if trade_id and trade_id in ids:
                if not self._repair:
                    raise self._error(line, f"trade {trade_id} stands on line {ids[trade_id]} already")
                self.repairs.add("duplicated trade, the first one kept", f"line {line}")
                continue
            ids[trade_id] = line
            previous_ts, previous_line = trade.ts, line
            if trade.ts >= self._end:
                return
            if trade.ts >= self._begin:
                yield trade
        if not found:
            raise DataError(f"{self.path}: line 2: no trade: the file holds a header only")

    def _parsed(self) -> Iterator[tuple[int, float, tuple[Trade, str]]]:
        time = _Times(self.path, self._time)
        for line, cells in _rows(self.path, self.repairs if self._repair else None):
            try:
                trade, trade_id = self._trade(line, cells, time)
                yield line, trade.ts, (trade, trade_id)
            except DataError as error:
                if not self._repair:
                    raise
                self.repairs.add("unusable row left out", f"{error}".removeprefix(f"{self.path}: "))

    def _trade(self, line: int, cells: Mapping[str, str], time: _Times) -> tuple[Trade, str]:
        ts = time.read(line, cells[self._time])
        price = _number(self.path, line, "price", cells["price"])
        amount = _number(self.path, line, self._amount, cells[self._amount])
        if price <= 0:
            raise self._error(line, f"price {price} is not positive")
        if amount <= 0:
            raise self._error(line, f"{self._amount} {amount} is not positive")
        taker_buys: bool | None = None
        if self._side is not None:
            side = cells[self._side].lower()
            if side not in ("buy", "sell"):
                raise self._error(line, f"{self._side} {side!r} is neither buy nor sell")
            taker_buys = side == "buy"
        return Trade(ts, price, amount, taker_buys), cells[self._id] if self._id else ""

    def _error(self, line: int, what: str) -> DataError:
        return DataError(f"{self.path}: line {line}: {what}")


def _when(ts: float) -> str:
    return datetime.fromtimestamp(ts, tz=UTC).isoformat(sep=" ", timespec="auto").removesuffix("+00:00")


def _number(path: Path, line: int, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise DataError(f"{path}: line {line}: {name} {text!r} is not a number") from None
    if not math.isfinite(value):
        raise DataError(f"{path}: line {line}: {name} {text!r} is not a finite number")
    return value


class _Times:
    """Times of one column: ISO 8601 (UTC unless it says otherwise) or unix seconds, milliseconds or microseconds."""

    def __init__(self, path: Path, column: str) -> None:
        self._path = path
        self._column = column

    def read(self, line: int, text: str) -> float:
        try:
            moment = datetime.fromisoformat(text) if not text.replace(".", "", 1).isdigit() else None
        except ValueError:
            raise DataError(f"{self._path}: line {line}: {self._column} {text!r} is not a time") from None
        if moment is not None:
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        value = float(text)
        # Unix seconds stay below 1e11 until the year 5138.
        for unit in (1.0, 1e3, 1e6):
            if value / unit < 1e11:
                return value / unit
        raise DataError(f"{self._path}: line {line}: {self._column} {text!r} is no time in s, ms or µs")


def _first_of(path: Path, columns: Sequence[str], names: Sequence[str], what: str) -> str:
    found = [name for name in names if name in columns]
    if not found:
        raise DataError(
            f"{path}: line 1: no {what} column: one of {', '.join(names)} is needed, found {', '.join(columns)}"
        )
    return found[0]


def _require(path: Path, columns: Sequence[str], names: Sequence[str]) -> None:
    missing = [name for name in names if name not in columns]
    if missing:
        raise DataError(f"{path}: line 1: column {', '.join(missing)} is missing, found {', '.join(columns)}")


def _is_parquet(path: Path) -> bool:
    return path.suffix in (".parquet", ".pq")


def _columns(path: Path) -> list[str]:
    if _is_parquet(path):
        return [str(name) for name in _parquet(path).schema.names]
    with _text(path) as file:
        try:
            header = next(csv.reader(file), None)
        except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{path}: line 1: {_read_error(error)}") from error
    if not header:
        raise DataError(f"{path}: line 1: the file is empty")
    if len(set(header)) != len(header):
        raise DataError(f"{path}: line 1: a column stands there twice: {', '.join(header)}")
    return header


def _text(path: Path) -> io.TextIOWrapper:
    try:
        raw = gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # noqa: SIM115 -- the wrapper closes it
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    return io.TextIOWrapper(raw, encoding="utf-8", newline="")


def _read_error(error: Exception) -> str:
    if isinstance(error, EOFError):
        return "the gzip stream ends too early: the file is truncated"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8: {error.reason}"
    return f"cannot be read on: {error}"


def _rows(path: Path, repairs: Repairs | None) -> Iterator[Row]:
    if _is_parquet(path):
        yield from _parquet_rows(path)
        return
    with _text(path) as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader)
            width = len(header)
            for cells in reader:
                if len(cells) != width:
                    what = f"{path}: line {reader.line_num}: {len(cells)} cells where the header has {width}"
                    if repairs is None:
                        raise DataError(what)
                    repairs.add("unusable row left out", what.removeprefix(f"{path}: "))
                    continue
                yield reader.line_num, dict(zip(header, cells, strict=True))
        except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
            line = reader.line_num + 1
            if repairs is None or not isinstance(error, EOFError):
                raise DataError(f"{path}: line {line}: {_read_error(error)}") from error
            repairs.add("truncated file used up to where it breaks off", f"line {line}")


def _parquet(path: Path) -> Any:
    try:
        from pyarrow import parquet  # type: ignore[import-not-found,unused-ignore]  # optional
    except ImportError as error:
        raise DataError(f"{path}: Parquet needs pandas with pyarrow: pip install pandas pyarrow") from error
    try:
        return parquet.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


def _parquet_rows(path: Path) -> Iterator[Row]:
    """Rows by batches; a row's line is its number, counted from 2 as under a header."""
    line = 2
    for batch in _parquet(path).iter_batches(batch_size=4096):
        for row in batch.to_pylist():
            yield line, {name: _cell(value) for name, value in row.items()}
            line += 1


def _cell(value: object) -> str:
    if value is None:
        return "nan"
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _sorted_nearly[Item](
    rows: Iterator[tuple[int, float, Item]], repairs: Repairs, path: Path
) -> Iterator[tuple[int, float, Item]]:
    """Put rows that are a little out of place back in order."""
    waiting: list[tuple[float, int, Item]] = []
    newest, given = -math.inf, -math.inf
    for line, ts, item in rows:
        if ts < newest:
            repairs.add("row put in its place", f"line {line}")
        if ts < given:
            raise DataError(f"{path}: line {line}: {_when(ts)} is out of place by more than {_REORDERED_ROWS} rows")
        newest = max(newest, ts)
        heapq.heappush(waiting, (ts, line, item))
        if len(waiting) > _REORDERED_ROWS:
            given, first, oldest = heapq.heappop(waiting)
            yield first, given, oldest
    while waiting:
        ts, first, oldest = heapq.heappop(waiting)
        yield first, ts, oldest
