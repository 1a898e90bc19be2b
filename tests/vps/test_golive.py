"""The road to live on a VPS: what is refused, with its reason, and that nothing is touched then."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from embedded_vps import played_bitget
from tests.vps.machine import PlaybookRun, Vps, run_playbook

KEY = {"api_key": "bg_none_of_bitgets", "api_secret": "no secret", "api_passphrase": "no passphrase"}
SECRETS = {"bot_password": "none", **{f"bot_{name}": value for name, value in KEY.items()}}
SECRETS |= {f"watchdog_{name}": value for name, value in KEY.items()}


def words(run: PlaybookRun) -> str:
    """All that a run printed, on one line."""
    return " ".join(run.output.split())


def set_bot1(inventory: Path, **variables: object) -> None:
    """Change variables in bot1's own file, and give it the credentials that a live bot needs."""
    file = inventory / "bots/bot1.yml"
    document = yaml.safe_load(file.read_text())
    document["bots"]["hosts"]["bot1"] |= {"golive_gate_reports": str(inventory / "reports")} | variables
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    vault = inventory / "host_vars/bot1/vault.yml"
    vault.parent.mkdir(parents=True, exist_ok=True)
    vault.write_text(yaml.safe_dump(SECRETS))


def written(vps: Vps) -> str:
    """What a converge writes of bot1, and when; not since when its key is known, which the gate notes."""
    places = "/opt/hbot/env/bot1 /opt/hbot/compose /opt/hbot/data/bot1/conf /opt/hbot/watchdog/config/bot1"
    return vps.run(f"find {places} -type f ! -name api_key.json -printf '%p %T@ %s\\n' | sort")


@pytest.fixture
def untouched(vps: Vps) -> Iterator[None]:
    """After the test everything of bot1 is as it was, and the same containers run."""
    files, containers = written(vps), vps.containers()
    yield
    vps.run("rm -f /opt/hbot/env/bot1/api_key.json")
    assert written(vps) == files
    assert vps.containers() == containers


@pytest.mark.usefixtures("untouched")
def test_a_mode_flipped_in_the_inventory_is_refused(inventory_copy: Path) -> None:
    set_bot1(inventory_copy, bot_mode="live")
    run = run_playbook("site.yml", inventory=inventory_copy)
    assert run.code != 0
    assert "it has no mark of the go-live gate, which alone makes a paper bot live" in words(run)
    assert "nothing was changed" in words(run)


@pytest.mark.usefixtures("untouched")
def test_a_key_that_is_none_of_bitgets_does_not_go_live(vps: Vps, inventory_copy: Path) -> None:
    set_bot1(inventory_copy, golive_gate_max_notional_quote=300)
    run = run_playbook("golive.yml", "-e", "bot=bot1", "-e", "confirm=bot1", inventory=inventory_copy)
    assert run.code != 0
    said = words(run)
    assert "items stand in the way" in said
    assert "bot1 does not go live:" in said
    # The demo's evidence is a recorded market's at ten times its pace.
    assert "market_source recorded, and only relay counts" in said
    assert "no secret" not in run.output
    assert (
        yaml.safe_load((inventory_copy / "bots/bot1.yml").read_text())["bots"]["hosts"]["bot1"]["bot_mode"] == "paper"
    )
    assert not vps.succeeds("test -e /opt/hbot/env/bot1/golive.json")


@pytest.mark.usefixtures("untouched")
def test_it_waits_for_another_run_on_the_vps(held: Callable[[], object], inventory_copy: Path) -> None:
    set_bot1(inventory_copy, golive_gate_max_notional_quote=300)
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(
            run_playbook, "golive.yml", "-e", "bot=bot1", "-e", "confirm=bot1", inventory=inventory_copy
        )
        time.sleep(20)
        assert not asked.done()
        held()
        run = asked.result()
    assert "waiting for a proof of this VPS" in words(run)
    assert "bot1 does not go live:" in words(run), "in its turn it was judged"


@pytest.mark.usefixtures("untouched")
def test_a_rehearsal_takes_no_key_of_the_exchange(inventory_copy: Path) -> None:
    set_bot1(inventory_copy, golive_gate_max_notional_quote=300, golive_gate_profile="rehearsal")
    run = run_playbook("golive.yml", "-e", "bot=bot1", "-e", "confirm=bot1", inventory=inventory_copy)
    assert run.code != 0
    assert "bot1 does not go live:" in words(run)
    assert "exchange" in words(run).split("bot1 does not go live:")[1].split(".")[0]


@pytest.mark.usefixtures("untouched")
def test_an_item_that_cannot_be_waived_is_not(inventory_copy: Path) -> None:
    waivers = {"exchange": "please", "turnover": "", "fortune": "none"}
    set_bot1(inventory_copy, golive_gate_max_notional_quote=300, golive_gate_waivers=waivers)
    run = run_playbook("golive.yml", "-e", "bot=bot1", inventory=inventory_copy)
    assert run.code != 0
    for said in (
        "exchange: this one cannot be waived",
        "turnover: it gives no reason",
        "fortune: there is no such item",
    ):
        assert said in words(run)


def test_the_kill_from_the_operators_machine_needs_no_vps(vps: Vps, inventory_copy: Path, tmp_path: Path) -> None:
    """The VPS's address leads nowhere; the exchange, which a paper exchange plays, is reached from here."""
    bot_key, watchdog_key = played_bitget.new_key(), played_bitget.new_key()
    played_bitget.remove()
    played_bitget.make_network()
    relay = played_bitget.Relay()
    try:
        played_bitget.start("bot1", (bot_key, watchdog_key), "400", "0.0085")
        ca_file = tmp_path / "ca.pem"
        ca_file.write_text(played_bitget.authority())
        where = {"url": f"https://api.bitget.com:{relay.port}", "ca_file": str(ca_file), "address": "127.0.0.1"}
        given = {
            "control_exchange": where,
            "watchdog_api_key": watchdog_key["api_key"],
            "watchdog_api_secret": watchdog_key["secret_key"],
            "watchdog_api_passphrase": watchdog_key["passphrase"],
        }
        arguments = ["-e", "bot=bot1", "-e", "from=controller", "-e", "reason='a test'", "-e", json.dumps(given)]
        nowhere = ["-e", json.dumps({"ansible_host": "198.51.100.254", "ansible_ssh_timeout": 5})]
        drilled = run_playbook("control.yml", *arguments, "-e", "action=drill", inventory=inventory_copy)
        assert drilled.code == 0, drilled.output
        mark = json.loads(vps.run("cat /opt/hbot/evidence/bot1/kill_from_controller.json"))
        assert (mark["ok"], mark["bot"]) == (True, "bot1")
        assert "1 orders cancelled" in mark["detail"]
        killed = run_playbook("control.yml", *arguments, *nowhere, "-e", "action=kill", inventory=inventory_copy)
        assert killed.code == 0, killed.output
        assert "UNREACHABLE" in killed.output
        assert "0 orders cancelled, none open" in words(killed)
        played_bitget.on_vps("docker", "stop", played_bitget.NAME)
        failed = run_playbook(
            "control.yml",
            *arguments,
            "-e",
            "action=drill",
            "-e",
            "reason='the exchange is gone'",
            inventory=inventory_copy,
        )
        assert failed.code != 0
        assert json.loads(vps.run("cat /opt/hbot/evidence/bot1/kill_from_controller.json"))["ok"] is False
    finally:
        relay.close()
        played_bitget.remove()
        vps.run("rm -f /opt/hbot/evidence/bot1/kill_from_controller.json")
