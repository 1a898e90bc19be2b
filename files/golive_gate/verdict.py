"""Items with their evidence, and what they add up to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

Verdict = Literal["pass", "fail", "waived", "note"]

NEVER_WAIVED = (
    "exchange",
    "key_permissions",
    "key_whitelist",
    "own_account",
    "evidence_source",
    "no_foreign_orders",
    "max_notional",
)
"""What keeps a mistake from becoming a theft or another bot's loss: no reason is good enough."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that has to be true."""

    key: str
    title: str
    verdict: Verdict
    evidence: str
    """What was looked at and what it said."""
    waiver: str = ""
    """The operator's reason, when it was waived."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """All items, and what the waivers left of them."""

    items: tuple[Item, ...]
    refused_waivers: tuple[str, ...]
    """Why a waiver does not count, a sentence each."""

    @property
    def passed(self) -> bool:
        """Whether nothing stands in the way."""
        return not self.refused_waivers and all(item.verdict != "fail" for item in self.items)

    @property
    def failed(self) -> tuple[Item, ...]:
        """What stands in the way."""
        return tuple(item for item in self.items if item.verdict == "fail")


def item(key: str, title: str, *, ok: bool, evidence: str) -> Item:
    """An item that is judged."""
    return Item(key, title, "pass" if ok else "fail", evidence)


def note(key: str, title: str, evidence: str) -> Item:
    """An item that is only told."""
    return Item(key, title, "note", evidence)


def judge(items: Iterable[Item], waivers: Mapping[str, str]) -> Judgement:
    """Apply the operator's waivers. One that is in vain, without a reason or not allowed is refused, not ignored."""
    found = tuple(items)
    known = {each.key: each for each in found}
    refused = []
    good: dict[str, str] = {}
    for key, reason in waivers.items():
        if key not in known:
            refused.append(f"waiver {key}: there is no such item")
        elif key in NEVER_WAIVED:
            refused.append(f"waiver {key}: this one cannot be waived")
        elif not reason.strip():
            refused.append(f"waiver {key}: it gives no reason")
        else:
            good[key] = reason.strip()
    judged = tuple(
        replace(each, verdict="waived" if each.verdict == "fail" else each.verdict, waiver=good.get(each.key, ""))
        if each.key in good
        else each
        for each in found
    )
    return Judgement(judged, tuple(refused))
