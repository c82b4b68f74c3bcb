"""Who does something at this shell, and the entry of the audit log about it."""

from __future__ import annotations

import getpass

from sqlalchemy.ext.asyncio import AsyncConnection

from store.logs import audit_log
from store.records import Connection, JsonValue


def operator() -> str:
    """Names who types, for the audit log: the account on this machine."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container may run under a number without a name
        return "cli:unknown"


async def audit(conn: AsyncConnection, connection: Connection, deed: str, **detail: JsonValue) -> None:
    """Writes down what was done to a connection, in the transaction that does it."""
    await audit_log.record(
        conn,
        connection.tenant_id,
        connection.id,
        operator(),
        f"connection.{deed}",
        connection.id,
        connection.name,
        detail,
    )
