"""What the store holds of a connection, as the values the decision core takes."""

from __future__ import annotations

from datetime import datetime

from store import cycles, groups, memberships, users
from store.database import Database
from store.records import Connection
from worker.reconcile.state import History, State


async def load(db: Database, connection: Connection, now: datetime) -> tuple[State, History]:
    """Loads people, groups and memberships as of one moment, and what earlier cycles saw and did."""
    tenant_id, connection_id = connection.tenant_id, connection.id
    async with db.reading() as conn:
        state = State(
            connection_id,
            await users.load_state(conn, tenant_id, connection_id),
            await groups.load_state(conn, tenant_id, connection_id),
            await memberships.load_state(conn, tenant_id, connection_id),
            await users.has_admin_elsewhere(conn, tenant_id, connection_id),
        )
        memory = await cycles.history(conn, tenant_id, connection_id, now)
    history = History(
        last_good_counts=memory.last_good_counts,
        last_token_roles=memory.last_token_roles,
        last_scope_key=memory.last_scope_key,
        removals_last_24h=memory.removals_last_24h,
        credential_changed_at=memory.credential_changed_at,
        last_complete_at=memory.last_complete_at,
    )
    return state, history
