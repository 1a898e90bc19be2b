"""The week's report beside the scrapes: the report module's own figures, one process a bot."""

from __future__ import annotations

from pathlib import Path

from bot_exporter.tests.fleet import NOW, Fleet
from bot_exporter.week import Reports, compute, plain
from epp.report import figures_of


def week(root: Path) -> Fleet:
    """A bot with a few hours of books."""
    fleet = Fleet(root)
    fleet.add("bot1")
    book = fleet.books("bot1") / "minute.csv"
    book.write_text(book.read_text().splitlines()[0] + "\n")
    for minute in range(240):
        fleet.now = NOW - 4 * 3600 + 60 * minute
        fleet.minute("bot1")
    fleet.now = NOW
    return fleet


def test_the_figures_are_what_the_report_says(tmp_path: Path) -> None:
    fleet = week(tmp_path)
    found = compute(fleet.books("bot1"), NOW)
    assert found.error == ""
    assert found.figures == plain(figures_of(fleet.books("bot1"), whole=True, resamples=0))


def test_books_without_a_row_have_no_figures_and_no_fault(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    fleet.add("bot1")
    book = fleet.books("bot1") / "minute.csv"
    book.write_text(book.read_text().splitlines()[0] + "\n")
    found = compute(fleet.books("bot1"), NOW)
    assert (found.figures, found.error) == (None, "")


def test_a_malformed_book_is_named_with_its_line(tmp_path: Path) -> None:
    fleet = week(tmp_path)
    fleet.minute("bot1", equity_quote="much")
    found = compute(fleet.books("bot1"), NOW)
    assert found.figures is None
    assert "minute.csv: line 242: equity_quote 'much' is not a number" in found.error


def test_one_bots_malformed_book_keeps_no_report_from_another(tmp_path: Path) -> None:
    fleet = week(tmp_path)
    fleet.add("bot2")
    (fleet.books("bot2") / "minute.csv").write_text("no book\n")
    reports = Reports(lambda: {name: fleet.books(name) for name in ("bot2", "bot1")}, lambda: NOW)
    reports.renew()
    bad, good = reports.of("bot2"), reports.of("bot1")
    assert bad is not None
    assert bad.error
    assert good is not None
    assert good.figures is not None


def test_a_bot_without_a_price_yet_has_its_report_soon_after_the_first_one(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    fleet.add("bot1")
    book = fleet.books("bot1") / "minute.csv"
    book.write_text(book.read_text().splitlines()[0] + "\n")
    fleet.minute("bot1", mid="", equity_quote="", base_balance="", quote_balance="")
    now = NOW
    reports = Reports(lambda: {"bot1": fleet.books("bot1")}, lambda: now)
    computed = set()
    for minute in range(9):
        now = NOW + 60 * minute
        reports.renew()
        found = reports.of("bot1")
        assert found is not None
        assert found.error == ""
        computed.add(int(found.computed_at - NOW) // 60)
        assert found.figures is None
    assert computed == {0, 1, 3, 7}, "it is looked at ever more seldom"
    now = fleet.now = NOW + 15 * 60
    fleet.minute("bot1")
    reports.renew()
    found = reports.of("bot1")
    assert found is not None
    assert found.figures is not None
