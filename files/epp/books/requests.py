"""The operator's requests to a running bot: one JSON file each, in the state's directory.

A file appears whole (written beside and renamed), is carried out at the next tick, and comes back in ``answered/``
with what was done. Names sort by time; a file that is not a request is answered, too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Literal, get_args

Action = Literal["pause", "resume", "reset", "transfer"]

ANSWERED = "answered"
"""Where a request goes with its answer, in the directory of the requests."""


@dataclass(frozen=True)
class Request:
    """What the operator asks for."""

    path: Path
    action: str
    reason: str
    base: Decimal = field(default=Decimal(0))
    """Deposit (positive) or withdrawal (negative) of the base coin, for ``transfer``."""
    quote: Decimal = field(default=Decimal(0))


class RequestBox:
    """The directory the requests come in by.

    Args:
        state_directory: the bot's; the requests are in ``commands`` below it.
    """

    def __init__(self, state_directory: Path) -> None:
        self._directory = state_directory / "commands"
        self._answers = self._directory / ANSWERED
        self._answers.mkdir(parents=True, exist_ok=True)

    def pending(self) -> list[Request]:
        """Requests not yet answered, oldest first; a malformed one is answered at once."""
        requests = []
        for path in sorted(self._directory.glob("*.json")):
            try:
                requests.append(_parse(path))
            except (OSError, ValueError, TypeError) as error:
                self._put(path, {"answer": f"refused: {error}"})
        return requests

    def answer(self, request: Request, said: str) -> None:
        """Take a request out of the box with what was done about it."""
        self._put(
            request.path,
            {
                "action": request.action,
                "reason": request.reason,
                "base": str(request.base),
                "quote": str(request.quote),
                "answer": said,
            },
        )

    def _put(self, path: Path, content: dict[str, str]) -> None:
        (self._answers / path.name).write_text(json.dumps(content) + "\n", encoding="utf-8")
        path.unlink()


def _parse(path: Path) -> Request:
    given = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(given, dict):
        raise TypeError("not a JSON object")
    action, reason = given.get("action"), given.get("reason")
    if action not in get_args(Action):
        raise ValueError(f"action is {action!r}, not one of {', '.join(get_args(Action))}")
    if not isinstance(reason, str) or not reason.strip():
        raise ValueError("a reason is required")
    unknown = set(given) - {"action", "reason", "base", "quote"}
    if unknown:
        raise ValueError(f"unknown fields: {', '.join(sorted(unknown))}")
    try:
        base, quote = Decimal(str(given.get("base", "0"))), Decimal(str(given.get("quote", "0")))
    except InvalidOperation:
        raise ValueError("base and quote are amounts") from None
    if action == "transfer" and (not (base.is_finite() and quote.is_finite()) or (base == 0 and quote == 0)):
        raise ValueError("a transfer needs an amount in base or quote, negative for a withdrawal")
    return Request(path, str(action), reason.strip(), base, quote)
