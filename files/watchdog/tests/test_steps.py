"""The steps of a stop: only what is seen after the bot was stopped, twice, ten seconds apart, is proof."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from watchdog.steps import APART_S, STOP_WITHIN_S, Steps


def test_zero_before_the_stop_proves_nothing() -> None:
    steps = Steps(0)
    assert not steps.look_at_orders(1, 0)
    assert not steps.zero
    assert steps.look_at_bot(5, stopped=True, watched=True)
    assert not steps.look_at_orders(5, 0)
    assert not steps.look_at_orders(14.9, 0)
    assert steps.look_at_orders(15, 0)
    assert (steps.zero, steps.proved) == (5, 15)


def test_the_cancels_do_not_wait_for_a_host_that_does_nothing() -> None:
    steps = Steps(0)
    assert not steps.look_at_bot(STOP_WITHIN_S, stopped=False, watched=True)
    assert steps.look_at_bot(STOP_WITHIN_S + 1, stopped=False, watched=True)
    assert not steps.stop_proven
    steps.look_at_orders(15, 0)
    assert steps.look_at_orders(26, 0)


def test_a_stop_that_comes_late_begins_the_proof_anew() -> None:
    steps = Steps(0)
    steps.look_at_bot(14, stopped=False, watched=True)
    steps.look_at_orders(14, 0)
    steps.look_at_orders(24, 0)
    assert steps.proved
    assert steps.look_at_bot(25, stopped=True, watched=True)
    assert not steps.proved


def test_a_second_watchdog_elsewhere_waits_for_no_container() -> None:
    steps = Steps(0)
    assert steps.look_at_bot(0.5, stopped=False, watched=False)
    assert steps.stopped == 0.5


@given(
    st.lists(
        st.tuples(st.floats(0.1, 6), st.integers(0, 2), st.booleans()),
        min_size=1,
        max_size=40,
    )
)
def test_a_proof_always_rests_on_two_looks_that_showed_nothing(looks: list[tuple[float, int, bool]]) -> None:
    """Whatever comes in which order: from the first look of a proof to its second no order was seen and the bot was
    down, or given up on."""
    steps, now, history = Steps(0), 0.0, []
    for wait, own, stopped in looks:
        now += wait
        steps.look_at_bot(now, stopped=stopped, watched=True)
        steps.look_at_orders(now, own)
        history.append((now, own))
        if steps.proved:
            assert steps.proved - steps.zero >= APART_S
            assert steps.stopped <= steps.zero
            assert all(seen == 0 for at, seen in history if at >= steps.zero)
