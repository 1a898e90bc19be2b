"""The gate: reads the evidence, asks the exchange, judges every item."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from epp.core import EppParameters
from epp.report import BookError, Figures, UnavailableError, figures_of
from pydantic import ValidationError

from . import account, checklist, drills, evidence_window, replayed
from .books import Evidence, newest_minute, read_evidence
from .configuration import Deployed, read_deployed
from .limits import PROFILES, Limits
from .request import Request
from .verdict import Item, Judgement, item, judge


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the gate found."""

    request: Request
    limits: Limits
    judgement: Judgement
    account: str | None
    """The live account's id."""
    figures: Figures | None
    now: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON; without a secret."""
        return {
            "bot": self.request.bot,
            "kind": self.request.kind,
            "profile": self.limits.name,
            "at": self.now,
            "passed": self.judgement.passed,
            "account": self.account,
            "strategy_hash": self.request.strategy_hash,
            "config_hash": self.request.config_hash,
            "trading_pair": self.request.trading_pair,
            "max_notional_quote": format(self.request.max_notional_quote, "f"),
            "days": self.request.days,
            "items": [
                {
                    "key": each.key,
                    "title": each.title,
                    "verdict": each.verdict,
                    "evidence": each.evidence,
                    "waiver": each.waiver,
                }
                for each in self.judgement.items
            ],
            "refused_waivers": list(self.judgement.refused_waivers),
            "figures": None if self.figures is None else self.figures.as_dict(),
        }


def decide(request: Request, now: float) -> Outcome:
    """Judge a bot that wants to trade with money.

    Args:
        now: unix seconds.
    """
    evidence = read(request)
    return assess(request, evidence, account.look(request, evidence.opened if request.kind != "entry" else None), now)


def read(request: Request) -> Evidence:
    """What the bot's books hold that counts."""
    books = request.data / request.bot / "logs" / "epp_v24" / f"{request.bot}_{request.variant}"
    return read_evidence(books, request, PROFILES[request.profile]) if request.epp else Evidence(missing=_NO_BOOKS)


def assess(request: Request, evidence: Evidence, found: account.Look, now: float) -> Outcome:
    """Judge what was found."""
    limits = PROFILES[request.profile]
    user_id = None if found.account is None else found.account.user_id
    items = tuple(_items(request, limits, evidence, found, user_id, now))
    return Outcome(request, limits, judge(items, request.waivers), user_id, evidence.figures, now)


_NO_BOOKS = "another strategy than EPP keeps no books that this gate can read"


def _items(
    request: Request, limits: Limits, evidence: Evidence, found: account.Look, user_id: str | None, now: float
) -> Iterator[Item]:
    deployed = read_deployed(request.data / request.bot / "conf")
    watcher = read_deployed(request.data / request.watcher.name / "conf") if request.watcher else None
    parameters = _parameters(deployed)
    figures, missing = _performance(request, evidence)

    yield account.login(request, found, _watcher_equity(request))
    yield from checklist.roles(request, deployed, watcher)
    yield checklist.floor_and_cap(deployed, evidence)
    yield from checklist.performance(figures, missing, limits)
    yield checklist.failures(evidence)
    yield checklist.books_written(request, limits, now)
    yield checklist.transitions(request, evidence)

    yield _as_deployed(request, deployed)
    yield from evidence_window.window(request, evidence, limits)
    if request.kind == "entry":
        yield from evidence_window.profit(Evidence(figures=figures, missing=missing), limits)
    else:
        yield from evidence_window.live_window(evidence)
    yield evidence_window.fills(request, evidence, found.fills)
    if request.kind == "raise":
        yield replayed.fills_as_foretold(request, evidence, limits)
    if request.profile == "rehearsal":
        yield replayed.of_a_rehearsal(request, figures)

    yield from account.key_items(request, found, limits, account.utc_day(now))
    yield from account.market_items(request, found)
    yield from account.money_items(request, found, evidence, parameters, limits)
    yield account.order_items(request, found)
    yield account.clock(found, limits)
    yield from drills.drills(request, limits, user_id, now)


def _as_deployed(request: Request, deployed: Deployed) -> Item:
    """What ran until now is what the inventory would send live."""
    title = "what is deployed is what the inventory says"
    if deployed.fault or not deployed.running:
        return item("deployed", title, ok=False, evidence=deployed.fault or "no controller is deployed")
    wanted = {"strategy_hash": request.strategy_hash, "config_hash": request.config_hash}
    wrong = [
        f"{file}: {name} {controller.get(name)} where the inventory has {value}"
        for file, controller in deployed.running.items()
        for name, value in wanted.items()
        if controller.get(name) != value
    ]
    said = "; ".join(wrong) + ": run site.yml, and gather evidence anew" if wrong else ", ".join(deployed.running)
    return item("deployed", title, ok=not wrong, evidence=said)


def _parameters(deployed: Deployed) -> EppParameters | None:
    for controller in deployed.running.values():
        try:
            return EppParameters.model_validate(
                {name: controller[name] for name in EppParameters.model_fields if name in controller}
            )
        except ValidationError:
            return None
    return None


def _performance(request: Request, evidence: Evidence) -> tuple[Figures | None, str]:
    """The figures that the performance items are judged on: in a rehearsal, a replay's."""
    if request.profile != "rehearsal" or request.replay_books is None:
        return evidence.figures, evidence.missing
    try:
        return figures_of(request.replay_books), ""
    except (BookError, UnavailableError) as error:
        return None, str(error)


def _watcher_equity(request: Request) -> tuple[float | None, str]:
    if request.watcher is None:
        return None, ""
    name = request.watcher.name
    row, why = newest_minute(request.data / name / "logs" / "epp_v24" / f"{name}_d")
    if row is None or row.equity_quote is None:
        return None, why
    return float(row.equity_quote), ""
