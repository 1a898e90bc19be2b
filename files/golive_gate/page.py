"""One HTML page that needs nothing else."""

from __future__ import annotations

import html
import time

from epp.report.text import figure_rows

from .gate import Outcome

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
table{border-collapse:collapse;width:100%;margin:1rem 0}td,th{text-align:left;vertical-align:top;padding:.4rem .6rem;
border-bottom:1px solid #d8dee4}.pass td:first-child{color:#1a7f37}.fail td:first-child{color:#cf222e;font-weight:700}
.waived td:first-child{color:#9a6700;font-weight:700}.evidence{color:#57606a}.verdict{font-size:1.3rem;font-weight:700}
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}td,th{border-color:#30363d}.evidence{color:#9198a1}}
"""


def as_page(outcome: Outcome) -> str:
    """The items, the figures they were judged on, and the waivers."""
    request, judgement = outcome.request, outcome.judgement
    heading = f"Go-live gate: {request.bot}"
    rows = "\n".join(
        f'<tr class="{each.verdict}"><td>{each.verdict}</td><td>{_(each.title)}'
        f'<div class="evidence">{_(each.evidence)}</div>'
        + (f"<div>waiver: {_(each.waiver)}</div>" if each.waiver else "")
        + f"</td><td>{each.key}</td></tr>"
        for each in judgement.items
    )
    figures = ""
    if outcome.figures is not None:
        told = "\n".join(
            f"<tr><td>{_(name)}</td><td>{_(value)}</td><td>{_(remark)}</td></tr>"
            for name, value, remark in figure_rows(outcome.figures)
        )
        source = f"{outcome.figures.opened_at} to {outcome.figures.ended_at}, {outcome.figures.window_note}"
        figures = f"<h2>Figures</h2><p>{_(source)}</p><table>{told}</table>"
    facts = {
        "pair": f"{request.trading_pair} on {request.connector}",
        "account": outcome.account or "not read",
        "maximum notional": f"{request.max_notional_quote:f} {request.quote}",
        "confirmed for": f"{request.days} days",
        "strategy, configuration": f"{request.strategy_hash}, {request.config_hash}",
        "profile": outcome.limits.name,
    }
    head = "".join(f"<tr><td>{_(name)}</td><td>{_(value)}</td></tr>" for name, value in facts.items())
    refused = "".join(f"<p>{_(why)}</p>" for why in judgement.refused_waivers)
    at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(outcome.now))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{_(heading)}</title><style>{_STYLE}</style></head><body>
<h1>{_(heading)}</h1><p>{at}</p>
<p class="verdict">{"All items pass." if judgement.passed else f"{len(judgement.failed)} items stand in the way."}</p>
{refused}<table>{head}</table><h2>Items</h2><table>{rows}</table>{figures}
</body></html>
"""


def _(text: str) -> str:
    return html.escape(text)
