"""What failed in a run is named, with the end of why; what was skipped did not run."""

import subprocess
import sys
from pathlib import Path

from tests.campaigns.record import ROOT
from tests.junit import cases

RUN = """<testsuites><testsuite>
<testcase classname="tests.vps.test_one" name="test_holds[a]" time="1.5"/>
<testcase classname="tests.vps.test_one" name="test_breaks" time="2"><failure message="short">why
it broke</failure><error>and its end</error></testcase>
<testcase classname="tests.vps.test_one" name="test_skipped" time="0"><skipped/></testcase>
</testsuite></testsuites>"""


def test_a_runs_tests_are_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "run.xml"
    file.write_text(RUN)
    assert [(case.name, case.seconds, case.failures) for case in cases(file)] == [
        ("tests/vps/test_one.py::test_holds[a]", 1.5, ()),
        ("tests/vps/test_one.py::test_breaks", 2.0, ("why\nit broke", "and its end")),
    ]


def test_what_failed_is_named_last(tmp_path: Path) -> None:
    file = tmp_path / "run.xml"
    file.write_text(RUN)
    command = [sys.executable, "-m", "tests.junit", str(file), str(tmp_path / "of-a-run-that-never-began.xml")]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "it broke" in said
    assert said.splitlines()[-1] == f"{file}: 2 tests, 1 failed: tests/vps/test_one.py::test_breaks"
