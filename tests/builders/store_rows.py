"""Short ways to say what the store's tests say often."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import lifecycle, tables
from store.database import Database
from store.directory import groups, memberships, users
from store.records import (
    UNATTENDED,
    Cause,
    Command,
    Connection,
    ConnectionId,
    CreateGroup,
    CreateUser,
    CycleId,
    Document,
    DriftFinding,
    Fence,
    Group,
    GroupId,
    Origin,
    Outcome,
    TenantId,
    User,
    UserId,
)
from store.sync import drift_reports, report_writes
from store.sync.report_comparison import merge_with_previous


def person(name: str, **more: Any) -> Document:
    """A user document as Entra's default mapping gives it, shortened."""
    return {
        "userName": f"{name}@contoso.example",
        "externalId": name,
        "active": True,
        "displayName": name.title(),
        "name": {"givenName": name.title(), "familyName": "Example"},
        "emails": [{"type": "work", "value": f"{name}@contoso.example", "primary": True}],
        **more,
    }


def setting(**values: Any) -> Callable[[Document], Document]:
    """A change that sets attributes."""
    return lambda document: {**document, **values}


async def perform(
    database: Database,
    contoso: Connection,
    *commands: Command,
    origin: Origin = Origin.SCIM,
    fence: Fence | None = None,
    actor: str | None = None,
    atomic: bool = True,
) -> list[Outcome]:
    """Performs commands as a push, or as an unattended cycle where the origin is Graph."""
    actor = actor or (UNATTENDED if origin is Origin.GRAPH else "test")
    cause = Cause(origin, correlation_id="request-1", actor=actor, fence=fence)
    return await lifecycle.perform(database, contoso.tenant_id, contoso.id, commands, cause, atomic=atomic)


async def create_user(database: Database, contoso: Connection, name: str, **more: Any) -> User:
    [outcome] = await perform(database, contoso, CreateUser(person(name, **more)))
    assert isinstance(outcome.record, User)
    return outcome.record


async def create_group(database: Database, contoso: Connection, name: str, *members: str) -> Group:
    [outcome] = await perform(database, contoso, CreateGroup({"displayName": name}, member_ids=members))
    assert isinstance(outcome.record, Group)
    return outcome.record


async def read_user(
    database: Database, contoso: Connection, user_id: UserId, *, deleted: bool = False
) -> User:
    async with database.reading() as conn:
        return await users.get(conn, contoso.tenant_id, user_id, deleted=deleted)


async def read_group(database: Database, contoso: Connection, group_id: GroupId) -> Group:
    async with database.reading() as conn:
        return await groups.get(conn, contoso.tenant_id, group_id)


async def member_ids(database: Database, contoso: Connection, group_id: GroupId) -> set[str]:
    async with database.reading() as conn:
        return {found.member_id for found in await memberships.of_group(conn, contoso.tenant_id, group_id)}


async def record_drift(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    cycle_id: CycleId,
    findings: Sequence[DriftFinding],
    *,
    complete: bool = True,
) -> drift_reports.DriftReport:
    """Keeps the report of a cycle and gives it."""
    scope = tenant_id, connection_id
    previous = await report_writes.start_report(conn, *scope)
    merged = merge_with_previous(findings, previous.findings, complete=complete)
    await report_writes.add(conn, *scope, cycle_id, previous.number, list(previous.changes(merged)))
    await report_writes.add(conn, *scope, cycle_id, previous.number, list(previous.remainders()))
    await report_writes.end_rows(conn, *scope, previous.number, previous.ended_rows)
    await conn.execute(
        update(tables.cycles).where(tables.cycles.c.id == cycle_id).values(report_number=previous.number)
    )
    return await drift_reports.report(conn, tenant_id, connection_id, cycle_id)
