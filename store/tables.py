"""The tables, declared with SQLModel; queries use their Core `Table`s, named at the end.

Every row names its tenant. `seq` is the order in which rows were made: SCIM lists in this order, so that a page far
down costs one step along an index. Columns beside a `document` are copies of what is searched for in it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import ForeignKeyConstraint, Index, MetaData, Table, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from store.columns import Document, Sequence, UtcDateTime

_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(SQLModel):
    """Gives the tables a metadata of their own, with named constraints that migrations can address."""

    metadata: ClassVar[MetaData] = MetaData(naming_convention=_NAMES)


def _unique_among(name: str, condition: str, *columns: str) -> Index:
    """Gives a unique index over the rows that fulfil the condition only."""
    return Index(name, *columns, unique=True, sqlite_where=text(condition), postgresql_where=text(condition))


def _among(name: str, condition: str, *columns: str) -> Index:
    return Index(name, *columns, sqlite_where=text(condition), postgresql_where=text(condition))


def _of_connection() -> ForeignKeyConstraint:
    """Binds a row to a connection of its own tenant: no row can name one tenant and another's connection."""
    return ForeignKeyConstraint(["tenant_id", "connection_id"], ["connections.tenant_id", "connections.id"])


def _of_user() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["tenant_id", "user_id"], ["users.tenant_id", "users.id"])


class TenantRow(Base, table=True):
    __tablename__ = "tenants"

    id: str = Field(primary_key=True)
    name: str
    slug: str = Field(unique=True)
    created_at: datetime = Field(sa_type=UtcDateTime)


class ConnectionRow(Base, table=True):
    __tablename__ = "connections"
    __table_args__ = (
        UniqueConstraint("tenant_id", "name"),
        UniqueConstraint("tenant_id", "id"),
        _among("ix_connections_due", "paused_at IS NULL", "next_due_at"),
    )

    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id")
    name: str
    entra_tenant_id: str | None
    client_id: str | None
    app_id: str | None
    login_url: str
    graph_url: str
    interval_minutes: int
    policy: dict[str, Any] = Field(sa_type=Document)
    credential: str | None
    credential_changed_at: datetime | None = Field(sa_type=UtcDateTime)
    credential_expires_at: datetime | None = Field(sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)
    paused_at: datetime | None = Field(sa_type=UtcDateTime)
    paused_reason: str | None
    quarantined_at: datetime | None = Field(sa_type=UtcDateTime)
    quarantine_reason: str | None
    consecutive_failures: int
    next_due_at: datetime | None = Field(sa_type=UtcDateTime)
    last_cycle_at: datetime | None = Field(sa_type=UtcDateTime)


class ApiTokenRow(Base, table=True):
    __tablename__ = "api_tokens"
    __table_args__ = (_of_connection(),)

    id: str = Field(primary_key=True)
    tenant_id: str
    connection_id: str = Field(index=True)
    name: str
    prefix: str
    secret_hash: str = Field(unique=True)
    permissions: list[str] = Field(sa_type=Document)
    allowed_addresses: list[str] = Field(sa_type=Document)
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime | None = Field(sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(sa_type=UtcDateTime)
    suspended_at: datetime | None = Field(sa_type=UtcDateTime)
    last_used_at: datetime | None = Field(sa_type=UtcDateTime)
    last_used_from: str | None


class UserRow(Base, table=True):
    __tablename__ = "users"
    __table_args__ = (
        _of_connection(),
        UniqueConstraint("tenant_id", "id"),
        _unique_among("uq_users_user_name", "deleted_at IS NULL", "connection_id", "user_name_key"),
        _unique_among("uq_users_entra", "deleted_at IS NULL", "connection_id", "entra_object_id"),
        _among("ix_users_listed", "deleted_at IS NULL", "connection_id", "seq"),
        Index("ix_users_user_name", "connection_id", "user_name_key"),
        Index("ix_users_external_id", "connection_id", "external_id"),
        Index("ix_users_entra", "connection_id", "entra_object_id"),
        _among("ix_users_work_email", "deleted_at IS NULL", "connection_id", "work_email_key"),
        _among("ix_users_display_name", "deleted_at IS NULL", "connection_id", "display_name_key"),
        _among("ix_users_admins", "is_admin", "tenant_id"),
    )

    seq: int | None = Field(default=None, primary_key=True, sa_type=Sequence)
    id: str = Field(unique=True)
    tenant_id: str
    connection_id: str
    user_name: str
    user_name_key: str
    external_id: str | None
    entra_object_id: str | None
    display_name_key: str | None
    work_email_key: str | None
    active: bool
    document: dict[str, Any] = Field(sa_type=Document)
    version: int
    origin: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    last_modified: datetime = Field(sa_type=UtcDateTime)
    is_protected: bool
    is_admin: bool
    deprovisioned_at: datetime | None = Field(sa_type=UtcDateTime)
    deprovision_reason: str | None
    deleted_at: datetime | None = Field(sa_type=UtcDateTime)


class GroupRow(Base, table=True):
    __tablename__ = "groups"
    __table_args__ = (
        _of_connection(),
        _unique_among("uq_groups_display_name", "deleted_at IS NULL", "connection_id", "display_name_key"),
        _unique_among("uq_groups_entra", "deleted_at IS NULL", "connection_id", "entra_object_id"),
        _among("ix_groups_listed", "deleted_at IS NULL", "connection_id", "seq"),
        _among("ix_groups_external_id", "deleted_at IS NULL", "connection_id", "external_id"),
    )

    seq: int | None = Field(default=None, primary_key=True, sa_type=Sequence)
    id: str = Field(unique=True)
    tenant_id: str
    connection_id: str
    display_name: str
    display_name_key: str
    external_id: str | None
    entra_object_id: str | None
    document: dict[str, Any] = Field(sa_type=Document)
    version: int
    origin: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    last_modified: datetime = Field(sa_type=UtcDateTime)
    deleted_at: datetime | None = Field(sa_type=UtcDateTime)


class MembershipRow(Base, table=True):
    """A member is a user or a group, so `member_id` has no foreign key."""

    __tablename__ = "memberships"
    __table_args__ = (
        _of_connection(),
        Index("ix_memberships_member", "member_id"),
        Index("ix_memberships_connection", "connection_id"),
    )

    group_id: str = Field(primary_key=True, foreign_key="groups.id")
    member_id: str = Field(primary_key=True)
    member_type: str
    tenant_id: str
    connection_id: str
    origin: str
    created_at: datetime = Field(sa_type=UtcDateTime)


class SessionRow(Base, table=True):
    __tablename__ = "sessions"
    __table_args__ = (_of_user(),)

    id: str = Field(primary_key=True)
    tenant_id: str
    user_id: str = Field(index=True)
    secret_hash: str = Field(unique=True)
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(sa_type=UtcDateTime)
    revoke_reason: str | None


class AssessmentResultRow(Base, table=True):
    __tablename__ = "assessment_results"
    __table_args__ = (_of_user(),)

    id: str = Field(primary_key=True)
    tenant_id: str
    user_id: str = Field(index=True)
    title: str
    score: int
    taken_at: datetime = Field(sa_type=UtcDateTime)


class CycleRow(Base, table=True):
    __tablename__ = "cycles"
    __table_args__ = (
        _of_connection(),
        Index("ix_cycles_connection_id_started_at", "connection_id", "started_at"),
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
    applied: dict[str, int] = Field(sa_type=Document)
    skipped: int
    held_plan_id: str | None
    error: str | None
    progress: dict[str, Any] = Field(sa_type=Document)
    token_roles: list[str] | None = Field(sa_type=Document)
    scope_key: str | None


class DeltaLinkRow(Base, table=True):
    __tablename__ = "delta_links"
    __table_args__ = (_of_connection(),)

    tenant_id: str = Field(primary_key=True)
    connection_id: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    link: str
    context: str
    saved_at: datetime = Field(sa_type=UtcDateTime)


class PlanRow(Base, table=True):
    __tablename__ = "plans"
    __table_args__ = (
        _of_connection(),
        Index("ix_plans_connection_id_created_at", "connection_id", "created_at"),
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


class DriftFindingRow(Base, table=True):
    __tablename__ = "drift_findings"
    __table_args__ = (
        _of_connection(),
        Index("ix_drift_findings_connection_id_cycle_id", "connection_id", "cycle_id"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=Sequence)
    tenant_id: str
    connection_id: str
    cycle_id: str
    kind: str
    reason: str | None
    subject_type: str
    subject_id: str
    subject_label: str
    before: dict[str, Any] = Field(sa_type=Document)
    after: dict[str, Any] = Field(sa_type=Document)
    first_seen: datetime = Field(sa_type=UtcDateTime)
    state: str
    evidence: dict[str, Any] = Field(sa_type=Document)


class LogEntryRow(Base, table=True):
    """`amount` counts what one entry stands for: an entry for ten removed members counts as ten removals."""

    __tablename__ = "provisioning_log"
    __table_args__ = (
        _of_connection(),
        Index("ix_provisioning_log_connection_id_id", "connection_id", "id"),
        Index("ix_provisioning_log_subject", "connection_id", "subject_id"),
        Index("ix_provisioning_log_label", "connection_id", "subject_key"),
        Index("ix_provisioning_log_correlation_id", "correlation_id"),
        _among(
            "ix_provisioning_log_removals",
            "status = 'success' AND action IN ('disable', 'delete', 'remove_member')",
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
    __table_args__ = (_of_connection(), Index("ix_events_tenant_id_id", "tenant_id", "id"))

    id: int | None = Field(default=None, primary_key=True, sa_type=Sequence)
    at: datetime = Field(sa_type=UtcDateTime)
    tenant_id: str
    connection_id: str
    type: str
    subject_id: str
    payload: dict[str, Any] = Field(sa_type=Document)


class LeaseRow(Base, table=True):
    __tablename__ = "leases"
    __table_args__ = (_of_connection(),)

    tenant_id: str = Field(primary_key=True)
    connection_id: str = Field(primary_key=True)
    token: int
    holder: str
    until: datetime = Field(sa_type=UtcDateTime)
    wanted: bool


def _table(name: str) -> Table:
    return Base.metadata.tables[name]


tenants = _table("tenants")
connections = _table("connections")
api_tokens = _table("api_tokens")
users = _table("users")
groups = _table("groups")
memberships = _table("memberships")
sessions = _table("sessions")
assessment_results = _table("assessment_results")
cycles = _table("cycles")
delta_links = _table("delta_links")
plans = _table("plans")
drift_findings = _table("drift_findings")
provisioning_log = _table("provisioning_log")
events = _table("events")
leases = _table("leases")
