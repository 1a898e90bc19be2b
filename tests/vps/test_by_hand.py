"""The quick-reference commands of the original, typed on the VPS, do what they did there."""

from tests.vps.machine import Vps, wait_until

COMPOSE = "cd /opt/hbot/compose && docker compose --env-file ../env/.env"


def test_up_with_all_profiles_finds_everything_as_it_should_be(vps: Vps) -> None:
    before = vps.containers()
    vps.run(f"{COMPOSE} --profile multi up -d 2>&1")
    assert vps.containers() == before
    assert {name for name in before if f"{name} " in vps.run(f"{COMPOSE} --profile multi ps 2>&1")} == set(before)


def test_one_bot_is_stopped_and_started(vps: Vps) -> None:
    before = vps.containers()
    vps.run(f"{COMPOSE} stop bot1 2>&1")
    assert set(vps.containers()) == set(before) - {"hbot-bot1"}
    vps.run(f"{COMPOSE} up -d 2>&1")
    after = vps.containers()
    assert after["hbot-bot1"][0] == before["hbot-bot1"][0], "it is the same container"
    assert {name: after[name] for name in before if name != "hbot-bot1"} == {
        name: before[name] for name in before if name != "hbot-bot1"
    }
    wait_until("bot1 is healthy", lambda: vps.health("hbot-bot1") == "healthy", timeout_s=180)


def test_the_logs_say_what_the_bot_does(vps: Vps) -> None:
    wait_until("bot1 says that it is ready", lambda: "Ready to quote" in vps.run(f"{COMPOSE} logs bot1 2>&1"), 60)
    assert "INFO" in vps.run("docker logs --tail 5 hbot-bot1 2>&1")
