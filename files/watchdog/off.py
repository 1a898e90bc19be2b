"""Take a bot's orders off the exchange from anywhere, once: the operator's own machine, when the VPS cannot be reached.

There is no container to stop from here. Should the bot live on, it places orders again, which is why this goes on
looking for a while after its proof, and says what it saw.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from .exchange import MALFORMED, BitgetSpot, ExchangeError, Key
from .facts import Order, is_own
from .steps import APART_S

PAUSE_S = 1.0


class GivenError(Exception):
    """What was given on standard input cannot be used; the message says why, and holds no secret."""


@dataclass(frozen=True)
class Given:
    """What is given on standard input, so that no secret is in a command line."""

    bot: str
    exchange: BitgetSpot
    prefix: str
    within_s: float
    """How long to try for the proof."""
    linger_s: float
    """How long to go on looking after it."""
    drill: bool
    """Place an order first, so that there is one to take off."""


def read_given(text: str) -> Given:
    """Read what is given.

    Raises:
        GivenError: naming what is wrong.
    """
    try:
        plain = json.loads(text)
        key = Key(*(str(plain["key"][name]) for name in ("api_key", "secret_key", "passphrase")))
        given = Given(
            bot=str(plain["bot"]),
            exchange=BitgetSpot(
                key,
                str(plain["pair"]),
                str(plain.get("url") or "https://api.bitget.com"),
                Path(plain["ca_file"]) if plain.get("ca_file") else None,
                str(plain.get("address") or ""),
            ),
            prefix=str(plain["order_id_prefix"]),
            within_s=float(plain.get("within_s", 120)),
            linger_s=float(plain.get("linger_s", 30)),
            drill=bool(plain.get("drill", False)),
        )
    except MALFORMED as error:
        raise GivenError(f"{type(error).__name__}: {error}") from None
    if not all((key.api_key, key.secret_key, key.passphrase)):
        raise GivenError("the watchdog's key is not complete: watchdog_api_key, _secret and _passphrase")
    if not given.prefix:
        raise GivenError("the bot's orders have no prefix of their own, so none can be told from others' here")
    return given


def own_orders(given: Given) -> tuple[list[Order], int]:
    """The bot's open orders, and how many are others'.

    Raises:
        ExchangeError: the exchange did not answer, or refused.
    """
    orders = given.exchange.open_orders()
    own = [order for order in orders if is_own(order.client_id, given.prefix, ())]
    return own, len(orders) - len(own)


def place_for_drill(given: Given) -> None:
    """Place a small order far from the market.

    Raises:
        ExchangeError: it could not be placed.
    """
    exchange = given.exchange
    price_places, amount_places, least = exchange.rules()
    name = f"{given.prefix}drill-{int(time.time())}"
    exchange.place_far_away(name, least * Decimal("1.1"), exchange.mid(), (price_places, amount_places))


def take_off(given: Given, say: Callable[[str], None]) -> dict[str, Any]:
    """Cancel until no order is there at two looks, then look on for a while.

    Returns:
        ``ok``, ``detail``, ``account``, and how many orders were cancelled.
    """
    began = time.monotonic()
    cancelled, returned, foreign = 0, 0, 0
    zero = proved = 0.0
    account, fault = "", ""
    if given.drill:
        try:
            place_for_drill(given)
        except (ExchangeError, *MALFORMED) as error:
            return {
                "ok": False,
                "detail": f"no order could be placed for the drill: {error}",
                "account": "",
                "cancelled": 0,
            }
    while True:
        now = time.monotonic() - began
        if proved and now - proved >= given.linger_s:
            break
        if not proved and now > given.within_s:
            break
        try:
            account = account or given.exchange.account_id()
            own, foreign = own_orders(given)
            fault = ""
        except (ExchangeError, *MALFORMED) as error:
            if not fault:
                say(f"{now:5.1f} s  the exchange does not answer: {error}")
            fault = str(error)
            zero = 0.0
            time.sleep(PAUSE_S)
            continue
        if own:
            if proved:
                returned += len(own)
                say(f"{now:5.1f} s  {len(own)} orders are there again: the bot is alive")
            zero = proved = 0.0
            refused = given.exchange.cancel((order.symbol, order.client_id) for order in own)
            cancelled += len(own) - len(refused)
            say(f"{now:5.1f} s  cancelled {len(own) - len(refused)} of {len(own)} orders")
            for line in refused:
                say(f"         refused: {line}")
        elif not zero:
            zero = now or 0.001
            say(f"{now:5.1f} s  no order of {given.bot} is open; {foreign} others are not ours")
        elif not proved and now - zero >= APART_S:
            proved = now
            say(f"{now:5.1f} s  and still none: proved. Looking on for {given.linger_s:.0f} s")
        time.sleep(PAUSE_S)
    ok = bool(proved)
    detail = (
        f"{cancelled} orders cancelled, none open {zero:.1f} s and {proved:.1f} s after the start"
        if ok
        else f"not proved within {given.within_s:.0f} s: {fault or 'orders come back faster than they are cancelled'}"
    )
    if returned:
        detail += f"; {returned} came back meanwhile: the bot is alive, delete its API key at the exchange"
    return {"ok": ok, "detail": detail, "account": account, "cancelled": cancelled}


def main() -> int:
    """Read what is given, do it, print what came of it as the last line, in JSON."""
    try:
        given = read_given(sys.stdin.read())
    except GivenError as error:
        print(f"watchdog off: {error}", file=sys.stderr)
        return 2
    result = take_off(given, lambda line: print(line, flush=True))
    print(json.dumps(result), flush=True)
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
