"""Webhook endpoints, and the events that one of them refused."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from store.tables.base import Base, Document, Sequence, UtcDateTime, among


class WebhookEndpointRow(Base, table=True):
    """`position` is the last event that was delivered or set aside.

    `acknowledges`: what it takes of ended access, the vendor's app knows.

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
