"""The heartbeat that the bot's watchdog reads."""

from pathlib import Path

from epp.books.heartbeat import NAME, Heartbeat
from watchdog import facts
from watchdog.surroundings import read_heartbeat


def test_the_watchdog_reads_what_the_bot_writes(tmp_path: Path) -> None:
    """Every beat replaces the one before it; of two bots' files the newer one is the running bot's."""
    directory, before = tmp_path / "bot1_a", tmp_path / "bot1_d"
    directory.mkdir()
    before.mkdir()
    Heartbeat(before).beat(50.0, 50.0, ())
    heartbeat = Heartbeat(directory)
    heartbeat.beat(99.0, 98.0, ["hbot-bot1-1"])
    heartbeat.beat(100.25, 99.5, ["hbot-bot1-3", "hbot-bot1-2"])
    assert [path.name for path in directory.iterdir()] == [NAME]
    assert read_heartbeat(tmp_path / "*" / NAME) == facts.Heartbeat(
        100.25, 99.5, frozenset({"hbot-bot1-2", "hbot-bot1-3"})
    )
