"""A pair of bots before the gate: books made row by row, configuration by the role's own filter, and an account on a
paper exchange that plays Bitget."""

from __future__ import annotations

import time
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from bitget_rest.tests.exchange_process import KEY, ExchangeProcess
from epp.tests.report.made_books import PROVENANCE, START, BookMaker, stamp
from golive_gate import gate
from golive_gate.account import Look, look
from golive_gate.books import Evidence
from golive_gate.gate import Outcome
from golive_gate.request import Request

from plugins.filter.bot_configuration import bot_configuration

DAYS = 15
STRATEGY = PROVENANCE["strategy_hash"]
HERE = "203.0.113.7"


def inputs(name: str, variant: str, **changes: Any) -> dict[str, Any]:
    """What role bot gives to the filter."""
    return {
        "name": name,
        "mode": "paper",
        "variant": variant,
        "connector": "bitget",
        "trading_pair": "BTC-USDT",
        "total_amount_quote": 200,
        "market_source": "relay",
        "speed": 1.0,
        "strategy_hash": STRATEGY,
        "parameters": {},
        "stubs": ["b", "c"] if name == "bot1" else [],
        "script": {},
        "controllers": [],
    } | changes


def config_hash(**changes: Any) -> str:
    """The hash that rows of bot1 carry."""
    files = bot_configuration(inputs("bot1", "a", **changes))["files"]
    return str(files["controllers/epp_v2_4_bot_a.yml"]["config_hash"])


class Books(BookMaker):
    """Trades round trips that pay, evenly over its days."""

    def day_of_trading(self, *, trips: int = 8, gain: str = "0.4", **cells: Any) -> None:
        """A day's rows, with as many round trips in it."""
        apart = 1440 // (trips + 1)
        buy, sell = Decimal(100) - Decimal(gain), Decimal(100) + Decimal(gain)
        for minute in range(1440):
            self.minute(config_hash=self.config_hash, **cells)
            if minute % apart == apart // 2 and minute // apart < trips:
                self.fill("buy", str(buy), "0.1", "0.009", config_hash=self.config_hash, **cells)
                self.fill("sell", str(sell), "0.1", "0.009", after=20, config_hash=self.config_hash, **cells)
        self.day(datetime.fromtimestamp(self.ts - 60, tz=UTC).strftime("%Y-%m-%d"), "200")

    config_hash = config_hash()


@dataclass
class Pair:
    """Everything that the gate looks at, good until a test spoils it."""

    data: Path
    exchange: ExchangeProcess
    good_books: Books
    """Shared by all tests; :attr:`books` is this one's own."""
    now: float
    changes: dict[str, Any] = field(default_factory=dict)
    """Fields of the request that a test changes."""
    drills: dict[str, Any] = field(default_factory=dict)
    evidence_of_good_books: Evidence | None = None
    """Read once for all tests that leave the books alone."""

    good_look: Look | None = None
    """Asked once for all tests."""

    @cached_property
    def books(self) -> Books:
        """Books to spoil; put in place by :meth:`write`."""
        self.evidence_of_good_books = None
        return deepcopy(self.good_books)

    def conf(self, name: str, variant: str, **changes: Any) -> None:
        """Deploy a configuration."""
        conf = self.data / name / "conf"
        for old in conf.rglob("*.yml"):
            old.unlink()
        for path, document in bot_configuration(inputs(name, variant, **changes))["files"].items():
            file = conf / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(yaml.safe_dump(document))

    def write(self) -> None:
        """Put the spoilt books in place."""
        self.books.directory = self.data / "bot1" / "logs" / "epp_v24" / "bot1_a"
        self.books.write()

    def settle(self) -> None:
        """Put everything but the books in place."""
        (self.data / "bot1" / "logs" / "logs_v2_epp_v2_4_bot_a.log").write_text(
            "2022-01-03 00:00:01 - INFO - state: soft_pause to running; over: start_sweep\n"
        )
        watcher = self.data / "bot2" / "logs" / "epp_v24" / "bot2_d"
        watcher.mkdir(parents=True)
        quiet = BookMaker(watcher)
        quiet.ts = self.now - 60
        quiet.minute(instance="bot2", variant="d", state="soft_pause", reasons="no_trade")
        quiet.day("2022-01-03", "200")
        quiet.write()
        self.conf("bot1", "a")
        self.conf("bot2", "d")

    def request(self) -> Request:
        """What the gate is asked."""
        fills = [
            {
                "tradeId": row["trade_id"],
                "side": row["side"],
                "priceAvg": row["price"],
                "size": row["amount_base"],
                "cTime": str(int(datetime.fromisoformat(row["ts"]).timestamp() * 1000)),
            }
            for row in self.good_books.rows["fills"]
        ]
        told: dict[str, Any] = {
            "bot": "bot1",
            "variant": "a",
            "trading_pair": "BTC-USDT",
            "order_id_prefix": "hbot-bot1-",
            "strategy_hash": STRATEGY,
            "config_hash": config_hash(),
            "max_notional_quote": "200",
            "days": 7,
            "watcher": {"name": "bot2", "enabled": True},
            "key": {
                "api_key": KEY.api_key,
                "secret_key": KEY.secret_key,
                "passphrase": KEY.passphrase,
                "since": date(2022, 1, 1),
            },
            "exchange": {"url": self.exchange.url, "ca_file": str(self.exchange.ca_file), "address": "127.0.0.1"},
            "vps_addresses": ["127.0.0.1", HERE],
            "assumed": {
                "maker_fee": "0.001",
                "taker_fee": "0.001",
                "min_trade_quote": "1",
                "price_precision": 2,
                "quantity_precision": 6,
                "unchanged_since": START - 86_400,
            },
            "exchange_fills": fills,
            "evidence": self.evidence() | self.drills,
            "data": str(self.data),
        }
        return Request.model_validate(told | self.changes)

    def evidence(self) -> dict[str, Any]:
        """Marks that drills left an hour ago."""
        at = stamp(self.now - 3600)
        mark = {"schema": 1, "ok": True, "at": at, "detail": "in order"}
        return {
            "watchdog_drill": mark
            | {"kind": "watchdog_drill", "bot": "bot1", "account": self.account_id, "armed": True},
            "alert_delivered": mark | {"kind": "alert_delivered", "receiver": "operator"},
            "backup_verified": mark | {"kind": "backup_verified", "bots": ["bot1", "bot2"]},
            "kill_from_controller": mark | {"kind": "kill_from_controller", "bot": "bot1", "account": self.account_id},
        }

    @property
    def account_id(self) -> str:
        """The account that the key belongs to."""
        if self.good_look is not None and self.good_look.account is not None:
            return self.good_look.account.user_id
        return self.exchange.client().account().user_id

    def look(self) -> Look:
        """What the paper exchange tells, as a bot for money would be told it by Bitget.

        The profile for money refuses a paper exchange, whatever else is in order, so the answers are read under the
        rehearsal's.
        """
        if self.good_look is not None:
            return self.good_look
        return look(self.request().model_copy(update={"profile": "rehearsal"}), None)

    def judged(self, **answers: Any) -> Outcome:
        """The gate's outcome; ``answers`` are put in the place of what the exchange told."""
        request = self.request()
        evidence = self.evidence_of_good_books
        if evidence is None or self.changes.keys() & {"config_hash", "assumed", "mark"}:
            evidence = gate.read(request)
        return gate.assess(request, evidence, replace(self.look(), **answers), self.now)


def wait_for_price(exchange: ExchangeProcess) -> Decimal:
    """The market's first price."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return exchange.client().last_price("BTCUSDT")
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
