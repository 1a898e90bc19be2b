"""A VPS's tree with bots in it, as bots and roles leave it."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from datetime import datetime, timezone
from pathlib import Path

from bot_exporter.metrics import Exporter
from bot_exporter.registration import bots
from bot_exporter.server import text
from bot_exporter.week import Report
from epp.books.columns import DAILY, FILLS, MINUTE
from prometheus_client.parser import text_string_to_metric_families

NOW = datetime(2026, 3, 8, tzinfo=timezone.utc).timestamp()
SAMPLE = dict[tuple[tuple[str, str], ...], float]

PROVENANCE = {
    "variant": "a",
    "mode": "paper",
    "market_source": "relay",
    "speed": "1",
    "strategy_hash": "5" * 16,
    "config_hash": "c" * 16,
    "exchange": "bitget",
    "trading_pair": "BTC-USDT",
}
MINUTE_CELLS = PROVENANCE | {
    "state": "running",
    "reasons": "",
    "regime": "neutral_low_vol",
    "mid": "50000",
    "best_bid": "49999",
    "best_ask": "50001",
    "equity_quote": "5010",
    "trading_pnl_quote": "4",
    "base_balance": "0.05",
    "quote_balance": "2510",
    "base_pct": "0.499",
    "target_base_pct": "0.5",
    "spread_pct": "0.007",
    "spread_floor_pct": "0.0064",
    "skew": "0",
    "turnover_x": "0.5",
    "drawdown_pct": "0.01",
    "trading_drawdown_pct": "0.002",
    "orders_active": "4",
    "oldest_order_age_s": "60",
    "cancels_per_min": "2",
    "cancel_fail_streak": "0",
    "fills_count": "3",
    "book_age_s": "0.2",
    "clock_skew_s": "0.1",
    "tick_ms": "2.5",
}
FILL_CELLS = PROVENANCE | {
    "side": "buy",
    "price": "50000",
    "amount_base": "0.001",
    "notional_quote": "50",
    "fee_quote": "0.05",
    "order_id": "o",
    "trade_id": "t",
    "is_maker": "true",
    "mid": "50050",
}


def stamp(ts: float) -> str:
    """As the books write times."""
    return datetime.fromtimestamp(ts, tz=timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def line(columns: tuple[str, ...], cells: dict[str, str]) -> str:
    """One row of a book."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow([cells.get(column, "") for column in columns])
    return out.getvalue()


class Fleet:
    """The tree below a root, and the exporter that reads it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now = NOW
        self.reports: dict[str, Report] = {}
        self.targets = root / "monitoring" / "targets" / "bots"
        self.targets.mkdir(parents=True)
        self.exporter = Exporter(root, lambda: bots(self.targets), self.reports.get, lambda: self.now)

    def add(self, name: str, *, strategy: str = "epp", enabled: bool = True) -> None:
        """Register a bot and leave what one leaves after a minute."""
        labels = {
            "bot": name,
            "variant": "a",
            "mode": "paper",
            "pair": "BTC-USDT",
            "__hbot_enabled": str(enabled).lower(),
            "__hbot_strategy": strategy,
            "__hbot_containers": f"hbot-{name} hbot-{name}-exchange",
            "__hbot_version": "version-2.16.0",
            "__metrics_path__": f"/bots/{name}",
        }
        (self.targets / f"{name}.json").write_text(json.dumps([{"targets": ["127.0.0.1:9465"], "labels": labels}]))
        for directory in (self.books(name), self.state(name).parent):
            directory.mkdir(parents=True)
        for book, columns in (("minute", MINUTE), ("fills", FILLS), ("daily", DAILY)):
            (self.books(name) / f"{book}.csv").write_text(",".join(columns) + "\n")
        self.minute(name)
        self.fill(name)
        self.log(name).write_text("2026-03-08 00:00:00,001 - 7 - hummingbot.core - INFO - started\n")
        day = {"marked": True, "equity_open": "5000", "trading_open": "1"}
        self.state(name).write_text(json.dumps({"schema": 1, "body": {"engine": {"ledger": {"day": day}}}}))
        with sqlite3.connect(self.database(name)) as database:
            database.execute("CREATE TABLE TradeFill (exchange_trade_id TEXT PRIMARY KEY)")
            database.execute("INSERT INTO TradeFill VALUES ('1')")
        database.close()

    def books(self, name: str) -> Path:
        """Where a bot's CSV books stand."""
        return self.root / "data" / name / "logs" / "epp_v24" / f"{name}_a"

    def log(self, name: str) -> Path:
        """A bot's log."""
        return self.root / "data" / name / "logs" / "logs_bot.log"

    def state(self, name: str) -> Path:
        """A bot's state file."""
        return self.root / "data" / name / "data" / "epp_v24" / f"{name}_a" / "state_paper.json"

    def database(self, name: str) -> Path:
        """A bot's database."""
        return self.root / "data" / name / "data" / "bot.sqlite"

    def minute(self, name: str, **cells: str) -> None:
        """Append a minute row."""
        with (self.books(name) / "minute.csv").open("a") as book:
            book.write(line(MINUTE, MINUTE_CELLS | {"ts": stamp(self.now - 30), "instance": name} | cells))

    def fill(self, name: str, **cells: str) -> None:
        """Append a fill."""
        with (self.books(name) / "fills.csv").open("a") as book:
            book.write(line(FILLS, FILL_CELLS | {"ts": stamp(self.now - 45), "instance": name} | cells))

    def samples(self) -> dict[str, SAMPLE]:
        """What a scrape of all bots gives, by sample name and labels; read back from the text."""
        found: dict[str, SAMPLE] = {}
        for family in text_string_to_metric_families(text(self.exporter.all()).decode()):
            for sample in family.samples:
                found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
        return found

    def value(self, metric: str, **labels: str) -> float | None:
        """The one sample of a metric that has these labels; ``None`` when there is none."""
        wanted = labels.items()
        found = [value for of, value in self.samples().get(metric, {}).items() if wanted <= dict(of).items()]
        assert len(found) <= 1, found
        return found[0] if found else None
