"""What systemd says of several units, told apart; what is done with them is proven on the VPS, by test_drift.py."""

import os
import time
from pathlib import Path

from plugins.module_utils.systemd_units import Standing, parsed, written_since

SHOWN = """\
ActiveState=active
UnitFileState=enabled

ActiveState=inactive
UnitFileState=

ActiveState=activating
UnitFileState=disabled
"""


def test_each_unit_has_its_block_a_missing_one_too() -> None:
    assert parsed(["runs.service", "missing.service", "begins.timer"], SHOWN) == [
        Standing("runs.service", enabled=True, runs=True),
        Standing("missing.service", enabled=False, runs=False),
        Standing("begins.timer", enabled=False, runs=True),
    ]


def test_a_unit_that_runs_since_before_its_file_was_written_is_told(tmp_path: Path) -> None:
    file = tmp_path / "one.service"
    file.touch()
    written = int(file.stat().st_mtime)
    assert written_since(str(file), f"@{written - 1}")
    assert not written_since(str(file), f"@{written}"), "seconds are all that systemd tells"
    assert not written_since(str(file), ""), "it never started"
    assert not written_since(str(tmp_path / "other.service"), f"@{written - 1}"), "its file is a package's, or gone"


def test_a_file_of_the_future_makes_no_unit_start_again_and_again(tmp_path: Path) -> None:
    file = tmp_path / "one.service"
    file.touch()
    os.utime(file, (time.time() + 3600, time.time() + 3600))
    assert not written_since(str(file), f"@{int(time.time()) - 100}")
