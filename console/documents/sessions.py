"""Documents of sessions and receipts, and the answer of introspection (RFC 7662)."""

from __future__ import annotations

from datetime import datetime

from console.documents.values import JsonDocument, iso
from store.directory.session_checks import LiveSession
from store.records import AppKey, JsonValue, Receipt, Session, User


def session_state(record: Session, now: datetime) -> str:
    """Return `live`, `ended`, `expired` or `idle`: the first reason that it is over."""
    if record.revoked_at is not None:
        return "ended"
    if record.expires_at <= now:
        return "expired"
    return "idle" if record.idle_until <= now else "live"


def session(record: Session, now: datetime) -> JsonDocument:
    """Return the document of a session; its secret is not kept."""
    ended: JsonDocument = {
        "at": iso(record.revoked_at),
        "reason": record.revoke_reason,
        "by": record.revoked_by,
        "origin": record.revoked_origin,
        "ref": record.revoked_ref,
    }
    return {
        "id": record.id,
        "user_id": record.user_id,
        "holder_number": record.holder_number,
        "period": record.period,
        "state": session_state(record, now),
        "purpose": record.purpose,
        "client": record.client,
        "created_at": iso(record.created_at),
        "last_seen_at": iso(record.last_seen_at),
        "expires_at": iso(record.expires_at),
        "idle_until": iso(record.idle_until),
        "created_from": record.created_from,
        "agent": record.agent,
        "issuer": record.issuer,
        "ended": ended if record.revoked_at else None,
    }


def app_key(record: AppKey, now: datetime) -> JsonDocument:
    """Return the document of a session or key that the app keeps itself."""
    is_expired = record.expires_at is not None and record.expires_at <= now
    return {
        "id": record.id,
        "user_id": record.user_id,
        "kind": record.kind,
        "reference": record.reference,
        "label": record.label,
        "state": "ended" if record.ended_at else "expired" if is_expired else "live",
        "holder_number": record.holder_number,
        "period": record.period,
        "registered_at": iso(record.registered_at),
        "expires_at": iso(record.expires_at),
        "ended_at": iso(record.ended_at),
        "end_reason": record.end_reason,
    }


def session_or_app_key(record: Session | AppKey, now: datetime) -> JsonDocument:
    """Return the document of what an administrator ended."""
    return session(record, now) if isinstance(record, Session) else app_key(record, now)


def ended_sessions(user: User, ended: int) -> JsonDocument:
    """Return how many sessions of an account were ended."""
    return {"user_id": user.id, "user_name": user.user_name, "ended": ended}


def receipt(record: Receipt) -> JsonDocument:
    """Return the document of a receipt."""
    ended: list[JsonValue] = list(record.ended)
    return {
        "id": record.id,
        "connection_id": record.connection_id,
        "user_id": record.user_id,
        "holder_number": record.holder_number,
        "period": record.period,
        "at": iso(record.at),
        "action": record.action,
        "reason": record.reason,
        "origin": record.origin,
        "actor": record.actor,
        "correlation_id": record.correlation_id,
        "ended": ended,
        "acknowledged_at": iso(record.acknowledged_at),
        "acknowledged_by": record.acknowledged_by,
    }


INACTIVE: JsonDocument = {"active": False}
"""All that is told about a session that is not live, for any reason."""


def introspection(found: LiveSession, now: datetime, issuer: str) -> JsonDocument:
    """Return the document of a live session; its person is `sub` with `holder`."""
    age_s = None if found.proved_at is None else max(0, round((now - found.proved_at).total_seconds()))
    return {
        "active": True,
        "iss": issuer,
        "sub": found.user_id,
        "holder": found.holder_number,
        "username": found.user_name,
        "tenant": found.tenant_id,
        "connection": found.connection_id,
        "sid": found.id,
        "client_id": found.client,
        "token_type": "session",
        "iat": int(found.created_at.timestamp()),
        "auth_time": int(found.created_at.timestamp()),
        "exp": int(found.ends_at.timestamp()),
        "proved_at": iso(found.proved_at),
        "proof_age_s": age_s,
    }
