#!/usr/bin/python
# Copyright: hbot.infra maintainers. Not for redistribution.
"""Take a bot that trades with money off the market."""
# ruff: noqa: E402 (Ansible wants the documentation ahead of the imports)

from __future__ import annotations

DOCUMENTATION = r"""
module: bot_leave_market
short_description: Takes a bot that trades with money off the market
version_added: 0.1.0
description:
  - Stops the bot, cancels the orders of its own that are left on the exchange, proves twice that none is open, takes
    the go-live gate's mark away, and says what the account holds, which nothing manages from then on.
  - Does nothing for a bot without a mark. Back to paper, a rollback and a removal begin with it.
  - When it cannot be proven, the bot stays stopped, its mark and its keystore stay, and the module fails.
options:
  connector:
    description: Hummingbot's name of the connector.
    type: str
    required: true
  trading_pair:
    description: The pair.
    type: str
    required: true
  order_id_prefix:
    description: What the bot's own orders begin with.
    type: str
    required: true
  packages:
    description: Directories on the host with the packages C(epp), C(golive_gate) and C(bitget_rest), by name.
    type: dict
    required: true
  checked_by_hand:
    description: The bot's name, typed by an operator who saw on the exchange's own page that no order of it is open.
    type: str
    default: ""
extends_documentation_fragment: [hbot.infra.isolated_run]
attributes:
  check_mode:
    support: full
    description: Says what it would do.
author: hbot.infra maintainers
"""

EXAMPLES = r"""
- name: The bot has left the market
  hbot.infra.bot_leave_market:
    root: /opt/hbot
    bot: bot1
    connector: bitget
    trading_pair: BTC-USDT
    order_id_prefix: hbot-bot1-
    image: hummingbot/hummingbot:version-2.16.0
    packages: "{{ golive_gate_packages }}"
    uid: 6420
    gid: 6420
"""

RETURN = r"""
said:
  description: What was done, and what the account holds.
  type: str
  returned: success
"""

import json
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hbot.infra.plugins.module_utils import golive_marks, host_files
from ansible_collections.hbot.infra.plugins.module_utils.isolated_run import AUTHORITY, OPTIONS, IsolatedRun

HOME = "/home/hummingbot"
PYTHON_ROOT = "/opt/gate"


class NotProvenError(Exception):
    """The bot is stopped, and its orders are not known to be gone."""


def stop(module: AnsibleModule, bot: str) -> None:
    """Stop the bot's container, which cancels its orders, in the time that it is given itself.

    :raises NotProvenError: with docker's words.
    """
    code, out, err = module.run_command(["docker", "stop", f"hbot-{bot}"])
    if code != 0 and "No such container" not in err:
        raise NotProvenError(f"hbot-{bot} could not be stopped: {(err or out).strip()}")


def ask(module: AnsibleModule, mark: dict[str, Any]) -> dict[str, Any]:
    """Let the program cancel and look, in one run of the bot's image.

    :raises NotProvenError: with the exchange's or the keystore's words.
    """
    params = module.params
    root, bot = Path(params["root"]), params["bot"]
    password = (host_files.read(root / "env" / bot / "password") or b"").decode(errors="replace").rstrip("\n")
    if password:  # an empty one would blot out every letter that is said
        module.no_log_values.add(password)
    names = ("connector", "trading_pair", "order_id_prefix")
    task = {name: params[name] for name in names} | {"password": password, "exchange": dict(mark["exchange"])}
    # In a rehearsal the paper exchange's key may be the live one as well.
    task["paper_api_key"] = "" if task["exchange"] else paper_api_key(root, bot)
    mounts = {f"{HOME}/conf": f"{root}/data/{bot}/conf"}
    mounts |= {f"{PYTHON_ROOT}/{name}": directory for name, directory in params["packages"].items()}
    if task["exchange"].get("ca_file"):
        mounts[AUTHORITY] = task["exchange"]["ca_file"]
        task["exchange"]["ca_file"] = AUTHORITY
    answer = IsolatedRun(
        image=params["image"],
        user=f"{params['uid']}:{params['gid']}",
        network=mark["network"],
        label=f"hbot.leaves={bot}",
        mounts=mounts,
        scratch=(f"{HOME}/logs", f"{HOME}/data"),
        python_path=f"{PYTHON_ROOT}:{HOME}",
        directory=HOME,
    ).ask(module, ["-m", "golive_gate.leave"], task)
    if answer.code != 0:
        raise NotProvenError(answer.error)
    said: dict[str, Any] = answer.said
    return said


def paper_api_key(root: Path, bot: str) -> str:
    """The key of the bot's own paper exchange; empty when there is none."""
    try:
        held = json.loads(host_files.read(root / "env" / f"{bot}-exchange" / "credentials.json") or b"{}")
        return str(held.get("api_key", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def told(bot: str, pair: str, answer: dict[str, Any]) -> str:
    """What was done, and what is left, for the operator."""
    if answer.get("never_live"):
        return f"{bot} is stopped. It never had the live key, so none of its orders can be open on that account."
    base, quote = pair.split("-")
    others = answer["others"]
    said = (
        f"{bot} is stopped. {len(answer['cancelled'])} orders that it left on the exchange are cancelled; none is open."
    )
    said += (
        f" The account holds {answer['base']} {base} (worth {answer['value_quote']} {quote} at {answer['price']}) and "
    )
    said += f"{answer['quote']} {quote}: nothing manages them from now on."
    if others:
        said += f" Orders that are not the bot's are open and stay: {', '.join(others)}."
    return said


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **OPTIONS,
            "connector": {"type": "str", "required": True},
            "trading_pair": {"type": "str", "required": True},
            "order_id_prefix": {"type": "str", "required": True, "no_log": False},
            "packages": {"type": "dict", "required": True},
            "checked_by_hand": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    params = module.params
    root, bot = Path(params["root"]), params["bot"]
    path = golive_marks.path_of(root, bot)
    try:
        held = host_files.read(path)
        if held is None:
            module.exit_json(changed=False, said=f"{bot} does not trade with money")
        if module.check_mode:
            module.exit_json(changed=True, said=f"{bot} would be stopped, and its orders cancelled")
        stop(module, bot)
        if params["checked_by_hand"] == bot:
            said = f"{bot} is stopped. That none of its orders is open was checked by hand, and not here."
        else:
            said = told(bot, params["trading_pair"], ask(module, golive_marks.destination(held)))
        golive_marks.set_aside(root, bot, held, time.time())
        path.unlink()
    except NotProvenError as error:
        module.fail_json(
            msg=f"{bot} is stopped, but it could not be proven that none of its orders is open: {error}. Run this "
            "again. If the exchange does not take the key any more, look at the open orders on its own page, cancel "
            f"those that begin with {params['order_id_prefix']}, and add -e orders_checked={bot}.",
            exception=None,
        )
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}", exception=None)
    module.exit_json(changed=True, said=said)


if __name__ == "__main__":
    main()
