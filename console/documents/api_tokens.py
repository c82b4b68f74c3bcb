"""Documents of API tokens."""

from __future__ import annotations

from datetime import datetime

from console.documents.values import JsonDocument, iso
from store.records import ApiToken, JsonValue, OperatorToken
from store.tenancy.api_tokens import ends_within_days


def created_token(token: ApiToken, secret: str) -> JsonDocument:
    """Return the document of a new token, the only one that holds the secret.

    The secret of a federated token is null: Entra sends an assertion instead.
    """
    return {
        "id": token.id,
        "name": token.name,
        "token": None if token.federation else secret,
        "permissions": list(token.permissions),
        "expires_at": iso(token.expires_at),
        **({} if token.replaces_id is None else {"replaces_id": token.replaces_id}),
        **_federation(token),
    }


def operator_token(record: OperatorToken, now: datetime) -> JsonDocument:
    """Return the document of an operator's token; its secret is not kept."""
    is_over = record.expires_at is not None and record.expires_at <= now
    state = "revoked" if record.revoked_at else "expired" if is_over else "active"
    return {
        "id": record.id,
        "name": record.name,
        "prefix": record.prefix,
        "permissions": list(record.permissions),
        "state": state,
        "created_at": iso(record.created_at),
        "created_by": record.created_by,
        "expires_at": iso(record.expires_at),
        "revoked_at": iso(record.revoked_at),
    }


def created_operator_token(record: OperatorToken, secret: str) -> JsonDocument:
    """Return the document of a new operator's token, the only one with the secret."""
    return {
        "id": record.id,
        "name": record.name,
        "token": secret,
        "permissions": list(record.permissions),
        "expires_at": iso(record.expires_at),
    }


def revoked_token(token: ApiToken) -> JsonDocument:
    """Return the document of a token that was revoked just now."""
    return {"id": token.id, "name": token.name, "revoked_at": iso(token.revoked_at)}


def token(record: ApiToken, now: datetime) -> JsonDocument:
    """Return the document of a token; its secret is not kept."""
    return {
        "id": record.id,
        "name": record.name,
        "prefix": record.prefix,
        "permissions": list(record.permissions),
        "state": token_state(record, now),
        "created_at": iso(record.created_at),
        "expires_at": iso(record.expires_at),
        "revoked_at": iso(record.revoked_at),
        "last_used_at": iso(record.last_used_at),
        "last_used_from": record.last_used_from,
        "allowed_addresses": list(record.allowed_addresses),
        "user_id": record.user_id,
        "ends_within_days": ends_within_days(record, now),
        "replaces_id": record.replaces_id,
        **_federation(record),
    }


def token_state(record: ApiToken, now: datetime) -> str:
    """Return `revoked`, `expired`, `suspended` or `active`: the first that is true."""
    if record.revoked_at:
        return "revoked"
    if record.expires_at and record.expires_at <= now:
        return "expired"
    return "suspended" if record.suspended_at else "active"


def _federation(token: ApiToken) -> JsonDocument:
    if token.federation is None:
        return {}
    federation: JsonValue = {
        "subject": token.federation.subject,
        "audiences": list(token.federation.audiences),
    }
    return {"federation": federation}
