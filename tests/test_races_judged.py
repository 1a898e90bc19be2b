"""The campaign of two playbooks at once is not content with just any end of the two."""

import pytest

from tests.campaigns.raced_playbooks import PAIRS, PLAYS, verdict

PLAYBOOK = """
fatal: [vps1]: FAILED! =>
    msg: 'Nothing was done: update.yml of root@desk, since 301 s holds this VPS. Wait until that is
        over, then run again.'
"""
CONTROL = "msg: 'Nothing was done: a rollback of bot1 of this VPS, since 91 s holds this VPS. Wait until"


def test_both_in_turn_is_well() -> None:
    assert verdict(("site.yml", "update.yml"), (0, 0), ("", "")) == ("", "")


@pytest.mark.parametrize(
    ("plays", "said", "holder"),
    [
        (("update.yml", "site.yml"), PLAYBOOK, "update.yml"),
        (("rollback.yml", "control.yml"), CONTROL, "a rollback of bot1"),
    ],
    ids=["a-playbook", "a-bot-controlled"],
)
def test_one_that_was_refused_says_by_whom(plays: tuple[str, str], said: str, holder: str) -> None:
    told, fault = verdict(plays, (0, 2), ("", said))
    assert told.endswith(holder)
    assert fault == ""


@pytest.mark.parametrize(
    ("codes", "said", "fault"),
    [
        ((2, 2), (PLAYBOOK, PLAYBOOK), "neither ended well"),
        ((0, 2), ("", "hbot-bot1 does not run, and so cannot restart: start it first"), "not because of the other"),
        ((0, 2), ("", CONTROL), "was told that"),
    ],
    ids=["both", "another-reason", "another-holder"],
)
def test_any_other_end_is_a_fault(codes: tuple[int, int], said: tuple[str, str], fault: str) -> None:
    assert fault in verdict(("update.yml", "site.yml"), codes, said)[1]


def test_every_pair_can_be_drawn() -> None:
    assert len(PAIRS) == len(PLAYS) * (len(PLAYS) + 1) / 2
