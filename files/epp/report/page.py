"""One self-contained HTML page: the figures, and charts drawn as inline SVG by the page's own script.

The page loads nothing: no font, style, script or image from anywhere else.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .chart_series import ChartSeries
from .figures import Figures
from .text import duration, figure_rows, money, percent, ratio, state_rows

_TEMPLATE = Path(__file__).with_name("page.html")
_TILES = (
    "against holding",
    "profit factor",
    "P(profit factor > 1)",
    "fees / gross",
    "trading drawdown",
    "turnover a day",
)


@dataclass(frozen=True, slots=True)
class Run:
    """One of several runs that a page compares. The page draws the one that is the headline."""

    name: str
    figures: Figures | None
    """None when the run's window never opened."""
    headline: bool


def render(
    figures: Figures,
    series: ChartSeries,
    *,
    heading: str,
    runs: Sequence[Run] = (),
    notes: Sequence[str] = (),
) -> str:
    """The page as text.

    Args:
        figures: of the run that is drawn.
        series: what its charts draw, gathered while the figures were computed.
        heading: the page's title.
        runs: all runs, when the page is about several.
        notes: how the figures came about, a sentence each.
    """
    body = "\n".join(
        [
            _head(figures, heading, notes),
            _runs(runs, figures),
            _tiles(figures),
            _charts(figures),
            _table("Figures", ("figure", "value", ""), figure_rows(figures), text_columns=(2,)),
            _states(figures),
            _pauses(figures),
            _days(figures),
            _provenance(figures),
        ]
    )
    data = json.dumps({"series": series.as_dict()}, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    page = _TEMPLATE.read_text(encoding="utf-8")
    # The data last: nothing in it can be taken for a place to fill.
    for name, value in (("title", html.escape(heading)), ("body", body), ("data", data)):
        before, _, after = page.partition("{{" + name + "}}")
        page = before + value + after
    return page


def _e(text: object) -> str:
    return html.escape(str(text))


def _head(figures: Figures, heading: str, notes: Sequence[str]) -> str:
    quote = figures.trading_pair.partition("-")[2]
    amount = figures.versus_holding_quote
    word, tone = ("Gained", "good") if amount > 0 else ("Lost", "bad") if amount < 0 else ("Made nothing,", "soft")
    verdict = (
        f'<p class="verdict"><span class="{tone}">{word} {money(abs(amount))} {_e(quote)}</span> against holding in '
        f"{figures.days:.1f} days ({percent(figures.versus_holding_pct)} of the opening equity); the market moved what "
        f"was held by {money(figures.holding_quote, signed=True)}.</p>"
    )
    mixed = [name for name, values in figures.provenance.items() if len(values) > 1]
    warnings = []
    if mixed:
        warnings.append(f"The window holds several values of {', '.join(mixed)}: its figures are of no one run.")
    if not figures.books_agree:
        warnings.append(
            f"The books disagree: {money(figures.versus_holding_quote, signed=True)} by minute.csv, "
            f"{money(figures.trading_pnl_from_fills_quote, signed=True)} by fills.csv."
        )
    return (
        f"<h1>{_e(heading)}</h1>"
        f'<p class="soft">{_e(figures.trading_pair)} on {_e(figures.exchange or "?")}, {_e(figures.opened_at)} to '
        f"{_e(figures.ended_at)}, {_e(figures.window_note)}</p>{verdict}"
        + "".join(f'<p class="warn">{_e(text)}</p>' for text in warnings)
        + "".join(f'<p class="soft">{_e(text)}</p>' for text in notes)
    )


def _runs(runs: Sequence[Run], figures: Figures) -> str:
    if not runs:
        return ""
    rows = []
    for run in runs:
        cells = [_e(run.name) + (" · headline" if run.headline else "")]
        if run.figures is None:
            cells += ["no window"] + ["n/d"] * 7
        else:
            trips = run.figures.round_trips
            cells += [
                money(run.figures.versus_holding_quote, signed=True),
                percent(run.figures.versus_holding_pct),
                ratio(trips.profit_factor),
                percent(trips.profitable_probability, 1),
                percent(trips.fees_to_gross, 1),
                percent(run.figures.trading_drawdown_pct),
                f"{run.figures.turnover_mean_x:.2f}x",
                f"{run.figures.fills} / {trips.count}",
            ]
        css = ' class="headline"' if run.headline else ""
        rows.append(f"<tr{css}>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    quote = figures.trading_pair.partition("-")[2]
    header = (
        "run",
        f"against holding, {quote}",
        "of equity",
        "profit factor",
        "P(PF > 1)",
        "fees / gross",
        "trading drawdown",
        "turnover a day",
        "fills / round trips",
    )
    return (
        '<h2>All runs; the worst is the headline and is drawn below</h2><div class="wide"><table><thead><tr>'
        + "".join(f"<th>{_e(name)}</th>" for name in header)
        + "</tr></thead><tbody>"
        + "".join(rows)
        + "</tbody></table></div>"
    )


def _tiles(figures: Figures) -> str:
    rows = {name: (value, remark) for name, value, remark in figure_rows(figures)}
    tiles = [
        f'<div class="tile"><span>{_e(name)}</span><b>{_e(rows[name][0])}</b><span>{_e(rows[name][1])}</span></div>'
        for name in _TILES
    ]
    return '<div class="tiles">' + "".join(tiles) + "</div>"


def _charts(figures: Figures) -> str:
    quote = _e(figures.trading_pair.partition("-")[2])
    charts = (
        (
            "price",
            "Price, quotes and fills",
            (
                ("mid", "mid", ""),
                ("bid", "own bid", ""),
                ("ask", "own ask", ""),
                ("bid", "bought", "up"),
                ("ask", "sold", "down"),
            ),
        ),
        ("inventory", "Inventory against target", (("bid", "base, share of equity", ""), ("hold", "target", ""))),
        (
            "equity",
            f"Equity against holding, {quote}",
            (("mid", "equity", ""), ("hold", "holding the opening mix", "")),
        ),
        ("versus", f"Equity less holding, {quote}", (("mid", "trading PnL", ""),)),
        ("spread", "Spread against floor", (("ask", "quoted width", ""), ("hold", "floor", ""))),
        (
            "guard",
            "Guard",
            (
                ("running", "running", ""),
                ("reduce_only", "reduce_only", ""),
                ("soft_pause", "soft_pause", ""),
                ("hard_stop", "hard_stop", ""),
                ("soft", "reason stands", ""),
            ),
        ),
    )
    parts = [
        "<h2>The window</h2>",
        '<div id="readout"><span class="soft">Point at a chart for values; drag to zoom, double-click for all.</span>'
        "</div>",
    ]
    for name, title, legend in charts:
        items = "".join(
            f'<i class="{shape}" style="--c:var(--{colour})">{_e(text)}</i>' for colour, text, shape in legend
        )
        parts.append(
            f'<figure><figcaption><b>{title}</b>{items}</figcaption><svg data-chart="{name}" role="img" '
            f'aria-label="{title}"></svg></figure>'
        )
    return "".join(parts)


def _table(
    title: str, header: Sequence[str], rows: Iterable[Sequence[object]], *, text_columns: Sequence[int] = ()
) -> str:
    def css(column: int) -> str:
        return ' class="text"' if column in text_columns else ""

    return (
        f'<h2>{_e(title)}</h2><div class="wide"><table><thead><tr>'
        + "".join(f"<th{css(column)}>{_e(name)}</th>" for column, name in enumerate(header))
        + "</tr></thead><tbody>"
        + "".join(
            "<tr>" + "".join(f"<td{css(column)}>{_e(cell)}</td>" for column, cell in enumerate(row)) + "</tr>"
            for row in rows
        )
        + "</tbody></table></div>"
    )


def _states(figures: Figures) -> str:
    rows = [(state, duration(seconds), percent(share, 1)) for state, seconds, share in state_rows(figures)]
    return _table("Time in each state", ("state", "time", "share"), rows)


def _pauses(figures: Figures) -> str:
    if not figures.pauses:
        return ""
    rows = [
        (
            pause.reason,
            pause.state,
            pause.episodes,
            duration(pause.total_s),
            duration(pause.longest_s),
            "still on at the end" if pause.still_on else "ended",
        )
        for pause in figures.pauses
    ]
    return _table("Reasons", ("reason", "gravest state", "episodes", "total", "longest", ""), rows)


def _days(figures: Figures) -> str:
    rows = [
        (
            day.day,
            money(day.trading_pnl_quote, signed=True),
            f"{day.turnover_x:.2f}x",
            day.fills,
            day.round_trips,
            money(day.round_trip_net_quote, signed=True),
            money(day.fees_quote),
            percent(day.trading_drawdown_pct),
            money(day.equity_end_quote),
        )
        for day in figures.per_day
    ]
    header = (
        "UTC day",
        "against holding",
        "turnover",
        "fills",
        "round trips",
        "their net",
        "fees",
        "drawdown",
        "equity",
    )
    return _table("Days", header, rows)


def _provenance(figures: Figures) -> str:
    rows = [(name, ", ".join(value or "none" for value in values)) for name, values in figures.provenance.items()]
    rows.append(("books", figures.source))
    return _table("Where the figures come from", ("", ""), rows)
