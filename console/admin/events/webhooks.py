"""Create, list, test, rotate, replay and delete webhook endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin.actor import Actor, requires
from console.admin.errors import Noun, UnknownReference
from console.admin.events.errors import InvalidWebhookUrl
from console.admin.events.feed import check_types, read_cursor
from console.admin.references import find_tenant
from console.admin.services import Services
from store.errors import NotFound
from store.integration import webhook_endpoints
from store.keys import new_id
from store.logs.settled_events import settled_events
from store.records import ConnectionId, DeadLetter, Event, TenantId, WebhookEndpoint, WebhookFormat
from worker.delivery.deliver import WebhookSender
from worker.delivery.encoding import new_secret
from worker.delivery.targets import SendResult, TargetRefused, check_url, open_session


@dataclass(frozen=True, slots=True)
class WebhookDetails:
    """An endpoint, and the events that it did not take."""

    endpoint: WebhookEndpoint
    dead_letters: Sequence[DeadLetter]


@requires("admin:webhook:create", recent=True)
async def create(
    services: Services,
    actor: Actor,
    url: str,
    types: Sequence[str] = (),
    tenant: str | None = None,
    *,
    acknowledges: bool = False,
) -> tuple[WebhookEndpoint, str]:
    """Create an endpoint for the events from now on; return it with its secret.

    An operator names a tenant, or receives the events of all. `acknowledges`: it is the
    vendor's app, and what it takes of ended access is ended there too; a gateway or a
    chat room answers 200 and ends nothing. Raises `InvalidWebhookUrl`,
    `UnknownEventType`, `UnknownReference`, `SecretKeyMissing`.
    """
    try:
        check_url(url, allows_loopback=services.settings.allow_simulator)
    except TargetRefused as refused:
        raise InvalidWebhookUrl(str(refused)) from None
    check_types(types)
    secret = new_secret()
    sealed = services.sealer().seal(secret)
    position = await settled_events(services.db).settle(1.0)

    async def work(conn: AsyncConnection) -> WebhookEndpoint:
        owner = actor.tenant if tenant is None else (await find_tenant(conn, actor, tenant)).id
        place = (conn, owner, url, sealed, types, position)
        return await webhook_endpoints.create(*place, acknowledges=acknowledges, actor=actor.label)

    return await services.db.write(work), secret


@requires("admin:webhook:read")
async def list_all(services: Services, actor: Actor) -> Sequence[WebhookEndpoint]:
    """Return the endpoints that the actor can see, the oldest first."""
    async with services.db.reading() as conn:
        return await webhook_endpoints.list_for(conn, actor.tenant)


@requires("admin:webhook:read")
async def show(services: Services, actor: Actor, webhook: str) -> WebhookDetails:
    """Return an endpoint and its dead letters. Raises `UnknownReference`."""
    async with services.db.reading() as conn:
        found = await _find(conn, actor, webhook)
        return WebhookDetails(found, await webhook_endpoints.dead_letters(conn, actor.tenant, found.id))


@requires("admin:webhook:update")
async def send_test(services: Services, actor: Actor, webhook: str) -> SendResult:
    """Send an event of the type `webhook.test` now, and return what came of it.

    Raises `UnknownReference`, `SecretKeyMissing`.
    """
    sealer, now = services.sealer(), datetime.now(UTC)
    async with services.db.reading() as conn:
        found = await _find(conn, actor, webhook)
    owner = found.tenant_id or TenantId("")
    event = Event(0, now, owner, ConnectionId(""), "webhook.test", found.id, {"testId": new_id()})
    async with open_session(allows_loopback=services.settings.allow_simulator) as session:
        sender = WebhookSender(
            services.db,
            session,
            sealer,
            "test",
            lambda: datetime.now(UTC),
            services.settings.allow_simulator,
            asyncio.Event(),
        )
        return await sender.send(found, event, await sender.encoding(found))


@requires("admin:webhook:update", recent=True)
async def rotate(
    services: Services, actor: Actor, webhook: str, overlap_hours: int = 24
) -> tuple[WebhookEndpoint, str]:
    """Make a new secret; events carry both signatures until the overlap is over.

    Raises `UnknownReference`, `SecretKeyMissing`.
    """
    secret = new_secret()
    sealed = services.sealer().seal(secret)
    until = datetime.now(UTC) + timedelta(hours=overlap_hours)

    async def work(conn: AsyncConnection) -> WebhookEndpoint:
        found = await _find(conn, actor, webhook)
        await webhook_endpoints.record(conn, found, actor.label, "rotated")
        return await webhook_endpoints.rotate(conn, actor.tenant, found.id, sealed, until)

    return await services.db.write(work), secret


@requires("admin:webhook:update")
async def replay(services: Services, actor: Actor, webhook: str, after: str) -> WebhookEndpoint:
    """Send everything after a cursor again; a disabled endpoint works again.

    Raises `UnknownReference`, `InvalidEventCursor`.
    """

    async def work(conn: AsyncConnection) -> WebhookEndpoint:
        found = await _find(conn, actor, webhook)
        position = read_cursor(replace(actor, tenant=found.tenant_id), after)
        await webhook_endpoints.record(conn, found, actor.label, "replayed")
        return await webhook_endpoints.replay(conn, actor.tenant, found.id, position or 0, datetime.now(UTC))

    return await services.db.write(work)


@requires("admin:webhook:delete")
async def delete(services: Services, actor: Actor, webhook: str) -> WebhookEndpoint:
    """Delete an endpoint; nothing more is sent to it. Raises `UnknownReference`."""

    async def work(conn: AsyncConnection) -> WebhookEndpoint:
        found = await _find(conn, actor, webhook)
        await webhook_endpoints.record(conn, found, actor.label, "deleted")
        await webhook_endpoints.remove(conn, actor.tenant, found.id)
        return found

    return await services.db.write(work)


async def _find(conn: AsyncConnection, actor: Actor, reference: str) -> WebhookEndpoint:
    try:
        found = await webhook_endpoints.get(conn, actor.tenant, reference)
    except NotFound:
        found = None
    if found is None or found.format is not WebhookFormat.JSON:
        raise UnknownReference(Noun.WEBHOOK, reference)
    return found
