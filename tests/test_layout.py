"""What holds for the repository as a whole: its tree, and what it never mentions."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.controller import ROOT

FORBIDDEN = {
    "a directory of the machine it was written on": re.compile(r"/(work|tmp/w)/(main|shared|\w+)"),
    "the host of a package registry": re.compile(
        r"\b(files\.pythonhosted|pypi|registry\.npmjs|galaxy\.ansible)\.(org|com)\b"
    ),
    "somebody's marks of work left undone": re.compile(r"\b(TODO|FIXME|XXX)\b"),
}


def tracked() -> list[Path]:
    """The files of the repository."""
    git = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return [ROOT / name for name in git.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_nothing_mentions(what: str) -> None:
    found = []
    for path in tracked():
        if path == Path(__file__) or path.name == "requirements.lock" or path.is_symlink():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a recording or an image
        found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in FORBIDDEN[what].finditer(text)]
    assert found == []


def test_what_silences_a_linter_says_why() -> None:
    codes = r"[A-Z]+\d+(?:, ?[A-Z]+\d+)*"
    silencer = re.compile(rf"#\s*(?:type: ignore(?:\[[^]]*\])?|(?:ruff: )?noqa(?:: ?{codes})?)(.*)$", re.MULTILINE)
    silent = []
    for path in tracked():
        if path.suffix in (".py", ".yml") and path != Path(__file__) and not path.is_symlink():
            reasons = silencer.findall(path.read_text(encoding="utf-8"))
            silent += [path.relative_to(ROOT) for reason in reasons if len(reason.strip(" #(-)")) < 3]
    assert silent == []


def test_the_checkout_is_found_as_a_collection() -> None:
    link = ROOT / "collections" / "ansible_collections" / "hbot" / "infra"
    assert link.is_symlink()
    assert link.resolve() == ROOT
    assert not link.readlink().is_absolute()


def test_no_secret_is_in_the_repository() -> None:
    for path in tracked():
        head = path.read_bytes()[:200]
        assert b"PRIVATE KEY-----" not in head, path
        assert path.name not in (".env", ".vault_pass"), path


def test_every_module_of_the_controller_has_its_documentation() -> None:
    """An action plugin is shown by `ansible-doc` through the module of the same name."""
    modules = {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")}
    assert {path.stem for path in (ROOT / "plugins" / "action").glob("*.py")} <= modules


def test_playbooks_name_only_roles_that_exist() -> None:
    roles = {path.name for path in (ROOT / "roles").iterdir() if path.is_dir()}
    for playbook in (ROOT / "playbooks").glob("*.yml"):
        for play in yaml.safe_load(playbook.read_text(encoding="utf-8")):
            for entry in play.get("roles", []):
                assert entry["role"].removeprefix("hbot.infra.") in roles
