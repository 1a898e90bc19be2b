"""A secret put into the inventory appears nowhere but in the files that are made to hold it."""

import base64
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vps.machine import Vps, run_playbook

PASSWORD = "canary-password-7f3a91"
API_SECRET = "canary-secret-c05b2e"
CANARIES = (PASSWORD, API_SECRET)

BOT_FILE = f"""
bots:
  hosts:
    canary:
      bot_vps: vps1
      bot_mode: paper
      bot_variant: d
      bot_password: {PASSWORD}
      bot_api_key: paper_canary
      bot_api_secret: {API_SECRET}
      bot_api_passphrase: canarypassphrase
"""


@pytest.fixture
def canary_bot(vps: Vps, inventory_copy: Path) -> Iterator[Path]:
    """An inventory with a bot whose secrets are canaries; the bot leaves the VPS afterwards."""
    (inventory_copy / "bots" / "canary.yml").write_text(BOT_FILE)
    yield inventory_copy
    vps.remove_bot("canary")


def spelled(canary: str) -> str:
    """A shell expression that yields `canary` without writing it, since sudo logs the commands of these tests."""
    return f'"$(echo {base64.b64encode(canary.encode()).decode()} | base64 -d)"'


class CommandLines:
    """Collects every command line seen on the VPS while the block runs."""

    def __init__(self, vps: Vps) -> None:
        self._vps = vps

    def __enter__(self) -> "CommandLines":
        self._vps.run(
            "systemd-run --unit=command-lines --collect sh -c "
            '\'while :; do cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" " "; sleep 0.05; done > /run/command-lines\''
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._vps.run("systemctl stop command-lines")

    def contain(self, word: str) -> bool:
        """Whether `word` was on any of them."""
        return bool(self._vps.host.run(f"grep -qF {spelled(word)} /run/command-lines").rc == 0)


def test_a_canary_stays_where_it_belongs(vps: Vps, canary_bot: Path) -> None:
    with CommandLines(vps) as command_lines:
        run = run_playbook("site.yml", "--limit", "canary", "-vvv", "--diff", inventory=canary_bot)
    assert run.code == 0, run.output[-4000:]
    inspected = vps.run("docker inspect $(docker ps -aq)")
    for canary in CANARIES:
        assert canary not in run.output
        assert not command_lines.contain(canary)
        assert canary not in inspected
        holders = vps.run(f"grep -rlsF {spelled(canary)} / --exclude-dir=proc --exclude-dir=sys; true").split()
        assert holders, f"{canary} is in no file at all: the bot cannot have got it"
        modes = {path: vps.run(f"stat -c %a {path}").strip() for path in holders}
        assert set(modes.values()) == {"600"}, modes


def test_command_lines_are_really_seen(vps: Vps) -> None:
    """The proof above cannot pass because nothing was looked at."""
    with CommandLines(vps) as command_lines:
        worker = threading.Thread(target=vps.run, args=("sleep 6.375",))
        worker.start()
        worker.join()
    assert command_lines.contain("6.375")
