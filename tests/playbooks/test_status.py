"""How the bots are: judged from what they left, shown as a table, read from real books."""

import json
import os
import stat
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils.bot_health import HEADER, Bot, firing, judge, strangers, table, unknown
from plugins.module_utils.csv_rows import count_rows, last_row
from tests.controller import KEY, ROOT_PLAYBOOK, bot, command, write_inventory

NOW = 1_770_000_000.0
STARTED = "2026-02-02T00:00:00.123456789Z"  # two hours and 40 minutes before NOW


def minute(**changes: str) -> dict[str, str]:
    """A fresh minute row of a bot that runs."""
    row = {
        "ts": "2026-02-02T02:39:30.000Z",
        "mode": "paper",
        "state": "running",
        "reasons": "",
        "trading_pair": "BTC-USDT",
    }
    return {**row, "equity_quote": "1000.125", **changes}


def container(**changes: Any) -> dict[str, Any]:
    """A healthy container."""
    own = {"bot": "bot1", "image": "hummingbot/hummingbot:version-2.16.0", "state": "running", "health": "healthy"}
    return {**own, "exit_code": 0, "oom_killed": False, "restarts": 0, "started_at": STARTED, **changes}


def found(
    row: dict[str, str] | None = None, instance: str = "bot1_a", **containers: dict[str, Any] | None
) -> dict[str, Any]:
    """What the module found of bot1; a container that is ``None`` is not there."""
    both = {"bot": container(), "exchange": container(), "watchdog": container(), **containers}
    names = {"bot": "hbot-bot1", "exchange": "hbot-bot1-exchange", "watchdog": "hbot-bot1-watchdog"}
    return {
        "now": NOW,
        "latches": {},
        "containers": {names[key]: value for key, value in both.items() if value is not None},
        "books": {"bot1": {instance: {"minute": row, "fill": {"ts": "2026-02-02T02:00:00.000Z"}, "fills": 3}}},
    }


def bot1(**changes: Any) -> Bot:
    """What the inventory says of bot1."""
    own = {"name": "bot1", "vps": "vps1", "mode": "paper", "variant": "a", "enabled": True, "epp": True}
    return Bot(**{**own, **changes})


def test_a_bot_that_is_well() -> None:
    row = judge(bot1(), found(minute()))
    assert row.faults == ()
    assert row.cells == (
        *("bot1", "vps1", "paper", "version-2.16.0", "healthy", "running"),
        *("1000.12 USDT", "3", "40 min ago", "30 s ago"),
    )


@pytest.mark.parametrize(
    ("variant", "state", "reasons", "well"),
    [
        ("a", "running", "", True),
        ("a", "reduce_only", "turnover_cap", True),
        ("a", "soft_pause", "edge", True),
        ("a", "hard_stop", "trading_drawdown", False),
        ("a", "hard_stop", "stub_disabled", False),
        ("b", "hard_stop", "stub_disabled", True),
        ("c", "hard_stop", "stub_disabled", True),
        ("c", "hard_stop", "stub_disabled clock", True),
        ("c", "hard_stop", "clock", False),
        ("d", "soft_pause", "no_trade", True),
    ],
)
def test_states(variant: str, state: str, reasons: str, well: bool) -> None:
    row = judge(bot1(variant=variant), found(minute(state=state, reasons=reasons), instance=f"bot1_{variant}"))
    assert (row.faults == ()) == well
    assert state in row.cells[5]
    assert reasons in row.cells[5]


@pytest.mark.parametrize(
    ("seen", "fault"),
    [
        (found(minute(), bot=None), "no container"),
        (found(minute(), bot=container(state="exited", exit_code=137)), "exited (exit code 137)"),
        (found(minute(), bot=container(state="exited", oom_killed=True)), "killed for want of memory"),
        (found(minute(), bot=container(health="unhealthy")), "its container is unhealthy"),
        (found(minute(), watchdog=None), "it has no watchdog: run site.yml"),
        (found(minute(), watchdog=container(state="exited")), "its watchdog is exited"),
        (found(minute(), watchdog=container(health="unhealthy")), "its watchdog is unhealthy"),
        (
            {**found(minute(), bot=container(state="exited", exit_code=137)), "latches": {"bot1": "deaf: for 21 s"}},
            "it is latched by its watchdog: deaf: for 21 s",
        ),
        (found(minute(), exchange=None), "its paper exchange has no container"),
        (found(minute(), exchange=container(state="restarting")), "its paper exchange is restarting"),
        (found(minute(), exchange=container(health="unhealthy")), "its paper exchange is unhealthy"),
        (found(minute(ts="2026-02-02T02:30:00.000Z")), "its last minute row is 10 min old"),
        (found(None), "it has written no minute row"),
        (found(minute(mode="live")), "it runs in live mode, and the inventory says paper"),
    ],
)
def test_what_is_unwell(seen: dict[str, Any], fault: str) -> None:
    faults = judge(bot1(), seen).faults
    assert len(faults) == 1
    assert fault in faults[0]


def test_a_bot_that_has_just_started_is_given_its_time() -> None:
    starting = container(started_at="2026-02-02T02:39:00Z", health="starting")
    assert judge(bot1(), found(None, bot=starting)).faults == ()
    assert judge(bot1(), found(minute(ts="2026-02-01T02:30:00.000Z"), bot=starting)).faults == ()


def test_a_bot_that_is_switched_off_is_well_when_it_is_off() -> None:
    assert judge(bot1(enabled=False), found(minute(), bot=container(state="exited"), exchange=None)).faults == ()
    assert "bot_enabled is false" in judge(bot1(enabled=False), found(minute())).faults[0]


def test_another_strategy_is_known_by_its_container() -> None:
    row = judge(bot1(epp=False), found(None))
    assert row.faults == ()
    assert row.cells[5:] == ("-", "-", "-", "-", "-")


def test_a_live_bot_has_no_paper_exchange() -> None:
    assert judge(bot1(mode="live"), found(minute(mode="live"), exchange=None)).faults == ()


def test_containers_that_nobody_owns_are_named() -> None:
    seen = found(minute(), other=None)
    seen["containers"] |= {"hbot-old": container(bot="old"), "hbot-grafana": container(bot=None)}
    assert strangers(seen, ["bot1"]) == ["hbot-old"]


def test_the_table_is_aligned() -> None:
    rows = [judge(bot1(), found(minute())), unknown(bot1(name="a-bot-with-a-long-name"), "vps1 cannot be reached")]
    lines = table(rows)
    assert [line.index("vps1") for line in lines[1:]] == [lines[0].index("VPS")] * 2
    assert lines[1].index("1000.12 USDT") + len("1000.12 USDT") == lines[0].index("EQUITY") + len("EQUITY")
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize(
    ("text", "last"),
    [
        (b"", None),
        (b"ts,state\r\n", None),
        (b"ts,state\r\n1,running\r\n", {"ts": "1", "state": "running"}),
        (b"ts,state\r\n1,running\r\n2,soft_pause\r\n", {"ts": "2", "state": "soft_pause"}),
        (b"ts,state\r\n1,running\r\n2,sof", {"ts": "1", "state": "running"}),
        (b'ts,state\r\n1,"soft_pause, no"\r\n', {"ts": "1", "state": "soft_pause, no"}),
        (b"ts,state\r\n" + b"1,running\r\n" * 5000 + b"2,last\r\n", {"ts": "2", "state": "last"}),
    ],
)
def test_the_last_row_of_a_book(tmp_path: Path, text: bytes, last: dict[str, str] | None) -> None:
    book = tmp_path / "minute.csv"
    book.write_bytes(text)
    assert last_row(book) == last


def test_a_book_that_is_not_there(tmp_path: Path) -> None:
    assert last_row(tmp_path / "minute.csv") is None
    assert count_rows(tmp_path / "minute.csv") == 0


DOCKER = """\
#!/bin/sh
# Stands for a Docker that runs bot1 and its paper exchange; prints what Docker's own commands print.
case "$1" in
ps) echo 1; echo 2 ;;
inspect) cat "$(dirname "$0")/inspect.json" ;;
esac
"""


def inspected(name: str, health: str) -> dict[str, Any]:
    """The part of `docker inspect` that counts."""
    return {
        "Name": f"/{name}",
        "Config": {"Image": "hummingbot/hummingbot:version-2.16.0", "Labels": {"hbot.bot": "bot1"}},
        "State": {
            "Status": "running",
            "ExitCode": 0,
            "OOMKilled": False,
            "StartedAt": STARTED,
            "Health": {"Status": health},
        },
        "RestartCount": 0,
    }


@pytest.mark.parametrize(("health", "code"), [("healthy", 0), ("unhealthy", 2)])
def test_the_playbook_prints_the_table_and_its_exit_code_tells(tmp_path: Path, health: str, code: int) -> None:
    commands = tmp_path / "commands"
    commands.mkdir()
    (commands / "docker").write_text(DOCKER)
    (commands / "docker").chmod(stat.S_IRWXU)
    names = {"hbot-bot1": health, "hbot-bot1-exchange": "healthy", "hbot-bot1-watchdog": "healthy"}
    (commands / "inspect.json").write_text(json.dumps([inspected(*pair) for pair in names.items()]))
    logs = tmp_path / "hbot" / "data" / "bot1" / "logs" / "epp_v24" / "bot1_a"
    logs.mkdir(parents=True)
    row = minute(ts="2999-01-01T00:00:00.000Z")
    (logs / "minute.csv").write_text(f"{','.join(row)}\r\n{','.join(row.values())}\r\n")
    (logs / "fills.csv").write_text("ts\r\n" + "2026-02-02T02:00:00.000Z\r\n" * 3)
    here = {"ansible_connection": "local", "host_access_authorized_keys": [KEY], "hbot_root": str(tmp_path / "hbot")}
    inventory = write_inventory(
        tmp_path / "inventory", hosts={"vps": {"hosts": {"vps1": here}}}, bots__bot1=bot("bot1")
    )

    path = f"{commands}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    variables = json.dumps({"ansible_become": False})
    run = replace(ROOT_PLAYBOOK, environment={"PATH": path}).run("status", inventory, "-e", variables)
    assert run.code == code, run.output
    lines = [line for line in run.output.splitlines() if line.startswith(("BOT ", "bot1 "))]
    assert lines[0].split() == " ".join(HEADER).split()
    assert lines[1].split()[:9] == f"bot1 vps1 paper version-2.16.0 {health} running 1000.12 USDT 3".split()
    assert ("bot1 on vps1: its container is unhealthy" in run.output) == (code != 0)


def test_a_vps_that_cannot_be_reached_is_in_the_table(tmp_path: Path) -> None:
    run = command("ansible-playbook", "-i", str(write_inventory(tmp_path)), "status.yml")
    assert run.code != 0
    assert "bot1  vps1  paper  ?" in run.output
    assert "bot1 on vps1: vps1 cannot be reached" in run.output


def test_a_mistake_in_a_file_does_not_hide_how_the_bots_are(tmp_path: Path) -> None:
    inventory = write_inventory(tmp_path, bots__bot2=bot("bot2", bot_vps="vps9"))
    run = command("ansible-playbook", "-i", str(inventory), "status.yml")
    assert "bot2 on vps9: there is no VPS 'vps9'" in run.output
    assert "bot1  vps1  paper" in run.output


def test_firing_alerts_are_shown_the_gravest_first_and_a_bot_sees_its_own() -> None:
    alerts = [
        {"name": "HighCpuUsage", "severity": "warning", "bot": "", "summary": "vps1 uses 95% of its CPU."},
        {
            "name": "ContainerDown",
            "severity": "critical",
            "bot": "bot1",
            "summary": "hbot-bot1 should run, and does not.",
        },
    ]
    lines = [
        "critical: ContainerDown: hbot-bot1 should run, and does not.",
        "warning: HighCpuUsage: vps1 uses 95% of its CPU.",
    ]
    assert firing({"alerts": alerts}, None) == lines
    assert firing({"alerts": alerts}, "bot1") == lines[:1]
    assert firing({}, None) == []
