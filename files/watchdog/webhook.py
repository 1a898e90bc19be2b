"""Alertmanager's way to the watchdogs: a web hook on loopback that can stop a bot, and do nothing else.

It runs on the VPS's own Python, holds no key and opens no file but one: each firing alert that is labelled
``watchdog="trip"`` and names a ``bot`` becomes a request in that bot's directory, which its watchdog reads.
"""

from __future__ import annotations

import argparse
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TRIP_LABEL, TRIP = "watchdog", "trip"
MAX_BYTES = 1 << 20
TIMEOUT_S = 10.0


class PayloadError(ValueError):
    """What came is no notification that can be obeyed; the message says why."""


def trips(payload: Any) -> list[tuple[str, str, str]]:
    """What a notification of Alertmanager asks for: bot, reason and the alert's own id, one for each that trips.

    Raises:
        PayloadError: it is none of Alertmanager's, or an alert that should trip names no bot.
    """
    if not isinstance(payload, dict) or not isinstance(payload.get("alerts"), list):
        raise PayloadError("not a notification of Alertmanager: it has no list of alerts")
    found = []
    for alert in payload["alerts"]:
        labels = alert.get("labels") if isinstance(alert, dict) else None
        if not isinstance(labels, dict):
            raise PayloadError("an alert has no labels")
        if alert.get("status") != "firing" or labels.get(TRIP_LABEL) != TRIP:
            continue
        name, bot = str(labels.get("alertname", "alert")), str(labels.get("bot", ""))
        if not bot:
            raise PayloadError(f"{name} should trip a watchdog, and has no label bot")
        annotations = alert.get("annotations")
        summary = str(annotations.get("summary", "")) if isinstance(annotations, dict) else ""
        mark = "".join(letter for letter in str(alert.get("fingerprint", name)) if letter.isalnum())
        found.append((bot, f"{name}: {summary}".rstrip(": "), mark or "alert"))
    return found


def hand_over(alerts: Path, bot: str, reason: str, mark: str) -> None:
    """Put a request into the bot's directory.

    Raises:
        LookupError: there is no such bot here.
        OSError: the disk refused.
    """
    known = {path.name for path in alerts.iterdir() if path.is_dir()}
    if bot not in known:
        raise LookupError(f"no bot {bot!r} on this VPS, only {', '.join(sorted(known)) or 'none'}")
    partial = alerts / bot / f".{mark}.partial"
    partial.write_text(json.dumps({"action": "kill", "reason": reason, "by": "alertmanager"}) + "\n", encoding="utf-8")
    partial.replace(alerts / bot / f"{mark}.json")


class Handler(BaseHTTPRequestHandler):
    """One request."""

    timeout = TIMEOUT_S
    alerts: Path

    def do_GET(self) -> None:
        """``/healthz``."""
        self._answer(200 if self.path == "/healthz" else 404, "alerts are taken at /alertmanager")

    def do_POST(self) -> None:
        """``/alertmanager``: every alert is handed over before anything is answered; one that cannot be is an error,
        so that Alertmanager tries again and counts the failure."""
        length = self.headers.get("Content-Length", "")
        if self.path != "/alertmanager":
            return self._answer(404, "alerts are taken at /alertmanager")
        if not length.isdigit() or int(length) > MAX_BYTES:
            return self._answer(413, "no length, or too long")
        try:
            wanted = trips(json.loads(self.rfile.read(int(length))))
        except ValueError as error:
            return self._answer(400, str(error))
        faults = []
        for bot, reason, mark in wanted:
            try:
                hand_over(self.alerts, bot, reason, mark)
                print(f"{bot}: handed over: {reason}", flush=True)
            except (LookupError, OSError) as error:
                faults.append(str(error))
        if faults:
            return self._answer(422, "; ".join(faults))
        return self._answer(200, f"{len(wanted)} handed over")

    def _answer(self, status: int, text: str) -> None:
        body = (text + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if status >= 400:
            print(f"{status}: {text}", file=sys.stderr, flush=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name is the standard library's
        """Nothing: what matters is said above."""


def serve(alerts: Path, port: int) -> ThreadingHTTPServer:
    """A server on loopback, not yet serving.

    Args:
        alerts: has one directory for each bot.
        port: 0 takes a free one.
    """
    handler = type("BoundHandler", (Handler,), {"alerts": alerts})
    return ThreadingHTTPServer(("127.0.0.1", port), handler)


def main() -> None:
    """Serve for ever."""
    parser = argparse.ArgumentParser(description="Alertmanager's way to the watchdogs")
    parser.add_argument("--alerts", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    with serve(options.alerts, options.port) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
