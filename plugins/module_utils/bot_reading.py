"""What the bots of a machine left there: their containers, the ends of their books, latches and alerts."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

from ansible_collections.hbot.infra.plugins.module_utils.csv_rows import count_rows, last_row


def read(root: Path) -> dict[str, Any]:
    """Everything, as the module ``bot_status`` returns it.

    :param root: where everything of the bots lives.
    :raises RuntimeError: docker does not answer, in its own words.
    """
    return {
        "now": time.time(),
        "containers": containers(),
        "books": books(root),
        "latches": latches(root),
        "alerts": alerts(),
    }


def books(root: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """The last rows of every instance's books, by bot and instance."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for directory in sorted(root.glob("data/*/logs/epp_v24/*")):
        bot = directory.relative_to(root / "data").parts[0]
        found.setdefault(bot, {})[directory.name] = {
            "minute": last_row(directory / "minute.csv"),
            "fill": last_row(directory / "fills.csv"),
            "fills": count_rows(directory / "fills.csv"),
        }
    return found


def latches(root: Path) -> dict[str, str]:
    """Why each latched bot is latched by its watchdog, by bot."""
    found = {}
    for path in root.glob("watchdog/latches/*/latch.json"):
        try:
            latch = json.loads(path.read_text(encoding="utf-8"))
            found[path.parent.name] = f"{latch['code']}: {latch['detail']}"
        except (OSError, ValueError, KeyError, TypeError):
            found[path.parent.name] = "its latch is there and cannot be read"
    return found


def docker(*arguments: str) -> str:
    """Run docker and return what it prints.

    :raises RuntimeError: with docker's own words, when it cannot be run or its daemon does not answer.
    """
    try:
        run = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=30, check=True)
    except FileNotFoundError:
        raise RuntimeError("docker is not installed; site.yml installs it") from None
    except subprocess.TimeoutExpired:
        raise RuntimeError("docker did not answer within 30 s") from None
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"docker {arguments[0]}: {error.stderr.strip()}") from None
    return run.stdout


def containers() -> dict[str, dict[str, Any]]:
    """The containers of this product, by name."""
    ids = docker("ps", "--all", "--quiet", "--filter", "name=^/?hbot-").split()
    found: list[dict[str, Any]] = json.loads(docker("inspect", *ids)) if ids else []
    return {
        container["Name"].lstrip("/"): {
            "bot": container["Config"]["Labels"].get("hbot.bot"),
            "image": container["Config"]["Image"],
            "state": container["State"]["Status"],
            "health": container["State"].get("Health", {}).get("Status"),
            "exit_code": container["State"]["ExitCode"],
            "oom_killed": container["State"]["OOMKilled"],
            "restarts": container["RestartCount"],
            "started_at": container["State"]["StartedAt"],
        }
        for container in found
    }


def alerts() -> list[dict[str, str]]:
    """The alerts that Prometheus says are firing; none when it does not answer, which its own alert is for."""
    try:
        with urllib.request.urlopen("http://127.0.0.1:9090/api/v1/alerts", timeout=5) as answer:
            found = json.load(answer)["data"]["alerts"]
    except (OSError, ValueError, KeyError):
        return []
    return [
        {
            "name": alert["labels"]["alertname"],
            "severity": alert["labels"].get("severity", ""),
            "bot": alert["labels"].get("bot", ""),
            "summary": alert["annotations"].get("summary", ""),
        }
        for alert in found
        if alert["state"] == "firing" and alert["labels"].get("severity") != "none"
    ]
