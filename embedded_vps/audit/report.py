"""The report: figures before and after, and every finding that is left with its explanation."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from embedded_vps.audit.readings import Finding, Reading

EXPLANATIONS = Path(__file__).parent / "explanations.yml"

VERDICTS = {
    "wrong here": "right elsewhere, wrong for this product",
    "not in a container": "what the embedded VPS cannot have and a rented machine has",
    "done otherwise": "what it is for is reached in another way",
    "another alternative": "one of several that exclude each other, of which another was chosen",
}

NOT_APPLICABLE = {"not in a container", "another alternative"}
"""The verdicts on rules that do not apply here at all."""

Readings = Mapping[str, Reading]
"""By auditor."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of the table: whose, which, what others come to, and what is aimed at, if anything."""

    auditor: str
    figure: str
    words: str
    peers: str = ""
    least: float | None = None
    most: float | None = None

    def missed(self, reading: Reading) -> str:
        """The target that a reading misses, in words; empty when it misses none."""
        value = reading.figures.get(self.figure)
        if value is None:
            return f"{self.words}: not measured"
        if self.least is not None and value < self.least:
            return f"{self.words}: {value:g}, and {self.least:g} is the least"
        if self.most is not None and value > self.most:
            return f"{self.words}: {value:g}, and {self.most:g} is the most"
        return ""

    def target(self) -> str:
        """What is aimed at, as the table says it."""
        if self.least is not None:
            return f"at least {self.least:g}"
        return "" if self.most is None else f"{self.most:g}"


ROWS = (
    Row("lynis", "index", "Lynis, hardening index", "geerlingguy.security 66, dev-sec 74", least=80),
    Row("lynis", "warnings", "Lynis, warnings", most=0),
    Row("lynis", "suggestions", "Lynis, suggestions", "geerlingguy.security 43, dev-sec 31"),
    Row("ssh-audit", "fails", "ssh-audit, failures", "dev-sec 1", most=0),
    Row("ssh-audit", "warnings", "ssh-audit, warnings", "dev-sec 5", most=0),
    Row("ssh-audit", "policy", "ssh-audit, its policy is passed (1)", least=1),
    Row("cis-container", "score", "CIS level 1 in a container, score", "dev-sec 75.8"),
    Row("cis-container", "percent", "CIS level 1 in a container, % of the applicable rules", "dev-sec 73.5", least=90),
    Row("cis", "percent", "CIS level 1 on a machine, % of all rules"),
    Row("cis", "applicable", "CIS level 1 on a machine, % of the applicable rules", least=90),
    Row("cis", "passed", "CIS level 1 on a machine, rules passed"),
    Row("cis", "failed", "CIS level 1 on a machine, rules failed"),
    Row("docker", "passed", "CIS Docker Benchmark, items passed of those judged"),
)

SECTIONS = {
    "lynis": "Lynis",
    "ssh-audit": "ssh-audit",
    "cis": "CIS level 1",
    "docker": "CIS Docker Benchmark",
}
"""The auditors whose findings are explained. What fails in a container fails on a machine too, so it is told once."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why findings stay: their names (`*` matches any text), what kind of reason, and the reason."""

    findings: tuple[str, ...]
    verdict: str
    why: str


def explanations(text: str) -> dict[str, list[Explanation]]:
    """Read the data file: by auditor, a list of explanations.

    Raises:
        ValueError: an auditor or a verdict is unknown.
    """
    found: dict[str, list[Explanation]] = {}
    loaded: dict[str, list[dict[str, Any]]] = yaml.safe_load(text)
    for auditor, entries in loaded.items():
        if auditor not in SECTIONS:
            raise ValueError(f"there is no auditor {auditor}")
        for entry in entries:
            if entry["verdict"] not in VERDICTS:
                raise ValueError(f"{auditor}, {entry['findings']}: no verdict is called {entry['verdict']}")
            found.setdefault(auditor, []).append(
                Explanation(tuple(entry["findings"]), entry["verdict"], " ".join(entry["why"].split()))
            )
    return found


def with_applicable(readings: Readings, known: Mapping[str, list[Explanation]]) -> dict[str, Reading]:
    """The readings, and in that of the CIS profile the percentage passed of the rules that can be met here."""
    cis = readings["cis"]
    names = [name for one in known.get("cis", []) if one.verdict in NOT_APPLICABLE for name in one.findings]
    failed = sum(not any(fnmatchcase(finding.name, name) for name in names) for finding in cis.findings)
    passed = cis.figures["passed"]
    figures = {**cis.figures, "applicable": round(100 * passed / (passed + failed), 1)}
    return {**readings, "cis": replace(cis, figures=figures)}


def explained(findings: tuple[Finding, ...], known: list[Explanation]) -> list[tuple[Explanation, list[Finding]]]:
    """The findings under their explanations, in the data file's order."""
    return [
        (one, [finding for finding in findings if any(fnmatchcase(finding.name, name) for name in one.findings)])
        for one in known
    ]


def problems(here: Readings, known: Mapping[str, list[Explanation]]) -> list[str]:
    """Why the audit fails: targets that are missed, findings without an explanation, explanations without a finding."""
    missed = [row.missed(here.get(row.auditor, Reading({}))) for row in ROWS]
    faults = [text for text in missed if text]
    for auditor in SECTIONS:
        findings = here[auditor].findings if auditor in here else ()
        patterns = [name for one in known.get(auditor, []) for name in one.findings]
        for finding in findings:
            matching = sum(fnmatchcase(finding.name, pattern) for pattern in patterns)
            if matching != 1:
                count = "no explanation" if matching == 0 else f"{matching} explanations"
                faults.append(f"{auditor}: {finding.name} ({finding.text}) has {count}")
        faults += [
            f"{auditor}: what explains {pattern} explains nothing"
            for pattern in patterns
            if not any(fnmatchcase(finding.name, pattern) for finding in findings)
        ]
    return faults


def _cell(reading: Reading | None, row: Row) -> str:
    if reading is None or row.figure not in reading.figures:
        return "-"
    value = f"{reading.figures[row.figure]:g}"
    return f"{value} of {reading.figures['items']:g}" if row.auditor == "docker" else value


def _quoted(text: str) -> str:
    return text.replace("|", "\\|")


HEAD = """# Audit: what other people's measuring sticks say

Made by `make audit`, on the embedded VPS (Debian 13): bare, and after `site.yml` and the pending security upgrades.
The same command fails when a target is missed, a finding has no explanation, or an explanation no finding.

{table}

The peers, `geerlingguy.security` with `geerlingguy.docker`, and dev-sec's `os_hardening` with `ssh_hardening`, were
measured once, by the same commands on a machine of the same kind; empty: not measured. An index or a percentage counts
what ran: compare nothing but the same stick on the same kind of machine.

- {versions}. ssh-audit's policy is "{policy}".
- CIS level 1 is OpenSCAP with the profile *CIS Ubuntu 24.04 level 1 server*: there is none for Debian 13, so the scan
  is told that it is on Ubuntu. In a container the profile passes over what needs a kernel of one's own, and with it
  over sshd, the firewall, cron and the network. So it is asked twice: as in a container, for the comparison with
  others, and as on a rented machine, which is the harder one. There the profile also asks for things that exclude each
  other, journald and rsyslog among them: "applicable" leaves out what is called *not in a container* or *another
  alternative* below, and nothing else.
- The CIS Docker Benchmark's items are judged in `embedded_vps/audit/docker_benchmark.py`: the daemon, its files, and
  the {containers} containers of the demo. `tests/vps/test_docker_benchmark.py` holds them to it.
- The auditors are installed for the audit and removed after it. They are no part of the product.

What the reasons are called: {verdicts}.
"""


def page(bare: Readings, here: Readings, known: Mapping[str, list[Explanation]]) -> str:
    """The whole of docs/audit.md; `here` has a reading of every auditor's."""
    versions = {
        name: version for reading in here.values() for name, version in reading.versions.items() if name != "policy"
    }
    table = ["| measured | bare | peers | here | target |", "|---|---|---|---|---|"]
    for row in ROWS:
        cells = [row.words, _cell(bare.get(row.auditor), row), row.peers, _cell(here[row.auditor], row), row.target()]
        table.append(f"| {' | '.join(cells)} |")
    head = HEAD.format(
        table="\n".join(table),
        versions=", ".join(f"{name} {version}" for name, version in sorted(versions.items())),
        policy=here["ssh-audit"].versions["policy"],
        containers=f"{here['docker'].figures['containers']:g}",
        verdicts="; ".join(f"**{verdict}**, {meaning}" for verdict, meaning in VERDICTS.items()),
    )
    return head + "".join(_section(title, here[auditor], known.get(auditor, [])) for auditor, title in SECTIONS.items())


def _section(title: str, reading: Reading, known: list[Explanation]) -> str:
    lines = ["", f"## {title}: what is left", ""]
    if not reading.findings:
        return "\n".join([*lines, "Nothing.", ""])
    lines += ["| finding | it says | why it stays |", "|---|---|---|"]
    for one, findings in explained(reading.findings, known):
        for number, finding in enumerate(findings):
            why = f"**{one.verdict}**: {one.why}" if number == 0 else "the same"
            lines.append(f"| `{_quoted(finding.name)}` | {_quoted(finding.text)} | {_quoted(why)} |")
    return "\n".join([*lines, ""])
