"""Converging again changes nothing, and one bot's trouble is its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vps.machine import Vps, run_playbook

BOTS = ("bot1", "bot2")
CONVERGED = ("vps1", *BOTS)


def test_converging_a_second_time_changes_nothing_and_restarts_nothing(vps: Vps) -> None:
    before = vps.containers()
    run = run_playbook("site.yml")
    assert run.code == 0, run.output
    assert {host: run.changed(host) for host in CONVERGED} == dict.fromkeys(CONVERGED, 0)
    assert vps.containers() == before


def test_check_and_diff_report_nothing_on_a_converged_vps(vps: Vps) -> None:
    before = vps.containers()
    run = run_playbook("site.yml", "--check", "--diff")
    assert run.code == 0, run.output
    assert {host: run.changed(host) for host in CONVERGED} == dict.fromkeys(CONVERGED, 0)
    assert "+++ after" not in run.output
    assert vps.containers() == before


def test_a_drifted_file_is_put_right(vps: Vps) -> None:
    password = "/opt/hbot/env/bot1/password"
    vps.run(f"chmod 0644 {password}")
    run = run_playbook("site.yml", "--limit", "bot1")
    assert run.code == 0, run.output
    assert vps.run(f"stat -c %a {password}").strip() == "600"


@pytest.fixture
def broken_bot2(vps: Vps) -> Iterator[str]:
    """bot2's fragment with a line that is no YAML; mended afterwards."""
    fragment = "/opt/hbot/compose/bot2.yml"
    vps.run(f"cp -a {fragment} {fragment}.kept && echo ': : [broken' >> {fragment}")
    yield fragment
    vps.run(f"mv {fragment}.kept {fragment}")


def test_bot1_is_operable_while_bot2s_fragment_is_broken(vps: Vps, broken_bot2: str) -> None:
    compose = "docker compose -p hbot -f /opt/hbot/compose/bot1.yml"
    vps.run(f"{compose} stop bot1 2>&1")
    assert vps.run("docker inspect -f '{{.State.Running}}' hbot-bot1").strip() == "false"
    vps.run(f"{compose} start bot1 2>&1")
    run = run_playbook("site.yml", "--limit", "bot1")
    assert run.code == 0, run.output
    assert vps.health("hbot-bot1") == "healthy"


@pytest.fixture
def taken_books(vps: Vps) -> Iterator[None]:
    """Somebody else has the books of bot2's exchange, which is gone; it is there again afterwards."""
    lock = "/opt/hbot/data/bot2/exchange/state/lock"
    vps.run("docker rm -f hbot-bot2-exchange")
    vps.run(f"systemd-run --quiet --collect --unit=taken-books flock {lock} sleep 600")
    yield
    vps.run("systemctl stop taken-books.service")
    assert run_playbook("site.yml", "--limit", "bot2").code == 0


@pytest.mark.usefixtures("taken_books")
def test_a_bot_whose_exchange_cannot_start_fails_with_the_exchanges_own_words(vps: Vps) -> None:
    run = run_playbook("site.yml", "--limit", "bot2")
    assert run.code != 0
    assert "is in use by another paper exchange" in run.output
    assert vps.health("hbot-bot1") == "healthy"


def test_an_unknown_inventory_is_refused(tmp_path: Path) -> None:
    run = run_playbook("site.yml", inventory=tmp_path / "nowhere")
    assert run.code != 0
