#!/usr/bin/python3
"""A stand-in for cAdvisor: its names for what the control groups know of each Docker container.

It takes cAdvisor's flags and ignores what it has no use for. Container names come from Docker's own directory, figures
from the control groups (v1 or v2) and from the network counters of a container's first process.
"""

import argparse
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

DOCKER = Path("/var/lib/docker/containers")
CGROUPS = Path("/sys/fs/cgroup")
PROC = Path("/rootfs/proc")
NO_LIMIT = 1 << 60

GAUGES = {
    "container_last_seen": "Last time this container was seen.",
    "container_start_time_seconds": "When the container was made (restarts do not move it, as in cAdvisor).",
    "container_memory_usage_bytes": "Memory in use, caches included.",
    "container_memory_working_set_bytes": "Memory in use, less inactive file pages.",
    "container_memory_rss": "Anonymous memory.",
    "container_spec_memory_limit_bytes": "Memory limit.",
    "container_processes": "Processes and threads.",
}
COUNTERS = {
    "container_cpu_usage_seconds_total": "CPU time.",
    "container_cpu_cfs_periods_total": "Periods of the CPU limit.",
    "container_cpu_cfs_throttled_periods_total": "Periods in which the limit held it back.",
}
NETWORK = {
    "container_network_receive_bytes_total": 0,
    "container_network_receive_errors_total": 2,
    "container_network_transmit_bytes_total": 8,
    "container_network_transmit_errors_total": 10,
}
"""The column of /proc/net/dev."""


def number(path: Path) -> float | None:
    """The one number of a file; no limit and no file are both none."""
    try:
        value = float(path.read_text())
    except (OSError, ValueError):
        return None
    return None if value >= NO_LIMIT else value


def table(path: Path) -> dict[str, float]:
    """The named numbers of a file."""
    try:
        return {name: float(value) for name, value in (line.split()[:2] for line in path.read_text().splitlines())}
    except (OSError, ValueError):
        return {}


def group(controller: str, identity: str) -> Path | None:
    """Where a container's control group is; v1 by controller, v2 unified; cgroupfs or systemd driver."""
    below = (CGROUPS / controller, CGROUPS)
    for root in below:
        for path in (root / "docker" / identity, root / "system.slice" / f"docker-{identity}.scope"):
            if path.is_dir():
                return path
    return None


def memory(identity: str) -> dict[str, float | None]:
    """Memory figures of a container."""
    place = group("memory", identity)
    if place is None:
        return {}
    stat = table(place / "memory.stat")
    v2 = (place / "memory.current").exists()
    usage = number(place / ("memory.current" if v2 else "memory.usage_in_bytes"))
    inactive = stat.get("inactive_file" if v2 else "total_inactive_file", 0.0)
    return {
        "container_memory_usage_bytes": usage,
        "container_memory_working_set_bytes": None if usage is None else max(0.0, usage - inactive),
        "container_memory_rss": stat.get("anon" if v2 else "total_rss"),
        "container_spec_memory_limit_bytes": number(place / ("memory.max" if v2 else "memory.limit_in_bytes")),
    }


def cpu(identity: str) -> dict[str, float | None]:
    """CPU figures of a container."""
    place, accounting = group("cpu", identity), group("cpuacct", identity)
    if place is None or accounting is None:
        return {}
    stat = table(place / "cpu.stat")
    used = stat["usage_usec"] / 1e6 if "usage_usec" in stat else (number(accounting / "cpuacct.usage") or 0.0) / 1e9
    return {
        "container_cpu_usage_seconds_total": used,
        "container_cpu_cfs_periods_total": stat.get("nr_periods"),
        "container_cpu_cfs_throttled_periods_total": stat.get("nr_throttled"),
    }


def processes(identity: str) -> dict[str, float | None]:
    """Processes and threads of a container."""
    place = group("pids", identity)
    return {} if place is None else {"container_processes": number(place / "pids.current")}


def network(pid: int) -> dict[tuple[str, str], float]:
    """By metric and interface, the counters of a process's network; empty when it is the host's own."""
    try:
        if (PROC / str(pid) / "ns/net").readlink() == (PROC / "1/ns/net").readlink():
            return {}
        lines = (PROC / str(pid) / "net/dev").read_text().splitlines()[2:]
    except OSError:
        return {}
    found = {}
    for line in lines:
        interface, _, counters = line.partition(":")
        if interface.strip() == "lo":  # cAdvisor leaves it out
            continue
        for metric, column in NETWORK.items():
            found[metric, interface.strip()] = float(counters.split()[column])
    return found


def containers() -> list[tuple[str, dict[str, Any]]]:
    """Identity and Docker's own description of every container that runs."""
    found = []
    for path in DOCKER.glob("*/config.v2.json"):
        try:
            description = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
        if description["State"]["Running"] and group("memory", path.parent.name):
            found.append((path.parent.name, description))
    return found


def seconds(moment: str) -> float:
    """Docker's RFC 3339 time in seconds since the epoch."""
    return time.mktime(time.strptime(moment[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone


def families() -> list[Metric]:
    """Everything that is known now."""
    known: dict[str, Metric] = {name: GaugeMetricFamily(name, what) for name, what in GAUGES.items()}
    known |= {name: CounterMetricFamily(name, what) for name, what in COUNTERS.items()}
    known |= {name: CounterMetricFamily(name, "Network counter.") for name in NETWORK}
    for identity, description in containers():
        labels = {
            "id": f"/docker/{identity}",
            "image": description["Config"]["Image"],
            "name": description["Name"].lstrip("/"),
        }
        values = {
            "container_last_seen": float(int(time.time())),
            "container_start_time_seconds": seconds(description["Created"]),
            **processes(identity),
            **memory(identity),
            **cpu(identity),
        }
        for name, value in values.items():
            if value is not None:
                known[name].add_sample(name, labels, value)
        for (name, interface), value in network(description["State"]["Pid"]).items():
            known[name].add_sample(name, labels | {"interface": interface}, value)
    return list(known.values())


class Collected:
    """What generate_latest wants."""

    def collect(self) -> list[Metric]:
        """The families of one scrape."""
        return families()


class Handler(BaseHTTPRequestHandler):
    """cAdvisor's two paths that anybody asks for."""

    lock = threading.Lock()

    def do_GET(self) -> None:
        """Answer a scrape or a health check."""
        if self.path == "/healthz":
            page, kind = b"ok", "text/plain"
        else:
            with self.lock:
                page, kind = generate_latest(Collected()), CONTENT_TYPE_LATEST
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        """Say nothing."""


def main() -> None:
    """Serve until the container is stopped."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen_ip", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    options, _ = parser.parse_known_args()
    print(f"a stand-in for cAdvisor, on {options.listen_ip}:{options.port}", flush=True)
    ThreadingHTTPServer((options.listen_ip, options.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
