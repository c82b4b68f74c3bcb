"""Leases: the worker of a connection, with a fencing token that grows with each new
holder.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import bindparam, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.engine.prepared_statements import Row, fetch
from store.errors import EvidenceTooOld, FencedOut
from store.records import ConnectionId, EvidenceAge, Fence, Lease, TenantId

_c = tables.leases.c
_FREE_HOLDER = ""

_HELD = (
    select(_c.token, _c.holder, _c.until)
    .where(_c.tenant_id == bindparam("tenant_id"), _c.connection_id == bindparam("connection_id"))
    .with_for_update(read=True)
)
_OF_CONNECTION = (
    _c.tenant_id == bindparam("of_tenant"),
    _c.connection_id == bindparam("of_connection"),
)
_LEASE = select(tables.leases).where(
    _c.tenant_id == bindparam("tenant_id"), _c.connection_id == bindparam("connection_id")
)
_TAKE = (
    update(tables.leases)
    .where(*_OF_CONNECTION, or_(_c.until <= bindparam("now"), _c.holder == _FREE_HOLDER))
    .values(token=_c.token + 1, holder=bindparam("new_holder"), until=bindparam("new_until"), wanted=False)
    .returning(*_c)
)
_RELEASE = (
    update(tables.leases)
    .where(*_OF_CONNECTION, _c.token == bindparam("our_token"), _c.holder == bindparam("our_holder"))
    .values(holder=_FREE_HOLDER)
    .returning(_c.token)
)
FENCED_IDLE_S = 10
"""Seconds after which PostgreSQL ends an idle transaction that holds the lease's row.

A process that is stopped in the middle of such a transaction keeps the row locked, and
no other could take over. Ours never pause between two statements.
"""
_HELD_BUT_NOT_FOR_LONG = _HELD.add_columns(
    func.set_config("idle_in_transaction_session_timeout", f"{FENCED_IDLE_S}s", True)
)


_TIME = select(func.clock_timestamp(type_=tables.leases.c.until.type).label("now"))


async def database_time(conn: AsyncConnection, ours: datetime) -> datetime:
    """Return the time by which leases begin and expire.

    On PostgreSQL that is the server's time: machines share it, and one whose own clock
    is fast would take a lease that is held. On SQLite, which is one machine, it is
    `ours`.
    """
    if conn.dialect.name != "postgresql":
        return ours
    told: datetime = (await fetch(conn, _TIME, {}))[0]["now"]
    return told


def _to_lease(row: Row) -> Lease:
    return Lease(
        connection_id=ConnectionId(row["connection_id"]),
        token=row["token"],
        holder=row["holder"],
        until=row["until"],
        wanted=row["wanted"],
    )


async def get(conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId) -> Lease | None:
    """Return the connection's lease, also an ended one; None before the first."""
    rows = await fetch(conn, _LEASE, {"tenant_id": tenant_id, "connection_id": connection_id})
    return _to_lease(rows[0]) if rows else None


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
    of_connection = {"of_tenant": tenant_id, "of_connection": connection_id}
    new = {"new_holder": holder, "new_until": until, "now": now}
    if rows := await fetch(conn, _TAKE, of_connection | new):
        return _to_lease(rows[0])
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
    return _to_lease(dict(row))


async def release(conn: AsyncConnection, tenant_id: TenantId, lease: Lease) -> None:
    """End the lease; do nothing if another process has taken it.

    The token stays, so that it only ever grows.
    """
    of_connection = {"of_tenant": tenant_id, "of_connection": lease.connection_id}
    await fetch(conn, _RELEASE, {**of_connection, "our_token": lease.token, "our_holder": lease.holder})


async def revoke(conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId) -> None:
    """End the lease: the next write of the process that has it is refused.

    For changes after which all that the holder decided may be wrong. The holder's
    transactions lock the lease first, the connection after it: one that locked the
    connection before may end in a deadlock, and is tried again (`store.engine.base`).
    """
    held = (_c.tenant_id == tenant_id, _c.connection_id == connection_id)
    await conn.execute(update(tables.leases).where(*held).values(token=_c.token + 1, holder=_FREE_HOLDER))


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
    rows = await fetch(conn, held, values)
    if not rows or rows[0]["token"] != fence.token or rows[0]["holder"] == _FREE_HOLDER:
        raise FencedOut(
            "another worker holds the lease of this connection now, or its mapping was changed: nothing was written"
        )
    until: datetime = rows[0]["until"]
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
