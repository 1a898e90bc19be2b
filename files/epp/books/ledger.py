"""The three CSV books, the state file and the latch of one bot, written in an order that a crash cannot break.

A fill goes to ``fills.csv`` first, synced, and only then into the state file. So the state never knows a fill that
the book has not, and whatever a crash leaves out of both is asked of the exchange again at the next start:

- crash before the row: neither has the fill; it is fetched, booked and written once.
- crash between row and state: the fill is fetched and booked into the state again, and its row is recognised by its
trade
  id and not written twice.

The trade ids are read from all of the mode's fills books in the directory, also from those moved aside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .columns import DAILY, FILLS, MINUTE
from .csv_book import CsvBook, Repair, Value, format_timestamp, read_rows
from .latch_file import Latched, LatchFile
from .state_file import Loaded, Owner, StateFile

KILL_FILE = "kill"
"""Name of the operator's kill file in the state's directory; its presence is enough."""

COMMANDS = "commands"
"""Directory for the operator's requests, one JSON file each, in the state's directory."""


@dataclass(frozen=True)
class Provenance:
    """What every row says about where it comes from."""

    instance: str
    variant: str
    mode: str
    market_source: str
    speed: float
    strategy_hash: str
    config_hash: str

    def cells(self) -> dict[str, Value]:
        """As columns."""
        return {
            "instance": self.instance,
            "variant": self.variant,
            "mode": self.mode,
            "market_source": self.market_source,
            "speed": self.speed,
            "strategy_hash": self.strategy_hash,
            "config_hash": self.config_hash,
        }


class Ledger:
    """The books of one bot.

    Args:
        logs: Hummingbot's ``logs`` directory; the CSV books are below ``epp_v24/<instance>_<variant>``.
        data: Hummingbot's ``data`` directory; state, kill file and commands are below the same name.
        provenance: written on every row.
        common: further cells of every row, as ``exchange`` and ``trading_pair``.
        now: the moment of opening.
    """

    def __init__(
        self, logs: Path, data: Path, provenance: Provenance, common: Mapping[str, Value], now: datetime | None = None
    ) -> None:
        now = now or datetime.now(tz=UTC)
        name = f"{provenance.instance}_{provenance.variant}"
        self.directory = logs / "epp_v24" / name
        self.state_directory = data / "epp_v24" / name
        self._cells = provenance.cells() | dict(common)
        self._now = now
        self._state = StateFile(
            self.state_directory, Owner(instance=provenance.instance, variant=provenance.variant, mode=provenance.mode)
        )
        self._latch = LatchFile(self.state_directory, provenance.mode)
        self.fills = CsvBook(self.directory / "fills.csv", FILLS, now)
        self.minutes = CsvBook(self.directory / "minute.csv", MINUTE, now)
        self.days = CsvBook(self.directory / "daily.csv", DAILY, now)
        self._written = self._trade_ids(provenance.mode)
        # A row made after the day's end is the day's last word; one made within it was a clean stop's.
        self._days_ended = {
            row["day"] for row in self.days.rows() if row["mode"] == provenance.mode and row["ts"][:10] > row["day"]
        }
        self._waiting: list[dict[str, Value]] = []
        (self.state_directory / COMMANDS).mkdir(exist_ok=True)

    @property
    def repairs(self) -> Sequence[Repair]:
        """What opening the books had to mend."""
        return [*self.fills.repairs, *self.minutes.repairs, *self.days.repairs]

    @property
    def fills_written(self) -> int:
        """Fills of this mode in the books."""
        return len(self._written)

    @property
    def killed(self) -> bool:
        """Whether the operator's kill file is there."""
        return (self.state_directory / KILL_FILE).exists()

    def load_state(self) -> Loaded:
        """Read the state file; see :meth:`StateFile.load`."""
        return self._state.load(self._now)

    def refuse_state(self, reason: str) -> Loaded:
        """Set the state file aside for a reason found in its body."""
        return self._state.set_aside(reason, self._now)

    def latched(self) -> Latched | None:
        """The hard stop that was latched, whatever became of the state file."""
        return self._latch.read()

    def save_state(self, body: Mapping[str, Any], latched: Latched | None = None) -> None:
        """Replace the state file, after every fill it knows is in the book, and the latch beside it.

        A latch is on disk before the state that has it, and is gone only after the state that has it no more.

        Raises:
            OSError: the disk refused; the old state stands.
        """
        self._write_waiting()
        if latched is not None:
            self._latch.write(latched)
        self._state.save(body)
        if latched is None:
            self._latch.write(None)

    def book_fill(self, ts: float, trade_id: str, cells: Mapping[str, Value]) -> bool:
        """Write a fill's row, unless the book has it.

        Args:
            ts: when it happened, unix seconds.
            trade_id: the exchange's id of the execution.
            cells: the columns after provenance and ``trading_pair``.

        Returns:
            Whether a row was written.

        Raises:
            OSError: the disk refused; the row is kept and tried again before the next state is saved.
        """
        if trade_id in self._written or any(row["trade_id"] == trade_id for row in self._waiting):
            return False
        self._waiting.append({"ts": format_timestamp(ts)} | self._cells | {"trade_id": trade_id} | dict(cells))
        self._write_waiting()
        return True

    def write_minute(self, ts: float, cells: Mapping[str, Value]) -> None:
        """Write a minute's row."""
        self.minutes.append({"ts": format_timestamp(ts)} | self._cells | dict(cells))

    def write_day(self, ts: float, day: str, cells: Mapping[str, Value]) -> None:
        """Write a day's row.

        The row of a day that has ended is written once. A day still running gets one at every clean stop; the last
        row of a day counts.

        Args:
            ts: when the row is made.
            day: ``YYYY-MM-DD``.
            cells: the columns after ``day``, ``exchange`` and ``trading_pair``.
        """
        stamp = format_timestamp(ts)
        ended = stamp[:10] > day
        if ended and day in self._days_ended:
            return
        self.days.append({"ts": stamp, "day": day} | self._cells | dict(cells))
        self.days.sync()
        if ended:
            self._days_ended.add(day)

    def close(self) -> None:
        """Close the CSV books."""
        for book in (self.fills, self.minutes, self.days):
            book.close()

    def _write_waiting(self) -> None:
        while self._waiting:
            row = self._waiting[0]
            self.fills.append(row)
            self.fills.sync()
            self._written.add(str(row["trade_id"]))
            self._waiting.pop(0)

    def _trade_ids(self, mode: str) -> set[str]:
        return {
            row["trade_id"]
            for path in self.directory.glob("fills*.csv")
            for row in read_rows(path)
            if row.get("mode") == mode and row.get("trade_id")
        }
