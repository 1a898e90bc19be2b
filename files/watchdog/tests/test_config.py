"""A configuration that cannot be used is refused whole, with the file, the key and the fix."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from watchdog.config import ConfigError, read_config
from watchdog.exchange import read_key

SOUND: dict[str, Any] = {"bot": "bot1", "pair": "BTC-USDT", "armed": False}


def written(directory: Path, content: object) -> Path:
    """A file with this content."""
    path = directory / "config.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_what_is_not_said_has_the_documented_default(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, SOUND | {"limits": {"heartbeat_s": 10, "equity_floor_quote": "0.1"}}))
    assert (config.limits.heartbeat_s, config.limits.deaf_s) == (10.0, 20.0)
    assert config.limits.equity_floor_quote == Decimal("0.1")
    assert config.url == "https://api.bitget.com"
    assert config.beside_bot


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        ([], "is not a JSON object"),
        ({"bot": "bot1"}, "armed, pair is missing"),
        (SOUND | {"arm": True}, "arm is not a setting"),
        (SOUND | {"armed": 1}, "armed is 1, not bool"),
        (SOUND | {"pair": "BTCUSDT"}, "not like BTC-USDT"),
        (SOUND | {"heartbeat": 3}, "heartbeat is not a path"),
        (SOUND | {"limits": {"deaf": 1}}, "deaf is not a setting"),
        (SOUND | {"limits": {"deaf_s": -1}}, "deaf_s is -1"),
        (SOUND | {"limits": {"max_orders": 2.5}}, "max_orders is 2.5, not int"),
        (SOUND | {"limits": {"max_exposure_quote": "much"}}, "correct it"),
        (SOUND | {"limits": {"max_exposure_quote": "NaN"}}, "max_exposure_quote is not an amount"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, content: object, said: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(ConfigError) as refused:
        read_config(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert said in str(refused.value)


@pytest.mark.parametrize("content", ['{"api_key": "canary"', '["canary"]', '{"api_key": "canary"}'])
def test_a_key_that_cannot_be_read_is_named_and_never_shown(tmp_path: Path, content: str) -> None:
    with pytest.raises(ValueError, match="is not a JSON object with api_key") as refused:
        read_key(written(tmp_path, content))
    assert "canary" not in str(refused.value)
