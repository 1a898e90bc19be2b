"""What Prometheus is told of the backups."""

import pytest
from host_backup.metrics import Results
from host_backup.settings import Settings


def test_a_disk_that_refuses_one_file_keeps_no_alert_back_and_is_said(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    (settings.backups / "..results.json.partial").mkdir()  # nothing can be written in its place, by root neither
    results = Results(settings)
    results.failed("bot1", "local")
    results.write()
    told = (settings.root / "monitoring" / "textfile" / "hbot_backup.prom").read_text()
    assert 'hbot_backup_last_attempt_succeeded{set="bot1",repository="local"} 0' in told
    assert ".results.json could not be written: " in capsys.readouterr().err
