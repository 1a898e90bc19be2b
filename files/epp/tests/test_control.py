"""``epp control``: requests reach a running bot and their answers come back; nothing is left behind."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from epp import control
from epp.__main__ import main
from epp.books.ledger import COMMANDS, KILL_FILE
from epp.books.requests import ANSWERED, RequestBox


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state directory of a bot."""
    directory = tmp_path / "data" / "epp_v24" / "bot1_a"
    directory.mkdir(parents=True)
    return directory


@pytest.fixture
def bot(state: Path) -> Iterator[list[str]]:
    """A bot that answers its requests, ``done`` to each but a resume; yields the actions it was asked for."""
    box, asked, ended = RequestBox(state), [], threading.Event()

    def tick() -> None:
        while not ended.is_set():
            for request in box.pending():
                asked.append(request.action)
                box.answer(request, "refused: it is not paused" if request.action == "resume" else "done")
            time.sleep(0.02)

    running = threading.Thread(target=tick)
    running.start()
    yield asked
    ended.set()
    running.join()


def told(state: Path, *words: str) -> int:
    """Run the command for that state."""
    return main(["control", *words, "--state", str(state)])


def test_a_request_comes_back_with_its_answer(state: Path, bot: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert told(state, "pause", "--reason", "news at 14:00") == 0
    assert capsys.readouterr().out == "done\n"
    assert bot == ["pause"]
    assert list((state / COMMANDS).glob("*.json*")) == []
    [answered] = (state / COMMANDS / ANSWERED).iterdir()
    assert json.loads(answered.read_text())["reason"] == "news at 14:00"


def test_a_refusal_is_an_error(state: Path, bot: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert told(state, "resume", "--reason", "all clear") == 2
    assert capsys.readouterr().err == "epp control: refused: it is not paused\n"


def test_a_transfer_without_an_amount_is_refused(
    state: Path, bot: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(state, "transfer", "--reason", "deposit") == 2
    assert "needs an amount" in capsys.readouterr().err
    assert bot == []


def test_a_bot_that_does_not_answer_finds_no_request_later(state: Path) -> None:
    RequestBox(state)
    with pytest.raises(control.ControlError, match="taken back"):
        control.ask(state, {"action": "pause", "reason": "x", "base": "0", "quote": "0"}, answer_within_s=0.2)
    assert list((state / COMMANDS).glob("*.json*")) == []


def test_kill_needs_no_running_bot_and_reset_takes_it_away(state: Path, bot: list[str]) -> None:
    assert told(state, "kill", "--reason", "something is wrong") == 0
    assert (state / KILL_FILE).read_text().endswith(" something is wrong\n")
    assert told(state, "reset", "--reason", "it was the feed") == 0
    assert not (state / KILL_FILE).exists()
    assert bot == ["reset"]


def test_the_only_state_is_found(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(state.parents[2])
    assert main(["control", "kill", "--reason", "x"]) == 0
    (state.parent / "bot1_b").mkdir()
    assert main(["control", "kill", "--reason", "x"]) == 2


@pytest.mark.parametrize("reason", ["", "  "])
def test_there_is_no_request_without_a_reason(state: Path, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(state, "pause", "--reason", reason) == 2
    assert "say why" in capsys.readouterr().err
