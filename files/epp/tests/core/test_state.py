"""What survives a restart: everything, to the digit; and nothing that is not a state."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from epp.core import Engine, OrderState, Side, State, StateError
from epp.tests.core.situations import stages
from epp.tests.core.stage import NOON, PROPERTY, Stage, quoting
from hypothesis import given
from hypothesis import strategies as st


def lived() -> Stage:
    """A stage with something in every corner of its state."""
    stage = quoting(share=0.55)
    stage.fill(stage.of(Side.BUY)[0].order_id)
    stage.run(20)
    stage.fill(stage.of(Side.SELL)[0].order_id)
    stage.run(90)
    stage.engine.on_placement_failure(Side.BUY, 0, stage.ts, "no")
    stage.engine.on_exception(stage.ts, "oops")
    stage.deaf = True
    stage.tick(kill_file=True)
    stage.ts += 86_400
    stage.tick()
    assert stage.state.ledger.ended_days
    return stage


def test_a_restart_resumes_exactly() -> None:
    stage = lived()
    plain = json.loads(json.dumps(stage.engine.state.to_dict()))
    restored = State.from_dict(plain)
    assert restored == stage.engine.state
    assert restored.to_dict() == plain


@PROPERTY
@given(stages(), st.integers(0, 5))
def test_a_core_that_was_restarted_decides_as_the_one_that_was_not(stage: Stage, ticks: int) -> None:
    """Over JSON and back, in any state: same decisions, same state afterwards."""
    for _ in range(ticks):
        stage.tick(5)

    plain = json.loads(json.dumps(stage.engine.state.to_dict()))
    twin = Engine(stage.parameters, State.from_dict(plain))
    twin._started = stage.engine._started
    stage.ts += 5
    snapshot = stage.snapshot()
    first, second = stage.engine.decide(snapshot), twin.decide(snapshot)
    assert first == second
    assert twin.state == stage.engine.state


@PROPERTY
@given(stages())
def test_the_same_state_and_snapshot_give_the_same_decision(stage: Stage) -> None:
    """Deterministic: no clock, no chance, no order of a set."""
    twin = Engine(stage.parameters, copy.deepcopy(stage.state))
    stage.ts += 1
    snapshot = stage.snapshot()
    assert stage.engine.decide(snapshot) == twin.decide(snapshot)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to everything in a plain state."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from leaves(part, (*path, key))


PLAIN = lived().engine.state.to_dict()
PATHS = list(leaves(PLAIN))
FREE_KEYS = {"quoted", "booked", "cancelling", "backoff", "reasons"}
"""Mappings whose keys are data: one fewer is another state, not a torn one."""


def at(plain: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        plain = plain[key]
    return plain


def test_there_is_much_to_tear() -> None:
    assert len(PATHS) > 200


@PROPERTY
@given(st.sampled_from([path for path in PATHS if not FREE_KEYS & set(path[-2:-1]) and isinstance(path[-1], str)]))
def test_a_state_that_lacks_a_key_is_refused_by_name(path: tuple[Any, ...]) -> None:
    """A default in its place would be a silent reset."""
    plain = copy.deepcopy(PLAIN)
    del at(plain, path[:-1])[path[-1]]
    with pytest.raises(StateError, match=str(path[-1])):
        State.from_dict(plain)


@PROPERTY
@given(st.sampled_from(PATHS), st.sampled_from([[], {}, "x", None, True, -1.5, "NaN", float("nan")]))
def test_a_state_with_a_value_of_another_kind_is_refused_or_comes_back_as_it_is(
    path: tuple[Any, ...], value: Any
) -> None:
    """Whatever is taken is what is written again: nothing is coerced on the way."""
    plain = copy.deepcopy(PLAIN)
    at(plain, path[:-1])[path[-1]] = value
    try:
        restored = State.from_dict(plain)
    except StateError:
        return
    assert restored.to_dict() == plain


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        (None, "NoneType"),
        ([], "list"),
        ("{}", "str"),
        ({}, "schema None"),
        (PLAIN | {"schema": 2}, "schema 2"),
        (PLAIN | {"schema": "1"}, "schema '1'"),
        (PLAIN | {"surprise": 1}, "surprise"),
        (PLAIN | {"guard": PLAIN["guard"] | {"surprise": 1}}, "surprise"),
        (PLAIN | {"guard": PLAIN["guard"] | {"state": "asleep"}}, "guard.state"),
        (PLAIN | {"ledger": PLAIN["ledger"] | {"equity": 12.5}}, "ledger.equity"),
        (PLAIN | {"ledger": PLAIN["ledger"] | {"equity": "12.50x"}}, "ledger.equity"),
    ],
)
def test_what_is_no_state_of_this_version_is_refused(plain: object, said: str) -> None:
    with pytest.raises(StateError, match=said):
        State.from_dict(plain)


def test_the_place_of_what_is_no_state_is_named_whole() -> None:
    stage = lived()
    plain = stage.state.to_dict()
    respelt = copy.deepcopy(plain)
    respelt["ledger"]["equity"] += "E+0"
    with pytest.raises(StateError, match=r"^ledger\.equity is '.*', which is not how a state is written$"):
        State.from_dict(respelt)
    in_a_list = copy.deepcopy(plain)
    in_a_list["ledger"]["ended_days"][0]["equity_open_quote"] += "E+0"
    with pytest.raises(StateError, match=r"^ledger\.ended_days\.0\.equity_open_quote is '"):
        State.from_dict(in_a_list)


def test_a_latch_that_the_state_does_not_know_is_taken_over_and_no_other_replaces_it() -> None:
    state = State.new()
    state.stay_latched("kill_file", "the operator's", NOON)
    latch = state.guard.latch
    assert latch is not None
    assert (latch.code, latch.detail, latch.ts) == ("kill_file", "the operator's", NOON)
    restored = Engine(Stage().parameters, state)
    assert restored.state.guard.latch == latch


def test_a_first_state_waits_for_nothing_and_one_after_a_loss_for_the_days_fills() -> None:
    assert State.new() == State()
    assert State.new(reconcile="torn").guard.reconcile == "torn"
    assert State.new().guard.state.value == "soft_pause"


def test_what_an_order_was_expected_to_bring_is_remembered_for_its_fills_and_not_for_ever() -> None:
    stage = quoting()
    for number in range(120):
        stage.mid = 50_000 + number
        stage.orders.clear()
        stage.tick(10)
    assert 300 < len(stage.state.quoted) <= 400
    assert all(order.state is OrderState.OPEN for order in stage.orders.values())
    stage.restart()
    row = stage.fill(stage.of(Side.BUY)[0].order_id)
    assert row is not None
    assert row.spread_pct is not None


def test_the_state_is_small() -> None:
    """It is written at every fill."""
    stage = quoting()
    for number in range(3000):
        stage.trade(Side.BUY if number % 2 else Side.SELL, stage.base * 0 + 50_000, stage.base / 1000)
    stage.ts = NOON + 100
    stage.run(3)
    assert len(json.dumps(stage.engine.state.to_dict())) < 250_000
