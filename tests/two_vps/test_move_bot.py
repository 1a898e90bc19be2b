"""A bot moves between VPSs: one instance at any time, nothing lost; where it does not come up, it goes back."""

import os
import re
import signal
import subprocess
from pathlib import Path

from tests.vps.machine import ROOT, Vps, run_playbook, wait_until

BOOK = "/opt/hbot/data/bot1/logs/epp_v24/bot1_a/fills.csv"


def goes_to(inventory: Path, vps: str) -> None:
    """Say in the bot's file where it is to be."""
    file = inventory / "bots" / "bot1.yml"
    file.write_text(re.sub(r"bot_vps: \w+", f"bot_vps: {vps}", file.read_text()))


def of_bot1(vps: Vps) -> list[str]:
    """The names of its containers on a machine, running or not."""
    return vps.run("docker ps --all --format '{{.Names}}' | grep bot1 || true").split()


def secrets(vps: Vps) -> str:
    """Hashes of what is secret of it, that of its exchange as well."""
    return vps.run("cd /opt/hbot/env && find bot1 bot1-exchange -type f ! -name golive.json | sort | xargs sha256sum")


def test_a_bot_moves_whole_and_runs_on_one_machine_only(both: tuple[Vps, Vps], inventory: Path) -> None:
    old, new = both
    wait_until("bot1 has a fill", lambda: bool(old.fills_book("bot1")), timeout_s=420)
    others = {name: at for name, at in old.containers().items() if "bot1" not in name}
    known = secrets(old)

    refused = run_playbook("move_bot.yml", "-e", "bot=bot1", "-e", "from=vps1", inventory=inventory)
    assert refused.code != 0
    assert "Nothing was done." in refused.output

    goes_to(inventory, "vps2")
    moved = run_playbook("move_bot.yml", "-e", "bot=bot1", "-e", "from=vps1", inventory=inventory)
    assert moved.code == 0, moved.output[-6000:]
    assert of_bot1(old) == []
    assert new.health("hbot-bot1") == "healthy"
    assert secrets(new) == known
    saved = old.run("cat $(ls -d /opt/hbot/retired/bot1_* | tail -n 1)/data/logs/epp_v24/bot1_a/fills.csv")
    assert saved
    assert new.run(f"cat {BOOK}").startswith(saved)
    log = "cat /opt/hbot/data/bot1/logs/logs_*.log"
    wait_until("it has reconciled", lambda: new.succeeds(f"{log} | grep -i 'restored from bot1_'"), timeout_s=180)
    wait_until("it quotes again", lambda: bool(new.exchange("bot1", "orders")), timeout_s=300)
    wait_until(
        "its books are its exchange's",
        lambda: (
            {str(fill["tradeId"]) for fill in new.exchange("bot1", "fills")}
            == {row["trade_id"] for row in new.fills_book("bot1")}
        ),
        60,
    )
    assert {name: at for name, at in old.containers().items() if "bot1" not in name} == others
    for vps in both:
        assert not vps.succeeds("test -e /opt/hbot/backups/.move/bot1"), (
            "its secrets lie where they were carried through"
        )
    again = run_playbook("site.yml", inventory=inventory)
    assert again.code == 0, again.output[-6000:]
    assert again.changed("bot1") == 0


def test_a_move_that_was_killed_after_bringing_the_bot_is_finished(both: tuple[Vps, Vps], inventory: Path) -> None:
    """What it traded there meanwhile stays, and nothing older is started. It goes from the second VPS to the first."""
    first, second = both
    goes_to(inventory, "vps1")
    arguments = ["move_bot.yml", "-e", "bot=bot1", "-e", "from=vps2"]
    process = subprocess.Popen(
        ["ansible-playbook", "-i", str(inventory), *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_until("it is brought", lambda: first.succeeds("test -e /opt/hbot/compose/bot1.yml"), 240, 0.5)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)
    finished = run_playbook(*arguments, inventory=inventory)
    assert finished.code == 0, finished.output[-6000:]
    assert of_bot1(second) == []
    assert first.health("hbot-bot1") == "healthy"
    saved = second.run("cat $(ls -d /opt/hbot/retired/bot1_* | tail -n 1)/data/logs/epp_v24/bot1_a/fills.csv")
    assert first.run(f"cat {BOOK}").startswith(saved)
    back = run_playbook("move_bot.yml", "-e", "bot=bot1", "-e", "from=vps1", inventory=inventory)
    assert back.code != 0, "the inventory has it on vps1"
    goes_to(inventory, "vps2")
    back = run_playbook("move_bot.yml", "-e", "bot=bot1", "-e", "from=vps1", inventory=inventory)
    assert back.code == 0, back.output[-6000:]


def test_a_bot_that_does_not_come_up_there_runs_where_it_was(both: tuple[Vps, Vps], inventory: Path) -> None:
    """It is on the second machine now, and is to go back to the first with an image that there is not."""
    first, second = both
    saved = second.run(f"cat {BOOK}")
    goes_to(inventory, "vps1")
    nowhere = "bot_image=hummingbot/hummingbot:version-2.99.0"
    failed = run_playbook("move_bot.yml", "-e", "bot=bot1", "-e", "from=vps2", "-e", nowhere, inventory=inventory)
    goes_to(inventory, "vps2")
    assert failed.code != 0
    assert "bot1 was started again on vps2" in failed.output
    assert of_bot1(first) == []
    wait_until("it is healthy", lambda: second.health("hbot-bot1") == "healthy", 300)
    assert second.run(f"cat {BOOK}").startswith(saved)
    assert not first.succeeds("test -e /opt/hbot/data/bot1 -o -e /opt/hbot/env/bot1 -o -e /opt/hbot/compose/bot1.yml")
    wait_until("it quotes again", lambda: bool(second.exchange("bot1", "orders")), timeout_s=300)
