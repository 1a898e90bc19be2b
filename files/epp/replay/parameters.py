"""The strategy's parameters for a replay: a file, and single values on the command line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..core import EppParameters

# What a deployed controller file says to Hummingbot and not to the strategy.
_NOT_THE_STRATEGYS = frozenset(
    {
        "id",
        "controller_type",
        "controller_name",
        "connector_name",
        "instance_name",
        "mode",
        "market_source",
        "speed",
        "strategy_hash",
        "config_hash",
        "manual_kill_switch",
        "candles_config",
        "initial_positions",
    }
)


class ParameterError(Exception):
    """The parameters are refused; the message says which and why."""


def read_file(path: Path) -> dict[str, Any]:
    """The strategy's parameters in a YAML or JSON file, such as a deployed ``conf/controllers/epp_v2_4_bot_a.yml``.

    Raises:
        ParameterError: unreadable, or no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ParameterError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        if path.suffix == ".json":
            given = json.loads(text)
        else:
            import yaml

            given = yaml.safe_load(text)
    except ImportError as error:
        raise ParameterError(f"{path}: YAML needs PyYAML: pip install pyyaml, or give a .json file") from error
    except ValueError as error:
        raise ParameterError(f"{path}: {error}") from error
    except Exception as error:  # yaml's own errors share no base with ValueError
        raise ParameterError(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(given, dict):
        raise ParameterError(f"{path}: a mapping of parameters is needed")
    return {str(key): value for key, value in given.items() if key not in _NOT_THE_STRATEGYS}


def parse_value(text: str) -> Any:
    """A value as on the command line: JSON where it is JSON, else text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def split_assignment(text: str) -> tuple[str, str]:
    """``key=value`` in its parts.

    Raises:
        ParameterError: there is no key or no ``=``.
    """
    key, sign, value = text.partition("=")
    if not key.strip() or not sign:
        raise ParameterError(f"{text!r}: key=value is needed, such as turnover_cap_x=4 or regimes.up.refresh_s=60")
    return key.strip(), value.strip()


def with_values(given: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of ``given`` with dotted keys set.

    Raises:
        ParameterError: a dotted key leads through something that is no mapping.
    """
    merged: dict[str, Any] = json.loads(json.dumps(given))
    for key, value in values.items():
        *parents, name = key.split(".")
        place = merged
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise ParameterError(f"{key}: {parent} is no mapping")
        place[name] = value
    return merged


def build(given: Mapping[str, Any]) -> EppParameters:
    """Parameters from plain data.

    Raises:
        ParameterError: the strategy refuses them; one line a fault.
    """
    try:
        return EppParameters.model_validate(given)
    except ValidationError as error:
        faults = [_fault(fault["loc"], fault["msg"], fault.get("input")) for fault in error.errors()]
        raise ParameterError("\n".join(faults)) from error


def _fault(location: Sequence[int | str], message: str, given: object) -> str:
    where = ".".join(str(part) for part in location)
    what = message.removeprefix("Value error, ")
    return (
        f"{where}: {what}, not {given!r}"
        if where and not isinstance(given, dict)
        else f"{where or 'parameters'}: {what}"
    )
