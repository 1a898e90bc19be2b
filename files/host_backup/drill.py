"""The restore drill: the newest snapshot of each set, restored into a scratch directory and judged as by a rollback."""

from __future__ import annotations

import shutil

from . import aside
from .errors import BackupError
from .metrics import Results
from .progress import complain, say
from .sets import all_sets
from .settings import Settings


def drill(settings: Settings) -> list[str]:
    """Restore and judge every set; returns what went wrong. No bot is touched."""
    faults = []
    results = Results(settings)
    place = settings.backups / ".drill"
    for one in all_sets(settings):
        try:
            manifest = aside.fetch(settings, one.name, "", place)
            say(f"{manifest.name}: restored into a scratch directory, {len(manifest.files)} entries whole")
        except (BackupError, OSError) as fault:
            faults.append(f"{one.name}: {fault}")
            complain(faults[-1])
        finally:
            shutil.rmtree(place, ignore_errors=True)
        results.drilled(one.name, good=not faults or not faults[-1].startswith(f"{one.name}: "))
    results.write()
    return faults
