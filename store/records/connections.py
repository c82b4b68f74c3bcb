"""A tenant and its connection to Entra: the policy and the values it may have, the
versions of the mapping, the lease, and what a deletion leaves of the people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from msgspec import Struct

from store.records.identifiers import ConnectionId, TenantId


@dataclass(frozen=True, slots=True)
class Tenant:
    id: TenantId
    name: str
    slug: str
    created_at: datetime


class Mode(StrEnum):
    REPORT = "report"
    """Shadow: plans and reports, applies nothing."""
    ENFORCE = "enforce"


class Scope(StrEnum):
    ASSIGNED = "assigned"
    ALL = "all"


class MembershipMode(StrEnum):
    DIRECT = "direct"
    TRANSITIVE = "transitive"


@dataclass(frozen=True, slots=True)
class Ceilings:
    """How much one plan, and one rolling day, may take away before a person must agree
    (design.md §5, rule 3).
    """

    floor: int = 5
    """Up to this many removals of one kind never trip the ceilings."""
    percent: float = 10.0
    count: int = 100


@dataclass(frozen=True, slots=True)
class PushRules:
    """What a push may take away from accounts, by the policy of its connection.

    Nothing is guarded by default: every request by SCIM carries those of its policy.
    """

    protects_last_admin: bool = False
    protects_accounts: bool = False
    """Protected, admin and local accounts keep their access."""
    ceilings: Ceilings | None = None
    """Of removals within ten minutes; None: no brake."""


@dataclass(frozen=True, slots=True)
class ScopingClause:
    """One clause of a scoping filter: a Graph property, an operator of Entra's, a value
    (`define-conditional-rules`).
    """

    attribute: str
    operator: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """How a connection is reconciled: all input of the pure core besides facts."""

    mode: Mode = Mode.REPORT
    scope: Scope = Scope.ASSIGNED
    membership: MembershipMode = MembershipMode.DIRECT
    mapping: Mapping[str, str] | None = None
    """SCIM attribute path -> Graph property or expression.

    None is Entra's default mapping. Its versions are in `store.tenancy.mappings`.
    """
    mapping_confirmed: bool = False
    """A person said that the mapping fits, where too few accounts can show it."""
    extensions: tuple[str, ...] = ()
    """Custom attributes the push may bring beside those of the mapping: `{URN of the
    extension}:{attribute}`.
    """
    scoping_filters: tuple[tuple[ScopingClause, ...], ...] = ()
    """Clauses are ANDed inside a filter, filters are ORed."""
    clear_emptied_attributes: bool = False
    """Entra never sends nulls; True clears here what was emptied there."""
    deprovision_local_accounts: bool = False
    ceilings: Ceilings = field(default_factory=Ceilings)
    held_plan_days: int = 7
    full_every_hours: int = 24
    """At the latest after so long everything is read anew, which proves the incremental
    cycles right.
    """
    evidence_max_age_s: int = 300
    """A removal is written on evidence of at most this age; older evidence is taken
    again first.
    """
    protect_from_push: bool = False
    """The push may not end the access of protected, admin and local accounts.

    The last admin of a tenant keeps it in any case. A new connection begins with it.
    """
    brake_push: bool = False
    """The push may take away no more within ten minutes than the ceilings allow, until
    a person releases the brake. A new connection begins with it.
    """

    @property
    def push_rules(self) -> PushRules:
        """Return what the push may take away."""
        return PushRules(
            protects_last_admin=True,
            protects_accounts=self.protect_from_push,
            ceilings=self.ceilings if self.brake_push else None,
        )


@dataclass(frozen=True, slots=True)
class Connection:
    """A tenant's link to one Entra directory and one enterprise application.

    Secrets are not part of it.
    """

    id: ConnectionId
    tenant_id: TenantId
    name: str
    entra_tenant_id: str | None
    client_id: str | None
    app_id: str | None
    """The `appId` of the enterprise application whose assignments count.

    None: the client's own.
    """
    login_url: str
    graph_url: str
    interval_minutes: int
    policy: Policy
    has_credential: bool
    credential_changed_at: datetime | None
    credential_expires_at: datetime | None
    created_at: datetime
    paused_at: datetime | None = None
    paused_reason: str | None = None
    quarantined_at: datetime | None = None
    quarantine_reason: str | None = None
    consecutive_failures: int = 0
    consecutive_incomplete: int = 0
    """Cycles in a row that ran, and whose reading proved the absence of nothing."""
    incomplete_reason: str | None = None
    last_complete_at: datetime | None = None
    proved_at: datetime | None = None
    """Start of the last complete reading that left no removal undone: those who have
    access since were entitled then.
    """
    next_due_at: datetime | None = None
    last_cycle_at: datetime | None = None
    people: int | None = None
    """How many users the last cycle found entitled; None before the first."""
    restored_at: datetime | None = None
    """When the database was restored from a backup; None: never."""
    return_urls: Sequence[str] = ()
    """The only addresses of the vendor's app that a sign-in returns to."""

    @property
    def is_never_complete(self) -> bool:
        """Return whether so many cycles in a row were incomplete that it will last."""
        return self.consecutive_incomplete >= INCOMPLETE_BEFORE_ALARM


INCOMPLETE_BEFORE_ALARM = 3
READINGS_MISSED = 2
"""So many full readings that did not come make a connection fail."""


class Fence(Struct, frozen=True):
    """Proof of holding a connection's lease; a write with a stale token is refused."""

    connection_id: ConnectionId
    token: int


@dataclass(frozen=True, slots=True)
class Lease:
    connection_id: ConnectionId
    token: int
    holder: str
    until: datetime
    wanted: bool = False
    """On-demand work waits: the holder yields at its next safe point."""

    @property
    def fence(self) -> Fence:
        return Fence(self.connection_id, self.token)


class PeopleFate(StrEnum):
    """What becomes of the accounts of a connection that is deleted."""

    KEEP = "keep"
    """They stay as they are, access and sessions included."""
    DISABLE = "disable"
    """Access and sessions end."""
    RELEASE = "release"
    """They stay active and become local: they stand for no person in Entra any more."""


class MappingOrigin(StrEnum):
    """The source of a mapping."""

    DEFAULT = "default"
    """Entra's own for a non-gallery application."""
    IMPORTED = "imported"
    """Read from Graph's synchronization schema."""
    SET = "set"
    """Typed in by a person."""


@dataclass(frozen=True, slots=True)
class MappingVersion:
    """One version of a mapping; version 0 is what a new connection starts with."""

    version: int
    origin: MappingOrigin
    mapping: Mapping[str, str] | None
    """SCIM attribute path -> Graph property or expression; None: Entra's default."""
    by: str | None = None
    at: datetime | None = None


FIRST_MAPPING = MappingVersion(0, MappingOrigin.DEFAULT, None)


@dataclass(frozen=True, slots=True)
class Limit:
    """The least and the most that a number may be."""

    least: int
    most: int

    def allows(self, value: float) -> bool:
        """Return whether the value lies within both ends."""
        return self.least <= value <= self.most


LIMITS: Mapping[str, Limit] = MappingProxyType(
    {
        "interval_minutes": Limit(1, 10_080),
        "full_every_hours": Limit(1, 168),
        "held_plan_days": Limit(1, 90),
        "evidence_max_age_s": Limit(30, 3_600),
        "brake_release_minutes": Limit(1, 1_440),
        "ceiling_floor": Limit(1, 1_000),
        "ceiling_percent": Limit(1, 100),
        "ceiling_count": Limit(1, 100_000),
    }
)
"""By name of the setting.

A ceiling of 0 would hold every leaver, and one above 100 % holds none. A week without a
full reading leaves what an increment missed for a week.
"""
MOST_NAME_CHARACTERS = 100
MOST_SECRET_BYTES = 100_000
"""Of a secret or a certificate with its key; Entra's secrets have 40 characters."""
