"""Fixtures for all tests: the collection as it is built and installed."""

from pathlib import Path

import pytest
from ansible.plugins.loader import init_plugin_loader

from tests.controller import PLAYBOOKS_DIRECTORY, ROOT, ROOT_PLAYBOOK, Way, command, installed


@pytest.fixture(scope="session")
def importable_collection() -> None:
    """The collection's own modules can be imported from the checkout, as they can on a controller and on a VPS."""
    init_plugin_loader([str(ROOT / "collections")])


@pytest.fixture(scope="session")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection, built from the checkout."""
    output = tmp_path_factory.mktemp("tarball")
    run = command("ansible-galaxy", "collection", "build", "--output-path", str(output))
    assert run.code == 0, run.output
    return next(output.glob("hbot-infra-*.tar.gz"))


@pytest.fixture(scope="session")
def collections(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory into which the tarball was installed, without a network."""
    path = tmp_path_factory.mktemp("collections")
    way = installed(path, tmp_path_factory.mktemp("elsewhere"))
    run = command("ansible-galaxy", "collection", "install", "--offline", "-p", str(path), str(tarball), way=way)
    assert run.code == 0, run.output
    return path


@pytest.fixture(params=["site.yml", "playbooks/site.yml", "hbot.infra.site"])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Way:
    """Each of the three ways of running a playbook."""
    if request.param == ROOT_PLAYBOOK.name:
        return ROOT_PLAYBOOK
    if request.param == PLAYBOOKS_DIRECTORY.name:
        return PLAYBOOKS_DIRECTORY
    empty = tmp_path / "empty"
    empty.mkdir()
    return installed(request.getfixturevalue("collections"), empty)
