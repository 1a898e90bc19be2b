"""The command line: ``python -m embedded_vps.screenshots`` takes the pictures; ``--look`` serves the page to you."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from embedded_vps import layout
from embedded_vps.console import Console, EmbeddedVpsError
from embedded_vps.screenshots import chromium, front_end, site

PICTURES = layout.REPOSITORY / "docs" / "pictures"
DASHBOARDS = ("fleet", "bot", "infrastructure", "exchange")
MOST_BYTES = 200_000
"""A picture larger than this does not belong in the repository."""

SIZES = {
    "desktop": chromium.Size(width=1400, scale=1, quality=50),
    "phone": chromium.Size(width=390, scale=1.5, quality=50),
}


def _keep(path: Path, picture: bytes, console: Console) -> None:
    """Write a picture, unless it is too large to be kept."""
    console.say(f"{path.name}: {len(picture) / 1000:.0f} kB")
    if len(picture) > MOST_BYTES:
        raise EmbeddedVpsError(f"that is too much for the repository (at most {MOST_BYTES / 1000:.0f} kB)")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture)


async def take(dashboards: Sequence[str], into: Path, hours: float, console: Console) -> None:
    """Draw each dashboard in every size."""
    async with site.serving(front_end.page(console)) as address, chromium.started() as browser:
        for uid in dashboards:
            for name, size in SIZES.items():
                picture = await browser.picture(f"{address}/d/{uid}?var-bot=bot1&hours={hours}", size)
                _keep(into / f"{uid}-{name}.webp", picture, console)


async def look(console: Console) -> None:
    """Serve the page until interrupted."""
    async with site.serving(front_end.page(console)) as address:
        console.say(f"the dashboards: {address}/d/fleet?hours=1 (Ctrl-C ends it)")
        await asyncio.Event().wait()


def main() -> int:
    """Take the pictures, or serve the page; 1 when something was in the way, and said."""
    parser = argparse.ArgumentParser(prog="python -m embedded_vps.screenshots", description=__doc__)
    parser.add_argument("dashboards", nargs="*", default=DASHBOARDS, help=f"which (default: {' '.join(DASHBOARDS)})")
    parser.add_argument("--hours", type=float, default=1, help="how far back the panels look (default: 1)")
    parser.add_argument("--into", type=Path, default=PICTURES, help="where the pictures go (default: docs/pictures)")
    parser.add_argument("--look", action="store_true", help="serve the page to a browser of yours and take no picture")
    arguments = parser.parse_args()
    console = Console()
    try:
        asyncio.run(
            look(console) if arguments.look else take(arguments.dashboards, arguments.into, arguments.hours, console)
        )
    except EmbeddedVpsError as error:
        console.error(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
