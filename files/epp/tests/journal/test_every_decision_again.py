"""What the journal holds, given to the core again, gives every decision again, to the last digit."""

import contextlib
import inspect
import json
import tempfile
import time
from decimal import Decimal
from pathlib import Path

import pytest
from epp.core import Bar, ClockSample, Engine, OpenOrder, OrderState, Side, Snapshot
from epp.journal.entries import CALLS, Call, Changes, arguments, plain_arguments
from epp.tests.core.situations import stages
from epp.tests.core.stage import NOON, PROPERTY, Stage, quoting
from epp.tests.journal.journaled import Journaled, assert_identical
from hypothesis import given
from hypothesis import strategies as st

READS = {"run_memory", "is_booked", "minute_row", "day_row", "parameters", "state"}
"""What of the core changes nothing."""


def test_no_call_that_changes_the_core_is_forgotten() -> None:
    public = {name for name, _ in inspect.getmembers(Engine) if not name.startswith("_")}
    assert public - READS == set(CALLS)


def test_a_life_with_everything_in_it(tmp_path: Path) -> None:
    journal = Journaled(quoting(share=0.55), tmp_path)
    stage = journal.stage
    stage.run(20)
    stage.fill(stage.of(Side.BUY)[0].order_id)
    stage.run(40)
    stage.fill(stage.of(Side.SELL)[0].order_id, Decimal("0.0001"))
    stage.engine.on_placement_failure(Side.BUY, 0, stage.ts, "no")
    stage.engine.on_cancel_failure("o1", stage.ts, "refused, with \n and ü")
    stage.engine.on_exception(stage.ts, "oops")
    stage.run(70)
    stage.engine.pause(stage.ts, "news")
    stage.run(5)
    stage.engine.resume(stage.ts, "over")
    stage.engine.transfer(stage.ts, base=Decimal("0.01"), quote=Decimal("-3.50"), reason="deposit")
    journal.restart()
    stage.run(5)
    stage.tick(kill_file=True)
    stage.run(3)
    stage.engine.reset(stage.ts, "it was a test")
    with pytest.raises(ValueError, match="needs a reason"):
        stage.engine.reset(stage.ts, " ")
    with pytest.raises(ValueError, match="minute"):
        stage.engine.seed_bars([Bar(1.5, 1, 1, 1, 1)])
    stage.ts += 86_400
    row = stage.tick().day_rows[0]
    stage.engine.day_row_written(row.day)
    stage.engine.reconcile_done(stage.ts, "done")
    stage.run(3)
    found = journal.again()
    assert_identical(found, segments=2, starts=2, fills=2, ticks=20 + 40 + 70 + 5 + 5 + 1 + 3 + 1 + 3, lost=0, cut=[])
    assert journal.warnings == []


def test_an_exception_in_the_core_is_written_and_raised_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journaled(quoting(), tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr("epp.core.engine.quoting.plan", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            journal.stage.tick()
        found = journal.again()
        assert_identical(found, ticks=1)
    found = journal.again()
    assert found.difference is not None
    assert (found.difference.where, found.difference.name) == ("raised", "decide")


ACTIONS = st.lists(
    st.sampled_from(["tick", "tick", "tick", "minute", "fill", "part", "move", "fall", "refuse", "begin", "restart"]),
    min_size=1,
    max_size=12,
)


def _act(journal: Journaled, action: str) -> None:
    stage = journal.stage
    if action == "minute":
        stage.run(60, step=10)
    elif action in ("fill", "part") and stage.orders:
        name = next(iter(stage.orders))
        stage.fill(name, stage.orders[name].remaining / 2 if action == "part" else None)
    elif action in ("move", "fall"):
        stage.mid *= 1.0007 if action == "move" else 0.97
    elif action == "refuse":
        stage.engine.on_placement_failure(Side.SELL, 1, stage.ts, "no")
    elif action == "begin":
        journal.new_file()
    elif action == "restart":
        journal.restart()
    stage.tick()


@PROPERTY
@given(stages(), ACTIONS)
def test_every_decision_in_any_state_over_restarts_and_new_files(stage: Stage, actions: list[str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        journal = Journaled(stage, Path(directory))
        for action in actions:
            # What the random account cannot do is refused by the core; that is journaled as well.
            with contextlib.suppress(ValueError):
                _act(journal, action)
        found = journal.again()
        assert_identical(found, lost=0)
        assert found.ticks >= len(actions) - 1
        assert journal.warnings == []


NUMBERS = st.floats() | st.sampled_from([0.0, -0.0, 5e-324, 1.7976931348623157e308, 0.1 + 0.2])
AMOUNTS = st.decimals() | st.sampled_from([Decimal("0E-8"), Decimal("1.10"), Decimal("-0"), Decimal("1E+3")])
TIMES = st.floats(1e9, 3e9)


@PROPERTY
@given(
    ts=TIMES,
    prices=st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS),
    amounts=st.tuples(AMOUNTS, AMOUNTS, AMOUNTS),
    asked=st.lists(NUMBERS, max_size=3),
)
def test_a_snapshot_reads_back_to_the_bit(
    ts: float,
    prices: tuple[float, float, float, float],
    amounts: tuple[Decimal, Decimal, Decimal],
    asked: list[float],
) -> None:
    """Not-a-number, infinities, minus zero and trailing zeros included: what the core was shown is what is kept."""
    snapshot = Snapshot(
        ts=ts, bid=prices[0], ask=prices[1], last=None, book_age_s=prices[2], base_total=amounts[0],
        base_available=amounts[1], quote_total=None, quote_available=amounts[2], maker_fee=prices[3], rules=None,
        orders=tuple(
            OpenOrder(f"o{number}", Side.SELL, amounts[0], amounts[1], number, asked_ts, OrderState.PENDING)
            for number, asked_ts in enumerate(asked)
        ),
        connector_ready=False, clock=ClockSample(ts, prices[0], prices[1]),
    )  # fmt: skip
    plain = plain_arguments(Call("decide", {"snapshot": snapshot}))
    read = json.loads(Changes().line(plain))
    assert repr(arguments("decide", read)["snapshot"]) == repr(snapshot)


def test_an_order_that_rests_costs_nothing_in_the_journal(tmp_path: Path) -> None:
    """A quiet second is a few numbers, whatever rests in the market."""
    journal = Journaled(quoting(), tmp_path)
    journal.stage.run(30)
    journal.stop()
    (path,) = tmp_path.glob("*.jsonl")
    lines = path.read_text().splitlines()
    assert max(len(line) for line in lines[20:]) < 400, lines[-1]


def test_a_value_that_cannot_be_written_costs_the_calls_up_to_a_new_file(tmp_path: Path) -> None:
    journal = Journaled(quoting(), tmp_path)
    journal.stage.run(2)
    journal.writer.write(Call("no_such_call", {}))
    journal.stage.run(2)
    deadline = time.monotonic() + 10
    while not journal.writer.wants_begin:
        assert time.monotonic() < deadline, "no new file is wanted"
        time.sleep(0.01)
    journal.stage.run(200)
    found = journal.again()
    assert found.difference is None
    assert found.segments == 2
    assert found.lost >= 1
    assert "cannot be written" in journal.warnings[0]
    assert f"{found.lost} calls could not be written" in journal.warnings[1]


def test_the_core_itself_is_not_changed_by_being_watched(tmp_path: Path) -> None:
    plain, journal = quoting(), Journaled(quoting(), tmp_path)
    for _ in range(100):
        plain.mid = journal.stage.mid = plain.mid * 1.0002
        assert plain.tick() == journal.stage.tick()
    journal.stop()
    assert plain.engine.state == journal.stage.engine.state
    assert journal.stage.ts > NOON
