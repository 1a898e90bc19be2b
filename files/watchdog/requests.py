"""The operator's requests to a running watchdog: one JSON file each, answered in ``answered/``."""

from __future__ import annotations

import time
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal, get_args

from . import durable_file

Action = Literal["kill", "rearm", "lease", "release", "transfer", "drill"]

ANSWERED = "answered"
ANSWER_WITHIN_S = 20.0
"""A pass takes a second or two, and longer while the exchange does not answer."""


class RefusedError(Exception):
    """It was not done; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the operator, or Ansible for a planned stop, asks for."""

    path: Path
    action: Action
    reason: str
    by: str
    """Who asks: ``operator``, ``alert``, or a playbook's name."""
    seconds: float = 0.0
    """Of a lease."""
    base: Decimal = Decimal(0)
    quote: Decimal = Decimal(0)
    force: bool = False


class RequestBox:
    """The directory that requests come in by.

    Args:
        directory: made when it is not there.
        actions: what may be asked for here; an alert may kill and nothing else.
    """

    def __init__(self, directory: Path, actions: frozenset[str] = frozenset(get_args(Action))) -> None:
        self._directory = directory
        self._actions = actions
        (directory / ANSWERED).mkdir(parents=True, exist_ok=True)

    def pending(self) -> list[Request]:
        """Requests not answered yet, oldest first; a malformed one is answered at once."""
        requests = []
        for path in sorted(self._directory.glob("*.json")):
            try:
                requests.append(self._parse(path))
            except (OSError, ValueError, TypeError, InvalidOperation) as error:
                self._put(path, f"refused: {error}")
        return requests

    def answer(self, request: Request, said: str) -> None:
        """Take a request out of the box with what was done about it."""
        self._put(request.path, said)

    def ask(self, action: Action, reason: str, by: str, **values: Any) -> str:
        """Put a request into the box and return its answer.

        Raises:
            RefusedError: in the watchdog's words, or because it did not answer; then the request is taken back.
        """
        path = self._directory / f"{time.time_ns()}-{action}.json"
        durable_file.write(path, {"action": action, "reason": reason, "by": by, **values})
        deadline = time.monotonic() + ANSWER_WITHIN_S
        while time.monotonic() < deadline or not path.exists():
            answered = durable_file.read(self._directory / ANSWERED / path.name)
            if answered is not None:
                said = str(answered["answer"])
                if said.startswith("refused: "):
                    raise RefusedError(said.removeprefix("refused: "))
                return said
            time.sleep(0.1)
        path.unlink(missing_ok=True)
        raise RefusedError(f"no answer within {ANSWER_WITHIN_S:.0f} s: the watchdog does not run, or it hangs")

    def _parse(self, path: Path) -> Request:
        plain = durable_file.read(path)
        if plain is None:
            raise ValueError("not a JSON object")
        action, reason = plain.get("action"), plain.get("reason")
        if action not in self._actions:
            raise ValueError(f"action is {action!r}, not one of {', '.join(sorted(self._actions))}")
        if not isinstance(reason, str) or not reason.strip():
            raise ValueError("a reason is required")
        base, quote = Decimal(str(plain.get("base", "0"))), Decimal(str(plain.get("quote", "0")))
        if not (base.is_finite() and quote.is_finite()):
            raise ValueError("base and quote are amounts")
        return Request(
            path,
            action,
            reason.strip(),
            str(plain.get("by", "operator")),
            float(plain.get("seconds", 0)),
            base,
            quote,
            plain.get("force") is True,
        )

    def _put(self, path: Path, said: str) -> None:
        durable_file.write(self._directory / ANSWERED / path.name, {"answer": said}, durable=False)
        path.unlink(missing_ok=True)
