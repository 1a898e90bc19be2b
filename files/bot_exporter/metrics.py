"""The metrics: one bot's files in, families of samples out.

Every metric begins with ``hbot_bot_`` and carries bot, variant, mode and pair. Units are in the names; a ``_ratio`` is
a fraction (0.0025 is 25 basis points). What is not known has no sample: a gap says more than a zero.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from .books import FillsBook, MinuteBook, Row, ages, moment, number
from .database import Database
from .log import Log
from .reading import newest, status
from .registration import Bot
from .state import State
from .week import Report

LABELS = ("bot", "variant", "mode", "pair")

STATES = ("running", "reduce_only", "soft_pause", "hard_stop")

# column of minute.csv: (metric, what it is, factor)
MINUTE = {
    "mid": ("mid_price_quote", "Mid price.", 1.0),
    "best_bid": ("best_bid_price_quote", "Best bid of the market.", 1.0),
    "best_ask": ("best_ask_price_quote", "Best ask of the market.", 1.0),
    "equity_quote": ("equity_quote", "Base and quote together, valued at mid.", 1.0),
    "trading_pnl_quote": ("trading_pnl_quote", "Equity less the value of the reference inventory.", 1.0),
    "base_balance": ("balance_base", "Base coins held.", 1.0),
    "quote_balance": ("balance_quote", "Quote coins held.", 1.0),
    "base_pct": ("base_share_ratio", "Share of the equity that is base.", 1.0),
    "target_base_pct": ("target_base_share_ratio", "The share that the inventory is steered to.", 1.0),
    "spread_pct": ("spread_ratio", "Quoted spread, full width.", 1.0),
    "spread_floor_pct": ("spread_floor_ratio", "Least spread that pays its costs, full width.", 1.0),
    "quote_margin_pct": ("quote_margin_ratio", "Distance of the quote less the costs of a fill.", 1.0),
    "adverse_pct": ("adverse_ratio", "Adverse selection that the floor reckons with.", 1.0),
    "markout_30s_pct": ("markout_30s_ratio", "Measured adverse move in the 30 s after own fills, EWMA.", 1.0),
    "band_pct": ("band_ratio", "ATR(14) over close of the one-minute bars.", 1.0),
    "skew": ("skew_ratio", "Shift of both quotes against the inventory error.", 1.0),
    "turnover_x": ("turnover_ratio", "Traded since 00:00 UTC over the day's opening equity.", 1.0),
    "drawdown_pct": ("drawdown_ratio", "Fall of equity from its 30-day peak.", 1.0),
    "trading_drawdown_pct": ("trading_drawdown_ratio", "Fall of trading PnL from its peak, over opening equity.", 1.0),
    "fees_quote": ("day_fees_quote", "Fees since 00:00 UTC.", 1.0),
    "realized_pnl_quote": ("day_realized_pnl_quote", "PnL realised since 00:00 UTC.", 1.0),
    "orders_active": ("orders_active", "Orders on the exchange.", 1.0),
    "oldest_order_age_s": ("oldest_order_age_seconds", "Age of the oldest order.", 1.0),
    "cancels_per_min": ("cancels_per_minute", "Cancels in the last minute.", 1.0),
    "cancel_fail_streak": ("cancel_fail_streak", "Cancels in a row that led to nothing.", 1.0),
    "fills_count": ("day_fills", "Fills since 00:00 UTC.", 1.0),
    "book_age_s": ("book_age_seconds", "Age of the order book.", 1.0),
    "clock_skew_s": ("clock_skew_seconds", "The exchange's clock less the VPS's.", 1.0),
    "tick_ms": ("tick_seconds", "How long the last tick took.", 0.001),
}

RATIOS = {
    "fees_to_gross": ("fees_to_gross_ratio", "Fees over PnL before fees, of round trips."),
    "profit_factor": ("profit_factor", "Net gains over net losses of round trips."),
    "trading_drawdown": ("max_trading_drawdown_ratio", "Worst fall of trading PnL."),
    "drawdown": ("max_drawdown_ratio", "Worst fall of equity."),
    "turnover_worst": ("turnover_worst_day_ratio", "Turnover of the worst UTC day."),
    "turnover_mean": ("turnover_mean_ratio", "Turnover of a mean UTC day."),
    "versus_holding": ("versus_holding_ratio", "Trading PnL over opening equity, against holding the mix."),
}


class Families:
    """The samples of one scrape by metric, whichever bot they are of."""

    def __init__(self) -> None:
        self._families: dict[str, Metric] = {}

    def gauge(self, name: str, what: str, value: float, labels: dict[str, str]) -> None:
        """Add one sample of a gauge."""
        self._add(GaugeMetricFamily, name, what, value, labels)

    def counter(self, name: str, what: str, value: float, labels: dict[str, str]) -> None:
        """Add one sample of a counter; its sample's name ends with ``_total``."""
        self._add(CounterMetricFamily, name, what, value, labels)

    def _add(self, kind: Callable[..., Metric], name: str, what: str, value: float, labels: dict[str, str]) -> None:
        family = self._families.get(name)
        if family is None:
            family = self._families[name] = kind(name, what)
        sample = f"{name}_total" if kind is CounterMetricFamily else name
        family.add_sample(sample, labels, value)

    def __iter__(self) -> Iterator[Metric]:
        return iter(self._families.values())


@dataclass
class Watched:
    """One bot's files and what was read of them so far."""

    root: Path
    minute: MinuteBook = field(default_factory=MinuteBook)
    fills: FillsBook = field(default_factory=FillsBook)
    state: State = field(default_factory=State)
    log: Log = field(default_factory=Log)
    database: Database = field(default_factory=Database)

    def books(self, bot: Bot) -> Path:
        """Where a bot's CSV books stand."""
        return self.root / "data" / bot.name / "logs" / "epp_v24" / f"{bot.name}_{bot.variant}"

    def write(self, bot: Bot, out: Families, report: Report | None, now: float) -> None:
        """Add everything that is known of the bot. Nothing that a file holds keeps the rest from coming."""
        labels = dict(zip(LABELS, (bot.name, bot.variant, bot.mode, bot.pair), strict=True))
        out.gauge("hbot_bot_enabled", "1: the inventory wants it to run.", float(bot.enabled), labels)
        for name in bot.containers:
            expected = float(bot.enabled)
            out.gauge("hbot_bot_container_expected", "1: it should run.", expected, labels | {"name": name})
        self._write_log(bot, out, labels, now)
        self._write_database(bot, out, labels, now)
        if bot.epp:
            self._write_books(bot, out, labels, now)
            if report is not None:
                write_report(report, out, labels, now)
        else:
            out.gauge("hbot_bot_info", "What runs.", 1.0, labels | {"version": bot.version, "strategy": "other"})

    def _write_log(self, bot: Bot, out: Families, labels: dict[str, str], now: float) -> None:
        path = newest(self.root / "data" / bot.name / "logs", "logs_*.log")
        readable = path is not None
        if path is not None:
            try:
                info = path.lstat()
                self.log.read(path)
                age = max(0.0, now - info.st_mtime)
                out.gauge("hbot_bot_log_age_seconds", "Since the log's last line.", age, labels)
            except OSError:
                readable = False
        for level, count in self.log.lines.items():
            what = "Log lines since the exporter began to watch."
            out.counter("hbot_bot_log_lines", what, count, labels | {"level": level.lower()})
        out.counter(
            "hbot_bot_network_errors", "Log lines that tell of a failed connection.", self.log.network_errors, labels
        )
        self._readable(out, labels, "log", readable=readable)

    def _write_database(self, bot: Bot, out: Families, labels: dict[str, str], now: float) -> None:
        path = newest(self.root / "data" / bot.name / "data", "*.sqlite")
        info = None if path is None else status(path)
        if path is None or info is None:
            self._readable(out, labels, "database", readable=False)
            return
        self.database.read(path, now)
        age = max(0.0, now - info.st_mtime)
        out.gauge("hbot_bot_database_age_seconds", "Since the database was last written.", age, labels)
        out.gauge("hbot_bot_database_bytes", "Size of the database.", float(info.st_size), labels)
        if self.database.trades is not None:
            out.gauge("hbot_bot_database_trades", "Trades in the database.", float(self.database.trades), labels)
        self._readable(out, labels, "database", readable=self.database.readable)

    def _write_books(self, bot: Bot, out: Families, labels: dict[str, str], now: float) -> None:
        directory = self.books(bot)
        for book, age in ages(directory, now).items():
            what = "Since the book was last written."
            out.gauge("hbot_bot_csv_age_seconds", what, age, labels | {"book": book})
        row = self._minute(directory / "minute.csv", out, labels)
        if row is not None:
            self._write_minute(bot, row, out, labels, now)
        self._write_fills(directory / "fills.csv", out, labels)
        self._readable(out, labels, "daily", readable=status(directory / "daily.csv") is not None)
        self._write_day(bot, row, out, labels)

    def _minute(self, path: Path, out: Families, labels: dict[str, str]) -> Row | None:
        try:
            row = self.minute.last(path)
        except OSError:
            row = None
        self._readable(out, labels, "minute", readable=row is not None)
        return row

    def _write_minute(self, bot: Bot, row: Row, out: Families, labels: dict[str, str], now: float) -> None:
        ts = moment(row["ts"])
        if ts is not None:
            out.gauge("hbot_bot_snapshot_timestamp_seconds", "Time of the last minute row.", ts, labels)
            out.gauge("hbot_bot_snapshot_age_seconds", "Since the last minute row.", max(0.0, now - ts), labels)
        for state in STATES:
            value = float(row["state"] == state)
            out.gauge("hbot_bot_state", "1 for the guard's state.", value, labels | {"state": state})
        for reason in sorted({reason for reason in row["reasons"].split(";") if reason}):
            out.gauge("hbot_bot_reason", "1 for each reason in force.", 1.0, labels | {"reason": reason})
        if row["regime"]:
            out.gauge("hbot_bot_regime", "1 for the market's regime.", 1.0, labels | {"regime": row["regime"]})
        info = {name: row[name] for name in ("market_source", "speed", "strategy_hash", "config_hash")}
        out.gauge("hbot_bot_info", "What runs.", 1.0, labels | info | {"version": bot.version, "strategy": "epp"})
        agrees = float(row["mode"] == bot.mode)
        out.gauge("hbot_bot_mode_agrees", "1: it runs in the mode that the inventory says.", agrees, labels)
        for column, (name, what, factor) in MINUTE.items():
            cell = number(row, column)
            if cell is not None:
                out.gauge(f"hbot_bot_{name}", what, cell * factor, labels)

    def _write_fills(self, path: Path, out: Families, labels: dict[str, str]) -> None:
        try:
            fills = self.fills.read(path)
        except OSError:
            fills = None
        self._readable(out, labels, "fills", readable=fills is not None and not fills.unreadable)
        if fills is None:
            return
        for side in ("buy", "sell"):
            for liquidity in ("maker", "taker"):
                count = fills.count.get((side, liquidity), 0)
                more = {"side": side, "liquidity": liquidity}
                out.counter("hbot_bot_fills", "Fills in the book.", float(count), labels | more)
            notional = float(fills.notional.get(side, 0))
            out.counter("hbot_bot_notional_quote", "Traded, in quote.", notional, labels | {"side": side})
            if side in fills.last_price:
                price = fills.last_price[side]
                out.gauge("hbot_bot_last_fill_price_quote", "Price of the last fill.", price, labels | {"side": side})
        out.counter("hbot_bot_fees_quote", "Fees in the book.", float(fills.fees), labels)
        if fills.last_ts is not None:
            out.gauge("hbot_bot_last_fill_timestamp_seconds", "Time of the last fill.", fills.last_ts, labels)

    def _write_day(self, bot: Bot, row: Row | None, out: Families, labels: dict[str, str]) -> None:
        instance = f"{bot.name}_{bot.variant}"
        path = self.root / "data" / bot.name / "data" / "epp_v24" / instance / f"state_{bot.mode}.json"
        try:
            day = self.state.day(path)
        except OSError:
            day = None
        self._readable(out, labels, "state", readable=day is not None)
        if day is None or row is None or day.equity_open is None or day.trading_open is None or day.equity_open <= 0:
            return
        equity, trading = number(row, "equity_quote"), number(row, "trading_pnl_quote")
        if equity is not None:
            pnl = equity - day.equity_open
            out.gauge("hbot_bot_day_pnl_quote", "Change of equity since 00:00 UTC.", pnl, labels)
            out.gauge("hbot_bot_day_pnl_ratio", "The same over opening equity.", pnl / day.equity_open, labels)
        if trading is not None:
            pnl = trading - day.trading_open
            out.gauge("hbot_bot_day_trading_pnl_quote", "Change of trading PnL since 00:00 UTC.", pnl, labels)
            out.gauge("hbot_bot_day_trading_pnl_ratio", "The same over opening equity.", pnl / day.equity_open, labels)

    @staticmethod
    def _readable(out: Families, labels: dict[str, str], file: str, *, readable: bool) -> None:
        what = "0: missing, torn or not what it should be."
        out.gauge("hbot_bot_file_readable", what, float(readable), labels | {"file": file})


def write_report(report: Report, out: Families, labels: dict[str, str], now: float) -> None:
    """Add the last report's figures."""
    age = max(0.0, now - report.computed_at)
    out.gauge("hbot_bot_week_report_age_seconds", "Since the report of seven days was computed.", age, labels)
    out.gauge("hbot_bot_week_report_ok", "0: the books were refused.", float(not report.error), labels)
    if report.figures is None:
        return
    figures = report.figures
    for key, value in figures["ratios"].items():
        name, what = RATIOS[key]
        out.gauge(f"hbot_bot_week_{name}", f"{what} Seven days.", float(value), labels)
    for horizon, value in figures["edge"].items():
        what = "What the mid did after own fills, seven days; positive is in our favour, before fees."
        out.gauge("hbot_bot_week_realised_edge_ratio", what, float(value), labels | {"horizon": horizon})
    for key in ("round_trips", "cancel_failures", "balance_mismatches"):
        out.gauge(f"hbot_bot_week_{key}", f"{key.replace('_', ' ').capitalize()} of seven days.", figures[key], labels)
    for state, seconds in figures["state_seconds"].items():
        what = "Seconds of seven days in each state."
        out.gauge("hbot_bot_week_state_seconds", what, float(seconds), labels | {"state": state})


class Exporter:
    """All bots of a VPS."""

    def __init__(
        self,
        root: Path,
        registered: Callable[[], tuple[dict[str, Bot], int]],
        report_of: Callable[[str], Report | None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._root = root
        self._registered = registered
        self._report_of = report_of
        self._clock = clock
        self._watched: dict[str, Watched] = {}

    def bot(self, name: str) -> Iterable[Metric] | None:
        """One bot's metrics; ``None`` when no such bot is registered."""
        bots, _ = self._registered()
        return self._families([bots[name]]) if name in bots else None

    def all(self) -> Iterable[Metric]:
        """Every bot's metrics."""
        return self._families(self._registered()[0].values())

    def itself(self) -> Iterable[Metric]:
        """How the registrations are. Forgets what was read of bots that are registered no more."""
        bots, faulty = self._registered()
        for name in self._watched.keys() - bots.keys():
            del self._watched[name]
        out = Families()
        out.gauge("hbot_exporter_bots", "Registered bots.", float(len(bots)), {})
        out.gauge("hbot_exporter_faulty_registrations", "Files that register no bot.", float(faulty), {})
        return out

    def _families(self, bots: Iterable[Bot]) -> Families:
        out = Families()
        for bot in bots:
            watched = self._watched.setdefault(bot.name, Watched(self._root))
            watched.write(bot, out, self._report_of(bot.name), self._clock())
        return out
