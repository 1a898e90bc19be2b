"""The page: complete in itself, true to the figures, and really drawn by a browser."""

from __future__ import annotations

import html.parser
import json
import math
import re
import shutil
import struct
import subprocess
import zlib
from collections import Counter
from pathlib import Path

import pytest
from epp.report import figures_of
from epp.report.chart_series import MAX_FILLS, MAX_POINTS, ChartSeries
from epp.report.command import add_to
from epp.report.page import Run, render
from epp.tests.report.made_books import BookMaker


def lively(books: BookMaker, minutes: int = 300) -> Path:
    """A wave of prices, a fill every ten minutes, and one pause."""
    for number in range(minutes):
        paused = 120 <= number < 150
        books.minute(
            100 + 2 * math.sin(number / 20),
            state="soft_pause" if paused else "running",
            reasons="edge" if paused else "",
            orders_active=0 if paused else 4,
        )
        if number % 10 == 5 and not paused:
            side = "buy" if number % 20 == 5 else "sell"
            books.fill(side, "99" if side == "buy" else "101", "0.05", "0.005")
    return books.write()


def page_of(directory: Path, **more: object) -> str:
    series = ChartSeries()
    figures = figures_of(directory, observer=series)
    return render(figures, series, heading="A report", **more)  # type: ignore[arg-type]  # any of its keywords


def data_of(page: str) -> dict[str, list[object]]:
    """What the page's script draws."""
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert found
    series: dict[str, list[object]] = json.loads(found[1])["series"]
    return series


def test_nothing_is_loaded_from_anywhere(books: BookMaker) -> None:
    class Collector(html.parser.HTMLParser):
        loads: list[tuple[str, str | None]] = []  # noqa: RUF012 -- one parser, one page

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.loads += [(tag, value) for name, value in attrs if name in ("src", "href", "srcset", "data")]

    page = page_of(lively(books))
    collector = Collector()
    collector.feed(page)
    assert collector.loads == []
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttpRequest", page)
    assert "{{" not in page


def test_text_from_the_books_cannot_become_markup(books: BookMaker) -> None:
    directory = lively(books, 60)
    evil = "</script><img src=x onerror=alert(1)>"
    for name in ("minute", "fills"):
        path = directory / f"{name}.csv"
        path.write_text(path.read_text().replace(",bot1,", f',"{evil}",').replace(",edge,", f',"{evil}",'), newline="")
    page = page_of(directory, notes=[evil])
    assert "<img" not in page
    assert page.count("</script>") == 2


def test_a_state_and_a_reason_are_drawn_as_long_as_they_stood(books: BookMaker) -> None:
    series = data_of(page_of(lively(books)))
    first = series["ts"][0]
    assert isinstance(first, int)
    states: list[tuple[float, float, str]] = series["states"]  # type: ignore[assignment]  # from JSON
    spans = [[round(a - first), round(b - first), state] for a, b, state in states]
    assert spans == [[0, 7200, "running"], [7200, 9000, "soft_pause"], [9000, 299 * 60, "running"]]
    reasons: dict[str, list[list[float]]] = series["reasons"]  # type: ignore[assignment]  # from JSON
    assert [[round(a - first), round(b - first)] for a, b in reasons["edge"]] == [[7200, 9000]]


def test_quotes_are_drawn_where_the_skew_puts_them_and_not_while_there_are_none(books: BookMaker) -> None:
    books.minute(100, spread_pct=0.01, skew=0.002)
    books.minute(100, spread_pct=0.01, skew=0.002, orders_active=0)
    series = data_of(page_of(books.write()))
    assert series["bid"] == [pytest.approx(99.3), None]  # too much base: both quotes lower
    assert series["ask"] == [pytest.approx(100.3), None]


def test_a_long_window_is_thinned_out_without_losing_a_spike(books: BookMaker) -> None:
    for number in range(4 * MAX_POINTS + 7):
        books.minute(130 if number == 5000 else 100)
        if number and number % 2 == 0:
            books.fill("buy" if number % 4 else "sell", "100", "0.001")
    series = data_of(page_of(books.write()))
    assert MAX_POINTS <= len(series["ts"]) <= 2 * MAX_POINTS
    assert max(series["high"]) == 130  # type: ignore[type-var]  # from JSON
    assert series["ts"][-1] == round(books.ts - 60)
    assert len(series["fills"]) <= MAX_FILLS


def test_several_runs_are_compared_and_the_headline_marked(books: BookMaker) -> None:
    directory = lively(books)
    figures = figures_of(directory)
    page = page_of(directory, runs=[Run("one", figures, headline=False), Run("two", figures, headline=True)])
    assert '<tr class="headline"><td>two' in page


def _pixels(path: Path) -> tuple[int, int, Counter[tuple[int, int, int]]]:
    """Width, height and colours of an 8-bit PNG, read with the standard library."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place, packed, width, height, depth, kind = 8, b"", 0, 0, 0, 0
    while place < len(data):
        size, name = struct.unpack(">I4s", data[place : place + 8])
        if name == b"IHDR":
            width, height, depth, kind = struct.unpack(">IIBB", data[place + 8 : place + 18])
        elif name == b"IDAT":
            packed += data[place + 8 : place + 8 + size]
        place += size + 12
    assert depth == 8
    step = {2: 3, 6: 4}[kind]
    raw, row_size, above, colours = (
        zlib.decompress(packed),
        width * step,
        bytearray(width * step),
        Counter[tuple[int, int, int]](),
    )
    for number in range(height):
        start = number * (row_size + 1)
        how, row = raw[start], bytearray(raw[start + 1 : start + 1 + row_size])
        for i in range(row_size):
            left = row[i - step] if i >= step else 0
            up, corner = above[i], above[i - step] if i >= step else 0
            if how == 1:
                row[i] = (row[i] + left) & 255
            elif how == 2:
                row[i] = (row[i] + up) & 255
            elif how == 3:
                row[i] = (row[i] + (left + up) // 2) & 255
            elif how == 4:
                guess = left + up - corner
                nearest = min((left, up, corner), key=lambda value: abs(guess - value))
                row[i] = (row[i] + nearest) & 255
        colours.update(zip(row[::step], row[1::step], row[2::step], strict=True))
        above = row
    return width, height, colours


def _chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.fail("no browser. Fix: make browser")


@pytest.mark.browser
def test_a_real_browser_draws_every_chart(books: BookMaker, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(page_of(lively(books)), encoding="utf-8")
    picture = tmp_path / "report.png"
    command = [
        _chromium(), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr",
        "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path / 'profile'}",
        "--virtual-time-budget=3000", "--window-size=800,2800", "--blink-settings=preferredColorScheme=1",
    ]  # fmt: skip
    seen = subprocess.run(
        [*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    assert 'data-drawn="6"' in seen.stdout, seen.stderr
    assert "Uncaught" not in seen.stderr
    charts = dict(re.findall(r'<svg data-chart="(\w+)".*?>(.*?)</svg>', seen.stdout, re.DOTALL))
    assert set(charts) == {"price", "inventory", "equity", "versus", "spread", "guard"}
    for name, drawn in charts.items():
        shapes = re.findall(r'<path d="(M[^"]{200,})"', drawn) if name != "guard" else re.findall("<rect", drawn)
        assert len(shapes) >= (1 if name == "versus" else 2), f"{name} is empty"
        assert "NaN" not in drawn
        assert "undefined" not in drawn
    assert charts["price"].count('fill="var(--bid)"') + charts["price"].count('fill="var(--ask)"') == 27

    subprocess.run([*command, f"--screenshot={picture}", page.as_uri()], capture_output=True, timeout=120, check=True)
    width, height, colours = _pixels(picture)
    assert (width, height) == (800, 2800)
    for name, colour, least in (
        ("mid", (0x3B, 0x47, 0x54), 500),
        ("bid and bought", (0x1B, 0x7F, 0xBD), 500),
        ("ask and sold", (0xC8, 0x64, 0x1B), 200),
        ("running", (0x5A, 0xA5, 0x7C), 3000),
        ("soft_pause", (0xE0, 0x7F, 0x3C), 500),
    ):
        assert colours[colour] >= least, f"{name}: {colours[colour]} pixels"


def test_the_command_is_described() -> None:
    import argparse

    parser = argparse.ArgumentParser()
    add_to(parser.add_subparsers())
    assert "report" in parser.format_help()
