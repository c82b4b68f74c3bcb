"""Define the report on a cycle; its JSON is what the command line prints (design.md
§6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from store.records import (
    Action,
    CycleId,
    CycleKind,
    CycleStatus,
    DriftKind,
    JsonValue,
    PlanId,
)


@dataclass(frozen=True, slots=True)
class HeldPlanReport:
    id: PlanId
    checksum: str
    reason: str


@dataclass(frozen=True, slots=True)
class CycleReport:
    """The report on one cycle.

    `drift` counts by kind the findings that stood when the cycle compared: open, held,
    or repaired by it. `findings` counts those of its report by state, and the new ones.
    `applied` counts by action the changes that took effect; the next cycle compares
    `skipped` and `failed` again.
    """

    cycle_id: CycleId
    kind: CycleKind
    status: CycleStatus
    complete: bool | None
    duration_s: float
    counts: Mapping[str, int] = field(default_factory=dict)
    drift: Mapping[DriftKind, int] = field(default_factory=dict)
    findings: Mapping[str, int] = field(default_factory=dict)
    """Empty if there is no report: the cycle failed."""
    applied: Mapping[Action, int] = field(default_factory=dict)
    skipped: int = 0
    failed: int = 0
    held_plan: HeldPlanReport | None = None
    reasons: tuple[str, ...] = ()
    """Why something was held, dropped or not removed, in sentences."""
    error: str | None = None
    remedy: str | None = None
    """What to do next, if there is something to do or to know."""
    why_full: str | None = None
    """Why everything was read, in a sentence; None for an incremental cycle."""
    increments_missed: int | None = None
    """Drift that a full cycle found and the increments before it should have.

    None if that cannot be told.
    """

    @property
    def remaining(self) -> int:
        """Return the number of findings that are still open or held."""
        return self.findings.get("open", 0) + self.findings.get("held", 0)

    def to_json(self) -> dict[str, JsonValue]:
        body: dict[str, JsonValue] = msgspec.to_builtins(self)
        return body

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> CycleReport:
        """Return the report that `to_json` wrote: it comes from another process through
        the engine.
        """
        return msgspec.convert(body, cls)


READ_AGAIN = (
    "The next cycle reads everything again; if that is incomplete too, `leaver doctor` looks for the cause."
)
"""What to do after a reading that proves no absence."""
