"""The quick-reference commands of the original, typed on the VPS, do what they did there."""

import re

from tests.vps.machine import ROOT, Vps, wait_until

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
    wait_until("bot1 is healthy", lambda: vps.health("hbot-bot1") == "healthy", timeout_s=300)


TYPED = re.compile(r"docker |ls |ufw |fail2ban-client |timedatectl|bash scripts/(status|backup|add-bot)\.sh")


def commands_that_work() -> list[str]:
    """Those that work as they were, by the page that says what became of the original's commands."""
    page = (ROOT / "docs/bots.md").read_text()
    rows = re.findall(r"^\| (`.+`) \| (?:works?|prints)\b", page, re.MULTILINE)
    found = [command for row in rows for command in re.findall(r"`([^`]+)`", row) if TYPED.match(command)]
    assert len(found) >= 18
    return found


def test_what_the_page_says_to_work_works_as_the_original_typed_it(vps: Vps) -> None:
    names = set(vps.containers())
    try:
        for command in commands_that_work():
            place = "/opt/hbot/compose" if command.startswith("docker compose") else "/opt/hbot"
            # Following a log does not end by itself.
            typed = f"timeout 3 {command} || test $? = 124" if " -f " in command else command
            vps.run(f"cd {place} && ({typed}) 2>&1")
            if command.endswith("down") or " stop " in command:
                vps.run(f"{COMPOSE} --profile multi up -d 2>&1")
                assert set(vps.containers()) == names
                vps.until_bots_are_well(300)
    finally:
        vps.run(f"{COMPOSE} --profile multi up -d 2>&1")


def test_the_vps_itself_says_how_its_bots_are(vps: Vps) -> None:
    header, *lines = vps.run("/opt/hbot/scripts/status.sh").splitlines()
    assert header.split()[:3] == ["BOT", "VPS", "MODE"]
    assert {"bot1", "bot2"} <= {line.split()[0] for line in lines if line}
    assert vps.run("/opt/hbot/scripts/health_check.sh") == ""
    vps.run("docker stop hbot-bot2")
    said = vps.run("/opt/hbot/scripts/health_check.sh; echo exit code $?")
    vps.run("docker start hbot-bot2")
    assert said.splitlines()[0].startswith("bot2: its container is exited")
    assert "exit code 2" in said
    wait_until("bot2 is healthy", lambda: vps.health("hbot-bot2") == "healthy", timeout_s=300)


def test_the_logs_say_what_the_bot_does(vps: Vps) -> None:
    wait_until("bot1 says that it is ready", lambda: "Ready to quote" in vps.run(f"{COMPOSE} logs bot1 2>&1"), 60)
    assert "INFO" in vps.run("docker logs --tail 5 hbot-bot1 2>&1")
