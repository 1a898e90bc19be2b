"""A bare VPS converges itself by scripts/deploy.sh, and says why before it does anything when it cannot."""

import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from embedded_vps import layout
from tests.vps.machine import KEYS, OPERATOR, ROOT, STANDS_IN, Vps, embedded_vps

pytestmark = [pytest.mark.vps, pytest.mark.campaign]

CHECKOUT = "/srv/hbot-infra"
WHEELS = "/srv/wheels"
SSH = ["ssh", "-i", str(KEYS / "id_ed25519"), "-o", f"UserKnownHostsFile={KEYS}/known_hosts", "-o", "BatchMode=yes"]
DEPLOY_S = 2400


def on_vps(command: str, user: str = "root", given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run a shell command on the VPS as somebody who logs in."""
    return subprocess.run(
        [*SSH, f"{user}@{layout.VPS.v4}", command], input=given, capture_output=True, timeout=DEPLOY_S, check=False
    )


def packed(files: dict[str, Path]) -> bytes:
    """An archive of files under these names."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for name, path in files.items():
            archive.add(path, name, recursive=False)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def bare() -> None:
    """A bare VPS with a checkout of this project, and the packages of its lock for the VPS's own Python."""
    embedded_vps("reset")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    wheels = ROOT / "build" / "controller_wheels"
    download = ["pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--python-version", "3.13"]
    subprocess.run([*download, "-d", str(wheels), "-r", str(ROOT / "requirements.lock")], check=True, timeout=900)
    for place, files in (
        (CHECKOUT, {name: ROOT / name for name in listed.rstrip("\0").split("\0")}),
        (WHEELS, {path.name: path for path in wheels.iterdir()}),
    ):
        done = on_vps(f"mkdir -p {place} && tar -xzf - -C {place}", given=packed(files))
        assert done.returncode == 0, done.stderr


def test_it_refuses_before_anything_is_done(bare: None) -> None:
    hidden = (
        f"mv .ssh/authorized_keys k; bash {CHECKOUT}/scripts/deploy.sh; code=$?; mv k .ssh/authorized_keys; exit $code"
    )
    without_key = on_vps(hidden)
    assert without_key.returncode == 64
    assert b"no public key of yours" in without_key.stderr
    no_root = on_vps(f"runuser -u nobody -- bash {CHECKOUT}/scripts/deploy.sh")
    assert no_root.returncode == 64
    assert b"sudo bash scripts/deploy.sh" in no_root.stderr
    assert on_vps(f"test ! -e {CHECKOUT}/.venv -a ! -e {CHECKOUT}/inventories/self").returncode == 0


def test_the_vps_converges_itself_and_bars_root(bare: None) -> None:
    deploy = (
        f"PIP_NO_INDEX=1 PIP_FIND_LINKS={WHEELS} bash {CHECKOUT}/scripts/deploy.sh -e '{json.dumps(STANDS_IN)}' 2>&1"
    )
    done = on_vps(deploy)
    assert done.returncode == 0, done.stdout[-6000:].decode()
    assert on_vps("true").returncode == 255, "root logs in no more"
    again = on_vps(f"sudo {deploy}", OPERATOR)
    assert again.returncode == 0, again.stdout[-6000:].decode()
    assert b"changed=0" in again.stdout
    vps = Vps()
    vps.until_bots_are_well(180)
    mode = vps.run(
        f"stat -c '%a %U' {CHECKOUT}/inventories/self/host_vars/vps1/secrets.yml /root/.ssh/hbot_self"
    ).split()
    assert mode == ["600", "root", "600", "root"]


def test_the_originals_two_commands_are_carried_out_there(bare: None) -> None:
    vps = Vps()
    file = vps.run("/opt/hbot/scripts/add-bot.sh bot3 2>/dev/null")
    assert "bot_vps: vps1" in file
    assert vps.host.run("/opt/hbot/scripts/add-bot.sh Bot_3").rc == 64
    assert vps.host.run("/opt/hbot/scripts/add-bot.sh bot1").rc == 64
    plan = vps.run(f"/opt/hbot/scripts/update.sh --check -e '{json.dumps(STANDS_IN)}' 2>&1")
    assert "bot1 runs hummingbot/hummingbot:version-2.16.0" in plan
