"""Prometheus over the bot exporter's own page, once for each of so many bots, with the rules of role monitoring."""

import json
import shutil
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from bot_exporter.server import text
from bot_exporter.tests.fleet import Fleet

from plugins.module_utils.alerting import threshold_rules
from tests.scale.fleet import BUILD, ROOT

INTERVAL_S = 15
SETTLED_S = 4 * INTERVAL_S + 5
"""Until every target was scraped and every rule evaluated a few times."""

RULES = ROOT / "roles" / "monitoring" / "files" / "rules"
NAME = "bot-to-be-named"


@dataclass(frozen=True, slots=True)
class Load:
    """What a Prometheus holds and spends."""

    series: int
    page_kib: float
    """What one bot sends at a scrape."""

    rules_ms: float
    """All groups of rules, evaluated once; they are every 15 s."""

    cpu_s_per_minute: float
    memory_mb: float


def pages(bots: int) -> dict[str, bytes]:
    """By path, what the exporter says of a bot, under each bot's name."""
    with TemporaryDirectory() as root:
        fleet = Fleet(Path(root))
        fleet.now = time.time()
        fleet.add(NAME)
        page = text(fleet.exporter.all())
    return {f"/bots/bot{number}": page.replace(NAME.encode(), f"bot{number}".encode()) for number in range(1, bots + 1)}


class _Pages(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, documents: dict[str, bytes], *rest: Any) -> None:
        self._documents = documents
        super().__init__(*rest)

    def do_GET(self) -> None:
        document = self._documents[self.path]
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(document)))
        self.end_headers()
        self.wfile.write(document)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Say nothing of every scrape."""


@contextmanager
def served(documents: dict[str, bytes]) -> Iterator[int]:
    """The port of a server of these documents."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Pages, documents))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def configured(directory: Path, bots: list[str], port: int) -> Path:
    """Prometheus's configuration as role monitoring writes it, as far as it is about bots."""
    (directory / "rules").mkdir(parents=True)
    for file in RULES.glob("*.yml"):
        shutil.copy(file, directory / "rules")
    (directory / "rules" / "thresholds.yml").write_text(yaml.safe_dump(threshold_rules({})))
    labels = {"variant": "a", "mode": "paper", "pair": "BTC-USDT"}
    targets = [
        {"targets": [f"127.0.0.1:{port}"], "labels": {"bot": bot, "__metrics_path__": f"/bots/{bot}", **labels}}
        for bot in bots
    ]
    (directory / "bots.json").write_text(json.dumps(targets))
    interval = f"{INTERVAL_S}s"
    configuration = {
        "global": {"scrape_interval": interval, "evaluation_interval": interval, "external_labels": {"vps": "vps1"}},
        "rule_files": [str(directory / "rules" / "*.yml")],
        "scrape_configs": [
            {"job_name": "bots", "honor_labels": True, "file_sd_configs": [{"files": [str(directory / "bots.json")]}]},
        ],
    }
    file = directory / "prometheus.yml"
    file.write_text(json.dumps(configuration))  # JSON is YAML
    return file


@contextmanager
def running(directory: Path, configuration: Path) -> Iterator[str]:
    """The URL of a Prometheus that is ready."""
    with served({}) as port:  # a port that is free a moment later
        pass
    command = [
        "prometheus",
        f"--config.file={configuration}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        _until_ready(url, process, directory / "log")
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=5):  # noqa: S310 -- a URL of our own
                return
        except OSError:
            time.sleep(0.5)
    raise SystemExit(f"Prometheus did not start:\n{log.read_text()[-2000:]}")


def metrics(url: str) -> dict[str, list[float]]:
    """What Prometheus says of itself, by metric."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as answer:  # noqa: S310 -- a URL of our own
        lines = answer.read().decode().splitlines()
    found: dict[str, list[float]] = {}
    for line in lines:
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found.setdefault(name.partition("{")[0], []).append(float(value))
    return found


def load(bots: int) -> Load:
    """Run Prometheus over so many bots for a minute, and ask it.

    Raises:
        SystemExit: a rule could not be evaluated, or a bot not be scraped.
    """
    directory = BUILD / "prometheus"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    documents = pages(bots)
    names = [path.rpartition("/")[2] for path in documents]
    with served(documents) as port, running(directory, configured(directory, names, port)) as url:
        time.sleep(2 * INTERVAL_S)
        before, since = metrics(url), time.monotonic()
        time.sleep(SETTLED_S - 2 * INTERVAL_S)
        after, seconds = metrics(url), time.monotonic() - since
        query = urllib.parse.quote("sum(up{job='bots'})")
        with urllib.request.urlopen(f"{url}/api/v1/query?query={query}", timeout=30) as answer:  # noqa: S310 -- ours
            up = json.load(answer)["data"]["result"][0]["value"][1]
    if int(up) != bots or sum(after["prometheus_rule_evaluation_failures_total"]) > 0:
        raise SystemExit(f"{up} of {bots} bots were scraped; log: {directory / 'log'}")
    spent = after["process_cpu_seconds_total"][0] - before["process_cpu_seconds_total"][0]
    return Load(
        series=int(after["prometheus_tsdb_head_series"][0]),
        page_kib=len(next(iter(documents.values()))) / 1024,
        rules_ms=1000 * sum(after["prometheus_rule_group_last_duration_seconds"]),
        cpu_s_per_minute=60 * spent / seconds,
        memory_mb=after["process_resident_memory_bytes"][0] / 2**20,
    )
