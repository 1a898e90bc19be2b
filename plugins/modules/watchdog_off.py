#!/usr/bin/python
# Copyright: hbot.infra maintainers. Not for redistribution.
"""Take a bot's orders off the exchange from the operator's own machine."""
# ruff: noqa: E402 (Ansible wants the documentation ahead of the imports)

from __future__ import annotations

DOCUMENTATION = r"""
module: watchdog_off
short_description: Takes a bot's orders off the exchange from this machine
description:
  - For the day on which the VPS cannot be reached. Runs C(python -m watchdog.off) here, with the key of the bot's
    watchdog, which goes there on standard input.
  - Only orders with the bot's own prefix are cancelled. It is proved when none was open at two looks, 10 s apart; for
    O(linger) it goes on looking, because a bot that lives on places orders again.
version_added: 0.1.0
options:
  files:
    description: The directory with the package C(watchdog).
    type: path
    required: true
  bot:
    description: The bot.
    type: str
    required: true
  pair:
    description: Its trading pair, as C(BTC-USDT).
    type: str
    required: true
  order_id_prefix:
    description: Begins the client ids of its orders.
    type: str
    required: true
  api_key:
    description: The watchdog's API key.
    type: str
    required: true
  api_secret:
    description: Its secret.
    type: str
    required: true
  api_passphrase:
    description: Its passphrase.
    type: str
    required: true
  url:
    description: Another exchange than Bitget, for rehearsals.
    type: str
    default: https://api.bitget.com
  ca_file:
    description: The only authority that is trusted then.
    type: path
  address:
    description: Where to connect instead of looking the name up.
    type: str
  within:
    description: Seconds to try for the proof.
    type: int
    default: 120
  linger:
    description: Seconds to go on looking after it.
    type: int
    default: 30
  drill:
    description: Place a small order far from the market first, so that there is one to take off.
    type: bool
    default: false
author:
  - hbot.infra maintainers (@hbot-infra)
attributes:
  check_mode:
    support: full
    description: Says what it would do.
"""

EXAMPLES = r"""
- name: No order of the bot is on the exchange
  hbot.infra.watchdog_off:
    files: ../files
    bot: bot1
    pair: BTC-USDT
    order_id_prefix: hbot-bot1-
    api_key: "{{ watchdog_api_key }}"
    api_secret: "{{ watchdog_api_secret }}"
    api_passphrase: "{{ watchdog_api_passphrase }}"
"""

RETURN = r"""
said:
  description: What was done, line by line.
  type: list
  elements: str
  returned: success
detail:
  description: What came of it.
  type: str
  returned: success
account:
  description: The exchange's id of the account.
  type: str
  returned: success
"""

import json
import sys

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Run the module."""
    secret = {"type": "str", "required": True, "no_log": True}
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "path", "required": True},
            "bot": {"type": "str", "required": True},
            "pair": {"type": "str", "required": True},
            "order_id_prefix": {"type": "str", "required": True},
            "api_key": secret,
            "api_secret": secret,
            "api_passphrase": secret,
            "url": {"type": "str", "default": "https://api.bitget.com"},
            "ca_file": {"type": "path"},
            "address": {"type": "str"},
            "within": {"type": "int", "default": 120},
            "linger": {"type": "int", "default": 30},
            "drill": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    params = module.params
    if module.check_mode:
        module.exit_json(changed=True, said=[], detail=f"the orders of {params['bot']} would be cancelled", account="")
    given = {
        "bot": params["bot"],
        "pair": params["pair"],
        "order_id_prefix": params["order_id_prefix"],
        "key": {
            "api_key": params["api_key"],
            "secret_key": params["api_secret"],
            "passphrase": params["api_passphrase"],
        },
        "url": params["url"],
        "ca_file": params["ca_file"],
        "address": params["address"],
        "within_s": params["within"],
        "linger_s": params["linger"],
        "drill": params["drill"],
    }
    code, out, err = module.run_command(
        [sys.executable, "-m", "watchdog.off"],
        data=json.dumps(given),
        environ_update={"PYTHONPATH": params["files"], "PYTHONDONTWRITEBYTECODE": "1"},
    )
    lines = out.splitlines()
    try:
        result = json.loads(lines.pop())
    except (IndexError, ValueError):
        module.fail_json(msg=f"{params['bot']}: nothing is known of its orders: {err.strip() or out.strip()}")
    if code != 0:
        module.fail_json(msg=f"{params['bot']}: {result['detail']}", said=lines)
    module.exit_json(changed=True, said=lines, detail=result["detail"], account=result["account"])


if __name__ == "__main__":
    main()
