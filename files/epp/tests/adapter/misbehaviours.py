"""What the paper exchange does wrong to a real bot, what the bot promises then, and the record of it.

``make misbehave`` runs all of them, two minutes each, and ``PYTHONPATH=files python -m
epp.tests.adapter.misbehaviours RECORD`` writes the table in docs/campaigns.md once all are done.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from epp.tests.adapter.kill_record import FILES, PAGE, source_hash

BEGIN, END = "<!-- misbehaviours -->", "<!-- /misbehaviours -->"


@dataclass(frozen=True)
class Misbehaviour:
    """One way to misbehave: the fault and its parameters, and how long.

    ``promised``: reasons of which the bot must give one; none: it may go on. ``may_latch``: whether a hard stop is
    within the promise.
    """

    fault: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    promised: frozenset[str] = frozenset()
    may_latch: bool = False
    seconds: float = 120


def _reasons(*names: str) -> frozenset[str]:
    return frozenset(names)


ALL: Mapping[str, Misbehaviour] = {
    "latency": Misbehaviour("latency", {"ms": "1500", "jitter_ms": "500"}),
    "jitter": Misbehaviour("latency", {"ms": "600", "jitter_ms": "600"}),
    "429": Misbehaviour("rate-limit", {"per_s": "1"}),
    "5xx": Misbehaviour("http-error", {"status": "503"}),
    "malformed answers": Misbehaviour("malformed"),
    "truncated answers": Misbehaviour("truncated"),
    "dropped sockets": Misbehaviour("drop-sockets", {"every_s": "15"}),
    "silent sockets": Misbehaviour("silent-sockets", promised=_reasons("feed", "connector")),
    "silent feed": Misbehaviour("silent-feed", promised=_reasons("feed", "connector")),
    "silent account": Misbehaviour("silent-account"),
    "late feed": Misbehaviour("late-feed", {"ms": "2000", "jitter_ms": "1000"}),
    "lost acks of orders": Misbehaviour("lost-reply", {"endpoint": "place-order"}),
    "lost acks of cancels": Misbehaviour("lost-reply", {"endpoint": "cancel-order"}),
    "refused orders": Misbehaviour("refuse-place"),
    # An order may be up to 90 s old before its cancel is asked for, and it outlives that by 30 s before it pauses.
    "refused cancels": Misbehaviour("refuse-cancel", promised=_reasons("cancel_stuck"), may_latch=True, seconds=240),
    "forgotten cancels": Misbehaviour("lost-cancel", may_latch=True),
    "duplicate events": Misbehaviour("duplicate-events"),
    "events out of order": Misbehaviour("shuffled-events", {"ms": "1500"}),
    "stale book": Misbehaviour("stale-book", promised=_reasons("feed", "price_sanity")),
    # Hummingbot drops the older side of an overlap with the next change, so that mostly nothing is left to be seen.
    "crossed book": Misbehaviour("crossed-book"),
    "thin book": Misbehaviour("thin-book", {"bps": "150"}),
    "price jump up": Misbehaviour("price-jump", {"percent": "3"}),
    "price jump down": Misbehaviour("price-jump", {"percent": "-3"}),
    # A look at the clock a minute, and the median of five: three of them must be off.
    "clock skew": Misbehaviour("clock-skew", {"ms": "3000"}, promised=_reasons("clock"), seconds=240),
    "maintenance": Misbehaviour("maintenance", promised=_reasons("connector", "feed", "price_sanity")),
    "wrong balance": Misbehaviour("wrong-balance", promised=_reasons("balances"), may_latch=True),
    "partial fills": Misbehaviour("partial-fills"),
}


@dataclass(frozen=True)
class Outcome:
    """What one misbehaviour did to the bot. Times in seconds; ``problem`` is empty when all promises were kept."""

    name: str
    at: str
    states: tuple[str, ...]
    orders: int
    """Placed while it lasted."""
    fills: int
    """Made while it lasted and until the books were compared."""
    quoting_after_s: float | None
    """From its end to the next order; None when a latch was within the promise."""
    problem: str = ""


class Record:
    """A file of outcomes; those of other code do not count.

    Args:
        path: the file; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._source = source_hash()

    def outcomes(self) -> dict[str, Outcome]:
        """The latest outcome of each misbehaviour with the code as it is."""
        found: dict[str, Outcome] = {}
        if self._path is not None and self._path.exists():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                document = json.loads(line)
                if document.pop("source") == self._source:
                    outcome = Outcome(**document | {"states": tuple(document["states"])})
                    found[outcome.name] = outcome
        return found

    def pending(self, names: Sequence[str]) -> list[str]:
        """Those that have not passed yet."""
        done = self.outcomes()
        return [name for name in names if name not in done or done[name].problem]

    def add(self, outcome: Outcome) -> None:
        """Keep one."""
        line = json.dumps({"source": self._source} | asdict(outcome))
        print(line, flush=True)
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


def chosen(wanted: str, now: datetime) -> list[str]:
    """The names to run: ``all``; names, with commas between; part ``2/3`` of all; or, by default, one that changes
    from day to day."""
    names = list(ALL)
    if wanted == "all":
        return names
    part, slash, parts = wanted.partition("/")
    if slash:
        return names[int(part) - 1 :: int(parts)]
    if wanted:
        return wanted.split(",")
    return random.Random(now.toordinal()).sample(names, 1)  # noqa: S311 - a sample, no secret


def table(outcomes: Mapping[str, Outcome], commit: str) -> list[str]:
    """The table of a campaign that is done."""
    lines = [
        f"Commit {commit}, {max(outcome.at for outcome in outcomes.values())[:10]}: {len(outcomes)} of {len(ALL)}.",
        "",
        "| misbehaviour | what the bot said | orders | fills | quoting again after |",
        "|---|---|---|---|---|",
    ]
    for name in ALL:
        if name in outcomes:
            one = outcomes[name]
            again = "latched, as promised" if one.quoting_after_s is None else f"{one.quoting_after_s:.0f} s"
            again = "" if one.problem else again
            said = f"**{one.problem}**" if one.problem else ", ".join(one.states) or "nothing: it went on"
            lines.append(f"| {name} | {said} | {one.orders} | {one.fills} | {again} |")
    return lines


def main(arguments: list[str]) -> int:
    """Write the table; 1 while some are missing or failed."""
    record = Record(Path(arguments[0]))
    outcomes = record.outcomes()
    if not outcomes:
        print("nothing was run with this code: run make misbehave", file=sys.stderr)
        return 1
    git = ["git", "-C", str(FILES), "describe", "--always", "--dirty", "--abbrev=10"]
    commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text("\n".join([before + BEGIN, "", *table(outcomes, commit), "", END + after]), encoding="utf-8")
    missing = record.pending(list(ALL))
    if missing:
        print(f"missing or failed: {', '.join(missing)}: run make misbehave again, it goes on", file=sys.stderr)
    return 1 if missing else 0


def now_text() -> str:
    """The time of a record."""
    return datetime.now(UTC).isoformat(timespec="seconds")


WANTED = os.environ.get("EPP_MISBEHAVIOURS", "")

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
