"""What was proven on a host is left where the go-live gate looks for it, by root, and nobody else can write it."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Run = Callable[..., dict[str, Any]]
Load = Callable[[str], ModuleType]

TRIED = {
    "kind": "kill_from_controller",
    "bot": "bot1",
    "ok": True,
    "detail": "3 orders cancelled",
    "account": "1000000001",
}


def test_a_trial_leaves_a_mark_that_the_gate_takes(run_module: Run, load_module: Load, tmp_path: Path) -> None:
    assert run_module("evidence_mark", check=True, root=str(tmp_path), **TRIED)["changed"]
    assert not (tmp_path / "evidence").exists()
    assert run_module("evidence_mark", root=str(tmp_path), **TRIED)["changed"]
    path = tmp_path / "evidence/bot1/kill_from_controller.json"
    mark = load_module("golive_gate").roots_own(path)
    assert {name: mark[name] for name in TRIED} == TRIED
    assert mark["schema"] == 1
    assert mark["at"].endswith("+00:00")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_failed_trial_takes_the_older_proof_away(run_module: Run, tmp_path: Path) -> None:
    run_module("evidence_mark", root=str(tmp_path), **TRIED)
    run_module("evidence_mark", root=str(tmp_path), **(TRIED | {"ok": False, "detail": "not\nproved", "account": ""}))
    mark = json.loads((tmp_path / "evidence/bot1/kill_from_controller.json").read_text())
    assert (mark["ok"], mark["detail"]) == (False, "not proved")


@pytest.mark.parametrize("open_to_others", ["evidence/bot1", "evidence/bot1/kill_from_controller.json"])
def test_a_mark_that_another_could_have_written_is_unusable(
    run_module: Run, load_module: Load, tmp_path: Path, open_to_others: str
) -> None:
    run_module("evidence_mark", root=str(tmp_path), **TRIED)
    (tmp_path / open_to_others).chmod(0o777)
    mark = load_module("golive_gate").roots_own(tmp_path / "evidence/bot1/kill_from_controller.json")
    assert "could have been written by another than root" in mark["unusable"]


def alert_mark(root: Path) -> dict[str, Any]:
    """What the test of the alerts left."""
    mark: dict[str, Any] = json.loads((root / "evidence/alert_delivered.json").read_text())
    return mark


ALERTMANAGER: dict[str, Any] = {"receivers": [{"name": "phone"}], "url": "http://127.0.0.1:9"}


def test_an_alert_that_did_not_go_out_is_no_evidence(run_module: Run, tmp_path: Path) -> None:
    failed = run_module("alert_delivery", root=str(tmp_path), **ALERTMANAGER)
    assert failed["failed"]
    assert alert_mark(tmp_path)["ok"] is False
    assert "does not answer" in alert_mark(tmp_path)["detail"]
    failed = run_module("alert_delivery", root=str(tmp_path), receivers=[])
    assert "there is no receiver" in failed["msg"]
    assert "there is no receiver" in alert_mark(tmp_path)["detail"]


@pytest.mark.parametrize(
    ("delivered", "ok", "said"),
    [
        ((["phone", "mail"], set()), True, "it arrived at phone, mail"),
        ((["phone"], {"mail"}), False, "did not arrive at mail: - mail: 550 no such user"),
        ((["phone"], set()), False, "did not arrive at mail: - mail: nothing was sent within the time"),
    ],
)
def test_an_alert_that_every_receiver_took_is_evidence(
    run_module: Run,
    load_module: Load,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    delivered: tuple[list[str], set[str]],
    ok: bool,
    said: str,
) -> None:
    """Without the sending: what Alertmanager says of it is given here."""
    module = load_module("alert_delivery")
    monkeypatch.setattr(module, "send", lambda *_: delivered)
    monkeypatch.setattr(module, "alertmanagers_log", lambda: 'msg="Notify" receiver=mail err="550 no such user"\n')
    result = run_module("alert_delivery", root=str(tmp_path), receivers=[{"name": "phone"}, {"name": "mail"}])
    assert result.get("failed", False) is not ok
    mark = alert_mark(tmp_path)
    assert (mark["kind"], mark["ok"]) == ("alert_delivered", ok)
    assert said in mark["detail"]
