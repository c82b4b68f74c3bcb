"""Connection records that no database holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from store.records import Connection, ConnectionId, Policy, TenantId

NOW = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)


def connection(name: str = "c1", *, interval_minutes: int = 40, **fields: object) -> Connection:
    made = Connection(
        id=ConnectionId(name),
        tenant_id=TenantId("t"),
        name=name,
        entra_tenant_id=None,
        client_id=None,
        app_id=None,
        login_url="https://login.example",
        graph_url="https://graph.example",
        interval_minutes=interval_minutes,
        policy=Policy(),
        has_credential=True,
        credential_changed_at=None,
        credential_expires_at=None,
        created_at=NOW,
    )
    return replace(made, **fields)  # type: ignore[arg-type]
