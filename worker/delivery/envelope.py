"""The JSON of an event as it leaves Leaver, in the feed and in webhooks."""

from __future__ import annotations

import re
from datetime import UTC
from functools import lru_cache

from store.logs.event_types import EVENT_TYPES, family
from store.records import Event, JsonValue

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


def envelope(event: Event) -> dict[str, JsonValue]:
    """Return the document of an event; `id` is the same at every delivery."""
    known = EVENT_TYPES.get(event.type)
    return {
        "id": str(event.id),
        "type": event.type,
        "at": event.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "tenant_id": event.tenant_id,
        "connection_id": event.connection_id,
        "subject": {"type": known.subject if known else family(event.type), "id": event.subject_id},
        "data": {_snake(name): value for name, value in event.payload.items()},
    }


@lru_cache(maxsize=256)
def _snake(name: str) -> str:
    """Return a name as all documents write it: `userName` is `user_name`."""
    return _CAPITAL.sub("_", name).lower()
