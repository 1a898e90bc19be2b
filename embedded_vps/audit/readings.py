"""What the auditors printed, as figures and findings."""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any
from xml.etree import ElementTree

XCCDF = {"x": "http://checklists.nist.gov/xccdf/1.2"}
RULE_PREFIX = "xccdf_org.ssgproject.content_rule_"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that an auditor would have otherwise: the name that an explanation gives for it, and its words."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What one auditor says of one machine: figures by name (whole numbers but for scores), and findings in order."""

    figures: dict[str, float]
    findings: tuple[Finding, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The reading as JSON takes it."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> "Reading":
        """The reading that `as_json` made."""
        findings = tuple(Finding(**finding) for finding in found["findings"])
        return cls(found["figures"], findings, found["versions"])


def lynis(report: str) -> Reading:
    """Lynis' report file: its index, its warnings, and its suggestions.

    A suggestion with details (the options of sshd, the kernel's settings) becomes one finding for each of them.
    """
    pairs = [line.split("=", 1) for line in report.splitlines() if "=" in line and not line.startswith("#")]

    def values(key: str) -> list[list[str]]:
        return [value.split("|") for name, value in pairs if name == f"{key}[]"]

    single = {name: value for name, value in pairs if not name.endswith("[]")}
    details: dict[str, list[Finding]] = {}
    for test, _, description, *_ in values("details"):
        parts = dict(part.split(":", 1) for part in description.split(";") if ":" in part)
        if not {"field", "value", "prefval"} <= parts.keys():
            continue
        words = f"{parts['value']}; Lynis prefers {parts['prefval'] or 'another'}"
        details.setdefault(test, []).append(Finding(f"{test} {parts['field']}", words))
    # "This release is more than 4 months old" is said of Lynis itself.
    advised = [row for row in values("suggestion") if row[0] != "LYNIS"]
    findings: list[Finding] = []
    for test, text, *_ in [*values("warning"), *advised]:
        findings += details.get(test) or [Finding(test, text)]
    figures = {
        "index": float(single["hardening_index"]),
        "warnings": len(values("warning")),
        "suggestions": len(advised),
        "tests": float(single["lynis_tests_done"]),
    }
    return Reading(figures, distinct(findings), {"Lynis": single["lynis_version"]})


def distinct(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """One finding for each name, with all its words, in order of names."""
    words: dict[str, list[str]] = {}
    for finding in findings:
        said = words.setdefault(finding.name, [])
        if finding.text not in said:
            said.append(finding.text)
    return tuple(Finding(name, "; ".join(said)) for name, said in sorted(words.items()))


def openscap(results: str) -> Reading:
    """OpenSCAP's results: rules passed and failed of those that apply, the profile's own score, and what failed."""
    root = ElementTree.fromstring(results)  # noqa: S314 - OpenSCAP's own file, made on our machine a moment before
    titles = {
        rule.get("id", ""): rule.findtext("x:title", "", XCCDF).strip() for rule in root.iterfind(".//x:Rule", XCCDF)
    }
    counted: dict[str, int] = {}
    findings = []
    for result in root.iterfind(".//x:TestResult/x:rule-result", XCCDF):
        verdict = result.findtext("x:result", "", XCCDF)
        counted[verdict] = counted.get(verdict, 0) + 1
        rule = result.get("idref", "")
        if verdict in {"fail", "error", "unknown"}:
            findings.append(Finding(rule.removeprefix(RULE_PREFIX), titles.get(rule, "")))
    passed = counted.get("pass", 0)
    failed = len(findings)
    figures = {
        "passed": passed,
        "failed": failed,
        "inapplicable": counted.get("notapplicable", 0),
        "percent": round(100 * passed / (passed + failed), 1),
        "score": round(float(root.findtext(".//x:TestResult/x:score", "nan", XCCDF)), 1),
    }
    return Reading(figures, distinct(findings))


def ssh_audit(output: str, policy: str, policy_output: str) -> Reading:
    """ssh-audit's listing and its judgement by a policy of its own: 1 when the policy is passed.

    Raises:
        ValueError: the listing names no algorithm, so it is none.
    """
    if "(kex) " not in output:
        raise ValueError(f"ssh-audit printed no algorithm: {output[-300:]!r}")
    fails, warnings = (re.findall(rf"\[{level}\] (.*)", output) for level in ("fail", "warn"))
    passed = re.search(r"^Result:\s+.*Passed", policy_output, re.MULTILINE) is not None
    findings = [Finding("algorithm", text.strip()) for text in [*fails, *warnings]]
    if not passed:
        findings.append(Finding("policy", f"{policy} is not passed"))
    figures: dict[str, float] = {"fails": len(fails), "warnings": len(warnings), "policy": int(passed)}
    return Reading(figures, distinct(findings), {"policy": policy})
