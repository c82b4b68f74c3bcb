"""Users, groups, memberships, sessions and assessment results."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from store.records.actions import Origin, SubjectType
from store.records.identifiers import ConnectionId, Document, GraphId, GroupId, SessionId, TenantId, UserId


@dataclass(frozen=True, slots=True)
class User:
    id: UserId
    tenant_id: TenantId
    connection_id: ConnectionId
    user_name: str
    external_id: str | None
    entra_object_id: GraphId | None
    """Set when the row is linked to an Entra object."""
    active: bool
    document: Document
    version: int
    origin: Origin
    created_at: datetime
    last_modified: datetime
    is_protected: bool = False
    is_admin: bool = False
    deprovisioned_at: datetime | None = None
    deprovision_reason: str | None = None
    deleted_at: datetime | None = None
    """Hidden from SCIM since; the row, its history and its log stay (invariant I8)."""


@dataclass(frozen=True, slots=True)
class Group:
    id: GroupId
    tenant_id: TenantId
    connection_id: ConnectionId
    display_name: str
    external_id: str | None
    entra_object_id: GraphId | None
    document: Document
    version: int
    origin: Origin
    created_at: datetime
    last_modified: datetime
    deleted_at: datetime | None = None


class RowSummary(NamedTuple):
    """What a row that is not deleted shows without its document."""

    id: str
    entra_object_id: GraphId | None
    version: int
    agreed: str | None
    active: bool
    """True for a group."""


class RowDigest(NamedTuple):
    """The digest to save with a row, if the row is still at this version."""

    id: str
    version: int
    agreed: str


@dataclass(frozen=True, slots=True)
class Membership:
    group_id: GroupId
    member_id: str
    """A `UserId`, or a `GroupId` for a nested group."""
    member_type: SubjectType
    origin: Origin


@dataclass(frozen=True, slots=True)
class Session:
    id: SessionId
    tenant_id: TenantId
    user_id: UserId
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    revoke_reason: str | None = None


@dataclass(frozen=True, slots=True)
class AssessmentResult:
    """A result in the vendor's app.

    It is kept when the account ends (invariant I8).
    """

    id: str
    tenant_id: TenantId
    user_id: UserId
    title: str
    score: int
    taken_at: datetime
