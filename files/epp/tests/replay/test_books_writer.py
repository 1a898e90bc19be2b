"""A replay's rows are the bot's own, by a shorter way."""

from decimal import Decimal

import pytest
from epp.books.csv_book import Value, format_value
from epp.core import GuardState, Regime
from epp.replay.books_writer import cell
from hypothesis import given
from hypothesis import strategies as st


@given(st.floats() | st.integers() | st.booleans() | st.none() | st.decimals(allow_nan=False, allow_infinity=False))
def test_a_cell_is_written_as_the_bot_writes_it(value: Value) -> None:
    assert cell(value) == format_value(value)


@pytest.mark.parametrize(
    "value", [Regime.UP, GuardState.SOFT_PAUSE, "edge;feed", Decimal("NaN"), Decimal("Infinity"), Decimal("1E+3"), 1e-9]
)
def test_so_is_what_no_random_value_is(value: Value) -> None:
    assert cell(value) == format_value(value)
