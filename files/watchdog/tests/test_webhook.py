"""An alert can stop the bot that it names, and do nothing else."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from watchdog.requests import RequestBox
from watchdog.webhook import serve


@pytest.fixture
def hook(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Its address, and the directory of the bots' alerts."""
    for bot in ("bot1", "bot2"):
        (tmp_path / bot).mkdir()
    with serve(tmp_path, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/alertmanager", tmp_path
        server.shutdown()


def alert(status: str = "firing", **labels: str) -> dict[str, Any]:
    """An alert as Alertmanager's version 4 sends it."""
    return {
        "status": status,
        "labels": {"alertname": "BotUnhealthy", **labels},
        "annotations": {"summary": "bot1 has been unhealthy for 10 minutes"},
        "fingerprint": f"f{len(labels)}",
    }


def post(url: str, body: object) -> tuple[int, str]:
    """Status and text of the answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data)) as answer:  # noqa: S310 -- a server of this test
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def asked(directory: Path, bot: str) -> list[tuple[str, str]]:
    """What a bot's watchdog finds: action and reason."""
    return [(each.action, each.reason) for each in RequestBox(directory / bot, frozenset({"kill"})).pending()]


def test_a_firing_alert_that_shall_trip_reaches_its_bots_watchdog_and_no_other(hook: tuple[str, Path]) -> None:
    url, directory = hook
    trips = alert(bot="bot1", watchdog="trip")
    assert post(url, {"version": "4", "alerts": [trips, trips, alert(bot="bot2")]}) == (200, "2 handed over\n")
    assert asked(directory, "bot1") == [("kill", "BotUnhealthy: bot1 has been unhealthy for 10 minutes")]
    assert asked(directory, "bot2") == []


@pytest.mark.parametrize(
    "harmless", [alert("resolved", bot="bot1", watchdog="trip"), alert(bot="bot1"), alert(bot="bot1", watchdog="no")]
)
def test_other_alerts_do_nothing(hook: tuple[str, Path], harmless: dict[str, Any]) -> None:
    url, directory = hook
    assert post(url, {"alerts": [harmless]}) == (200, "0 handed over\n")
    assert asked(directory, "bot1") == []


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"alerts": [alert(watchdog="trip")]}, 400, "has no label bot"),
        ({"alerts": [alert(bot="bot9", watchdog="trip")]}, 422, "no bot 'bot9' on this VPS, only bot1, bot2"),
        ({"alerts": [alert(bot="../bot1", watchdog="trip")]}, 422, "no bot '../bot1'"),
        ({"alerts": ["x"]}, 400, "no labels"),
        ({}, 400, "no list of alerts"),
        (b"{", 400, ""),
    ],
)
def test_what_cannot_be_handed_over_is_an_error_that_alertmanager_counts(
    hook: tuple[str, Path], body: object, status: int, said: str
) -> None:
    url, directory = hook
    answer = post(url, body)
    assert answer[0] == status
    assert said in answer[1]
    assert asked(directory, "bot1") == []


def test_the_rest_is_handed_over_beside_a_fault(hook: tuple[str, Path]) -> None:
    url, directory = hook
    alerts = [alert(bot="bot9", watchdog="trip"), alert(bot="bot1", watchdog="trip")]
    assert post(url, {"alerts": alerts})[0] == 422
    assert len(asked(directory, "bot1")) == 1
