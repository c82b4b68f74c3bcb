"""Tenants and their set-up: connections, API tokens, leases, audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from store.tables.base import Base, Document, Sequence, UtcDateTime, among, of_connection, unique_among


class TenantRow(Base, table=True):
    """A deleted tenant keeps its row, and the slug is free again."""

    __tablename__ = "tenants"
    __table_args__ = (unique_among("uq_tenants_slug", "deleted_at IS NULL", "slug"),)

    id: str = Field(primary_key=True)
    name: str
    slug: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    deleted_at: datetime | None = Field(sa_type=UtcDateTime)


class ConnectionRow(Base, table=True):
    """A deleted connection keeps its row: accounts, logs and history refer to it.

    `proved_at`: start of the last complete reading that left no removal undone.
    """

    __tablename__ = "connections"
    __table_args__ = (
        unique_among("uq_connections_name", "deleted_at IS NULL", "tenant_id", "name"),
        UniqueConstraint("tenant_id", "id"),
        among("ix_connections_due", "paused_at IS NULL", "next_due_at"),
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
    consecutive_incomplete: int
    incomplete_reason: str | None
    last_complete_at: datetime | None = Field(sa_type=UtcDateTime)
    proved_at: datetime | None = Field(sa_type=UtcDateTime)
    next_due_at: datetime | None = Field(sa_type=UtcDateTime)
    last_cycle_at: datetime | None = Field(sa_type=UtcDateTime)
    people: int | None
    last_status: str | None
    """Of the last cycle over the whole connection that ended."""
    open_findings: int = Field(sa_column_kwargs={"server_default": "0"})
    """Of the last report: what the list of all connections sorts by."""
    mapping_verdict: dict[str, Any] | None = Field(sa_type=Document)
    restored_at: datetime | None = Field(sa_type=UtcDateTime)
    return_urls: list[str] = Field(sa_type=Document)
    deleted_at: datetime | None = Field(sa_type=UtcDateTime)


class MappingVersionRow(Base, table=True):
    """A version of a connection's attribute mapping; the policy holds the last."""

    __tablename__ = "mapping_versions"
    __table_args__ = (of_connection(),)

    connection_id: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    tenant_id: str
    origin: str
    mapping: dict[str, Any] | None = Field(sa_type=Document)
    by: str
    at: datetime = Field(sa_type=UtcDateTime)


class ApiTokenRow(Base, table=True):
    __tablename__ = "api_tokens"
    __table_args__ = (of_connection(), among("ix_api_tokens_user", "user_id IS NOT NULL", "user_id"))

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
    user_id: str | None
    holder_number: int | None
    period: int | None
    federation_subject: str | None
    federation_audiences: list[str] | None = Field(sa_type=Document)
    replaces_id: str | None
    warned_days: int | None
    """How near its end was when an event told of it last."""


class OperatorTokenRow(Base, table=True):
    """A token of an operator belongs to no tenant."""

    __tablename__ = "operator_tokens"

    id: str = Field(primary_key=True)
    name: str
    prefix: str
    secret_hash: str = Field(unique=True)
    permissions: list[str] = Field(sa_type=Document)
    created_at: datetime = Field(sa_type=UtcDateTime)
    created_by: str
    expires_at: datetime | None = Field(sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(sa_type=UtcDateTime)


class IdempotencyKeyRow(Base, table=True):
    """A request of a token that was carried out; `status` is null until its answer is
    kept.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_at", "at"),)

    token_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    digest: str
    at: datetime = Field(sa_type=UtcDateTime)
    status: int | None
    body: dict[str, Any] | None = Field(sa_type=Document)
    headers: dict[str, Any] | None = Field(sa_type=Document)


class SpentAssertionRow(Base, table=True):
    """An assertion that was exchanged for an access token and is refused until it
    expires.
    """

    __tablename__ = "spent_assertions"
    __table_args__ = (of_connection(),)

    connection_id: str = Field(primary_key=True)
    uti: str = Field(primary_key=True)
    tenant_id: str
    expires_at: datetime = Field(sa_type=UtcDateTime)


class AuditEntryRow(Base, table=True):
    """A change to the set-up of a tenant.

    Changes to users and groups are in the provisioning log.
    """

    __tablename__ = "audit_log"
    __table_args__ = (of_connection(), Index("ix_audit_log_tenant_id_id", "tenant_id", "id"))

    id: int | None = Field(default=None, primary_key=True, sa_type=Sequence)
    at: datetime = Field(sa_type=UtcDateTime)
    tenant_id: str
    connection_id: str | None
    actor: str
    action: str
    subject_id: str
    subject_label: str
    detail: dict[str, Any] = Field(sa_type=Document)


class PushBrakeRow(Base, table=True):
    """The brake on one kind of removals by push; without a row none happened yet.

    `counted_from` is when the count of removals last began anew: no earlier one counts.
    """

    __tablename__ = "push_brakes"
    __table_args__ = (of_connection(),)

    connection_id: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    tenant_id: str
    braked_at: datetime | None = Field(sa_type=UtcDateTime)
    reason: str | None
    refused: int
    counted_from: datetime | None = Field(sa_type=UtcDateTime)


class LeaseRow(Base, table=True):
    __tablename__ = "leases"
    __table_args__ = (of_connection(),)

    tenant_id: str = Field(primary_key=True)
    connection_id: str = Field(primary_key=True)
    token: int
    holder: str
    until: datetime = Field(sa_type=UtcDateTime)
    wanted: bool
