"""Documents of events, webhooks and streams.

That of an event is the same in the feed, in webhooks and on the command line; those of
the transmitter of security events are as SSF 1.0 and RFC 7517 have them.
"""

from __future__ import annotations

from collections.abc import Iterable

from console.documents.values import JsonDocument, iso
from store.records import DeadLetter, Event, EventStream, JsonValue, SigningKey, WebhookEndpoint
from worker.delivery.encoding import envelope
from worker.delivery.security_events import SUPPORTED

PUSH, POLL = "urn:ietf:rfc:8935", "urn:ietf:rfc:8936"
VERIFIED_AT_MOST_EVERY_S = 30


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


def configuration(url: str) -> JsonDocument:
    """Return what a receiver finds a transmitter by (SSF 1.0 §7.1)."""
    return {
        "spec_version": "1_0",
        "issuer": url,
        "jwks_uri": f"{url}/.well-known/jwks.json",
        "delivery_methods_supported": [PUSH, POLL],
        "configuration_endpoint": f"{url}/ssf/streams",
        "status_endpoint": f"{url}/ssf/status",
        "verification_endpoint": f"{url}/ssf/verify",
        "authorization_schemes": [{"spec_urn": "urn:ietf:rfc:6749"}],
        "default_subjects": "ALL",
    }


def key_set(keys: Iterable[SigningKey]) -> JsonDocument:
    """Return the public keys that receivers verify with (RFC 7517 §5)."""
    return {"keys": [dict(each.public) for each in keys]}


def stream(terms: EventStream, push_url: str, url: str) -> JsonDocument:
    """Return the configuration of a stream; the receiver's own secret is not told."""
    is_push = terms.method == PUSH
    requested: list[JsonValue] = list(terms.events_requested)
    return {
        "stream_id": terms.id,
        "iss": terms.issuer,
        "aud": terms.audience,
        "delivery": {
            "method": terms.method,
            "endpoint_url": push_url if is_push else f"{url}/ssf/poll/{terms.id}",
        },
        "events_supported": list(SUPPORTED),
        "events_requested": requested,
        "events_delivered": requested,
        "min_verification_interval": VERIFIED_AT_MOST_EVERY_S,
        **({"description": terms.description} if terms.description else {}),
    }


def managed_stream(terms: EventStream, endpoint: WebhookEndpoint, status: str, url: str) -> JsonDocument:
    """Return a stream for administrators: its terms, and how delivery goes."""
    return {
        **stream(terms, endpoint.url, url),
        "acknowledges": endpoint.acknowledges,
        "description": terms.description,
        "tenant_id": terms.tenant_id,
        "status": status,
        "reason": terms.status_reason,
        "verified_at": iso(terms.verified_at),
        "failed_attempts": endpoint.attempts,
        "failing_since": iso(endpoint.failing_since),
        "last_delivered_at": iso(endpoint.last_delivered_at),
        "last_error": endpoint.last_error,
        "created_at": iso(endpoint.created_at),
        "created_by": endpoint.created_by,
    }


def signing_key(key: SigningKey) -> JsonDocument:
    """Return the document of a key; its private part is never told."""
    return {
        "id": key.id,
        "algorithm": key.algorithm,
        "created_at": iso(key.created_at),
        "signs_from": iso(key.signs_from),
        "published_until": iso(key.published_until),
    }
