"""A latch outlives the state file, whatever becomes of that."""

import json
from pathlib import Path

import pytest
from epp.books.latch_file import Latched, LatchFile
from epp.books.ledger import Ledger
from epp.core import State
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .test_ledger import ledger

LATCHED = Latched("kill_file", "the operator's kill file is there", 1767322800.25)


def saved(root: Path, latched: Latched | None) -> Ledger:
    books = ledger(root)
    books.save_state({"x": 1}, latched)
    return books


def test_a_latch_is_on_disk_as_long_as_it_holds(tmp_path: Path) -> None:
    books = saved(tmp_path, LATCHED)
    assert ledger(tmp_path).latched() == LATCHED
    books.save_state({"x": 2}, LATCHED)
    assert ledger(tmp_path).latched() == LATCHED
    books.save_state({"x": 3}, None)
    assert ledger(tmp_path).latched() is None
    assert not (books.state_directory / "latch_paper.json").exists()


def test_a_latch_left_by_an_earlier_process_is_removed_by_the_reset(tmp_path: Path) -> None:
    saved(tmp_path, LATCHED)
    again = ledger(tmp_path)
    again.save_state({"x": 2}, None)
    assert ledger(tmp_path).latched() is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_whatever_the_state_file_holds_the_latch_is_read(tmp_path: Path, content: bytes) -> None:
    books = saved(tmp_path, LATCHED)
    (books.state_directory / "state_paper.json").write_bytes(content)
    again = ledger(tmp_path)
    again.load_state()
    assert again.latched() == LATCHED


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"code": "x"}', b'{"code":"x","detail":"y","ts":"z"}']
)
def test_an_unreadable_latch_is_a_latch(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "latch_paper.json").write_bytes(content)
    latched = LatchFile(tmp_path, "paper").read()
    assert latched is not None
    assert latched.code == "latch_file"


def test_paper_and_live_are_latched_apart(tmp_path: Path) -> None:
    LatchFile(tmp_path, "paper").write(LATCHED)
    assert LatchFile(tmp_path, "live").read() is None
    assert json.loads((tmp_path / "latch_paper.json").read_text())["code"] == "kill_file"


def test_a_bot_that_lost_its_state_starts_latched() -> None:
    state = State.new(reconcile="state_paper.json is torn")
    state.stay_latched(LATCHED.code, LATCHED.detail, LATCHED.ts)
    assert state.guard.latch is not None
    assert State.from_dict(state.to_dict()).guard.latch == state.guard.latch
    state.stay_latched("clock", "later", LATCHED.ts + 1)
    assert state.guard.latch.code == "kill_file"
