"""Users, groups, memberships, sessions, receipts and assessment results."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from store.records.actions import Origin, SubjectType
from store.records.identifiers import (
    ConnectionId,
    Document,
    GraphId,
    GroupId,
    JsonValue,
    SessionId,
    TenantId,
    UserId,
)


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


class ShownUser(Struct, frozen=True):
    """What the SCIM resource of a user shows: a search reads no more of each."""

    id: UserId
    tenant_id: TenantId
    active: bool
    document: Document
    version: int
    created_at: datetime
    last_modified: datetime


class User(ShownUser, frozen=True):
    connection_id: ConnectionId
    user_name: str
    external_id: str | None
    entra_object_id: GraphId | None
    """Set when the row is linked to an Entra object."""
    origin: Origin
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
    unread_write_at: datetime | None = None
    """When the account was last written without a reading of Graph, by the push or by a
    person: a reading that began before proves nothing about it.
    """
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


class Group(Struct, frozen=True):
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
    """Written or found by the push at least once."""


SummaryValues = tuple[str, GraphId | None, int, str | None, bool, bool]
"""The values of a `RowSummary`, where a million of them are compared and forgotten."""


class RowDigest(NamedTuple):
    """The digest to save with a row, if the row is still at this version."""

    id: str
    version: int
    agreed: str
    user_name: str | None = None
    external_id: str | None = None
    """The names in which both sides agree; None for a group."""


class Membership(Struct, frozen=True):
    group_id: GroupId
    member_id: str
    """A `UserId`, or a `GroupId` for a nested group."""
    member_type: SubjectType
    origin: Origin


class SessionPurpose(StrEnum):
    """What a session opens."""

    APP = "app"
    """The vendor's app, which asks about it by introspection."""
    CONSOLE = "console"
    """Leaver's own pages."""


class SessionTerms(Struct, frozen=True):
    """What a new session is for, how long it lasts, and by which sign-in it began."""

    lifetime_s: float = 8 * 3600.0
    idle_s: float | None = None
    """It ends after so long without use; None: only with its lifetime."""
    purpose: SessionPurpose = SessionPurpose.APP
    client: str | None = None
    """The name of the vendor's app, where there are several."""
    created_from: str | None = None
    agent: str | None = None
    issuer: str | None = None
    issuer_subject: str | None = None
    issuer_session_id: str | None = None
    """The provider's own session (`sid`), by which it can end this one."""


class Session(Struct, frozen=True):
    id: SessionId
    tenant_id: TenantId
    user_id: UserId
    created_at: datetime
    expires_at: datetime
    idle_until: datetime
    last_seen_at: datetime
    proved_at: datetime | None = None
    """When Graph was last asked about this person alone, and said yes."""
    purpose: SessionPurpose = SessionPurpose.APP
    client: str | None = None
    created_from: str | None = None
    agent: str | None = None
    issuer: str | None = None
    issuer_subject: str | None = None
    issuer_session_id: str | None = None
    revoked_at: datetime | None = None
    revoke_reason: str | None = None
    revoked_by: str | None = None
    revoked_origin: str | None = None
    revoked_ref: str | None = None
    """The cycle or request that ended it."""
    holder_number: int = 1
    period: int = 1

    def is_over(self, now: datetime) -> bool:
        """Return whether it was ended, ran out or was idle for too long."""
        return self.revoked_at is not None or min(self.expires_at, self.idle_until) <= now


class Ending(Struct, frozen=True):
    """Why a session is ended, by which actor, and in which cycle or request."""

    reason: str
    by: str | None = None
    origin: Origin = Origin.CONSOLE
    ref: str | None = None


class Receipt(Struct, frozen=True):
    """What ended with a period of access: when, why, by what, and whether the app
    knows.
    """

    id: str
    tenant_id: TenantId
    connection_id: ConnectionId
    user_id: UserId
    holder_number: int
    period: int
    """The period of access that ended."""
    at: datetime
    action: str
    reason: str
    origin: Origin
    actor: str | None
    correlation_id: str
    """The cycle or request that ended it."""
    ended: tuple[Mapping[str, JsonValue], ...]
    """Sessions, tokens and the app's own keys that worked until then, each with `kind`
    and `id`.
    """
    due_at: datetime | None = None
    """When the app has to know of it; None once it does, and where nothing ended."""
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None


class AppKeyKind(StrEnum):
    """What an app keeps for a person without Leaver."""

    SESSION = "app_session"
    API_KEY = "app_key"


class AppKey(Struct, frozen=True):
    """A session or an API key that the vendor's app keeps itself, and registered."""

    id: str
    tenant_id: TenantId
    connection_id: ConnectionId
    user_id: UserId
    kind: AppKeyKind
    reference: str
    """The app's own name for it, by which it ends it; never its secret."""
    label: str | None
    holder_number: int
    period: int
    registered_at: datetime
    expires_at: datetime | None = None
    ended_at: datetime | None = None
    end_reason: str | None = None


class AssessmentResult(Struct, frozen=True):
    """A result in the vendor's app.

    It is kept when the account ends (invariant I8).
    """

    id: str
    tenant_id: TenantId
    user_id: UserId
    title: str
    score: int
    taken_at: datetime
    recorded_at: datetime
    document: Mapping[str, JsonValue] | None = None
    idempotency_key: str | None = None
    holder_number: int = 1


class Erasure(Struct, frozen=True):
    """That results of a holder were erased: the trace that is left of them."""

    id: str
    tenant_id: TenantId
    user_id: UserId
    holder_number: int
    at: datetime
    actor: str
    reason: str
    results: int
    """How many were erased."""
