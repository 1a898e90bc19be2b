"""The table for a terminal."""

from __future__ import annotations

import textwrap

from .gate import Outcome

_MARKS = {"pass": "pass", "fail": "FAIL", "waived": "WAIVED", "note": "-"}
WIDTH = 118


def as_text(outcome: Outcome) -> str:
    """Every item with its evidence below it, then what it adds up to."""
    request, judgement = outcome.request, outcome.judgement
    lines = [
        f"Go-live gate: {request.bot}, {request.trading_pair} on {request.connector}, {_KIND[request.kind]}, maximum "
        f"notional {request.max_notional_quote:f} {request.quote}, for {request.days} days",
    ]
    if outcome.limits.name == "rehearsal":
        lines.append("REHEARSAL: shortened limits, for a paper exchange's key only. This is no evidence for money.")
    lines.append("")
    indent = " " * 8
    for each in judgement.items:
        lines += textwrap.wrap(each.title, WIDTH, initial_indent=f"{_MARKS[each.verdict]:<8}", subsequent_indent=indent)
        lines += textwrap.wrap(each.evidence, WIDTH, initial_indent=indent, subsequent_indent=indent)
        if each.waiver:
            said = f"waiver {each.key}: {each.waiver}"
            lines += textwrap.wrap(said, WIDTH, initial_indent=indent, subsequent_indent=indent)
    lines += ["", *judgement.refused_waivers]
    failed = judgement.failed
    waived = sum(each.verdict == "waived" for each in judgement.items)
    with_waivers = f", {waived} of them waived" if waived else ""
    if judgement.passed:
        lines.append(f"All {len(judgement.items)} items pass{with_waivers}.")
    else:
        names = ", ".join(each.key for each in failed)
        lines.append(f"{len(failed)} of {len(judgement.items)} items stand in the way: {names}. Nothing was changed.")
    return "\n".join(lines) + "\n"


_KIND = {"entry": "paper to live", "renewal": "live once more", "raise": "live with more money"}
