"""The provisioning log and the events, written with every change."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field

from store.tables.base import Base, Document, Sequence, UtcDateTime, among, of_connection


class LogEntryRow(Base, table=True):
    """`amount` counts what one entry stands for: an entry for ten removed members
    counts as ten removals.
    """

    __tablename__ = "provisioning_log"
    __table_args__ = (
        of_connection(),
        Index("ix_provisioning_log_connection_id_id", "connection_id", "id"),
        Index("ix_provisioning_log_subject", "connection_id", "subject_id"),
        Index("ix_provisioning_log_label", "connection_id", "subject_key"),
        Index("ix_provisioning_log_correlation_id", "correlation_id"),
        among(
            "ix_provisioning_log_unsuccessful",
            "status IN ('failure', 'warning')",
            "connection_id",
            "status",
            "id",
        ),
        among(
            "ix_provisioning_log_removals",
            "status = 'success' AND action IN ('disable', 'delete', 'release_names', 'retire', 'change_holder', "
            "'remove_member')",
            "connection_id",
            "at",
        ),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=Sequence)
    at: datetime = Field(sa_type=UtcDateTime)
    tenant_id: str
    connection_id: str
    action: str
    status: str
    subject_type: str
    subject_id: str | None
    subject_label: str
    subject_key: str
    origin: str
    actor: str | None
    steps: list[Any] = Field(sa_type=Document)
    modified: list[Any] = Field(sa_type=Document)
    correlation_id: str
    amount: int


class EventRow(Base, table=True):
    __tablename__ = "events"
    __table_args__ = (
        of_connection(),
        Index("ix_events_tenant_id_id", "tenant_id", "id"),
        among("ix_events_revocations", "type = 'session.revoked'", "id"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=Sequence)
    at: datetime = Field(sa_type=UtcDateTime)
    tenant_id: str
    connection_id: str
    type: str
    subject_id: str
    payload: dict[str, Any] = Field(sa_type=Document)


class EventRetentionRow(Base, table=True):
    """One row: through which event those of all tenants were deleted."""

    __tablename__ = "event_retention"

    id: int = Field(primary_key=True)
    pruned_through: int = Field(sa_type=Sequence)
