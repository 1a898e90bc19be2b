"""What is on the VPS, for the campaign that kills playbooks; runs there, as root, from standard input.

Says, as JSON: the secrets of the bots and of the backups, which files and command lines hold one of them, every file
that a bot is configured by, with its hash, and what a finished run leaves none of.
"""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path("/opt/hbot")
KNOWN = Path("~root").expanduser() / ".secrets_to_look_for"
"""Also those of bots that are gone again."""

PLACES = ("etc", "home", "opt", "root", "run", "srv", "tmp", "var", "dev/shm")
BIG = ("overlay2", "volumes", "repository", "prometheus")
"""Directories of images, volumes, encrypted backups and samples."""

LEFT = (
    (ROOT / "backups", re.compile(r"^\.(change|aside|move|stage|drill)/.*(?<!\.lock)$")),
    (ROOT, re.compile(r"^(?!data/prometheus/|backups/repository/|monitoring/data/).*\.partial$")),
    # As hbot.infra.tree, host_files and host_backup name what they have not put in place yet.
    (ROOT, re.compile(r"^(?!backups/repository/)(.*/)?\.[^/]+\.([0-9a-f]{8}|new|old)(/.*)?$")),
    (Path("~root").expanduser() / ".ansible/tmp", re.compile(".")),
    (Path("~ops/.ansible/tmp").expanduser(), re.compile(".")),
)


def secrets() -> list[str]:
    """Passwords, keys and passphrases as the files of `env/` hold them."""
    found = {line for line in KNOWN.read_text().splitlines() if line} if KNOWN.exists() else set()
    for path in (ROOT / "env").rglob("*"):
        if path.name == "password" and path.is_file():
            found.add(path.read_text().strip())
        if path.name == "credentials.json" and path.is_file():
            found.update(value for key, value in json.loads(path.read_text()).items() if key != "api_key")
    found.discard("")
    KNOWN.write_text("".join(f"{secret}\n" for secret in sorted(found)))
    KNOWN.chmod(0o600)
    return sorted(found)


def holders(looked_for: list[str]) -> list[str]:
    """Files that hold a secret, and command lines of processes."""
    places = [str(Path("/", place)) for place in PLACES if Path("/", place).is_dir()]
    skipped = [f"--exclude-dir={name}" for name in BIG]
    grep = ["grep", "-rlsaF", "-D", "skip", *skipped, "-f", str(KNOWN), *places]
    found = subprocess.run(grep, capture_output=True, text=True, check=False).stdout
    files = [path for path in found.splitlines() if path != str(KNOWN)]
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = process.read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if any(secret in line for secret in looked_for):
            files.append(f"the command line of {line[:40]}")
    return sorted(files)


def configuration() -> dict[str, list[object]]:
    """Hash and time of every file that says what a bot is."""
    found: dict[str, list[object]] = {}
    for data in sorted((ROOT / "data").glob("bot*")):
        for name in ("conf", "scripts", "pmm_scripts", "exchange/config"):
            _add(found, (data / name).rglob("*"))
    _add(found, (ROOT / "compose").glob("*.yml"))
    _add(found, (ROOT / "env").glob("bot*/*"))
    _add(found, (ROOT / "monitoring" / "targets" / "bots").glob("*.json"))
    return found


def _add(found: dict[str, list[object]], paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            if path.is_file():
                found[str(path)] = [hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime]
        except OSError:  # it was replaced while it was looked at
            continue


def left() -> list[str]:
    """What is there and should not be, once nothing is at work."""
    found = set()
    for place, pattern in LEFT:
        for path in place.rglob("*"):
            if pattern.search(str(path.relative_to(place))):
                found.add(str(path))
    if Path("/run/hbot/lock.json").exists():
        found.add("/run/hbot/lock.json")
    return sorted(found)


def main() -> None:
    """Say what was asked for."""
    said: dict[str, object] = {"configuration": configuration()}
    if "all" in sys.argv:
        known = secrets()
        said |= {"secrets": known, "holders": holders(known)}
    if {"all", "left"} & set(sys.argv):
        said["left"] = left()
    print(json.dumps(said))


if __name__ == "__main__":
    main()
