"""docs/first_vps.md, typed from its first command to its last on a clean clone, against a bare embedded VPS."""

import os
import re
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

from embedded_vps import layout
from tests.vps.machine import KEYS, ROOT, STANDS_IN, Vps, embedded_vps, wait_until

pytestmark = [pytest.mark.vps, pytest.mark.campaign]

PAGE = ROOT / "docs/first_vps.md"
TYPED = re.compile(r"git |cd |make |export |ssh |cp |sed |\(umask |ansible-")
BLOCK_S = 1800


def steps() -> dict[str, list[str]]:
    """The commands of the page, by the headline that they stand under."""
    found: dict[str, list[str]] = {}
    for part in PAGE.read_text().split("\n## ")[1:]:
        headline = part.splitlines()[0]
        found[headline] = [line for line in re.findall(r"^    (\S.*)$", part, re.MULTILINE) if TYPED.match(line)]
    return found


def filled_in(command: str) -> str:
    """A command as the operator of the embedded VPS types it."""
    for place, value in (
        ("<this repository>", str(ROOT)),
        ("<your VPS's address>", str(layout.VPS.v4)),
        ("<a password you choose>", "correct horse battery staple"),
    ):
        command = command.replace(place, value)
    # The page's address is in the example that is to be replaced, too.
    return command if command.startswith("sed ") else command.replace("203.0.113.10", str(layout.VPS.v4))


class Newcomer:
    """A machine of one's own: a home with a key, a directory, one terminal."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.before: list[str] = []
        ssh = home / ".ssh"
        ssh.mkdir(mode=0o700, parents=True)
        for name in ("id_ed25519", "id_ed25519.pub"):
            shutil.copy(KEYS / name, ssh / name)
        # `yes`, said to the fingerprint. ssh takes the home from the password file, not from HOME: it is told.
        (ssh / "config").write_text(
            f"StrictHostKeyChecking accept-new\nUserKnownHostsFile {ssh}/known_hosts\nIdentityFile {ssh}/id_ed25519\n"
        )

    def types(self, command: str) -> str:
        """What one command says, in a terminal in which the `cd` and `export` of before still hold."""
        ssh = f"-F {self.home}/.ssh/config"
        terminal = "\n".join(
            (
                "set -e",
                f'ssh() {{ command ssh {ssh} "$@"; }}',
                f"export ANSIBLE_SSH_ARGS='{ssh} -o ControlMaster=auto -o ControlPersist=60s'",
                *self.before,
                command,
            )
        )
        kept = ("PATH", "LANG", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PYENV_ROOT")
        done = subprocess.run(
            ["bash", "-c", terminal],
            cwd=self.home,
            env={"HOME": str(self.home)} | {name: os.environ[name] for name in kept if name in os.environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=BLOCK_S,
            check=False,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout[-4000:]}"
        if command.startswith(("cd ", "export ")):
            self.before.append(command)
        return done.stdout


def test_a_newcomer_gets_from_a_bare_vps_to_a_paper_bot(tmp_path: Path) -> None:
    embedded_vps("reset")
    newcomer = Newcomer(tmp_path / "home")
    for headline, commands in steps().items():
        if headline.startswith("8."):
            Vps().until_bots_are_well(300)
        for command in commands:
            begun = time.monotonic()
            if command.startswith("ssh -N "):
                sees_grafana_through(newcomer, filled_in(command))
                continue
            said = newcomer.types(filled_in(command))
            print(f"{time.monotonic() - begun:6.1f} s  {command}")
            if command.startswith("cp -r "):
                everywhere = newcomer.home / "hbot.infra/inventories/mine/group_vars/all.yml"
                everywhere.parent.mkdir()
                everywhere.write_text(yaml.safe_dump(STANDS_IN))
            if command.endswith("status.yml"):
                assert re.search(r"^ *bot1 +vps1 +paper .* healthy +(running|soft_pause)", said, re.MULTILINE), said
    mine = newcomer.home / "hbot.infra/inventories/mine"
    assert (mine / "host_vars/vps1/vault.yml").read_text().startswith("$ANSIBLE_VAULT;")
    assert (mine / "backup_key_vps1.txt").stat().st_mode & 0o077 == 0


def sees_grafana_through(newcomer: Newcomer, tunnel: str) -> None:
    """Grafana is at the tunnel's end."""
    config = f"ssh -F {newcomer.home}/.ssh/config"
    with subprocess.Popen(tunnel.replace("ssh", config, 1).split()) as ssh:
        try:
            wait_until("Grafana is at the tunnel's end", grafana_answers, 30)
        finally:
            ssh.terminate()


def grafana_answers() -> bool:
    """Whether the tunnel leads to it."""
    try:
        with urllib.request.urlopen("http://localhost:3000/api/health", timeout=5) as page:
            return bool(page.status == 200)
    except OSError:
        return False


@pytest.mark.parametrize("named", ["<this repository>", "<your VPS's address>", "<a password you choose>"])
def test_every_place_that_the_test_fills_in_is_on_the_page(named: str) -> None:
    assert named in PAGE.read_text()
