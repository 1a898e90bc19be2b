"""A seeded sample of the campaign: a copy of a database that is being written is whole, and of one moment."""

import pytest

from tests.campaigns.backups_under_writing import MODES, RATES, run

BACKUPS = 5
AT_MOST = 200


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rate", RATES)
def test_a_copy_is_whole_and_misses_nothing_that_was_committed(mode: str, rate: int) -> None:
    verdicts = run(range(AT_MOST), mode, rate, seed=7, restic=False)
    written_meanwhile = 0
    for backups, verdict in enumerate(verdicts, start=1):
        assert verdict.fault == ""
        written_meanwhile += verdict.transactions
        # A copy takes milliseconds: a slow writer, or a busy machine, may commit nothing during the first few.
        if backups >= BACKUPS and written_meanwhile:
            break
    verdicts.close()
    assert written_meanwhile, f"the writer committed nothing during {AT_MOST} copies"
