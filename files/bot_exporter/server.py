"""The HTTP server: ``/bots/<bot>`` is one bot's metrics, ``/metrics`` the exporter's own, ``/all`` all the bots'."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from prometheus_client import CONTENT_TYPE_LATEST, GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR, generate_latest
from prometheus_client.core import CollectorRegistry, Metric

from .metrics import Exporter


@dataclass
class _Collected:
    """What ``generate_latest`` wants of a registry, in every version of it."""

    families: Iterable[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.families


def text(families: Iterable[Metric]) -> bytes:
    """Prometheus's text format."""
    return generate_latest(cast("CollectorRegistry", _Collected(families)))


class Server(ThreadingHTTPServer):
    """Answers one scrape at a time: what was read of the files is shared between them."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], exporter: Exporter) -> None:
        super().__init__(address, _Handler)
        self._exporter = exporter
        self._lock = threading.Lock()
        self._own = CollectorRegistry()
        for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
            self._own.register(collector)

    def page(self, path: str) -> bytes | None:
        """What stands at a path; ``None`` for nothing."""
        with self._lock:
            if path == "/metrics":
                return text(self._exporter.itself()) + generate_latest(self._own)
            if path == "/all":
                return text(self._exporter.all())
            if path.startswith("/bots/"):
                families = self._exporter.bot(path.removeprefix("/bots/"))
                return None if families is None else text(families)
        return None


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = 10

    def do_GET(self) -> None:
        page = self.server.page(self.path.partition("?")[0])
        if page is None:
            self.send_error(404, "no bot of that name is registered" if self.path.startswith("/bots/") else None)
            return
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE_LATEST)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        """Say nothing of scrapes that went well."""
