"""`make audit`: measure the bare embedded VPS and the converged one, write docs/audit.md, and judge.

What is measured is kept below build/audit, so that an audit that was interrupted goes on where it was; a change of the
product begins a new one. Exit codes: 0 every target holds and every finding is explained, 1 something failed to run,
2 a target is missed or an explanation and a finding do not meet.
"""

import hashlib
import json
import sys
from pathlib import Path

from embedded_vps import layout
from embedded_vps.audit import machine, report
from embedded_vps.audit.readings import Reading
from embedded_vps.console import Console, EmbeddedVpsError

KEPT = layout.REPOSITORY / "build" / "audit"
PAGE = layout.REPOSITORY / "docs" / "audit.md"
PRODUCT = ("roles", "playbooks", "plugins", "files", "group_vars", "inventories/demo")
AUDIT = ("readings.py", "docker_benchmark.py", "machine.py")
NOT_THE_PRODUCT = {"tests", "__pycache__", ".mypy_cache"}


def digest(paths: list[Path]) -> str:
    """One hash of files' names and contents."""
    state = hashlib.sha256()
    for path in sorted(paths):
        state.update(str(path.relative_to(layout.REPOSITORY)).encode() + b"\0" + path.read_bytes() + b"\0")
    return state.hexdigest()[:12]


def audit_files() -> list[Path]:
    """What decides what is measured, whatever the machine."""
    return [Path(__file__).parent / name for name in AUDIT]


def product_files() -> list[Path]:
    """What decides how a converged machine is."""
    found = (path for tree in PRODUCT for path in (layout.REPOSITORY / tree).rglob("*"))
    return [path for path in found if path.is_file() and not NOT_THE_PRODUCT & set(path.parts)]


def measured(kept: Path) -> dict[str, Reading]:
    """What an earlier run of the audit has measured of a machine."""
    files = {name: kept / f"{name}.json" for name in machine.AUDITORS}
    return {name: Reading.from_json(json.loads(file.read_text())) for name, file in files.items() if file.exists()}


def phase(name: str, kept: Path, console: Console, *, converged: bool) -> dict[str, Reading]:
    """Measure one state of the machine: what is not measured yet, on the same machine as what is."""
    readings = measured(kept)
    missing = [auditor for auditor in machine.AUDITORS if auditor not in readings]
    if not missing:
        console.say(f"{name}: measured before")
        return readings
    made = kept / "machine"
    if not made.exists() or made.read_text() != machine.identity():
        console.say(f"{name}: an empty {layout.VPS.hostname}" + (", and site.yml" if converged else ""))
        machine.reset()
        if converged:
            machine.converge()
        kept.mkdir(parents=True, exist_ok=True)
        made.write_text(machine.identity())
    with machine.auditors():
        for auditor in missing:
            readings[auditor] = machine.measure(auditor, console)
            scratch = kept / f"{auditor}.new"
            scratch.write_text(json.dumps(readings[auditor].as_json()))
            scratch.replace(kept / f"{auditor}.json")
    return readings


def main() -> int:
    """Run the audit."""
    console = Console()
    try:
        known = report.explanations(report.EXPLANATIONS.read_text(encoding="utf-8"))
        rules = digest(audit_files())
        bare = phase("bare", KEPT / f"bare-{rules}", console, converged=False)
        here = phase("after site.yml", KEPT / f"here-{rules}-{digest(product_files())}", console, converged=True)
    except EmbeddedVpsError as error:
        console.error(str(error))
        return 1
    except KeyboardInterrupt:
        console.error("interrupted; `make audit` goes on where it was")
        return 130
    bare, here = report.with_applicable(bare, known), report.with_applicable(here, known)
    PAGE.write_text(report.page(bare, here, known), encoding="utf-8")
    console.say(f"written: {PAGE.relative_to(layout.REPOSITORY)}")
    faults = report.problems(here, known)
    for fault in faults:
        console.error(fault)
    return 2 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
