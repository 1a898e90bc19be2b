"""A bot goes back to a snapshot whole, or stays what it is; what it did is never rewound."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vps.machine import Vps, of_the_day, run_playbook, wait_until

ROLLBACK = "/opt/hbot/scripts/rollback.sh"
BACKUPS = "/opt/hbot/backups"
CONTROLLER = "/opt/hbot/data/bot2/conf/controllers/epp_v2_4_bot_d.yml"
STATE = "/opt/hbot/data/bot2/data/epp_v24/bot2_d"
BOOK = "/opt/hbot/data/bot2/logs/epp_v24/bot2_d/minute.csv"


@pytest.fixture
def converged(vps: Vps) -> Iterator[None]:
    """bot2 is what the inventory says when the test ends."""
    yield
    run = run_playbook("site.yml", "--limit", "bot2")
    assert run.code == 0, run.output
    wait_until("bot2 is healthy", lambda: vps.health("hbot-bot2") == "healthy", timeout_s=300)


@pytest.mark.usefixtures("converged")
def test_the_configuration_goes_back_and_what_the_bot_did_stays(vps: Vps, inventory_copy: Path) -> None:
    others = vps.others("bot2")
    old = vps.run(f"cat {CONTROLLER}")
    snapshot = vps.backed_up("bot2")
    file = inventory_copy / "bots" / "bot2.yml"
    file.write_text(file.read_text() + "      bot_total_amount_quote: 777\n")
    changed = run_playbook("site.yml", "--limit", "bot2", inventory=inventory_copy)
    assert changed.code == 0, changed.output
    assert "777" in vps.run(f"cat {CONTROLLER}")
    vps.run(f"touch {STATE}/a_latch")
    rows = vps.run(f"cat {BOOK}")

    run = run_playbook("rollback.yml", "-e", "bot=bot2", "-e", f"snapshot={snapshot}", "-e", "soak=5")
    assert run.code == 0, run.output
    assert f"rolled back to {snapshot}" in run.output
    assert "The inventory still says" in run.output
    assert vps.run(f"cat {CONTROLLER}") == old
    assert vps.health("hbot-bot2") == "healthy"
    assert vps.run(f"cat {BOOK}").startswith(rows)
    vps.run(f"test -e {STATE}/a_latch && rm {STATE}/a_latch")
    assert vps.others("bot2") == others


@pytest.mark.usefixtures("converged")
def test_a_second_time_comes_to_the_same(vps: Vps) -> None:
    snapshot = vps.backed_up("bot2")
    seen = []
    for _ in range(2):
        run = run_playbook("rollback.yml", "-e", "bot=bot2", "-e", f"snapshot={snapshot}", "-e", "soak=5")
        assert run.code == 0, run.output
        directories = "/opt/hbot/data/bot2/conf /opt/hbot/data/bot2/scripts /opt/hbot/data/bot2/pmm_scripts"
        seen.append(vps.run(f"find {directories} -printf '%p %m %u %y\\n' | sort; sha256sum {CONTROLLER}"))
    assert seen[0] == seen[1]


@pytest.mark.usefixtures("converged")
@pytest.mark.parametrize("moment", of_the_day(["while it is brought back", "once the bot is stopped"]))
def test_a_disk_that_is_full_leaves_the_bot_what_it_was(vps: Vps, moment: str) -> None:
    snapshot = vps.backed_up("bot2")
    old, image = vps.run(f"cat {CONTROLLER}"), vps.run("docker inspect -f '{{.Image}}' hbot-bot2")
    with vps.on_a_file_system_of_its_own(BACKUPS, "2g") as small:
        full = f"mount -o remount,size=$(du -sk {BACKUPS} | cut -f1)k {small}"
        before = vps.container("hbot-bot2")
        if moment == "once the bot is stopped":
            journal = f"{BACKUPS}/.change/bot2/journal.json"
            switching = f"until grep -q switching {journal} 2>/dev/null; do sleep 0.05; done"
            # Again and again: what is written between the look at its size and its change makes the kernel refuse.
            again = f"{switching}; until {full}; do sleep 0.01; done"
            vps.run(f"systemd-run --quiet --collect --unit=fills-the-disk sh -c '{again}'")
        else:
            vps.run(full)
        run = vps.host.run(f"{ROLLBACK} bot2 {snapshot} --soak 5")
        assert run.rc == 1
        assert re.search("(?i)no space left|MiB free|disk is full", run.stderr), run.stderr
        assert vps.health("hbot-bot2") == "healthy"
        if moment != "once the bot is stopped":
            assert vps.container("hbot-bot2") == before
        assert vps.run(f"cat {CONTROLLER}") == old
        assert vps.run("docker inspect -f '{{.Image}}' hbot-bot2") == image


def test_what_is_not_this_bots_or_not_whole_is_refused_before_the_bot_is_touched(vps: Vps) -> None:
    before = vps.containers()
    other = vps.backed_up("bot1")
    refused = vps.host.run(f"{ROLLBACK} bot2 {other}")
    assert refused.rc == 1
    assert f"{other} is a backup of bot1, not of bot2: it is refused" in refused.stderr
    run = run_playbook("rollback.yml", "-e", "bot=bot2", "-e", "snapshot=bot2_20200101_000000")
    assert run.code != 0
    assert "there is no backup bot2_20200101_000000; there are:" in run.output
    vps.run("/opt/hbot/scripts/backup.sh bot1 --export")
    archive = vps.run("ls /opt/hbot/backups/bot1_*.tar.gz").split()[-1]
    refused = vps.host.run(f"{ROLLBACK} bot2 {archive}")
    assert "is a backup of bot1, not of bot2: it is refused" in refused.stderr
    member = "m = tarfile.TarInfo('../../evil'); m.size = 1"
    made = f"t = tarfile.open('{archive}', 'w:gz'); t.addfile(m, io.BytesIO(b'x')); t.close()"
    vps.run(f'python3 -c "import io, tarfile; {member}; {made}"')
    refused = vps.host.run(f"{ROLLBACK} bot1 {archive}")
    assert "which leads out of it: it is refused" in refused.stderr
    vps.run(f"rm {archive}")
    assert vps.containers() == before
    assert json.loads(vps.run("cat /opt/hbot/env/backup/settings.json"))["vps"] == "vps1"
