"""The figures as text for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal

from .books_reader import STATES
from .figures import Figures


def percent(fraction: float | None, digits: int = 2) -> str:
    """A fraction in per cent; ``n/d`` when it is not defined."""
    return "n/d" if fraction is None else f"{fraction * 100:z.{digits}f} %"


def basis_points(fraction: float | None) -> str:
    """A fraction in basis points, signed."""
    return "n/d" if fraction is None else f"{fraction * 1e4:+z.1f} bp"


def ratio(value: float | None) -> str:
    """A profit factor."""
    if value is None:
        return "n/d"
    return "∞" if math.isinf(value) else f"{value:.3f}"


def money(value: Decimal | None, *, signed: bool = False) -> str:
    """Quote with two decimals, more when it is small."""
    if value is None:
        return "n/d"
    digits = 2 if abs(value) >= 1 or not value else 4
    return f"{value:+,.{digits}f}" if signed and value else f"{value:z,.{digits}f}"


def duration(seconds: float | None) -> str:
    """Seconds in the largest fitting units."""
    if seconds is None:
        return "n/d"
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    if minutes < 180:
        return f"{minutes} min"
    if minutes < 4320:
        return f"{minutes / 60:.1f} h"
    return f"{minutes / 1440:.1f} d"


def figure_rows(figures: Figures) -> Iterator[tuple[str, str, str]]:
    """The figures as (name, value, remark), in the order a person judges them."""
    trips = figures.round_trips
    quote = figures.trading_pair.partition("-")[2]
    yield (
        "against holding",
        f"{money(figures.versus_holding_quote, signed=True)} {quote}",
        f"{percent(figures.versus_holding_pct)} of the opening equity; holding made "
        f"{money(figures.holding_quote, signed=True)}, both together {money(figures.pnl_quote, signed=True)}",
    )
    yield "profit factor", ratio(trips.profit_factor), trips.profit_factor_note or "round trips, after both fees"
    yield "P(profit factor > 1)", percent(trips.profitable_probability, 1), trips.profitable_probability_note
    yield (
        "fees / gross",
        percent(trips.fees_to_gross, 1),
        trips.fees_to_gross_note or f"{money(trips.fees_quote)} of {money(trips.gross_quote)} {quote}",
    )
    yield (
        "trading drawdown",
        percent(figures.trading_drawdown_pct),
        f"mark to market {percent(figures.mark_to_market_drawdown_pct)}",
    )
    yield (
        "turnover a day",
        f"{figures.turnover_mean_x:.2f}x",
        f"worst {figures.turnover_worst_x:.2f}x on {figures.turnover_worst_day}",
    )
    yield (
        "round trips",
        f"{trips.count}",
        f"{trips.gains} gains, {trips.losses} losses, net {money(trips.net_quote, signed=True)} {quote}, mean "
        f"{basis_points(trips.mean_net_pct)}, median hold {duration(trips.median_hold_s)}",
    )
    yield (
        "open lots",
        f"{trips.open_base.normalize():f}" if trips.open_base else "0",
        f"base against the opening mix, {money(trips.open_unrealised_quote, signed=True)} {quote} at the last mid",
    )
    yield (
        "fills",
        f"{figures.fills}",
        f"{figures.buys} buys, {figures.sells} sells, maker {percent(figures.maker_share, 1)}, notional "
        f"{money(figures.notional_quote)}, fees {money(figures.fees_quote)} {quote}",
    )
    for edge in figures.realised_edge:
        yield (
            f"realised edge {duration(edge.horizon_s)}",
            basis_points(edge.mean_pct),
            f"{basis_points(edge.mean_after_fee_pct)} after the fee, over {edge.fills} fills",
        )
    yield "cancel failures", f"{figures.cancel_failures}", "orders that outlived their cancel"
    yield "balance mismatches", f"{figures.balance_mismatches}", "episodes"
    yield (
        "average-cost profit factor",
        ratio(trips.profit_factor_average_cost),
        "for comparison only: it counts the market's rise as a gain",
    )
    yield (
        "books agree",
        "yes" if figures.books_agree else "NO",
        f"against holding by fills.csv alone: {money(figures.trading_pnl_from_fills_quote, signed=True)} {quote}",
    )


def state_rows(figures: Figures) -> Iterator[tuple[str, float, float]]:
    """Time in each state as (state, seconds, share)."""
    whole = sum(figures.state_seconds.values())
    for state in (*STATES, "not_running"):
        seconds = figures.state_seconds.get(state, 0.0)
        yield state, seconds, seconds / whole if whole else 0.0


def as_text(figures: Figures) -> str:
    """The report for a terminal."""
    mixed = {name: values for name, values in figures.provenance.items() if len(values) > 1}
    lines = [
        f"{figures.trading_pair} on {figures.exchange or '?'}: {figures.opened_at} to {figures.ended_at} "
        f"({figures.days:.2f} days), {figures.window_note}",
        "; ".join(
            f"{name} {', '.join(value or '-' for value in values)}" for name, values in figures.provenance.items()
        ),
    ]
    if mixed:
        lines.append(f"MIXED: the window holds several values of {', '.join(mixed)}; its figures are of no one run")
    lines.append("")
    rows = list(figure_rows(figures))
    name_width = max(len(name) for name, _, _ in rows)
    value_width = max(len(value) for _, value, _ in rows)
    lines += [f"{name:<{name_width}}  {value:>{value_width}}  {remark}".rstrip() for name, value, remark in rows]
    lines += ["", "time in state"]
    lines += [
        f"  {state:<12} {percent(share, 1):>8}  {duration(seconds)}"
        for state, seconds, share in state_rows(figures)
        if seconds
    ]
    if figures.pauses:
        lines += ["", "reasons                episodes     total   longest"]
        lines += [
            f"  {pause.reason:<20} {pause.episodes:>8} {duration(pause.total_s):>9} {duration(pause.longest_s):>9}"
            f"  {pause.state}{', still on at the end' if pause.still_on else ''}"
            for pause in figures.pauses
        ]
    lines += ["", "day           against holding  turnover  fills  round trips        net    equity"]
    lines += [
        f"{day.day}    {money(day.trading_pnl_quote, signed=True):>15}  {day.turnover_x:>7.2f}x  {day.fills:>5}  "
        f"{day.round_trips:>11}  {money(day.round_trip_net_quote, signed=True):>9}  {money(day.equity_end_quote):>8}"
        for day in figures.per_day
    ]
    return "\n".join(lines) + "\n"
