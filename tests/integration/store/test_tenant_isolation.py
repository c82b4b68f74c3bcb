"""Invariant I5: nothing of one tenant is readable or writable in the name of another."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import select

from store import lifecycle, tables
from store.database import Database
from store.directory import assessment_results, groups, memberships, sessions, users
from store.errors import NotFound, Terminal
from store.keys import utc_now
from store.logs import audit_log, events, provisioning_log
from store.records import (
    Action,
    AddMembers,
    Cause,
    ChangeGroup,
    ChangeUser,
    Connection,
    CreateGroup,
    CreateUser,
    CycleKind,
    CycleStatus,
    DeleteGroup,
    DeleteUser,
    DisableUser,
    DriftFinding,
    DriftKind,
    Fence,
    FindingState,
    GraphId,
    LinkGroup,
    LinkUser,
    LogStatus,
    MarkUser,
    Origin,
    OutcomeStatus,
    PlanStatus,
    Policy,
    RemoveMembers,
    SubjectType,
)
from store.sync import cycles, delta_links, drift_reports, held_plans, leases
from store.tenancy import api_tokens, connections, tenants, used_assertions
from tests.builders.store_rows import create_group, create_user, record_drift, setting

MODULES = (
    used_assertions, audit_log, connections, cycles, delta_links, drift_reports, events, groups,
    assessment_results, leases, memberships, held_plans, provisioning_log, sessions, api_tokens, users,
)  # fmt: skip

# What asks for no tenant: it is how the tenant is found, or the operator's or the worker's.
WITHOUT_TENANT = {
    "connections.find", "connections.list_all", "connections.due", "held_plans.find", "sessions.find_live",
    "api_tokens.find_by_secret", "leases.database_time",
}  # fmt: skip

# What gives the caller something of its own.
MAKES_ITS_OWN = {"connections.create"}

# `status` is a word of several nouns.
STATUSES = {"held_plans.decide": PlanStatus.APPROVED, "provisioning_log.append": LogStatus.SUCCESS}

ContosoRows = dict[str, Any]


@pytest.fixture
async def contoso_rows(database: Database, contoso: Connection) -> ContosoRows:
    """Contoso with one of everything, and Fabrikam, who has nothing and wants to see it."""
    fabrikam = await database.write(lambda conn: tenants.create(conn, "Fabrikam"))
    me, mine, now = contoso.tenant_id, contoso.id, utc_now()
    ann = await create_user(database, contoso, "ann")
    readers = await create_group(database, contoso, "Readers", ann.id)
    cause = Cause(Origin.SCIM, "request-1")
    finding = DriftFinding(
        DriftKind.LOCAL_ACCOUNT, None, SubjectType.USER, ann.id, "ann", {}, {}, now, FindingState.OPEN
    )

    async def furnish(conn: Any) -> ContosoRows:
        token, _ = await api_tokens.create(conn, me, mine, "key", [])
        session, _ = await sessions.start(conn, me, ann.id)
        cycle = await cycles.start(conn, me, mine, CycleKind.FULL)
        await cycles.save_progress(conn, me, cycle.id, cycles.Progress("reading"))
        await cycles.finish(conn, me, cycle.id, CycleStatus.APPLIED, complete=True)
        plan = await held_plans.hold(conn, me, mine, cycle.id, "sum", "why", {}, now + timedelta(days=1))
        await record_drift(conn, me, mine, cycle.id, [finding])
        await delta_links.put(conn, me, mine, "users", "link")
        await delta_links.put_assigned(conn, me, mine, [GraphId("somebody")])
        lease = await leases.acquire(conn, me, mine, "worker", now, 60)
        await assessment_results.add(conn, me, ann.id, "Reading", 97)
        await connections.set_credential(conn, me, mine, "sealed")
        return {
            "token_id": token.id,
            "session_id": session.id,
            "cycle_id": cycle.id,
            "plan_id": plan.id,
            "lease": lease,
        }

    return {
        **(await database.write(furnish)),
        "tenant_id": fabrikam.id, "connection_id": mine, "user_id": ann.id, "group_id": readers.id,
        "member_id": ann.id, "user_name": ann.user_name, "external_id": "ann", "entra_object_id": GraphId("e"),
        "email": ann.user_name, "display_name": "Readers", "name": "users", "link": "foreign",
        "holder": "other", "now": now, "duration_s": 60, "since": now - timedelta(days=1), "next_due_at": now,
        "reason": "foreign", "policy": Policy(), "interval_minutes": 5, "sealed_credential": "foreign",
        "permissions": (), "address": None, "kind": CycleKind.FULL, "how_far": cycles.Progress("foreign"),
        "status": CycleStatus.FAILED, "complete": True, "checksum": "sum", "body": {}, "expires_at": now,
        "by": "foreign", "findings": [finding], "cause": cause, "action": Action.UPDATE,
        "subject_type": SubjectType.USER, "subject_id": ann.id, "subject_label": "ann", "title": "Foreign",
        "uti": "foreign", "entra_tenant_id": "foreign", "actor": "foreign", "addresses": ("192.0.2.1",), "detail": {},
        "user_ids": (), "after_id": 0, "after": now - timedelta(days=1), "why": "foreign", "principals": (GraphId("e"),),
        "score": 0, "older_than": now + timedelta(days=1), "fence": Fence(mine, 1),
    }  # fmt: skip


def _public_functions() -> list[tuple[str, ModuleType, Callable[..., Awaitable[Any]]]]:
    return [
        (f"{module.__name__.rpartition('.')[2]}.{name}", module, function)
        for module in MODULES
        for name, function in inspect.getmembers(module, inspect.iscoroutinefunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    ]


def test_every_query_asks_for_a_tenant() -> None:
    """Every query function takes the connection first and the tenant second."""
    without = {
        name
        for name, _, function in _public_functions()
        if list(inspect.signature(function).parameters)[:2] != ["conn", "tenant_id"]
    }

    assert without == WITHOUT_TENANT


async def test_a_foreign_tenant_reads_and_writes_nothing(
    database: Database, contoso_rows: ContosoRows
) -> None:
    """In Fabrikam's name with Contoso's ids, no query gives anything or changes a row of Contoso's."""
    before = await _rows_of_contoso(database, contoso_rows)
    told: dict[str, Any] = {}
    for name, _, function in _public_functions():
        if name in WITHOUT_TENANT | MAKES_ITS_OWN:
            continue
        arguments = _arguments(name, function, contoso_rows)
        try:
            given = await database.write(lambda conn, f=function, a=arguments: f(conn, **a))  # type: ignore[misc]
        except Terminal:
            continue
        if not _is_nothing(given):
            told[name] = given

    assert told == {}
    assert await _rows_of_contoso(database, contoso_rows) == before


def _arguments(name: str, function: Callable[..., Awaitable[Any]], contoso_rows: ContosoRows) -> ContosoRows:
    """Gives what the function must be told, from the rows of Contoso."""
    needed = [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is inspect.Parameter.empty and parameter.name != "conn"
    ]
    return {
        need: STATUSES.get(name, contoso_rows[need]) if need == "status" else contoso_rows[need]
        for need in needed
    }


def _is_nothing(given: Any) -> bool:
    if isinstance(given, provisioning_log.LogPage):
        return not given.entries
    return not given


async def _rows_of_contoso(database: Database, contoso_rows: ContosoRows) -> dict[str, list[Any]]:
    """Gives every row of every table that is not Fabrikam's."""
    rows: dict[str, list[Any]] = {}
    async with database.reading() as conn:
        for table in tables.Base.metadata.sorted_tables:
            column = "id" if table.name == "tenants" else "tenant_id"
            query = select(table).where(table.c[column] != contoso_rows["tenant_id"])
            rows[table.name] = sorted(map(str, (await conn.execute(query)).all()))
    return rows


async def test_a_foreign_tenant_changes_nobody(
    database: Database, contoso_rows: ContosoRows, contoso: Connection
) -> None:
    """Every command, in Fabrikam's name with Contoso's ids, is refused or passed over."""
    user, group = contoso_rows["user_id"], contoso_rows["group_id"]
    own = await database.write(lambda conn: connections.create(conn, contoso_rows["tenant_id"], "Own"))
    commands = (
        ChangeUser(user, setting(title="Foreign")),
        DisableUser(user),
        DeleteUser(user),
        LinkUser(user, GraphId("foreign")),
        MarkUser(user, is_protected=True),
        ChangeGroup(group, setting(displayName="Foreign"), replace_member_ids=()),
        LinkGroup(group, GraphId("foreign")),
        AddMembers(group, (user,)),
        RemoveMembers(group, (user,)),
        DeleteGroup(group),
        CreateGroup({"displayName": "Foreign"}, member_ids=(user,)),
    )
    before = await _rows_of_contoso(database, contoso_rows)

    cause = Cause(Origin.SCIM, "foreign")
    with pytest.raises(NotFound):
        await lifecycle.perform(
            database, contoso_rows["tenant_id"], contoso.id, commands, cause, atomic=False
        )
    outcomes = await lifecycle.perform(
        database, contoso_rows["tenant_id"], own.id, commands, cause, atomic=False
    )

    assert not {outcome.status for outcome in outcomes} & {OutcomeStatus.APPLIED, OutcomeStatus.UNCHANGED}
    assert await _rows_of_contoso(database, contoso_rows) == before


async def test_the_same_names_live_side_by_side(database: Database, contoso: Connection) -> None:
    """Uniqueness is per connection: two connections of one tenant may both have an ann."""
    second = await database.write(lambda conn: connections.create(conn, contoso.tenant_id, "Second"))
    ann = await create_user(database, contoso, "ann")

    other = await lifecycle.perform(
        database, second.tenant_id, second.id, [CreateUser(ann.document)], Cause(Origin.SCIM, "r")
    )

    assert other[0].status is OutcomeStatus.APPLIED
