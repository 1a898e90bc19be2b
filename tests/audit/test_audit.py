"""The audit reads what the auditors print, judges it, and lets no finding without an explanation pass."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from embedded_vps.audit import docker_benchmark, readings, report
from embedded_vps.audit.__main__ import digest, measured
from embedded_vps.audit.docker_benchmark import Docker
from embedded_vps.audit.readings import Finding, Reading

LYNIS = """# Lynis Report
lynis_version=3.1.4
suggestion[]=LYNIS|This release is more than 4 months old.|-|-|
suggestion[]=FILE-6310|To decrease the impact of a full /home file system|-|-|
suggestion[]=FILE-6310|To decrease the impact of a full /var file system|-|-|
details[]=SSH-7408|sshd|desc:sshd option MaxSessions;field:MaxSessions;prefval:2;value:10;|
details[]=SSH-7408|sshd|desc:sshd option Port;field:Port;prefval:;value:22;|
suggestion[]=SSH-7408|Consider hardening SSH configuration|MaxSessions (set 10 to 2)|-|
suggestion[]=SSH-7408|Consider hardening SSH configuration|Port (set 22 to )|-|
warning[]=PKGS-7392|Found one or more vulnerable packages.|-|-|
hardening_index=61
lynis_tests_done=242
"""

OPENSCAP = """<Benchmark xmlns="http://checklists.nist.gov/xccdf/1.2">
  <Rule id="xccdf_org.ssgproject.content_rule_a"><title>Install A</title></Rule>
  <Rule id="xccdf_org.ssgproject.content_rule_b"><title>Remove B</title></Rule>
  <TestResult>
    <rule-result idref="xccdf_org.ssgproject.content_rule_a"><result>pass</result></rule-result>
    <rule-result idref="xccdf_org.ssgproject.content_rule_b"><result>fail</result></rule-result>
    <rule-result idref="xccdf_org.ssgproject.content_rule_c"><result>notapplicable</result></rule-result>
    <rule-result idref="xccdf_org.ssgproject.content_rule_d"><result>notselected</result></rule-result>
    <rule-result idref="xccdf_org.ssgproject.content_rule_e"><result>pass</result></rule-result>
    <score system="urn:xccdf:scoring:default" maximum="100.0">71.46</score>
  </TestResult>
</Benchmark>
"""

SSH_AUDIT = """# key exchange algorithms
(kex) curve25519-sha256               -- [warn] does not provide protection against post-quantum attacks
                                      `- [info] available since OpenSSH 7.4
(kex) ecdh-sha2-nistp256              -- [fail] using elliptic curves that are suspected as being backdoored
"""
PASSED, FAILED = ("Host: vps\nPolicy: P\nResult: \u2714 Passed\n", "Host: vps\nPolicy: P\nResult: \u274c Failed!\n")

CONFINED: dict[str, Any] = {
    "Name": "/hbot-bot1",
    "AppArmorProfile": "docker-default",
    "Config": {"User": "6420:6420"},
    "State": {"Health": {"Status": "healthy"}},
    "Mounts": [{"Source": "/opt/hbot/data/bot1", "Propagation": "rprivate"}],
    "NetworkSettings": {"Ports": {"443/tcp": None}},
    "HostConfig": {
        "SecurityOpt": ["no-new-privileges:true"],
        "CapDrop": ["ALL"],
        "CapAdd": None,
        "Privileged": False,
        "NetworkMode": "hbot_paper-bot1",
        "Memory": 1 << 30,
        "NanoCpus": 10**9,
        "CpuShares": 0,
        "ReadonlyRootfs": True,
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 5},
        "PidMode": "",
        "IpcMode": "private",
        "Devices": [],
        "UTSMode": "",
        "CgroupParent": "",
        "PidsLimit": 128,
        "UsernsMode": "",
    },
}


def engine(*containers: dict[str, Any], **changes: Any) -> Docker:
    """An engine that follows the whole benchmark, but for the changes."""
    following: dict[str, Any] = {
        "configured": {
            "icc": False,
            "default-ulimits": {"core": {}},
            "authorization-plugins": ["a"],
            "no-new-privileges": True,
            "userland-proxy": False,
        },
        "info": {
            "SecurityOptions": ["name=seccomp,profile=builtin", "name=userns", "name=rootless"],
            "Driver": "overlay2",
            "LoggingDriver": "syslog",
            "LiveRestoreEnabled": True,
            "ExperimentalBuild": False,
            "Swarm": {"LocalNodeState": "inactive"},
            "ServerVersion": "26.1.5",
        },
        "arguments": "/usr/sbin/dockerd -H fd://",
        "files": {"/run/docker.sock": ("root", "docker", 0o660)},
        "trusted": "",
    }
    return Docker(containers=containers or (CONFINED,), **{**following, **changes})


def test_lynis_is_read_with_one_finding_for_each_option() -> None:
    reading = readings.lynis(LYNIS)
    assert reading.figures == {"index": 61, "warnings": 1, "suggestions": 4, "tests": 242}
    assert [finding.name for finding in reading.findings] == [
        "FILE-6310",
        "PKGS-7392",
        "SSH-7408 MaxSessions",
        "SSH-7408 Port",
    ]
    assert reading.findings[0].text.count("file system") == 2
    assert reading.findings[2].text == "10; Lynis prefers 2"


def test_openscap_counts_only_the_rules_that_apply() -> None:
    reading = readings.openscap(OPENSCAP)
    assert reading.figures == {"passed": 2, "failed": 1, "inapplicable": 1, "percent": 66.7, "score": 71.5}
    assert reading.findings == (Finding("b", "Remove B"),)


@pytest.mark.parametrize(("verdict", "passed"), [(PASSED, 1), (FAILED, 0), ("", 0)])
def test_ssh_audit_is_read_with_its_policy(verdict: str, passed: int) -> None:
    reading = readings.ssh_audit(SSH_AUDIT, "P", verdict)
    assert reading.figures == {"fails": 1, "warnings": 1, "policy": passed}
    assert ("policy" in {finding.name for finding in reading.findings}) is not passed


def test_ssh_audit_that_printed_nothing_is_no_success() -> None:
    with pytest.raises(ValueError, match="printed no algorithm"):
        readings.ssh_audit("", "P", PASSED)


def test_a_reading_survives_being_kept() -> None:
    reading = readings.lynis(LYNIS)
    assert Reading.from_json(reading.as_json()) == reading


def test_an_engine_that_follows_the_docker_benchmark_has_no_finding() -> None:
    reading = docker_benchmark.judge(engine())
    assert reading.findings == ()
    assert reading.figures["passed"] == reading.figures["items"] == len(docker_benchmark.ITEMS)


@pytest.mark.parametrize(
    ("number", "changes"),
    [
        ("4.1", {"Config": {"User": ""}}),
        ("5.2", {"AppArmorProfile": ""}),
        ("5.4", {"HostConfig": {"CapAdd": ["NET_ADMIN"]}}),
        ("5.5", {"HostConfig": {"Privileged": True}}),
        ("5.6", {"Mounts": [{"Source": "/etc"}]}),
        ("5.10", {"HostConfig": {"NetworkMode": "host"}}),
        ("5.11", {"HostConfig": {"Memory": 0}}),
        ("5.13", {"HostConfig": {"ReadonlyRootfs": False}}),
        ("5.14", {"NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "::", "HostPort": "8080"}]}}}),
        ("5.15", {"HostConfig": {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}}}),
        ("5.22", {"HostConfig": {"SecurityOpt": ["no-new-privileges:true", "seccomp=unconfined"]}}),
        ("5.26", {"HostConfig": {"SecurityOpt": None}}),
        ("5.27", {"State": {}}),
        ("5.29", {"HostConfig": {"PidsLimit": None}}),
        ("5.32", {"Mounts": [{"Source": "/run/docker.sock"}]}),
    ],
)
def test_a_container_that_does_not_follow_an_item_is_named(number: str, changes: dict[str, Any]) -> None:
    container = copy.deepcopy(CONFINED)
    for key, value in changes.items():
        container[key] = {**container[key], **value} if key == "HostConfig" else value
    assert [finding.name for finding in docker_benchmark.judge(engine(container)).findings] == [f"{number} hbot-bot1"]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("2.7 the daemon", {"arguments": "/usr/sbin/dockerd -H tcp://0.0.0.0:2375"}),
        ("3 /etc/docker/daemon.json", {"files": {"/etc/docker/daemon.json": ("root", "root", 0o666)}}),
        ("3 /run/docker.sock", {"files": {"/run/docker.sock": ("root", "users", 0o660)}}),
        ("1.1.2 ops", {"trusted": "ops"}),
    ],
)
def test_a_daemon_that_does_not_follow_an_item_is_named(name: str, changes: dict[str, Any]) -> None:
    assert [finding.name for finding in docker_benchmark.judge(engine(**changes)).findings] == [name]


def reached() -> dict[str, Reading]:
    """Readings that meet every target and find nothing."""
    figures: dict[str, dict[str, float]] = {"docker": {"items": 3, "containers": 2}}
    for row in report.ROWS:
        value = row.least if row.least is not None else (row.most or 0)
        figures.setdefault(row.auditor, {})[row.figure] = value
    return {
        name: Reading(values, (), {"policy": "P"} if name == "ssh-audit" else {}) for name, values in figures.items()
    }


def test_an_audit_without_findings_and_with_every_target_reached_passes() -> None:
    assert report.problems(reached(), {}) == []


def test_a_missed_target_fails_the_audit() -> None:
    here = reached()
    here["lynis"] = Reading({**here["lynis"].figures, "index": 79, "warnings": 1})
    assert report.problems(here, {}) == [
        "Lynis, hardening index: 79, and 80 is the least",
        "Lynis, warnings: 1, and 0 is the most",
    ]


def test_findings_and_explanations_must_meet() -> None:
    here = reached()
    here["docker"] = Reading(here["docker"].figures, (Finding("5.15 a", "x"), Finding("5.2 a", "y")))
    known = report.explanations(
        "docker: [{findings: ['5.15 *', '5.9 *'], verdict: done otherwise, why: it\n    must come back}]"
    )
    assert report.problems(here, known) == [
        "docker: 5.2 a (y) has no explanation",
        "docker: what explains 5.9 * explains nothing",
    ]
    page = report.page(reached(), here, known)
    assert "| `5.15 a` | x | **done otherwise**: it must come back |" in page


@pytest.mark.parametrize("text", ["docker: [{findings: [a], verdict: fine, why: x}]", "nessus: []"])
def test_an_unknown_verdict_or_auditor_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"fine|nessus"):
        report.explanations(text)


def test_the_repositorys_own_explanations_are_whole_and_the_page_has_each_of_them() -> None:
    text = report.EXPLANATIONS.read_text(encoding="utf-8")
    page = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")
    for entries in report.explanations(text).values():
        for one in entries:
            assert len(one.why) > 30
            assert one.why.replace("|", "\\|") in page, "run `make audit`"
    assert set(yaml.safe_load(text)) <= set(report.SECTIONS)


def test_what_was_measured_is_kept_by_what_decides_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embedded_vps.layout.REPOSITORY", tmp_path)
    file = tmp_path / "a"
    file.write_text("1")
    before = digest([file])
    file.write_text("2")
    assert digest([file]) != before
    assert measured(tmp_path) == {}


def test_rules_that_cannot_be_met_here_do_not_count_as_applicable() -> None:
    findings = (Finding("a", ""), Finding("b", ""), Finding("c", ""))
    readings_of_all = {"cis": Reading({"passed": 18.0, "failed": 3.0, "percent": 85.7}, findings)}
    known = report.explanations(
        "cis: [{findings: [a], verdict: another alternative, why: x}, {findings: [b], verdict: wrong here, why: y}]"
    )
    assert report.with_applicable(readings_of_all, known)["cis"].figures["applicable"] == 90.0


def test_the_readmes_figures_are_those_of_the_last_audit() -> None:
    root = Path(__file__).parents[2]
    section = (root / "README.md").read_text(encoding="utf-8").split("\n## Measured\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    audit = (root / "docs" / "audit.md").read_text(encoding="utf-8").splitlines()
    assert len(rows) > 5
    assert [row for row in rows if row not in audit] == []
