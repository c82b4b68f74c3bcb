"""Documents of events: the same in the feed, in webhooks and on the command line."""

from __future__ import annotations

from collections.abc import Iterable

from console.documents.values import JsonDocument, iso
from store.records import DeadLetter, Event, JsonValue, WebhookEndpoint
from worker.delivery.envelope import envelope


def event(record: Event) -> JsonDocument:
    """Return the document of an event."""
    return envelope(record)


def webhook(record: WebhookEndpoint) -> JsonDocument:
    """Return the document of an endpoint; its secret is shown once, when it is made."""
    owner = "all" if record.tenant_id is None else record.tenant_id[-12:]
    return {
        "id": record.id,
        "tenant_id": record.tenant_id,
        "url": record.url,
        "types": list(record.types),
        "acknowledges": record.acknowledges,
        "state": record.state.value,
        "position": f"ev1.{owner}.{record.position}",
        "failed_attempts": record.attempts,
        "failing_since": iso(record.failing_since),
        "next_attempt_at": iso(record.next_attempt_at),
        "last_delivered_at": iso(record.last_delivered_at),
        "last_error": record.last_error,
        "secret_overlaps_until": iso(record.previous_until),
        "created_at": iso(record.created_at),
        "created_by": record.created_by,
    }


def webhook_details(record: WebhookEndpoint, letters: Iterable[DeadLetter]) -> JsonDocument:
    """Return the document of an endpoint with the events that it did not take."""
    listed: list[JsonValue] = [
        {"event_id": str(each.event_id), "at": iso(each.at), "why": each.why} for each in letters
    ]
    return {**webhook(record), "dead_letters": listed}


def created_webhook(record: WebhookEndpoint, secret: str) -> JsonDocument:
    """Return the document of an endpoint with its new secret."""
    return {**webhook(record), "secret": secret}


def tested_webhook(status: int | None, why: str, *, is_taken: bool) -> JsonDocument:
    """Return what came of a test."""
    return {"ok": is_taken, "status": status, "why": why or None}
