"""The state file is whole or it is set aside."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from epp.books.state_file import SCHEMA, Owner, StateFile

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
OWNER = Owner(instance="bot1", variant="a", mode="paper")


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    file = StateFile(tmp_path, OWNER)
    assert file.load(NOW).body is None
    file.save({"x": [1, 2]})
    file.save({"x": [3]})
    assert file.load(NOW).body == {"x": [3]}
    assert [path.name for path in tmp_path.iterdir()] == ["state_paper.json"]


def test_modes_have_files_of_their_own(tmp_path: Path) -> None:
    StateFile(tmp_path, OWNER).save({"x": 1})
    assert StateFile(tmp_path, Owner(instance="bot1", variant="a", mode="live")).load(NOW).body is None


@pytest.mark.parametrize("cut", [0, 1, 40, 100])
def test_a_torn_file_is_set_aside(tmp_path: Path, cut: int) -> None:
    file = StateFile(tmp_path, OWNER)
    file.save({"x": "y" * 50})
    whole = file.path.read_bytes()
    file.path.write_bytes(whole[:cut])
    loaded = file.load(NOW)
    assert loaded.body is None
    assert loaded.set_aside == (
        "state_paper.json: it is not whole JSON; set aside as state_paper.20260102T030405Z.set-aside.json"
    )
    assert (tmp_path / "state_paper.20260102T030405Z.set-aside.json").read_bytes() == whole[:cut]
    assert file.load(NOW).set_aside is None


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("schema", SCHEMA + 1, "its schema is 2, this program writes 1"),
        ("instance", "bot2", "it belongs to instance 'bot2', not 'bot1'"),
        ("variant", "d", "it belongs to variant 'd', not 'a'"),
        ("mode", "live", "it belongs to mode 'live', not 'paper'"),
        ("body", [], "it is not a state file"),
    ],
)
def test_a_foreign_file_is_set_aside(tmp_path: Path, field: str, value: object, said: str) -> None:
    file = StateFile(tmp_path, OWNER)
    file.save({})
    file.path.write_text(json.dumps(json.loads(file.path.read_text()) | {field: value}))
    loaded = file.load(NOW)
    assert loaded.body is None
    assert said in str(loaded.set_aside)


def test_a_failed_save_leaves_the_old_state(tmp_path: Path) -> None:
    file = StateFile(tmp_path, OWNER)
    file.save({"x": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        file.save({"x": float("nan")})
    assert file.load(NOW).body == {"x": 1}
    assert len(list(tmp_path.iterdir())) == 1
