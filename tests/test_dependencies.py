"""The three places that state what the collection needs say the same, and what is installed here satisfies them."""

import json
import tomllib
from pathlib import Path
from typing import Any

import ansible
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.controller import ROOT, command

NEEDED: dict[str, str] = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["dependencies"]


def manifest(collection: str) -> dict[str, Any]:
    """What a collection that the ansible package brings says of itself."""
    site_packages = Path(ansible.__file__).parents[1]
    file = site_packages / "ansible_collections" / collection.replace(".", "/") / "MANIFEST.json"
    information: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["collection_info"]
    return information


def test_requirements_and_galaxy_state_the_same_ranges() -> None:
    requirements = yaml.safe_load((ROOT / "requirements.yml").read_text(encoding="utf-8"))["collections"]
    assert {entry["name"]: entry["version"] for entry in requirements} == NEEDED


@pytest.mark.parametrize("collection", NEEDED)
def test_the_locked_environment_satisfies_the_range(collection: str) -> None:
    assert manifest(collection)["version"] in SpecifierSet(NEEDED[collection])


def test_the_floor_of_community_docker_is_the_first_that_speaks_to_docker_29() -> None:
    assert "5.0.1" not in SpecifierSet(NEEDED["community.docker"])
    assert "5.0.2" in SpecifierSet(NEEDED["community.docker"])


def test_this_ansible_core_is_one_that_the_collection_admits() -> None:
    admitted = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))["requires_ansible"]
    assert ansible.__version__ in SpecifierSet(admitted)


def test_one_version_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"] == project


def test_the_lock_holds_every_development_dependency() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    locked = dict(line.split(" ")[0].split("==") for line in lines if "==" in line and not line.startswith((" ", "#")))
    for text in groups["dev"]:
        requirement = Requirement(text)
        assert locked[requirement.name.lower()] in requirement.specifier


def test_nothing_has_to_be_downloaded(tmp_path: Path) -> None:
    run = command("ansible-galaxy", "collection", "install", "--offline", "-r", "requirements.yml", "-p", str(tmp_path))
    assert run.code == 0, run.output
