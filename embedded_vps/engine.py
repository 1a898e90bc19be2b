"""The builder's container engine, through its command line (which is the same for Docker Engine 20 to 29)."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from embedded_vps.command import run
from embedded_vps.console import EmbeddedVpsError


def docker(*arguments: str, timeout: float | None = 120, check: bool = True, stdin: bytes | None = None) -> str:
    """Run a docker command and return its standard output, stripped."""
    return run(["docker", *arguments], timeout=timeout, check=check, stdin=stdin).stdout.strip()


def answers() -> bool:
    """Whether a Docker Engine answers this user."""
    try:
        return run(["docker", "version", "--format", "{{.Server.Version}}"], timeout=20, check=False).returncode == 0
    except EmbeddedVpsError:
        return False


def inspect(kind: str, name: str) -> dict[str, Any] | None:
    """Return what the engine knows of a container, image, network or volume; None when there is no such thing."""
    result = run(["docker", kind, "inspect", name], timeout=60, check=False)
    if result.returncode != 0:
        return None
    found = json.loads(result.stdout)
    return dict(found[0]) if found else None


def labels(kind: str, name: str) -> Mapping[str, str] | None:
    """Return the labels of a container, image, network or volume; None when there is no such thing."""
    found = inspect(kind, name)
    if found is None:
        return None
    own = found["Config"]["Labels"] if kind in {"container", "image"} else found["Labels"]
    return dict(own or {})


def state(container: str) -> str:
    """Return ``running``, ``exited``, ``created``, … or ``absent``."""
    found = inspect("container", container)
    return str(found["State"]["Status"]) if found else "absent"


def remove_container(container: str) -> bool:
    """Kill and remove a container; False when there was none."""
    if state(container) == "absent":
        return False
    docker("rm", "--force", "--volumes", container, timeout=120)
    return True


def remove_volume(volume: str) -> bool:
    """Remove a volume; False when there was none."""
    if inspect("volume", volume) is None:
        return False
    docker("volume", "rm", volume, timeout=300)
    return True


def execute(
    container: str, argv: Sequence[str], *, timeout: float | None = 120, check: bool = True, stdin: bytes | None = None
) -> tuple[int, str, str]:
    """Run a command inside a running container; returns its exit code, standard output and standard error."""
    interactive = ["--interactive"] if stdin is not None else []
    result = run(["docker", "exec", *interactive, container, *argv], timeout=timeout, check=check, stdin=stdin)
    return result.returncode, result.stdout, result.stderr


def build(tag: str, context: Path, *, arguments: Mapping[str, str], label: str) -> None:
    """Build an image from a directory with a Dockerfile in it.

    The classic builder, which every engine has; BuildKit is a separate package on Debian. Proxy settings of the
    environment are passed on, they are build-time only.
    """
    options: list[str] = []
    for name, value in arguments.items():
        options += ["--build-arg", f"{name}={value}"]
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        if name in os.environ:
            options += ["--build-arg", name]
    run(
        ["docker", "build", "--quiet", "--force-rm", "--label", f"{label}", *options, "--tag", tag, str(context)],
        timeout=1200,
        environment={**os.environ, "DOCKER_BUILDKIT": "0"},
    )
