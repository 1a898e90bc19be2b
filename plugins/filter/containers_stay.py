# Copyright: hbot.infra maintainers. Not for redistribution.
"""Whether the containers of a compose fragment stay as they are: the question for a shell, and what its answer means.

community.docker's module asks Compose and Docker six times over, and waits, to find that nothing is to be done.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable
from typing import Any

WITHIN_S = 20
"""An answer that takes longer is none."""

STATE = "{{.Name}} {{with .State.Health}}{{.Status}}{{else}}healthy{{end}}"
"""A container without a check of its health is as well as it can be."""

PASSED_OVER = re.compile(r".*Container \S+ +(Waiting|Healthy) *$")
"""Of containers that others depend on, which have their own lines besides."""

RUNNING = re.compile(r".*Container (\S+) +Running *$")


def containers_asked(containers: Iterable[str], fragment: str, profiles: Iterable[str]) -> str:
    """Words of a shell that have Compose say what it would do for a fragment, and Docker how the containers are."""
    names = shlex.join(str(name) for name in containers)
    compose = ["docker", "compose", "--project-name", "hbot", "--file", str(fragment)]
    for profile in profiles:
        compose += ["--profile", str(profile)]
    compose += ["up", "--dry-run", "--detach", "--no-build", "--pull", "missing"]
    # Through a pipe: on a terminal, which SSH gives, it paints.
    return (
        f"COMPOSE_IGNORE_ORPHANS=1 timeout {WITHIN_S} {shlex.join(compose)} 2>&1 | cat; "
        f"timeout {WITHIN_S} docker inspect --format {shlex.quote(STATE)} {names} 2>&1"
    )


def containers_stay(answer: Iterable[str], containers: Iterable[str]) -> bool:
    """Whether the lines of an answer say of each container once that it runs, once that it is healthy, and no more."""
    said = Counter(RUNNING.sub(r"/\1 runs", line) for line in answer if not PASSED_OVER.match(line))
    wanted = Counter(f"/{name} {state}" for name in containers for state in ("runs", "healthy"))
    return bool(wanted) and said == wanted


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Any]:
        """By name."""
        return {"containers_asked": containers_asked, "containers_stay": containers_stay}
