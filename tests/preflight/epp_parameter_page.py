"""Writes docs/parameters.md from EPP's own model.

`PYTHONPATH=files python -m tests.preflight.epp_parameter_page`, after every change of `epp.core.config`.
"""

import inspect
import re
from typing import Any

from epp.core.config import EppParameters, RegimeParameters
from epp.core.values import Regime

from plugins.module_utils.preflight import OWN_VARIABLES
from tests.controller import ROOT

FILE = ROOT / "docs" / "parameters.md"

HEAD = """\
# EPP's parameters

Written by `tests/preflight/epp_parameter_page.py` from `files/epp/core/config.py`: change it there. What they do
together: [strategy.md](strategy.md).

A bot's file sets what differs from the defaults; the keys of a regime that are left out keep their own:

    bot_parameters:
      turnover_cap_x: 2.5
      regimes:
        high_vol_shock:
          levels_max: 1

For a replay: `--set turnover_cap_x=2.5 --set regimes.high_vol_shock.levels_max=1` ([replay.md](replay.md)).

A *fraction* is of price, or of equity where the meaning says so: 0.0025 is 0.25 %, or 25 bp. A name or value that the
model does not know is refused before anything is changed ([preflight.md](preflight.md)); values that do not fit
together are refused by the model itself, in the bot's image, before a file is changed.
"""

UNITS = (
    # The first suffix that fits; a name that ends in none of them has no unit.
    ("target_step_per_min", "fraction a minute"),
    ("_per_min", "a minute"),
    ("levels_min", ""),
    ("_gap_max_min", "min"),
    ("_pct", "fraction"),
    ("_share", "share"),
    ("_share_max", "share"),
    ("_share_limit", "share"),
    ("_ratio", "share"),
    ("_alpha", "weight"),
    ("_max_mb", "MB"),
    ("_bps", "bp"),
    ("_ticks", "ticks"),
    ("_quote", "quote"),
    ("_x", "x opening equity"),
    ("_s", "s"),
    ("_h", "h"),
)

TYPES = {"boolean": "yes or no", "integer": "whole number", "number": "number", "string": "text"}


def page() -> str:
    """The file's text."""
    schema = EppParameters.model_json_schema()
    properties: dict[str, dict[str, Any]] = schema["properties"]
    sections = _sections()
    lines = [HEAD]
    for title, names in sections.items():
        rows = [_row(name, properties[name], _default(name)) for name in names if name != "regimes"]
        lines += [f"## {title}", "", *_table(("parameter", "type", "default", "allowed", "unit", "meaning"), rows), ""]
        if "regimes" in names:
            lines += [*_regimes(schema["$defs"]["RegimeParameters"]["properties"]), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _sections() -> dict[str, list[str]]:
    """The model's fields in its own order, under the comments that divide them there."""
    sections: dict[str, list[str]] = {}
    title = "Parameters"
    for line in inspect.getsource(EppParameters).splitlines():
        if heading := re.fullmatch(r" {4}# (\w[\w ]*)", line):
            title = heading[1]
        elif (field := re.match(r" {4}(\w+):", line)) and field[1] in EppParameters.model_fields:
            sections.setdefault(title, []).append(field[1])
    return sections


def _row(name: str, schema: dict[str, Any], default: str) -> tuple[str, ...]:
    meaning = schema["description"]
    if name in OWN_VARIABLES:
        meaning += f" Not in `bot_parameters`: see `{OWN_VARIABLES[name]}`."
    return (f"`{name}`", _type(schema), default, _bounds(schema), _unit(name), meaning)


def _default(name: str) -> str:
    return _shown(EppParameters.model_fields[name].get_default(call_default_factory=True))


def _shown(value: Any) -> str:
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.10f}".rstrip("0").rstrip(".")
    return str(value) or "empty"


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return "one of " + ", ".join(schema["enum"])
    return TYPES[_plain(schema)["type"]]


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of the value itself, where it may also be unset."""
    plain: dict[str, Any] = next((part for part in schema.get("anyOf", []) if part["type"] != "null"), schema)
    return plain


def _bounds(schema: dict[str, Any]) -> str:
    plain = _plain(schema)
    words = [
        f"{sign} {_shown(float(plain[key]))}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if key in plain
    ]
    return ", ".join(words)


def _unit(name: str) -> str:
    return next((unit for suffix, unit in UNITS if name.endswith(suffix)), "")


def _regimes(properties: dict[str, dict[str, Any]]) -> list[str]:
    """One row a parameter of the regimes, one column a regime."""
    defaults = EppParameters.model_validate({})
    rows = [
        (
            f"`{name}`",
            *(_shown(getattr(defaults.regime(regime), name)) for regime in Regime),
            _bounds(properties[name]),
            _unit(name),
            properties[name]["description"],
        )
        for name in RegimeParameters.model_fields
    ]
    header = ("`regimes.<regime>.`", *(f"`{regime.value}`" for regime in Regime), "allowed", "unit", "meaning")
    return _table(header, rows)


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(header)} |", "|---" * len(header) + "|", *(f"| {' | '.join(row)} |" for row in rows)]


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")
