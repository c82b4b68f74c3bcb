"""`perform`: run commands in one transaction and return their outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from store.database import Database
from store.keys import utc_now
from store.lifecycle import group_commit
from store.lifecycle.dispatch import run_all
from store.lifecycle.transaction import Transaction
from store.logs.journal import Journal
from store.records import Cause, Command, ConnectionId, Outcome, TenantId
from store.sync import leases


async def perform(
    db: Database,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    commands: Sequence[Command],
    cause: Cause,
    *,
    atomic: bool = True,
    now: datetime | None = None,
) -> list[Outcome]:
    """Perform the commands in order, in one transaction, and return an outcome for
    each.

    `atomic`: the first refusal raises (`store.errors.Terminal`) and nothing is written.
    Otherwise a refused command is logged and becomes an outcome, and the others stand.
    Raises `FencedOut` if the cause's lease is lost, and `TryAgain` if the database is
    busy or does not answer: then nothing is written either.
    """

    if atomic and now is None and group_commit.can_batch(commands, cause):
        return [await group_commit.perform_one(db, tenant_id, connection_id, commands[0], cause)]

    async def work(conn: AsyncConnection) -> list[Outcome]:
        at = now or utc_now()
        tx = Transaction(
            conn, tenant_id, connection_id, cause, at, atomic, Journal(tenant_id, connection_id, at)
        )
        if cause.fence is not None:
            await leases.check(conn, tenant_id, cause.fence)
        return await run_all(tx, commands)

    return await db.write(work)
