"""`control.yml` says what it needs before it touches anything."""

from pathlib import Path

import pytest

from tests.controller import Way, write_inventory

WHAT = {"bot": "bot1", "action": "pause", "reason": "news"}


@pytest.mark.parametrize(
    "wrong",
    [{"bot": "bot9"}, {"bot": None}, {"action": "halt"}, {"action": None}, {"reason": "  "}, {"reason": None}],
    ids=str,
)
def test_what_is_not_said_is_refused(tmp_path: Path, way: Way, wrong: dict[str, str | None]) -> None:
    given = [f"{name}={value}" for name, value in {**WHAT, **wrong}.items() if value is not None]
    run = way.run(
        "control", write_inventory(tmp_path / "inventory"), *(word for pair in given for word in ("-e", pair))
    )
    assert run.code != 0
    assert "Nothing was done. Say which bot, what and why: -e bot=bot1 -e action=start|stop|restart" in " ".join(
        run.output.split()
    )
    assert "PLAY [Control the bot]" not in run.output
