"""Plain frozen records: what the store hands out, and the words every other room shares.

Standard library only, so that `worker.reconcile` can stay pure. Times are aware UTC datetimes. A `Document` is a SCIM
resource body as JSON (camelCase SCIM attribute names, extension URNs as keys) without `id`, `schemas`, `meta`,
and, for a group, without `members`: memberships are rows of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, NewType, TypeAlias

TenantId = NewType("TenantId", str)
ConnectionId = NewType("ConnectionId", str)
UserId = NewType("UserId", str)
"""The SCIM `id` of a user: a UUID we gave."""
GroupId = NewType("GroupId", str)
"""The SCIM `id` of a group: a UUID we gave."""
GraphId = NewType("GraphId", str)
"""Entra's object id of a user or a group."""
TokenId = NewType("TokenId", str)
SessionId = NewType("SessionId", str)
CycleId = NewType("CycleId", str)
PlanId = NewType("PlanId", str)

JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
Document: TypeAlias = Mapping[str, JsonValue]


class Origin(StrEnum):
    """Who wrote a fact."""

    SCIM = "scim"
    GRAPH = "graph"
    CONSOLE = "console"
    API = "api"


DIRECTORY = frozenset({Origin.SCIM, Origin.GRAPH})
"""Origins that are Entra, by push or by pull: a row that came from there stays Entra's, whoever edits it here."""


class Action(StrEnum):
    """What a change does; the first four are also the actions of Entra's provisioning log."""

    CREATE = "create"
    UPDATE = "update"
    DISABLE = "disable"
    DELETE = "delete"
    ENABLE = "enable"
    RESTORE = "restore"
    """A person who was deleted here is back: the same row, the same history."""
    LINK = "link"
    """A local row is recognised as an Entra object."""
    ADD_MEMBER = "add_member"
    REMOVE_MEMBER = "remove_member"
    OTHER = "other"


REMOVALS = frozenset({Action.DISABLE, Action.DELETE, Action.REMOVE_MEMBER})
"""Actions that take something away from a person (design.md §5, Safety)."""


class LogStatus(StrEnum):
    SUCCESS = "success"
    FAILURE = "failure"
    SKIPPED = "skipped"
    WARNING = "warning"


class SubjectType(StrEnum):
    USER = "user"
    GROUP = "group"


class CycleKind(StrEnum):
    INITIAL = "initial"
    FULL = "full"
    INCREMENTAL = "incremental"
    ON_DEMAND = "on_demand"


class CycleStatus(StrEnum):
    RUNNING = "running"
    APPLIED = "applied"
    REPORTED = "reported"
    HELD = "held"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    YIELDED = "yielded"
    """Gave way to on-demand work; the next cycle reads again."""


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


class DriftKind(StrEnum):
    MISSED_DEPROVISION = "missed_deprovision"
    MISSED_PROVISION = "missed_provision"
    ATTRIBUTE_MISMATCH = "attribute_mismatch"
    MEMBERSHIP_MISSING = "membership_missing"
    MEMBERSHIP_EXTRA = "membership_extra"
    GROUP_MISSING = "group_missing"
    GROUP_EXTRA = "group_extra"
    LOCAL_ACCOUNT = "local_account"
    MATCH_CONFLICT = "match_conflict"


class Reason(StrEnum):
    """Why a person is not entitled (or a group not assigned)."""

    DISABLED = "disabled"
    SOFT_DELETED = "soft_deleted"
    PURGED = "purged"
    UNASSIGNED = "unassigned"
    OUT_OF_SCOPE = "out_of_scope"


class FindingState(StrEnum):
    OPEN = "open"
    REPAIRED = "repaired"
    HELD = "held"
    RESOLVED = "resolved"
    """Gone by itself since the last report."""


class PlanStatus(StrEnum):
    HELD = "held"
    APPROVED = "approved"
    REJECTED = "rejected"
    APPLIED = "applied"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Tenant:
    id: TenantId
    name: str
    slug: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Ceilings:
    """How much one plan, and one rolling day, may take away before a person must agree (design.md §5, rule 3)."""

    floor: int = 5
    """Up to this many removals of one kind never trip the ceilings."""
    percent: float = 10.0
    count: int = 100


@dataclass(frozen=True, slots=True)
class ScopingClause:
    """One clause of a scoping filter: a Graph property, an operator of Entra's, a value (`define-conditional-rules`)."""

    attribute: str
    operator: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a connection wants of reconciliation. Everything the pure core may ask beyond facts."""

    mode: Mode = Mode.REPORT
    scope: Scope = Scope.ASSIGNED
    membership: MembershipMode = MembershipMode.DIRECT
    mapping: Mapping[str, str] | None = None
    """SCIM attribute path -> Graph property or expression; None is Entra's default mapping."""
    extensions: tuple[str, ...] = ()
    """Custom attributes the push may bring beside those of the mapping: `{URN of the extension}:{attribute}`."""
    scoping_filters: tuple[tuple[ScopingClause, ...], ...] = ()
    """Clauses are ANDed inside a filter, filters are ORed."""
    clear_emptied_attributes: bool = False
    """Entra never sends nulls; True clears here what was emptied there."""
    deprovision_local_accounts: bool = False
    ceilings: Ceilings = field(default_factory=Ceilings)
    held_plan_days: int = 7
    full_every_hours: int = 24
    """At the latest after so long everything is read anew, which proves the incremental cycles right."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A tenant's link to one Entra directory and one enterprise application. Secrets are not part of it."""

    id: ConnectionId
    tenant_id: TenantId
    name: str
    entra_tenant_id: str | None
    client_id: str | None
    app_id: str | None
    """The `appId` of the enterprise application whose assignments count; None: the client's own."""
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
    next_due_at: datetime | None = None
    last_cycle_at: datetime | None = None
    people: int | None = None
    """Whom the last cycle found entitled; None before the first."""


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


class Glance(NamedTuple):
    """What a row that is not deleted shows without its document."""

    id: str
    entra_object_id: GraphId | None
    version: int
    agreed: str | None
    active: bool
    """True for a group."""


class Agreed(NamedTuple):
    """What is to be remembered of a row, if it is still at this version."""

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
class Federation:
    """Whose assertions a token's access is given for, instead of a secret (RFC 7523 §2.2)."""

    subject: str
    """`sub`: the object id of Entra's provisioning service in the customer's directory."""
    audiences: tuple[str, ...]
    """`aud`: any of these will do."""


@dataclass(frozen=True, slots=True)
class ApiToken:
    id: TokenId
    tenant_id: TenantId
    connection_id: ConnectionId
    name: str
    prefix: str
    permissions: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None = None
    suspended_at: datetime | None = None
    last_used_at: datetime | None = None
    last_used_from: str | None = None
    allowed_addresses: tuple[str, ...] = ()
    user_id: UserId | None = None
    """The user it stands for: it reaches nobody else (`/Me`)."""
    federation: Federation | None = None
    """Set for a token nobody was ever shown the secret of: assertions of Entra open it."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What somebody did to the set-up of a tenant."""

    id: int
    at: datetime
    tenant_id: TenantId
    connection_id: ConnectionId | None
    actor: str
    action: str
    """A noun and what became of it: `token.created`, `connection.paused`."""
    subject_id: str
    subject_label: str
    detail: Mapping[str, JsonValue] = field(default_factory=dict)


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
    """Retained history: what the vendor's app knows of a person, kept whatever happens to the account."""

    id: str
    tenant_id: TenantId
    user_id: UserId
    title: str
    score: int
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class Fence:
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


@dataclass(frozen=True, slots=True)
class Step:
    """One explained step of an attempted change, as in Entra's provisioning log."""

    name: str
    status: LogStatus
    detail: str
    data: Mapping[str, JsonValue] = field(default_factory=dict)


UNATTENDED = "worker"
"""The actor of what the worker does by itself; an approved plan or a demand has a person's name instead."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Who wants a change, and what to write down with it."""

    origin: Origin
    correlation_id: str
    """The request id or the cycle id."""
    actor: str | None = None
    """Token name, admin or `worker`; never personal data of the subject."""
    fence: Fence | None = None
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Modified:
    attribute: str
    old: JsonValue
    new: JsonValue


@dataclass(frozen=True, slots=True)
class LogEntry:
    id: int
    at: datetime
    tenant_id: TenantId
    connection_id: ConnectionId
    action: Action
    status: LogStatus
    subject_type: SubjectType
    subject_id: str | None
    subject_label: str
    origin: Origin
    actor: str | None
    steps: tuple[Step, ...]
    modified: tuple[Modified, ...]
    correlation_id: str


@dataclass(frozen=True, slots=True)
class Event:
    """What a listener (the vendor's app) is told; written in the transaction of the change."""

    id: int
    at: datetime
    tenant_id: TenantId
    connection_id: ConnectionId
    type: str
    """`user.created`, `user.updated`, `user.deprovisioned`, `user.reactivated`, `user.deleted`, `group.…`, `membership.…`"""
    subject_id: str
    payload: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Cycle:
    id: CycleId
    tenant_id: TenantId
    connection_id: ConnectionId
    kind: CycleKind
    status: CycleStatus
    started_at: datetime
    finished_at: datetime | None = None
    complete: bool | None = None
    completeness: Mapping[str, JsonValue] = field(default_factory=dict)
    """The proof: every list with pages, items, expected count; token roles; canary."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """`users`, `groups`, `memberships` that Graph showed as entitled."""
    drift: Mapping[str, int] = field(default_factory=dict)
    applied: Mapping[str, int] = field(default_factory=dict)
    skipped: int = 0
    held_plan_id: PlanId | None = None
    error: str | None = None
    why_full: str | None = None
    """Why everything was read, in a sentence; None for an incremental cycle."""
    increments_missed: int | None = None
    """Drift that a full cycle found and the increments before it should have; None where that cannot be told."""


@dataclass(frozen=True, slots=True)
class HeldPlan:
    id: PlanId
    tenant_id: TenantId
    connection_id: ConnectionId
    cycle_id: CycleId
    checksum: str
    status: PlanStatus
    reason: str
    body: Mapping[str, JsonValue]
    """The whole frozen plan as JSON (`worker.reconcile.plan.Plan.to_json`)."""
    created_at: datetime
    expires_at: datetime
    decided_at: datetime | None = None
    decided_by: str | None = None


@dataclass(frozen=True, slots=True)
class DriftFinding:
    kind: DriftKind
    reason: Reason | None
    subject_type: SubjectType
    subject_id: str
    """Graph id where there is one, else the local id; with `kind` the identity over time."""
    subject_label: str
    before: Mapping[str, JsonValue]
    after: Mapping[str, JsonValue]
    first_seen: datetime
    state: FindingState
    evidence: Mapping[str, JsonValue] = field(default_factory=dict)


# --- Commands: what `store.lifecycle.perform` does, as values -----------------------------------------------------
#
# `expected_version`: the row's version the change was decided on; a row that moved meanwhile is skipped (worker) or
# refused (If-Match). None: whatever it is now.


@dataclass(frozen=True, slots=True)
class CreateUser:
    document: Document
    id: UserId | None = None
    entra_object_id: GraphId | None = None
    """A deleted row of the same person (same object id, else same userName) is restored instead of created."""


@dataclass(frozen=True, slots=True)
class ChangeUser:
    """Replaces the document by what `change` makes of it; `active` turning false deprovisions, turning true re-enables."""

    user_id: UserId
    change: Callable[[Document], Document]
    expected_version: int | None = None
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class DisableUser:
    user_id: UserId
    reason: Reason | None = None
    expected_version: int | None = None


@dataclass(frozen=True, slots=True)
class DeleteUser:
    """Deprovisions and hides from SCIM; takes the user out of every group; erases nothing."""

    user_id: UserId
    reason: Reason | None = None
    expected_version: int | None = None


@dataclass(frozen=True, slots=True)
class LinkUser:
    user_id: UserId
    entra_object_id: GraphId
    expected_version: int | None = None


@dataclass(frozen=True, slots=True)
class MarkUser:
    """Sets the marks that guard an account; None leaves a mark as it is."""

    user_id: UserId
    is_protected: bool | None = None
    is_admin: bool | None = None


@dataclass(frozen=True, slots=True)
class CreateGroup:
    document: Document
    id: GroupId | None = None
    entra_object_id: GraphId | None = None
    member_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChangeGroup:
    group_id: GroupId
    change: Callable[[Document], Document]
    add_member_ids: tuple[str, ...] = ()
    remove_member_ids: tuple[str, ...] = ()
    replace_member_ids: tuple[str, ...] | None = None
    """All members after; None: leave as they are. Never read-modify-write of a list for add and remove."""
    expected_version: int | None = None


@dataclass(frozen=True, slots=True)
class LinkGroup:
    group_id: GroupId
    entra_object_id: GraphId
    expected_version: int | None = None


@dataclass(frozen=True, slots=True)
class DeleteGroup:
    group_id: GroupId
    expected_version: int | None = None


@dataclass(frozen=True, slots=True)
class AddMembers:
    """Idempotent; an unknown member is refused (`UnknownMember`)."""

    group_id: GroupId
    member_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RemoveMembers:
    """Idempotent; removing a non-member is a success that changes nothing."""

    group_id: GroupId
    member_ids: tuple[str, ...]


Command: TypeAlias = (
    CreateUser
    | ChangeUser
    | DisableUser
    | DeleteUser
    | LinkUser
    | MarkUser
    | CreateGroup
    | ChangeGroup
    | LinkGroup
    | DeleteGroup
    | AddMembers
    | RemoveMembers
)


class OutcomeStatus(StrEnum):
    APPLIED = "applied"
    UNCHANGED = "unchanged"
    """Already so: nothing written but, for a push, a `skipped` log entry."""
    SKIPPED = "skipped"
    """The row moved since `expected_version`, or vanished: looked at again in the next cycle."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    command: Command
    status: OutcomeStatus
    action: Action
    record: User | Group | None
    """The row after the change; None where there is none."""
    detail: str = ""
