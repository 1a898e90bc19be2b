"""An update ends with every bot well: on its new version, or on what it was, whole, and then the roll stops.

`HBOT_FAULTS=all` (`make updates`) tries every bad image; otherwise one is tried, another each day.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vps.machine import PlaybookRun, Vps, of_the_day, run_playbook

IMAGE = "hummingbot/hummingbot:version-2.16.0"
HBOT = "/opt/conda/envs/hummingbot/bin/hbot"
HOME = "/home/hummingbot"
DATA = "/opt/hbot/data/bot2"

MIGRATE = """\
import pathlib, sqlite3
for path in pathlib.Path("HOME/data").glob("*.sqlite"):
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE only_a_newer_version_knows (x)")
        database.execute("PRAGMA user_version=99")
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        if "TradeFill" in tables:
            database.execute("DELETE FROM TradeFill")
""".replace("HOME", HOME)

ROWS = """\
import glob, sqlite3
for path in sorted(glob.glob("DATA/data/*.sqlite")):
    database = sqlite3.connect(path)
    print(path, database.execute("PRAGMA user_version").fetchall())
    for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='table' ORDER BY name"):
        if name != "Controllers":  # Hummingbot adds a row to it at every start
            print(name, database.execute('SELECT count(*) FROM "' + name + '"').fetchone())
""".replace("DATA", DATA)

WITHIN_S = 90
"""A new version must be healthy by then. A slow machine takes half a minute to find one healthy that is so at once."""

IMAGES = {
    "crashes after 5 s": ("#!/bin/sh\nsleep 5\nexit 7\n", "ended again"),
    "migrates its database and then crashes": (
        f'#!/bin/sh\npython -c "$(cat {HBOT}.py)"\nsleep 2\nexit 7\n',
        "had been migrated: the one from before is back",
    ),
    "rewrites its configuration and then crashes": (
        f"#!/bin/sh\necho 'only: a newer version reads this' > {HOME}/conf/conf_client.yml\nsleep 2\nexit 7\n",
        "ended again",
    ),
    "never gets healthy": ("#!/bin/sh\nexec sleep infinity\n", f"hbot-bot2 is starting after {WITHIN_S} s"),
    "is healthy and does not tick": (
        "#!/bin/sh\nexec python -c 'import time; time.sleep(3600)' hummingbot.cli.engine\n",
        "is healthy and does not tick|became unhealthy|is unhealthy",
    ),
    "does not exist": ("", "docker pull"),
}


def bad_image(vps: Vps, kind: str) -> str:
    """Make a bad image on the VPS, of the bot's own; returns its name."""
    program = IMAGES[kind][0]
    name = f"hummingbot/hummingbot:bad-{list(IMAGES).index(kind)}"
    if program:
        files = {HBOT: program, f"{HBOT}.py": MIGRATE}
        writes = "; ".join(f"open({path!r}, 'w').write({text!r})" for path, text in files.items())
        vps.run("docker rm -f bad 2>/dev/null || true")
        vps.run(f"docker run --name bad {IMAGE} python -c {shlex.quote(writes)}")
        vps.run(f"docker commit bad {name} && docker rm bad")
    return name


def update(inventory: Path, image: str, *words: str) -> PlaybookRun:
    """Give bot2 an image and update it."""
    file = inventory / "bots" / "bot2.yml"
    lines = [line for line in file.read_text().splitlines() if "bot_image" not in line]
    file.write_text("\n".join([*lines, f"      bot_image: {image}"]) + "\n")
    return run_playbook("update.yml", "--limit", "bot2", "-e", "soak=5", *words, inventory=inventory)


def database(vps: Vps) -> str:
    """Schema and rows of bot2's databases."""
    return vps.run(f"python3 - <<'EOP'\n{ROWS}EOP")


@pytest.fixture
def as_before(vps: Vps) -> Iterator[None]:
    """No bad image and no set aside database is left."""
    yield
    vps.run(
        "docker images -q 'hummingbot/hummingbot:bad-*' | xargs -r docker rmi -f; rm -rf /opt/hbot/backups/set_aside"
    )


@pytest.mark.usefixtures("as_before")
@pytest.mark.parametrize("kind", of_the_day(list(IMAGES)), ids=lambda kind: kind.replace(" ", "-"))
def test_a_bot_that_does_not_get_well_is_what_it_was(vps: Vps, inventory_copy: Path, kind: str) -> None:
    image = bad_image(vps, kind)
    others = vps.others("bot2")
    image_id = vps.run("docker inspect -f '{{.Image}}' hbot-bot2")
    conf = vps.run(f"cd {DATA}/conf && sha256sum controllers/* scripts/* connectors/* .password_verification")
    held = database(vps)

    run = update(inventory_copy, image, "-e", f"within={WITHIN_S}")
    assert run.code != 0
    assert any(said in run.output for said in IMAGES[kind][1].split("|")), run.output[-3000:]
    assert "were not touched" in run.output
    down = re.search(r"([\d.]+) s without a healthy bot", " ".join(run.output.split()))
    assert bool(down) == bool(IMAGES[kind][0]), "an image that does not exist stops nothing"
    print(f"an image that {kind}: bot2 was {down[1] if down else 0} s without a healthy container")

    assert vps.health("hbot-bot2") == "healthy"
    assert vps.run("docker inspect -f '{{.Image}}' hbot-bot2") == image_id
    assert vps.run(f"cd {DATA}/conf && sha256sum controllers/* scripts/* connectors/* .password_verification") == conf
    assert "only: a newer" not in vps.run(f"cat {DATA}/conf/conf_client.yml")
    assert database(vps) == held
    assert vps.others("bot2") == others
    assert vps.run("ls /opt/hbot/backups/.change") in ("bot2.lock\n", "bot1.lock\nbot2.lock\n")


def test_the_plan_is_shown_and_nothing_done(vps: Vps, inventory_copy: Path) -> None:
    before = vps.containers()
    run = update(inventory_copy, "hummingbot/hummingbot:version-9.9.9", "--check")
    assert run.code == 0, run.output
    assert f"bot2: {IMAGE} -> hummingbot/hummingbot:version-9.9.9" in run.output
    assert vps.containers() == before


@pytest.mark.usefixtures("as_before")
def test_a_good_image_is_gated_and_reported_and_a_second_run_stops_nothing(vps: Vps, inventory_copy: Path) -> None:
    vps.run(f"docker tag {IMAGE} hummingbot/hummingbot:bad-good")
    others = vps.others("bot2")
    run = update(inventory_copy, "hummingbot/hummingbot:bad-good")
    assert run.code == 0, run.output
    assert "s without a healthy bot" in run.output
    assert vps.run("docker inspect -f '{{.Config.Image}}' hbot-bot2").strip() == "hummingbot/hummingbot:bad-good"
    after = vps.containers()
    assert {name: at for name, at in after.items() if "bot2" not in name} == others
    again = update(inventory_copy, "hummingbot/hummingbot:bad-good")
    assert again.code == 0, again.output
    assert vps.containers() == after
    unproven = update(inventory_copy, "hummingbot/hummingbot:bad-good", "-e", "promote=bot2")
    assert unproven.code != 0
    assert "24 healthy hours are asked for" in " ".join(unproven.output.split())
    run = run_playbook("site.yml", "--limit", "bot2")
    assert run.code == 0, run.output
