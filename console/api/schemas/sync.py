"""Schemas of cycles, runs, drift reports and held plans."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from console.api.contract import AnswerModel, RequestModel
from console.api.schemas.common import JsonObject, Name, PageAnswer
from console.api.schemas.sessions import ReceiptAnswer


class CycleAnswer(AnswerModel):
    """One cycle, with the proof of its completeness."""

    cycle_id: str
    kind: str
    status: str
    started_at: datetime
    finished_at: datetime | None
    complete: bool | None
    why_full: str | None
    counts: JsonObject
    drift: JsonObject | None
    findings: JsonObject | None
    applied: JsonObject
    skipped: int
    increments_missed: int | None
    held_plan_id: str | None
    error: str | None
    completeness: JsonObject


class CyclePageAnswer(PageAnswer[CycleAnswer]):
    """Cycles of a connection, the newest first."""


class CycleBody(RequestModel):
    """The cycle that is to be run now."""

    full: bool = False
    dry_run: bool = False


class ProvisionBody(RequestModel):
    """The users and groups that are to be provisioned now."""

    subjects: Annotated[
        list[Name],
        Field(min_length=1, max_length=50, description="UPNs, object ids, e-mail addresses or group names."),
    ]
    dry_run: bool = False
    ask_entra: bool = False


class RunProgressAnswer(AnswerModel):
    """How far a run is."""

    cycle_id: str
    kind: str
    started_at: str
    phase: str
    done: int
    total: int | None
    rate_per_s: float | None
    left_s: float | None


class RunAnswer(AnswerModel):
    """A cycle, an on-demand request or an approved plan that a worker carries out."""

    run_id: str
    kind: Literal["cycle", "on_demand", "plan"]
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    progress: RunProgressAnswer | None
    report: Annotated[
        JsonObject | None, Field(description="The report of a cycle or a plan, when it is done.")
    ]
    reports: Annotated[list[JsonObject] | None, Field(description="On demand: one report a subject.")]
    error: str | None
    remedy: str | None


class FindingAnswer(AnswerModel):
    """One difference between Entra and what is here."""

    kind: str
    reason: str | None
    subject: str
    subject_type: str
    subject_id: str
    before: JsonObject
    after: JsonObject
    first_seen: datetime
    state: str
    evidence: JsonObject


class DriftAnswer(AnswerModel):
    """The findings of one cycle."""

    cycle_id: str
    at: datetime
    complete: bool | None
    counts: JsonObject
    time_to_revoke: JsonObject | None
    findings: list[FindingAnswer]
    unacknowledged: Annotated[
        list[ReceiptAnswer],
        Field(description="Ends of access that the app has not acknowledged for 5 minutes."),
    ]


class PlanAnswer(AnswerModel):
    """A plan that waits, or waited, for a person."""

    id: str
    checksum: str
    status: Annotated[str, Field(description="`partly_…` where only some rows were decided.")]
    connection: Annotated[str | None, Field(description="TENANT/NAME, where it is known.")]
    reason: str
    expires_at: datetime
    connection_id: str
    cycle_id: str
    created_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    rest: Annotated[str | None, Field(description="Checksum of the plan in which the other rows wait.")]
    changes: Annotated[list[JsonObject], Field(description="The rows, each with its number and state.")]


class PlanPage(PageAnswer[PlanAnswer]):
    """Held plans, the newest first."""


class DecisionBody(RequestModel):
    """A decision about exactly this plan."""

    checksum: Annotated[str, Field(description="The checksum that was looked at.", max_length=64)]
    rows: Annotated[
        list[int], Field(description="Numbers of rows, from 0; empty decides all.", max_length=100_000)
    ] = Field(default_factory=list)
    by: Name | None = None


class RejectionBody(DecisionBody):
    """A rejection: the rows are an accepted risk."""

    until: Annotated[datetime | None, Field(description="The risk is accepted until then.")] = None
