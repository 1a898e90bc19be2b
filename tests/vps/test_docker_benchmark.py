"""The CIS Docker Benchmark's items hold on the converged VPS, but for those that are explained."""

from fnmatch import fnmatchcase

import pytest

from embedded_vps.audit import docker_benchmark, report
from embedded_vps.audit.docker_benchmark import ITEMS, Docker, Item
from tests.vps.machine import Vps

EXPLAINED = [
    name
    for one in report.explanations(report.EXPLANATIONS.read_text(encoding="utf-8"))["docker"]
    for name in one.findings
]


@pytest.fixture(scope="module")
def docker(vps: Vps) -> Docker:
    """The VPS's engine and its running containers."""
    found = docker_benchmark.collect(vps.run)
    assert {"/hbot-bot1", "/hbot-bot2"} <= {container["Name"] for container in found.containers}
    return found


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: f"{item.number} {item.title}")
def test_an_item_of_the_docker_benchmark_holds_or_is_explained(docker: Docker, item: Item) -> None:
    names = [f"{item.number} {offender}" for offender in item.offenders(docker)]
    assert [name for name in names if not any(fnmatchcase(name, pattern) for pattern in EXPLAINED)] == []


def test_every_container_has_the_default_limits_and_dumps_no_core(docker: Docker) -> None:
    assert docker.configured["default-ulimits"]["core"] == {"Name": "core", "Hard": 0, "Soft": 0}
