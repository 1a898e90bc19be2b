"""What the bot does not write is refused, and the refusal names file and line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from epp.report import BookError, figures_of
from epp.tests.report.made_books import BookMaker


def edit(path: Path, line: int, old: str, new: str) -> None:
    """Replace the first ``old`` in one line (numbered from 1)."""
    lines = path.read_text().splitlines(keepends=True)
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    path.write_text("".join(lines), newline="")


@pytest.fixture
def written(books: BookMaker) -> Path:
    """Five minutes and four fills."""
    books.minute()
    for _ in range(2):
        books.fill("buy", "99", "0.5", "0.1", after=20)
        books.fill("sell", "101", "0.5", "0.1", after=40)
        books.minute()
        books.minute()
    return books.write()


def test_the_books_as_written_are_accepted(written: Path) -> None:
    assert figures_of(written).fills == 4


@pytest.mark.parametrize(
    ("book", "line", "old", "new", "what"),
    [
        ("fills", 3, "101", "1o1", "price '1o1' is not a number"),
        ("fills", 3, "101", "NaN", "not a finite number"),
        ("fills", 3, "101", "-101", "not positive"),
        ("fills", 3, "101", "102", "is not price"),
        ("fills", 3, ",sell,", ",hold,", "side 'hold' is none of buy, sell"),
        ("fills", 3, ",t2,", ",t1,", "trade t1 is already booked on line 2"),
        ("fills", 3, ",t2,", ",,", "trade_id is empty"),
        ("fills", 3, "true", "yes", "is_maker 'yes'"),
        ("fills", 4, "2022-01-03T", "2022-01-02T", "before the row above it"),
        ("minute", 3, "2022-01-03T", "2022-01-03 T", "is not an ISO 8601 time"),
        ("minute", 3, ".000Z", ".000", "not in UTC"),
        ("minute", 3, ".000Z", ".000+01:00", "not in UTC"),
        ("minute", 3, "running", "napping", "state 'napping' is none of"),
        ("minute", 3, ",100.0,", ",inf,", "not a finite number"),
        ("minute", 3, ",100.0,", ",1;0,", "mid '1;0' is not a number"),
        ("minute", 3, ",4,", ",-4,", "orders_active -4 is negative"),
        ("minute", 3, ",4,", ",4.5,", "not a whole number"),
        ("minute", 3, ",4,", ",4,4,", "cells where the header has"),
        ("minute", 3, ",4,", ',"4,', ""),
        ("minute", 1, "mid", "middle", "missing mid; unknown middle"),
        ("minute", 1, "ts,instance", "instance,ts", "another order"),
        ("fills", 1, ",state", ",state,more", "unknown more"),
    ],
)
def test_a_spoilt_cell_is_refused_with_file_and_line(
    written: Path, book: str, line: int, old: str, new: str, what: str
) -> None:
    path = written / f"{book}.csv"
    edit(path, line, old, new)
    with pytest.raises(BookError) as caught:
        figures_of(written)
    assert str(path) in str(caught.value)
    assert what in str(caught.value)
    assert caught.value.line is not None
    assert caught.value.line >= line


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text("")])
def test_a_book_that_is_missing_or_empty_is_refused(written: Path, spoil: Callable[[Path], object]) -> None:
    spoil(written / "fills.csv")
    with pytest.raises(BookError, match=r"fills\.csv"):
        figures_of(written)


def test_bytes_that_are_no_text_are_refused(written: Path) -> None:
    with (written / "minute.csv").open("ab") as file:
        file.write(b"\xff\xfe\r\n")
    with pytest.raises(BookError, match="not UTF-8"):
        figures_of(written)


def test_a_day_that_is_none_is_refused(books: BookMaker) -> None:
    books.minute()
    books.day("2022-13-01", "200")
    with pytest.raises(BookError, match=r"daily\.csv: line 2: day '2022-13-01'"):
        figures_of(books.write())


def test_a_row_that_is_being_written_is_left_out(written: Path) -> None:
    path = written / "minute.csv"
    whole = figures_of(written)
    path.write_text(path.read_text().rstrip("\r\n")[:-20], newline="")
    assert figures_of(written).minutes == whole.minutes - 1
