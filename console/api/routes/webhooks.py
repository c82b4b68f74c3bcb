"""Operations on webhook endpoints."""

from __future__ import annotations

from typing import Annotated

from console.admin.events import webhooks
from console.api.contract import Caller, Routes
from console.api.schemas import events as schemas
from console.documents import events as documents
from console.documents.values import JsonDocument

routes = Routes("Webhooks")


@routes.add("GET", "/webhooks", "admin:webhook:read")
async def list_webhooks(caller: Caller) -> Annotated[JsonDocument, schemas.WebhookPage]:
    """List the endpoints that events are sent to."""
    return caller.page(map(documents.webhook, await webhooks.list_all(caller.services, caller.actor)))


@routes.add(
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


@routes.add("GET", "/webhooks/{webhook}", "admin:webhook:read", problems=("not-found",))
async def get_webhook(caller: Caller, webhook: str) -> Annotated[JsonDocument, schemas.WebhookDetailsAnswer]:
    """Read how the deliveries go, and which events were not taken."""
    found = await webhooks.show(caller.services, caller.actor, webhook)
    return documents.webhook_details(found.endpoint, found.dead_letters)


@routes.add("POST", "/webhooks/{webhook}/test", "admin:webhook:update", problems=("not-found",))
async def test_webhook(caller: Caller, webhook: str) -> Annotated[JsonDocument, schemas.TestedWebhookAnswer]:
    """Send an event `webhook.test` now, and say what came of it."""
    result = await webhooks.send_test(caller.services, caller.actor, webhook)
    return documents.tested_webhook(result.status, result.why, is_taken=result.is_taken)


@routes.add(
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


@routes.add(
    "POST", "/webhooks/{webhook}/replay", "admin:webhook:update", problems=("not-found", "invalid-cursor")
)
async def replay_webhook(
    caller: Caller, webhook: str, body: schemas.ReplayBody
) -> Annotated[JsonDocument, schemas.WebhookAnswer]:
    """Send everything after a cursor again; a disabled endpoint works again."""
    return documents.webhook(await webhooks.replay(caller.services, caller.actor, webhook, body.after))


@routes.add("DELETE", "/webhooks/{webhook}", "admin:webhook:delete", problems=("not-found",))
async def delete_webhook(caller: Caller, webhook: str) -> Annotated[JsonDocument, schemas.WebhookAnswer]:
    """Delete an endpoint; nothing more is sent to it."""
    return documents.webhook(await webhooks.delete(caller.services, caller.actor, webhook))
