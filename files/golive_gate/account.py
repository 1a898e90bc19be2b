"""The live account: what its key may do, whose it is, and whether it is what the evidence was made with."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from bitget_rest import (
    Account,
    ApiKey,
    Balance,
    Bitget,
    BitgetError,
    Fill,
    OpenOrder,
    SymbolRules,
    UnreachableError,
    objections,
)
from epp.core import EppParameters

from .books import Evidence
from .limits import PAPER_KEY, Limits
from .request import Request
from .verdict import Item, item, note

SIMULATOR = "paper exchange"
"""Begins the common name of a paper exchange's certificate authority."""


@dataclass(slots=True)
class Look:
    """What the exchange told; ``None`` is what could not be read, and ``faults`` says why, by what was asked."""

    faults: dict[str, str]
    at: str = ""
    """The address that answered."""
    authority: str = ""
    """Who certified it."""
    account: Account | None = None
    clock: tuple[float, float] | None = None
    rules: SymbolRules | None = None
    fees: tuple[Decimal, Decimal] | None = None
    price: Decimal | None = None
    balances: dict[str, Balance] | None = None
    orders: list[OpenOrder] | None = None
    fills: list[Fill] | None = None

    def fault(self, *asked: str) -> str:
        """Why one of these is not known."""
        return "; ".join(dict.fromkeys(self.faults[name] for name in asked if name in self.faults))


def look(request: Request, since: float | None) -> Look:
    """Ask the exchange everything, once.

    Args:
        since: from when on the account's own fills are wanted (unix seconds); None: not at all.
    """
    if request.key is None:
        return Look({"key": f"no API key is given: put it into host_vars/{request.bot}/vault.yml"})
    found = Look({})
    key = ApiKey(
        request.key.api_key, request.key.secret_key.get_secret_value(), request.key.passphrase.get_secret_value()
    )
    where = request.exchange
    client = Bitget(key, url=where.url, ca_file=where.ca_file, address=where.address)

    def ask[Answer](name: str, question: Callable[[], Answer]) -> Answer | None:
        try:
            return question()
        except (UnreachableError, BitgetError) as error:
            found.faults[name] = str(error)
            return None

    found.at, found.authority = ask("exchange", client.certifier) or ("", "")
    if why := _wrong_exchange(request, found):
        # The key is not shown to whoever answers.
        found.faults["exchange"] = found.faults["key"] = why
        return found
    found.account = ask("account", client.account)
    found.clock = ask("clock", client.clock_offset)
    found.rules = ask("rules", lambda: client.rules(request.symbol))
    found.fees = ask("fees", lambda: client.fees(request.symbol))
    found.price = ask("price", lambda: client.last_price(request.symbol))
    found.balances = ask("balances", client.balances)
    found.orders = ask("orders", client.open_orders)
    if since is not None:
        found.fills = ask("fills", lambda: client.fills(request.symbol, since))
    return found


def _wrong_exchange(request: Request, found: Look) -> str:
    """Why this key must not meet this exchange under this profile; empty when it may."""
    if not found.at:
        return found.faults.get("exchange", "the exchange cannot be reached")
    assert request.key is not None  # noqa: S101 -- asked before
    simulated = found.authority.lower().startswith(SIMULATOR)
    paper_key = request.key.api_key.startswith(PAPER_KEY)
    here = f"{request.exchange.url} is {found.at}, certified by {found.authority or 'nobody'!r}"
    if request.profile == "rehearsal":
        if not paper_key:
            return f"the rehearsal profile is refused: the key is none that a paper exchange made ({PAPER_KEY}…)"
        if not simulated:
            return f"the rehearsal profile is refused: {here}, which is no paper exchange"
        return ""
    if paper_key:
        return f"the key was made for a paper exchange ({PAPER_KEY}…): live trading wants one of Bitget's"
    if simulated or not ipaddress.ip_address(found.at).is_global:
        return f"{here}: that is not Bitget"
    return ""


def key_items(request: Request, found: Look, limits: Limits, today: date) -> Iterator[Item]:
    """Item 1 of the checklist, and what the key may do."""
    title = "the exchange that answers is the one this key is for"
    why = found.fault("key", "exchange")
    yield item("exchange", title, ok=not why, evidence=why or f"{found.at}, certified by {found.authority}")
    account = found.account
    told = why or found.fault("account")
    wrong = {} if account is None else objections(
        account, request.vps_addresses, request.connector, trades=request.variant == "a" or not request.epp
    )  # fmt: skip
    codes = "" if account is None else ", ".join(account.authorities)
    ips = "" if account is None else ", ".join(account.ips)
    yield item(
        "key_permissions",
        "the key can trade, and can neither withdraw nor transfer nor anything else",
        ok=account is not None and "key_permissions" not in wrong,
        evidence=told or wrong.get("key_permissions", codes),
    )
    yield item(
        "key_whitelist",
        "the key works from this VPS only",
        ok=account is not None and "key_whitelist" not in wrong,
        evidence=told or wrong.get("key_whitelist", ips),
    )
    yield _own_account(request, account, told)
    yield _age(request, limits, today)


def _own_account(request: Request, account: Account | None, told: str) -> Item:
    title = "the account is this bot's alone"
    if account is None:
        return item("own_account", title, ok=False, evidence=told)
    sharing = [bot for bot, user_id in request.other_accounts.items() if user_id == account.user_id]
    moved = request.mark is not None and request.mark.account != account.user_id
    said = f"account {account.user_id}"
    if sharing:
        said += f" is also {', '.join(sharing)}'s: separate keys do not separate balances, make a sub-account"
    if moved:
        said += f", and it trades on account {request.mark.account if request.mark else ''} now"
    return item("own_account", title, ok=not sharing and not moved, evidence=said)


def _age(request: Request, limits: Limits, today: date) -> Item:
    title = f"the key is younger than {limits.key_age_days} days"
    if request.key is None or request.key.since is None:
        return note("key_age", title, "its age is not known: golive_gate_key_created says when it was made")
    days = (today - request.key.since).days
    warn = " - make a new one" if days >= limits.key_age_days else ""
    return note("key_age", title, f"{days} days, since {request.key.since}{warn}")


def login(request: Request, found: Look, watcher_minute: tuple[float | None, str]) -> Item:
    """Item 1: both connectors log in: the live key is accepted, and the watcher reads its own balances."""
    equity, why = watcher_minute
    said = []
    if found.account is None:
        said.append(f"{request.bot}: {found.fault('key', 'exchange', 'account')}")
    if request.watcher is None:
        said.append("no watcher")
    elif equity is None:
        said.append(f"{request.watcher.name}: {why or 'its last minute row has no balances'}")
    return item(
        "login",
        "1. the connectors of both bots log in",
        ok=not said,
        evidence="; ".join(said)
        or f"{request.bot}: the exchange accepts its key; "
        f"{request.watcher.name if request.watcher else ''}: its last minute row has balances",
    )


def market_items(request: Request, found: Look) -> Iterator[Item]:
    """The pair can be traded, by the rules and at the fees that the evidence was made with."""
    rules, assumed = found.rules, request.assumed
    told = found.fault("key", "exchange", "rules")
    title = f"{request.trading_pair} is online"
    yield item(
        "symbol_online",
        title,
        ok=rules is not None and rules.status == "online",
        evidence=told or (f"status {rules.status}" if rules else "not read"),
    )
    title = "the exchange's minimum and steps are those of the evidence"
    if request.kind != "entry":
        return
    if rules is None or assumed is None:
        yield item("minimum", title, ok=False, evidence=told or "no paper exchange's rules to compare with")
    else:
        theirs = (rules.min_trade_quote, rules.price_precision, rules.quantity_precision)
        ours = (assumed.min_trade_quote, assumed.price_precision, assumed.quantity_precision)
        said = f"minimum {theirs[0]:f}, decimals of price {theirs[1]} and amount {theirs[2]}"
        against = f"; the evidence was made with {ours[0]:f}, {ours[1]} and {ours[2]}" if theirs != ours else ""
        yield item("minimum", title, ok=theirs == ours, evidence=said + against)
    title = "the account's fees are those of the evidence"
    if found.fees is None or assumed is None:
        told = found.fault("key", "exchange", "fees")
        yield item("fee_tier", title, ok=False, evidence=told or "no paper exchange's fees to compare with")
    else:
        same = found.fees == (assumed.maker_fee, assumed.taker_fee)
        against = "" if same else f"; the evidence was made with {assumed.maker_fee:f} and {assumed.taker_fee:f}"
        said = f"maker {found.fees[0]:f}, taker {found.fees[1]:f}{against}"
        yield item("fee_tier", title, ok=same, evidence=said)


def money_items(
    request: Request, found: Look, evidence: Evidence, parameters: EppParameters | None, limits: Limits
) -> Iterator[Item]:
    """What is on the account, and what may be at stake."""
    told = found.fault("key", "exchange", "balances", "price")
    limit = request.max_notional_quote
    if found.balances is None or found.price is None:
        for key in ("equity", "inventory_band", "max_notional", "free_quote"):
            yield item(key, key.replace("_", " "), ok=False, evidence=told or "not read")
        return
    nothing = Balance(Decimal(0), Decimal(0))
    base = found.balances.get(request.base, nothing).total
    quote = found.balances.get(request.quote, nothing).total
    value = base * found.price
    equity = value + quote
    yield _same_size(request, equity, evidence, parameters, limits)
    share = float(value / equity) if equity else 0.0
    low, high = (parameters.min_base_pct, parameters.max_base_pct) if parameters is not None else (0.0, 1.0)
    yield item(
        "inventory_band",
        f"the inventory is inside its band of {low:.0%} to {high:.0%}",
        ok=equity > 0 and low <= share <= high,
        evidence=f"{base:f} {request.base} is {share:.1%} of {equity:.2f} {request.quote}",
    )
    micro = request.kind == "entry" and limit > limits.micro_quote
    yield item(
        "max_notional",
        f"inventory and bids stay under the maximum notional, {limit:f} {request.quote}",
        ok=value <= limit and not micro,
        evidence=f"the inventory is worth {value:.2f}"
        + (f"; a bot begins with {limits.micro_quote:f} at most, and is given more after live days" if micro else ""),
    )
    yield item(
        "free_quote",
        f"free {request.quote} is at most {limits.free_quote:f} times that",
        ok=quote <= limit * limits.free_quote,
        evidence=f"{quote:.2f} {request.quote}; move the rest to another account" if quote > limit * limits.free_quote
        else f"{quote:.2f} {request.quote}",
    )  # fmt: skip


def _same_size(
    request: Request, equity: Decimal, evidence: Evidence, parameters: EppParameters | None, limits: Limits
) -> Item:
    """Order sizes are shares of equity, and the exchange's minimum binds where it is small: both must be as tried."""
    title = f"equity, and so order sizes, are within {limits.equity_tolerance:.0%} of the evidence's"
    if request.kind != "entry":
        return note("equity", "equity", f"{equity:.2f} {request.quote}")
    tried = evidence.figures.equity_end_quote if evidence.figures is not None else None
    if not tried:
        return item("equity", title, ok=False, evidence=evidence.missing or "the evidence has no equity")
    size = "" if parameters is None else f", orders of {parameters.regimes.neutral_low_vol.order_size_pct:.1%} of it"
    off = float(equity / tried - 1)
    return item(
        "equity",
        title,
        ok=abs(off) <= limits.equity_tolerance,
        evidence=f"{equity:.2f} {request.quote} on the account, {tried:.2f} in the evidence ({off:+.1%}){size}",
    )


def order_items(request: Request, found: Look) -> Item:
    """No order rests on the account that is not this bot's."""
    title = f"no order is open but those that begin with {request.order_id_prefix or 'the prefix of the bot'}"
    if found.orders is None:
        return item("no_foreign_orders", title, ok=False, evidence=found.fault("key", "exchange", "orders"))
    prefix = request.order_id_prefix
    foreign = [order for order in found.orders if not prefix or not order.client_id.startswith(prefix)]
    own = len(found.orders) - len(foreign)
    names = ", ".join(f"{order.client_id or order.order_id} on {order.symbol}" for order in foreign[:3])
    left_over = own and request.kind == "entry"
    said = f"{len(found.orders)} open" + (f": {names}" if foreign else "")
    if left_over:
        said += f"; {own} of them this bot's own, left over: cancel them"
    return item("no_foreign_orders", title, ok=not foreign and not left_over, evidence=said)


def clock(found: Look, limits: Limits) -> Item:
    """The VPS's clock against the exchange's."""
    title = f"the clock is within {limits.clock_s:g} s of the exchange's"
    if found.clock is None:
        return item("clock", title, ok=False, evidence=found.fault("key", "exchange", "clock"))
    offset, round_trip = found.clock
    return item(
        "clock",
        title,
        ok=max(0.0, abs(offset) - round_trip / 2) <= limits.clock_s,
        evidence=f"{offset * 1000:+.0f} ms, give or take {round_trip * 500:.0f}",
    )


def utc_day(now: float) -> date:
    """The UTC day of a moment."""
    return datetime.fromtimestamp(now, tz=UTC).date()
