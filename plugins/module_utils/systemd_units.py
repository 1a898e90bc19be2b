# Copyright: hbot.infra maintainers. Not for redistribution.
"""Units of systemd enabled and running: several of them by a handful of commands in one module run."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

RUNS = ("active", "activating", "reloading")


@dataclass(frozen=True)
class Standing:
    """A unit as systemd has it; one that it does not know is neither enabled nor running."""

    name: str
    enabled: bool
    runs: bool
    outlived: bool = False
    """It runs since before its file was written: who wrote that was stopped before the unit was started anew."""

    def words(self) -> dict[str, str]:
        """For a difference."""
        return {
            "unit": self.name,
            "enabled": "yes" if self.enabled else "no",
            "running": ("as before its file was written" if self.outlived else "yes") if self.runs else "no",
        }


def parsed(names: list[str], shown: str) -> list[Standing]:
    """What `systemctl show` says of several units: a block each, in the order in which they were asked for."""
    blocks = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in shown.strip().split("\n\n")]
    return [
        Standing(
            name,
            enabled=block.get("UnitFileState") == "enabled",
            runs=block.get("ActiveState") in RUNS,
            outlived=written_since(block.get("FragmentPath", ""), block.get("ActiveEnterTimestamp", "")),
        )
        for name, block in zip(names, blocks, strict=True)
    ]


def written_since(path: str, started: str) -> bool:
    """Whether a unit's file is younger than the unit's start, `@` and seconds; a file of the future is not."""
    file = Path(path)
    if not started.startswith("@") or not file.is_file():
        return False
    return int(started[1:]) < int(file.stat().st_mtime) <= time.time()


def settle(
    module: AnsibleModule,
    names: list[str],
    *,
    reload: bool,
    restarted: Collection[str] = (),
    follow: Collection[str] = (),
    idle: Collection[str] = (),
) -> list[tuple[Standing, Standing]]:
    """Have units enabled and running.

    :param reload: whether their files changed, which systemd has to read again first.
    :param restarted: those of them that are started anew if they run, for what they are made of changed.
    :param follow: those of them that are started anew if they run and their file is younger.
    :param idle: those of them that the boot starts, and nobody else.
    :returns: each that was not as it should be, as it was and as it is; in check mode as it would be.
    """
    if reload and not module.check_mode:
        module.run_command(["systemctl", "daemon-reload"], check_rc=True)
    if not names:
        return []
    properties = "UnitFileState,ActiveState,FragmentPath,ActiveEnterTimestamp"
    asked = ["systemctl", "show", "--timestamp=unix", f"--property={properties}", *names]
    standings = parsed(names, module.run_command(asked)[1])
    stopped = [one.name for one in standings if not one.runs and one.name not in idle]
    outlived = [one.name for one in standings if one.runs and one.outlived and one.name in {*follow} - {*restarted}]
    if outlived and not reload and not module.check_mode:
        module.run_command(["systemctl", "daemon-reload"], check_rc=True)
    wrong = [one for one in standings if not one.enabled or one.name in (*stopped, *outlived)]
    if not module.check_mode:
        for words, units in (
            (["enable", "--quiet"], [one.name for one in standings if not one.enabled]),
            (["restart"], [one.name for one in standings if one.runs and one.name in (*restarted, *outlived)]),
            (["start"], stopped),
        ):
            if units:
                module.run_command(["systemctl", *words, *units], check_rc=True)
    return [(one, Standing(one.name, True, one.runs or one.name in stopped)) for one in wrong]
