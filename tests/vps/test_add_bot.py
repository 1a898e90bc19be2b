"""`add_bot.yml -e bot=bot3` adds one bot and touches no other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vps.machine import Vps, run_playbook, wait_until


@pytest.fixture
def no_bot3(vps: Vps) -> Iterator[None]:
    """bot3 leaves the VPS when the test ends."""
    yield
    vps.remove_bot("bot3")


@pytest.mark.usefixtures("no_bot3")
def test_bot3_paper_trades_and_the_others_never_notice(vps: Vps, inventory_copy: Path) -> None:
    others = ("hbot-bot1", "hbot-bot1-exchange", "hbot-bot2", "hbot-bot2-exchange")
    before = {name: vps.container(name) for name in others}

    first = run_playbook("add_bot.yml", "-e", "bot=bot3", inventory=inventory_copy)
    assert first.code == 0, first.output
    assert (inventory_copy / "bots" / "bot3.yml").is_file()
    wait_until("bot3 has orders on its paper exchange", lambda: bool(vps.exchange("bot3", "orders")), timeout_s=420)
    bot3 = vps.container("hbot-bot3")

    second = run_playbook("add_bot.yml", "-e", "bot=bot3", inventory=inventory_copy)
    assert second.code == 0, second.output
    assert second.changed("bot3") == 0
    assert vps.container("hbot-bot3") == bot3
    assert {name: vps.container(name) for name in others} == before
