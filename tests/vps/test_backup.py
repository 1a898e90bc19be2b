"""Backups of a running VPS: whole, read back by the run itself, and intact whatever happens to the one being made."""

import os
import re
from collections.abc import Iterator

import pytest

from tests.vps.machine import Vps, run_playbook

AT = os.environ.get("HBOT_EMBEDDED_BACKUP_AT", "04:00")
BACKUPS = "/opt/hbot/backups"
BACKUP = "/opt/hbot/scripts/backup.sh"
HOST_BACKUP = "/opt/hbot/scripts/host_backup"
SETTINGS = "/opt/hbot/env/backup/settings.json"
METRICS = "/opt/hbot/monitoring/textfile/hbot_backup.prom"
FLIP_A_BIT = (
    "import sys; file = open(sys.argv[1], 'r+b'); file.seek(700); (byte,) = file.read(1); "
    "file.seek(700); file.write(bytes([byte ^ 1]))"
)


def metric(vps: Vps, name: str, **labels: str) -> float:
    """One value of the metrics file."""
    wanted = ",".join(f'{key}="{value}"' for key, value in labels.items())
    line = next(
        line for line in vps.run(f"cat {METRICS}").splitlines() if line.startswith(f"hbot_backup_{name}{{{wanted}}}")
    )
    return float(line.rpartition(" ")[2])


def snapshots(vps: Vps) -> list[str]:
    """The names of all snapshots, by their manifests."""
    return [name for name in vps.run(f"ls {BACKUPS}").split() if re.fullmatch(r"[a-z0-9-]+_\d{8}_\d{6}", name)]


@pytest.fixture
def saved(vps: Vps) -> Iterator[None]:
    """The backups are put back as they were when the test ends."""
    if not any(name.startswith("bot2_") for name in snapshots(vps)):
        vps.run(f"{BACKUP} bot2")
    vps.run(f"rm -rf /opt/saved && cp -a {BACKUPS} /opt/saved")
    yield
    vps.run(f"find {BACKUPS} -mindepth 1 -delete && cp -a /opt/saved/. {BACKUPS}/ && rm -rf /opt/saved")
    vps.run(f"test ! -e /opt/settings || mv /opt/settings {SETTINGS}")
    vps.run("test ! -e /opt/key || mv /opt/key /opt/hbot/env/backup/password")
    vps.run(f"{BACKUP} bot2")


def test_every_set_is_backed_up_and_no_bot_is_stopped(vps: Vps) -> None:
    before = vps.containers()
    run = run_playbook("backup.yml")
    assert run.code == 0, run.output
    assert "the local repository was read back (100%)" in run.output
    assert vps.containers() == before
    assert {name.rsplit("_", 2)[0] for name in snapshots(vps)} >= {"bot1", "bot2", "environment"}
    assert metric(vps, "last_attempt_succeeded", set="bot1", repository="local") == 1
    assert metric(vps, "verify_succeeded", repository="local") == 1


def test_what_is_restored_is_what_is_there(vps: Vps) -> None:
    vps.run(f"{BACKUP} bot2")
    name = [name for name in snapshots(vps) if name.startswith("bot2_")][-1]
    restic = f"restic -q -r {BACKUPS}/repository --password-file /opt/hbot/env/backup/password"
    vps.run(f"rm -rf /opt/restored && {restic} restore latest --host bot2 --target /opt/restored")
    try:
        for directory in ("conf", "scripts", "pmm_scripts"):
            vps.run(f"diff -r --no-dereference /opt/hbot/data/bot2/{directory} /opt/restored/data/bot2/{directory}")
        vps.run("diff -r /opt/hbot/compose/bot2.yml /opt/restored/compose/bot2.yml")
        assert not vps.succeeds("find /opt/restored -name '*.log*' | grep .")
        book = "data/bot2/logs/epp_v24/bot2_d/minute.csv"
        vps.run(f"cmp -n $(stat -c %s /opt/restored/{book}) /opt/restored/{book} /opt/hbot/{book}")
        assert f'"snapshot": "{name}"' in vps.run("cat /opt/restored/manifest.json")
    finally:
        vps.run("rm -rf /opt/restored")


def test_the_drill_restores_and_checks_every_set(vps: Vps) -> None:
    said = vps.run(f"{HOST_BACKUP} drill")
    assert all(f"{name}_" in said for name in ("bot1", "bot2", "environment"))
    assert metric(vps, "drill_succeeded", set="bot1") == 1
    assert not vps.succeeds(f"test -e {BACKUPS}/.drill")


def test_what_there_is_to_roll_back_to_is_listed_while_a_backup_is_read_back(vps: Vps) -> None:
    repository = f"{BACKUPS}/repository"
    check = f"restic -q -r {repository} --password-file /opt/hbot/env/backup/password check --read-data"
    # Stopped as soon as it has its lock, which is exclusive, and let go on afterwards.
    held = f"{check} & p=$!; until ls {repository}/locks | grep -q .; do sleep 0.01; done; kill -STOP $p"
    said = vps.run(f"{held}; /opt/hbot/scripts/rollback.sh bot2 --list; code=$?; kill -CONT $p; wait $p && exit $code")
    assert "bot2_" in said


def test_it_runs_by_itself_every_night_and_a_drill_every_month(vps: Vps) -> None:
    for timer, when in (("hbot-backup", f"*-*-* {AT}:00 UTC"), ("hbot-restore-drill", f"*-*-01 {AT}:00 UTC")):
        shown = vps.run(f"systemctl show {timer}.timer -p TimersCalendar -p Persistent -p ActiveState -p UnitFileState")
        assert when in shown
        assert all(line in shown for line in ("Persistent=yes", "ActiveState=active", "UnitFileState=enabled"))
    vps.run("systemctl start hbot-backup.service")
    assert "Result=success" in vps.run("systemctl show hbot-backup.service -p Result")


@pytest.mark.usefixtures("saved")
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (
            f'f=$(find {{r}}/data -type f -size +1k | sort | head -1); python3 -c "{FLIP_A_BIT}" $f',
            "does not pass its check",
        ),
        (
            "f=$(find {r}/data -type f -size +1k | sort | head -1); chmod u+w $f; truncate -s -100 $f",
            "does not pass its check",
        ),
        ("rm -f $(find {r}/data -type f | sort | head -1)", "does not pass its check"),
        (
            "cp /opt/hbot/env/backup/password /opt/key; echo wrong > /opt/hbot/env/backup/password",
            "wrong password or no key found",
        ),
        ("rm -rf {r}", "is gone, or its place is empty"),
    ],
    ids=["a flipped bit", "a file cut short", "a file gone", "a wrong password", "no repository"],
)
def test_damage_is_noticed_by_the_run_and_nothing_is_dropped(vps: Vps, harm: str, said: str) -> None:
    before, containers = snapshots(vps), vps.containers()
    vps.run(harm.format(r=f"{BACKUPS}/repository") + " 2>/dev/null")
    run = vps.host.run(f"{BACKUP} bot2")
    assert run.rc == 1
    assert said in run.stderr
    assert metric(vps, "last_attempt_succeeded", set="bot2", repository="local") == 0
    assert snapshots(vps) == before
    assert vps.containers() == containers


@pytest.mark.usefixtures("saved")
def test_a_full_disk_is_refused_and_the_backups_from_before_are_intact(vps: Vps) -> None:
    size = int(vps.run(f"du -sk {BACKUPS}").split()[0])
    with vps.on_a_file_system_of_its_own(BACKUPS, f"{size + 1500}k") as small:
        before = snapshots(vps)
        run = vps.host.run(f"{BACKUP} bot2")
        assert run.rc == 1
        assert "MiB free, and this backup wants" in run.stderr
        assert metric(vps, "last_attempt_succeeded", set="bot2", repository="local") == 0
        # Even when the space is gone only while it writes: restic publishes a snapshot last.
        vps.run(f'cp {SETTINGS} /opt/settings && sed -i \'s/"reserve_mb": [0-9]*/"reserve_mb": 0/\' {SETTINGS}')
        vps.run(f"mount -o remount,size=100% {small}")
        taken = f"[ -e {BACKUPS}/.stage/manifest.json ]"
        # Again and again: what is written between the look at its size and the change of it makes the kernel refuse.
        full = f"mount -o remount,size=$(du -sk {BACKUPS} | cut -f1)k {small}"
        fill = f"n=0; until {taken} && {full} || [ $((n += 1)) -gt 6000 ]; do sleep 0.01; done"
        run = vps.host.run(f"({fill}) & {BACKUP} bot2; code=$?; wait; exit $code")
        assert run.rc == 1
        assert re.search("did not take the backup|No space left", run.stderr)
        vps.run(f"mount -o remount,size=100% {small}")
        assert snapshots(vps) == before
        vps.run(f"restic -q -r {BACKUPS}/repository --password-file /opt/hbot/env/backup/password check --read-data")


@pytest.mark.usefixtures("saved")
@pytest.mark.parametrize(
    ("limit", "lift", "said"),
    [
        ("remount,ro", "remount,rw", "(?i)read-only file system"),
        ("remount,nr_inodes={inodes}", "remount,nr_inodes=100000", "inodes left|(?i:no space left)"),
    ],
    ids=["a read-only file system", "a full inode table"],
)
def test_a_place_that_takes_no_file_is_refused_and_the_backups_from_before_are_intact(
    vps: Vps, limit: str, lift: str, said: str
) -> None:
    with vps.on_a_file_system_of_its_own(BACKUPS, "2g") as small:
        before, containers = snapshots(vps), vps.containers()
        inodes = int(vps.run(f"find {small} | wc -l")) + 4
        vps.run(f"mount -o {limit.format(inodes=inodes)} {small}")
        run = vps.host.run(f"{BACKUP} bot2")
        assert run.rc == 1
        assert re.search(said, run.stderr), run.stderr
        assert metric(vps, "last_attempt_succeeded", set="bot2", repository="local") == 0
        vps.run(f"mount -o {lift} {small}")
        assert snapshots(vps) == before
        assert vps.containers() == containers
        vps.run(f"restic -q -r {BACKUPS}/repository --password-file /opt/hbot/env/backup/password check --read-data")
        vps.run(f"{BACKUP} bot2")
