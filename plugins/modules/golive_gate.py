#!/usr/bin/python
# Copyright: hbot.infra maintainers. Not for redistribution.
"""Ask the go-live gate about a bot, on its VPS."""
# ruff: noqa: E402 (Ansible wants the documentation ahead of the imports)

from __future__ import annotations

DOCUMENTATION = r"""
module: golive_gate
short_description: Judges whether a bot may trade with money
version_added: 0.1.0
description:
  - Gathers what lies on the VPS (books, configuration and logs of a pair of bots, the paper exchange's own fills and
    rules, marks of drills, what the gate left for other bots) and gives it to the program C(golive_gate) in one run of
    the bot's image, which asks the exchange about the live account and judges every item.
  - The outcome is kept as JSON and as an HTML page in C(golive/<bot>/), and returned.
  - Secrets go to that run on its standard input. They are in no command line, environment, report or result.
  - Nothing else is changed. The module of this name fails when an item stands in the way.
options:
  packages:
    description: Directories on the host with the packages C(epp), C(golive_gate) and C(bitget_rest), by name.
    type: dict
    required: true
  network:
    description: The Docker network from which the exchange is asked.
    type: str
    required: true
  max_notional_quote:
    description: What inventory and bids together may be worth, in quote.
    type: float
    required: true
  days:
    description: How long the confirmation holds.
    type: int
    required: true
  waivers:
    description: Items that need not pass, each with a reason.
    type: dict
    default: {}
  watcher:
    description: The other bot of the pair. Empty for the only one of variant d on the same VPS.
    type: str
    default: ""
  addresses:
    description: Addresses that the exchange sees the VPS with.
    type: list
    elements: str
    default: []
  profile:
    description: How much is asked for.
    type: str
    choices: [money, rehearsal]
    default: money
  exchange:
    description: Where a rehearsal finds its exchange.
    type: dict
    default: {}
  replay:
    description:
      - A directory on the host with the books of one run of a replay. Of the live days, when a live bot is to have more
        money; in a rehearsal, of the weeks that it does not have. Empty means none.
    type: str
    default: ""
  reports:
    description: Where a copy of the outcome is kept on the controller.
    type: path
    required: true
  request:
    description:
      - What the gate is asked, as C(golive_gate/request.py) says, without what this module gathers. The action plugin
        makes it of the options above, which do not reach the host.
    type: dict
  other_accounts:
    description: Accounts that bots on other machines trade with, by bot.
    type: dict
    default: {}
  api_key:
    description: The live account's API key. Empty counts as not given.
    type: str
  api_secret:
    description: The API key's secret.
    type: str
  api_passphrase:
    description: The API key's passphrase.
    type: str
  key_created:
    description: The day the key was made, YYYY-MM-DD. Empty means the day it was first seen on this host.
    type: str
    default: ""
extends_documentation_fragment: [hbot.infra.isolated_run]
attributes:
  check_mode:
    support: full
    description: The outcome is not kept.
author: hbot.infra maintainers
"""

EXAMPLES = r"""
- name: The gate judges the bot
  hbot.infra.golive_gate:
    root: /opt/hbot
    bot: bot1
    image: hummingbot/hummingbot:version-2.16.0
    network: hbot-trading
    uid: 6420
    gid: 6420
    packages: "{{ golive_gate_packages }}"
    max_notional_quote: 300
    days: 14
    reports: /home/operator/golive_reports
"""

RETURN = r"""
outcome:
  description: Every item with its verdict and evidence.
  type: dict
  returned: success
text:
  description: The same for a terminal.
  type: str
  returned: success
page:
  description: The same as an HTML page.
  type: str
  returned: success
report:
  description: Where the outcome is kept on the host, without C(.json) and C(.html).
  type: str
  returned: success
"""

import json
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hbot.infra.plugins.module_utils import golive_marks, host_files
from ansible_collections.hbot.infra.plugins.module_utils.isolated_run import AUTHORITY, OPTIONS, Answer, IsolatedRun

BOT_MARKS = ("watchdog_drill", "kill_from_controller")
VPS_MARKS = ("alert_delivered", "backup_verified")
PYTHON_ROOT = "/opt/gate"
FILLS = 1_000_000


class GateError(Exception):
    """The gate could not be asked; the message never holds a secret."""


class Gate:
    """One bot before the gate."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params: dict[str, Any] = module.params
        self.bot: str = self.params["bot"]
        self.root = Path(self.params["root"])
        self.env = self.root / "env" / self.bot
        self.exchange = self.root / "data" / self.bot / "exchange"

    def ask(self) -> dict[str, Any]:
        """Gather, and let the program judge.

        :raises GateError: it gave no judgement.
        """
        request = self.params["request"] | {
            "evidence": self.marks(),
            "other_accounts": self.params["other_accounts"] | golive_marks.other_accounts(self.root, self.bot),
            "mark": golive_marks.read(self.root, self.bot),
            "key": self.key(),
            "assumed": self.assumed(),
            "exchange_fills": self.fills(),
        }
        names = [self.bot] + ([request["watcher"]["name"]] if request.get("watcher") else [])
        mounts = {
            f"/bots/{name}/{part}": f"{self.root}/data/{name}/{part}"
            for name in names
            for part in ("conf", "logs")
            if (self.root / "data" / name / part).is_dir()
        }
        if self.params["replay"]:
            mounts["/replay"] = self.params["replay"]
            request["replay_books"] = "/replay"
        if request.get("exchange", {}).get("ca_file"):
            mounts[AUTHORITY] = request["exchange"]["ca_file"]
            request["exchange"] = request["exchange"] | {"ca_file": AUTHORITY}
        answer = self.run("golive_gate", self.params["network"], mounts, request)
        if answer.code not in (0, 1) or "outcome" not in answer.said:
            raise GateError(f"the gate gave no judgement: {answer.error}")
        judged: dict[str, Any] = answer.said
        return judged

    def run(self, package: str, network: str, mounts: dict[str, str], request: dict[str, Any]) -> Answer:
        """One run of a package in the bot's image."""
        return IsolatedRun(
            image=self.params["image"],
            user=f"{self.params['uid']}:{self.params['gid']}",
            network=network,
            label=f"hbot.golive-gate-of={self.bot}",
            mounts=mounts | {f"{PYTHON_ROOT}/{name}": directory for name, directory in self.params["packages"].items()},
            python_path=PYTHON_ROOT,
        ).ask(self.module, ["-m", package], request)

    def marks(self) -> dict[str, Any]:
        """The marks of drills."""
        evidence = self.root / "evidence"
        paths = {kind: evidence / f"{kind}.json" for kind in VPS_MARKS}
        paths |= {kind: evidence / self.bot / f"{kind}.json" for kind in BOT_MARKS}
        return {kind: mark for kind, path in paths.items() if (mark := roots_own(path)) is not None}

    def key(self) -> dict[str, Any] | None:
        """The live account's key, and since when it is known."""
        params = self.params
        if not (params["api_key"] and params["api_secret"] and params["api_passphrase"]):
            return None
        since = params["key_created"] or golive_marks.key_since(
            self.root, self.bot, params["api_key"], keep=not self.module.check_mode
        )
        return {
            "api_key": params["api_key"],
            "secret_key": params["api_secret"],
            "passphrase": params["api_passphrase"],
            "since": since,
        }

    def assumed(self) -> dict[str, Any] | None:
        """What the paper exchange goes by, in its own words, since when, and what it is told to do wrong."""
        config, credentials = self.exchange / "config" / "config.json", self.root / "env" / f"{self.bot}-exchange"
        held = host_files.read(credentials / "credentials.json")
        if held is None or not config.is_file():
            return None
        key = json.loads(held)
        authority = f"{self.exchange}/tls/public/ca.pem"
        ask = {name: key[name] for name in ("api_key", "secret_key", "passphrase")}
        ask |= {"url": "https://api.bitget.com", "ca_file": AUTHORITY}
        ask |= {"symbol": self.params["request"]["trading_pair"].replace("-", "")}
        answer = self.run("bitget_rest", f"hbot-paper-{self.bot}", {AUTHORITY: authority}, ask)
        rules = answer.said
        faults, market = self.ctl("fault", "list"), self.ctl("market")
        if answer.code != 0 or faults is None or market is None or "misbehaved_ms" not in market:
            return None
        wanted = ("maker_fee", "taker_fee", "min_trade_quote", "price_precision", "quantity_precision")
        return {name: rules[name] for name in wanted} | {
            "unchanged_since": config.stat().st_mtime,
            "faults": [str(fault.get("kind")) for fault in faults],
            "faults_until": (market["misbehaved_ms"] or 0) / 1000,
        }

    def fills(self) -> list[dict[str, Any]] | None:
        """The paper exchange's own list of fills."""
        found = self.ctl("fills", "--limit", str(FILLS))
        return found if isinstance(found, list) else None

    def ctl(self, *arguments: str) -> Any:
        """Ask the paper exchange's control socket; None when it does not answer."""
        command = ["docker", "exec", f"hbot-{self.bot}-exchange", "python", "-m", "paper_exchange.ctl", "--compact"]
        code, out, _ = self.module.run_command([*command, *arguments])
        try:
            return json.loads(out) if code == 0 else None
        except ValueError:
            return None

    def keep(self, answer: dict[str, Any], now: float) -> str:
        """Write the outcome to the host."""
        directory = self.root / "golive" / self.bot
        name = directory / time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        if not self.module.check_mode:
            for path in (directory.parent, directory):
                host_files.make_directory(path, 0o750, 0, 0)
            outcome = json.dumps(answer["outcome"], indent=2) + "\n"
            host_files.write(name.with_suffix(".json"), outcome.encode(), 0o640, 0, 0)
            host_files.write(name.with_suffix(".html"), answer["page"].encode(), 0o640, 0, 0)
        return str(name)


def roots_own(path: Path) -> dict[str, Any] | None:
    """A mark of a drill; says ``unusable`` of one that another than root could have written. None when missing."""
    for place in (path.parent, path):
        try:
            status = place.lstat()
        except FileNotFoundError:
            return None
        if status.st_uid != 0 or status.st_mode & 0o022:
            return {"unusable": f"{place} could have been written by another than root"}
    try:
        mark = json.loads(host_files.read(path) or b"null")
    except (OSError, ValueError) as error:
        return {"unusable": f"{path} cannot be read: {error}"}
    return mark if isinstance(mark, dict) else {"unusable": f"{path} is no JSON object"}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **OPTIONS,
            "packages": {"type": "dict", "required": True},
            "network": {"type": "str", "required": True},
            "request": {"type": "dict", "required": True},  # the action plugin's
            "other_accounts": {"type": "dict", "default": {}},
            "api_key": {"type": "str", "no_log": True},
            "api_secret": {"type": "str", "no_log": True},
            "api_passphrase": {"type": "str", "no_log": True},
            "key_created": {"type": "str", "default": ""},
            "replay": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    gate = Gate(module)
    try:
        answer = gate.ask()
        report = gate.keep(answer, time.time())
    except GateError as error:
        module.fail_json(msg=f"{gate.bot}: {error}", exception=None)
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}", exception=None)
    module.exit_json(changed=False, outcome=answer["outcome"], text=answer["text"], page=answer["page"], report=report)


if __name__ == "__main__":
    main()
