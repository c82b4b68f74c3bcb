"""The cursor of an event feed: a place that a reader keeps, for ever and in the open.

It is not signed: a reader's place has to outlive a change of `LEAVER_SECRET_KEY`, and
says nothing that opens anything. It names its feed, so that a cursor of another tenant
is refused instead of skipping events.
"""

from __future__ import annotations

import re

from console.admin.actor import Actor
from console.admin.events.errors import InvalidEventCursor

_FORM = re.compile(r"ev1\.(all|[0-9a-f]{12})\.(0|[1-9][0-9]{0,18})")


def write(actor: Actor, event_id: int) -> str:
    """Return the cursor after an event of the actor's feed."""
    return f"ev1.{_scope(actor)}.{event_id}"


def read(actor: Actor, cursor: str | None) -> int | None:
    """Return the id of the event; None without a cursor.

    Raises `InvalidEventCursor` for a garbled one, and for one of another feed.
    """
    if cursor is None:
        return None
    found = _FORM.fullmatch(cursor)
    if found is None or found[1] != _scope(actor):
        raise InvalidEventCursor
    return int(found[2])


def _scope(actor: Actor) -> str:
    return "all" if actor.tenant is None else actor.tenant[-12:]
