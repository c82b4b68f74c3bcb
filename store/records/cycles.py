"""Runs of the worker over a connection, and the plans they leave to a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from store.records.identifiers import ConnectionId, CycleId, JsonValue, PlanId, TenantId


class CycleKind(StrEnum):
    INITIAL = "initial"
    FULL = "full"
    INCREMENTAL = "incremental"
    ON_DEMAND = "on_demand"


class CycleStatus(StrEnum):
    RUNNING = "running"
    APPLIED = "applied"
    REPORTED = "reported"
    HELD = "held"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    YIELDED = "yielded"
    """Gave way to on-demand work; the next cycle reads again."""


@dataclass(frozen=True, slots=True)
class Cycle:
    id: CycleId
    tenant_id: TenantId
    connection_id: ConnectionId
    kind: CycleKind
    status: CycleStatus
    started_at: datetime
    finished_at: datetime | None = None
    complete: bool | None = None
    completeness: Mapping[str, JsonValue] = field(default_factory=dict)
    """The proof: every list with pages, items, expected count; token roles; canary."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """`users`, `groups`, `memberships` that Graph showed as entitled."""
    drift: Mapping[str, int] = field(default_factory=dict)
    """Findings by kind that stood when the cycle compared: open, held or repaired by
    it.
    """
    findings: Mapping[str, int] = field(default_factory=dict)
    """Findings of its report by state, and how many of them are `new`.

    Empty for a cycle without a report.
    """
    applied: Mapping[str, int] = field(default_factory=dict)
    skipped: int = 0
    held_plan_id: PlanId | None = None
    error: str | None = None
    why_full: str | None = None
    """Why everything was read, in a sentence; None for an incremental cycle."""
    increments_missed: int | None = None
    """Drift that a full cycle found and the increments before it should have.

    None where that cannot be told.
    """
    report_number: int | None = None
    """Of its report among those of the connection; None for a cycle without one."""
    is_dry_run: bool = False
    """It read and compared, and was to change nothing: the next cycle is not measured
    by it.
    """


class PlanStatus(StrEnum):
    HELD = "held"
    APPROVED = "approved"
    REJECTED = "rejected"
    APPLIED = "applied"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class HeldPlan:
    id: PlanId
    tenant_id: TenantId
    connection_id: ConnectionId
    cycle_id: CycleId
    checksum: str
    status: PlanStatus
    reason: str
    body: Mapping[str, JsonValue]
    """The whole frozen plan as JSON (`worker.reconcile.plan.Plan.to_json`)."""
    created_at: datetime
    expires_at: datetime
    decided_at: datetime | None = None
    decided_by: str | None = None
    job_id: str | None = None
    """The job of a worker that applies it, or applied it."""
