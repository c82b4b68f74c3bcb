"""Results of cycles: outcome, where reading continues, held plans, drift."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field

from store.tables.base import Base, Document, Sequence, UtcDateTime, among, of_connection


class CycleRow(Base, table=True):
    __tablename__ = "cycles"
    __table_args__ = (
        of_connection(),
        Index("ix_cycles_connection_id_started_at", "connection_id", "started_at"),
        Index("ix_cycles_started_at", "started_at"),
        Index("ix_cycles_kind", "connection_id", "kind", "started_at"),
        among("ix_cycles_running", "finished_at IS NULL", "connection_id"),
        among("ix_cycles_report_number", "report_number IS NOT NULL", "connection_id", "report_number"),
    )

    id: str = Field(primary_key=True)
    tenant_id: str
    connection_id: str
    kind: str
    status: str
    started_at: datetime = Field(sa_type=UtcDateTime)
    finished_at: datetime | None = Field(sa_type=UtcDateTime)
    complete: bool | None
    completeness: dict[str, Any] = Field(sa_type=Document)
    counts: dict[str, int] = Field(sa_type=Document)
    drift: dict[str, int] = Field(sa_type=Document)
    findings: dict[str, int] = Field(sa_type=Document, sa_column_kwargs={"server_default": "{}"})
    applied: dict[str, int] = Field(sa_type=Document)
    skipped: int
    held_plan_id: str | None
    error: str | None
    progress: dict[str, Any] = Field(sa_type=Document)
    token_roles: list[str] | None = Field(sa_type=Document)
    scope_key: str | None
    why_full: str | None
    increments_missed: int | None
    report_number: int | None
    is_dry_run: bool


class DeltaLinkRow(Base, table=True):
    __tablename__ = "delta_links"
    __table_args__ = (of_connection(),)

    tenant_id: str = Field(primary_key=True)
    connection_id: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    link: str
    context: str
    saved_at: datetime = Field(sa_type=UtcDateTime)


class PushConflictRow(Base, table=True):
    """A request of the push that a cycle looks at: two accounts, or two people, and one
    object id.
    """

    __tablename__ = "push_conflicts"
    __table_args__ = (of_connection(),)

    tenant_id: str = Field(primary_key=True)
    connection_id: str = Field(primary_key=True)
    account_id: str = Field(primary_key=True)
    object_id: str = Field(primary_key=True)
    kind: str
    other_id: str
    at: datetime = Field(sa_type=UtcDateTime)
    is_read: bool


class AssignedListRow(Base, table=True):
    """The principals assigned when the delta links were taken: Graph has no delta for
    assignments.
    """

    __tablename__ = "assigned_lists"
    __table_args__ = (of_connection(),)

    tenant_id: str = Field(primary_key=True)
    connection_id: str = Field(primary_key=True)
    digest: str
    principals: str
    groups: str
    """The assigned groups that the last reading counted."""


class EntitledListRow(Base, table=True):
    """One part of the list of entitled users, each with the number of their groups."""

    __tablename__ = "entitled_lists"
    __table_args__ = (of_connection(),)

    tenant_id: str = Field(primary_key=True)
    connection_id: str = Field(primary_key=True)
    part: int = Field(primary_key=True)
    users: int
    memberships: int
    digest: str
    listed: str


class PlanRow(Base, table=True):
    __tablename__ = "plans"
    __table_args__ = (
        of_connection(),
        Index("ix_plans_connection_id_created_at", "connection_id", "created_at"),
        among("ix_plans_held", "status = 'held'", "connection_id"),
    )

    id: str = Field(primary_key=True)
    tenant_id: str
    connection_id: str
    cycle_id: str
    checksum: str
    status: str
    reason: str
    body: dict[str, Any] = Field(sa_type=Document)
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    decided_at: datetime | None = Field(sa_type=UtcDateTime)
    decided_by: str | None
    job_id: str | None


class DriftFindingRow(Base, table=True):
    """Reports of a connection from `first_report` on show the row, those from
    `end_report` on do not. Both are 0 where only an on-demand request shows it.

    `others` are id and label of further subjects for which all other columns hold too.
    """

    __tablename__ = "drift_findings"
    __table_args__ = (
        of_connection(),
        Index("ix_drift_findings_connection_id_cycle_id", "connection_id", "cycle_id"),
        Index("ix_drift_findings_connection_id_end_report", "connection_id", "end_report"),
        among(
            "ix_drift_findings_revoked",
            "kind = 'missed_deprovision' AND state = 'repaired'",
            "connection_id",
            "first_seen",
        ),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=Sequence)
    tenant_id: str
    connection_id: str
    cycle_id: str
    first_report: int
    end_report: int | None
    kind: str
    reason: str | None
    subject_type: str
    subject_id: str
    subject_label: str
    others: list[list[str]] = Field(sa_type=Document, sa_column_kwargs={"server_default": "[]"})
    before: dict[str, Any] = Field(sa_type=Document)
    after: dict[str, Any] = Field(sa_type=Document)
    first_seen: datetime = Field(sa_type=UtcDateTime)
    state: str
    evidence: dict[str, Any] = Field(sa_type=Document)
