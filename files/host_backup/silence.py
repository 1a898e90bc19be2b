"""What a planned stop of a bot causes is told to nobody: a silence in this VPS's Alertmanager while the stop lasts.

Where there is no Alertmanager, or it does not answer, nothing is silenced, and the work goes on.
"""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any

ALERTMANAGER = "http://127.0.0.1:9093"
BY = "host_backup"
CAUSED = (
    "BotDatabaseStale", "BotDisconnected", "BotLogSilent", "BotNoNetwork", "BotSnapshotStale",
    "ContainerDown", "ContainerRestartLoop", "ContainerUnhealthy",
)  # fmt: skip
"""What a stopped bot sets off. A hard stop, a loss or a latch does not come of a stop, and is told all the same."""

ANSWERS_WITHIN_S = 5


def begin(bot: str, seconds: float, *, alertmanager: str = ALERTMANAGER) -> None:
    """Silence what the stop of a bot causes; it ends by itself after so many seconds."""
    now = datetime.now(tz=timezone.utc)  # Python 3.10 has no datetime.UTC
    wanted = {
        "matchers": [
            {"name": "bot", "value": bot, "isRegex": False, "isEqual": True},
            {"name": "alertname", "value": "|".join(CAUSED), "isRegex": True, "isEqual": True},
        ],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(seconds=seconds)).isoformat(),
        "createdBy": BY,
        "comment": f"a planned stop of {bot}",
    }
    with suppress(OSError, ValueError):
        _ask(f"{alertmanager}/api/v2/silences", "POST", wanted)


def end(bot: str, *, alertmanager: str = ALERTMANAGER) -> None:
    """End the silences that :func:`begin` made for a bot."""
    chosen = urllib.parse.urlencode({"filter": f'bot="{bot}"'})
    with suppress(OSError, ValueError, KeyError, TypeError):
        for silence in _ask(f"{alertmanager}/api/v2/silences?{chosen}", "GET"):
            if silence["createdBy"] == BY and silence["status"]["state"] != "expired":
                _ask(f"{alertmanager}/api/v2/silence/{silence['id']}", "DELETE")


def _ask(address: str, method: str, body: Any = None) -> Any:
    request = urllib.request.Request(  # noqa: S310 (this machine's own Alertmanager)
        address,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=ANSWERS_WITHIN_S) as answer:  # noqa: S310 (the same)
        said = answer.read()
    return json.loads(said) if said else None
