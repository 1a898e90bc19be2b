"""The operator is not root: what a page says to type on the VPS and only root may do, says `sudo`."""

import re
from pathlib import Path

import pytest

from tests.controller import ROOT

PAGES = sorted(page for page in (ROOT / "docs").rglob("*.md") if page.name != "embedded_vps.md")
"""All but the one about the machine that the tests run on."""

NEEDS_ROOT = re.compile(
    r"^    (?:docker|journalctl) |`(?:docker (?:exec|logs|pull|restart|start|stop) |journalctl )",
    re.MULTILINE,
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_only_root_may_do_is_typed_with_sudo(page: Path) -> None:
    text = page.read_text()
    # The original's commands are shown as the original typed them.
    text, _, rest = text.partition("| the original | today |")
    text += rest.partition("\n\n")[2]
    assert NEEDS_ROOT.findall(text) == []
