"""What is sent of an event: one signed JSON to a webhook, security event tokens to a
stream.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import orjson

from store.records import Event, EventStream, JsonValue
from worker.delivery.envelope import envelope
from worker.delivery.security_events import SecurityEvent, control_event, security_events
from worker.delivery.security_tokens import MEDIA_TYPE, PrivateKey, signed
from worker.delivery.signature import headers


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
