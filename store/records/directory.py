"""Users, groups and memberships."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from store.records.actions import Origin, SubjectType
from store.records.identifiers import ConnectionId, Document, GraphId, GroupId, TenantId, UserId


class HolderBasis(StrEnum):
    """How it is known which person an account stands for; without one the holder is
    unproven.
    """

    PROOF = "proof"
    """The object id itself: given by the push, or the pull made the account for it."""
    NAMES = "names"
    """userName and externalId name one person under a mapping that fits: enough to keep
    the account in step and to end its access, never to hand over history.
    """
    PERSON = "person"
    """A person decided it."""


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
    directory_id: str | None = None
    """The directory in which `entra_object_id` means something."""
    holder_number: int = 1
    """Counts the people the account stood for; history belongs to account and number.
    """
    holder_basis: HolderBasis | None = None
    holder_seen_at: datetime | None = None
    """Start of the last reading in which the holder was there, noted once the holder is
    missing; None: still there, or never had one.
    """
    push_wrote_at: datetime | None = None
    push_found_at: datetime | None = None
    """When a match query of the push was last answered with exactly this account."""
    agreed_user_name: str | None = None
    agreed_external_id: str | None = None
    """The last values in which the account and Entra agreed."""
    period: int = 1
    """Counts the periods of access: a credential is good for the one it was issued in.
    """
    sealed_at: datetime | None = None
    """The push gave access again without a proof of the person: history is hidden and
    marks are suspended until the person is known.
    """
    access_ended_by: Origin | None = None
    """Who ended access last; kept when it is given again."""
    access_ended_reason: str | None = None
    access_given_by: Origin | None = None
    """Who gave access again last, after it had ended."""

    @property
    def is_guarded(self) -> bool:
        """Return whether the mark `protected` counts: it is suspended under a seal."""
        return self.is_protected and self.sealed_at is None


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
    was_pushed: bool = False
    """Written by the push at least once."""


class RowDigest(NamedTuple):
    """The digest to save with a row, if the row is still at this version."""

    id: str
    version: int
    agreed: str
    user_name: str | None = None
    external_id: str | None = None
    """The names in which both sides agree; None for a group."""


@dataclass(frozen=True, slots=True)
class Membership:
    group_id: GroupId
    member_id: str
    """A `UserId`, or a `GroupId` for a nested group."""
    member_type: SubjectType
    origin: Origin
