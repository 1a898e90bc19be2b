"""Running other programs."""

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from embedded_vps.console import EmbeddedVpsError


def run(
    argv: Sequence[str],
    *,
    timeout: float | None = None,
    check: bool = True,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return its output as text.

    Raises EmbeddedVpsError with the command and the end of what it printed when it is missing, fails (unless ``check``
    is off) or takes longer than ``timeout`` seconds.
    """
    shown = shlex.join(argv)
    try:
        finished = subprocess.run(
            argv, capture_output=True, timeout=timeout, check=False, env=environment, cwd=cwd, input=stdin
        )
    except FileNotFoundError as error:
        raise EmbeddedVpsError(f"{argv[0]} is not installed (needed for: {shown})") from error
    except subprocess.TimeoutExpired as error:
        raise EmbeddedVpsError(f"no end after {timeout:.0f} s: {shown}") from error
    result = subprocess.CompletedProcess(
        finished.args,
        finished.returncode,
        finished.stdout.decode(errors="replace"),
        finished.stderr.decode(errors="replace"),
    )
    if check and result.returncode != 0:
        last = "\n".join((result.stdout + result.stderr).strip().splitlines()[-12:])
        raise EmbeddedVpsError(f"{shown}\nended with code {result.returncode}:\n{last}")
    return result
