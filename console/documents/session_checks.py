"""The answer of introspection (RFC 7662 §2.2), with the proof of entitlement."""

from __future__ import annotations

from datetime import datetime

from console.documents.values import JsonDocument, iso
from store.directory.session_checks import LiveSession

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
