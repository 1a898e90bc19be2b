"""The module hbot.infra.tree against real files."""

from __future__ import annotations

import grp
import json
import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path, run_module: Callable[..., dict[str, Any]]) -> Run:
    """Runs the module below tmp_path and returns its result."""

    def runner(*entries: dict[str, Any], check: bool = False, **options: Any) -> dict[str, Any]:
        return run_module("tree", check, root=str(tmp_path), entries=list(entries), **options)

    return runner


def snapshot(root: Path) -> dict[str, tuple[int, str | None]]:
    """Every path below root with its mode and text."""
    return {
        str(path.relative_to(root)): (path.lstat().st_mode, path.read_text() if path.is_file() else None)
        for path in sorted(root.rglob("*"))
    }


TREE: tuple[dict[str, Any], ...] = (
    {"path": "data", "state": "directory", "mode": "0750"},
    {"path": "data/bot1", "state": "directory", "mode": "0700"},
    {"path": "data/bot1/conf.yml", "content": "a: 1\n", "mode": "0640"},
)


def test_a_tree_is_made_and_a_second_run_changes_nothing(run: Run, tmp_path: Path) -> None:
    first = run(*TREE)
    assert first["changed"] is True
    assert first["paths"] == [str(tmp_path / entry["path"]) for entry in TREE]
    assert (tmp_path / "data/bot1/conf.yml").read_text() == "a: 1\n"
    assert (tmp_path / "data/bot1/conf.yml").stat().st_mode & 0o7777 == 0o640
    assert (tmp_path / "data").stat().st_mode & 0o7777 == 0o750
    before = (tmp_path / "data/bot1/conf.yml").stat()
    second = run(*TREE)
    assert second["changed"] is False
    assert second["paths"] == []
    assert second["diff"] == []
    assert (tmp_path / "data/bot1/conf.yml").stat().st_ino == before.st_ino


def test_check_mode_says_the_same_and_touches_nothing(run: Run, tmp_path: Path) -> None:
    predicted = run(*TREE, check=True)
    assert snapshot(tmp_path) == {}
    assert predicted["changed"] is True
    assert run(*TREE) == predicted
    assert run(*TREE, check=True)["changed"] is False


def test_check_mode_on_a_bare_host_knows_no_owner_and_no_parent(run: Run) -> None:
    entry = {"path": "opt/hbot/compose/bot1.yml", "content": "x", "owner": "no-such-user", "group": "no-such-group"}
    predicted = run(entry, check=True)
    assert predicted["changed"] is True
    assert predicted["diff"][0]["after"]["owner"] == "no-such-user"
    refused = run({"path": "a", "state": "directory", "owner": "no-such-user"})
    assert refused["failed"] is True
    assert "no-such-user" in refused["msg"]


def test_a_missing_parent_is_named(run: Run, tmp_path: Path) -> None:
    refused = run({"path": "a/b", "content": ""})
    assert refused["failed"] is True
    assert str(tmp_path / "a/b") in refused["msg"]


def test_owner_and_group_by_name_and_number(run: Run, tmp_path: Path) -> None:
    user, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    assert run({"path": "f", "content": ""}, owner=user, group=group)["changed"] is True
    assert run({"path": "f", "content": ""}, owner=str(os.getuid()), group=str(os.getgid()))["changed"] is False


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_drift_of_owner_and_mode_is_shown_and_repaired(run: Run, tmp_path: Path) -> None:
    run({"path": "f", "content": "x", "owner": "0", "group": "0"})
    os.chown(tmp_path / "f", 6420, 6420)
    (tmp_path / "f").chmod(0o666)
    repaired = run({"path": "f", "content": "x", "owner": "root", "group": "root"})
    assert repaired["diff"] == [
        {
            "before_header": str(tmp_path / "f"),
            "after_header": str(tmp_path / "f"),
            "before": {"path": str(tmp_path / "f"), "state": "file", "mode": "0666", "owner": "6420", "group": "6420"},
            "after": {"path": str(tmp_path / "f"), "state": "file", "mode": "0644", "owner": "root", "group": "root"},
        }
    ]
    status = (tmp_path / "f").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (0, 0, 0o644)


def test_changed_contents_are_a_diff_of_that_file_only(run: Run, tmp_path: Path) -> None:
    run(*TREE)
    changed = run(TREE[0], TREE[1], {**TREE[2], "content": "a: 2\n"})
    path = str(tmp_path / "data/bot1/conf.yml")
    assert changed["paths"] == [path]
    assert changed["diff"] == [{"before_header": path, "after_header": path, "before": "a: 1\n", "after": "a: 2\n"}]


def test_a_secret_is_in_no_part_of_the_result(run: Run, tmp_path: Path) -> None:
    for text in ("canary-1", "canary-2"):
        result = run({"path": "password", "content": text, "mode": "0600", "secret": True})
        assert result["changed"] is True
        assert "canary" not in json.dumps(result)
        assert (tmp_path / "password").read_text() == text
    refused = run({"path": "password", "content": "canary-3", "secret": True, "validate": "grep -v canary %s"})
    assert refused["failed"] is True
    assert "canary-3" not in json.dumps(refused)


def test_contents_are_not_in_the_invocation(run: Run) -> None:
    assert "needle" not in json.dumps(run({"path": "f", "content": "needle"})["invocation"])


def test_one_refused_file_leaves_all_files_as_they_were(run: Run, tmp_path: Path) -> None:
    run({"path": "a", "content": "old a"}, {"path": "b", "content": "old b"})
    before = snapshot(tmp_path)
    refused = run({"path": "a", "content": "new a"}, {"path": "b", "content": "new b", "validate": "grep old %s"})
    assert refused["failed"] is True
    assert str(tmp_path / "b") in refused["msg"]
    assert snapshot(tmp_path) == before
    assert run({"path": "b", "content": "older b", "validate": "grep old %s"})["changed"] is True


def test_a_validate_without_the_file_is_refused(run: Run) -> None:
    assert "%s" in run({"path": "a", "content": "", "validate": "true"})["msg"]


def test_force_false_only_makes_what_is_missing(run: Run, tmp_path: Path) -> None:
    entry = {"path": "state.json", "content": "{}", "force": False, "mode": "0640"}
    assert run(entry)["changed"] is True
    (tmp_path / "state.json").write_text("the bot's own")
    assert run(entry)["changed"] is False
    (tmp_path / "state.json").chmod(0o600)
    assert run(entry)["changed"] is True
    assert (tmp_path / "state.json").read_text() == "the bot's own"
    assert (tmp_path / "state.json").stat().st_mode & 0o7777 == 0o640


def test_keys_are_asserted_and_all_else_is_kept(run: Run, tmp_path: Path) -> None:
    entry = {"path": "conf_client.yml", "keys": {"instance_id": "bot1", "kill_switch_mode": {}, "mqtt.port": 1883}}
    assert run(entry)["changed"] is True
    path = tmp_path / "conf_client.yml"
    assert yaml.safe_load(path.read_text()) == {"instance_id": "bot1", "kill_switch_mode": {}, "mqtt": {"port": 1883}}
    # What Hummingbot does at every start: the same values among comments and its own defaults.
    path.write_text(
        "# a comment\nmqtt: {port: 1883, host: h}\nkill_switch_mode: {}\ninstance_id: bot1\ntick_size: 1.0\n"
    )
    assert run(entry)["changed"] is False
    path.write_text(path.read_text().replace("kill_switch_mode: {}", "kill_switch_mode: {kill_switch_rate: -5}"))
    assert run(entry)["changed"] is True
    after = yaml.safe_load(path.read_text())
    assert after["kill_switch_mode"] == {}
    assert after["tick_size"] == 1.0
    assert after["mqtt"] == {"port": 1883, "host": "h"}


def test_keys_tell_false_from_zero(run: Run, tmp_path: Path) -> None:
    (tmp_path / "c.yml").write_text("send_error_logs: 0\n")
    assert run({"path": "c.yml", "keys": {"send_error_logs": False}})["changed"] is True


def test_keys_of_a_broken_file_are_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "c.yml").write_text("a: [1\n")
    assert str(tmp_path / "c.yml") in run({"path": "c.yml", "keys": {"a": 1}})["msg"]


IMMUTABLE = {
    "path": "strategies/0123456789abcdef",
    "state": "immutable",
    "files": {"epp/__init__.py": {"content": ""}, "epp/core/spread.py": {"content": "FLOOR = 3\n"}},
}


def test_an_immutable_directory_is_there_whole(run: Run, tmp_path: Path) -> None:
    strategies = {"path": "strategies", "state": "directory"}
    predicted = run(strategies, IMMUTABLE, check=True)
    assert run(strategies, IMMUTABLE) == predicted
    assert sorted(path.name for path in (tmp_path / "strategies").iterdir()) == ["0123456789abcdef"]
    assert (tmp_path / "strategies/0123456789abcdef/epp/core/spread.py").read_text() == "FLOOR = 3\n"
    assert run(strategies, IMMUTABLE)["changed"] is False


def test_an_immutable_directory_is_repaired(run: Run, tmp_path: Path) -> None:
    run({"path": "strategies", "state": "directory"}, IMMUTABLE)
    inside = tmp_path / "strategies/0123456789abcdef/epp"
    (inside / "core/spread.py").write_text("FLOOR = 0\n")
    (inside / "core/alien.py").write_text("")
    (inside / "__init__.py").unlink()
    repaired = run(IMMUTABLE)
    assert repaired["paths"] == [
        str(inside / "core/alien.py"),
        str(inside / "__init__.py"),
        str(inside / "core/spread.py"),
    ]
    assert (inside / "core/spread.py").read_text() == "FLOOR = 3\n"
    assert not (inside / "core/alien.py").exists()
    assert run(IMMUTABLE)["changed"] is False


def test_bytes_are_asked_for_only_when_they_are_needed(run: Run, tmp_path: Path) -> None:
    known = {"path": "f", "sha256": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"}  # foo
    assert run(known)["needs"] == [known["sha256"]]
    assert run(known, check=True)["changed"] is True
    assert snapshot(tmp_path) == {}
    (tmp_path / "f").write_text("foo")
    (tmp_path / "f").chmod(0o644)
    unchanged = run(known)
    assert unchanged["changed"] is False
    assert "needs" not in unchanged


def test_prune_removes_what_matches_and_nothing_else(run: Run, tmp_path: Path) -> None:
    for name in ("old.yml", "kept.yml", "notes.txt"):
        (tmp_path / name).write_text("")
    (tmp_path / "deep.yml").mkdir()
    directory = {"path": "conf", "state": "directory", "prune": ["*.yml"]}
    run({"path": "conf", "state": "directory"})
    for name in ("old.yml", "kept.yml", "notes.txt"):
        (tmp_path / "conf" / name).write_text("")
    (tmp_path / "conf/kept.yml").chmod(0o644)
    (tmp_path / "conf/deep.yml").mkdir()
    result = run(directory, {"path": "conf/kept.yml", "content": ""})
    assert result["paths"] == [str(tmp_path / "conf/old.yml")]
    assert sorted(path.name for path in (tmp_path / "conf").iterdir()) == ["deep.yml", "kept.yml", "notes.txt"]


def test_absent_removes_a_file_and_never_a_full_directory(run: Run, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    assert run({"path": "f", "state": "absent"})["changed"] is True
    assert run({"path": "f", "state": "absent"})["changed"] is False
    (tmp_path / "d").mkdir()
    (tmp_path / "d/books.csv").write_text("")
    assert run({"path": "d", "state": "absent"})["failed"] is True
    assert (tmp_path / "d/books.csv").exists()


def test_a_link_in_the_place_of_a_directory_is_refused(run: Run, tmp_path: Path, tmp_path_factory: Any) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (tmp_path / "conf").symlink_to(outside)
    for entry in ({"path": "conf/x", "content": "x"}, {"path": "conf", "state": "directory"}):
        assert str(tmp_path / "conf") in run(entry)["msg"]
    assert list(outside.iterdir()) == []


def test_a_link_in_the_place_of_a_file_is_replaced_not_followed(
    run: Run, tmp_path: Path, tmp_path_factory: Any
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "shadow"
    outside.write_text("untouched")
    (tmp_path / "f").symlink_to(outside)
    result = run({"path": "f", "content": "ours"})
    assert result["diff"][0]["before"]["state"] == "link"
    assert outside.read_text() == "untouched"
    assert not (tmp_path / "f").is_symlink()
    assert (tmp_path / "f").read_text() == "ours"


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "."])
def test_a_path_outside_the_root_is_refused(run: Run, path: str) -> None:
    assert run({"path": path, "content": ""})["failed"] is True


@pytest.mark.parametrize("mode", ["u+x", "0999", "7", "000644"])
def test_a_mode_that_is_not_octal_is_refused(run: Run, mode: str) -> None:
    assert "octal" in run({"path": "f", "content": "", "mode": mode})["msg"]


def test_a_file_where_a_directory_is_and_the_reverse_are_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "f").write_text("")
    assert run({"path": "d", "content": ""})["failed"] is True
    assert run({"path": "f", "state": "directory"})["failed"] is True


def test_a_file_without_contents_is_refused(run: Run) -> None:
    assert run({"path": "f"})["failed"] is True
    assert run({"path": "d", "state": "directory", "content": "x"})["failed"] is True


CONF: tuple[dict[str, Any], ...] = (
    {"path": "conf", "state": "directory"},
    {"path": "conf/scripts", "state": "directory"},
    {"path": "conf/scripts/a.yml", "content": "good: 1\n"},
    {"path": "conf/client.yml", "keys": {"id": "bot1"}},
)
TRIAL = {"path": "conf", "command": "sh -c 'cat $0/scripts/a.yml $0/client.yml && ! grep -rq bad $0' %s"}


def test_files_are_tried_together_before_any_is_put_in_place(run: Run, tmp_path: Path) -> None:
    assert run(*CONF, trial=TRIAL)["changed"] is True
    before = snapshot(tmp_path)
    refused = run(*CONF[:2], {**CONF[2], "content": "bad: 1\n"}, CONF[3], trial=TRIAL)
    assert refused["failed"] is True
    assert "bad: 1\nid: bot1" in refused["msg"]
    assert snapshot(tmp_path) == before


def test_no_change_needs_no_trial(run: Run, tmp_path: Path) -> None:
    run(*CONF, trial=TRIAL)
    never = {"path": "conf", "command": "false %s"}
    assert run(*CONF, trial=never)["changed"] is False
    other = {"path": "elsewhere", "content": "bad"}
    assert run(*CONF, other, trial=never)["changed"] is True
    (tmp_path / "conf/scripts/a.yml").write_text("drift")
    assert run(*CONF, other, trial=never, check=True)["changed"] is True
    assert run(*CONF, other, trial=never)["failed"] is True


def test_what_is_closed_is_closed_at_any_depth_and_links_are_left_alone(run: Run, tmp_path: Path) -> None:
    skeleton, elsewhere = tmp_path / "skel", tmp_path / "elsewhere"
    (skeleton / "bin").mkdir(parents=True)
    for file in (skeleton / ".profile", skeleton / "bin/greet", elsewhere):
        file.touch(0o755)
        file.chmod(0o755)
    (skeleton / "link").symlink_to(elsewhere)
    wanted = {"path": "skel", "state": "directory", "mode": "0750", "closed": True}
    assert run(wanted, check=True)["paths"] == run(wanted)["paths"]
    assert {name: oct(mode & 0o777) for name, (mode, _) in snapshot(skeleton).items() if name != "link"} == {
        ".profile": "0o750",
        "bin": "0o750",
        "bin/greet": "0o750",
    }
    assert elsewhere.stat().st_mode & 0o777 == 0o755
    assert not run(wanted)["changed"]


def test_what_is_looked_for_is_told_and_left_alone(run: Run, tmp_path: Path) -> None:
    assert run(*TREE, looked_for=["data/bot1/*.json"])["found"] == []
    (tmp_path / "data/bot1/latch.json").write_text("{}")
    for check in (False, True):
        told = run(*TREE, looked_for=["data/bot1/*.json"], check=check)
        assert told["found"] == [str(tmp_path / "data/bot1/latch.json")]
        assert not told["changed"]


def test_a_line_is_put_where_it_stands_last_and_once(run: Run, tmp_path: Path) -> None:
    table = tmp_path / "fstab"
    table.write_text("# disks\n/dev/sda1 / ext4\nshm /dev/shm tmpfs defaults\nother /dev/shm tmpfs rw\n")
    entry = {"path": "fstab", "lines": {r"^\S+\s+/dev/shm\s": "tmpfs /dev/shm tmpfs rw,noexec"}}
    wanted = "# disks\n/dev/sda1 / ext4\ntmpfs /dev/shm tmpfs rw,noexec\n"
    assert run(entry, check=True)["changed"]
    assert run(entry)["changed"]
    assert table.read_text() == wanted
    assert not run(entry)["changed"]


def test_a_line_that_is_kept_is_added_where_there_is_none(run: Run, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n203.0.113.7 vps1.example.net vps1")
    entry = {"path": "hosts", "kept_lines": {r"^[^#]*\svps1(\s|$)": "127.0.1.1 vps1"}}
    assert not run(entry)["changed"]
    entry["kept_lines"] = {r"^[^#]*\svps2(\s|$)": "127.0.1.1 vps2"}
    assert run(entry)["changed"]
    assert hosts.read_text() == "127.0.0.1 localhost\n203.0.113.7 vps1.example.net vps1\n127.0.1.1 vps2\n"


def test_of_a_file_that_is_kept_the_mode_alone_is_made(run: Run, tmp_path: Path) -> None:
    crontab = tmp_path / "crontab"
    entry = {"path": "crontab", "state": "kept", "mode": "0600"}
    assert not run(entry, check=True)["changed"], "its package is not installed yet"
    assert "is missing" in run(entry)["msg"]
    crontab.write_text("# jobs\n")
    crontab.chmod(0o644)
    assert run(entry, check=True)["changed"]
    assert run(entry)["paths"] == [str(crontab)]
    assert crontab.stat().st_mode & 0o777 == 0o600
    assert crontab.read_text() == "# jobs\n"
    assert not run(entry)["changed"]


def test_a_kept_file_has_no_contents_of_ours(run: Run) -> None:
    assert "has no contents" in run({"path": "crontab", "state": "kept", "content": "x"})["msg"]


def test_what_nothing_followed_yet_is_said_again_until_somebody_did(run: Run, tmp_path: Path) -> None:
    mark = tmp_path / "run/hbot/pending/role.json"
    mark.parent.parent.parent.mkdir()
    pending = {"path": str(mark), "of": [f"{tmp_path}/*.conf"]}
    entries = ({"path": "a.conf", "content": "a"}, {"path": "b.txt", "content": "b"})

    assert run(*entries, pending=pending, check=True)["changed"] is True
    assert not mark.exists(), "a check leaves nothing behind"
    run(*entries, pending=pending)  # and is stopped here

    announced = run(*entries, pending=pending, check=True)
    assert announced["changed"] is True
    assert announced["diff"] == [
        {"before_header": str(mark), "after_header": str(mark), "before": f"{tmp_path}/a.conf\n", "after": ""}
    ]
    again = run({"path": "c.conf", "content": "c"}, *entries, pending=pending)
    assert again["paths"] == [f"{tmp_path}/a.conf", f"{tmp_path}/c.conf"]

    mark.unlink()
    assert run(*entries, pending=pending)["changed"] is False


def test_a_refused_tree_leaves_nothing_to_follow(run: Run, tmp_path: Path) -> None:
    mark = tmp_path / "pending/role.json"
    entries = ({"path": "etc", "state": "directory"}, {"path": "etc/a.conf", "content": "a"})
    trial = {"path": "etc", "command": "test -d %s/missing"}
    assert run(*entries, trial=trial, pending={"path": str(mark), "of": ["*"]})["failed"] is True
    assert not mark.exists()
