"""The repositories made, when the role has described them: once, and again when their description changes."""

from __future__ import annotations

import hashlib
import json

from .errors import BackupError
from .progress import say
from .restic import repositories
from .settings import Settings


def fingerprint(settings: Settings) -> str:
    """Changes when another repository or another key is described."""
    key = (settings.secrets / "password").read_bytes()
    places = [repository.location for repository in repositories(settings)]
    return hashlib.sha256(json.dumps([hashlib.sha256(key).hexdigest(), places]).encode()).hexdigest()


def set_up(settings: Settings) -> None:
    """Make what is not there, and prove that the key opens what is.

    :raises BackupError: a repository has another key, or cannot be reached.
    """
    faults = []
    for repository in repositories(settings):
        try:
            if not repository.exists():
                repository.make()
                say(f"the {repository.where} repository {repository.location} is made")
        except BackupError as fault:
            faults.append(str(fault))
    if faults:
        raise BackupError("; ".join(faults))
    (settings.backups / ".set_up").write_text(fingerprint(settings) + "\n", encoding="utf-8")


def is_set_up(settings: Settings) -> bool:
    """Whether that has been done for this description; nothing is reached for."""
    try:
        return (settings.backups / ".set_up").read_text(encoding="utf-8").strip() == fingerprint(settings)
    except FileNotFoundError:
        return False
