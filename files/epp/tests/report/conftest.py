"""Books for the report's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from epp.tests.report.made_books import BookMaker


@pytest.fixture
def books(tmp_path: Path) -> BookMaker:
    """An account before its first minute."""
    return BookMaker(tmp_path)
