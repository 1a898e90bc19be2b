"""A VPS that is lost: a new machine and the offsite repository give every bot back, with its fills and its state."""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded_vps import layout
from tests.offsite.conftest import Server, sftp
from tests.vps.machine import Vps, embedded_vps, run_playbook, wait_until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """An SFTP server on this machine, which outlives the VPS."""
    made = sftp(tmp_path, str(layout.GATEWAY.v4))
    yield made
    os.killpg(made.process.pid, signal.SIGKILL)


@pytest.fixture
def offsite(server: Server, inventory_copy: Path, vps: Vps) -> Iterator[Path]:
    """An inventory whose VPS backs up to that server as well."""
    hosts = inventory_copy / "hosts.yml"
    key = server.secrets["offsite_ssh_key"].replace("\n", "\\n")
    known = server.secrets["offsite_known_hosts"].strip()
    told = (
        "hbot_allow_debian: true\n"
        f'      host_backup_offsite: "{server.offsite.repository}"\n'
        f'      host_backup_offsite_secret_ssh_key: "{key}"\n'
        f'      host_backup_offsite_host_key: "{known}"'
    )
    hosts.write_text(re.sub(r"hbot_allow_debian: true", lambda _: told, hosts.read_text()))
    yield inventory_copy
    run = run_playbook("site.yml")
    assert run.code == 0, run.output
    assert vps.health("hbot-bot1") == "healthy"


def test_the_offsite_repository_alone_brings_every_bot_back(vps: Vps, offsite: Path) -> None:
    run = run_playbook("site.yml", "--limit", "vps1", inventory=offsite)
    assert run.code == 0, run.output
    wait_until("bot1 has a fill", lambda: bool(vps.fills_book("bot1")), timeout_s=420)
    # Before the backup: what is booked while it is made, it may or may not have.
    saved = vps.run("cat /opt/hbot/data/bot1/logs/epp_v24/bot1_a/fills.csv")
    run = run_playbook("backup.yml", inventory=offsite)
    assert run.code == 0, run.output
    assert "offsite repository was read back" in run.output
    repository = "/opt/hbot/backups/repository"
    password = vps.run("sha256sum /opt/hbot/env/bot1/password")
    assert vps.succeeds(f"test -e {repository}")

    embedded_vps("kill")
    embedded_vps("reset")
    began = time.monotonic()
    run = run_playbook("rebuild.yml", "-e", "vps=vps1", inventory=offsite)
    assert run.code == 0, run.output
    vps.until_bots_are_well(300)
    print(f"a lost VPS was back after {time.monotonic() - began:.0f} s")

    assert vps.run("sha256sum /opt/hbot/env/bot1/password") == password
    wait_until(
        "its books go on",
        lambda: vps.run("cat /opt/hbot/data/bot1/logs/epp_v24/bot1_a/fills.csv").startswith(saved),
        30,
    )
    wait_until(
        "every fill is booked",
        lambda: (
            {str(fill["tradeId"]) for fill in vps.exchange("bot1", "fills")}
            == {row["trade_id"] for row in vps.fills_book("bot1")}
        ),
        120,
    )
    log = "cat /opt/hbot/data/bot1/logs/logs_*.log"
    wait_until("it has reconciled", lambda: vps.succeeds(f"{log} | grep -i 'restored from bot1_'"), timeout_s=300)
    wait_until("bot1 quotes again", lambda: bool(vps.exchange("bot1", "orders")), timeout_s=300)
