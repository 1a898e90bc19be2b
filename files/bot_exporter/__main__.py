"""``python3 -m bot_exporter``: serve the metrics of the bots of this VPS."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from .metrics import Exporter, Watched
from .registration import Bot, bots
from .server import Server
from .week import Reports


def main(arguments: list[str] | None = None) -> int:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(prog="bot_exporter", description="Prometheus metrics of the bots of this VPS")
    parser.add_argument("--root", type=Path, default=Path("/opt/hbot"), help="where everything lives")
    parser.add_argument("--address", default="127.0.0.1", help="where to listen")
    parser.add_argument("--port", type=int, default=9465)
    options = parser.parse_args(arguments)
    directory = options.root / "monitoring" / "targets" / "bots"

    def registered() -> tuple[dict[str, Bot], int]:
        return bots(directory)

    def books() -> dict[str, Path]:
        return {name: Watched(options.root).books(bot) for name, bot in registered()[0].items() if bot.epp}

    reports = Reports(books)
    exporter = Exporter(options.root, registered, reports.of)
    try:
        server = Server((options.address, options.port), exporter)
    except OSError as error:
        print(f"cannot listen on {options.address}:{options.port}: {error.strerror}", file=sys.stderr)
        return 1
    list(exporter.all())  # the first reading of long books is the slow one: before the first scrape
    reports.start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"serving the metrics of {len(registered()[0])} bots on {options.address}:{options.port}", flush=True)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
