#!/usr/bin/python
# Copyright: hbot.infra maintainers. Not for redistribution.
"""Ask the exchange what a live bot's key may do."""
# ruff: noqa: E402 (Ansible wants the documentation ahead of the imports)

from __future__ import annotations

DOCUMENTATION = r"""
module: live_key
short_description: Refuses a live bot's key that may too much
version_added: 0.1.0
description:
  - Asks the exchange, from the VPS, what the API key may do, from where, and whose account it is, in one run of the
    bot's image. A key that can withdraw or transfer or has no IP whitelist is refused, as is one of another account
    than the go-live gate let through.
  - A key that the bot has already is only warned of when the exchange cannot be asked; a new one is refused then.
  - Warns of a key that has been used for 90 days.
options:
  client:
    description: The directory on the host with the package C(bitget_rest).
    type: path
    required: true
  connector:
    description: Hummingbot's name of the connector.
    type: str
    required: true
  trading_pair:
    description: The pair.
    type: str
    required: true
  trades:
    description: Whether the bot places orders.
    type: bool
    required: true
  addresses:
    description: Addresses that the exchange sees the VPS with.
    type: list
    elements: str
    required: true
  created:
    description: The day the key was made. Empty means the day it was first seen on this host.
    type: str
    default: ""
  api_key:
    description: The API key.
    type: str
    required: true
  api_secret:
    description: The API key's secret.
    type: str
    required: true
  api_passphrase:
    description: The API key's passphrase.
    type: str
    required: true
extends_documentation_fragment: [hbot.infra.isolated_run]
attributes:
  check_mode:
    support: full
    description: Nothing is changed in either mode.
author: hbot.infra maintainers
"""

EXAMPLES = r"""
- name: The live key may trade, and nothing else
  hbot.infra.live_key:
    root: /opt/hbot
    bot: bot1
    image: hummingbot/hummingbot:version-2.16.0
    client: /opt/hbot/golive_gate/0f1e2d3c4b5a6978/bitget_rest
    connector: bitget
    trading_pair: BTC-USDT
    trades: true
    addresses: [203.0.113.10]
    uid: 6420
    gid: 6420
    api_key: "{{ bot_api_key }}"
    api_secret: "{{ bot_api_secret }}"
    api_passphrase: "{{ bot_api_passphrase }}"
"""

RETURN = r"""
age_days:
  description: For how many days the key has been used, or has existed when that is known.
  type: int
  returned: success
said:
  description: What the operator was warned of.
  type: list
  elements: str
  returned: success
"""

import datetime
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hbot.infra.plugins.module_utils import golive_marks, host_files
from ansible_collections.hbot.infra.plugins.module_utils.isolated_run import AUTHORITY, OPTIONS, Answer, IsolatedRun

PYTHON_ROOT = "/opt/client"
OLD_DAYS = 90


class RefusedError(Exception):
    """The key is not used; the message says why, without it."""


def ask(module: AnsibleModule, destination: dict[str, Any]) -> Answer:
    """What the exchange tells of the key."""
    params = module.params
    exchange = destination["exchange"]
    told = {
        "api_key": params["api_key"],
        "secret_key": params["api_secret"],
        "passphrase": params["api_passphrase"],
        "url": exchange.get("url") or "https://api.bitget.com",
        "ca_file": None,
        "symbol": params["trading_pair"].replace("-", ""),
        "addresses": params["addresses"],
        "connector": params["connector"],
        "trades": params["trades"],
    }
    mounts = {f"{PYTHON_ROOT}/bitget_rest": params["client"]}
    if exchange.get("ca_file"):
        told["ca_file"] = AUTHORITY
        mounts[AUTHORITY] = exchange["ca_file"]
    return IsolatedRun(
        image=params["image"],
        user=f"{params['uid']}:{params['gid']}",
        network=destination["network"],
        memory="256m",
        pids=64,
        mounts=mounts,
        python_path=PYTHON_ROOT,
    ).ask(module, ["-m", "bitget_rest"], told)


def judge(bot: str, mark: dict[str, Any], answer: Answer, *, known: bool) -> str:
    """A warning, or nothing.

    :raises RefusedError: the key may too much, is another account's, or could not be asked about and is new.
    """
    if answer.code != 0:
        why = f"the exchange could not be asked about {bot}'s key: {answer.error}"
        if not known:
            raise RefusedError(f"{why}. Nothing was changed: the key is new, and is not used before it is known")
        return why
    told = answer.said
    if told["objections"]:
        raise RefusedError(f"{bot}'s key is refused: {'; '.join(told['objections'].values())}. Nothing was changed")
    if told["account"] != mark["account"]:
        raise RefusedError(
            f"{bot}'s key is account {told['account']}'s, and the gate let account {mark['account']} through. "
            "Nothing was changed: go back to paper first, then let it pass the gate anew"
        )
    return ""


def main() -> None:
    """Run the module."""
    text = {"type": "str", "required": True}
    secret = text | {"no_log": True}
    module = AnsibleModule(
        argument_spec={
            **OPTIONS,
            "client": {"type": "path", "required": True},
            "connector": text,
            "trading_pair": text,
            "trades": {"type": "bool", "required": True},
            "addresses": {"type": "list", "elements": "str", "required": True},
            "created": {"type": "str", "default": ""},
            "api_key": secret,
            "api_secret": secret,
            "api_passphrase": secret,
        },
        supports_check_mode=True,
    )
    params = module.params
    root, bot = Path(params["root"]), params["bot"]
    try:
        held = host_files.read(golive_marks.path_of(root, bot))
        mark = golive_marks.whole(root, bot)
        if mark is None or held is None:
            module.exit_json(changed=False, age_days=0, said=[])  # the keystore refuses the bot, and says so
        known = golive_marks.key_is_known(root, bot, params["api_key"])
        warning = judge(bot, mark, ask(module, golive_marks.destination(held)), known=known)
        since = params["created"] or golive_marks.key_since(root, bot, params["api_key"], keep=not module.check_mode)
        today = time.strftime("%Y-%m-%d", time.gmtime())
        age = (datetime.date.fromisoformat(today) - datetime.date.fromisoformat(since)).days
    except (RefusedError, golive_marks.MarkError, ValueError) as error:
        module.fail_json(msg=str(error), exception=None)
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}", exception=None)
    said = [warning] if warning else []
    if age >= OLD_DAYS:
        said.append(f"{bot}'s key is {age} days old: make a new one (docs/secrets.md, Rotate)")
    for line in said:
        module.warn(line)
    module.exit_json(changed=False, age_days=age, said=said)


if __name__ == "__main__":
    main()
