"""An engine whose calls are written down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from ..core import Bar, BookedFill, Decision, Engine, EppParameters, Fill, ResetRecord, Side, Snapshot, State
from ..core.ledger import ZERO
from .entries import DECIDE, Call
from .writer import JournalWriter


class JournaledEngine(Engine):
    """The core as it is; beside it every call and its outcome go to a journal, which no call ever waits for.

    Args:
        parameters: the strategy's.
        state: what it resumes from.
        journal: where calls go.
    """

    def __init__(self, parameters: EppParameters, state: State, journal: JournalWriter) -> None:
        super().__init__(parameters, state)
        self._journal = journal
        self._begin()

    def _begin(self) -> None:
        self._journal.begin(self.state.to_dict(), self.run_memory)

    def _journaled[T](self, name: str, arguments: dict[str, Any], act: Callable[[], T]) -> T:
        try:
            outcome = act()
        except Exception as error:
            self._journal.write(Call(name, arguments, raised=f"{type(error).__name__}: {error}"))
            raise
        self._journal.write(Call(name, arguments, outcome))
        return outcome

    def decide(self, snapshot: Snapshot) -> Decision:
        """See :meth:`Engine.decide`. A new segment begins after it, where the memory outside the state is small."""
        decide = super().decide
        decision = self._journaled(DECIDE, {"snapshot": snapshot}, lambda: decide(snapshot))
        if self._journal.wants_begin:
            self._begin()
        return decision

    def on_fill(self, fill: Fill) -> BookedFill | None:
        """See :meth:`Engine.on_fill`."""
        act = super().on_fill
        return self._journaled("on_fill", {"fill": fill}, lambda: act(fill))

    def on_cancel(self, order_id: str, ts: float) -> None:
        """See :meth:`Engine.on_cancel`."""
        act = super().on_cancel
        self._journaled("on_cancel", {"order_id": order_id, "ts": ts}, lambda: act(order_id, ts))

    def on_cancel_failure(self, order_id: str, ts: float, detail: str) -> None:
        """See :meth:`Engine.on_cancel_failure`."""
        act = super().on_cancel_failure
        given = {"order_id": order_id, "ts": ts, "detail": detail}
        self._journaled("on_cancel_failure", given, lambda: act(order_id, ts, detail))

    def on_placement_failure(self, side: Side, level: int, ts: float, detail: str) -> None:
        """See :meth:`Engine.on_placement_failure`."""
        act = super().on_placement_failure
        given = {"side": side, "level": level, "ts": ts, "detail": detail}
        self._journaled("on_placement_failure", given, lambda: act(side, level, ts, detail))

    def on_exception(self, ts: float, detail: str) -> None:
        """See :meth:`Engine.on_exception`."""
        act = super().on_exception
        self._journaled("on_exception", {"ts": ts, "detail": detail}, lambda: act(ts, detail))

    def seed_bars(self, bars: Sequence[Bar]) -> None:
        """See :meth:`Engine.seed_bars`."""
        act = super().seed_bars
        given = tuple(bars)
        self._journaled("seed_bars", {"bars": given}, lambda: act(given))

    def reconcile_done(self, ts: float, detail: str) -> None:
        """See :meth:`Engine.reconcile_done`."""
        act = super().reconcile_done
        self._journaled("reconcile_done", {"ts": ts, "detail": detail}, lambda: act(ts, detail))

    def pause(self, ts: float, reason: str) -> None:
        """See :meth:`Engine.pause`."""
        act = super().pause
        self._journaled("pause", {"ts": ts, "reason": reason}, lambda: act(ts, reason))

    def resume(self, ts: float, reason: str) -> None:
        """See :meth:`Engine.resume`."""
        act = super().resume
        self._journaled("resume", {"ts": ts, "reason": reason}, lambda: act(ts, reason))

    def reset(self, ts: float, reason: str) -> ResetRecord:
        """See :meth:`Engine.reset`."""
        act = super().reset
        return self._journaled("reset", {"ts": ts, "reason": reason}, lambda: act(ts, reason))

    def transfer(self, ts: float, *, base: Decimal = ZERO, quote: Decimal = ZERO, reason: str = "") -> None:
        """See :meth:`Engine.transfer`."""
        act = super().transfer
        given = {"ts": ts, "base": base, "quote": quote, "reason": reason}
        self._journaled("transfer", given, lambda: act(ts, base=base, quote=quote, reason=reason))

    def day_row_written(self, day: str) -> None:
        """See :meth:`Engine.day_row_written`."""
        act = super().day_row_written
        self._journaled("day_row_written", {"day": day}, lambda: act(day))
