"""What other parts have proven lately. Each leaves a mark; one that is missing, old or another's proves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from .limits import Limits
from .request import Request
from .verdict import Item, item

SCHEMA = 1

KINDS = {
    "watchdog_drill": "the watchdog is armed, and was drilled on this account",
    "alert_delivered": "an alert reached a receiver",
    "backup_verified": "a backup that holds this bot was verified",
    "kill_from_controller": "the kill from the operator's own machine was tried on this account",
}


def drills(request: Request, limits: Limits, account: str | None, now: float) -> Iterator[Item]:
    """One item a kind."""
    for kind, what in KINDS.items():
        within = limits.kill_fresh_s if kind == "kill_from_controller" else limits.fresh_s
        span = f"{within / 3600:.0f} h" if within <= 86_400 else f"{within / 86_400:.0f} days"
        why, said = _judge(kind, request.evidence.get(kind), request.bot, account, within, now)
        yield item(kind, f"{what} within {span}", ok=not why, evidence=why or said)


def _judge(
    kind: str, mark: dict[str, Any] | None, bot: str, account: str | None, within_s: float, now: float
) -> tuple[str, str]:
    """Why the mark proves nothing, and what it says."""
    if mark is None:
        return f"there is no mark of it (docs/golive.md says who leaves it: {kind}.json)", ""
    if "unusable" in mark:
        return str(mark["unusable"]), ""
    if mark.get("schema") != SCHEMA or mark.get("kind") != kind:
        return f"{kind}.json is no mark of this kind (schema {SCHEMA})", ""
    at = _utc(mark.get("at"))
    if at is None:
        return f"{kind}.json does not say when, in UTC", ""
    detail = str(mark.get("detail") or "no details")
    age = now - at.timestamp()
    if mark.get("ok") is not True:
        return f"it failed at {at:%Y-%m-%d %H:%M} UTC: {detail}", ""
    if not -60 <= age <= within_s:
        return f"the last was at {at:%Y-%m-%d %H:%M} UTC, {age / 3600:.1f} h ago", ""
    if kind == "backup_verified" and bot not in (mark.get("bots") or []):
        return f"the backup verified at {at:%Y-%m-%d %H:%M} UTC does not hold {bot}", ""
    if kind in ("watchdog_drill", "kill_from_controller") and mark.get("bot") != bot:
        return f"the drill at {at:%Y-%m-%d %H:%M} UTC was {mark.get('bot')}'s", ""
    if kind in ("watchdog_drill", "kill_from_controller") and (account is None or str(mark.get("account")) != account):
        return f"the drill at {at:%Y-%m-%d %H:%M} UTC was on account {mark.get('account')}, not on {account}", ""
    if kind == "watchdog_drill" and mark.get("armed") is not True:
        return f"the watchdog is not armed since the drill at {at:%Y-%m-%d %H:%M} UTC", ""
    return "", f"{at:%Y-%m-%d %H:%M} UTC: {detail}"


def _utc(text: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at if at.utcoffset() == timedelta(0) else None
