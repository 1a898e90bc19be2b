"""What ends in its middle, by the end of power, engine, line or program: the same command then ends well."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.campaigns import record
from tests.campaigns.killed_playbooks import OF_MOST_ROLES, RULES, RULES_IN_EFFECT, kill_now
from tests.campaigns.lost_power import Undisturbed, booted, converge, healed, state
from tests.vps.machine import TODAY, PlaybookRun, Vps, of_the_day, run_playbook, wait_until

BACKUPS = "/opt/hbot/backups"
CHANGE = f"{BACKUPS}/.change/bot2/journal.json"
CUT_S = 75
SSH_IS_CUT = "-p tcp --dport 22 -j DROP"

JOURNALD = "/etc/systemd/journald.conf.d/hbot.conf"

TASKS = 60
"""No more than begin in a run that changes little."""


@contextmanager
def going_on(playbook: str, *words: str, inventory: Path) -> Iterator[list[PlaybookRun]]:
    """A playbook at work meanwhile; how it ended is in the list afterwards."""
    ended: list[PlaybookRun] = []
    worker = threading.Thread(target=lambda: ended.append(run_playbook(playbook, *words, inventory=inventory)))
    worker.start()
    try:
        yield ended
    finally:
        worker.join()


def as_soon_as(vps: Vps, condition: str, then: str) -> None:
    """Have the VPS itself do something once a shell condition holds; the connection may be gone by then."""
    vps.run(f"systemd-run --quiet --collect --unit=as-soon-as sh -c 'until {condition}; do sleep 0.05; done; {then}'")


@pytest.fixture
def converged(vps: Vps) -> Iterator[None]:
    """bot2 is what the inventory says when the test ends, and bot3 is gone."""
    yield
    if vps.succeeds("systemctl is-active as-soon-as.service"):
        vps.run("systemctl stop as-soon-as.service")
    if vps.succeeds("test -e /opt/hbot/compose/bot3.yml"):
        vps.remove_bot("bot3")
    run = run_playbook("site.yml", "--limit", "bot2")
    assert run.code == 0, run.output
    vps.until_bots_are_well(300)


@pytest.mark.usefixtures("converged")
def test_an_update_whose_docker_is_killed_is_finished_by_the_next_one(vps: Vps, inventory_copy: Path) -> None:
    file = inventory_copy / "bots" / "bot2.yml"
    file.write_text(file.read_text() + "      bot_total_amount_quote: 611\n")
    before, engine = vps.others("bot2"), vps.run("pidof dockerd")
    as_soon_as(vps, f"grep -q switching {CHANGE} 2>/dev/null", "sleep 2; kill -9 $(pidof dockerd)")
    with going_on("update.yml", "--limit", "bot2", "-e", "soak=5", inventory=inventory_copy):
        pass
    assert vps.run("pidof dockerd") != engine, "the engine was killed"

    run = run_playbook("update.yml", "--limit", "bot2", "-e", "soak=5", inventory=inventory_copy)
    assert run.code == 0, run.output
    assert "611" in vps.run("cat /opt/hbot/data/bot2/conf/controllers/epp_v2_4_bot_d.yml")
    assert vps.health("hbot-bot2") == "healthy"
    names = vps.run("docker ps -a --format '{{.Names}}' --filter label=hbot.bot=bot2").split()
    assert sorted(names) == ["hbot-bot2", "hbot-bot2-exchange"]
    assert vps.others("bot2") == before
    assert not vps.succeeds(f"test -e {CHANGE}")


@pytest.mark.usefixtures("converged")
@pytest.mark.parametrize(
    ("playbook", "words", "moment"),
    of_the_day(
        [
            pytest.param("site.yml", (), "[ -e /run/hbot/lock.json ]", id="site.yml"),
            pytest.param("add_bot.yml", ("-e", "bot=bot3"), "[ -d /opt/hbot/data/bot3 ]", id="add_bot.yml"),
        ]
    ),
)
def test_a_cut_line_costs_a_second_run_and_nothing_else(
    vps: Vps, inventory_copy: Path, playbook: str, words: tuple[str, ...], moment: str
) -> None:
    before = vps.others("bot3")
    as_soon_as(vps, moment, f"sleep 1; iptables -I INPUT {SSH_IS_CUT}; sleep {CUT_S}; iptables -D INPUT {SSH_IS_CUT}")
    with going_on(playbook, *words, inventory=inventory_copy) as first:
        wait_until("the line is cut", lambda: not vps.answers(), 120, poll_s=0.5)
    wait_until("the line is back", vps.answers, CUT_S + 60)
    print(f"the run whose line was cut ended with {first[0].code}")

    run = run_playbook(playbook, *words, inventory=inventory_copy)
    assert run.code == 0, run.output
    assert vps.others("bot3") == before
    assert not vps.succeeds("test -e /run/hbot/lock.json")
    assert not vps.succeeds(f"iptables -C INPUT {SSH_IS_CUT}")
    bot3 = playbook == "add_bot.yml"
    if bot3:
        wait_until("bot3 is healthy", lambda: vps.health("hbot-bot3") == "healthy", 300)
        assert vps.succeeds("test -e /opt/hbot/monitoring/targets/bots/bot3.json")
    bots = ("bot1", "bot2", *(("bot3",) if bot3 else ()))
    check = run_playbook("site.yml", "--check", "--limit", ",".join(("vps1", *bots)), inventory=inventory_copy)
    assert check.code == 0, check.output
    assert {name: check.changed(name) for name in bots} == dict.fromkeys(bots, 0)


@pytest.mark.parametrize(
    "doing",
    of_the_day([pytest.param("backup", id="while it is taken"), pytest.param("check", id="while it is read back")]),
)
def test_a_killed_backup_stands_in_no_other_ones_way(vps: Vps, doing: str) -> None:
    before = vps.containers()
    # Restic is killed and what runs it, so that neither can tidy up: its lock on the repository stays.
    both = 'pkill -9 -f "python3 -B -m host_[b]ackup"; pkill -9 -x restic'
    as_soon_as(vps, f'pgrep -f "[r]estic.* {doing} "', both)
    assert not vps.succeeds("systemctl start hbot-backup.service")
    wait_until("it was killed", lambda: not vps.succeeds("systemctl is-active as-soon-as.service"), 60)
    assert not vps.succeeds("pgrep -x restic")

    name = vps.backed_up("bot2")
    assert vps.run("/opt/hbot/scripts/rollback.sh bot2 --list").count(name) == 1
    assert not vps.succeeds(f"test -e {BACKUPS}/.stage")
    assert vps.run(f"find {BACKUPS}/repository/locks -type f") == ""
    assert vps.containers() == before


@pytest.mark.usefixtures("converged")
def test_a_loss_of_power_costs_a_second_run_and_nothing_else(vps: Vps) -> None:
    """At another task each day; `make lost-power` has all of a first run's."""
    before, later = state(vps), state(vps)
    moving = [name for name in before.keys() | later.keys() if before.get(name) != later.get(name)]
    vps.run(f"rm {' '.join(OF_MOST_ROLES)} /opt/hbot/compose/bot2.yml")
    at = TODAY * 7 % TASKS
    tasks, code, said = converge(lambda begun: len(begun) == at + 1)
    assert code is None, f"the run ended at task {len(tasks)}: {said}"
    print(f"power was lost at task {at}: {tasks[-1]}")
    _, open_ports = booted()
    assert not open_ports

    run = run_playbook("site.yml")
    assert run.code == 0, run.output
    assert not healed(vps, Undisturbed(record.commit(), tasks, before, moving))


@pytest.mark.parametrize(
    ("drifts", "killed_at", "in_effect"),
    of_the_day(
        [
            pytest.param(
                f"echo '# drifted' >> {JOURNALD}",
                "The host's packages are installed, from the lists that the host has",
                f"[ $(systemctl show -P ActiveEnterTimestamp --timestamp=unix systemd-journald | tr -d @)"
                f" -gt $(stat -c %Y {JOURNALD}) ]",
                id="journald",
            ),
            pytest.param(
                'sed -i \'s/"live-restore": true/"live-restore": false/\' /etc/docker/daemon.json;'
                " systemctl reload docker",
                "Reload Docker",
                "docker info -f '{{.LiveRestoreEnabled}}' | grep true",
                id="Docker",
            ),
            pytest.param(
                f"rm {RULES}; docker exec hbot-prometheus sh -c 'kill -HUP 1'",
                "The bot exporter and the machine's facts run as their units say",
                RULES_IN_EFFECT,
                id="Prometheus",
            ),
        ]
    ),
)
def test_what_a_killed_run_wrote_and_nothing_follows_yet_is_followed_after_the_next_one(
    vps: Vps, drifts: str, killed_at: str, in_effect: str
) -> None:
    vps.run(drifts)
    _, code, said = converge(lambda begun: begun[-1].endswith(killed_at), how=lambda run: kill_now(run, whole=True))
    assert code is None, f"no task {killed_at!r}: {said}"
    assert not vps.succeeds(in_effect), "it was killed in between"

    check = run_playbook("site.yml", "--check")
    assert check.code == 0, check.output
    assert check.changed("vps1") > 0, "a check announces it"
    run = run_playbook("site.yml")
    assert run.code == 0, run.output
    wait_until("it is in effect", lambda: vps.succeeds(in_effect), 30)
    assert run_playbook("site.yml", "--check").changed("vps1") == 0
