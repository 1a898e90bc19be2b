"""The module hbot.infra.bot_leave_market, where the bot never had the live key. A program in docker's place answers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.modules.test_bot_keystore_module import leave_mark

DOCKER = """\
#!/usr/bin/env python3
import json, os, pathlib, sys
if sys.argv[1] == "run":
    pathlib.Path(os.environ["TOLD"]).write_text(sys.stdin.read())
    print(json.dumps({"never_live": True}))
"""


def test_a_bot_whose_converge_failed_before_it_had_the_live_key_leaves_without_asking_the_exchange(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: Callable[..., dict[str, Any]]
) -> None:
    programs, root = tmp_path / "bin", tmp_path / "hbot"
    programs.mkdir()
    (programs / "docker").write_text(DOCKER)
    (programs / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("TOLD", str(tmp_path / "told"))
    leave_mark(root)
    (root / "env/bot1-exchange").mkdir(parents=True)
    (root / "env/bot1-exchange/credentials.json").write_text(json.dumps({"api_key": "paper_canary"}))
    done = run_module(
        "bot_leave_market",
        root=str(root),
        bot="bot1",
        connector="bitget",
        trading_pair="BTC-USDT",
        order_id_prefix="hbot-bot1-",
        image="hummingbot/hummingbot:version-2.16.0",
        packages={},
        uid=6420,
        gid=6420,
    )
    assert "It never had the live key" in done["said"]
    assert json.loads((tmp_path / "told").read_text())["paper_api_key"] == "paper_canary"
    assert not (root / "env/bot1/golive.json").exists()
    assert list((root / "golive/bot1").glob("*-mark.json"))
