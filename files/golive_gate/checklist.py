"""The twelve items of the original system's go-live checklist, judged on books, configuration and logs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from epp.core import EppParameters
from epp.report import Figures
from pydantic import ValidationError

from .books import Evidence, newest_minute
from .configuration import Deployed
from .limits import Limits
from .request import Request
from .verdict import Item, item

STATE_LINE = re.compile(
    r"\bstate: (running|reduce_only|soft_pause|hard_stop) to (running|reduce_only|soft_pause|hard_stop)"
)

NO_WATCHER = "the pair has no watcher: golive_gate_watcher names a bot of variant d on the same VPS"


def roles(request: Request, bot: Deployed, watcher: Deployed | None) -> Iterator[Item]:
    """Items 2 to 4: who trades, who watches, who is off."""
    said, ok = _switches(bot, request.variant, enabled=True, no_trade=request.variant == "d")
    yield item("bot_role", f"2. {request.bot} is variant {request.variant}, enabled and trading", ok=ok, evidence=said)
    if request.watcher is None or watcher is None:
        yield item("watcher_role", "3. the watcher is variant d and never trades", ok=False, evidence=NO_WATCHER)
    else:
        said, ok = _switches(watcher, "d", enabled=True, no_trade=True)
        ok = ok and request.watcher.enabled
        title = f"3. {request.watcher.name} is variant d and never trades"
        yield item("watcher_role", title, ok=ok, evidence=said)
    yield _stubs([bot] if watcher is None else [bot, watcher])


def _switches(deployed: Deployed, variant: str, *, enabled: bool, no_trade: bool) -> tuple[str, bool]:
    if deployed.fault or not deployed.running:
        return deployed.fault or "no controller is deployed", False
    said, ok = [], True
    for name, controller in deployed.running.items():
        found = {key: controller.get(key) for key in ("variant", "enabled", "no_trade")}
        ok = ok and found == {"variant": variant, "enabled": enabled, "no_trade": no_trade}
        said.append(f"{name}: " + ", ".join(f"{key} {_plain(value)}" for key, value in found.items()))
    return "; ".join(said), ok


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _stubs(deployed: list[Deployed]) -> Item:
    stubs = {
        name: controller.get("enabled")
        for each in deployed
        for name, controller in (*each.running.items(), *each.others.items())
        if controller.get("variant") in ("b", "c")
    }
    unreadable = [each.fault for each in deployed if each.fault]
    said = "; ".join(unreadable) or ", ".join(f"{name}: enabled {_plain(on)}" for name, on in stubs.items())
    return item(
        "stubs_off",
        "4. configurations of variants b and c are off",
        ok=not unreadable and not any(on is not False for on in stubs.values()),
        evidence=said or "none is deployed",
    )


def floor_and_cap(bot: Deployed, evidence: Evidence) -> Item:
    """Item 5: spread floor and turnover cap are set and not zero."""
    key, title = "floor_and_cap", "5. spread floor and turnover cap are set and not zero"
    for controller in bot.running.values():
        known = {name: controller[name] for name in EppParameters.model_fields if name in controller}
        try:
            parameters = EppParameters.model_validate(known)
        except ValidationError as error:
            return item(key, title, ok=False, evidence=f"{error.error_count()} faults in the configuration")
        fee = 0.001 if parameters.maker_fee_pct is None else parameters.maker_fee_pct
        calm, least = parameters.calm_floor(fee), evidence.least_floor
        quoted = "no minute quoted" if least is None else f"smallest in the window {least:.3%}"
        return item(
            key,
            title,
            ok=calm > 0 and parameters.turnover_cap_x > 0 and least is not None and least > 0,
            evidence=f"floor in a calm market {calm:.3%}, {quoted}; cap {parameters.turnover_cap_x:g}x",
        )
    return item(key, title, ok=False, evidence=bot.fault or "no controller is deployed")


def performance(figures: Figures | None, missing: str, limits: Limits) -> Iterator[Item]:
    """Items 6 to 9: what the strategy came to."""
    titles = {
        "turnover": f"6. turnover stays under {limits.turnover_cap_x:g}x a day (target {limits.turnover_target_x:g}x)",
        "fees_to_gross": f"7. fees / gross stays under {limits.fees_to_gross:.0%} (target "
        f"{limits.fees_to_gross_target:.0%})",
        "profit_factor": f"8. profit factor stays above {limits.profit_factor:g}",
        "drawdown": f"9. trading drawdown stays under {limits.drawdown:.0%} (target {limits.drawdown_target:.0%})",
    }
    if figures is None:
        for key, title in titles.items():
            yield item(key, title, ok=False, evidence=missing)
        return
    trips = figures.round_trips
    yield item(
        "turnover",
        titles["turnover"],
        ok=figures.turnover_worst_x < limits.turnover_cap_x,
        evidence=f"worst {figures.turnover_worst_x:.2f}x on {figures.turnover_worst_day}, mean "
        f"{figures.turnover_mean_x:.2f}x",
    )
    share = trips.fees_to_gross
    yield item(
        "fees_to_gross",
        titles["fees_to_gross"],
        ok=share is not None and share < limits.fees_to_gross,
        evidence=trips.fees_to_gross_note if share is None else f"{share:.1%} over {trips.count} round trips",
    )
    factor = trips.profit_factor
    yield item(
        "profit_factor",
        titles["profit_factor"],
        ok=factor is not None and factor > limits.profit_factor,
        evidence=trips.profit_factor_note
        if factor is None
        else f"{factor:.3f} over {trips.count} round trips, first in first out, after both fees",
    )
    yield item(
        "drawdown",
        titles["drawdown"],
        ok=figures.trading_drawdown_pct < limits.drawdown,
        evidence=f"{figures.trading_drawdown_pct:.2%} of opening equity; mark to market "
        f"{figures.mark_to_market_drawdown_pct:.2%}",
    )


def failures(evidence: Evidence) -> Item:
    """Item 10: no repeated cancel failures, no balance mismatches."""
    key, title = "failures", "10. no repeated cancel failures, no balance mismatch"
    figures = evidence.figures
    if figures is None:
        return item(key, title, ok=False, evidence=evidence.missing)
    return item(
        key,
        title,
        ok=figures.cancel_failures <= 1 and figures.balance_mismatches == 0 and figures.books_agree,
        evidence=f"{figures.cancel_failures} cancel failures, {figures.balance_mismatches} balance mismatches; fills "
        f"and balances {'agree' if figures.books_agree else 'DISAGREE'}",
    )


def books_written(request: Request, limits: Limits, now: float) -> Item:
    """Item 11: fills, minute and daily are written by both."""
    names = [(request.bot, request.variant)] + ([(request.watcher.name, "d")] if request.watcher else [])
    faults = [] if request.watcher else [NO_WATCHER]
    said = []
    for name, variant in names:
        directory = request.data / name / "logs" / "epp_v24" / f"{name}_{variant}"
        missing = [book for book in ("fills", "minute", "daily") if not _has_header(directory / f"{book}.csv")]
        row, why = newest_minute(directory)
        if missing or row is None:
            faults.append(f"{name}: {', '.join(missing) + ' missing or empty' if missing else why}")
        elif not -limits.row_age_s < now - row.ts <= limits.row_age_s:
            faults.append(f"{name}: the last minute row is {now - row.ts:.0f} s old")
        else:
            said.append(f"{name}: last row {max(0.0, now - row.ts):.0f} s ago")
    return item(
        "books",
        "11. both bots write fills, minute and daily",
        ok=not faults,
        evidence="; ".join([*faults, *said]),
    )


def _has_header(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.readline().startswith("ts,instance,")
    except OSError:
        return False


def transitions(request: Request, evidence: Evidence) -> Item:
    """Item 12: the guard's transitions are visible in books and logs."""
    logs = request.data / request.bot / "logs"
    lines = 0
    try:
        for path in logs.glob("logs_*.log*"):
            with path.open(encoding="utf-8", errors="replace") as file:
                lines += sum(STATE_LINE.search(line) is not None for line in file)
    except OSError as error:
        return item("transitions", "12. the guard's transitions are visible", ok=False, evidence=str(error))
    states = ", ".join(f"{state} {count} min" for state, count in evidence.states.items())
    return item(
        "transitions",
        "12. the guard's transitions are visible",
        ok=lines > 0 and bool(evidence.states),
        evidence=f"minute.csv: {states or 'no row that counts'}, {evidence.changes} changes; log: {lines} transitions",
    )
