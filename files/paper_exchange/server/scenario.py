"""Scripted misbehaviour: what goes wrong, when, and for how long.

A scenario is a list of steps in time order, each one fault or one cut of connections, at so many seconds after it
begins:

    [{"at": 10, "fault": "latency", "parameters": {"ms": "800"}, "seconds": 60},
     {"at": 90, "drop_sockets": "private"},
     {"at": 120, "clear": "all"}]
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .faults import KINDS, FaultError, check


class Step(BaseModel):
    """One step: switch a fault on (for ``seconds`` or ``count`` uses, or until cleared), clear faults, or cut
    connections. ``at``: seconds after the scenario's begin."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    at: float = Field(ge=0)
    fault: str | None = None
    parameters: dict[str, str] = Field(default_factory=dict)
    seconds: float | None = Field(default=None, gt=0)
    count: int | None = Field(default=None, ge=1)
    clear: str | None = None
    drop_sockets: Literal["public", "private", "all"] | None = None

    @model_validator(mode="after")
    def _is_one_thing(self) -> "Step":
        if sum(part is not None for part in (self.fault, self.clear, self.drop_sockets)) != 1:
            raise ValueError("a step is exactly one of fault, clear and drop_sockets")
        if self.fault is None and (self.parameters or self.seconds or self.count):
            raise ValueError("parameters, seconds and count belong to a fault")
        if self.clear is not None and self.clear != "all" and self.clear not in KINDS:
            raise ValueError(f"no fault {self.clear!r}: one of all, {', '.join(KINDS)}")
        if self.fault is not None:
            try:
                check(self.fault, self.parameters)
            except FaultError as error:
                raise ValueError(str(error)) from error
        return self
