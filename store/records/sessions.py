"""Sessions, what ended with a person's access, and the results a person keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from store.records.actions import Origin
from store.records.identifiers import ConnectionId, JsonValue, SessionId, TenantId, UserId


class SessionPurpose(StrEnum):
    """What a session opens."""

    APP = "app"
    """The vendor's app, which asks about it by introspection."""
    CONSOLE = "console"
    """Leaver's own pages."""


@dataclass(frozen=True, slots=True)
class SessionTerms:
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


@dataclass(frozen=True, slots=True)
class Session:
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


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a session is ended, by which actor, and in which cycle or request."""

    reason: str
    by: str | None = None
    origin: Origin = Origin.CONSOLE
    ref: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
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
    """Sessions and tokens that worked until then, each with `kind` and `id`."""
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None


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
    recorded_at: datetime
    document: Mapping[str, JsonValue] | None = None
    idempotency_key: str | None = None
    holder_number: int = 1


@dataclass(frozen=True, slots=True)
class Erasure:
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
