"""The module hbot.infra.bot_keystore. A program in docker's place writes what Hummingbot's own code would."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="the module gives files to root and to the bot's user")

# The real one is tried in the bot image and on the embedded VPS. This one keeps what it was told, to look into.
DOCKER = """\
#!/usr/bin/env python3
import json, os, pathlib, secrets, sys
told = pathlib.Path(os.environ["TOLD"])
given = json.loads(sys.stdin.read())
call = {"argv": sys.argv, "given": given, "env": dict(os.environ)}
(told / str(len(list(told.iterdir())))).write_text(json.dumps(call))
if given["password"] == "refused":
    print(json.dumps({"error": "field 'password' is not liked"}))
    sys.exit(2)
mount = next(arg for arg in sys.argv if arg.endswith("target=/home/hummingbot/conf"))
conf = pathlib.Path(mount.split("source=")[1].split(",")[0])
(conf / ".password_verification").write_text(secrets.token_hex(8))
(conf / "connectors" / (given["connector"] + ".yml")).write_text(secrets.token_hex(8))
"""

GIVEN = {
    "password": "canary-password",
    "api_key": "paper_canary-key",
    "api_secret": "canary-secret",
    "api_passphrase": "canary-passphrase",
}

LIVE = GIVEN | {"api_key": "bg_canary-key"}

Run = Callable[..., dict[str, Any]]

MARK = {
    "schema": 1,
    "bot": "bot1",
    "account": "1000000001",
    "max_notional_quote": "300",
    "passed_at": 0.0,
    "expires_at": time.time() + 86_400,
    "strategy_hash": "5" * 16,
    "config_hash": "c" * 16,
    "profile": "money",
    "report": "",
}


def leave_mark(root: Path, **changes: Any) -> None:
    """What the go-live gate leaves for bot1."""
    (root / "env/bot1").mkdir(parents=True, exist_ok=True)
    (root / "env/bot1/golive.json").write_text(json.dumps(MARK | changes))


SHARED = {"data": "0755 0", "env": "0700 0"}
"""What role host_base makes for all bots, and this module leaves as it is."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An installation with nothing in it but the directories that all bots share."""
    path = tmp_path / "hbot"
    for shared, mode in SHARED.items():
        (path / shared).mkdir(parents=True)
        (path / shared).chmod(int(mode.split()[0], 8))
    return path


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the program in docker's place leaves what it was told, a file a call."""
    path, programs = tmp_path / "told", tmp_path / "bin"
    path.mkdir()
    programs.mkdir()
    (programs / "docker").write_text(DOCKER)
    (programs / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("TOLD", str(path))
    return path


@pytest.fixture
def run(root: Path, told: Path, run_module: Callable[..., dict[str, Any]]) -> Run:
    """Runs the module for bot1, a paper bot unless said otherwise."""

    def runner(check: bool = False, **options: Any) -> dict[str, Any]:
        fixed = {
            "root": str(root),
            "bot": "bot1",
            "mode": "paper",
            "connector": "bitget",
            "image": "hummingbot/hummingbot:version-2.16.0",
            "strategy": "/opt/hbot/strategies/0/epp",
            "strategy_hash": "5" * 16,
            "config_hash": "c" * 16,
            "uid": 6420,
            "gid": 6420,
        }
        return run_module("bot_keystore", check, **(fixed | options))

    return runner


def calls(told: Path) -> list[dict[str, Any]]:
    """What docker's stand-in was told, call by call."""
    return [json.loads(path.read_text()) for path in sorted(told.iterdir())]


def modes(root: Path) -> dict[str, str]:
    """Mode and owner of everything, by path."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        found[str(path.relative_to(root))] = f"{status.st_mode & 0o7777:04o} {status.st_uid}"
    return found


def test_a_paper_bots_secrets_are_made_once(run: Run, root: Path, told: Path) -> None:
    first = run()
    assert first["changed"] is True
    credentials = json.loads((root / "env/bot1-exchange/credentials.json").read_text())
    assert set(credentials) == {"api_key", "secret_key", "passphrase"}
    password = (root / "env/bot1/password").read_text()
    assert len(password) > 20
    assert credentials["api_key"].startswith("paper_")
    assert calls(told)[0]["given"] == {
        "connector": "bitget",
        "password": password.rstrip("\n"),
        "keys": credentials,
        "replace": False,
    }
    second = run()
    assert second["changed"] is False
    assert second["diff"] == {"before": "", "after": ""}
    assert second["fingerprint"] == first["fingerprint"]
    assert len(calls(told)) == 1
    assert (root / "env/bot1/password").read_text() == password


def test_secrets_are_readable_by_the_bot_alone(run: Run, root: Path) -> None:
    run(**GIVEN)
    assert modes(root) == {
        **SHARED,
        "data/bot1": "0750 6420",
        "data/bot1/conf": "0750 6420",
        "data/bot1/conf/.password_verification": modes(root)["data/bot1/conf/.password_verification"],
        "data/bot1/conf/connectors": "0700 6420",
        "data/bot1/conf/connectors/bitget.yml": modes(root)["data/bot1/conf/connectors/bitget.yml"],
        "env/bot1": "0700 6420",
        "env/bot1/keystore.json": "0600 6420",
        "env/bot1/password": "0600 6420",
        "env/bot1-exchange": "0700 6420",
        "env/bot1-exchange/credentials.json": "0600 6420",
    }


def test_given_secrets_are_used_and_appear_nowhere_else(run: Run, root: Path, told: Path) -> None:
    result = run(**GIVEN)
    assert "canary" not in json.dumps(result)
    [call] = calls(told)
    assert call["given"]["password"] == "canary-password"
    assert "canary" not in json.dumps([call["argv"], call["env"]])
    holding = {
        str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and b"canary" in path.read_bytes()
    }
    assert holding == {"env/bot1/password", "env/bot1-exchange/credentials.json"}


@pytest.mark.parametrize("option", list(GIVEN))
def test_another_secret_writes_the_keystore_anew(run: Run, told: Path, option: str) -> None:
    first = run(**GIVEN)
    second = run(**(GIVEN | {option: "paper_canary-other"}))
    assert second["changed"] is True
    assert second["fingerprint"] != first["fingerprint"]
    assert "canary" not in json.dumps(second)
    assert len(calls(told)) == 2
    assert run(**(GIVEN | {option: "paper_canary-other"}))["changed"] is False


def test_a_secret_that_is_no_longer_given_stays(run: Run) -> None:
    first = run(**GIVEN)
    again = run()
    assert again["changed"] is False
    assert again["fingerprint"] == first["fingerprint"]


NAMES = [".password_verification", "connectors/bitget.yml"]


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_keystore_is_written_anew(run: Run, root: Path, told: Path, name: str) -> None:
    first = run()
    (root / "data/bot1/conf" / name).unlink()
    assert run(check=True)["changed"] is True
    assert len(calls(told)) == 1
    second = run()
    assert second["changed"] is True
    assert second["fingerprint"] == first["fingerprint"]
    assert len(calls(told)) == 2
    assert run()["changed"] is False


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("given", [{}, GIVEN | {"api_secret": "rotated"}])
def test_a_keystore_changed_by_hand_is_named_and_not_overwritten(
    run: Run, root: Path, told: Path, name: str, given: dict[str, str]
) -> None:
    run(**(GIVEN if given else {}))
    path = root / "data/bot1/conf" / name
    path.write_text("by hand")
    password = (root / "env/bot1/password").read_text()
    for check in (True, False):
        refused = run(check=check, **given)
        assert refused["failed"] is True
        assert f"{path} was changed by hand since the last run, and nothing was overwritten" in refused["msg"]
        assert "vault" in refused["msg"]
    assert path.read_text() == "by hand"
    assert (root / "env/bot1/password").read_text() == password
    assert len(calls(told)) == 1
    path.unlink()
    assert run(**given)["changed"] is True


def test_a_keystore_of_unknown_origin_is_not_replaced(run: Run, root: Path, told: Path) -> None:
    run()
    (root / "env/bot1/keystore.json").unlink()
    run()
    assert [call["given"]["replace"] for call in calls(told)] == [False, False]
    run(**GIVEN)
    assert calls(told)[-1]["given"]["replace"] is True


def test_a_run_that_was_cut_short_is_repeated(run: Run, root: Path, told: Path) -> None:
    first = run(password="first")
    assert first["changed"] is True
    refused = run(password="refused")
    assert refused["failed"] is True
    assert (root / "env/bot1/password").read_text() == "first\n"
    assert "is not liked" in refused["msg"]
    assert "refused" not in refused["msg"]
    assert len(calls(told)) == 2
    # It was killed after the keystore and before the record: what lies there is its own, not somebody's.
    (root / "data/bot1/conf/connectors/bitget.yml").write_text("half a rotation")
    assert run(password="accepted")["changed"] is True
    assert run(password="accepted")["changed"] is False


def test_a_broken_record_is_made_anew(run: Run, root: Path) -> None:
    run()
    (root / "env/bot1/keystore.json").write_text("{")
    assert run()["changed"] is True
    assert run()["changed"] is False


def test_a_secret_that_others_could_read_is_closed(run: Run, root: Path, told: Path) -> None:
    run()
    (root / "env/bot1/password").chmod(0o644)
    assert run()["changed"] is True
    assert modes(root)["env/bot1/password"] == "0600 6420"
    assert len(calls(told)) == 1


def test_check_mode_writes_nothing(run: Run, root: Path, told: Path) -> None:
    assert run(check=True)["changed"] is True
    assert modes(root) == SHARED
    assert calls(told) == []


def test_the_keystores_run_has_no_network_and_no_rights(run: Run, told: Path) -> None:
    run()
    argv = calls(told)[0]["argv"]
    assert {
        "--network=none",
        "--cap-drop=ALL",
        "--read-only",
        "--security-opt=no-new-privileges",
        "--user=6420:6420",
    } <= set(argv)
    assert argv[-2:] == ["python", "/home/hummingbot/controllers/epp/keystore.py"]


def test_a_live_bot_needs_the_gate(run: Run, root: Path, told: Path) -> None:
    refused = run(mode="live", **GIVEN)
    assert refused["failed"] is True
    assert str(root / "env/bot1/golive.json") in refused["msg"]
    assert "bot_mode: paper" in refused["msg"]
    assert modes(root) == SHARED
    assert calls(told) == []


def test_a_live_bot_needs_its_own_secrets_and_leaves_none_for_a_paper_exchange(run: Run, root: Path) -> None:
    leave_mark(root)
    refused = run(mode="live", **(LIVE | {"api_passphrase": ""}))
    assert refused["failed"] is True
    assert "bot_api_passphrase" in refused["msg"]
    assert "host_vars/bot1/vault.yml" in refused["msg"]
    assert run(mode="live", **LIVE)["changed"] is True
    assert not (root / "env/bot1-exchange").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"expires_at": 1.0}, "confirmation ended at 1970-01-01 00:00 UTC"),
        ({"strategy_hash": "f" * 16}, "would run"),
        ({"config_hash": "f" * 16}, "would run"),
        ({"bot": "bot7"}, "no mark of the go-live gate for bot1"),
        ({"schema": 0}, "no mark of the go-live gate"),
        ({"expires_at": "soon"}, "no mark of the go-live gate"),
    ],
)
def test_a_mark_of_something_else_makes_nothing_live(
    run: Run, root: Path, told: Path, changes: dict[str, Any], said: str
) -> None:
    leave_mark(root, **changes)
    before = modes(root)
    refused = run(mode="live", **GIVEN)
    assert refused["failed"] is True
    assert said in refused["msg"]
    assert modes(root) == before
    assert calls(told) == []


def test_a_live_key_is_not_used_on_paper(run: Run, root: Path, told: Path) -> None:
    run(**LIVE)
    assert calls(told)[0]["given"]["keys"]["api_key"].startswith("paper_")
    holding = {str(path) for path in root.rglob("*") if path.is_file() and b"canary-key" in path.read_bytes()}
    assert holding == set()
    assert json.loads((root / "env/bot1-exchange/credentials.json").read_text())["secret_key"] != "canary-secret"


def test_a_live_key_with_a_paper_exchange_is_refused(run: Run, root: Path, told: Path) -> None:
    run()
    file = root / "env/bot1-exchange/credentials.json"
    live = {"api_key": LIVE["api_key"], "secret_key": LIVE["api_secret"], "passphrase": LIVE["api_passphrase"]}
    file.write_text(json.dumps(live))
    refused = run(**LIVE)
    assert refused["failed"] is True
    assert "a live key has no business with a paper exchange" in refused["msg"]
    assert "canary" not in json.dumps(refused)
    # Without the vault nobody can tell whose it is: it is not used either.
    assert run()["changed"] is True
    assert json.loads(file.read_text())["api_key"].startswith("paper_")


def test_a_paper_key_is_refused_live(run: Run, root: Path, told: Path) -> None:
    leave_mark(root)
    refused = run(mode="live", **GIVEN)
    assert refused["failed"] is True
    assert "bot_api_key was made for a paper exchange" in refused["msg"]
    assert calls(told) == []


def test_a_rehearsals_mark_is_for_a_paper_key_alone(run: Run, root: Path, told: Path) -> None:
    leave_mark(root, profile="rehearsal")
    refused = run(mode="live", **LIVE)
    assert refused["failed"] is True
    assert "rehearsal" in refused["msg"]
    assert calls(told) == []
    assert run(mode="live", **GIVEN)["changed"] is True


def test_back_on_paper_the_live_keystore_stays_until_the_market_is_left(run: Run, root: Path, told: Path) -> None:
    leave_mark(root)
    run(mode="live", **LIVE)
    before = (root / "data/bot1/conf/connectors/bitget.yml").read_text()
    back = run(**LIVE)
    assert (back["changed"], back["traded_with_money"]) == (False, True)
    assert (root / "data/bot1/conf/connectors/bitget.yml").read_text() == before
    (root / "env/bot1/golive.json").unlink()
    after = run(**LIVE)
    assert (after["changed"], after["traded_with_money"]) == (True, False)
    assert calls(told)[-1]["given"]["keys"]["api_key"].startswith("paper_")


def test_a_link_in_the_place_of_a_secret_is_not_followed(run: Run, root: Path, tmp_path: Path) -> None:
    run()
    outside = tmp_path / "outside"
    outside.write_text("untouched")
    (root / "env/bot1/password").unlink()
    (root / "env/bot1/password").symlink_to(outside)
    assert run(password="new")["failed"] is True
    assert outside.read_text() == "untouched"
