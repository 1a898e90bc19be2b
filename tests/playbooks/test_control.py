"""`control.yml` says what it needs before it touches anything."""

import json
from pathlib import Path

import pytest
from bitget_rest.tests.exchange_process import KEY, ExchangeProcess, exchange_process
from bitget_rest.tests.test_client import place

from tests.controller import Way, command, write_inventory

WHAT = {"bot": "bot1", "action": "pause", "reason": "news"}


@pytest.mark.parametrize(
    "wrong",
    [{"bot": "bot9"}, {"bot": None}, {"action": "halt"}, {"action": None}, {"reason": "  "}, {"reason": None}],
    ids=str,
)
def test_what_is_not_said_is_refused(tmp_path: Path, way: Way, wrong: dict[str, str | None]) -> None:
    given = [f"{name}={value}" for name, value in {**WHAT, **wrong}.items() if value is not None]
    run = way.run(
        "control", write_inventory(tmp_path / "inventory"), *(word for pair in given for word in ("-e", pair))
    )
    assert run.code != 0
    assert "Nothing was done. Say which bot, what and why: -e bot=bot1 -e action=start|stop|restart" in " ".join(
        run.output.split()
    )
    assert "PLAY [Control the bot]" not in run.output


def test_a_kill_from_here_takes_the_bots_orders_off_though_the_vps_is_gone(tmp_path: Path) -> None:
    """The inventory's VPS leads to a closed port; the exchange is a paper exchange on this machine."""
    with exchange_process(tmp_path / "exchange", start_quote="5000") as exchange:
        killed_with(tmp_path, exchange)


def killed_with(tmp_path: Path, exchange: ExchangeProcess) -> None:
    """Kill bot1 from here, beside another bot; then with the exchange gone."""
    place(exchange, "hbot-bot1-1")
    place(exchange, "hbot-bot10-1")
    where = {"url": exchange.url, "ca_file": str(exchange.ca_file), "address": "127.0.0.1"}
    key = {"watchdog_api_key": KEY.api_key, "watchdog_api_secret": KEY.secret_key}
    given = key | {"watchdog_api_passphrase": KEY.passphrase, "control_exchange": where}
    words = [
        "-e",
        "bot=bot1",
        "-e",
        "action=kill",
        "-e",
        "from=controller",
        "-e",
        "reason=gone",
        "-e",
        json.dumps(given),
    ]
    inventory = str(write_inventory(tmp_path / "inventory"))
    run = command("ansible-playbook", "-i", inventory, "control.yml", *words)
    assert run.code == 0, run.output
    assert "UNREACHABLE" in run.output
    assert "1 orders cancelled, none open" in " ".join(run.output.split())
    assert KEY.secret_key not in run.output
    assert [order["clientOid"] for order in exchange.ctl("orders")] == ["hbot-bot10-1"]

    drill = command("ansible-playbook", "-i", inventory, "control.yml", *words, "-e", "action=drill")
    assert drill.code == 0, drill.output
    assert [order["clientOid"] for order in exchange.ctl("orders")] == ["hbot-bot10-1"]

    exchange.process.terminate()
    exchange.process.wait(20)
    failed = command("ansible-playbook", "-i", inventory, "control.yml", *words, "-e", "action=drill")
    assert failed.code != 0
    assert "no order could be placed for the drill" in " ".join(failed.output.split())
