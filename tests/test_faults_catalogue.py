"""Each of the thirty faults has a proof that exists, and the page tells of each."""

from pathlib import Path

import pytest

from tests.campaigns import faults
from tests.campaigns.faults import FAULTS, PAGE
from tests.campaigns.record import ROOT


def test_there_are_thirty() -> None:
    assert list(FAULTS) == list(range(1, 31))


def test_every_proof_is_there() -> None:
    for number, fault in FAULTS.items():
        assert fault.tests, number
        for name in fault.tests:
            if " " in name:
                assert (ROOT / "tests/campaigns" / f"{name.split()[0]}.py").is_file(), f"{number}: {name}"
                continue
            file, _, test = name.partition("::")
            text = (ROOT / file).read_text(encoding="utf-8")
            assert f"def {test.partition('[')[0]}(" in text if test else "def test_" in text, f"{number}: {name}"


def test_the_page_has_a_row_for_each() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for number, fault in FAULTS.items():
        assert f"| {number} | {fault.what} | {fault.holds} | " in text


def test_what_an_earlier_machine_recorded_stays_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "faults.md"
    page.write_text(f"# Faults\n\n{faults.TABLE}", encoding="utf-8")
    monkeypatch.setattr(faults, "PAGE", page)
    faults.write({3: faults.Outcome(3, True, 168.0, "3c1dae9b3e", "2026-12-01 01:00:00")})
    faults.write({4: faults.Outcome(4, False, 18.4, "e831a9a590", "2026-12-02 01:00:00")})
    rows = page.read_text(encoding="utf-8").partition(faults.TABLE)[2].splitlines()
    assert len(rows) == len(FAULTS)
    assert rows[2].endswith("| yes | 168 | 3c1dae9b3e | 2026-12-01 |")
    assert rows[3].endswith("| **no** | 18 | e831a9a590 | 2026-12-02 |")
    assert rows[4].endswith("| not run | | |  |")
