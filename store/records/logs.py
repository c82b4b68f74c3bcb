"""The cause of a change, and its records: provisioning log, events, audit log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TypedDict
from urllib.parse import urlsplit

from msgspec import Struct, field

from store.records.actions import Action, LogStatus, Origin, SubjectType
from store.records.connections import Fence, PushRules
from store.records.identifiers import ConnectionId, JsonValue, TenantId


class Step(Struct, frozen=True):
    """One explained step of an attempted change, as in Entra's provisioning log."""

    name: str
    status: LogStatus
    detail: str
    data: Mapping[str, JsonValue] = field(default_factory=dict)


UNATTENDED = "worker"
"""The actor of the worker's own changes.

An approved plan or a demand has a person's name.
"""


class EvidenceAge(Struct, frozen=True):
    """When the evidence behind removals was taken, and how old it may be when they are
    written.
    """

    taken_at: datetime
    """Start of the re-reading, by the database's clock
    (`store.sync.leases.database_time`).
    """
    max_age_s: float


class Cause(Struct, frozen=True):
    """The origin and actor of a change, and what to log with it."""

    origin: Origin
    correlation_id: str
    """The request id or the cycle id."""
    actor: str | None = None
    """Token name, admin or `worker`; never personal data of the subject."""
    fence: Fence | None = None
    evidence: EvidenceAge | None = None
    """Checked in the transaction that writes a removal; a push and a person need none.
    """
    steps: tuple[Step, ...] = ()
    can_prove: bool = True
    """Graph can be asked on this connection: an object id in externalId is a proof.

    A connection with a push only proves none, and two of its accounts may share one.
    """
    push_rules: PushRules = field(default_factory=PushRules)
    """What a push may take away; the policy's, for every request by SCIM."""


class Modified(TypedDict):
    """One attribute that a change gave another value.

    A dictionary, for it is written as JSON by the million.
    """

    attribute: str
    old: JsonValue
    new: JsonValue


class FindingLink(Struct, frozen=True):
    """Names the finding of a drift report that an entry repaired."""

    cycle_id: str
    kind: str
    subject_id: str
    """For memberships of a group the beginning that their subject ids share."""


class LogEntry(Struct, frozen=True):
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
    finding: FindingLink | None = None
    """The finding that a cycle's entry repaired, where it is known."""


class Event(Struct, frozen=True):
    """A message to a listener (the vendor's app), written in the transaction of the
    change.
    """

    id: int
    at: datetime
    tenant_id: TenantId
    connection_id: ConnectionId
    type: str
    """One of `store.logs.event_types`."""
    subject_id: str
    payload: Mapping[str, JsonValue]


class AuditEntry(Struct, frozen=True):
    """A change to the set-up of a tenant."""

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


class WebhookState(StrEnum):
    """Whether events are sent to an endpoint."""

    ACTIVE = "active"
    DISABLED = "disabled"
    """It failed for three days, or answered 410; `replay` lets it work again."""
    PAUSED = "paused"
    """The receiver of a stream wants nothing for now; it is kept."""
    POLLED = "polled"
    """The receiver of a stream fetches; nothing is sent."""


class WebhookFormat(StrEnum):
    """What an endpoint is sent."""

    JSON = "json"
    SECURITY_EVENTS = "security_events"
    """Security Event Tokens (RFC 8417), by push or by poll."""


class WebhookEndpoint(Struct, frozen=True):
    """Where events are sent, and how that goes; never its secret."""

    id: str
    tenant_id: TenantId | None
    """None: an operator's endpoint, for the events of all tenants."""
    url: str
    types: tuple[str, ...]
    acknowledges: bool
    """What it takes of ended access is acknowledged by that."""
    format: WebhookFormat
    control: tuple[Mapping[str, JsonValue], ...]
    """What a stream is to be told about itself: `id`, `type` and `payload` of each."""
    previous_until: datetime | None
    state: WebhookState
    position: int
    attempts: int
    """Failed attempts in a row."""
    failing_since: datetime | None
    next_attempt_at: datetime
    last_delivered_at: datetime | None
    last_error: str | None
    claimed_by: str | None
    claimed_until: datetime | None
    created_at: datetime
    created_by: str

    @property
    def host(self) -> str:
        """Return the host of the URL, whose path may hold a key."""
        return urlsplit(self.url).hostname or ""


class DeadLetter(Struct, frozen=True):
    """An event that an endpoint did not take."""

    event_id: int
    at: datetime
    why: str


class EventStream(Struct, frozen=True):
    """What a receiver of security events asked for (SSF 1.0)."""

    id: str
    tenant_id: TenantId | None
    """None: an operator's stream, for the events of all tenants."""
    issuer: str
    audience: str
    events_requested: tuple[str, ...]
    description: str | None
    method: str
    """The URN of push (RFC 8935) or of poll (RFC 8936)."""
    status_reason: str | None
    verified_at: datetime | None


class SigningKey(Struct, frozen=True):
    """A key that signs security events; its private part is kept sealed."""

    id: str
    algorithm: str
    public: Mapping[str, JsonValue]
    created_at: datetime
    signs_from: datetime
    """It is published before: receivers keep what they have read for a while."""
    published_until: datetime | None
