"""Digests of Graph's data, saved beside a row when it last matched Entra.

They are no change of a user or group: the version stays and nothing is logged. Any
other write raises the version, which makes the digest void
(`worker.reconcile.digests`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import cache
from typing import Any, cast

from sqlalchemy import Select, Table, Update, bindparam, false, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.engine.prepared_statements import fetch_tuples, run_many, stream_tuples
from store.records import ConnectionId, RowDigest, RowSummary, SubjectType, SummaryValues, TenantId

ROWS_IN_A_PART = 2_000
"""Some milliseconds of comparing, between which other work goes on."""

_TABLES = {SubjectType.USER: tables.users, SubjectType.GROUP: tables.groups}


async def load(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, subject_type: SubjectType
) -> list[RowSummary]:
    """Return a summary of every row of the connection that is not deleted."""
    values = {"tenant_id": tenant_id, "connection_id": connection_id}
    return list(map(RowSummary._make, await fetch_tuples(conn, _glance(_TABLES[subject_type]), values)))


async def stream(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, subject_type: SubjectType
) -> AsyncIterator[Sequence[SummaryValues]]:
    """Yield the values of the same in parts, to be compared and forgotten."""
    values = {"tenant_id": tenant_id, "connection_id": connection_id}
    async for rows in stream_tuples(conn, _glance(_TABLES[subject_type]), values, ROWS_IN_A_PART):
        yield cast("Sequence[SummaryValues]", rows)


async def save(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    subject_type: SubjectType,
    agreed: Sequence[RowDigest],
) -> None:
    """Save digests; rows whose version changed meanwhile are left alone."""
    scope = {"noted_tenant": tenant_id, "noted_connection": connection_id}
    rows: list[dict[str, Any]] = [
        {"noted_id": a.id, "noted_version": a.version, "noted": a.agreed, **scope} for a in agreed
    ]
    if subject_type is SubjectType.USER:
        for row, digest in zip(rows, agreed, strict=True):
            row |= {"noted_name": digest.user_name, "noted_external_id": digest.external_id}
    if rows:
        await run_many(conn, _noting(_TABLES[subject_type]), rows)


async def note_agreed_names(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    names: Mapping[str, tuple[str, str | None]],
) -> None:
    """Note userName and externalId of users in which both sides agreed."""
    scope = {"noted_tenant": tenant_id, "noted_connection": connection_id}
    rows: list[dict[str, Any]] = [
        {"noted_id": row_id, "noted_name": user_name, "noted_external_id": external_id, **scope}
        for row_id, (user_name, external_id) in names.items()
    ]
    if rows:
        await run_many(conn, _AGREEING, rows)


_AGREEING = (
    update(tables.users)
    .where(
        tables.users.c.id == bindparam("noted_id"),
        tables.users.c.tenant_id == bindparam("noted_tenant"),
        tables.users.c.connection_id == bindparam("noted_connection"),
    )
    .values(agreed_user_name=bindparam("noted_name"), agreed_external_id=bindparam("noted_external_id"))
)


@cache
def _glance(table: Table) -> Select[Any]:
    c = table.c
    active = c.active if "active" in c else c.deleted_at.is_(None)
    is_user = "push_wrote_at" in c
    was_pushed = or_(c.push_wrote_at.is_not(None), c.push_found_at.is_not(None)) if is_user else false()
    return select(c.id, c.entra_object_id, c.version, c.agreed, active, was_pushed).where(
        c.tenant_id == bindparam("tenant_id"),
        c.connection_id == bindparam("connection_id"),
        c.deleted_at.is_(None),
    )


@cache
def _noting(table: Table) -> Update:
    c = table.c
    names: dict[str, Any] = {}
    if table is tables.users:
        names = {
            "agreed_user_name": func.coalesce(bindparam("noted_name"), c.agreed_user_name),
            "agreed_external_id": func.coalesce(bindparam("noted_external_id"), c.agreed_external_id),
        }
    return (
        update(table)
        .where(
            c.id == bindparam("noted_id"),
            c.version == bindparam("noted_version"),
            c.tenant_id == bindparam("noted_tenant"),
            c.connection_id == bindparam("noted_connection"),
        )
        .values(agreed=bindparam("noted"), **names)
    )
