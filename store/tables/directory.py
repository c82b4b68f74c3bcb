"""Users, groups and memberships.

`seq` is the order of creation. SCIM lists rows in this order, so that a page far down
costs one step along an index. Columns beside a `document` are copies of its searched
attributes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from store.tables.base import (
    Base,
    Document,
    Sequence,
    UtcDateTime,
    among,
    of_connection,
    of_user,
    unique_among,
)


class UserRow(Base, table=True):
    __tablename__ = "users"
    __table_args__ = (
        of_connection(),
        UniqueConstraint("tenant_id", "id"),
        unique_among("uq_users_user_name", "deleted_at IS NULL", "connection_id", "user_name_key"),
        unique_among("uq_users_entra", "deleted_at IS NULL", "connection_id", "entra_object_id"),
        among("ix_users_listed", "deleted_at IS NULL", "connection_id", "seq"),
        Index("ix_users_user_name", "connection_id", "user_name_key"),
        Index("ix_users_external_id", "connection_id", "external_id"),
        Index("ix_users_entra", "connection_id", "entra_object_id"),
        Index("ix_users_work_email", "connection_id", "work_email_key"),
        Index("ix_users_display_name", "connection_id", "display_name_key"),
        among("ix_users_admins", "is_admin", "tenant_id"),
        among("ix_users_active", "deleted_at IS NULL AND active", "connection_id", "deleted_at", "active"),
        among("ix_users_inactive", "deleted_at IS NULL AND NOT active", "connection_id", "user_name_key"),
        among("ix_users_deleted", "deleted_at IS NOT NULL", "connection_id", "user_name_key"),
        among("ix_users_sealed", "deleted_at IS NULL AND sealed_at IS NOT NULL", "connection_id", "seq"),
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
    agreed: str | None
    directory_id: str | None
    holder_number: int
    holder_basis: str | None
    holder_seen_at: datetime | None = Field(sa_type=UtcDateTime)
    push_wrote_at: datetime | None = Field(sa_type=UtcDateTime)
    push_found_at: datetime | None = Field(sa_type=UtcDateTime)
    unread_write_at: datetime | None = Field(sa_type=UtcDateTime)
    agreed_user_name: str | None
    agreed_external_id: str | None
    period: int
    sealed_at: datetime | None = Field(sa_type=UtcDateTime)
    access_ended_by: str | None
    access_ended_reason: str | None
    access_given_by: str | None


class AccountHolderRow(Base, table=True):
    """The holders of an account that changed its holder: a person who comes back gets
    the old number.
    """

    __tablename__ = "account_holders"
    __table_args__ = (of_user(),)

    tenant_id: str = Field(primary_key=True)
    user_id: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    directory_id: str | None
    entra_object_id: str | None
    user_name: str
    basis: str | None
    until: datetime | None = Field(sa_type=UtcDateTime)


class JoinedHoldersRow(Base, table=True):
    """Two holders of which a person said that they are one person."""

    __tablename__ = "joined_holders"
    __table_args__ = (of_user(), Index("ix_joined_holders_other", "other_user_id"))

    tenant_id: str = Field(primary_key=True)
    user_id: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    other_user_id: str = Field(primary_key=True)
    other_number: int = Field(primary_key=True)
    by: str
    unsealed: list[str] = Field(sa_type=Document)
    at: datetime = Field(sa_type=UtcDateTime)


class GroupRow(Base, table=True):
    __tablename__ = "groups"
    __table_args__ = (
        of_connection(),
        unique_among("uq_groups_display_name", "deleted_at IS NULL", "connection_id", "display_name_key"),
        unique_among("uq_groups_entra", "deleted_at IS NULL", "connection_id", "entra_object_id"),
        among("ix_groups_listed", "deleted_at IS NULL", "connection_id", "seq"),
        Index("ix_groups_entra", "connection_id", "entra_object_id"),
        Index("ix_groups_external_id", "connection_id", "external_id"),
        Index("ix_groups_display_name", "connection_id", "display_name_key"),
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
    agreed: str | None


class MembershipRow(Base, table=True):
    """A member is a user or a group, so `member_id` has no foreign key."""

    __tablename__ = "memberships"
    __table_args__ = (
        of_connection(),
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
