"""`perform`: run commands in one transaction and return their outcomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from store.database import Database
from store.errors import PushBraked
from store.keys import utc_now
from store.lifecycle import group_commit
from store.lifecycle.dispatch import run_all
from store.lifecycle.transaction import Transaction
from store.logs.journal import Journal
from store.records import (
    Cause,
    ChangeHolder,
    Command,
    ConnectionId,
    DeleteGroup,
    DeleteUser,
    DisableUser,
    Outcome,
    ReleaseNames,
    RemoveMembers,
    RetireUser,
    TenantId,
)
from store.sync import leases
from store.tenancy import push_brakes

REMOVALS = (ChangeHolder, DisableUser, DeleteUser, ReleaseNames, RetireUser, DeleteGroup, RemoveMembers)
"""Commands that take something away: access, or the keys and marks of a holder."""


async def perform(
    db: Database,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    commands: Sequence[Command],
    cause: Cause,
    *,
    atomic: bool = True,
    now: datetime | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> list[Outcome]:
    """Perform the commands in order, in one transaction, and return an outcome for
    each.

    `atomic`: the first refusal raises (`store.errors.Terminal`) and nothing is written.
    Otherwise a refused command is logged and becomes an outcome, and the others stand.
    Raises `FencedOut` if the cause's lease is lost, `PushBraked` if a push takes away
    more than it may, and `TryAgain` if the database is busy or does not answer: then
    nothing is written either.

    Removals under a fence are checked again where they are written: the lease is still
    valid, and the cause's evidence is not too old (`EvidenceTooOld`). `clock` is the
    worker's; it counts on SQLite only.
    """

    async def work(conn: AsyncConnection) -> list[Outcome]:
        at = now or utc_now()
        tx = Transaction(
            conn, tenant_id, connection_id, cause, at, atomic, Journal(tenant_id, connection_id, at)
        )
        if cause.fence is not None:
            until = await leases.check(conn, tenant_id, cause.fence)
            if any(isinstance(command, REMOVALS) for command in commands):
                await leases.check_removal(conn, until, cause.evidence, clock())
        return await run_all(tx, commands)

    try:
        if atomic and now is None and group_commit.can_batch(commands, cause):
            return [await group_commit.perform_one(db, tenant_id, connection_id, commands[0], cause)]
        return await db.write(work)
    except PushBraked as error:
        noting = partial(
            push_brakes.note_refused,
            tenant_id=tenant_id,
            connection_id=connection_id,
            braked=error,
            cause=cause,
            now=now or utc_now(),
        )
        error.is_new = await db.write(noting)
        raise


async def perform_within(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    commands: Sequence[Command],
    cause: Cause,
    *,
    now: datetime | None = None,
) -> list[Outcome]:
    """Perform a person's commands within a transaction of the caller's, which writes
    more: an audit entry.

    The first refusal raises, and the caller's transaction ends.
    """
    at = now or utc_now()
    journal = Journal(tenant_id, connection_id, at)
    return await run_all(Transaction(conn, tenant_id, connection_id, cause, at, True, journal), commands)
