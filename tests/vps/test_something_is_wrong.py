"""The section "Something is wrong" of docs/operating.md, each part tried against the thing broken."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.vps.machine import ROOT, Vps, of_the_day, run_playbook, wait_until

PAGE = (ROOT / "docs/operating.md").read_text().partition("## Something is wrong")[2]
CONTROLLER = "/opt/hbot/data/bot2/conf/controllers/epp_v2_4_bot_d.yml"
NO_ANSWER = "000"
"""As curl has it: Grafana answers 200, what stands in for it here 401."""


def commands(heading: str) -> list[str]:
    """What the page says to type under a heading, for bot2."""
    section = re.split(r"^### ", PAGE.partition(f"### {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    found = [line.strip().replace("bot1", "bot2") for line in section.splitlines() if line.startswith("    ")]
    assert found, f"the page has no {heading!r}"
    return found


def answers(vps: Vps, heading: str) -> str:
    """What those commands say, whatever their exit codes."""
    return "\n".join(str(run.stdout + run.stderr) for run in map(vps.host.run, commands(heading)))


@pytest.fixture
def bot2_comes_back(vps: Vps) -> Iterator[None]:
    """The page's cure is site.yml; after it bot2 is healthy, and no other container was started anew."""
    vps.until_bots_are_well(300)
    others = vps.others("bot2")
    yield
    run = run_playbook("site.yml", "--limit", "bot2")
    assert run.code == 0, run.output
    wait_until("bot2 is healthy", lambda: vps.health("hbot-bot2") == "healthy", 300)
    assert vps.others("bot2") == others


@dataclass(frozen=True)
class Broken:
    """What keeps a bot from starting, and what the page's commands then say."""

    by: str
    said: str


STARTS_NOT = {
    "a wrong password": Broken(
        # Another one each time: site.yml makes keystore and password agree.
        "date +%s%N > /opt/hbot/env/bot2/password && docker restart hbot-bot2",
        "(?i)invalid password",
    ),
    "a configuration that Hummingbot refuses": Broken(
        f"echo 'no_such_key: 1' >> {CONTROLLER} && docker restart hbot-bot2", "no_such_key|Extra inputs"
    ),
    "no image": Broken(
        "docker rm -f hbot-bot2 && docker rmi -f hummingbot/hummingbot:version-2.16.0",
        "No such container",
    ),
}


@pytest.mark.usefixtures("bot2_comes_back")
@pytest.mark.parametrize("broken", of_the_day([pytest.param(one, id=name) for name, one in STARTS_NOT.items()]))
def test_a_bot_does_not_start(vps: Vps, broken: Broken) -> None:
    vps.run(broken.by)
    wait_until(
        f"the page's commands say {broken.said!r}",
        lambda: bool(re.search(broken.said, answers(vps, "A bot does not start"))),
        120,
    )


def test_grafana_does_not_load(vps: Vps) -> None:
    looks, logs, cure = commands("Grafana does not load")
    vps.run("kill -STOP $(docker inspect -f '{{.State.Pid}}' hbot-grafana)")
    assert vps.host.run(f"timeout 10 {looks}").stdout.strip() in ("", NO_ANSWER)
    vps.run(cure)
    wait_until("Grafana answers", lambda: vps.host.run(looks).stdout.strip() not in ("", NO_ANSWER), 120)
    assert vps.succeeds(logs)


def test_a_backup_cannot_be_restored(vps: Vps) -> None:
    repository = "/opt/hbot/backups/repository"
    older, newest = (vps.backed_up("bot2") for _ in range(2))
    before = vps.containers()
    assert newest in answers(vps, "A backup cannot be restored")
    vps.run(f"rm -rf /opt/saved && cp -a {repository} /opt/saved")
    try:
        # What the newest snapshot alone needs.
        vps.run(f"rm -f $(find {repository}/data -type f -newer /opt/hbot/backups/{older})")
        refused = vps.host.run(f"/opt/hbot/scripts/rollback.sh bot2 {newest}")
        assert refused.rc == 1
        assert f"The next older one is {older}." in refused.stderr
        assert vps.containers() == before
    finally:
        vps.run(f"rm -rf {repository} && mv /opt/saved {repository}")
