"""``python -m bitget_rest``: what an exchange says of a pair and of a key, as one JSON object.

Reads ``{"api_key", "secret_key", "passphrase", "url", "ca_file", "symbol"}`` on standard input, and for a judgement of
the key ``{"addresses", "connector", "trades"}`` (see :func:`.permissions.objections`); the secrets are in no command
line and no answer. Exit codes: 0 answered, 1 not, 2 wrong input.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from .client import ApiKey, Bitget, BitgetError, UnreachableError
from .permissions import objections


def main() -> int:
    """Ask, and print the answer."""
    try:
        given = json.loads(sys.stdin.read())
        key = ApiKey(given["api_key"], given["secret_key"], given["passphrase"])
        client = Bitget(key, url=given["url"], ca_file=Path(given["ca_file"]) if given["ca_file"] else None)
        symbol = str(given["symbol"])
        judged = [str(address) for address in given["addresses"]] if "addresses" in given else None
        connector, trades = str(given.get("connector", "bitget")), bool(given.get("trades", True))
    except (ValueError, KeyError, TypeError):
        print(json.dumps({"error": "standard input is not what it should be"}))
        return 2
    except OSError as error:
        print(json.dumps({"error": f"{error.filename}: {error.strerror}"}))
        return 2
    try:
        account, rules, fees = client.account(), client.rules(symbol), client.fees(symbol)
    except (UnreachableError, BitgetError) as error:
        print(json.dumps({"error": str(error)}))
        return 1
    print(
        json.dumps(
            {
                "account": account.user_id,
                "ips": account.ips,
                "authorities": account.authorities,
                "status": rules.status,
                "min_trade_quote": format(rules.min_trade_quote, "f"),
                "price_precision": rules.price_precision,
                "quantity_precision": rules.quantity_precision,
                "maker_fee": format(fees[0], "f"),
                "taker_fee": format(fees[1], "f"),
                "objections": {} if judged is None else objections(account, judged, connector, trades=trades),
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
