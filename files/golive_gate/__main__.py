"""``python -m golive_gate``: a request on standard input, the outcome on standard output, both one JSON object.

The answer has ``outcome``, ``text`` (a terminal's table) and ``page`` (HTML). Exit codes: 0 all items pass; 1 some
stand in the way; 2 the request cannot be used, and nothing was judged.
"""

from __future__ import annotations

import json
import sys
import time

from .gate import decide
from .page import as_page
from .request import RequestError, parse
from .text import as_text


def main() -> int:
    """Judge one request."""
    try:
        request = parse(sys.stdin.read())
    except RequestError as error:
        print(json.dumps({"error": str(error)}))
        return 2
    outcome = decide(request, time.time())
    print(json.dumps({"outcome": outcome.as_dict(), "text": as_text(outcome), "page": as_page(outcome)}))
    return 0 if outcome.judgement.passed else 1


if __name__ == "__main__":
    sys.exit(main())
