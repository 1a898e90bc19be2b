"""What a campaign has done, a line of JSON each: one that was stopped goes on, and each line says at which commit."""

import json
import random
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

ROOT = Path(__file__).resolve().parents[2]


def rows(file: Path) -> list[dict[str, Any]]:
    """Every line so far, oldest first; none of a campaign that begins."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def add(file: Path, row: "DataclassInstance") -> dict[str, Any]:
    """Add a line, and return it as `rows` would."""
    found = asdict(row)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(found) + "\n")
    return found


def commit() -> str:
    """The revision that is tried."""
    said = subprocess.run(
        ["git", "rev-parse", "--short=10", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return said.stdout.strip()


def now() -> str:
    """The moment, in UTC."""
    return f"{datetime.now(UTC):%F %T}"


def on_one_line(faults: list[str]) -> str:
    """What did not hold, for a line; empty when all did."""
    return " | ".join(" ".join(fault.split()) for fault in faults)[:3000]


def drawn_by(seed: int) -> random.Random:
    """Draws that are the same each time."""
    return random.Random(seed)  # noqa: S311  # no secret: a seeded sample
