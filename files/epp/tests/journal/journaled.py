"""A stage whose core is journaled."""

from pathlib import Path
from typing import Any

from epp.core import State
from epp.journal.reader import Segment, find_segments
from epp.journal.recorder import JournaledEngine
from epp.journal.verify import Comparison, verify
from epp.journal.writer import JournalWriter, Origin
from epp.tests.core.stage import Stage

ORIGIN = Origin(
    instance="bot1", variant="a", mode="paper", market_source="recorded", speed=1.0, strategy_hash="s", config_hash="c"
)


class Journaled:
    """A stage, and the writer beside its core.

    Args:
        stage: what happens; its core is replaced by a journaled one that goes on from its state.
        directory: the journal.
        max_bytes: its allowance.
    """

    def __init__(self, stage: Stage, directory: Path, max_bytes: int = 10_000_000) -> None:
        self.stage, self.directory, self.max_bytes = stage, directory, max_bytes
        self.warnings: list[str] = []
        self.start()

    def start(self) -> None:
        """The bot's process begins."""
        stage = self.stage
        self.writer = JournalWriter(
            self.directory, ORIGIN, stage.parameters, self.max_bytes, self.warnings.append, clock=lambda: stage.ts
        )
        stage.state = State.from_dict(stage.engine.state.to_dict())
        stage.engine = JournaledEngine(stage.parameters, stage.state, self.writer)

    def stop(self) -> None:
        """It ends, and everything is written."""
        self.writer.close()

    def restart(self) -> None:
        """It ends and begins again."""
        self.stop()
        self.start()

    def new_file(self) -> None:
        """A segment is full."""
        assert isinstance(self.stage.engine, JournaledEngine)
        self.stage.engine._begin()

    def again(self) -> Comparison:
        """Stop, and make every decision again."""
        self.stop()
        return verify(map(Segment, find_segments(self.directory)))


def assert_identical(found: Comparison, **counts: Any) -> None:
    """No difference, and as many of everything."""
    assert found.difference is None, found.difference
    for name, count in counts.items():
        assert getattr(found, name) == count, name
