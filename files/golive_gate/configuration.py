"""The configuration that is deployed: what the files in ``conf/`` say, not what the inventory means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

EPP_SCRIPT = "epp_v2_4.py"


@dataclass(frozen=True, slots=True)
class Deployed:
    """One bot's script and controllers. ``fault`` says why there is nothing to read."""

    running: Mapping[str, Mapping[str, Any]]
    """The controllers that the script runs, by file name."""
    others: Mapping[str, Mapping[str, Any]]
    """Those that lie beside them."""
    fault: str = ""


def read_deployed(conf: Path) -> Deployed:
    """Read one ``conf/``."""
    try:
        scripts = {path.name: _mapping(path) for path in sorted((conf / "scripts").glob("*.yml"))}
        controllers = {path.name: _mapping(path) for path in sorted((conf / "controllers").glob("*.yml"))}
    except (OSError, ValueError, yaml.YAMLError) as error:
        return Deployed({}, {}, f"{conf}: {' '.join(str(error).split())}")
    epp = [script for script in scripts.values() if script.get("script_file_name") == EPP_SCRIPT]
    if not epp:
        return Deployed({}, controllers, f"{conf / 'scripts'}: no script configuration of EPP")
    named = {str(name) for script in epp for name in script.get("controllers_config") or []}
    missing = sorted(named - set(controllers))
    return Deployed(
        {name: document for name, document in controllers.items() if name in named},
        {name: document for name, document in controllers.items() if name not in named},
        f"{conf / 'controllers'}: {', '.join(missing)} is not there" if missing else "",
    )


def _mapping(path: Path) -> dict[str, Any]:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        raise ValueError(f"{path.name} is no mapping")  # noqa: TRY004 -- a fault of the file, not of the caller
    return document
