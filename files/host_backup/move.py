"""A bot handed from one VPS to another: stopped and packed here, unpacked there; never two instances of it.

Its data comes as an exported backup, checked file by file where it arrives. Its own secrets come beside it: a paper
bot's credentials are known to its exchange's books, and made on the VPS, not in the inventory.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from . import archive, staging
from .adopt import GATE_MARK, adopt
from .errors import BackupError
from .manifest import now
from .progress import say
from .retire import put_away, retire
from .settings import Settings

DATA, SECRETS = "data.tar.gz", "secrets.tar.gz"


def box(settings: Settings, bot: str) -> Path:
    """Where a bot waits to be fetched, and where it is put down."""
    return settings.backups / ".move" / bot


def leave(settings: Settings, bot: str) -> Path:
    """Stop a bot, prove that it has no order, back it up and pack it; all that it has stays here as well.

    :returns: the directory with the two archives.
    :raises BackupError: a step failed; nothing was packed.
    """
    exported = retire(settings, bot, archive=True)
    place = box(settings, bot)
    staging.empty(place)
    exported.rename(place / DATA)
    packed = place / "secrets"
    packed.mkdir(mode=0o700)
    for name in _secrets(bot):
        source = settings.root / "env" / name
        if source.is_dir():
            shutil.copytree(source, packed / name, ignore=shutil.ignore_patterns(GATE_MARK))
    archive.export(packed, place / SECRETS)
    shutil.rmtree(packed)
    say(f"{bot}: stopped, without an order, and packed")
    return place


def arrive(settings: Settings, bot: str) -> None:
    """Unpack what was put down here; site.yml's role gives the files their owners and starts the bot.

    :raises BackupError: it is here already, or what was brought is not whole. Nothing was changed.
    """
    place = box(settings, bot)
    if (settings.fragments / f"{bot}.yml").exists():
        raise BackupError(f"{bot} is a bot of this VPS already: nothing is put over it")
    unpacked = place / "secrets"
    staging.empty(unpacked)
    archive.unpack(place / SECRETS, unpacked)
    adopt(settings, bot, str(place / DATA))
    for name in _secrets(bot):
        target = settings.root / "env" / name
        if (unpacked / name).is_dir() and not target.exists():
            (unpacked / name).chmod(0o700)
            (unpacked / name).rename(target)
    shutil.rmtree(place)


def done(settings: Settings, bot: str) -> None:
    """Put away what a bot left where it came from, or what arrived where it did not come up; nothing is deleted.

    :raises BackupError: its containers cannot be removed.
    """
    place = settings.root / "retired" / f"{bot}_{now()}"
    if (settings.fragments / f"{bot}.yml").exists():
        put_away(settings, bot, place)
    elif settings.bot_data(bot).exists():
        place.mkdir(mode=0o700, parents=True)
        shutil.move(settings.bot_data(bot), place / "data")
        for name in _secrets(bot):
            if (settings.root / "env" / name).exists():
                shutil.move(settings.root / "env" / name, place / name)
    shutil.rmtree(box(settings, bot), ignore_errors=True)


def _secrets(bot: str) -> tuple[str, str]:
    return bot, f"{bot}-exchange"
