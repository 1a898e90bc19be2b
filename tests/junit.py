"""What pytest's JUnit files say of a run.

python -m tests.junit build/vps_tests.xml      names the tests that failed, with the end of why
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

LINES_OF_A_FAILURE = 6


@dataclass(frozen=True)
class Case:
    """One test that ran."""

    name: str
    """As pytest takes it: file, test and parameters."""

    seconds: float
    failures: tuple[str, ...]
    """What went wrong in it, in its setup or after it. Empty: it passed."""


def cases(file: Path) -> list[Case]:
    """The tests of a run, but for those that were skipped."""
    found = []
    for case in ElementTree.parse(file).iter("testcase"):  # noqa: S314  # no stranger: pytest of this checkout wrote it
        if case.find("skipped") is None:
            name = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
            failures = [one for kind in ("failure", "error") for one in case.iterfind(kind)]
            texts = tuple((one.text or one.get("message") or "").strip() for one in failures)
            found.append(Case(name, float(case.get("time", "0")), texts))
    return found


def main() -> int:
    """Name what failed in each file that is there."""
    for file in filter(Path.exists, map(Path, sys.argv[1:])):
        every = cases(file)
        bad = [case for case in every if case.failures]
        for case in bad:
            ends = ("\n    ".join(text.splitlines()[-LINES_OF_A_FAILURE:]) for text in case.failures)
            print(f"FAILED {case.name}", *ends, sep="\n    ")
        print(f"{file}: {len(every)} tests, {len(bad)} failed" + (": " + ", ".join(c.name for c in bad) if bad else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
