"""Documents of where connections stand."""

from __future__ import annotations

from datetime import datetime

from console.documents.connections import connection_state
from console.documents.values import JsonDocument, iso
from store.records import Connection, JsonValue
from store.tenancy.credential_expiry import credential_state
from store.tenancy.standings import Standing


def connection_status(
    tenant: str, connection: Connection, standing: Standing, level: str, why: list[str], now: datetime
) -> JsonDocument:
    """Return the document of one connection in short."""
    last, ends = standing.last, connection.credential_expires_at
    read_at = connection.last_complete_at
    reasons: list[JsonValue] = list(why)
    return {
        "tenant": tenant,
        "connection": connection.name,
        "connection_id": connection.id,
        "level": level,
        "why": reasons,
        "state": connection_state(connection),
        "mode": connection.policy.mode,
        "last_cycle": None
        if last is None
        else {"cycle_id": last.id, "kind": last.kind, "status": last.status, "at": iso(last.started_at)},
        "last_complete_at": iso(read_at),
        "last_complete_age_s": None if read_at is None else int((now - read_at).total_seconds()),
        "open": None if standing.findings is None else standing.findings.get("open", 0),
        "held_plans": standing.held_plans,
        "held_rows": standing.held_rows,
        "credential_state": credential_state(connection, now),
        "credential_days": None if ends is None else (ends - now).days,
        "last_push_at": iso(standing.last_push_at),
        "push_braked_at": iso(standing.braked_at),
        "next_due_at": iso(connection.next_due_at),
    }
