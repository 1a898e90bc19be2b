"""Crashes, full disks, slow disks, other cores, altered files: what the journal does, and says."""

import gzip
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest
from epp.__main__ import main
from epp.core import Side
from epp.journal import writer
from epp.journal.reader import JournalError, Segment, find_segments
from epp.journal.verify import verify
from epp.journal.writer import compress, segments
from epp.tests.core.stage import quoting
from epp.tests.journal.journaled import Journaled, assert_identical


def lived(directory: Path) -> Path:
    """A small journal with a fill; its file."""
    journal = Journaled(quoting(), directory)
    journal.stage.run(30)
    journal.stage.fill(journal.stage.of(Side.BUY)[0].order_id)
    journal.stage.run(30)
    journal.stop()
    (path,) = segments(directory)
    return path


def alter(path: Path, number: int, change: Callable[[dict[str, Any]], None]) -> None:
    """Change one line, counted from one."""
    lines = path.read_text().splitlines()
    document = json.loads(lines[number - 1])
    change(document)
    lines[number - 1] = json.dumps(document)
    path.write_text("\n".join(lines) + "\n")


def call_line(path: Path, name: str) -> int:
    """The first line with a call."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if f'"call":"{name}"' in line:
            return number
    raise AssertionError(name)


def test_verify_says_how_much_was_identical(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = lived(tmp_path)
    assert main(["journal", "verify", str(path)]) == 0
    assert capsys.readouterr().out.startswith("60 ticks, 60 decisions identical; 61 calls in 1 files from 1 starts")
    assert main(["journal", "verify", "--json", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["identical"] is True


def test_a_changed_price_is_the_first_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One digit of one snapshot: the first decision that follows from it is named, with both values."""
    path = lived(tmp_path)

    def nearer(document: dict[str, Any]) -> None:
        document["in"]["bid"] = 49_000.0

    alter(path, 2, nearer)
    assert main(["journal", "verify", str(path)]) == 1
    out = capsys.readouterr().out
    assert out.startswith(f"DIFFERENT after 1 ticks: {path.name}, call 1 (decide) at 20")
    assert "\n  journal     " in out
    assert "\n  made again  " in out
    assert main(["journal", "verify", "--json", str(path)]) == 1
    assert json.loads(capsys.readouterr().out)["difference"]["call"] == 1


@pytest.mark.parametrize("name", ["decide", "on_fill"])
def test_a_changed_outcome_is_found(tmp_path: Path, name: str) -> None:
    path = lived(tmp_path)

    def otherwise(document: dict[str, Any]) -> None:
        document["out"]["regime"] = "up"

    alter(path, call_line(path, name), otherwise)
    found = verify([Segment(path)])
    assert found.difference is not None
    assert (found.difference.name, found.difference.where) == (name, "regime")


def test_a_changed_state_between_two_files_is_found(tmp_path: Path) -> None:
    journal = Journaled(quoting(), tmp_path)
    journal.stage.run(5)
    journal.new_file()
    journal.stage.run(5)
    journal.stop()
    files = segments(tmp_path)
    assert [path.suffix for path in files] == [".gz", ".jsonl"]
    assert_identical(verify(map(Segment, files)), ticks=10, segments=2, starts=1)

    def other_band(document: dict[str, Any]) -> None:
        document["state"]["market"]["band"] = 0.5

    alter(files[1], 1, other_band)
    found = verify(map(Segment, files))
    assert found.difference is not None
    assert (found.difference.where, found.difference.call) == ("state.market.band", 0)


def test_another_core_s_journal_is_refused_with_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = lived(tmp_path)
    alter(path, 1, lambda head: head.update(core_hash="0123456789abcdef"))
    assert main(["journal", "verify", str(path)]) == 2
    err = capsys.readouterr().err
    assert "written by another core (0123456789abcdef)" in err
    assert "--any-core" in err
    assert main(["journal", "verify", "--any-core", str(path)]) == 0
    assert main(["journal", "show", str(path)]) == 0
    assert "written by another core" in capsys.readouterr().out


@pytest.mark.parametrize("tail", [b'{"n":62,"call":"deci', b"\0" * 4096])
def test_a_line_cut_by_a_crash_is_left_out_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tail: bytes
) -> None:
    path = lived(tmp_path)
    path.write_bytes(path.read_bytes() + tail)
    assert main(["journal", "verify", str(path)]) == 0
    out = capsys.readouterr().out
    assert f"{path.name}: line 63 is not whole" in out
    assert "60 decisions identical" in out


def test_the_next_start_never_writes_into_a_torn_file(tmp_path: Path) -> None:
    path = lived(tmp_path)
    torn = path.read_bytes() + b'{"n":62,'
    path.write_bytes(torn)
    journal = Journaled(quoting(), tmp_path)
    journal.stage.ts += 100
    journal.stage.run(3)
    found = journal.again()
    assert_identical(found, segments=2, starts=2)
    assert len(found.cut) == 1
    assert gzip.decompress(segments(tmp_path)[0].read_bytes()) == torn


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda lines: lines[:5] + lines[6:], "line 6: call 6 follows call 4: lines are missing"),
        (lambda lines: [*lines[:5], b"oops", *lines[5:]], "line 6: "),
        (lambda lines: [*lines[:5], b'{"n":5}', *lines[5:]], "line 6: not a journal's line"),
        (lambda lines: lines[1:], "line 1: not a journal's head"),
        (
            lambda lines: [lines[0].replace(b'"journal":1', b'"journal":9'), *lines[1:]],
            "schema 9; this program reads 1",
        ),
        (lambda lines: [lines[0].replace(b'"guard"', b'"gourd"'), *lines[1:]], "line 1: this core refuses"),
        (lambda lines: [lines[0], lines[1].replace(b'"decide"', b'"delete"'), *lines[2:]], "no call 'delete'"),
        (lambda lines: [lines[0], lines[1].replace(b'"bid":', b'"bit":'), *lines[2:]], "line 2: "),
        (lambda _: [], "is empty"),
    ],
)
def test_a_damaged_file_is_refused_with_file_and_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[list[bytes]], list[bytes]],
    message: str,
) -> None:
    path = lived(tmp_path)
    lines = damage(path.read_bytes().splitlines())
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    assert main(["journal", "verify", str(path)]) == 2
    err = capsys.readouterr().err
    assert str(path) in err
    assert message in err


def test_a_truncated_compressed_file_is_refused(tmp_path: Path) -> None:
    path = lived(tmp_path)
    compress(path)
    (packed,) = segments(tmp_path)
    assert_identical(verify([Segment(packed)]), ticks=60)
    packed.write_bytes(packed.read_bytes()[:-200])
    with pytest.raises(JournalError, match="cannot be read"):
        verify([Segment(packed)])


def test_a_crash_while_compressing_loses_and_doubles_nothing(tmp_path: Path) -> None:
    path = lived(tmp_path)
    whole = path.read_bytes()
    compress(path)
    path.write_bytes(whole)
    (tmp_path / "x.jsonl.gz.partial").write_bytes(b"half")
    assert find_segments(tmp_path) == [path]
    Journaled(quoting(), tmp_path).stop()
    assert [one.name for one in segments(tmp_path)] == [f"{path.name}.gz", f"{path.stem}-1.jsonl"]
    assert not list(tmp_path.glob("*.partial"))


def test_no_journal_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["journal", "verify", str(tmp_path)]) == 2
    assert "journal_max_mb 0 keeps none" in capsys.readouterr().err
    assert main(["journal", "show", str(tmp_path / "x")]) == 2


def test_it_stays_within_its_allowance_and_the_newest_is_kept(tmp_path: Path) -> None:
    allowance = 200_000
    journal = Journaled(quoting(), tmp_path, max_bytes=allowance)
    most = 0
    for _ in range(300):
        journal.stage.run(40)
        time.sleep(0.01)  # the writer's thread has its turn
        most = max(most, sum(path.stat().st_size for path in segments(tmp_path)))
    found = journal.again()
    assert_identical(found, lost=0)
    assert found.segments > 3
    assert 0 < found.ticks < 300 * 40, "the oldest are gone"
    assert most < 1.2 * allowance
    assert segments(tmp_path)[-1].suffix == ".jsonl"


def test_a_disk_that_refuses_stops_no_decision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("epp.journal.writer.RETRY_S", 0.0)
    in_the_way = tmp_path / "journal"
    in_the_way.write_text("a file where the directory should be")
    journal = Journaled(quoting(), in_the_way)
    journal.stage.run(50)
    assert journal.stage.doing == "running"
    deadline = time.monotonic() + 5
    while not journal.warnings:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert "Trading goes on" in journal.warnings[0]
    in_the_way.unlink()
    for _ in range(20):
        time.sleep(0.01)
        journal.stage.run(10)
    found = journal.again()
    assert found.difference is None
    assert found.lost > 0
    assert found.ticks + found.lost >= 250


def test_a_disk_that_hangs_is_waited_for_by_no_tick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue fills; calls are counted as lost; a new file begins when the disk is back."""
    monkeypatch.setattr("epp.journal.writer.QUEUE", 20)
    answers = threading.Event()
    write = writer._write

    def slow(file: IO[bytes], data: bytes) -> None:
        answers.wait(30)
        write(file, data)

    monkeypatch.setattr(writer, "_write", slow)
    journal = Journaled(quoting(), tmp_path)
    began = time.monotonic()
    journal.stage.run(300)
    assert time.monotonic() - began < 5
    answers.set()
    for _ in range(20):
        time.sleep(0.01)
        journal.stage.run(2)
    found = journal.again()
    assert found.difference is None
    assert found.lost > 200
    assert found.ticks + found.lost == 340
    assert journal.warnings


def test_show_explains_one_moment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journaled(quoting(), tmp_path)
    journal.stage.run(10)
    journal.stage.engine.pause(journal.stage.ts, "news at noon")
    journal.stage.run(1)
    journal.stop()
    assert main(["journal", "show", str(tmp_path), "--at", "2024-10-04T12:00:05"]) == 0
    quiet = capsys.readouterr().out
    assert quiet.startswith("2024-10-04T12:00:05Z  bot1_a, paper, call 4 of ")
    assert "state       running, neutral_low_vol" in quiet
    assert "nothing to do" in quiet
    assert "buy  level 0: " in quiet
    assert "floor 0." in quiet
    assert main(["journal", "show", str(tmp_path)]) == 0
    paused = capsys.readouterr().out
    assert "because   operator_pause: news at noon; ends with the operator's resume (soft_pause)" in paused
    assert "cancel    o1" in paused
    assert "pause  ts " in paused
    assert "reason news at noon" in paused
    assert main(["journal", "show", str(tmp_path), "--json", "--at", "2024-10-04T12:00:05"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["decision"]["state"] == "running"
    assert document["figures"]["spread_pct"] > 0
    assert main(["journal", "show", str(tmp_path), "--at", "2024-10-03"]) == 2
    assert "no tick by 2024-10-03T00:00:00Z: the journal goes from" in capsys.readouterr().err
