"""Operations on events: the feed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from console.admin.events import feed
from console.admin.events.feed import FeedRequest
from console.api.contract import Caller, Routes
from console.api.schemas.events import AcknowledgedAnswer, AcknowledgementBody, FeedAnswer
from console.documents import events as documents
from console.documents.values import JsonDocument

routes = Routes("Events")


@routes.add("GET", "/events", "admin:event:read", problems=("gone", "invalid-cursor", "invalid-value"))
async def read_events(
    caller: Caller,
    after: Annotated[str | None, Field(max_length=60, description="`next` of the answer before.")] = None,
    types: Annotated[
        str | None, Field(max_length=1_000, description="Types or families, separated by commas.")
    ] = None,
    limit: Annotated[int, Field(ge=1, le=1_000)] = 100,
    wait: Annotated[float, Field(ge=0, le=30, description="Seconds to wait for an event.")] = 0,
) -> Annotated[JsonDocument, FeedAnswer]:
    """Read the events after a cursor, in order, and wait for the next.

    Reading on with `next` says that everything before it was taken in. Without `after`
    the feed begins with the oldest event that is kept. A cursor that is older is
    answered with 410 and a `snapshot`: read users and groups, then go on from there.
    """
    wanted = [each.strip() for each in (types or "").split(",") if each.strip()]
    request = FeedRequest(after, wanted, limit, wait)
    found = await feed.read(caller.services, caller.actor, request, caller.stopping)
    return {"items": [documents.event(each) for each in found.events], "next": found.next}


@routes.add("POST", "/events/acknowledgement", "admin:session:introspect", problems=("invalid-cursor",))
async def acknowledge_events(
    caller: Caller, body: AcknowledgementBody
) -> Annotated[JsonDocument, AcknowledgedAnswer]:
    """Say that the app ended what every event before a cursor names.

    Their receipts are acknowledged. Sending the same cursor again changes nothing.
    """
    caller.require("admin:event:read")
    return {"acknowledged": await feed.acknowledge(caller.services, caller.actor, body.through)}
