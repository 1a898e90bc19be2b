"""A bot's containers are left alone, and Compose is not run, only when Compose and Docker say that all is well."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

import pytest

RenderFor = Callable[..., Callable[[str], Any]]

STAY = [
    " DRY-RUN MODE -  Container hbot-bot1-exchange  Running",
    " DRY-RUN MODE -  Container hbot-bot1-watchdog  Running",
    " DRY-RUN MODE -  Container hbot-bot1  Running",
]
WAITED_FOR = [
    " DRY-RUN MODE -  Container hbot-bot1-exchange  Waiting",
    " DRY-RUN MODE -  Container hbot-bot1-exchange  Healthy",
]
WELL = ["/hbot-bot1 healthy", "/hbot-bot1-watchdog healthy", "/hbot-bot1-exchange healthy"]
"""Answers of Docker Compose 2.26 and Docker 26 on a VPS."""


@pytest.mark.parametrize("said", [STAY + WELL, [*STAY, *WAITED_FOR, *WELL], [*reversed(STAY), *reversed(WELL)]])
def test_they_stay_when_all_run_and_are_well(render_for: RenderFor, said: list[str]) -> None:
    assert render_for("bot1", __bot_answer={"stdout_lines": said})("__bot_stays") is True


@pytest.mark.parametrize(
    "said",
    [
        pytest.param([], id="nothing was said"),
        pytest.param(STAY, id="nothing of their health"),
        pytest.param(WELL, id="nothing of what Compose would do"),
        pytest.param(STAY[:2] + WELL, id="of one container nothing"),
        pytest.param([*STAY, *STAY[:1], *WELL], id="of one container twice"),
        pytest.param([*STAY, *WELL[:2], "/hbot-bot1-exchange starting"], id="one is starting"),
        pytest.param([*STAY, *WELL[:2], "/hbot-bot1-exchange unhealthy"], id="one is unwell"),
        pytest.param([*STAY, *WELL[:2], "Error: No such object: hbot-bot1-exchange"], id="one is not there"),
        pytest.param([*STAY, *WELL, "hbot-bot1-exchange is left over"], id="one is too many"),
        pytest.param([*STAY, " DRY-RUN MODE -  Network hbot-paper-bot1  Created", *WELL], id="a network is missing"),
        pytest.param([*STAY[:2], " DRY-RUN MODE -  Container hbot-bot1  Recreate", *WELL], id="one would be made anew"),
        pytest.param([*STAY[:2], " DRY-RUN MODE -  Container hbot-bot1  Created", *WELL], id="one would be started"),
        pytest.param([*STAY[:2], " DRY-RUN MODE -  Container hbot-bot2  Running", *WELL], id="another bot's"),
        pytest.param(["no service selected", *WELL], id="Compose refuses"),
        pytest.param(["sh: 1: docker: not found"], id="no Docker"),
    ],
)
def test_else_compose_is_run(render_for: RenderFor, said: list[str]) -> None:
    assert render_for("bot1", __bot_answer={"stdout_lines": said})("__bot_stays") is False


def test_compose_is_run_when_nobody_was_asked(render_for: RenderFor) -> None:
    assert render_for("bot1", __bot_answer={"skipped": True})("__bot_stays") is False


def test_a_live_bot_has_no_exchange_beside_it(render_for: RenderFor) -> None:
    well = [*STAY[1:], *WELL[:2]]
    live = {"bot_mode": "live", "__bot_answer": {"stdout_lines": well}}
    assert render_for("bot1", **live)("__bot_stays") is True
    asked = render_for("bot1", **live)("__bot_asked")
    assert "docker ps --all --filter 'name=^/hbot-bot1-exchange$' --format '{{.Names}} is left over'" in asked
    live["__bot_answer"] = {"stdout_lines": [*well, "hbot-bot1-exchange is left over"]}
    assert render_for("bot1", **live)("__bot_stays") is False


def test_compose_is_asked_what_it_would_do_and_does_nothing(render_for: RenderFor) -> None:
    asked = render_for("bot1", bot_profiles=["bots"])("__bot_asked")
    words = shlex.split(asked.partition("|")[0])
    assert words[words.index("up") + 1] == "--dry-run"
    assert words[words.index("--file") + 1] == "/opt/hbot/compose/bot1.yml"
    assert words[words.index("--profile") + 1] == "bots"
