"""Tell a stored event as security events: SCIM (RFC 9967), RISC 1.0 and CAEP 1.0.

One event becomes one token for each facet that the receiver asked for; SSF 1.0 wants
one event in a token. What a facet is numbered by is part of its id, and never changes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from store.records import Event, EventStream, JsonValue, Origin

CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
RISC = "https://schemas.openid.net/secevent/risc/event-type/"
SSF = "https://schemas.openid.net/secevent/ssf/event-type/"
SCIM = "urn:ietf:params:scim:event:prov:"
SESSION_REVOKED = f"{CAEP}session-revoked"
VERIFICATION, STREAM_UPDATED = f"{SSF}verification", f"{SSF}stream-updated"

_FACETS: Mapping[str, Sequence[str]] = {
    "user.provisioned": (f"{SCIM}create:notice",),
    "user.updated": (f"{SCIM}patch:notice",),
    "user.deprovisioned": (f"{RISC}account-disabled", f"{SCIM}deactivate"),
    "user.reactivated": (f"{RISC}account-enabled", f"{SCIM}activate"),
    "user.deleted": (f"{RISC}account-purged", f"{SCIM}delete"),
    "user.holder_changed": (SESSION_REVOKED, f"{SCIM}patch:notice"),
    "group.created": (f"{SCIM}create:notice",),
    "group.updated": (f"{SCIM}patch:notice",),
    "group.deleted": (f"{SCIM}delete",),
    "membership.added": (f"{SCIM}patch:notice",),
    "membership.removed": (f"{SCIM}patch:notice",),
    "session.revoked": (SESSION_REVOKED,),
}
SUPPORTED: Sequence[str] = tuple(dict.fromkeys(uri for uris in _FACETS.values() for uri in uris))
"""The event types that a receiver can ask for; those about the stream come unasked."""

_USER_ATTRIBUTES: Sequence[str] = ("userName", "externalId", "active", "name", "emails", "displayName")
_GROUP_ATTRIBUTES: Sequence[str] = ("displayName", "externalId", "members")
_INITIATED: Mapping[str, str] = {
    Origin.SCIM: "admin",
    Origin.GRAPH: "policy",
    Origin.CONSOLE: "admin",
    Origin.API: "admin",
}


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """What one token says, but for who signs it, for which receiver, and when."""

    id: str
    """`jti`: the same at every delivery to this stream."""
    uri: str
    payload: Mapping[str, JsonValue]
    subject: Mapping[str, JsonValue]
    at: datetime | None = None
    cause: str | None = None
    """`txn`: the cycle or request; all that it caused have the same."""


def stored_types(requested: Collection[str]) -> list[str]:
    """Return the types of stored events that give what a receiver asked for."""
    return [name for name, uris in _FACETS.items() if not set(uris).isdisjoint(requested)]


def security_events(event: Event, stream: EventStream) -> list[tuple[int, SecurityEvent]]:
    """Return what a stream is told of an event, each with the number of its facet."""
    wanted = [
        (facet, uri)
        for facet, uri in enumerate(_FACETS.get(event.type, ()))
        if uri in stream.events_requested
    ]
    cause = event.payload.get("correlationId")
    return [
        (
            facet,
            SecurityEvent(
                f"{stream.id}.{event.id}.{facet}",
                uri,
                _payload(uri, event),
                _subject(uri, event, stream),
                event.at,
                str(cause) if cause else None,
            ),
        )
        for facet, uri in wanted
    ]


def control_event(stream: EventStream, control: Mapping[str, JsonValue]) -> SecurityEvent:
    """Return what a stream is told about itself: its subject is the stream."""
    payload = control["payload"]
    assert isinstance(payload, dict)
    subject: dict[str, JsonValue] = {"format": "opaque", "id": stream.id}
    return SecurityEvent(f"{stream.id}.c.{control['id']}", str(control["type"]), payload, subject)


def _payload(uri: str, event: Event) -> dict[str, JsonValue]:
    if uri.endswith(":notice"):
        attributes = _USER_ATTRIBUTES if event.type.startswith("user.") else _GROUP_ATTRIBUTES
        if event.type.startswith("membership."):
            attributes = ("members",)
        return {"attributes": list(attributes)}
    if not uri.startswith(CAEP):
        return {}
    reason = str(event.payload.get("reason") or event.type)
    return {
        "event_timestamp": int(event.at.timestamp()),
        "initiating_entity": _INITIATED.get(str(event.payload.get("origin")), "system"),
        "reason_admin": {"en": f"Access ended: {reason.replace('_', ' ')}."},
    }


def _subject(uri: str, event: Event, stream: EventStream) -> dict[str, JsonValue]:
    """Return what it is about: people by ids alone, never by a name or an address.

    `iss_sub` is the pair that introspection answers. A session-revoked for a user and a
    tenant means every session of theirs (CAEP 1.0 §3.1).
    """
    if uri.startswith(SCIM):
        kind = "Users" if event.type.startswith("user.") else "Groups"
        return {"format": "scim", "uri": f"/{kind}/{event.subject_id}"}
    user: dict[str, JsonValue] = {"format": "iss_sub", "iss": stream.issuer, "sub": event.subject_id}
    if uri.startswith(RISC):
        return user
    return {"format": "complex", "user": user, "tenant": {"format": "opaque", "id": event.tenant_id}}
