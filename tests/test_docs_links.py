"""Every page that a page or a message of the code sends its reader to is there, heading included."""

import re
import subprocess
from pathlib import Path

from tests.controller import ROOT

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
NAMED = re.compile(r"\bdocs/[\w./-]+\.md\b")
NAMED_TEST = re.compile(r"`((?:tests|files)/[\w/]+\.py)::(test_\w+)`")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def tracked() -> list[Path]:
    """The files of the repository."""
    git = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = [ROOT / name for name in git.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def pages() -> list[Path]:
    """Everything written in Markdown."""
    return [path for path in tracked() if path.suffix == ".md"]


def anchors(page: Path) -> set[str]:
    """What a link can name in a page: its headings as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    plain = (LINK.sub("", heading).replace("`", "") if "](" in heading else heading for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in plain}


def test_every_relative_link_leads_to_a_file_and_a_heading() -> None:
    broken = []
    for page in pages():
        for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
            if "://" in target or target.startswith("mailto:"):
                continue
            path, _, anchor = target.partition("#")
            leads_to = (page.parent / path).resolve() if path else page
            if not leads_to.exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}: there is no such file")
            elif anchor and leads_to.suffix == ".md" and anchor not in anchors(leads_to):
                broken.append(f"{page.relative_to(ROOT)}: {target}: there is no such heading")
    assert broken == []


def test_every_page_that_the_code_names_exists() -> None:
    missing = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a recording or an image
        missing += [f"{path.relative_to(ROOT)}: {name}" for name in NAMED.findall(text) if not (ROOT / name).is_file()]
    assert missing == []


def test_every_page_is_linked_from_another() -> None:
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in pages()
        for target in LINK.findall(page.read_text(encoding="utf-8"))
        if "://" not in target and not target.startswith("#")
    }
    assert [page.name for page in sorted((ROOT / "docs").glob("*.md")) if page not in linked] == []


def test_every_test_that_a_page_calls_a_proof_exists() -> None:
    named = {found for page in pages() for found in NAMED_TEST.findall(page.read_text(encoding="utf-8"))}
    missing = [
        f"{path}::{name}"
        for path, name in sorted(named)
        if not (ROOT / path).is_file() or f"def {name}(" not in (ROOT / path).read_text(encoding="utf-8")
    ]
    assert named
    assert missing == []


def test_every_picture_is_shown_on_a_page_and_small() -> None:
    """A clone carries each of them for ever, and so every version of it."""
    pictures = [path for path in tracked() if path.suffix in (".png", ".webp", ".jpg", ".svg")]
    shown = {
        (page.parent / target).resolve()
        for page in pages()
        for target in LINK.findall(page.read_text(encoding="utf-8"))
    }
    assert pictures
    assert [path.name for path in pictures if path not in shown] == []
    assert [path.name for path in pictures if path.stat().st_size > 200_000] == []
