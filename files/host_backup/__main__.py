"""The command line: what the timers, the playbooks and an operator on the VPS run."""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from . import aside, containers, move, sets
from .adopt import rebuild
from .backup_run import Run
from .change import Change, outcome
from .drill import drill
from .errors import BackupError
from .host_lock import HeldError, HostLock, held_by_this_process
from .progress import complain, say
from .repository_setup import is_set_up, set_up
from .retire import retire, stop_without_orders
from .rollback import rollback
from .settings import Settings, load
from .update import proven, update
from .whole_file import write

WRONG_USE = 64
FAILED = 1
PATIENCE_S = 3600.0
DISK_REFUSES = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
MOVES: Mapping[str, Callable[[Settings, str], object]] = {"leave": move.leave, "arrive": move.arrive, "done": move.done}
"""The steps of a move: packed here, unpacked there, put away where the bot is no more."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        settings = load(options.settings)
        code: int = options.run(settings, options)
    except BackupError as fault:
        complain(str(fault))
        return FAILED
    except OSError as fault:
        if fault.errno not in DISK_REFUSES:
            raise
        complain(
            f"the disk takes nothing more: {fault}. Fix: make room (docs/runbooks/DiskAlmostFull.md), then run it again"
        )
        return FAILED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="host_backup", description="backup and change of the bots of this VPS")
    parser.add_argument("--settings", type=Path, default=Path("/opt/hbot/env/backup/settings.json"))
    parser.add_argument("--run-id", default="", help="the playbook's run that holds the host's lock")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    one = commands.add_parser("backup", help="back up everything, or what is named, and verify it")
    one.add_argument("set", nargs="*", help="a bot, environment, monitoring; default: all")
    one.add_argument("--export", action="store_true", help="write a plain, unencrypted archive as well")
    one.set_defaults(run=_backup)

    one = commands.add_parser("list", help="list the snapshots")
    one.add_argument("set", nargs="?", help="a bot, environment, monitoring; default: all")
    one.add_argument("--json", action="store_true")
    one.set_defaults(run=_list)

    one = commands.add_parser("drill", help="restore every set into a scratch directory and check it")
    one.set_defaults(run=_drill)

    one = commands.add_parser("rollback", help="roll a bot back to a snapshot")
    one.add_argument("bot")
    one.add_argument("snapshot", nargs="?", default="", help="its name or an exported archive; default: the newest")
    one.add_argument("--list", action="store_true", help="only list the bot's snapshots")
    one.add_argument("--within", type=float, default=300.0, help="seconds to wait for a healthy bot")
    one.add_argument("--soak", type=float, default=60.0, help="seconds that it must stay so")
    one.add_argument("--live", action="store_true", help="let a snapshot in live mode start live")
    one.set_defaults(run=_rollback)

    one = commands.add_parser("begin", help="keep what a bot is now, and have its new image here (update.yml)")
    one.add_argument("bot")
    one.add_argument("--image", required=True, help="the new image")
    one.set_defaults(run=_begin)

    one = commands.add_parser("switch", help="run a bot as its files say now, or as it was (update.yml)")
    one.add_argument("bot")
    one.add_argument("--within", type=float, default=300.0, help="seconds to wait for a healthy bot")
    one.add_argument("--soak", type=float, default=120.0, help="seconds that it must stay so")
    one.set_defaults(run=_switch)

    one = commands.add_parser("abandon", help="put back what begin kept (update.yml)")
    one.add_argument("bot")
    one.set_defaults(run=_abandon)

    one = commands.add_parser("proven", help="pass when a bot has been well on its image for so long (update.yml)")
    one.add_argument("bot")
    one.add_argument("--image", required=True, help="the image that it must have run")
    one.add_argument("--hours", type=float, default=24.0)
    one.set_defaults(run=_proven)

    one = commands.add_parser("retire", help="take a bot off this VPS; its data is put away (remove_bot.yml)")
    one.add_argument("bot")
    one.set_defaults(run=_retire)

    one = commands.add_parser("move", help="hand a bot to another VPS (move_bot.yml)")
    one.add_argument("step", choices=list(MOVES))
    one.add_argument("bot")
    one.set_defaults(run=_move)

    one = commands.add_parser("rebuild", help="bring bots back that this VPS has lost (rebuild.yml)")
    one.add_argument("bot", nargs="*")
    one.set_defaults(run=_rebuild)

    one = commands.add_parser("stop-all", help="stop every bot and prove that no order is left (upgrade_host.yml)")
    one.set_defaults(run=_stop_all)

    one = commands.add_parser("heal", help="take back changes that a power cut ended")
    one.set_defaults(run=_heal)

    one = commands.add_parser("set-up", help="make the repositories (site.yml does)")
    one.add_argument("--check", action="store_true", help="only say whether that is done")
    one.set_defaults(run=_set_up)
    return parser


def _backup(settings: Settings, options: argparse.Namespace) -> int:
    with _locked("a backup", options.run_id):
        wanted = [sets.named(settings, name) for name in options.set] or sets.all_sets(settings)
        faults = Run(settings, wanted, archives=options.export).run()
    if faults:
        complain(f"{len(faults)} fault{'s' if len(faults) > 1 else ''}; the backups from before are as they were")
        return FAILED
    return 0


def _list(settings: Settings, options: argparse.Namespace) -> int:
    names = [options.set] if options.set else [one.name for one in sets.all_sets(settings)]
    found = {name: aside.listed(settings, name) for name in names}
    if options.json:
        say(json.dumps({name: [[one.name, where] for one, where in listed] for name, listed in found.items()}))
        return 0
    for listed in found.values():
        for one, where in listed:
            say(f"{one.name}  {where}")
    return 0


def _drill(settings: Settings, options: argparse.Namespace) -> int:
    with _locked("a restore drill", options.run_id):
        return FAILED if drill(settings) else 0


def _rollback(settings: Settings, options: argparse.Namespace) -> int:
    if options.list:
        options.set, options.json = options.bot, False
        return _list(settings, options)
    with _locked(f"a rollback of {options.bot}", options.run_id):
        done = rollback(
            settings, options.bot, options.snapshot, within_s=options.within, soak_s=options.soak, live=options.live
        )
    say(json.dumps(outcome(done)))
    return 0


def _begin(settings: Settings, options: argparse.Namespace) -> int:
    with _locked(f"an update of {options.bot}", options.run_id):
        change = Change(settings, options.bot)
        with change.locked():
            containers.pull(options.image)
            journal = change.begin("update")
    say(json.dumps({"image": journal.image, "image_id": journal.image_id}))
    return 0


def _switch(settings: Settings, options: argparse.Namespace) -> int:
    with _locked(f"an update of {options.bot}", options.run_id):
        change = Change(settings, options.bot)
        with change.locked():
            done = update(change, within_s=options.within, soak_s=options.soak)
    say(json.dumps(outcome(done)))
    return 0


def _abandon(settings: Settings, options: argparse.Namespace) -> int:
    with _locked(f"an update of {options.bot}", options.run_id):
        change = Change(settings, options.bot)
        with change.locked():
            change.abandon()
    return 0


def _proven(settings: Settings, options: argparse.Namespace) -> int:
    say(proven(settings, options.bot, options.image, options.hours))
    return 0


def _retire(settings: Settings, options: argparse.Namespace) -> int:
    with _locked(f"taking off {options.bot}", options.run_id):
        say(str(retire(settings, options.bot)))
    return 0


def _move(settings: Settings, options: argparse.Namespace) -> int:
    with _locked(f"moving {options.bot}", options.run_id):
        MOVES[options.step](settings, options.bot)
    return 0


def _rebuild(settings: Settings, options: argparse.Namespace) -> int:
    with _locked("a rebuild", options.run_id):
        rebuild(settings, options.bot)
    return 0


def _stop_all(settings: Settings, options: argparse.Namespace) -> int:
    """Stop the bots that run, and have them started again after the boot."""
    running: list[str] = []
    with _locked("an upgrade of this host", options.run_id):
        for bot in sets.bots(settings):
            found = containers.inspect(f"hbot-{bot}")
            if found is not None and found["State"]["Running"]:
                running.append(bot)
        if running:
            # What hbot-bots.service starts again after the boot; the exchanges go on until the shutdown.
            names = [name for bot in running for name in (f"hbot-{bot}", f"hbot-{bot}-exchange")]
            there = [name for name in names if containers.inspect(name) is not None]
            write(settings.root / "env" / "stopped_bots", "".join(f"{name}\n" for name in there))
        for bot in running:
            stop_without_orders(settings, bot)
    return 0


def _heal(settings: Settings, options: argparse.Namespace) -> int:
    with _locked("the healing of changes", options.run_id):
        for journal in sorted((settings.backups / ".change").glob("*/journal.json")):
            change = Change(settings, journal.parent.name)
            with change.locked():
                change.heal()
    return 0


def _set_up(settings: Settings, options: argparse.Namespace) -> int:
    if options.check:
        return 0 if is_set_up(settings) else FAILED
    set_up(settings)
    return 0


@contextmanager
def _locked(what: str, run_id: str) -> Iterator[None]:
    """Hold the host's lock, or go on within a playbook's run that holds it.

    :raises BackupError: somebody else holds it for longer than the patience.
    """
    held = HostLock().held()
    if run_id and held is not None and held.get("run") == run_id:
        yield
        return
    try:
        with held_by_this_process(what, PATIENCE_S, lambda other: say(f"waiting for {other}")):
            yield
    except HeldError as other:
        raise BackupError(f"{other} holds this VPS; nothing was done") from None


if __name__ == "__main__":
    if os.geteuid() != 0:
        complain("this wants root: sudo in front of it")
        sys.exit(WRONG_USE)
    sys.exit(main())
