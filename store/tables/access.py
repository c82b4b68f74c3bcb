"""Sessions, sign-ins in progress, receipts, and the results that a person keeps."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field

from store.tables.base import Base, Document, UtcDateTime, among, of_connection, of_user, unique_among


class SessionRow(Base, table=True):
    """`issuer…` say by which sign-in a session began, so that the provider can end it.

    `proved_at`: when Graph was last asked about this person alone and said yes.
    `revoked_…` say who ended it, through which door, and in which cycle or request.
    """

    __tablename__ = "sessions"
    __table_args__ = (
        of_user(),
        Index("ix_sessions_expires_at", "expires_at"),
        among("ix_sessions_issuer_session", "issuer_session_id IS NOT NULL", "issuer_session_id"),
        among("ix_sessions_issuer_subject", "issuer_subject IS NOT NULL", "issuer_subject"),
    )

    id: str = Field(primary_key=True)
    tenant_id: str
    user_id: str = Field(index=True)
    secret_hash: str = Field(unique=True)
    purpose: str
    client: str | None
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    idle_until: datetime = Field(sa_type=UtcDateTime)
    last_seen_at: datetime = Field(sa_type=UtcDateTime)
    proved_at: datetime | None = Field(sa_type=UtcDateTime)
    created_from: str | None
    agent: str | None
    issuer: str | None
    issuer_subject: str | None
    issuer_session_id: str | None
    revoked_at: datetime | None = Field(sa_type=UtcDateTime)
    revoke_reason: str | None
    revoked_by: str | None
    revoked_origin: str | None
    revoked_ref: str | None
    holder_number: int
    period: int


class ReceiptRow(Base, table=True):
    """What ended with a period of access, and when the vendor's app acknowledged it.

    `due_at`: when the app has to know; null once it does, and where nothing ended.
    """

    __tablename__ = "receipts"
    __table_args__ = (
        of_user(),
        of_connection(),
        Index("ix_receipts_user_id_period", "user_id", "period"),
        among("ix_receipts_due", "due_at IS NOT NULL", "due_at"),
    )

    id: str = Field(primary_key=True)
    tenant_id: str
    connection_id: str
    user_id: str
    holder_number: int
    period: int
    at: datetime = Field(sa_type=UtcDateTime)
    action: str
    reason: str
    origin: str
    actor: str | None
    correlation_id: str
    ended: list[Any] = Field(sa_type=Document)
    due_at: datetime | None = Field(sa_type=UtcDateTime)
    acknowledged_at: datetime | None = Field(sa_type=UtcDateTime)
    acknowledged_by: str | None


class AppKeyRow(Base, table=True):
    """A session or API key that the vendor's app keeps itself; `reference` is the app's
    own name for it, never its secret.
    """

    __tablename__ = "app_keys"
    __table_args__ = (
        of_user(),
        of_connection(),
        unique_among("uq_app_keys_reference", "ended_at IS NULL", "user_id", "kind", "reference"),
        among("ix_app_keys_ended", "ended_at IS NOT NULL", "ended_at"),
    )

    id: str = Field(primary_key=True)
    tenant_id: str
    connection_id: str
    user_id: str = Field(index=True)
    kind: str
    reference: str
    label: str | None
    holder_number: int
    period: int
    registered_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime | None = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(sa_type=UtcDateTime)
    end_reason: str | None


class OpenIdProviderRow(Base, table=True):
    """A provider other than Entra by which the people of a connection sign in; `secret`
    is sealed. `id` is the connection's.
    """

    __tablename__ = "openid_providers"
    __table_args__ = (of_connection(),)

    id: str = Field(primary_key=True)
    tenant_id: str
    connection_id: str
    issuer: str
    client_id: str
    secret: str
    link_claim: str | None
    created_at: datetime = Field(sa_type=UtcDateTime)


class OpenIdIdentityRow(Base, table=True):
    """The account that stands for a subject of a provider, for one holder of it."""

    __tablename__ = "openid_identities"
    __table_args__ = (of_user(), of_connection())

    connection_id: str = Field(primary_key=True)
    issuer: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    tenant_id: str
    user_id: str
    holder_number: int
    linked_by: str
    linked_at: datetime = Field(sa_type=UtcDateTime)


class SignInRow(Base, table=True):
    """A sign-in between its start here and the answer of the provider; used once.

    `flow` is sealed: it holds the PKCE verifier and the nonce.
    """

    __tablename__ = "sign_ins"
    __table_args__ = (of_connection(), Index("ix_sign_ins_expires_at", "expires_at"))

    state_hash: str = Field(primary_key=True)
    tenant_id: str
    connection_id: str
    browser_hash: str
    flow: str
    return_path: str | None
    return_url: str | None
    app_state: str | None
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)


class SignInCodeRow(Base, table=True):
    """What the vendor's app exchanges for a session, once (RFC 6749 §4.1.2)."""

    __tablename__ = "sign_in_codes"
    __table_args__ = (of_connection(), Index("ix_sign_in_codes_expires_at", "expires_at"))

    code_hash: str = Field(primary_key=True)
    tenant_id: str
    connection_id: str
    session_id: str
    return_url: str
    expires_at: datetime = Field(sa_type=UtcDateTime)
    used_at: datetime | None = Field(sa_type=UtcDateTime)


class AssessmentResultRow(Base, table=True):
    __tablename__ = "assessment_results"
    __table_args__ = (
        of_user(),
        unique_among(
            "uq_assessment_results_key",
            "idempotency_key IS NOT NULL",
            *("user_id", "holder_number", "idempotency_key"),
        ),
    )

    id: str = Field(primary_key=True)
    tenant_id: str
    user_id: str = Field(index=True)
    title: str
    score: int
    taken_at: datetime = Field(sa_type=UtcDateTime)
    recorded_at: datetime = Field(sa_type=UtcDateTime)
    document: dict[str, Any] | None = Field(sa_type=Document)
    idempotency_key: str | None
    holder_number: int


class ErasureRow(Base, table=True):
    """The trace of an erasure: how many results were erased, by which actor."""

    __tablename__ = "erasures"
    __table_args__ = (of_user(), Index("ix_erasures_user_id", "user_id"))

    id: str = Field(primary_key=True)
    tenant_id: str
    user_id: str
    holder_number: int
    at: datetime = Field(sa_type=UtcDateTime)
    actor: str
    reason: str
    results: int
