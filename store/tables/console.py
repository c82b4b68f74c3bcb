"""Access to the console: operators, links that open it, and its sessions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field

from store.tables.base import Base, Document, UtcDateTime, among, of_connection, unique_among


class OperatorRow(Base, table=True):
    """A person who enters the console by an invitation; without a tenant, over all."""

    __tablename__ = "operators"
    __table_args__ = (unique_among("uq_operators_name", "removed_at IS NULL", "name"),)

    id: str = Field(primary_key=True)
    tenant_id: str | None = Field(foreign_key="tenants.id")
    name: str
    role: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    created_by: str
    removed_at: datetime | None = Field(sa_type=UtcDateTime)


class AccessLinkRow(Base, table=True):
    """A link whose secret opens one thing: a sign-in, a setup, or a status page."""

    __tablename__ = "access_links"
    __table_args__ = (
        of_connection(),
        among("ix_access_links_connection", "connection_id IS NOT NULL", "connection_id"),
        Index("ix_access_links_expires_at", "expires_at"),
    )

    id: str = Field(primary_key=True)
    kind: str
    secret_hash: str = Field(unique=True)
    tenant_id: str | None
    connection_id: str | None
    operator_id: str | None = Field(foreign_key="operators.id")
    frame_ancestors: list[str] = Field(sa_type=Document)
    may_sync: bool
    created_at: datetime = Field(sa_type=UtcDateTime)
    created_by: str
    expires_at: datetime = Field(sa_type=UtcDateTime)
    used_at: datetime | None = Field(sa_type=UtcDateTime)
    used_from: str | None
    revoked_at: datetime | None = Field(sa_type=UtcDateTime)


class ConsoleSessionRow(Base, table=True):
    """A browser that opened a link. A person of a tenant has a row of `sessions`."""

    __tablename__ = "console_sessions"
    __table_args__ = (
        Index("ix_console_sessions_expires_at", "expires_at"),
        Index("ix_console_sessions_link_id", "link_id"),
    )

    id: str = Field(primary_key=True)
    secret_hash: str = Field(unique=True)
    link_id: str
    operator_id: str | None = Field(foreign_key="operators.id")
    tenant_id: str | None
    connection_id: str | None
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    idle_until: datetime = Field(sa_type=UtcDateTime)
    last_seen_at: datetime = Field(sa_type=UtcDateTime)
    created_from: str | None
    agent: str | None
    ended_at: datetime | None = Field(sa_type=UtcDateTime)


class SetupStepRow(Base, table=True):
    """When a step of the set-up was first seen done, and by what."""

    __tablename__ = "setup_steps"
    __table_args__ = (of_connection(),)

    connection_id: str = Field(primary_key=True)
    step: str = Field(primary_key=True)
    tenant_id: str
    at: datetime = Field(sa_type=UtcDateTime)
    proof: str
