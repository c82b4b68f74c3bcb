"""Operations on events: the feed, and the webhook endpoints that they are sent to."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from console.admin.events import feed, webhooks
from console.admin.events.feed import FeedRequest
from console.api.contract import Caller, Routes
from console.api.schemas import events as schemas
from console.api.schemas.events import AcknowledgedAnswer, AcknowledgementBody, FeedAnswer
from console.documents import events as documents
from console.documents.values import JsonDocument

routes = Routes("Events")
webhook_routes = Routes("Webhooks")


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


@webhook_routes.add("GET", "/webhooks", "admin:webhook:read")
async def list_webhooks(caller: Caller) -> Annotated[JsonDocument, schemas.WebhookPage]:
    """List the endpoints that events are sent to."""
    return caller.page(map(documents.webhook, await webhooks.list_all(caller.services, caller.actor)))


@webhook_routes.add(
    "POST",
    "/webhooks",
    "admin:webhook:create",
    status=201,
    shows_secret=True,
    problems=("not-found", "invalid-value", "operator-needed"),
)
async def create_webhook(
    caller: Caller, body: schemas.NewWebhookBody
) -> Annotated[JsonDocument, schemas.CreatedWebhookAnswer]:
    """Send the events from now on to a URL; the answer alone shows the secret.

    Requests are signed as Standard Webhooks says. Events need `admin:event:read` too.
    """
    caller.require("admin:event:read")
    wanted = (body.url, body.types, body.tenant)
    made, secret = await webhooks.create(
        caller.services, caller.actor, *wanted, acknowledges=body.acknowledges
    )
    return documents.created_webhook(made, secret)


@webhook_routes.add("GET", "/webhooks/{webhook}", "admin:webhook:read", problems=("not-found",))
async def get_webhook(caller: Caller, webhook: str) -> Annotated[JsonDocument, schemas.WebhookDetailsAnswer]:
    """Read how the deliveries go, and which events were not taken."""
    found = await webhooks.show(caller.services, caller.actor, webhook)
    return documents.webhook_details(found.endpoint, found.dead_letters)


@webhook_routes.add("POST", "/webhooks/{webhook}/test", "admin:webhook:update", problems=("not-found",))
async def test_webhook(caller: Caller, webhook: str) -> Annotated[JsonDocument, schemas.TestedWebhookAnswer]:
    """Send an event `webhook.test` now, and say what came of it."""
    result = await webhooks.send_test(caller.services, caller.actor, webhook)
    return documents.tested_webhook(result.status, result.why, is_taken=result.is_taken)


@webhook_routes.add(
    "POST",
    "/webhooks/{webhook}/rotate",
    "admin:webhook:update",
    shows_secret=True,
    problems=("not-found", "operator-needed"),
)
async def rotate_webhook(
    caller: Caller, webhook: str, body: schemas.SecretRotationBody
) -> Annotated[JsonDocument, schemas.CreatedWebhookAnswer]:
    """Make a new secret; both sign until the overlap is over."""
    made, secret = await webhooks.rotate(caller.services, caller.actor, webhook, body.overlap_hours)
    return documents.created_webhook(made, secret)


@webhook_routes.add(
    "POST", "/webhooks/{webhook}/replay", "admin:webhook:update", problems=("not-found", "invalid-cursor")
)
async def replay_webhook(
    caller: Caller, webhook: str, body: schemas.ReplayBody
) -> Annotated[JsonDocument, schemas.WebhookAnswer]:
    """Send everything after a cursor again; a disabled endpoint works again."""
    return documents.webhook(await webhooks.replay(caller.services, caller.actor, webhook, body.after))


@webhook_routes.add("DELETE", "/webhooks/{webhook}", "admin:webhook:delete", problems=("not-found",))
async def delete_webhook(caller: Caller, webhook: str) -> Annotated[JsonDocument, schemas.WebhookAnswer]:
    """Delete an endpoint; nothing more is sent to it."""
    return documents.webhook(await webhooks.delete(caller.services, caller.actor, webhook))
