"""What the gate lets through, and everything that it must not."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ansible.plugins.loader import init_plugin_loader
from bitget_rest import Account, Balance, OpenOrder, SymbolRules
from bitget_rest.tests.exchange_process import FILES
from epp.source import core_hash
from epp.tests.report.made_books import START, stamp
from golive_gate import gate
from golive_gate.gate import Outcome
from golive_gate.page import as_page
from golive_gate.request import Request, RequestError, parse
from golive_gate.tests.stage import Books, Pair, config_hash
from golive_gate.text import as_text
from golive_gate.verdict import NEVER_WAIVED
from pydantic import ValidationError

Spoil = Callable[[Pair], dict[str, Any] | None]


def failed(outcome: Outcome) -> dict[str, str]:
    """Evidence of what stands in the way, by item."""
    return {each.key: each.evidence for each in outcome.judgement.failed}


def test_a_pair_in_order_passes(pair: Pair) -> None:
    outcome = pair.judged()
    assert failed(outcome) == {}
    assert outcome.judgement.passed
    assert "All 3" in as_text(outcome)


# -- the original's twelve items


def a_dead_watcher(pair: Pair) -> None:
    book = pair.data / "bot2/logs/epp_v24/bot2_d/minute.csv"
    book.write_text(book.read_text().splitlines(keepends=True)[0])


def a_watcher_that_stopped(pair: Pair) -> None:
    pair.now += 600


def a_disabled_bot(pair: Pair) -> None:
    pair.conf("bot1", "a", parameters={"enabled": False})


def a_watcher_that_trades(pair: Pair) -> None:
    pair.conf("bot2", "a")


def a_watcher_that_is_stopped(pair: Pair) -> None:
    pair.changes["watcher"] = {"name": "bot2", "enabled": False}


def a_stub_that_is_on(pair: Pair) -> None:
    file = pair.data / "bot1/conf/controllers/epp_v2_4_bot_b_stub.yml"
    file.write_text(file.read_text().replace("enabled: false", "enabled: true"))


def no_floor(pair: Pair) -> None:
    for row in pair.books.rows["minute"]:
        row["spread_floor_pct"] = "0"
    pair.write()


def much_turnover(pair: Pair) -> None:
    for number in range(80):
        pair.books.fill("buy", "99.6", "0.1", "0.009", after=1 + number / 2, config_hash=config_hash())
        pair.books.fill("sell", "100.4", "0.1", "0.009", after=1.1 + number / 2, config_hash=config_hash())
    pair.books.minute(config_hash=config_hash())
    pair.now += 60
    pair.write()


def high_fees(pair: Pair) -> None:
    for row in pair.books.rows["fills"]:
        row["fee_quote"] = "0.02"
    pair.write()


def losing(pair: Pair) -> None:
    for row in pair.books.rows["fills"]:
        row["price"] = "100.3" if row["side"] == "buy" else "99.7"
        row["notional_quote"] = str(Decimal(row["price"]) * Decimal("0.1"))
    pair.write()


def a_drawdown(pair: Pair) -> None:
    rows = pair.books.rows["minute"]
    rows[len(rows) // 2]["trading_pnl_quote"] = "-8.5"
    pair.write()


def cancel_failures(pair: Pair) -> None:
    pair.books.rows["minute"][5000]["cancel_fail_streak"] = "2"
    pair.write()


def a_balance_mismatch(pair: Pair) -> None:
    pair.books.rows["minute"][5000] |= {"state": "soft_pause", "reasons": "balances"}
    pair.write()


def no_daily_book(pair: Pair) -> None:
    (pair.data / "bot1/logs/epp_v24/bot1_a/daily.csv").unlink()


def a_silent_log(pair: Pair) -> None:
    (pair.data / "bot1/logs/logs_v2_epp_v2_4_bot_a.log").write_text("nothing of the guard\n")


CHECKLIST: dict[str, tuple[Spoil, str]] = {
    "login": (a_dead_watcher, "bot2"),
    "bot_role": (a_disabled_bot, "enabled false"),
    "watcher_role": (a_watcher_that_trades, "variant a"),
    "watcher_role (stopped)": (a_watcher_that_is_stopped, "variant d"),
    "stubs_off": (a_stub_that_is_on, "epp_v2_4_bot_b_stub.yml: enabled true"),
    "floor_and_cap": (no_floor, "0.000%"),
    "turnover": (much_turnover, "worst 8."),
    "fees_to_gross": (high_fees, "50.0%"),
    "profit_factor": (losing, "0.000 over 120 round trips"),
    "drawdown": (a_drawdown, "of opening equity"),
    "failures": (cancel_failures, "2 cancel failures"),
    "failures (balances)": (a_balance_mismatch, "1 balance mismatches"),
    "books": (no_daily_book, "bot1: daily missing"),
    "books (stopped)": (a_watcher_that_stopped, "s old"),
    "transitions": (a_silent_log, "log: 0 transitions"),
}


@pytest.mark.parametrize("case", CHECKLIST)
def test_an_item_of_the_checklist_stands_in_the_way(pair: Pair, case: str) -> None:
    spoil, said = CHECKLIST[case]
    spoil(pair)
    assert said in failed(pair.judged())[case.split(" ")[0]]


# -- only evidence of exactly what will run


def change_the_last_days(column: str, value: str, days: int = 3) -> Spoil:
    """Rows of the newest days are of something else, and one of the day before that, too."""

    def spoil(pair: Pair) -> None:
        for book in ("minute", "fills"):
            rows = pair.books.rows[book]
            for row in rows[len(rows) * (15 - days) // 15 :]:
                row[column] = value
        pair.write()

    return spoil


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("market_source", "recorded", "market_source recorded, and only relay counts"),
        ("market_source", "fault", "market_source fault"),
        ("speed", "10", "speed 10, and only 1 counts"),
        ("config_hash", "f" * 16, f"config_hash {'f' * 16} where"),
        ("strategy_hash", "f" * 16, f"strategy_hash {'f' * 16} where"),
        ("mode", "live", "mode live where paper will run"),
        ("trading_pair", "ETH-USDT", "ETH-USDT where BTC-USDT will run"),
        ("instance", "bot9", "instance bot9 where bot1 will run"),
    ],
)
def test_other_evidence_is_none(pair: Pair, column: str, value: str, said: str) -> None:
    change_the_last_days(column, value)(pair)
    faults = failed(pair.judged())
    assert said in faults["evidence_source"]
    assert {"window", "coverage", "profit_factor", "bootstrap", "trading_pnl"} <= set(faults)


@pytest.mark.parametrize("column", ["market_source", "speed", "config_hash", "strategy_hash"])
def test_one_row_of_something_else_restarts_the_window(pair: Pair, column: str) -> None:
    value = {"market_source": "recorded", "speed": "10"}.get(column, "f" * 16)
    pair.books.rows["minute"][3 * 1440][column] = value
    pair.write()
    outcome = pair.judged()
    assert "12.0 days" in failed(outcome)["window"]
    assert "what came before does not count" in failed(outcome)["window"]


def test_a_configuration_changed_after_its_window_is_refused(pair: Pair) -> None:
    changed = {"parameters": {"turnover_cap_x": 2.5}}
    pair.changes["config_hash"] = config_hash(**changed)
    faults = failed(pair.judged())
    assert f"config_hash {config_hash()} where {config_hash(**changed)} will run" in faults["evidence_source"]
    assert "run site.yml, and gather evidence anew" in faults["deployed"]
    pair.conf("bot1", "a", **changed)
    assert "deployed" not in failed(pair.judged())
    assert "evidence_source" in failed(pair.judged())


def test_the_paper_exchanges_own_change_restarts_the_window(pair: Pair) -> None:
    pair.changes["assumed"] = pair.request().assumed.model_dump() | {"unchanged_since": pair.now - 10 * 86_400}  # type: ignore[union-attr]  # the stage gives one
    faults = failed(pair.judged())
    assert "10.0 days" in faults["window"]
    assert "the paper exchange's configuration changed" in faults["window"]


@pytest.mark.parametrize(("name", "value"), [("faults", ("latency",)), ("faults_until", 0.0)])
def test_misbehaviour_on_demand_is_no_evidence(pair: Pair, name: str, value: Any) -> None:
    value = pair.now - 86_400 if name == "faults_until" else value
    pair.changes["assumed"] = pair.request().assumed.model_dump() | {name: value}  # type: ignore[union-attr]  # the stage gives one
    faults = failed(pair.judged())
    assert "misbehav" in faults["evidence_source" if name == "faults" else "window"]


def test_a_short_window_is_refused(pair: Pair) -> None:
    del pair.books.rows["minute"][: 2 * 1440]
    pair.write()
    assert failed(pair.judged())["window"].startswith("13.0 days")


def test_a_window_with_holes_is_refused(pair: Pair) -> None:
    del pair.books.rows["minute"][5000:5300]
    pair.write()
    assert "98.61%" in failed(pair.judged())["coverage"]


def test_a_bot_that_pauses_much_is_refused(pair: Pair) -> None:
    for row in pair.books.rows["minute"][2000:4400]:
        row |= {"state": "soft_pause", "reasons": "edge"}
    pair.write()
    assert "soft_pause 11.1%" in failed(pair.judged())["soft_pause"]


def test_a_hard_stop_within_the_window_is_refused(pair: Pair) -> None:
    pair.books.rows["minute"][2000] |= {"state": "hard_stop", "reasons": "clock"}
    pair.write()
    assert "hard_stop 1 min" in failed(pair.judged())["soft_pause"]


def test_what_does_not_beat_holding_is_refused(pair: Pair) -> None:
    losing(pair)
    for row in pair.books.rows["minute"]:
        row["trading_pnl_quote"] = "0"
    pair.books.rows["minute"][-1]["trading_pnl_quote"] = "-1"
    pair.write()
    faults = failed(pair.judged())
    assert faults["trading_pnl"].startswith("-1.00")
    assert faults["bootstrap"].startswith("0.0%")


def test_a_profit_that_may_be_an_accident_is_refused(pair: Pair) -> None:
    first_day = stamp(pair.books.ts - 14 * 86_400)
    for row in pair.books.rows["fills"]:
        # One day's fortune, then small losses: the sum is a gain, most resampled histories are none.
        gain = Decimal("9") if row["ts"] < first_day else Decimal("-0.2")
        row["price"] = str(100 - gain if row["side"] == "buy" else 100 + gain)
        row["notional_quote"] = str(Decimal(row["price"]) * Decimal("0.1"))
        row["fee_quote"] = "0"
    pair.write()
    assert "resamples of" in failed(pair.judged())["bootstrap"]


def test_too_few_round_trips_prove_nothing(pair: Pair, tmp_path: Path) -> None:
    pair.books = Books(tmp_path)
    pair.evidence_of_good_books = None
    for _ in range(15):
        pair.books.day_of_trading(trips=3)
    pair.write()
    faults = failed(pair.judged())
    assert faults["profit_factor"] == "not defined under 100 round trips"
    assert faults["bootstrap"] == "not defined under 100 round trips"


@pytest.mark.parametrize("book", ["minute.csv", "fills.csv"])
def test_a_malformed_book_is_no_evidence(pair: Pair, book: str) -> None:
    path = pair.data / "bot1/logs/epp_v24/bot1_a" / book
    path.write_text(path.read_text() + "2022-02-01T00:00:00.000Z,half a row\r\n")
    pair.evidence_of_good_books = None
    assert f"{book}: line" in failed(pair.judged())["evidence_source"]


# -- fills


def test_a_fill_that_the_exchange_does_not_know_is_refused(pair: Pair) -> None:
    listed = list(pair.request().exchange_fills or ())
    pair.changes["exchange_fills"] = listed[1:]
    assert "t1 is in fills.csv only" in failed(pair.judged())["fills_agree"]


def test_a_fill_that_is_not_booked_is_refused(pair: Pair) -> None:
    listed = list(pair.request().exchange_fills or ())
    pair.changes["exchange_fills"] = [*listed, listed[3] | {"tradeId": "t999"}]
    assert "t999 is on the exchange only" in failed(pair.judged())["fills_agree"]


def test_a_fill_of_another_price_is_refused(pair: Pair) -> None:
    listed = list(pair.request().exchange_fills or ())
    pair.changes["exchange_fills"] = [listed[0] | {"priceAvg": "99.7"}, *listed[1:]]
    assert "t1 differs" in failed(pair.judged())["fills_agree"]


def test_fills_that_cannot_be_read_are_refused(pair: Pair) -> None:
    pair.changes["exchange_fills"] = None
    assert "could not be read" in failed(pair.judged())["fills_agree"]


# -- the live account

KEY_CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "a withdraw-enabled key": ({"authorities": ("stor", "stow", "wwow")}, "key_permissions", "wwow (withdraw)"),
    "a key that may transfer": ({"authorities": ("stor", "stow", "wtow")}, "key_permissions", "wtow (transfer)"),
    "a key with a permission nobody knows": ({"authorities": ("stow", "zzow")}, "key_permissions", "'zzow'"),
    "a key that may not trade": ({"authorities": ("stor",)}, "key_permissions", "may not trade spot"),
    "an empty whitelist": ({"ips": ()}, "key_whitelist", "works from anywhere"),
    "a whitelist without this VPS": ({"ips": ("198.51.100.9",)}, "key_whitelist", "does not hold this VPS"),
}


@pytest.mark.parametrize("case", KEY_CASES)
def test_a_key_that_may_too_much_or_too_little_is_refused(pair: Pair, case: str) -> None:
    changes, key, said = KEY_CASES[case]
    account = replace(pair.look().account or Account("", (), ()), **changes)
    assert said in failed(pair.judged(account=account))[key]


def test_two_bots_on_one_account_are_refused(pair: Pair) -> None:
    pair.changes["other_accounts"] = {"bot7": pair.account_id, "bot8": "another"}
    said = failed(pair.judged())["own_account"]
    assert "is also bot7's" in said
    assert "bot8" not in said


def test_the_keys_age_is_told_and_refuses_nothing(pair: Pair) -> None:
    told = next(each for each in pair.judged().judgement.items if each.key == "key_age")
    assert told.verdict == "note"
    assert told.evidence == "17 days, since 2022-01-01"
    pair.now += 80 * 86_400
    told = next(each for each in pair.judged().judgement.items if each.key == "key_age")
    assert told.evidence == "97 days, since 2022-01-01 - make a new one"
    assert told.verdict == "note"


MARKET_CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "a pair that is halted": ({"status": "halt"}, "symbol_online", "status halt"),
    "another minimum": ({"min_trade_quote": Decimal(5)}, "minimum", "minimum 5, "),
    "another step": ({"quantity_precision": 4}, "minimum", "amount 4; the evidence was made with 1, 2 and 6"),
}


@pytest.mark.parametrize("case", MARKET_CASES)
def test_rules_other_than_the_evidences_are_refused(pair: Pair, case: str) -> None:
    changes, key, said = MARKET_CASES[case]
    rules = pair.look().rules
    assert isinstance(rules, SymbolRules)
    assert said in failed(pair.judged(rules=replace(rules, **changes)))[key]


def test_another_fee_tier_is_refused(pair: Pair) -> None:
    said = failed(pair.judged(fees=(Decimal("0.0008"), Decimal("0.001"))))["fee_tier"]
    assert "maker 0.0008" in said
    assert "the evidence was made with 0.001 and 0.001" in said


def balances(usdt: str, btc: str) -> dict[str, Balance]:
    return {"USDT": Balance(Decimal(usdt), Decimal(0)), "BTC": Balance(Decimal(btc), Decimal(0))}


@pytest.mark.parametrize(
    ("usdt", "btc", "key", "said"),
    [
        ("200", "0.004", "equity", "388.00 USDT on the account, 2"),
        ("199", "0.00001", "inventory_band", "0.2% of"),
        ("10", "0.0040", "inventory_band", "BTC is 9"),
        ("100", "0.0050", "max_notional", "the inventory is worth 2"),
        ("221", "0.00212", "free_quote", "221.00 USDT; move the rest"),
    ],
)
def test_an_account_of_another_size_is_refused(pair: Pair, usdt: str, btc: str, key: str, said: str) -> None:
    assert said in failed(pair.judged(balances=balances(usdt, btc), price=Decimal(47_000)))[key]


def test_a_bot_begins_with_little(pair: Pair) -> None:
    pair.changes["max_notional_quote"] = "501"
    assert "begins with 500 at most" in failed(pair.judged())["max_notional"]


def order(client_id: str) -> OpenOrder:
    return OpenOrder("77", client_id, "BTCUSDT", "buy", Decimal(40_000), Decimal("0.001"))


@pytest.mark.parametrize(
    ("client_id", "said"), [("somebody-else", "somebody-else on BTCUSDT"), ("", "77 on"), ("hbot-bot10-1", "bot10")]
)
def test_a_foreign_or_unprefixed_order_is_refused(pair: Pair, client_id: str, said: str) -> None:
    assert said in failed(pair.judged(orders=[order(client_id)]))["no_foreign_orders"]


def test_an_order_left_over_is_refused(pair: Pair) -> None:
    assert "left over" in failed(pair.judged(orders=[order("hbot-bot1-1")]))["no_foreign_orders"]


def test_a_clock_that_is_off_is_refused(pair: Pair) -> None:
    assert "+1600 ms" in failed(pair.judged(clock=(1.6, 0.2)))["clock"]
    assert "clock" not in failed(pair.judged(clock=(1.05, 0.2)))


def test_no_answer_of_the_exchange_is_no_pass(pair: Pair) -> None:
    nothing = {"account": None, "rules": None, "fees": None, "balances": None, "orders": None, "clock": None}
    faults = failed(pair.judged(**nothing))
    assert {
        "login", "key_permissions", "key_whitelist", "own_account", "symbol_online", "minimum", "fee_tier", "equity",
        "inventory_band", "max_notional", "free_quote", "no_foreign_orders", "clock", "watchdog_drill",
    } <= set(faults)  # fmt: skip


# -- drills

DRILLS = ("watchdog_drill", "alert_delivered", "backup_verified", "kill_from_controller")


@pytest.mark.parametrize("kind", DRILLS)
def test_a_drill_that_left_no_mark_is_refused(pair: Pair, kind: str) -> None:
    evidence = pair.evidence()
    del evidence[kind]
    pair.changes["evidence"] = evidence
    assert list(failed(pair.judged())) == [kind]


@pytest.mark.parametrize("kind", DRILLS)
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"at": stamp(0)}, "h ago"),
        ({"at": "2999-01-01T00:00:00Z"}, "h ago"),
        ({"at": "2022-01-03T00:00:00"}, "does not say when"),
        ({"at": None}, "does not say when"),
        ({"ok": False, "detail": "it did not"}, "it failed at"),
        ({"ok": "yes"}, "it failed at"),
        ({"schema": 2}, "no mark of this kind"),
        ({"kind": "something"}, "no mark of this kind"),
        ({"unusable": "not root's"}, "not root's"),
    ],
)
def test_a_mark_that_proves_nothing_is_refused(pair: Pair, kind: str, changes: dict[str, Any], said: str) -> None:
    pair.drills[kind] = pair.evidence()[kind] | changes
    assert said in failed(pair.judged())[kind]


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        ("watchdog_drill", {"account": "another"}, "was on account another"),
        ("watchdog_drill", {"bot": "bot7"}, "was bot7's"),
        ("watchdog_drill", {"armed": False}, "is not armed"),
        ("backup_verified", {"bots": ["bot2"]}, "does not hold bot1"),
        ("kill_from_controller", {"bot": "bot7"}, "was bot7's"),
        ("kill_from_controller", {"account": "another"}, "was on account another"),
    ],
)
def test_anothers_drill_is_refused(pair: Pair, kind: str, changes: dict[str, Any], said: str) -> None:
    pair.drills[kind] = pair.evidence()[kind] | changes
    assert said in failed(pair.judged())[kind]


# -- waivers


def test_a_waiver_lets_an_item_through_and_is_printed_with_its_reason(pair: Pair) -> None:
    a_drawdown(pair)
    pair.changes["waivers"] = {"drawdown": "one bad print, seen by two people", "turnover": "not needed"}
    outcome = pair.judged()
    assert outcome.judgement.passed
    for shown in (as_text(outcome), as_page(outcome), json.dumps(outcome.as_dict())):
        assert "one bad print, seen by two people" in shown
        assert "not needed" in shown
    assert "1 of them waived" in as_text(outcome)


@pytest.mark.parametrize("key", NEVER_WAIVED)
def test_some_items_cannot_be_waived(pair: Pair, key: str) -> None:
    pair.changes["waivers"] = {key: "I know what I do"}
    outcome = pair.judged()
    assert not outcome.judgement.passed
    assert f"waiver {key}: this one cannot be waived" in as_text(outcome)


@pytest.mark.parametrize(("waivers", "said"), [({"drawdwn": "x"}, "no such item"), ({"drawdown": " "}, "no reason")])
def test_a_waiver_without_an_item_or_a_reason_is_refused(pair: Pair, waivers: dict[str, str], said: str) -> None:
    pair.changes["waivers"] = waivers
    outcome = pair.judged()
    assert not outcome.judgement.passed
    assert said in as_text(outcome)


# -- paper and live, rehearsal and money


def test_a_paper_key_is_refused_for_money(pair: Pair) -> None:
    faults = failed(gate.decide(pair.request(), pair.now))
    assert "the key was made for a paper exchange" in faults["exchange"]
    assert faults["key_permissions"] == faults["exchange"]


def test_a_paper_exchange_is_not_bitget(pair: Pair) -> None:
    key = pair.request().key
    assert key is not None
    pair.changes["key"] = key.model_dump() | {"api_key": "bg_real"}
    faults = failed(gate.decide(pair.request(), pair.now))
    assert "that is not Bitget" in faults["exchange"]
    assert "key_permissions" in faults


def test_a_rehearsal_passes_with_a_paper_key_on_a_paper_exchange(pair: Pair) -> None:
    pair.changes["profile"] = "rehearsal"
    outcome = gate.decide(pair.request(), pair.now)
    assert failed(outcome).keys() <= {"clock"}
    assert "REHEARSAL" in as_text(outcome)


def test_a_rehearsal_is_refused_to_a_real_key_before_the_key_is_used(pair: Pair) -> None:
    key = pair.request().key
    assert key is not None
    pair.changes |= {"profile": "rehearsal", "key": key.model_dump() | {"api_key": "bg_real"}}
    before = (pair.exchange.directory / "log").read_text().count("40006")
    faults = failed(gate.decide(pair.request(), pair.now))
    assert "the rehearsal profile is refused" in faults["exchange"]
    assert (pair.exchange.directory / "log").read_text().count("40006") == before


def test_a_rehearsal_cannot_waive_its_way_to_a_real_key(pair: Pair) -> None:
    key = pair.request().key
    assert key is not None
    pair.changes |= {"profile": "rehearsal", "key": key.model_dump() | {"api_key": "bg_real"}}
    pair.changes["waivers"] = {"exchange": "please"}
    assert not gate.decide(pair.request(), pair.now).judgement.passed


# -- more money


def live(pair: Pair, limit: str = "400") -> None:
    """Make the pair one that trades already, with 200."""
    for rows in (pair.books.rows["minute"], pair.books.rows["fills"]):
        for row in rows:
            row |= {"mode": "live", "market_source": "exchange"}
    pair.write()
    mark = {"account": pair.account_id, "max_notional_quote": "200", "passed_at": 0, "expires_at": 0}
    pair.changes |= {"mark": mark, "max_notional_quote": limit, "exchange_fills": None}


def replay(pair: Pair, every: int, hours: tuple[float, float] = (0, 0), **cells: str) -> None:
    """A replay of the live days, with one in ``every`` of their fills; begun later and ended earlier by some hours."""
    books = deepcopy(pair.books)
    begin, end = stamp(START + hours[0] * 3600), stamp(books.ts - hours[1] * 3600)
    said = {"mode": "replay", "market_source": "recorded", "speed": "0", "strategy_hash": core_hash()} | cells
    books.rows["fills"] = books.rows["fills"][::every]
    for name, rows in books.rows.items():
        books.rows[name] = [row | said for row in rows if name == "daily" or begin <= row["ts"] <= end]
    books.directory = pair.data / "replay"
    books.directory.mkdir()
    books.write()
    pair.changes["replay_books"] = books.directory


def of_replay(pair: Pair) -> str:
    """Why the live fills do not fit the replay's; empty when they do."""
    return failed(pair.judged(fills=[])).get("fills_of_replay", "")


def test_for_more_money_it_fills_about_as_often_as_a_replay_of_the_same_days(pair: Pair) -> None:
    live(pair)
    assert "there is no replay: golive_gate_replay" in of_replay(pair)
    replay(pair, 2)
    assert of_replay(pair) == ""


@pytest.mark.parametrize(
    ("every", "hours", "cells", "said"),
    [
        (3, (0, 0), {}, "3.00 times"),
        (60, (0, 0), {}, "under 10 nothing can be compared"),
        (1, (1, 0), {}, "not of the whole time"),
        (1, (0, 1), {}, "not of the whole time"),
        (1, (0, 0), {"mode": "paper"}, "no replay of variant a"),
        (1, (0, 0), {"trading_pair": "ETH-USDT"}, "no replay of variant a"),
        (1, (0, 0), {"strategy_hash": "f" * 16}, "of another strategy"),
    ],
)
def test_a_replay_that_foretold_something_else_refuses_more_money(
    pair: Pair, every: int, hours: tuple[float, float], cells: dict[str, str], said: str
) -> None:
    live(pair)
    replay(pair, every, hours, **cells)
    assert said in of_replay(pair)


def test_for_the_same_money_no_replay_is_wanted(pair: Pair) -> None:
    live(pair, "200")
    assert of_replay(pair) == ""


def test_a_rehearsals_weeks_are_a_replays_and_say_so(pair: Pair) -> None:
    pair.changes["profile"] = "rehearsal"
    replay(pair, 1)
    assert "mode replay, market_source recorded, speed 0" in " ".join(as_text(pair.judged()).split())


def test_only_the_demos_machines_may_rehearse() -> None:
    init_plugin_loader([str(FILES.parent / "collections")])
    plugin = importlib.import_module("ansible_collections.hbot.infra.plugins.action.golive_gate")
    assert plugin.rehearsal_fault("rehearsal", "198.51.100.20") == ""
    for address in ("203.0.113.7", "198.51.101.1", "10.0.0.1", "vps.example.net", "2001:db8:51:100::10", ""):
        assert "rehearsal is refused" in plugin.rehearsal_fault("rehearsal", address)
        assert plugin.rehearsal_fault("money", address) == ""


# -- the program


def test_a_request_that_is_none_is_refused_without_a_secret() -> None:
    with pytest.raises(RequestError) as refused:
        parse(json.dumps({"bot": "bot1", "key": {"api_key": "canary", "secret_key": "", "passphrase": 3}}))
    assert "canary" not in str(refused.value)
    assert "key.secret_key" in str(refused.value)


@pytest.mark.parametrize("days", [0, 32])
def test_a_confirmation_is_for_a_month_at_most(pair: Pair, days: int) -> None:
    pair.changes["days"] = days
    with pytest.raises(ValidationError, match="days"):
        pair.request()


def run(request: Request | str) -> tuple[int, dict[str, Any]]:
    """The program as it is run in the bot's image."""
    text = request if isinstance(request, str) else json.dumps(as_given(request))
    done = subprocess.run(
        [sys.executable, "-m", "golive_gate"], input=text, capture_output=True, text=True, cwd=FILES, check=False
    )
    assert done.stdout, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, answer


def as_given(request: Request) -> dict[str, Any]:
    """The request as the module sends it, secrets in the clear."""
    told = request.model_dump(mode="json")
    if request.key is not None:
        told["key"] |= {
            "secret_key": request.key.secret_key.get_secret_value(),
            "passphrase": request.key.passphrase.get_secret_value(),
        }
    return told


def test_the_program_answers_with_a_table_a_page_and_no_secret(pair: Pair) -> None:
    pair.changes["profile"] = "rehearsal"
    code, answer = run(pair.request())
    assert code == 1  # the books end in 2022, and the program has the time of today
    assert answer["outcome"]["passed"] is False
    assert "books" in {each["key"] for each in answer["outcome"]["items"] if each["verdict"] == "fail"}
    assert answer["page"].startswith("<!doctype html>")
    assert "<script" not in answer["page"]
    assert "secret of the test" not in json.dumps(answer)
    assert "phrase of the test" not in json.dumps(answer)
    assert answer["text"].startswith("Go-live gate: bot1, BTC-USDT on bitget, paper to live, maximum notional 200 USDT")


def test_the_program_refuses_what_it_cannot_read() -> None:
    code, answer = run("{}")
    assert code == 2
    assert "bot: Field required" in answer["error"]
