"""One run of a program in a bot's image, with no more than it needs: no rights, nothing writable, no secret in sight.

What the program is told goes to its standard input, so that a secret is in no command line and no environment; what it
answers is the JSON object in its last line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.basic import AnsibleModule

AUTHORITY = "/run/authority.pem"
"""Where the certificate authority of a paper exchange is mounted."""


OPTIONS: dict[str, dict[str, Any]] = {
    "root": {"type": "path", "required": True},
    "bot": {"type": "str", "required": True},
    "image": {"type": "str", "required": True},
    "uid": {"type": "int", "required": True},
    "gid": {"type": "int", "required": True},
}
"""What every module that makes such a run is given; the documentation fragment of this name says it."""


@dataclass(frozen=True)
class Answer:
    """What came of a run."""

    code: int
    said: dict[str, Any]
    """The JSON object in the last line; empty when there is none."""
    error: str
    """The program's own words when it failed, else docker's."""


@dataclass(frozen=True)
class IsolatedRun:
    """A run to be made; ``mounts`` and ``writable`` map a place in the container to a path on the host."""

    image: str
    user: str
    """uid:gid."""
    network: str = "none"
    memory: str = "1g"
    pids: int = 128
    label: str = ""
    mounts: Mapping[str, str] = field(default_factory=dict)
    writable: Mapping[str, str] = field(default_factory=dict)
    scratch: Sequence[str] = ()
    """Directories besides /tmp that the program writes to and nobody keeps."""
    python_path: str = ""
    directory: str = "/tmp"  # noqa: S108 (the container's own, a tmpfs)

    def ask(self, module: AnsibleModule, program: Sequence[str], given: Mapping[str, Any]) -> Answer:
        """Run ``python`` with ``program`` as its arguments."""
        command = ["docker", "run", "--rm", "--interactive", f"--network={self.network}", "--cap-drop=ALL"]
        command += ["--read-only", "--security-opt=no-new-privileges", f"--user={self.user}"]
        command += [f"--memory={self.memory}", f"--pids-limit={self.pids}", f"--workdir={self.directory}"]
        command += ["--env=HOME=/tmp", "--env=PYTHONDONTWRITEBYTECODE=1"]
        command += [f"--env=PYTHONPATH={self.python_path}"] if self.python_path else []
        command += [f"--label={self.label}"] if self.label else []
        command += [f"--tmpfs={place}" for place in ("/tmp", *self.scratch)]  # noqa: S108 (the container's own)
        # --mount, because --volume would make a missing directory, owned by root, instead of failing.
        command += [f"--mount=type=bind,source={path},target={place},readonly" for place, path in self.mounts.items()]
        command += [f"--mount=type=bind,source={path},target={place}" for place, path in self.writable.items()]
        code, out, err = module.run_command([*command, self.image, "python", *program], data=json.dumps(given))
        said = last_object(out)
        return Answer(int(code), said, str(said.get("error") or err.strip() or f"exit code {code}"))


def last_object(out: str) -> dict[str, Any]:
    """The JSON object in the last line; empty when there is none."""
    try:
        found = json.loads(out.strip().splitlines()[-1])
    except (IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
