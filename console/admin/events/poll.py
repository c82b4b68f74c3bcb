"""Answer a receiver that fetches its security events (RFC 8936)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin.actor import Actor, requires
from console.admin.errors import Noun, UnknownReference
from console.admin.events.streams import POLL, Stream, show
from console.admin.services import Services
from store.directory import receipts
from store.integration import event_streams, webhook_endpoints
from store.keys import utc_now
from store.logs import events
from store.logs.event_types import REVOCATIONS
from store.logs.settled_events import settled_events
from store.records import Event, TenantId, WebhookState
from worker.delivery import security_tokens
from worker.delivery.security_events import control_event, security_events
from worker.delivery.security_tokens import PrivateKey, signed

WINDOW = 100
"""Stored events that are looked at ahead of what was not taken in."""
LOOK_EVERY_S = 0.25
LONGEST_POLL_S = 25.0


@dataclass(frozen=True, slots=True)
class PollRequest:
    """What a receiver says and wants."""

    most: int | None = None
    """None: as many as there are, up to the window; 0: none."""
    returns_immediately: bool = False
    ack: Sequence[str] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    """Ids of tokens that were refused, each with the error code."""


@dataclass(frozen=True, slots=True)
class PollAnswer:
    """Tokens by their id, and whether more are there."""

    sets: Mapping[str, str]
    more_available: bool


@requires("admin:event:read")
async def poll(
    services: Services, actor: Actor, stream: str, request: PollRequest, stopping: asyncio.Event | None = None
) -> PollAnswer:
    """Take acknowledgements, and return tokens; wait for the first one if there is
    none.

    What is not acknowledged comes again. Raises `UnknownReference`,
    `SecretKeyMissing`.
    """
    found = await show(services, actor, stream)
    if found.terms.method != POLL:
        raise UnknownReference(Noun.STREAM, stream)
    await _take_in(services, actor, found, request)
    ends_at = asyncio.get_running_loop().time() + LONGEST_POLL_S
    while True:
        answer = await _tokens(services, actor, stream, request.most)
        is_over = request.returns_immediately or request.most == 0 or answer.sets
        if is_over or asyncio.get_running_loop().time() >= ends_at or await _stops(stopping):
            return answer


async def _take_in(services: Services, actor: Actor, stream: Stream, request: PollRequest) -> None:
    """Note what the receiver has taken in, or will never take."""
    ids = [*request.ack, *request.errors]
    parts = [each.removeprefix(f"{stream.terms.id}.").split(".") for each in ids]
    control = {part[1] for part in parts if len(part) == 2 and part[0] == "c"}
    taken = {
        (int(part[0]), int(part[1]))
        for part in parts
        if len(part) == 2 and all(each.isascii() and each.isdecimal() and len(each) < 19 for each in part)
    }
    through = await settled_events(services.db).look()
    if not ids and through - stream.endpoint.position < 1_000:
        return  # a quiet stream is moved on now and then
    refused = {each.removeprefix(f"{stream.terms.id}."): why for each, why in request.errors.items()}

    async def work(conn: AsyncConnection) -> None:
        endpoint = await webhook_endpoints.get(conn, actor.tenant, stream.terms.id)
        known = await event_streams.acknowledged(conn, actor.tenant, endpoint.id)
        pending = await _pending(conn, endpoint.tenant_id, endpoint.position, through, endpoint.types)
        facets = {
            (event.id, facet): event for event in pending for facet, _ in security_events(event, stream.terms)
        }
        new = taken & facets.keys() - known
        await event_streams.acknowledge(conn, endpoint, new)
        for event_id, facet in sorted(new):
            event, why = facets[event_id, facet], refused.get(f"{event_id}.{facet}")
            if why is not None:
                await webhook_endpoints.add_dead_letter(
                    conn, endpoint, event_id, f"refused: {why}", utc_now()
                )
            elif endpoint.acknowledges and event.type in REVOCATIONS:
                await receipts.acknowledge_event(conn, event.tenant_id, event, f"stream:{endpoint.id}")
        await event_streams.drop_control(conn, endpoint, control)
        position = _taken_through(pending, facets.keys() - known - new, through)
        await event_streams.go_on(conn, endpoint, position)

    await services.db.write(work)


def _taken_through(pending: Sequence[Event], left: set[tuple[int, int]], through: int) -> int:
    """Return through which event everything was taken in."""
    waiting = {event_id for event_id, _ in left}
    first = next((event.id for event in pending if event.id in waiting), None)
    if first is not None:
        return first - 1
    return pending[-1].id if len(pending) == WINDOW else through


async def _tokens(services: Services, actor: Actor, stream: str, most: int | None) -> PollAnswer:
    through = await settled_events(services.db).look()
    sealer, now = services.sealer(), utc_now()
    async with services.db.reading() as conn:
        terms = await event_streams.get(conn, actor.tenant, stream)
        endpoint = await webhook_endpoints.get(conn, actor.tenant, stream)
        if endpoint.state is not WebhookState.POLLED:
            return PollAnswer({}, more_available=False)
        known = await event_streams.acknowledged(conn, actor.tenant, stream)
        pending = await _pending(conn, endpoint.tenant_id, endpoint.position, through, endpoint.types)
        key: PrivateKey = await security_tokens.current(conn, sealer, now)
    told = [control_event(terms, each) for each in endpoint.control]
    told += [
        each
        for event in pending
        for facet, each in security_events(event, terms)
        if (event.id, facet) not in known
    ]
    chosen = told if most is None else told[:most]
    has_more = len(chosen) < len(told) or len(pending) == WINDOW
    return PollAnswer({each.id: signed(each, terms, key, now) for each in chosen}, more_available=has_more)


async def _pending(
    conn: AsyncConnection, tenant_id: TenantId | None, position: int, through: int, types: Sequence[str]
) -> Sequence[Event]:
    return await events.since(conn, tenant_id, position, WINDOW, through=through, types=types)


async def _stops(stopping: asyncio.Event | None) -> bool:
    """Wait a moment; return whether the process stops meanwhile."""
    if stopping is None:
        await asyncio.sleep(LOOK_EVERY_S)
        return False
    with suppress(TimeoutError):
        return await asyncio.wait_for(stopping.wait(), LOOK_EVERY_S)
    return False
