"""Operations on streams of security events, for administrators.

Receivers manage the same streams as SSF 1.0 says (`console.api.ssf`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from console.admin.events import streams
from console.admin.events.streams import PUSH, Stream, StreamRequest
from console.api.contract import Caller, Routes
from console.api.schemas import events as schemas
from console.documents import events as documents
from console.documents.values import JsonDocument

routes = Routes("Security event streams")
STREAM = "/event-streams/{stream}"


@routes.add("GET", "/event-streams", "admin:webhook:read")
async def list_event_streams(caller: Caller) -> Annotated[JsonDocument, schemas.EventStreamPage]:
    """List the streams of security events, and how their deliveries go."""
    found = await streams.list_all(caller.services, caller.actor)
    return caller.page(_document(caller, each) for each in found)


@routes.add(
    "POST",
    "/event-streams",
    "admin:webhook:create",
    status=201,
    problems=("operator-needed",),
)
async def create_event_stream(
    caller: Caller, body: schemas.EventStreamBody
) -> Annotated[JsonDocument, schemas.EventStreamAnswer]:
    """Create a stream of the security events from now on: polled, unless it is pushed.

    Events need `admin:event:read` too.
    """
    caller.require("admin:event:read")
    wanted = _wanted(body, StreamRequest())
    made = await streams.create(caller.services, caller.actor, wanted, caller.services.settings.base_url)
    return _document(caller, made)


@routes.add("GET", STREAM, "admin:webhook:read", problems=("not-found",))
async def get_event_stream(caller: Caller, stream: str) -> Annotated[JsonDocument, schemas.EventStreamAnswer]:
    """Read what a stream delivers, and how that goes."""
    return _document(caller, await streams.show(caller.services, caller.actor, stream))


@routes.add("PATCH", STREAM, "admin:webhook:update", problems=("not-found", "operator-needed"))
async def change_event_stream(
    caller: Caller, stream: str, body: schemas.EventStreamBody
) -> Annotated[JsonDocument, schemas.EventStreamAnswer]:
    """Change what a stream delivers and where to; what is left out stays."""
    known = await streams.requested(caller.services, caller.actor, stream)
    changed = await streams.change(caller.services, caller.actor, stream, _wanted(body, known))
    return _document(caller, changed)


@routes.add("PUT", f"{STREAM}/status", "admin:webhook:update", problems=("not-found",))
async def set_event_stream_status(
    caller: Caller, stream: str, body: schemas.EventStreamStatusBody
) -> Annotated[JsonDocument, schemas.EventStreamAnswer]:
    """Enable, pause (events are kept) or disable (none are kept) a stream."""
    found = await streams.set_status(caller.services, caller.actor, stream, body.status, body.reason)
    return _document(caller, found)


@routes.add("POST", f"{STREAM}/verify", "admin:webhook:update", status=202, problems=("not-found",))
async def verify_event_stream(
    caller: Caller, stream: str
) -> Annotated[JsonDocument, schemas.EventStreamAnswer]:
    """Send the receiver a verification event, at most every 30 seconds."""
    await streams.verify(caller.services, caller.actor, stream)
    return _document(caller, await streams.show(caller.services, caller.actor, stream))


@routes.add("DELETE", STREAM, "admin:webhook:delete", problems=("not-found",))
async def delete_event_stream(
    caller: Caller, stream: str
) -> Annotated[JsonDocument, schemas.EventStreamAnswer]:
    """Delete a stream; nothing more is sent."""
    found = await streams.show(caller.services, caller.actor, stream)
    await streams.delete(caller.services, caller.actor, stream)
    return _document(caller, found)


def _wanted(body: schemas.EventStreamBody, known: StreamRequest) -> StreamRequest:
    """Return what the body names, and the rest as known."""
    given: dict[str, Any] = {}
    if body.events_requested is not None:
        given["events_requested"] = tuple(body.events_requested)
    if body.description is not None:
        given["description"] = body.description or None
    if body.acknowledges is not None:
        given["acknowledges"] = body.acknowledges
    if body.delivery is not None:
        secret = body.delivery.authorization_header
        given |= {
            "method": body.delivery.method,
            "endpoint_url": body.delivery.endpoint_url if body.delivery.method == PUSH else None,
            "authorization": secret.get_secret_value() if secret else None,
        }
    return replace(known, **given)


def _document(caller: Caller, found: Stream) -> JsonDocument:
    return documents.managed_stream(
        found.terms, found.endpoint, found.status, caller.services.settings.base_url
    )
