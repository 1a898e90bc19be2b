"""The record of a kill campaign: its rounds, one JSON line each, and the row in docs/campaigns.md that they come to.

``make kills`` runs ``PYTHONPATH=files python -m epp.tests.adapter.kill_record RECORD``, which writes the row once all
rounds are done.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

FILES = Path(__file__).parents[3]
PROGRAMS = (FILES / "epp", FILES / "paper_exchange")
PAGE = FILES.parent / "docs" / "campaigns.md"
ROUNDS = int(os.environ.get("EPP_KILL_ROUNDS", "3"))


@dataclass(frozen=True)
class Round:
    """One kill and what was found after the start that followed it."""

    number: int
    at: str
    killed: str
    """When, in words."""
    while_starting: bool
    orders_left: int
    """Own orders that the kill left on the exchange."""
    fills_unbooked: int
    """Fills at the exchange that fills.csv did not have after the kill."""
    fills: int
    """Fills at the exchange, all of them in the books, at the round's end."""


def source_hash() -> str:
    """Of the programs that a round proves something about, without their tests."""
    digest = hashlib.sha256()
    for program in PROGRAMS:
        for path in sorted(program.rglob("*.py")):
            if "tests" not in path.parts:
                digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


class KillRecord:
    """A file of rounds.

    Args:
        path: the file; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.source = source_hash()

    def rounds(self) -> list[Round]:
        """Rounds done with the code as it is; none from before a failure."""
        if self.path is None or not self.path.exists():
            return []
        found: list[Round] = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            document = json.loads(line)
            if document["source"] != self.source or "failed" in document:
                found.clear()
            else:
                found.append(Round(**document["round"]))
        return found

    def add(self, done: Round) -> None:
        """A round is done."""
        self._write({"round": asdict(done)})

    def fail(self, why: str) -> None:
        """A round failed: those before it count no more."""
        self._write({"failed": why})

    def _write(self, document: dict[str, object]) -> None:
        line = json.dumps({"source": self.source} | document)
        print(line)
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


def row(rounds: list[Round], wanted: int, commit: str, now: datetime) -> str:
    """The table's row; it says when not all rounds are done."""
    # The fills of a new exchange begin at none again, after an interruption.
    following = [one.fills for one in rounds[1:]] + [-1]
    peaks = [one.fills for one, later in zip(rounds, following, strict=True) if later < one.fills]
    unfinished = len(rounds) < wanted
    cells = (
        commit, f"{now:%Y-%m-%d}", f"{len(rounds)} of {wanted}" if unfinished else len(rounds),
        sum(one.while_starting for one in rounds), sum(one.orders_left for one in rounds), sum(peaks),
        sum(one.fills_unbooked for one in rounds), "none so far" if unfinished else "none",
    )  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def in_table(page: str, new: str) -> str:
    """The page with the row, first in the table, in the place of an older one of the same commit."""
    commit = new.split(" | ")[0]
    lines = page.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("| commit | date | kills |")) + 2
    end = next((number for number in range(first, len(lines)) if not lines[number].startswith("|")), len(lines))
    others = [line for line in lines[first:end] if not line.startswith(f"{commit} |")]
    return "\n".join([*lines[:first], new, *others, *lines[end:]]) + "\n"


def main(arguments: list[str]) -> int:
    """Write the row of the rounds done; 1 when they are not all of them."""
    rounds = KillRecord(Path(arguments[0])).rounds()
    if not rounds:
        print("no round is done, or the last one failed: nothing is written", file=sys.stderr)
        return 1
    git = ["git", "-C", str(FILES), "describe", "--always", "--dirty", "--abbrev=10"]
    commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    new = row(rounds, ROUNDS, commit, datetime.now(UTC))
    PAGE.write_text(in_table(PAGE.read_text(encoding="utf-8"), new), encoding="utf-8")
    print(new)
    if len(rounds) < ROUNDS:
        print(f"{len(rounds)} of {ROUNDS} rounds are done: run make kills again, it goes on", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
