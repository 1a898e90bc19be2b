"""A CSV book survives a crash at any byte."""

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from epp.books.csv_book import CsvBook, format_timestamp, format_value, read_rows
from hypothesis import given, settings
from hypothesis import strategies as st

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
COLUMNS = ("ts", "name", "amount")


def make(path: Path, rows: int) -> bytes:
    book = CsvBook(path, COLUMNS, NOW)
    for number in range(rows):
        book.append({"ts": format_timestamp(number), "name": f"row {number}, quoted", "amount": Decimal(number)})
    book.close()
    return path.read_bytes()


def test_header_once_crlf_and_quotes(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    make(path, 1)
    make(path, 1)
    assert path.read_bytes() == (
        b"ts,name,amount\r\n"
        b'1970-01-01T00:00:00.000Z,"row 0, quoted",0\r\n'
        b'1970-01-01T00:00:00.000Z,"row 0, quoted",0\r\n'
    )


@settings(max_examples=300, deadline=None)
@given(cut=st.integers(min_value=0, max_value=400))
def test_a_crash_at_any_byte_costs_the_torn_row_and_no_other(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("torn") / "book.csv"
    whole = make(path, 5)
    cut = min(cut, len(whole))
    path.write_bytes(whole[:cut])
    complete = whole[:cut].count(b"\r\n")
    book = CsvBook(path, COLUMNS, NOW)
    book.append({"ts": "after", "name": "after", "amount": 1})
    book.close()
    text = path.read_bytes()
    rows = list(csv.reader(io.StringIO(text.decode(), newline="")))
    assert text.startswith(b"ts,name,amount\r\n")
    assert rows[-1] == ["after", "after", "1"]
    assert all(len(row) == 3 for row in rows)
    assert len(rows) == 2 + max(0, complete - 1)
    assert len(list(path.parent.iterdir())) == 1  # a torn header is not another book's header


def test_zero_blocks_of_a_power_cut_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    whole = make(path, 3)
    path.write_bytes(whole[:-10] + bytes(200_000))
    book = CsvBook(path, COLUMNS, NOW)
    assert [repair.what for repair in book.repairs] == ["cut 200034 bytes of a row torn by a crash"]
    book.close()
    assert path.read_bytes() == whole[: whole[:-2].rfind(b"\n") + 1]


def test_another_header_moves_the_file_aside(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_bytes(b"ts,name\r\nold,row\r\n")
    book = CsvBook(path, COLUMNS, NOW)
    book.close()
    aside = tmp_path / "book.20260102T030405Z.csv"
    assert aside.read_bytes() == b"ts,name\r\nold,row\r\n"
    assert path.read_bytes() == b"ts,name,amount\r\n"
    assert "moved aside as book.20260102T030405Z.csv" in book.repairs[0].what
    path.write_bytes(b"ts,other\r\n")
    CsvBook(path, COLUMNS, NOW).close()
    assert (tmp_path / "book.20260102T030405Z.1.csv").exists()


def test_a_row_must_have_exactly_the_columns(tmp_path: Path) -> None:
    book = CsvBook(tmp_path / "book.csv", COLUMNS, NOW)
    with pytest.raises(KeyError, match="amount, extra"):
        book.append({"ts": "t", "name": "n", "extra": 1})
    book.close()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (0, "0"),
        (1e-07, "0.0000001"),
        (0.1 + 0.2, "0.3"),
        (float("nan"), ""),
        (float("-inf"), ""),
        (Decimal("1E+3"), "1000"),
        (Decimal("1.500"), "1.5"),
        (Decimal("NaN"), ""),
        ("a\r\nb", "a  b"),
        (NOW, "2026-01-02T03:04:05.000Z"),
    ],
)
def test_values(value: object, text: str) -> None:
    assert format_value(value) == text  # type: ignore[arg-type]  # of every type that it takes


def test_reading_leaves_a_torn_row_out(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    whole = make(path, 2)
    path.write_bytes(whole[:-20])
    assert [row["amount"] for row in read_rows(path)] == ["0"]
    assert list(read_rows(tmp_path / "none.csv")) == []
