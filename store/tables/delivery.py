"""Webhook endpoints, streams of security events, their keys, and what was refused."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import Field

from store.tables.base import Base, Document, Sequence, UtcDateTime, among


class WebhookEndpointRow(Base, table=True):
    """`position` is the last event that was delivered or set aside.

    `acknowledges`: what it takes of ended access, the vendor's app knows. `format`:
    what is sent. `control`: what a stream of security events is told about itself.

    An endpoint of an operator has no tenant and receives the events of all. `claimed_…`
    keep two workers from delivering to one endpoint.
    """

    __tablename__ = "webhook_endpoints"
    __table_args__ = (among("ix_webhook_endpoints_active", "state = 'active'", "next_attempt_at"),)

    id: str = Field(primary_key=True)
    tenant_id: str | None = Field(index=True)
    url: str
    types: list[str] = Field(sa_type=Document)
    acknowledges: bool
    format: str
    control: list[Any] = Field(sa_type=Document)
    secret: str
    previous_secret: str | None
    previous_until: datetime | None = Field(sa_type=UtcDateTime)
    state: str
    position: int = Field(sa_type=Sequence)
    attempts: int
    failing_since: datetime | None = Field(sa_type=UtcDateTime)
    next_attempt_at: datetime = Field(sa_type=UtcDateTime)
    last_delivered_at: datetime | None = Field(sa_type=UtcDateTime)
    last_error: str | None
    claimed_by: str | None
    claimed_until: datetime | None = Field(sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)
    created_by: str


class DeadLetterRow(Base, table=True):
    """An event that an endpoint did not take, though it took later ones."""

    __tablename__ = "dead_letters"

    endpoint_id: str = Field(primary_key=True, foreign_key="webhook_endpoints.id")
    event_id: int = Field(primary_key=True, sa_type=Sequence)
    tenant_id: str | None
    at: datetime = Field(sa_type=UtcDateTime)
    why: str


class EventStreamRow(Base, table=True):
    """What a receiver asked of a stream (SSF 1.0); its delivery is the endpoint's with
    the same id.
    """

    __tablename__ = "event_streams"

    id: str = Field(primary_key=True, foreign_key="webhook_endpoints.id")
    tenant_id: str | None = Field(index=True)
    issuer: str
    audience: str
    events_requested: list[str] = Field(sa_type=Document)
    description: str | None
    method: str
    status_reason: str | None
    verified_at: datetime | None = Field(sa_type=UtcDateTime)


class StreamAcknowledgementRow(Base, table=True):
    """A security event that a polling receiver took in, before those ahead of it."""

    __tablename__ = "stream_acknowledgements"

    stream_id: str = Field(primary_key=True, foreign_key="event_streams.id")
    event_id: int = Field(primary_key=True, sa_type=Sequence)
    facet: int = Field(primary_key=True)
    tenant_id: str | None


class SigningKeyRow(Base, table=True):
    """A key that signs security events: `id` is its thumbprint, `private` is sealed.

    It has no tenant: the keys are the installation's.
    """

    __tablename__ = "signing_keys"

    id: str = Field(primary_key=True)
    tenant_id: str | None
    algorithm: str
    public: dict[str, Any] = Field(sa_type=Document)
    private: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    signs_from: datetime = Field(sa_type=UtcDateTime)
    published_until: datetime | None = Field(sa_type=UtcDateTime)
