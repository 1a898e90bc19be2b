"""Plays scripted misbehaviour, one scenario at a time."""

import asyncio
import logging
import time
from collections.abc import Sequence

from .exchange import Exchange
from .scenario import Step
from .websocket import SocketServer

_log = logging.getLogger(__name__)


class Stage:
    """Plays scenarios.

    Args:
        exchange: whose faults are switched.
        sockets: the WebSocket side.
    """

    def __init__(self, exchange: Exchange, sockets: SocketServer) -> None:
        self._exchange = exchange
        self._sockets = sockets
        self._task: asyncio.Task[None] | None = None
        self._steps: Sequence[Step] = ()
        self._done = 0
        self._began = 0.0

    def play(self, steps: Sequence[Step]) -> None:
        """Begin a scenario; one that plays already is broken off, its faults stay."""
        self.stop()
        self._steps = sorted(steps, key=lambda step: step.at)
        self._done, self._began = 0, time.monotonic()
        self._task = asyncio.create_task(self._play(), name="scenario")

    def stop(self) -> None:
        """Break off what plays; faults that are on stay on."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def describe(self) -> dict[str, object]:
        """How far the scenario is."""
        playing = self._task is not None and not self._task.done()
        ahead = self._steps[self._done :]
        return {
            "playing": playing,
            "seconds": round(time.monotonic() - self._began, 1) if playing else None,
            "steps": len(self._steps),
            "done": self._done,
            "next": ahead[0].model_dump(exclude_defaults=True) if playing and ahead else None,
        }

    async def _play(self) -> None:
        _log.warning("scenario begins", extra={"steps": len(self._steps)})
        for step in self._steps:
            await asyncio.sleep(max(self._began + step.at - time.monotonic(), 0))
            self.perform(step)
            self._done += 1
        _log.warning("scenario ends")

    def perform(self, step: Step) -> None:
        """Do one step now."""
        faults = self._exchange.faults
        told = step.model_dump(exclude_defaults=True, exclude={"at"})
        if step.fault is not None:
            faults.set(step.fault, step.parameters, step.count, step.seconds)
            _log.warning("fault on", extra={"kind": step.fault, **told})
        elif step.drop_sockets is not None:
            _log.warning("sockets cut", extra={"dropped": self._sockets.drop(step.drop_sockets), **told})
        else:
            faults.clear(None if step.clear == "all" else step.clear)
            _log.warning("faults off", extra=told)
        if "wrong-balance" in (step.fault, step.clear) or step.clear == "all":
            self._sockets.accounts_shown()
