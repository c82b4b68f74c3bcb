"""What is sent of an event: one JSON to a webhook, signed as Standard Webhooks 1.0 has
it (HMAC-SHA256 over id, time and body); security event tokens to a stream.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

import orjson
from standardwebhooks import Webhook

from store.logs.event_types import EVENT_TYPES, family
from store.records import Event, EventStream, JsonValue
from worker.delivery.security_events import SecurityEvent, control_event, security_events
from worker.delivery.security_tokens import MEDIA_TYPE, PrivateKey, signed

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")
PREFIX = "whsec_"
SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Request:
    """One POST."""

    body: bytes
    headers: Mapping[str, str] = field(repr=False)


class Encoding(Protocol):
    """Makes the requests that tell an endpoint of an event."""

    def requests(self, event: Event) -> Sequence[Request]:
        """Return what is posted; nothing where the endpoint is not told of it."""

    def control_requests(self, control: Mapping[str, JsonValue]) -> Sequence[Request]:
        """Return what is posted of an event about the stream itself."""


@dataclass(frozen=True, slots=True)
class WebhookEncoding:
    """One JSON document, signed with each secret of the endpoint."""

    secrets: Sequence[str] = field(repr=False)
    clock: Callable[[], datetime]

    def requests(self, event: Event) -> Sequence[Request]:
        """Return the one request."""
        document = envelope(event)
        body = orjson.dumps(document)
        sent = headers(self.secrets, str(document["id"]), self.clock(), body.decode())
        return [Request(body, {**sent, "Content-Type": "application/json"})]

    def control_requests(self, control: Mapping[str, JsonValue]) -> Sequence[Request]:
        """Return nothing: a webhook is told nothing about itself."""
        return []


@dataclass(frozen=True, slots=True)
class PushEncoding:
    """Security event tokens, pushed one by one (RFC 8935)."""

    stream: EventStream
    key: PrivateKey = field(repr=False)
    authorization: str = field(repr=False)
    """The header that the receiver asked for; empty for none."""
    clock: Callable[[], datetime]

    def requests(self, event: Event) -> Sequence[Request]:
        """Return a request for each facet that the receiver asked for."""
        return [self._request(each) for _, each in security_events(event, self.stream)]

    def control_requests(self, control: Mapping[str, JsonValue]) -> Sequence[Request]:
        """Return the one request."""
        return [self._request(control_event(self.stream, control))]

    def _request(self, event: SecurityEvent) -> Request:
        sent = {"Content-Type": MEDIA_TYPE, "Accept": "application/json"}
        if self.authorization:
            sent["Authorization"] = self.authorization
        return Request(signed(event, self.stream, self.key, self.clock()).encode(), sent)


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


def new_secret() -> str:
    """Return a new secret: `whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def headers(secrets_now: Sequence[str], message_id: str, at: datetime, body: str) -> dict[str, str]:
    """Return the three headers; while a secret is rotated, there are two signatures.

    The library signs with one secret: a list of signatures is what its receivers take.
    `at` is in UTC.
    """
    signatures = [Webhook(each).sign(message_id, at, body) for each in secrets_now]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
