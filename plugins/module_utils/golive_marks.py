# Copyright: hbot.infra maintainers. Not for redistribution.
"""What the go-live gate leaves on a VPS: the mark of a bot that trades with money, and since when a key is known.

The mark is ``env/<bot>/golive.json``. The bot reads it too, as ``/run/hbot/golive.json``: without one, or with one
whose time is over, it places no order.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from pathlib import Path
from typing import Any

from ansible_collections.hbot.infra.plugins.module_utils import host_files

SCHEMA = 1

PAPER_KEY = "paper_"
"""How the keys begin that are made here for paper exchanges. Bitget's own begin otherwise."""

FIELDS = {
    "account": str,
    "max_notional_quote": str,
    "passed_at": float,
    "expires_at": float,
    "strategy_hash": str,
    "config_hash": str,
    "profile": str,
    "report": str,
}


class MarkError(Exception):
    """A mark that is there cannot be used; the message names it and the fix."""


def path_of(root: Path, bot: str) -> Path:
    """Where a bot's mark is."""
    return root / "env" / bot / "golive.json"


def whole(root: Path, bot: str) -> dict[str, Any] | None:
    """A bot's mark with all its fields; None when there is none.

    :raises MarkError: it is there and is none.
    """
    path = path_of(root, bot)
    held = host_files.read(path)
    if held is None:
        return None
    try:
        mark = json.loads(held)
        its_own = mark["schema"] == SCHEMA and mark["bot"] == bot
        fields = {name: kind(mark[name]) for name, kind in FIELDS.items()}
    except (ValueError, KeyError, TypeError):
        its_own, fields = False, {}
    if not its_own:
        raise MarkError(f"{path} is no mark of the go-live gate for {bot}")
    return fields


def read(root: Path, bot: str) -> dict[str, Any] | None:
    """A bot's mark as the gate wants it; one that cannot be used is none."""
    try:
        mark = whole(root, bot)
    except MarkError:
        return None
    wanted = ("account", "max_notional_quote", "passed_at", "expires_at")
    return None if mark is None else {name: mark[name] for name in wanted}


def other_accounts(root: Path, bot: str) -> dict[str, str]:
    """The accounts that the other bots of this host trade with, by bot."""
    names = [path.parent.name for path in (root / "env").glob("*/golive.json")]
    marks = {name: read(root, name) for name in names if name != bot}
    return {name: str(mark["account"]) for name, mark in marks.items() if mark is not None}


def objection(mark: dict[str, Any] | None, strategy_hash: str, config_hash: str, now: float) -> str:
    """Why a bot must not trade by this mark; empty when it may.

    :param strategy_hash: of the code that would run.
    :param config_hash: of the configuration that would run.
    """
    if mark is None:
        return "it has no mark of the go-live gate, which alone makes a paper bot live"
    if now >= mark["expires_at"]:
        ended = time.strftime("%Y-%m-%d %H:%M", time.gmtime(mark["expires_at"]))
        return f"its go-live confirmation ended at {ended} UTC"
    if mark["strategy_hash"] != strategy_hash:
        return f"the gate let strategy {mark['strategy_hash']} through, and {strategy_hash} would run"
    if mark["config_hash"] != config_hash:
        return f"the gate let configuration {mark['config_hash']} through, and {config_hash} would run"
    return ""


def key_is_known(root: Path, bot: str, api_key: str) -> bool:
    """Whether this bot has had this key before."""
    return _seen(root / "env" / bot / "api_key.json", api_key) != ""


def _seen(path: Path, api_key: str) -> str:
    try:
        known = json.loads(host_files.read(path) or b"null")
        digest = _digest(str(known["salt"]), api_key)
        return str(known["since"]) if hmac.compare_digest(str(known["digest"]), digest) else ""
    except (ValueError, KeyError, TypeError):
        return ""


def key_since(root: Path, bot: str, api_key: str, *, keep: bool) -> str:
    """The UTC day on which this key was first seen for this bot; today for a new one, which is noted."""
    path = root / "env" / bot / "api_key.json"
    if since := _seen(path, api_key):
        return since
    salt, today = secrets.token_hex(16), time.strftime("%Y-%m-%d", time.gmtime())
    if keep and path.parent.is_dir():
        told = {"salt": salt, "digest": _digest(salt, api_key), "since": today}
        host_files.write(path, (json.dumps(told) + "\n").encode(), 0o600, 0, 0)
    return today


def _digest(salt: str, api_key: str) -> str:
    return hmac.new(bytes.fromhex(salt), api_key.encode(), hashlib.sha256).hexdigest()


def destination(mark: bytes) -> dict[str, Any]:
    """Where a bot with this mark trades: ``network`` and ``exchange``; Bitget, when the mark does not say."""
    try:
        document = json.loads(mark)
        return {"network": str(document["network"]), "exchange": dict(document["exchange"])}
    except (ValueError, KeyError, TypeError):
        return {"network": "hbot-trading", "exchange": {}}


def set_aside(root: Path, bot: str, mark: bytes, now: float) -> None:
    """Keep a mark that is over, beside the outcomes of the gate."""
    directory = root / "golive" / bot
    for path in (directory.parent, directory):
        host_files.make_directory(path, 0o750, 0, 0)
    name = time.strftime("%Y%m%dT%H%M%SZ-mark.json", time.gmtime(now))
    host_files.write(directory / name, mark, 0o640, 0, 0)
