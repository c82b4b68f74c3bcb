"""Who is told of what wants a person: the webhooks that take these events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from console.admin.actor import Actor, requires
from console.admin.references import find_connection
from console.admin.services import Services
from store.integration import webhook_endpoints
from store.logs.event_types import EVENT_TYPES, family
from store.records import WebhookEndpoint, WebhookState

FOR_PEOPLE = (
    "plan.held",
    "plan.expired",
    "connection.unhealthy",
    "connection.recovered",
    "credential.ending",
    "token.ending",
    "push.braked",
    "drift.found",
)
"""Types of events after which a person has something to do, or need not any more."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One kind of news, and the hosts that hear it."""

    type: str
    sentence: str
    hosts: Sequence[str]


@requires("admin:webhook:read")
async def told(services: Services, actor: Actor, connection: str) -> Sequence[Notification]:
    """Return what of a connection is told, and to which of the endpoints that the actor
    can see.

    Raises `UnknownReference`.
    """
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        listed = await webhook_endpoints.list_for(conn, actor.tenant)
    known = [each for each in listed if each.tenant_id in (None, found.tenant_id)]
    return [
        Notification(
            name, EVENT_TYPES[name].sentence, sorted({each.host for each in known if _takes(each, name)})
        )
        for name in FOR_PEOPLE
    ]


def _takes(endpoint: WebhookEndpoint, event_type: str) -> bool:
    works = endpoint.state is not WebhookState.DISABLED
    return works and (not endpoint.types or not {event_type, family(event_type)}.isdisjoint(endpoint.types))
