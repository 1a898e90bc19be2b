"""``python -m paper_exchange --config FILE``: run the exchange until SIGTERM."""

import argparse
import asyncio
import datetime
import json
import logging
import os
import sys
from pathlib import Path

from .config import ConfigError, read_config, read_credentials
from .server.run import serve

_PLAIN_FIELDS = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class _JsonLines(logging.Formatter):
    """One JSON object a line, with whatever fields the message carries."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line = {
            "ts": time.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "message": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in _PLAIN_FIELDS},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def main() -> int:
    """Run; 0 after a clean stop, 2 when the configuration is refused."""
    parser = argparse.ArgumentParser(prog="paper_exchange", description="A Bitget-compatible exchange for paper money.")
    parser.add_argument("--config", type=Path, default=Path("/etc/paper_exchange/config.json"), metavar="FILE")
    arguments = parser.parse_args()
    # What this process writes is its own: the books, the keys. What is public says so by its mode.
    os.umask(0o077)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # Every failed handshake of a port scan is no event.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    try:
        config = read_config(arguments.config)
        asyncio.run(serve(config, read_credentials(config.credentials)))
    except ConfigError as error:
        print(f"refused: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
