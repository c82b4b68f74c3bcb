"""Schemas of events, webhooks and streams of security events."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from console.api.contract import AnswerModel, RequestModel
from console.api.schemas.common import JsonObject, Name, PageAnswer


class EventSubjectAnswer(AnswerModel):
    """What an event is about."""

    type: str
    id: str


class EventAnswer(AnswerModel):
    """Something that happened."""

    id: Annotated[str, Field(description="The same at every delivery: act once for each id.")]
    type: str
    at: datetime
    tenant_id: str
    connection_id: str
    subject: EventSubjectAnswer
    data: JsonObject


class FeedAnswer(AnswerModel):
    """Events, the oldest first, and where to go on."""

    items: list[EventAnswer]
    next: Annotated[str, Field(description="Send it as `after`; it moves on though no event came.")]


class AcknowledgementBody(RequestModel):
    """Through which event the app acted upon what ended."""

    through: Annotated[str, Field(max_length=60, description="`next` of the page that was taken in.")]


class AcknowledgedAnswer(AnswerModel):
    """How many receipts were open until now."""

    acknowledged: int


class WebhookAnswer(AnswerModel):
    """An endpoint that events are sent to; never its secret."""

    id: str
    tenant_id: str | None
    url: str
    types: list[str]
    acknowledges: Annotated[bool, Field(description="What it takes of ended access is acknowledged.")]
    state: str
    position: Annotated[str, Field(description="Cursor: everything before it was sent.")]
    failed_attempts: int
    failing_since: datetime | None
    next_attempt_at: datetime
    last_delivered_at: datetime | None
    last_error: str | None
    secret_overlaps_until: datetime | None
    created_at: datetime
    created_by: str


class WebhookPage(PageAnswer[WebhookAnswer]):
    """Endpoints, the oldest first."""


class DeadLetterAnswer(AnswerModel):
    """An event that an endpoint did not take."""

    event_id: str
    at: datetime
    why: str


class WebhookDetailsAnswer(WebhookAnswer):
    """An endpoint, and the events that it did not take."""

    dead_letters: list[DeadLetterAnswer]


class CreatedWebhookAnswer(WebhookAnswer):
    """An endpoint with its new secret, which is shown once."""

    secret: str


class TestedWebhookAnswer(AnswerModel):
    """What came of a test event."""

    ok: bool
    status: int | None
    why: str | None


class NewWebhookBody(RequestModel):
    """The endpoint that is to be created."""

    url: Annotated[str, Field(max_length=2_000, description="https, to a public address.")]
    types: Annotated[list[Name], Field(max_length=50, description="Types or families; empty for all.")] = (
        Field(default_factory=list)
    )
    tenant: Annotated[Name | None, Field(description="For operators: only the events of this tenant.")] = None
    acknowledges: Annotated[
        bool, Field(description="This is the app itself: its 2xx for ended access acknowledges the receipt.")
    ] = False


class SecretRotationBody(RequestModel):
    """How long the earlier secret still signs."""

    overlap_hours: int = Field(default=24, ge=0, le=720)


class ReplayBody(RequestModel):
    """From where events are sent again."""

    after: Annotated[str, Field(max_length=60, description="A cursor of the feed.")]


class EventStreamDeliveryAnswer(AnswerModel):
    """How a stream is delivered; never the receiver's secret."""

    method: Annotated[str, Field(description="urn:ietf:rfc:8935 (push) or urn:ietf:rfc:8936 (poll).")]
    endpoint_url: str


class EventStreamAnswer(AnswerModel):
    """A stream of security events (SSF 1.0 §8.1.1), and how its delivery goes."""

    stream_id: str
    tenant_id: Annotated[str | None, Field(description="null: an operator's, for all tenants.")]
    iss: str
    aud: str
    delivery: EventStreamDeliveryAnswer
    events_supported: list[str]
    events_requested: list[str]
    events_delivered: list[str]
    min_verification_interval: int
    acknowledges: Annotated[bool, Field(description="What it takes of ended access is acknowledged.")]
    description: str | None
    status: Annotated[str, Field(description="enabled, paused or disabled.")]
    reason: str | None
    verified_at: datetime | None
    failed_attempts: int
    failing_since: datetime | None
    last_delivered_at: datetime | None
    last_error: str | None
    created_at: datetime
    created_by: str


class EventStreamPage(PageAnswer[EventStreamAnswer]):
    """Streams, the oldest first."""


class EventStreamDeliveryBody(RequestModel):
    """Push, with the receiver's address, or poll."""

    method: Literal["urn:ietf:rfc:8935", "urn:ietf:rfc:8936"]
    endpoint_url: Annotated[str | None, Field(max_length=2_000, description="Of push: https, public.")] = None
    authorization_header: Annotated[
        SecretStr | None, Field(max_length=1_000, description="Sent with each push; never shown.")
    ] = None


class EventStreamBody(RequestModel):
    """What is wanted of a stream; what is left out stays, or is the default."""

    delivery: EventStreamDeliveryBody | None = None
    events_requested: Annotated[
        list[Name] | None, Field(max_length=100, description="URIs of event types; default: all.")
    ] = None
    description: Annotated[str | None, Field(max_length=1_000)] = None
    acknowledges: Annotated[
        bool | None, Field(description="The receiver is the app itself; default: it is not.")
    ] = None


class EventStreamStatusBody(RequestModel):
    """Whether a stream is delivered."""

    status: Literal["enabled", "paused", "disabled"]
    reason: Annotated[str | None, Field(max_length=1_000)] = None
