"""A root directory with one bot in it, as the roles make it."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from host_backup.settings import Retention, Settings

FRAGMENT = """\
name: hbot
services:
  bot1:
    image: "hummingbot/hummingbot:version-2.16.0"
    labels:
      hbot.mode: paper
      hbot.config-hash: "abc"
    command: [bash, -c, "exec hbot start v2_epp_v2_4_bot_a.yml --foreground --password-stdin < /run/hbot/password"]
    stop_grace_period: 90s
    volumes:
      - {type: bind, source: "ROOT/strategies/0123456789abcdef/epp", target: /x, read_only: true}
"""

FILES = {
    "data/bot1/conf/conf_client.yml": "instance_id: bot1\n",
    "data/bot1/conf/connectors/bitget.yml": "encrypted\n",
    "data/bot1/logs/logs_v2.log": "not backed up\n",
    "data/bot1/logs/logs_v2.log.2026-01-01": "not backed up\n",
    "data/bot1/logs/epp_v24/bot1_a/fills.csv": "ts,price\n1,2\n3,4\n5,to",
    "data/bot1/data/epp_v24/bot1_a/state_paper.json": "{}",
    "data/bot1/scripts/own.py": "pass\n",
    "strategies/0123456789abcdef/epp/core.py": "pass\n",
    "env/.env": "# nothing\n",
    "env/bot1/password": "secret\n",
    "env/backup/password": "the key of the repository\n",
    "compose/docker-compose.yml": "include: []\n",
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The settings of a root with one bot."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "compose" / "bot1.yml").write_text(FRAGMENT.replace("ROOT", str(tmp_path)))
    (tmp_path / "backups").mkdir()
    with closing(sqlite3.connect(tmp_path / "data/bot1/data/trades.sqlite")) as database, database:
        database.execute("CREATE TABLE trades (id INTEGER PRIMARY KEY, note TEXT)")
        database.executemany("INSERT INTO trades (note) VALUES (?)", [("x" * 100,)] * 500)
    return Settings(
        root=tmp_path,
        vps="vps1",
        collection="0.1.0",
        uid=os.getuid(),
        gid=os.getgid(),
        retention=Retention(7, 14, 8, 12),
        offsite=None,
        reserve_mb=1,
    )
