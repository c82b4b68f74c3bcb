"""Read the events, in order and without a gap, waiting for the next ones.

A reader keeps its place by a cursor, for ever and in the open. It is not signed: it has
to outlive a change of `LEAVER_SECRET_KEY`, and says nothing that opens anything. It
names its feed, so that a cursor of another tenant is refused instead of skipping
events.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from console.admin.actor import Actor, requires
from console.admin.events.errors import EventsGone, InvalidEventCursor, UnknownEventType
from console.admin.services import Services
from store.directory import receipts
from store.logs import events
from store.logs.event_types import EVENT_TYPES, family
from store.logs.settled_events import settled_events
from store.records import Event

LOOK_EVERY_S = 0.25
SETTLE_S = 1.0
"""How long a reader waits for transactions that were open when it asked."""
_CURSOR = re.compile(r"ev1\.(all|[0-9a-f]{12})\.(0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class FeedRequest:
    """What is wanted of the feed."""

    after: str | None = None
    """Cursor; None begins with the oldest event that is kept."""
    types: Sequence[str] = ()
    """Types, or families (`user`, `user.*`); empty for all."""
    limit: int = 100
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Events, the oldest first."""

    events: Sequence[Event]
    next: str
    """The cursor to go on from; it moves on though no event came."""


async def read(
    services: Services, actor: Actor, request: FeedRequest, stopping: asyncio.Event | None = None
) -> FeedPage:
    """Return the events after a cursor; wait for the first one if there is none.

    A waiting reader is answered when `stopping` is set. Raises `InvalidEventCursor`,
    `UnknownEventType`, and `EventsGone` where events after the cursor are deleted.
    """
    check_types(request.types)
    settled = settled_events(services.db)
    after = read_cursor(actor, request.after)
    through = await settled.settle(SETTLE_S)
    async with services.db.reading(single_statement=True) as conn:
        pruned = await events.pruned_through(conn)
    if after is not None and (after < pruned or after > max(settled.drawn, pruned)):
        raise EventsGone(write_cursor(actor, through))
    position = pruned if after is None else after
    ends_at = asyncio.get_running_loop().time() + request.wait_s
    while True:
        found: list[Event] = []
        if through > position:
            async with services.db.reading(single_statement=True) as conn:
                found = await events.since(
                    *(conn, actor.tenant, position, request.limit), through=through, types=request.types
                )
            position = found[-1].id if len(found) == request.limit else through
        if found or asyncio.get_running_loop().time() >= ends_at or await _is_set(stopping):
            return FeedPage(found, write_cursor(actor, position))
        through = await settled.look()


@requires("admin:session:introspect")
async def acknowledge(services: Services, actor: Actor, through: str) -> int:
    """Note that the app acted upon every event before a cursor: the receipts of what
    ended are acknowledged. Return how many were open.

    Raises `InvalidEventCursor`, also for a cursor after the last event.
    """
    position = read_cursor(actor, through) or 0
    settled = settled_events(services.db)
    await settled.settle(SETTLE_S)
    if position > settled.drawn:
        raise InvalidEventCursor
    return await services.db.write(
        lambda conn: receipts.acknowledge_through(conn, actor.tenant, position, f"feed:{actor.label}")
    )


async def latest(services: Services, actor: Actor) -> str:
    """Return the cursor after the last event: from here on nothing is missed."""
    return write_cursor(actor, await settled_events(services.db).settle(SETTLE_S))


def check_types(types: Sequence[str]) -> None:
    """Raise `UnknownEventType` for what is neither a type nor a family."""
    families = {family(each) for each in EVENT_TYPES}
    for wanted in types:
        if wanted not in EVENT_TYPES and wanted.removesuffix(".*") not in families:
            raise UnknownEventType(wanted, tuple(EVENT_TYPES))


async def _is_set(stopping: asyncio.Event | None) -> bool:
    """Wait a moment; return whether the process stops meanwhile."""
    if stopping is None:
        await asyncio.sleep(LOOK_EVERY_S)
        return False
    with suppress(TimeoutError):
        return await asyncio.wait_for(stopping.wait(), LOOK_EVERY_S)
    return False


def write_cursor(actor: Actor, event_id: int) -> str:
    """Return the cursor after an event of the actor's feed."""
    return f"ev1.{_scope(actor)}.{event_id}"


def read_cursor(actor: Actor, cursor: str | None) -> int | None:
    """Return the id of the event; None without a cursor.

    Raises `InvalidEventCursor` for a garbled one, and for one of another feed.
    """
    if cursor is None:
        return None
    found = _CURSOR.fullmatch(cursor)
    if found is None or found[1] != _scope(actor):
        raise InvalidEventCursor
    return int(found[2])


def _scope(actor: Actor) -> str:
    return "all" if actor.tenant is None else actor.tenant[-12:]
