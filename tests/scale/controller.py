"""What a fleet costs the machine that ansible-playbook runs on."""

from pathlib import Path

from tests.scale.fleet import ROOT, Size, write_inventory
from tests.scale.measured import Cost, measure

PLAYS = Path(__file__).resolve().parent / "plays"


def _playbook(size: Size, play: str, *arguments: str) -> Cost:
    inventory = write_inventory(size)
    command = ["ansible-playbook", "-i", str(inventory), str(PLAYS / play), "-e", f"scale_root={ROOT}", *arguments]
    return measure(command, f"{play.removesuffix('.yml')}_{size.bots}")


def load(size: Size) -> Cost:
    """Read the inventory."""
    return measure(["ansible-inventory", "-i", str(write_inventory(size)), "--list"], f"load_{size.bots}")


def preflight(size: Size) -> Cost:
    """Judge every variable of every bot, and every machine: what every playbook begins with."""
    return _playbook(size, "machines.yml")


def fragments(size: Size) -> Cost:
    """Render the compose fragments of up to 100 bots: one task, which reaches no machine."""
    return _playbook(size, "fragments.yml", "--limit", "bots[0:99]")


def role(size: Size) -> Cost:
    """Two roles of a bot in check mode: two module runs a bot, all of them here."""
    return _playbook(size, "role.yml", "--check")


def waiting(size: Size, forks: int) -> Cost:
    """Three tasks that take a host a second each, so many hosts at a time."""
    return _playbook(size, "forks.yml", "--forks", str(forks))
