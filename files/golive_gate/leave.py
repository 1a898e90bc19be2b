"""``python -m golive_gate.leave``: take a bot that is stopped off the market, prove it, and say what it leaves behind.

Runs in the bot's image with its ``conf`` mounted, because Hummingbot's own code opens the keystore. Standard input is
one JSON object (:class:`Task`), with the keystore's password. Only orders that begin with the bot's prefix are
cancelled; others are named and stay. The answer is one line of JSON. Exit codes: 0 no own order is open, seen twice; 1
that could not be proven; 2 the task or the keystore cannot be used.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from bitget_rest import ApiKey, Bitget, BitgetError, OpenOrder, UnreachableError
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from .limits import PAPER_KEY
from .request import ExchangeAddress

APART_S = 10.0
"""Between the two looks that prove it."""

PATIENCE_S = 60.0
"""How long cancels are asked for again and again."""


class Task(BaseModel):
    """What is to be done."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    password: SecretStr
    paper_api_key: SecretStr = SecretStr("")
    """The key of the bot's own paper exchange: a keystore that holds it never had the live one under this mark."""
    connector: str
    trading_pair: str = Field(pattern=r"^[A-Z0-9]+-[A-Z0-9]+$")
    order_id_prefix: str
    exchange: ExchangeAddress = ExchangeAddress()
    conf: Path = Path("/home/hummingbot/conf")


class KeystoreError(Exception):
    """The keystore does not open."""


def key_of(task: Task) -> ApiKey:
    """The API key in the keystore, by Hummingbot's own code.

    Raises:
        KeystoreError: it cannot be read with this password.
    """
    asyncio.set_event_loop(asyncio.new_event_loop())  # Security makes an asyncio.Event when it is imported
    from epp.keystore import Keystore
    from hummingbot.client.config.config_crypt import ETHKeyFileSecretManger
    from hummingbot.client.config.security import Security

    password = task.password.get_secret_value()
    keystore = Keystore(task.conf)
    if not keystore.password_opens(password):
        raise KeystoreError("the keystore does not open with the bot's password")
    Security.secrets_manager = ETHKeyFileSecretManger(password)
    try:
        fields = keystore.read(task.connector)
        names = (f"{task.connector}_{name}" for name in ("api_key", "secret_key", "passphrase"))
        return ApiKey(*(fields[name] for name in names))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KeystoreError(f"the keystore has no usable key for {task.connector}: {type(error).__name__}") from None


def leave(task: Task, client: Bitget, *, apart_s: float = APART_S, patience_s: float = PATIENCE_S) -> dict[str, Any]:
    """Cancel the bot's own orders until none is seen, twice, and tell what is left.

    Raises:
        UnreachableError, BitgetError: the exchange did not let it be proven.
    """
    symbol = task.trading_pair.replace("-", "")
    cancelled: dict[str, str] = {}

    def own() -> list[OpenOrder]:
        found = client.open_orders(symbol)
        return [order for order in found if task.order_id_prefix and order.client_id.startswith(task.order_id_prefix)]

    deadline = time.monotonic() + patience_s
    while True:
        _until_none(client, own, cancelled, deadline)
        time.sleep(apart_s)
        if not own():
            break
    foreign = [order.client_id or order.order_id for order in client.open_orders(symbol)]
    base, quote = task.trading_pair.split("-")
    balances = client.balances()
    held = {coin: balances[coin].total if coin in balances else Decimal(0) for coin in (base, quote)}
    price = client.last_price(symbol)
    return {
        "cancelled": list(cancelled.values()),
        "others": foreign,
        "base": format(held[base], "f"),
        "quote": format(held[quote], "f"),
        "value_quote": format((held[base] * price).quantize(Decimal("0.01")), "f"),
        "price": format(price, "f"),
    }


def _until_none(client: Bitget, own: Callable[[], list[OpenOrder]], cancelled: dict[str, str], deadline: float) -> None:
    while orders := own():
        if time.monotonic() > deadline:
            names = ", ".join(order.client_id for order in orders[:5])
            raise UnreachableError(f"{len(orders)} orders of the bot are still open after their cancels: {names}")
        for order in orders:
            try:
                client.cancel(order)
            except BitgetError:
                pass  # filled or cancelled meanwhile, or too many requests: the list decides
            else:
                cancelled[order.order_id] = order.client_id
        time.sleep(0.5)


def main() -> int:
    """Carry out one task."""
    os.umask(0o077)
    try:
        task = Task.model_validate_json(sys.stdin.read())
    except ValidationError as error:
        where = "; ".join(".".join(map(str, fault["loc"])) for fault in error.errors(include_input=False))
        print(json.dumps({"error": f"the task cannot be used: {where}"}))
        return 2
    try:
        key = key_of(task)
    except KeystoreError as error:
        print(json.dumps({"error": str(error)}))
        return 2
    if key.api_key.startswith(PAPER_KEY) and key.api_key == task.paper_api_key.get_secret_value():
        print(json.dumps({"never_live": True}))
        return 0
    exchange = task.exchange
    client = Bitget(key, url=exchange.url, ca_file=exchange.ca_file, address=exchange.address)
    try:
        done = leave(task, client)
    except (UnreachableError, BitgetError) as error:
        print(json.dumps({"error": str(error)}))
        return 1
    print(json.dumps(done))
    return 0


if __name__ == "__main__":
    sys.exit(main())
