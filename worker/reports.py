"""What a cycle, and a request for one subject, come to; their JSON is what the command line prints (§6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from store.records import (
    Action,
    CycleId,
    CycleKind,
    CycleStatus,
    DriftKind,
    JsonValue,
    LogStatus,
    Mode,
    PlanId,
    Step,
)
from worker.reconcile.plan import Settlement


@dataclass(frozen=True, slots=True)
class HeldPlanReport:
    id: PlanId
    checksum: str
    reason: str


@dataclass(frozen=True, slots=True)
class CycleReport:
    """`applied` counts by action what took effect; the next cycle looks at `skipped` and `failed` again."""

    cycle_id: CycleId
    kind: CycleKind
    status: CycleStatus
    complete: bool | None
    duration_s: float
    counts: Mapping[str, int] = field(default_factory=dict)
    drift: Mapping[DriftKind, int] = field(default_factory=dict)
    applied: Mapping[Action, int] = field(default_factory=dict)
    skipped: int = 0
    failed: int = 0
    held_plan: HeldPlanReport | None = None
    reasons: tuple[str, ...] = ()
    """Why something was held, dropped or not removed, in sentences."""
    error: str | None = None
    remedy: str | None = None
    """What to do next, where something is to be done or known."""
    why_full: str | None = None
    """Why everything was read, in a sentence; None for an incremental cycle."""
    increments_missed: int | None = None
    """Drift that a full cycle found and the increments before it should have; None where that cannot be told."""

    def to_json(self) -> dict[str, JsonValue]:
        body: dict[str, JsonValue] = msgspec.to_builtins(self)
        return body

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> CycleReport:
        """Reads what `to_json` wrote: a report comes back from another process through the engine."""
        return msgspec.convert(body, cls)


READ_AGAIN = (
    "The next cycle reads everything again; if that is incomplete too, `leaver doctor` looks for the cause."
)
"""What to do after a reading that proves nobody gone."""


class OnDemandResult(StrEnum):
    """What came of one subject (design.md §6)."""

    CREATED = "created"
    UPDATED = "updated"
    DISABLED = "disabled"
    ENABLED = "enabled"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED = "failed"


class EntraResult(StrEnum):
    """What came of asking Entra's provisioning service."""

    SUCCESS = "success"
    SKIPPED = "skipped"
    """Entra saw nothing to do, or cannot act on such a person and was not asked."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class EntraReport:
    """What Entra's provisioning service said to *Provision on demand* for one subject."""

    result: EntraResult
    detail: str
    remedy: str | None = None
    steps: tuple[Step, ...] = ()
    """Entra's own steps, with its names."""
    calls: int = 0

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> EntraReport:
        steps = tuple(_step_from_json(each) for each in body["steps"])
        return cls(**{**body, "result": EntraResult(body["result"]), "steps": steps})


@dataclass(frozen=True, slots=True)
class OnDemandReport:
    """Always five steps: find, scope, match, evaluate, perform."""

    subject: str
    """As it was asked for."""
    result: OnDemandResult
    steps: tuple[Step, ...]
    cycle_id: CycleId
    """By which the provisioning log knows what was done."""
    error: str | None = None
    remedy: str | None = None
    would: OnDemandResult | None = None
    """In a dry run that found something to do: what the result would have been."""
    entra: EntraReport | None = None
    """What Entra's own provisioning service answered; None where it was not asked."""

    def to_json(self) -> dict[str, JsonValue]:
        body: dict[str, JsonValue] = msgspec.to_builtins(self)
        return body

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> OnDemandReport:
        """Reads what `to_json` wrote."""
        steps = [_step_from_json(each) for each in body["steps"]]
        would = OnDemandResult(body["would"]) if body.get("would") else None
        entra = EntraReport.from_json(body["entra"]) if body.get("entra") else None
        result = OnDemandResult(body["result"])
        return cls(**{**body, "result": result, "steps": tuple(steps), "would": would, "entra": entra})


def _step_from_json(body: Mapping[str, Any]) -> Step:
    return Step(body["name"], LogStatus(body["status"]), body["detail"], body["data"])


def status_of(mode: Mode, settlement: Settlement, *, is_complete: bool) -> CycleStatus:
    """How a cycle ended that came to its end; `incomplete` says that its reading proves nobody gone."""
    if settlement.hold:
        return CycleStatus.HELD
    if not is_complete:
        return CycleStatus.INCOMPLETE
    return CycleStatus.REPORTED if mode is Mode.REPORT else CycleStatus.APPLIED
