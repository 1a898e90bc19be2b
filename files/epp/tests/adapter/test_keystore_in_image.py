"""The keystore by Hummingbot's own code, in the bot image: written, kept, rotated, re-encrypted, never half."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from .conftest import FILES, HOME, IMAGE, USER, docker, own

pytestmark = pytest.mark.bot_image

KEYS = {"api_key": "paper_one", "secret_key": "secret one", "passphrase": "phrase one"}
OTHER = {"api_key": "paper_two", "secret_key": "secret two", "passphrase": "phrase two"}

READ = """
import asyncio, json, sys
sys.path.insert(0, "/home/hummingbot")
asyncio.set_event_loop(asyncio.new_event_loop())
from pathlib import Path
from controllers.epp.keystore import Keystore
from hummingbot.client.config.config_crypt import ETHKeyFileSecretManger
from hummingbot.client.config.security import Security
password = sys.stdin.read()
keystore = Keystore(Path("/home/hummingbot/conf"))
opens = keystore.password_opens(password)
Security.secrets_manager = ETHKeyFileSecretManger(password)
print(json.dumps({"opens": opens, "keys": keystore.read("bitget") if opens else None}))
"""


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A bot's conf/, with nothing in it."""
    path = tmp_path / "conf"
    (path / "connectors").mkdir(parents=True)
    own(tmp_path)
    return path


def in_image(conf: Path, program: list[str], stdin: str) -> tuple[int, dict[str, Any]]:
    """Run a program in the image as module bot_keystore does; the exit code and the last line."""
    out = docker(
        "run", "--rm", "-i", "--network=none", "--cap-drop=ALL", "--read-only", "--tmpfs=/tmp", f"--user={USER}:{USER}",
        f"--tmpfs={HOME}/logs", f"--tmpfs={HOME}/data", "-e", "HOME=/tmp", "-e", "PYTHONDONTWRITEBYTECODE=1",
        "-v", f"{conf}:{HOME}/conf", "-v", f"{FILES}/epp:{HOME}/controllers/epp:ro", IMAGE,
        "sh", "-c", 'out=$("$@"); echo "$?"; echo "$out" | tail -n 1', "sh", *program, stdin=stdin, timeout=600,
    )  # fmt: skip
    code, answer = out.strip().splitlines()[-2:]
    return int(code), json.loads(answer)


def write(conf: Path, password: str, keys: dict[str, str], /, **more: Any) -> tuple[int, dict[str, Any]]:
    """Ask for a keystore; ``more`` adds to what is given, or replaces it."""
    given = {"connector": "bitget", "password": password, "keys": keys} | more
    return in_image(conf, ["python", f"{HOME}/controllers/epp/keystore.py"], json.dumps(given))


def held(conf: Path, password: str) -> dict[str, str] | None:
    """What the keystore gives to whoever has the password."""
    _, answer = in_image(conf, ["python", "-c", READ], password)
    if not answer["opens"]:
        return None
    return {name.removeprefix("bitget_"): value for name, value in answer["keys"].items()}


def contents(conf: Path) -> dict[str, bytes]:
    """Every file by path."""
    return {str(path.relative_to(conf)): path.read_bytes() for path in conf.rglob("*") if path.is_file()}


def test_it_is_written_once_and_rotated_by_other_keys(conf: Path) -> None:
    assert write(conf, "password", KEYS)[1]["changed"] is True
    first = contents(conf)
    assert held(conf, "password") == KEYS
    assert write(conf, "password", KEYS) == (0, {"changed": False, "connector": "bitget"})
    assert contents(conf) == first
    assert all((conf / name).stat().st_mode & 0o777 == 0o600 for name in first)
    code, done = write(conf, "password", OTHER)
    assert (code, done["changed"], done["password_changed"]) == (0, True, False)
    assert held(conf, "password") == OTHER
    assert contents(conf)[".password_verification"] == first[".password_verification"]
    assert not any(b"secret two" in data or b"phrase two" in data for data in contents(conf).values())


def test_another_password_encrypts_anew(conf: Path) -> None:
    write(conf, "password", KEYS)
    code, done = write(conf, "another", KEYS)
    assert (code, done["password_changed"]) == (0, True)
    assert held(conf, "password") is None
    assert held(conf, "another") == KEYS


@pytest.mark.parametrize(
    ("keys", "more"),
    [
        ({"api_key": "only"}, {}),
        (OTHER, {"connector": "no_such_exchange"}),
        (OTHER, {"password": "two\nlines"}),
        (OTHER, {"replace": False}),
    ],
    ids=["keys missing", "no such connector", "a bad password", "not to be replaced"],
)
def test_the_old_keystore_stays_when_the_new_one_is_refused(
    conf: Path, keys: dict[str, str], more: dict[str, Any]
) -> None:
    write(conf, "password", KEYS)
    before = contents(conf)
    code, answer = write(conf, "password", keys, **more)
    assert code == 2
    assert "secret" not in json.dumps(answer).replace("secret_key", "").replace("other secrets", "")
    assert contents(conf) == before
    assert held(conf, "password") == KEYS


def test_a_full_disk_leaves_the_old_keystore(conf: Path, tmp_path: Path) -> None:
    """No new file can be made: the old one is kept until the new one is proven to decrypt."""
    write(conf, "password", KEYS)
    before = contents(conf)
    (conf / "connectors").chmod(0o500)
    conf.chmod(0o500)
    code, answer = write(conf, "password", OTHER)
    conf.chmod(0o750)
    (conf / "connectors").chmod(0o700)
    assert code == 1
    assert "the old one is in place" in answer["error"]
    assert contents(conf) == before
    assert held(conf, "password") == KEYS


def test_a_rotation_killed_half_way_is_undone_by_the_next(conf: Path) -> None:
    """The new connector file is in place and the backup is complete: as kill -9 leaves it between two renames."""
    write(conf, "password", KEYS)
    backup = conf / ".keystore-before"
    backup.mkdir(mode=0o700)
    shutil.copy2(conf / ".password_verification", backup)
    shutil.copy2(conf / "connectors/bitget.yml", backup)
    (backup / "new").write_text("bitget")
    (backup / "complete").touch()
    (conf / "connectors/bitget.yml").write_text("half")
    own(conf)
    assert write(conf, "password", KEYS) == (0, {"changed": False, "connector": "bitget"})
    assert held(conf, "password") == KEYS
    assert not backup.exists()
