"""Docker's firewall rules, missed on each family: by told commands, for the embedded VPS's Docker leaves IPv6 alone."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

JUMP, CHAIN = "-C FORWARD -j DOCKER-USER", "-n -L DOCKER"
RULES = "-A FORWARD -j DOCKER-USER\n-A FORWARD -o hb-1 -j DOCKER\n-A DOCKER-USER -i hb-+ -j RETURN\n"
ALL = {f"{family} {rule}" for family in ("iptables", "ip6tables") for rule in (JUMP, CHAIN)}


@pytest.fixture
def lacks(
    load_module: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[set[str]], bool]:
    """Whether rules are missed where only these commands succeed, and Docker runs with a directory's interfaces."""
    module = load_module("docker_daemon")
    monkeypatch.setattr(module, "INTERFACES", tmp_path)
    monkeypatch.setattr(module.shutil, "which", lambda name, path: name)

    def judged(succeed: set[str]) -> bool:
        def run_command(command: list[str]) -> tuple[int, str, str]:
            words = " ".join(command).replace("--wait 10 ", "")
            return 0 if command[0] == "systemctl" or words in succeed else 1, RULES, ""

        return bool(module.lacks_rules(SimpleNamespace(params={"config": {}}, run_command=run_command)))

    return judged


def test_a_family_whose_rule_is_gone_is_noticed(lacks: Callable[[set[str]], bool]) -> None:
    assert not lacks(ALL)
    assert lacks(ALL - {f"iptables {JUMP}"})
    assert lacks(ALL - {f"ip6tables {JUMP}"})


def test_a_docker_that_leaves_ipv6_alone_lacks_nothing(lacks: Callable[[set[str]], bool]) -> None:
    assert not lacks({f"iptables {JUMP}", f"iptables {CHAIN}"})


def test_a_network_whose_rules_are_gone_is_noticed_though_another_has_its_own(
    lacks: Callable[[set[str]], bool], tmp_path: Path
) -> None:
    for interface in ("hb-1", "eth0", "br-lan"):
        (tmp_path / interface).mkdir()
    assert not lacks(ALL)
    (tmp_path / "hb-2").mkdir()
    assert lacks(ALL)
