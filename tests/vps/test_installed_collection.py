"""The built tarball, installed into an empty directory, converges the same VPS."""

import subprocess
from pathlib import Path

import pytest

from tests.vps.machine import INVENTORY, ROOT, run_playbook


def test_the_installed_collection_converges_the_vps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(
        ["ansible-galaxy", "collection", "build", "--output-path", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (tarball,) = tmp_path.glob("hbot-infra-*.tar.gz")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    # From here on nothing of the checkout is on Ansible's paths.
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", str(elsewhere))
    monkeypatch.delenv("ANSIBLE_CONFIG", raising=False)
    subprocess.run(
        ["ansible-galaxy", "collection", "install", "--offline", "-p", str(elsewhere), str(tarball)],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    run = run_playbook("hbot.infra.site", inventory=INVENTORY, cwd=elsewhere)
    assert run.code == 0, run.output
    assert {host: run.changed(host) for host in ("vps1", "bot1", "bot2")} == {"vps1": 0, "bot1": 0, "bot2": 0}
