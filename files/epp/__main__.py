"""``epp report``, ``replay``, ``sweep``, ``journal`` and ``control``; also ``python -m epp``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from . import control
from .journal import command as journal_command
from .replay import command as replay_command
from .report import command as report_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="epp", description="Judge EPP v2.4 by its own books or on recorded data; control a running bot."
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    report_command.add_to(commands)
    replay_command.add_to(commands)
    journal_command.add_to(commands)
    control.add_to(commands)
    options = parser.parse_args(arguments)
    try:
        code: int = options.run(options)
    except KeyboardInterrupt:
        print("epp: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, `head` for instance, has seen enough
        sys.stderr.close()
        return 0
    return code


if __name__ == "__main__":
    sys.exit(main())
