"""Documents of the transmitter of security events, as SSF 1.0 and RFC 7517 have
them.
"""

from __future__ import annotations

from collections.abc import Iterable

from console.documents.values import JsonDocument, iso
from store.records import EventStream, JsonValue, SigningKey
from worker.delivery.security_events import SUPPORTED

PUSH, POLL = "urn:ietf:rfc:8935", "urn:ietf:rfc:8936"
VERIFIED_AT_MOST_EVERY_S = 30


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


def signing_key(key: SigningKey) -> JsonDocument:
    """Return the document of a key; its private part is never told."""
    return {
        "id": key.id,
        "algorithm": key.algorithm,
        "created_at": iso(key.created_at),
        "signs_from": iso(key.signs_from),
        "published_until": iso(key.published_until),
    }
