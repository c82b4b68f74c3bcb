"""Leases: the worker of a connection, with a fencing token that grows with each new
holder.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import RowMapping, bindparam, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.errors import EvidenceTooOld, FencedOut
from store.records import ConnectionId, EvidenceAge, Fence, Lease, TenantId

_c = tables.leases.c
_FREE_HOLDER = ""

_HELD = (
    select(_c.token, _c.holder, _c.until)
    .where(_c.tenant_id == bindparam("tenant_id"), _c.connection_id == bindparam("connection_id"))
    .with_for_update(read=True)
)
FENCED_IDLE_S = 10
"""Seconds after which PostgreSQL ends an idle transaction that holds the lease's row.

A process that is stopped in the middle of such a transaction keeps the row locked, and
no other could take over. Ours never pause between two statements.
"""
_HELD_BUT_NOT_FOR_LONG = _HELD.add_columns(
    func.set_config("idle_in_transaction_session_timeout", f"{FENCED_IDLE_S}s", True)
)


_TIME = select(func.clock_timestamp(type_=tables.leases.c.until.type))


async def database_time(conn: AsyncConnection, ours: datetime) -> datetime:
    """Return the time by which leases begin and expire.

    On PostgreSQL that is the server's time: machines share it, and one whose own clock
    is fast would take a lease that is held. On SQLite, which is one machine, it is
    `ours`.
    """
    if conn.dialect.name != "postgresql":
        return ours
    told: datetime = (await conn.execute(_TIME)).scalar_one()
    return told


def _to_lease(row: RowMapping) -> Lease:
    return Lease(
        connection_id=ConnectionId(row["connection_id"]),
        token=row["token"],
        holder=row["holder"],
        until=row["until"],
        wanted=row["wanted"],
    )


async def get(conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId) -> Lease | None:
    """Return the connection's lease, also an ended one; None before the first."""
    query = select(tables.leases).where(_c.tenant_id == tenant_id, _c.connection_id == connection_id)
    row = (await conn.execute(query)).mappings().first()
    return None if row is None else _to_lease(row)


async def acquire(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    holder: str,
    now: datetime,
    duration_s: float,
) -> Lease | None:
    """Take the lease if it is free or expired, with a new fencing token.

    Else return None.

    `now` comes from `database_time`. Taking the lease clears `wanted`: each waiting
    process asks again.
    """
    until = now + timedelta(seconds=duration_s)
    taken = (
        update(tables.leases)
        .where(_c.tenant_id == tenant_id, _c.connection_id == connection_id)
        .where(or_(_c.until <= now, _c.holder == _FREE_HOLDER))
        .values(token=_c.token + 1, holder=holder, until=until, wanted=False)
        .returning(*_c)
    )
    row = (await conn.execute(taken)).mappings().first()
    if row is not None:
        return _to_lease(row)
    if await get(conn, tenant_id, connection_id) is not None:
        return None
    lease = Lease(connection_id=connection_id, token=1, holder=holder, until=until)
    # Two transactions may find no row and both insert; one of them is tried again
    # (`store.engine.base`).
    await conn.execute(
        insert(tables.leases).values(
            connection_id=connection_id,
            tenant_id=tenant_id,
            token=1,
            holder=holder,
            until=until,
            wanted=False,
        )
    )
    return lease


async def renew(
    conn: AsyncConnection, tenant_id: TenantId, lease: Lease, now: datetime, duration_s: float
) -> Lease:
    """Prolong the lease and return it, with `wanted` as it is now.

    Raises `FencedOut` if another process has taken it. `now` comes from
    `database_time`. An expired lease that no other took is still ours: no other can
    have written in between.
    """
    renewed = (
        update(tables.leases)
        .where(_c.tenant_id == tenant_id, _c.connection_id == lease.connection_id, _c.token == lease.token)
        .where(_c.holder == lease.holder)
        .values(until=now + timedelta(seconds=duration_s))
        .returning(*_c)
    )
    row = (await conn.execute(renewed)).mappings().first()
    if row is None:
        raise FencedOut("another worker holds the lease of this connection now")
    return _to_lease(row)


async def release(conn: AsyncConnection, tenant_id: TenantId, lease: Lease) -> None:
    """End the lease; do nothing if another process has taken it.

    The token stays, so that it only ever grows.
    """
    await conn.execute(
        update(tables.leases)
        .where(_c.tenant_id == tenant_id, _c.connection_id == lease.connection_id, _c.token == lease.token)
        .where(_c.holder == lease.holder)
        .values(holder=_FREE_HOLDER)
    )


async def request_yield(conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId) -> bool:
    """Ask the holder to yield at a safe point; return whether there is one."""
    asked = (
        update(tables.leases)
        .where(_c.tenant_id == tenant_id, _c.connection_id == connection_id, _c.holder != _FREE_HOLDER)
        .values(wanted=True)
        .returning(_c.token)
    )
    return (await conn.execute(asked)).first() is not None


async def check(conn: AsyncConnection, tenant_id: TenantId, fence: Fence) -> datetime:
    """Return the end of the lease; raise `FencedOut` unless the fence is the newest.

    On PostgreSQL it stays the newest until this transaction ends.
    """
    values = {"tenant_id": tenant_id, "connection_id": fence.connection_id}
    held = _HELD_BUT_NOT_FOR_LONG if conn.dialect.name == "postgresql" else _HELD
    row = (await conn.execute(held, values)).first()
    if row is None or row.token != fence.token or row.holder == _FREE_HOLDER:
        raise FencedOut("another worker holds the lease of this connection now: nothing was written")
    until: datetime = row.until
    return until


async def check_removal(
    conn: AsyncConnection, until: datetime, evidence: EvidenceAge | None, ours: datetime
) -> None:
    """Refuse a removal under an expired lease, or on evidence that is too old.

    The database's clock decides. `until` is what `check` returned. Another process may
    not have taken the lease yet, but a process that slept decides on what was true
    before it slept. Raises `FencedOut`, `EvidenceTooOld`.
    """
    now = await database_time(conn, ours)
    if until <= now:
        raise FencedOut(
            "the lease of this connection ran out before a removal was written: nothing was written"
        )
    if evidence is not None and (now - evidence.taken_at).total_seconds() > evidence.max_age_s:
        raise EvidenceTooOld(
            f"the evidence is older than {evidence.max_age_s:g} s: nothing was removed on it", delay_s=0
        )
