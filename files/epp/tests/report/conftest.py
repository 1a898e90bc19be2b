"""Books for the report's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from epp.tests.report.made_books import BookMaker


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker of the test that looks at the page."""
    config.addinivalue_line("markers", "browser: looks at a page in a real browser; needs chromium")


@pytest.fixture
def books(tmp_path: Path) -> BookMaker:
    """An account before its first minute."""
    return BookMaker(tmp_path)
