"""Tell somebody: a line in the log, a line in the journal, and a post to the operator's own receiver."""

from __future__ import annotations

import json
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import durable_file

TRIES = 5
TIMEOUT_S = 10.0


class Journal:
    """What happened, one JSON object a line, on the console and in a file that only grows.

    Args:
        path: the file.
        bot: stands in every line.
        page_url: where a page is posted to; none when empty.
    """

    def __init__(self, path: Path, bot: str, page_url: str = "") -> None:
        self._path = path
        self._bot = bot
        self._page_url = page_url

    def note(self, event: str, detail: str = "", **values: Any) -> None:
        """Write one line. A disk that refuses it is no reason to stop watching."""
        line = {
            "ts": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "bot": self._bot,
            "event": event,
            "detail": detail,
            **values,
        }
        print(json.dumps(line), flush=True)
        try:
            durable_file.append(self._path, line)
        except OSError as error:
            print(f"{self._path}: {error}", file=sys.stderr, flush=True)

    def page(self, event: str, detail: str, **values: Any) -> None:
        """Write one line, and post it to the receiver in the background."""
        self.note(event, detail, paged=True, **values)
        if self._page_url:
            message = {"bot": self._bot, "event": event, "detail": detail, **values}
            threading.Thread(target=self._post, args=(message,), daemon=True, name="page").start()

    def _post(self, message: Mapping[str, Any]) -> None:
        request = urllib.request.Request(  # noqa: S310 -- the operator's own URL; the preflight wants http or https
            self._page_url,
            json.dumps(message).encode(),
            {"Content-Type": "application/json"},
        )
        for attempt in range(1, TRIES + 1):
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310 -- as above
                    self.note("page_delivered", message["event"], attempt=attempt)
                    return
            except (OSError, ValueError) as error:
                # The error may quote the URL, which may hold a secret.
                self.note("page_failed", type(error).__name__, attempt=attempt)
                time.sleep(2.0**attempt)
