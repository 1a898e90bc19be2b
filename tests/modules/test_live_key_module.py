"""The module hbot.infra.live_key. A program in docker's place answers as `python -m bitget_rest` in the image does."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.modules.test_bot_keystore_module import leave_mark

DOCKER = """\
#!/usr/bin/env python3
import json, os, pathlib, sys
answer = json.loads(pathlib.Path(os.environ["ANSWER"]).read_text())
pathlib.Path(os.environ["TOLD"]).write_text(json.dumps({"argv": sys.argv, "given": json.loads(sys.stdin.read())}))
print(json.dumps(answer))
sys.exit(1 if "error" in answer else 0)
"""

GOOD = {"account": "1000000001", "objections": {}}
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: Run) -> Run:
    """Runs the module for bot1, which has the gate's mark, with the exchange's answer."""
    programs, root = tmp_path / "bin", tmp_path / "hbot"
    programs.mkdir()
    (programs / "docker").write_text(DOCKER)
    (programs / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("ANSWER", str(tmp_path / "answer"))
    monkeypatch.setenv("TOLD", str(tmp_path / "told"))
    leave_mark(root)

    def runner(answer: dict[str, Any], **options: Any) -> dict[str, Any]:
        (tmp_path / "answer").write_text(json.dumps(answer))
        fixed = {
            "root": str(root),
            "bot": "bot1",
            "image": "hummingbot/hummingbot:version-2.16.0",
            "client": "/opt/hbot/golive_gate/0/bitget_rest",
            "connector": "bitget",
            "trading_pair": "BTC-USDT",
            "trades": True,
            "addresses": ["203.0.113.7"],
            "uid": 6420,
            "gid": 6420,
            "api_key": "bg_canary",
            "api_secret": "canary-secret",
            "api_passphrase": "canary-passphrase",
        }
        return run_module("live_key", **(fixed | options))

    return runner


def test_a_key_that_may_trade_alone_passes_and_is_known_from_then_on(run: Run, tmp_path: Path) -> None:
    result = run(GOOD)
    assert (result["changed"], result["age_days"]) == (False, 0)
    told = json.loads((tmp_path / "told").read_text())
    assert told["given"]["addresses"] == ["203.0.113.7"]
    assert "canary" not in json.dumps(told["argv"])
    assert "canary-secret" not in json.dumps(result)
    assert "bg_canary" not in (tmp_path / "hbot/env/bot1/api_key.json").read_text()


@pytest.mark.parametrize(
    "objections",
    [
        {"key_permissions": "it may wwow (withdraw)"},
        {"key_whitelist": "it has no IP whitelist: it works from anywhere"},
    ],
    ids=lambda each: next(iter(each)),
)
@pytest.mark.parametrize("known", [False, True])
def test_a_key_that_may_too_much_is_refused_known_or_not(run: Run, objections: dict[str, str], known: bool) -> None:
    if known:
        run(GOOD)
    refused = run(GOOD | {"objections": objections})
    assert refused["failed"] is True
    assert next(iter(objections.values())) in refused["msg"]


def test_a_key_of_another_account_is_refused(run: Run) -> None:
    refused = run(GOOD | {"account": "7"})
    assert refused["failed"] is True
    assert "account 7's, and the gate let account 1000000001 through" in refused["msg"]


def test_a_new_key_is_not_used_before_the_exchange_told_about_it(run: Run) -> None:
    refused = run({"error": "api.bitget.com: no answer"})
    assert refused["failed"] is True
    assert "no answer" in refused["msg"]


def test_the_key_in_use_survives_an_exchange_that_is_down(run: Run) -> None:
    run(GOOD)
    result = run({"error": "api.bitget.com: no answer"})
    assert result["changed"] is False
    assert "could not be asked" in str(result["said"])


def test_a_key_of_90_days_is_warned_of(run: Run) -> None:
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 90 * 86_400))
    result = run(GOOD, created=day)
    assert result["age_days"] == 90
    assert "90 days old" in str(result["said"])
    assert run(GOOD, created=time.strftime("%Y-%m-%d", time.gmtime(time.time() - 89 * 86_400)))["said"] == []
