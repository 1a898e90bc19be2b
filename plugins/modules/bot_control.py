#!/usr/bin/python
# Copyright: hbot.infra maintainers. Not for redistribution.
"""Do to a running bot what its operator wants."""
# ruff: noqa: E402 (Ansible wants the documentation ahead of the imports)

from __future__ import annotations

DOCUMENTATION = r"""
module: bot_control
short_description: Starts, stops, pauses, kills or resets a bot on its VPS
description:
  - V(start), V(stop) and V(restart) are Docker's; a stop cancels the bot's orders first.
  - A restart waits out a shock in the market, because a bot that starts quotes anew. O(force) does not wait.
  - What starts a bot (V(start), V(restart), V(rearm), V(drill)) does not meddle with another run on the VPS. It waits
    90 s for it, and is refused then. What takes a bot off the market waits for nobody.
  - V(pause), V(resume), V(reset) and V(transfer) are told to the bot itself, and its answer is returned. A transfer is
    told to its watchdog, too.
  - V(kill), V(rearm) and V(drill) are told to its watchdog. A kill stops the bot's container, cancels its orders and
    proves that none is left; V(rearm) ends that and starts the bot. V(drill) is a kill that is written down and
    re-armed at once.
  - Where no watchdog answers, V(kill) stops the container itself and says that the orders were not proven cancelled.
  - Whatever is done, and why, stands in the journal of the VPS; what the bot was told stands in its own log as well.
version_added: 0.1.0
options:
  root:
    description: The directory of the installation.
    type: path
    default: /opt/hbot
  bot:
    description: The bot.
    type: str
    required: true
  variant:
    description: Its variant, which names its books.
    type: str
    required: true
  action:
    description: What to do.
    type: str
    choices: [start, stop, restart, pause, resume, reset, transfer, kill, rearm, drill]
    required: true
  reason:
    description: Why.
    type: str
    required: true
  base:
    description: For V(transfer), the deposit of the base coin; negative for a withdrawal.
    type: str
    default: '0'
  quote:
    description: For V(transfer), the deposit of the quote coin; negative for a withdrawal.
    type: str
    default: '0'
  force:
    description: Restart in a shock, too; re-arm though the stop is not proven.
    type: bool
    default: false
  live_account:
    description:
      - For V(drill) of a bot that trades on paper, the live account's watchdog. After the drill beside the bot an order
        is placed on that account, far from the market, and taken off again, from this VPS and with that key. The mark
        that is left is then the live account's.
      - Not for bots that trade with money, whose drill is on that account anyway.
    type: dict
    suboptions:
      armed:
        description: Whether the watchdog will act on what it sees.
        type: bool
        required: true
      network:
        description: The Docker network from which the exchange is asked.
        type: str
        default: hbot-trading
      exchange:
        description: Where a rehearsal finds its exchange, C(url), C(ca_file) (a path on the host) and C(address).
        type: dict
        default: {}
      pair:
        description: The trading pair, as C(BTC-USDT).
        type: str
        required: true
      order_id_prefix:
        description: Begins the client ids of the bot's orders.
        type: str
        required: true
      api_key:
        description: The key of the watchdog.
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
  patience:
    description: Seconds that a restart waits for a shock to end.
    type: int
    default: 1800
author:
  - hbot.infra maintainers (@hbot-infra)
attributes:
  check_mode:
    support: full
    description: Says what it would do.
"""

EXAMPLES = r"""
- name: The bot pauses
  hbot.infra.bot_control:
    bot: bot1
    variant: a
    action: pause
    reason: news at 14:00
"""

RETURN = r"""
said:
  description: What was done, or what the bot answered.
  type: str
  returned: success
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hbot.infra.plugins.module_utils import evidence, host_files
from ansible_collections.hbot.infra.plugins.module_utils.csv_rows import last_row
from ansible_collections.hbot.infra.plugins.module_utils.host_lock import HeldError, held_by_this_process
from ansible_collections.hbot.infra.plugins.module_utils.isolated_run import AUTHORITY, IsolatedRun

SHOCK = "high_vol_shock"
POLL_S = 10.0

DOCKERS = ("start", "stop", "restart")
BOTS = ("pause", "resume", "reset", "transfer")
WATCHDOGS = ("kill", "rearm", "drill")

LEASE_S = "600"
PROVEN_WITHIN_S = 90.0
"""A stop takes 10 s and its proof 10 s more; an exchange that is slow takes the rest."""


LEFT_WITHIN_S = 60.0
LOOK_S = 1.0
"""A look that began before the stop does not count."""


STARTS = ("start", "restart", "rearm", "drill")
"""Meddle with an update, say, which has stopped the bot or watches it."""

PATIENCE_S = 90.0
"""Whoever controls a bot sits before the screen, and sees nothing while this waits for another run. Longer than a lock
outlives a run that was killed."""


class RefusedError(Exception):
    """It was not done; the message says why, and what to do."""


def docker(module: AnsibleModule, *arguments: str) -> str:
    """Run docker and return what it says.

    :raises RefusedError: with docker's or the bot's own words.
    """
    code, out, err = module.run_command(["docker", *arguments])
    if code != 0:
        raise RefusedError((err or out).strip())
    return str(out).strip()


@contextmanager
def alone(module: AnsibleModule) -> Iterator[None]:
    """Hold the host's lock: an update, say, must find the bot as it left it.

    :raises RefusedError: another run holds it.
    """
    what = f"control.yml, {module.params['action']} of {module.params['bot']}"
    try:
        with held_by_this_process(what, PATIENCE_S, lambda other: module.warn(f"waited for {other}")):
            yield
    except HeldError as other:
        raise RefusedError(
            f"Nothing was done: {other} holds this VPS. Wait until that is over, then run again. What takes a bot off "
            "the market waits for nobody: -e action=stop, -e action=kill"
        ) from None


def running(module: AnsibleModule, container: str) -> bool:
    """Whether the bot's container runs.

    :raises RefusedError: when there is none.
    """
    try:
        return docker(module, "inspect", "--format", "{{.State.Running}}", container) == "true"
    except RefusedError:
        raise RefusedError(f"there is no container {container}: run site.yml") from None


def regime(params: dict[str, Any]) -> str:
    """The market's regime by the bot's last minute; empty when it has none."""
    name = f"{params['bot']}_{params['variant']}"
    book = Path(params["root"], "data", params["bot"], "logs", "epp_v24", name, "minute.csv")
    row: dict[str, str] | None = last_row(book)
    return row["regime"] if row else ""


def wait_out_the_shock(params: dict[str, Any]) -> None:
    """Return when the market is in no shock.

    :raises RefusedError: it was one for all of the operator's patience.
    """
    deadline = time.monotonic() + params["patience"]
    while regime(params) == SHOCK:
        if time.monotonic() > deadline:
            raise RefusedError(
                f"the market has been in {SHOCK} for {params['patience']} s, and a restart would quote into it: "
                "-e force=true restarts all the same"
            )
        time.sleep(POLL_S)


def tell_watchdog(module: AnsibleModule, *words: str) -> str:
    """Say something to the bot's watchdog and return its answer.

    :raises RefusedError: with its words, or Docker's.
    """
    return docker(module, "exec", f"hbot-{module.params['bot']}-watchdog", "python", "-m", "watchdog", *words)


def told_watchdog(module: AnsibleModule, *words: str) -> bool:
    """The same, where a bot without a watchdog is no reason to stop; whether it answered."""
    try:
        tell_watchdog(module, *words)
    except RefusedError as refused:
        module.warn(f"its watchdog was not told {words[0]}: {refused}")
        return False
    return True


def latch(params: dict[str, Any]) -> Path:
    """The watchdog's latch."""
    return Path(params["root"], "watchdog", "latches", params["bot"], "latch.json")


def carry_out(module: AnsibleModule) -> tuple[bool, str]:
    """Do it, alone where another run would be meddled with; returns whether anything changed, and what to say.

    :raises RefusedError: it was not done.
    """
    params = module.params
    if module.check_mode or params["action"] not in STARTS:
        return carry_out_now(module)
    if params["action"] == "restart" and not params["force"]:  # may take half an hour: without the lock
        wait_out_the_shock(params)
    with alone(module):
        return carry_out_now(module)


def carry_out_now(module: AnsibleModule) -> tuple[bool, str]:
    """Do it; returns whether anything changed, and what to say.

    :raises RefusedError: it was not done.
    """
    action = module.params["action"]
    container = f"hbot-{module.params['bot']}"
    if action == "kill":  # whatever there is of the bot
        return control_watchdog(module, container, runs=True)
    runs = running(module, container)
    if action in DOCKERS:
        return control_container(module, container, runs=runs)
    if action in WATCHDOGS:
        return control_watchdog(module, container, runs=runs)
    if not runs:
        raise RefusedError(f"{container} does not run, and so cannot {action}: start it first")
    if module.check_mode:
        return True, f"{container} would be asked to {action}"
    reason = module.params["reason"]
    told = ["exec", container, "python", "-m", "controllers.epp", "control", action, "--reason", reason]
    if action == "transfer":
        amounts = [f"--base={module.params['base']}", f"--quote={module.params['quote']}"]
        told_watchdog(module, "transfer", "--reason", reason, *amounts)
        told += amounts
    return True, docker(module, *told)


def control_container(module: AnsibleModule, container: str, *, runs: bool) -> tuple[bool, str]:
    """Start, stop or restart it; a stop is planned, and the watchdog knows.

    :raises RefusedError: it was not done.
    """
    params = module.params
    action = params["action"]
    wanted = action != "stop"
    if wanted and latch(params).exists():
        raise RefusedError(f"{container} is latched by its watchdog, which keeps it stopped: -e action=rearm starts it")
    if action != "restart" and runs == wanted:
        return False, f"{container} {'runs' if runs else 'is stopped'} already"
    if action == "restart" and not runs:
        raise RefusedError(f"{container} does not run, and so cannot restart: start it first")
    if module.check_mode:
        return True, f"{container} would {action}"
    if action != "start":
        told_watchdog(module, "lease", "--seconds", LEASE_S, "--reason", params["reason"], "--by", f"control {action}")
    docker(module, action, container)
    if action == "restart":
        return True, f"{container} was restarted"
    return True, f"{container} runs" if wanted else f"{container} is stopped, its orders cancelled. {left_over(module)}"


def left_over(module: AnsibleModule) -> str:
    """What the bot that was just stopped has left, by its watchdog's own look at the exchange.

    :raises RefusedError: own orders are open still, or the exchange did not answer.
    """
    stopped = time.time()
    deadline = time.monotonic() + LEFT_WITHIN_S
    while True:
        try:
            status = json.loads(tell_watchdog(module, "status")) or {}
        except (RefusedError, ValueError) as refused:
            module.warn(f"no watchdog has looked for orders that it left: {refused}")
            return "Look at the exchange for orders that it left"
        seen = (status.get("exchange_answered_at") or 0) > stopped + LOOK_S
        if seen and status["own_orders"] == 0:
            worth = status["equity_quote"] or "an unknown amount"
            return f"Its watchdog sees none of them; the account is worth {worth}, and nothing manages it now"
        if time.monotonic() > deadline:
            raise RefusedError(
                f"it is stopped, and {status.get('own_orders')} own orders were open at the last look; the exchange: "
                f"{status.get('exchange_error') or 'answers'}. The watchdog goes on cancelling: look again"
            )
        time.sleep(1)


def control_watchdog(module: AnsibleModule, container: str, *, runs: bool) -> tuple[bool, str]:
    """Kill, re-arm or drill.

    :raises RefusedError: it was not done.
    """
    params = module.params
    action, reason = params["action"], params["reason"]
    if action == "drill" and not runs:
        raise RefusedError(f"{container} does not run: a drill stops it for real")
    if module.check_mode:
        return True, f"the watchdog of {container} would be asked to {action}"
    if action == "rearm":
        return True, rearm(module, reason, force=params["force"])
    if action == "kill":
        return True, kill(module, container, reason)
    return True, drill(module, reason)


def rearm(module: AnsibleModule, reason: str, *, force: bool = False) -> str:
    """End a stop and start the bot.

    :raises RefusedError: it was not done.
    """
    said = tell_watchdog(module, "rearm", "--reason", reason, *(["--force"] if force else []))
    docker(module, "start", f"hbot-{module.params['bot']}")
    return f"{said}; the bot was started"


def kill(module: AnsibleModule, container: str, reason: str) -> str:
    """Have the watchdog stop the bot, and wait for the proof.

    :raises RefusedError: the stop is not proven.
    """
    try:
        tell_watchdog(module, "kill", "--reason", reason)
    except RefusedError as refused:
        docker(module, "stop", "-t", "10", container)
        raise RefusedError(
            f"{container} was stopped, but no watchdog has cancelled its orders ({refused}): look at the exchange, or "
            "run this with -e from=controller"
        ) from refused
    return f"{container} is stopped and latched. {wait_for_proof(module)}"


def wait_for_proof(module: AnsibleModule) -> str:
    """Return when the watchdog has proved that no order is left, with its words.

    :raises RefusedError: not in time; the watchdog goes on trying.
    """
    deadline = time.monotonic() + PROVEN_WITHIN_S
    stop: dict[str, Any] = {}
    status: dict[str, Any] = {}
    while time.monotonic() < deadline:
        status = json.loads(tell_watchdog(module, "status")) or {}
        stop = status.get("stop") or {}
        if stop.get("proved"):
            first, last = stop["zero"] - stop["latched"], stop["proved"] - stop["latched"]
            how = "stopped" if stop["stop_proven"] else "NOT KNOWN to be stopped"
            return (
                f"The container is {how}; no own order was open {first:.1f} s and {last:.1f} s after the latch. "
                f"What is held stays: the account is worth {status.get('equity_quote') or 'an unknown amount'}"
            )
        time.sleep(1)
    raise RefusedError(
        f"latched, but not proven within {PROVEN_WITHIN_S:.0f} s: {status.get('own_orders')} own orders were open at "
        f"the last look; the exchange: {status.get('exchange_error') or 'answers'}. The watchdog goes on trying; look "
        "again, or at the exchange itself"
    )


def drill_on_live_account(module: AnsibleModule) -> dict[str, Any]:
    """Place an order on the live account and take it off, from where the live bot's watchdog will.

    Returns what the mark then says.
    """
    live = module.params["live_account"]
    watchdog = f"hbot-{module.params['bot']}-watchdog"
    where = '{{range .Mounts}}{{if eq .Destination "/opt/watchdog/watchdog"}}{{.Source}}{{end}}{{end}}'
    code = docker(module, "inspect", "--format", where, watchdog)
    image = docker(module, "inspect", "--format", "{{.Config.Image}} {{.Config.User}}", watchdog).split()
    given = {
        "bot": module.params["bot"],
        "pair": live["pair"],
        "order_id_prefix": live["order_id_prefix"],
        "key": {"api_key": live["api_key"], "secret_key": live["api_secret"], "passphrase": live["api_passphrase"]},
        "linger_s": 0,
        "drill": True,
    }
    mounts = {"/opt/watchdog/watchdog": code}
    given |= live["exchange"]
    if given.get("ca_file"):
        mounts[AUTHORITY] = given["ca_file"]
        given["ca_file"] = AUTHORITY
    answer = IsolatedRun(
        image=image[0],
        user=image[1],
        network=live["network"],
        memory="128m",
        pids=32,
        mounts=mounts,
        python_path="/opt/watchdog",
    ).ask(module, ["-m", "watchdog.off"], given)
    result = answer.said
    if "ok" not in result:
        return {"ok": False, "detail": f"nothing came of the drill on the live account: {answer.error}"}
    detail = f"on the live account: {result['detail']}"
    return {"ok": result["ok"], "detail": detail, "account": result["account"], "armed": live["armed"]}


def drill(module: AnsibleModule, reason: str) -> str:
    """Have the watchdog stop the bot for real, keep what it showed for the go-live gate, re-arm.

    :raises RefusedError: it did not end well; what is then latched stays so.
    """
    params = module.params
    tell_watchdog(module, "drill", "--reason", reason)
    said = wait_for_proof(module)
    written = Path(params["root"], "watchdog", "state", params["bot"], "drill.json")
    try:
        shown = json.loads(host_files.read(written) or b"")
    except (OSError, ValueError) as error:
        raise RefusedError(f"the drill left no {written}: {error}") from error
    detail = (
        f"{shown['orders']} orders off after {shown['zero_after_s']} s, "
        f"bot stopped after {shown['stopped_after_s']} s, "
        f"proved after {shown['proved_after_s']} s; other orders before and after: {shown['foreign']}, "
        f"{shown['foreign_after']}"
    )
    mark = {"ok": shown["passed"] is True, "detail": detail, "account": shown["account"], "armed": shown["armed"]}
    if params["live_account"] and mark["ok"]:
        mark |= drill_on_live_account(module)
    evidence.leave(Path(params["root"]), "watchdog_drill", bot=params["bot"], **mark)
    if not mark["ok"]:
        raise RefusedError(f"the drill failed, and the bot stays latched: {mark['detail']}. {said}")
    return f"drilled: {mark['detail']}; {rearm(module, 'the drill is over')}"


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "default": "/opt/hbot"},
            "bot": {"type": "str", "required": True},
            "variant": {"type": "str", "required": True},
            "action": {
                "type": "str",
                "choices": [*DOCKERS, *BOTS, *WATCHDOGS],
                "required": True,
            },
            "reason": {"type": "str", "required": True},
            "base": {"type": "str", "default": "0"},
            "quote": {"type": "str", "default": "0"},
            "force": {"type": "bool", "default": False},
            "live_account": {
                "type": "dict",
                "options": {
                    "armed": {"type": "bool", "required": True},
                    "network": {"type": "str", "default": "hbot-trading"},
                    "exchange": {"type": "dict", "default": {}},
                    "pair": {"type": "str", "required": True},
                    "order_id_prefix": {"type": "str", "required": True},
                    "api_key": {"type": "str", "required": True, "no_log": True},
                    "api_secret": {"type": "str", "required": True, "no_log": True},
                    "api_passphrase": {"type": "str", "required": True, "no_log": True},
                },
            },
            "patience": {"type": "int", "default": 1800},
        },
        supports_check_mode=True,
    )
    try:
        changed, said = carry_out(module)
    except RefusedError as refused:
        module.fail_json(msg=f"{module.params['bot']}: {refused}")
    module.exit_json(changed=changed, said=said)


if __name__ == "__main__":
    main()
