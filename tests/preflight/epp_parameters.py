"""Writes the JSON schema of EPP's parameters, which the preflight reads on the controller.

`PYTHONPATH=files python -m tests.preflight.epp_parameters`, after every change of `epp.core.config`. The controller has
no pydantic, and needs none: the schema says what the model says.
"""

import json
from typing import Any

from epp.core.config import EppParameters

from tests.controller import ROOT

FILE = ROOT / "plugins" / "module_utils" / "epp_parameters.json"


def schema() -> str:
    """The file's text."""
    return json.dumps(_plain(EppParameters.model_json_schema()), indent=1, ensure_ascii=False) + "\n"


def _plain(node: Any) -> Any:
    """Without titles, which only repeat the names, and without defaults, which are the strategy's own affair."""
    if isinstance(node, dict):
        # Inside `properties` and `$defs` the keys are names of the model, whatever they are called.
        return {
            key: {name: _plain(value) for name, value in inner.items()}
            if key in ("properties", "$defs")
            else _plain(inner)
            for key, inner in node.items()
            if key not in ("title", "default")
        }
    return [_plain(item) for item in node] if isinstance(node, list) else node


if __name__ == "__main__":
    FILE.write_text(schema(), encoding="utf-8")
