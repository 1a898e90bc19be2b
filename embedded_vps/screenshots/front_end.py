"""Grafana's front-end packages from the npm registry, pinned, and what is made of them.

The page that draws the dashboards is put together by esbuild. ``python -m embedded_vps.screenshots.front_end`` turns
the types that Grafana publishes into the JSON schema that tests hold the dashboards against; it needs doing again when
the role pins another Grafana.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

from embedded_vps import layout
from embedded_vps.command import run
from embedded_vps.console import Console, EmbeddedVpsError

SOURCES = Path(__file__).with_name("front_end")
BUILD = layout.REPOSITORY / "build" / "grafana_front_end"
SCHEMA = layout.REPOSITORY / "tests" / "dashboards" / "grafana_schema.json"


def _made(script: str, suffix: str, argument: str, console: Console) -> Path:
    """What one of package.json's scripts makes of the sources as they are now."""
    if shutil.which("npm") is None:
        raise EmbeddedVpsError("npm is not installed. Fix: apt-get install nodejs npm")
    shutil.copytree(SOURCES, BUILD, dirs_exist_ok=True)
    lock = hashlib.sha256((SOURCES / "package-lock.json").read_bytes()).hexdigest()
    installed = BUILD / "node_modules" / f".installed-{lock}"
    if not installed.exists():
        console.say("installing Grafana's front-end packages (a minute, 600 MB, into build/)")
        # No package's install script runs: what these ship is plain JavaScript, and esbuild's own program.
        run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=BUILD, timeout=900)
        installed.touch()
    made = BUILD / f"made.{suffix}"
    run(["npm", "run", "--silent", script, "--", argument.format(made)], cwd=BUILD, timeout=300)
    return made


def page(console: Console) -> bytes:
    """The script that draws a dashboard."""
    return _made("page", "js", "--outfile={}", console).read_bytes()


def schema(console: Console) -> str:
    """The JSON schema of a dashboard and its panels, as the repository keeps it."""
    found = json.loads(_made("schema", "json", "--out={}", console).read_text(encoding="utf-8"))
    package = json.loads((SOURCES / "package.json").read_text(encoding="utf-8"))
    version = package["dependencies"]["@grafana/schema"]
    return json.dumps({"$comment": f"made from @grafana/schema {version} by `make grafana-schema`", **found}) + "\n"


def main() -> int:
    """Write the schema; 1 when something was in the way, and said."""
    console = Console()
    try:
        SCHEMA.write_text(schema(console), encoding="utf-8")
    except EmbeddedVpsError as error:
        console.error(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
