#!/usr/bin/python3
"""Facts about the machine that only root can read, as a text file of metrics for node-exporter's textfile collector.

Run twice a minute by ``hbot-facts.timer``. Containers' restarts and kills for want of memory are here because no
exporter tells them: cAdvisor's start time of a container does not move when it restarts, and its count of kills wants a
device of the kernel's log. It asks Docker, as Ansible does; nothing that listens on a port does.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

PACKAGES_EVERY_S = 3600.0
"""Looking through the packages takes a second of CPU time."""

Sample = tuple[str, dict[str, str], float]

HELP = {
    "hbot_container_running": "gauge: 1 while it runs.",
    "hbot_container_healthy": "gauge: 0 once its health check has failed too often.",
    "hbot_container_restarts_total": "counter: Restarts by Docker since it was made.",
    "hbot_container_oom_kills_total": "counter: Kills for want of memory.",
    "hbot_container_started_timestamp_seconds": "gauge: Its last start.",
    "hbot_container_image_created_timestamp_seconds": "gauge: When its image was built.",
    "hbot_host_updates_pending": "gauge: Packages that could be newer.",
    "hbot_host_reboot_required": "gauge: 1 when an update waits for a reboot.",
    "hbot_host_keeps_time": "gauge: 0 in a container, whose clock is another's.",
    "hbot_bot_credentials_timestamp_seconds": "gauge: When the keystore was last written.",
    "hbot_certificate_expiry_timestamp_seconds": "gauge: When a paper exchange's certificate ends.",
    "hbot_facts_ok": "gauge: 0 when this part could not be read.",
    "hbot_facts_timestamp_seconds": "gauge: When this was written.",
}


def command(*words: str) -> str:
    """What a command prints.

    Raises:
        OSError, subprocess.SubprocessError: it is not there, failed, or took longer than 20 s.
    """
    return subprocess.run(words, capture_output=True, text=True, timeout=20, check=True).stdout


def seconds(moment: str) -> float:
    """A UTC time of Docker's, which has nanoseconds, in seconds since the epoch."""
    return datetime.fromisoformat(f"{moment[:19]}+00:00").timestamp()


class Memory:
    """What has to outlive a run, in a file of JSON."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self.values: dict[str, Any] = dict(json.loads(path.read_text()))
        except (OSError, ValueError):
            self.values = {}

    def save(self) -> None:
        """Replace the file."""
        write(self._path, json.dumps(self.values))


def write(path: Path, text: str) -> None:
    """Replace a file as a whole."""
    temporary = path.with_name(f"{path.name}.partial")
    temporary.write_text(text)
    temporary.chmod(0o644)
    temporary.replace(path)


def containers(memory: Memory, now: float) -> Iterator[Sample]:
    """How every container of this product is."""
    ids = command("docker", "ps", "--all", "--quiet", "--filter", "name=^/?hbot-").split()
    found = json.loads(command("docker", "inspect", *ids)) if ids else []
    images = {container["Image"] for container in found}
    built = {
        image["Id"]: image["Created"] for image in (json.loads(command("docker", "inspect", *images)) if images else [])
    }
    kills = oom_kills(memory, now)
    for container in found:
        state, name = container["State"], container["Name"].lstrip("/")
        labels = {"name": name}
        yield "hbot_container_running", labels, float(state["Status"] == "running")
        health = state.get("Health", {}).get("Status")
        if health and state["Status"] == "running":
            yield "hbot_container_healthy", labels, float(health != "unhealthy")
        yield "hbot_container_restarts_total", labels, float(container["RestartCount"])
        yield "hbot_container_started_timestamp_seconds", labels, seconds(state["StartedAt"])
        yield "hbot_container_oom_kills_total", labels, float(kills.get(name, 0))
        if container["Image"] in built:
            image = labels | {"image": container["Config"]["Image"]}
            yield "hbot_container_image_created_timestamp_seconds", image, seconds(built[container["Image"]])


def oom_kills(memory: Memory, now: float) -> dict[str, int]:
    """Kills for want of memory by container, counted over all runs; from Docker's events since the last one."""
    kills: dict[str, int] = memory.values.setdefault("oom_kills", {})
    since = float(memory.values.get("events_until", now - 60))
    events = command(
        "docker", "events", f"--since={since:.3f}", f"--until={now:.3f}", "--filter=event=oom",
        "--format={{.Actor.Attributes.name}}",
    )  # fmt: skip
    for name in events.split():
        kills[name] = kills.get(name, 0) + 1
    memory.values["events_until"] = now
    return kills


def packages(memory: Memory, now: float) -> Iterator[Sample]:
    """Pending updates, looked through once an hour, and whether one waits for a reboot."""
    counted = memory.values.get("packages", {})
    if now - counted.get("at", 0.0) > PACKAGES_EVERY_S:
        counted = {"at": now, **pending_updates()}
        memory.values["packages"] = counted
    yield "hbot_host_updates_pending", {"security": "true"}, float(counted["security"])
    yield "hbot_host_updates_pending", {"security": "false"}, float(counted["other"])
    yield "hbot_host_reboot_required", {}, float(Path("/run/reboot-required").exists())


def clock() -> Iterator[Sample]:
    """Whether this machine is the keeper of its own clock."""
    contained = subprocess.run(["systemd-detect-virt", "--container", "--quiet"], timeout=20, check=False)
    yield "hbot_host_keeps_time", {}, float(contained.returncode != 0)


def from_security(origin: Any) -> bool:
    """Whether a package's origin is its distribution's security archive."""
    return "security" in f"{origin.archive} {origin.label}".lower()


def pending_updates() -> dict[str, int]:
    """Packages whose candidate is newer, security updates apart. Held ones count: somebody has to lift the hold."""
    import apt  # the distribution's own; only needed here, and slow to import

    pending = [package.candidate for package in apt.Cache() if package.is_upgradable and package.candidate]
    security = sum(any(from_security(origin) for origin in candidate.origins) for candidate in pending)
    return {"security": security, "other": len(pending) - security}


def credentials(root: Path) -> Iterator[Sample]:
    """How old each bot's exchange credentials are: the keystore is only written when they change."""
    for path in sorted(root.glob("data/*/conf/connectors/*.yml")):
        labels = {"bot": path.relative_to(root).parts[1]}
        yield "hbot_bot_credentials_timestamp_seconds", labels, path.lstat().st_mtime


def certificates(root: Path) -> Iterator[Sample]:
    """When the certificate authorities of the paper exchanges end."""
    for path in sorted(root.glob("data/*/exchange/tls/public/*.pem")):
        if path.is_symlink() or not path.is_file():
            continue
        said = command("openssl", "x509", "-noout", "-enddate", "-in", str(path)).strip().partition("=")[2]
        ends = datetime.strptime(f"{said[:-4]} +0000", "%b %d %H:%M:%S %Y %z").timestamp()
        yield "hbot_certificate_expiry_timestamp_seconds", {"bot": path.relative_to(root).parts[1]}, ends


def gathered(parts: dict[str, Callable[[], Iterable[Sample]]]) -> Iterator[Sample]:
    """All samples; a part that cannot be read is said, and keeps no other from being there."""
    for name, read in parts.items():
        try:
            samples = list(read())
        except Exception as error:
            print(f"{name}: {error}", file=sys.stderr)
            samples = []
            yield "hbot_facts_ok", {"part": name}, 0.0
        else:
            yield "hbot_facts_ok", {"part": name}, 1.0
        yield from samples


def text(samples: Iterable[Sample]) -> str:
    """Prometheus's text format."""
    by_name: dict[str, list[Sample]] = {}
    for sample in samples:
        by_name.setdefault(sample[0], []).append(sample)
    lines = []
    for name, of in by_name.items():
        kind, _, what = HELP[name].partition(": ")
        lines += [f"# HELP {name} {what}", f"# TYPE {name} {kind}"]
        for _, labels, value in of:
            inside = ",".join(f'{key}="{escaped(label)}"' for key, label in labels.items())
            lines.append(f"{name}{{{inside}}} {value!r}" if inside else f"{name} {value!r}")
    return "\n".join(lines) + "\n"


def escaped(label: str) -> str:
    """A label's value inside quotes."""
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def main() -> int:
    """Write the file once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--root", type=Path, default=Path("/opt/hbot"))
    parser.add_argument("--memory", type=Path, default=Path("/var/lib/hbot-facts/memory.json"))
    options = parser.parse_args()
    now = time.time()
    memory = Memory(options.memory)
    samples = [
        *gathered(
            {
                "containers": lambda: containers(memory, now),
                "packages": lambda: packages(memory, now),
                "clock": clock,
                "credentials": lambda: credentials(options.root),
                "certificates": lambda: certificates(options.root),
            }
        ),
        ("hbot_facts_timestamp_seconds", {}, now),
    ]
    write(options.root / "monitoring" / "textfile" / "hbot.prom", text(samples))
    memory.save()
    return 0


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
