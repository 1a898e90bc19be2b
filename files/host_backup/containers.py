"""A bot's containers, through docker and its compose fragment alone: no other bot is touched."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from . import silence
from .errors import BackupError
from .manifest import Container
from .settings import Settings

HOME = "/home/hummingbot"
PULL_S = 3600
TRIAL_S = 300
LEASE_S = 600
"""As long as a watchdog lets a bot be silent at most; a planned stop is over before."""
_IMAGE = re.compile(r"^    image: \"?(?P<image>[^\"\s]+)\"?$", re.MULTILINE)
_MODE = re.compile(r"^      hbot\.mode: (?P<mode>\w+)$", re.MULTILINE)
_STRATEGY = re.compile(r"/strategies/(?P<hash>[0-9a-f]{16})/")
_CODE = re.compile(
    rf"source: \"(?P<source>[^\"]+)\", target: (?P<target>{HOME}/(?:controllers|scripts)/[^,\s]+), read_only: true"
)
_VARIANT = re.compile(r"hbot start v2_epp_v2_4_bot_(?P<variant>[a-d])\.yml")
_GRACE = re.compile(r"^    stop_grace_period: (?P<seconds>\d+)s$", re.MULTILINE)


def run(*words: str, timeout_s: int = 120) -> subprocess.CompletedProcess[str]:
    """Run docker.

    :raises BackupError: it is not there, or did not answer.
    """
    environment = {**os.environ, "COMPOSE_IGNORE_ORPHANS": "1"}
    try:
        return subprocess.run(
            ["docker", *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError:
        raise BackupError("docker is not installed: site.yml installs it") from None
    except subprocess.TimeoutExpired:
        raise BackupError(f"docker {words[0]} did not answer within {timeout_s} s") from None


def checked(*words: str, timeout_s: int = 120) -> str:
    """Run docker and return what it prints.

    :raises BackupError: with docker's last words, when it fails.
    """
    done = run(*words, timeout_s=timeout_s)
    if done.returncode != 0:
        last = " / ".join(line for line in done.stderr.strip().splitlines()[-4:])
        raise BackupError(f"docker {' '.join(words[:2])}: {last}")
    return done.stdout


def inspect(name: str) -> dict[str, Any] | None:
    """A container as docker describes it; None when there is none."""
    done = run("container", "inspect", name)
    return None if done.returncode != 0 else dict(json.loads(done.stdout)[0])


def image(reference: str) -> dict[str, Any] | None:
    """An image on this machine as docker describes it; None when it is not here."""
    done = run("image", "inspect", reference)
    return None if done.returncode != 0 else dict(json.loads(done.stdout)[0])


def present(reference: str) -> dict[str, Any]:
    """An image on this machine as docker describes it.

    :raises BackupError: it is not here.
    """
    found = image(reference)
    if found is None:
        raise BackupError(f"the image {reference} is not on this VPS: sudo docker pull {reference}")
    return found


def image_of(fragment: str) -> str:
    """The image that a fragment names for its bot.

    :raises BackupError: it names none.
    """
    match = _IMAGE.search(fragment)
    if match is None:
        raise BackupError("the compose fragment names no image: site.yml writes it anew")
    return match["image"]


def mode_of(fragment: str) -> str | None:
    """``paper`` or ``live``, as a fragment's label says."""
    match = _MODE.search(fragment)
    return match["mode"] if match else None


def enabled(fragment: str) -> bool:
    """Whether the bot is meant to run."""
    return '["disabled"]' not in fragment


def grace_s(fragment: str) -> int:
    """How long the bot may take to stop."""
    match = _GRACE.search(fragment)
    return int(match["seconds"]) if match else 90


def described(settings: Settings, bot: str) -> dict[str, Any]:
    """What a manifest says of a bot besides its files."""
    fragment = (settings.fragments / f"{bot}.yml").read_text(encoding="utf-8")
    strategy, variant = _STRATEGY.search(fragment), _VARIANT.search(fragment)
    return {
        "mode": mode_of(fragment),
        "variant": variant["variant"] if variant else None,
        "strategy": strategy["hash"] if strategy else None,
        "container": _container(bot, fragment),
    }


def _container(bot: str, fragment: str) -> Container | None:
    found = inspect(f"hbot-{bot}")
    if found is None:
        return None
    held = image(found["Image"])
    return Container(
        image=found["Config"]["Image"],
        image_id=found["Image"],
        digests=list(held["RepoDigests"]) if held else [],
        state=found["State"]["Status"],
    )


def compose(settings: Settings, bot: str, *words: str, timeout_s: int = 900) -> subprocess.CompletedProcess[str]:
    """Run compose on one bot's fragment."""
    fragment = str(settings.fragments / f"{bot}.yml")
    return run("compose", "-p", "hbot", "-f", fragment, "--profile", "*", *words, timeout_s=timeout_s)


def pull(reference: str) -> None:
    """Have an image on this machine, pulled when it is not here.

    :raises BackupError: it cannot be had.
    """
    if image(reference) is None:
        checked("pull", "--quiet", reference, timeout_s=PULL_S)


def latch(settings: Settings, bot: str) -> Path:
    """The file by which a bot's watchdog keeps it stopped."""
    return settings.root / "watchdog" / "latches" / bot / "latch.json"


def tell_watchdog(bot: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Say something to a bot's watchdog. A bot may have none, and a stop does not wait for one."""
    return run("exec", f"hbot-{bot}-watchdog", "python", "-m", "watchdog", *words)


def plan_stop(bot: str) -> None:
    """Tell the bot's watchdog, which would take a slow stop for a bot that hangs; the alerts of a stop are silent."""
    tell_watchdog(bot, "lease", "--seconds", str(LEASE_S), "--by", "host_backup", "--reason", "a planned stop")
    silence.begin(bot, LEASE_S)


def stop(settings: Settings, bot: str) -> None:
    """Stop the bot, which cancels its orders; its exchange goes on, so that it can be asked about them.

    :raises BackupError: docker refuses.
    """
    if inspect(f"hbot-{bot}") is not None:
        fragment = (settings.fragments / f"{bot}.yml").read_text(encoding="utf-8")
        grace = grace_s(fragment)
        checked("stop", "--time", str(grace), f"hbot-{bot}", timeout_s=grace + 60)


def stop_is_over(bot: str) -> None:
    """Have the bot's watchdog watch again, and its alerts told: what it planned to do is done."""
    tell_watchdog(bot, "release", "--by", "host_backup", "--reason", "the planned stop is over")
    silence.end(bot)


def stop_exchange(bot: str) -> None:
    """Stop a bot's paper exchange, if it has one.

    :raises BackupError: docker refuses.
    """
    if inspect(f"hbot-{bot}-exchange") is not None:
        checked("stop", f"hbot-{bot}-exchange")


def code_mounts(fragment: str) -> list[tuple[str, str]]:
    """What a fragment mounts beside Hummingbot's own scripts and controllers, each with where: EPP, and the operator's
    own strategies."""
    return [(mount["source"], mount["target"]) for mount in _CODE.finditer(fragment)]


def trial(settings: Settings, fragment: str, conf: Path) -> None:
    """Let Hummingbot's own classes, in the image that a fragment names, judge a copy of a ``conf/``.

    :raises BackupError: they refuse it, with what they say.
    """
    code = code_mounts(fragment)
    owner = f"{settings.uid}:{settings.gid}"
    done = run(
        "run", "--rm", "--network=none", f"--user={owner}", "--cap-drop=ALL", "--security-opt=no-new-privileges",
        "--read-only", "--memory=1g", "--pids-limit=128", "--tmpfs=/tmp", f"--tmpfs={HOME}/logs",
        f"--tmpfs={HOME}/data", "--env=HOME=/tmp", "--env=PYTHONDONTWRITEBYTECODE=1", f"--workdir={HOME}",
        "--pull=never", f"--mount=type=bind,source={conf},target={HOME}/conf",
        *(f"--mount=type=bind,source={source},target={target},readonly" for source, target in code),
        image_of(fragment), "python", "-m", "controllers.epp.check", "conf", timeout_s=TRIAL_S,
    )  # fmt: skip
    if done.returncode != 0:
        said = " / ".join((done.stdout + done.stderr).strip().splitlines()[-5:])
        raise BackupError(f"{image_of(fragment)} does not accept the configuration: {said}")


def last_words(settings: Settings, bot: str) -> list[str]:
    """The last lines of a bot's console and of its log."""
    done = run("logs", "--tail", "15", f"hbot-{bot}")
    lines = (done.stdout + done.stderr).splitlines()
    for path in sorted((settings.bot_data(bot) / "logs").glob("logs_*.log")):
        lines += path.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
    return lines[-30:]
