"""A bot that is taken off leaves nothing running and loses nothing; brought back, it reconciles first."""

from pathlib import Path

from tests.vps.machine import Vps, run_playbook, wait_until

BOOK = "logs/epp_v24/bot2_d/minute.csv"


def test_it_is_put_away_whole_and_brought_back_from_the_backup(vps: Vps, inventory_copy: Path) -> None:
    others = vps.others("bot2")
    refused = run_playbook("remove_bot.yml", "-e", "bot=bot2", inventory=inventory_copy)
    assert refused.code != 0
    assert "Nothing was done." in refused.output

    removed = run_playbook("remove_bot.yml", "-e", "bot=bot2", "-e", "confirm=bot2", inventory=inventory_copy)
    assert removed.code == 0, removed.output
    assert "bot2: stopped, no order is left" in removed.output
    assert not (inventory_copy / "bots" / "bot2.yml").exists()
    assert not vps.succeeds("docker ps -a --format '{{.Names}}' | grep bot2")
    assert not vps.succeeds("test -e /opt/hbot/data/bot2 -o -e /opt/hbot/compose/bot2.yml -o -e /opt/hbot/env/bot2")
    shared = "/opt/hbot/compose/docker-compose.yml /opt/hbot/monitoring/textfile/hbot_backup.prom"
    assert "bot2" not in vps.run(f"cat {shared}")
    rows = vps.run(f"cat /opt/hbot/retired/bot2_*/data/{BOOK}")

    assert "soft_pause: reconcile" in vps.run("/opt/hbot/scripts/host_backup rebuild bot2")
    back = run_playbook("site.yml", "--limit", "bot2")
    assert back.code == 0, back.output
    assert vps.run(f"cat /opt/hbot/data/bot2/{BOOK}").startswith(rows)
    log = "cat /opt/hbot/data/bot2/logs/logs_*.log"
    wait_until("it has reconciled", lambda: vps.succeeds(f"{log} | grep -i 'restored from bot2_'"), timeout_s=300)
    assert vps.others("bot2") == others
    vps.run("rm -rf /opt/hbot/retired")
