"""A stand-in for Grafana's server: its API as far as a look at the provisioned dashboards needs it, behind its login.

It reads what Grafana would: the data sources and dashboard providers below /etc/grafana/provisioning, and the same
environment for the administrator. It knows no users but the administrator, no editing and no alerting, and it draws
nothing: `make dashboards` does, on the machine in front of you.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

PROVISIONING = Path("/etc/grafana/provisioning")
PAGE = b"""Grafana's server is in no package registry: this stands in for it, and draws nothing.
`make dashboards`, in the checkout that made this VPS, draws the dashboards with Grafana's front-end packages.
"""
QUERIES = ("query", "query_range", "series", "label")


def password() -> str:
    """The administrator's password, as Grafana reads it."""
    return Path(os.environ["GF_SECURITY_ADMIN_PASSWORD__FILE"]).read_text().strip()


def data_source() -> str:
    """The URL of the default data source."""
    for path in sorted((PROVISIONING / "datasources").glob("*.yml")):
        for source in yaml.safe_load(path.read_text())["datasources"]:
            if source.get("isDefault"):
                return str(source["url"])
    raise SystemExit(f"no default data source below {PROVISIONING}")


def dashboards() -> dict[str, dict[str, Any]]:
    """The provisioned dashboards by uid, as they are now."""
    found = {}
    for path in sorted((PROVISIONING / "dashboards").glob("*.yml")):
        for provider in yaml.safe_load(path.read_text())["providers"]:
            for file in sorted(Path(provider["options"]["path"]).glob("*.json")):
                dashboard = json.loads(file.read_text())
                found[dashboard["uid"]] = dashboard
    return found


class Handler(BaseHTTPRequestHandler):
    """Grafana's paths that a look needs."""

    source = ""
    login = b""

    def do_GET(self) -> None:
        """Answer one request."""
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/api/health":
            self.answer(200, {"database": "ok", "version": "a stand-in for Grafana's server"})
        elif url.path == "/metrics":
            text = f"# TYPE grafana_stat_totals_dashboard gauge\ngrafana_stat_totals_dashboard {len(dashboards())}\n"
            self.answer(200, text.encode(), "text/plain; version=0.0.4")
        elif not hmac.compare_digest(self.headers.get("Authorization", "").encode(), self.login):
            self.answer(401, {"message": "Unauthorized"})
        elif url.path == "/api/search":
            self.answer(200, [{"uid": uid, "title": each["title"]} for uid, each in dashboards().items()])
        elif url.path.startswith("/api/dashboards/uid/"):
            dashboard = dashboards().get(url.path.rpartition("/")[2])
            self.answer(200 if dashboard else 404, {"dashboard": dashboard} if dashboard else {"message": "Not found"})
        elif url.path.startswith("/api/datasources/proxy/uid/prometheus/api/v1/"):
            self.query(url.path.partition("/api/v1/")[2], url.query)
        elif url.path == "/" or url.path.startswith("/d/"):
            self.answer(200, PAGE, "text/plain; charset=utf-8")
        else:
            self.answer(404, {"message": "Not found"})

    def query(self, path: str, parameters: str) -> None:
        """Hand a query on to Prometheus."""
        if path.split("/")[0] not in QUERIES:
            self.answer(404, {"message": "Not found"})
            return
        try:
            with urllib.request.urlopen(f"{self.source}/api/v1/{path}?{parameters}", timeout=30) as found:  # noqa: S310 (the data source that was provisioned)
                self.answer(found.status, found.read(), "application/json")
        except urllib.error.HTTPError as error:
            self.answer(error.code, error.read(), "application/json")
        except OSError as error:
            self.answer(502, {"message": str(error)})

    def answer(self, status: int, body: Any, kind: str = "application/json") -> None:
        """Send a page; what is no bytes is sent as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="Grafana"')
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        """Say nothing."""


def main() -> None:
    """Serve until the container is stopped."""
    address = (os.environ["GF_SERVER_HTTP_ADDR"], int(os.environ["GF_SERVER_HTTP_PORT"]))
    Handler.source = data_source()
    user = os.environ["GF_SECURITY_ADMIN_USER"]
    Handler.login = b"Basic " + base64.b64encode(f"{user}:{password()}".encode())
    print(f"a stand-in for Grafana's server, on {address[0]}:{address[1]}", flush=True)
    ThreadingHTTPServer(address, Handler).serve_forever()


if __name__ == "__main__":
    main()
