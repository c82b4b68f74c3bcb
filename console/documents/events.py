"""Documents of events: the same in the feed, in webhooks and on the command line."""

from __future__ import annotations

from console.documents.values import JsonDocument
from store.records import Event
from worker.delivery.envelope import envelope


def event(record: Event) -> JsonDocument:
    """Return the document of an event."""
    return envelope(record)
