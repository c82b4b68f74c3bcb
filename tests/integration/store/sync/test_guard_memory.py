"""What the guard remembers: only what no suspicious cycle could have put there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from store import lifecycle
from store.database import Database
from store.records import (
    UNATTENDED,
    Action,
    Cause,
    Command,
    Connection,
    CreateGroup,
    CreateUser,
    CycleId,
    CycleKind,
    CycleStatus,
    DeleteGroup,
    DeleteUser,
    DisableUser,
    GroupId,
    Origin,
    PlanId,
    PlanStatus,
    UserId,
)
from store.sync import cycles, guard_memory, held_plans
from store.sync.guard_memory import Memory

NOW = datetime(2026, 11, 22, tzinfo=UTC)


async def cycle(
    db: Database,
    connection: Connection,
    hours: int,
    people: int,
    *,
    decision: PlanStatus | None = None,
    holds: bool = False,
) -> None:
    """A complete cycle that ended `hours` after NOW and saw so many people."""
    at = NOW + timedelta(hours=hours)
    started = await db.write(
        lambda conn: cycles.start(conn, connection.tenant_id, connection.id, CycleKind.FULL, now=at)
    )
    held = await hold(db, connection, started.id, decision) if holds else None
    await db.write(
        lambda conn: cycles.finish(
            conn,
            connection.tenant_id,
            started.id,
            cycles.CycleResult(
                CycleStatus.HELD if held else CycleStatus.APPLIED,
                complete=True,
                counts={"users": people},
                held_plan_id=held,
            ),
            now=at,
        )
    )


async def hold(
    db: Database, connection: Connection, cycle_id: CycleId, decision: PlanStatus | None
) -> PlanId:
    plan = await db.write(
        lambda conn: held_plans.hold(
            conn,
            connection.tenant_id,
            connection.id,
            cycle_id,
            "sum",
            "because",
            {},
            NOW + timedelta(days=7),
            now=NOW,
        )
    )
    if decision is not None:
        await db.write(
            lambda conn: held_plans.decide(
                conn, connection.tenant_id, plan.id, decision, checksum="sum", by="me", now=NOW
            )
        )
    return plan.id


async def remembered(db: Database, connection: Connection) -> Memory:
    async with db.reading() as conn:
        return await guard_memory.history(conn, connection.tenant_id, connection.id, NOW + timedelta(hours=3))


@pytest.mark.parametrize(
    ("decision", "people"),
    [(None, 100), (PlanStatus.REJECTED, 3), (PlanStatus.APPROVED, 3)],
    ids=["waits", "rejected", "approved"],
)
async def test_a_held_cycle_is_remembered_once_a_person_decided(
    database: Database, contoso: Connection, decision: PlanStatus | None, people: int
) -> None:
    """Rule 4: "fewer than half of the last good count": the same lie told twice must not pass."""
    await cycle(database, contoso, 1, 100)
    await cycle(database, contoso, 2, 3, holds=True, decision=decision)
    assert (await remembered(database, contoso)).last_good_counts == {"users": people}


async def test_a_deleted_user_counts_as_disabled_and_a_deleted_group_as_deleted(
    database: Database, contoso: Connection
) -> None:
    """Rule 3: the rolling window is judged by kind of removal; both end a person's access."""
    commands: list[Command] = [
        CreateUser({"userName": "ada@example.com"}, UserId("u")),
        CreateGroup({"displayName": "G"}, GroupId("g")),
        DeleteUser(UserId("u")),
        DeleteGroup(GroupId("g")),
    ]
    cause = Cause(Origin.SCIM, "r1")
    await lifecycle.perform(database, contoso.tenant_id, contoso.id, commands, cause, now=NOW)
    removals = (await remembered(database, contoso)).removals_last_24h
    assert removals == {Action.DISABLE: 1, Action.DELETE: 1}


@pytest.mark.parametrize(("actor", "counted"), [(UNATTENDED, {Action.DISABLE: 1}), ("ana", {})])
async def test_what_a_person_approved_does_not_fill_the_window(
    database: Database, contoso: Connection, actor: str, counted: dict[Action, int]
) -> None:
    """Rule 3: the window is there so "that many small cycles cannot leak past"; an approved plan is no leak."""
    await lifecycle.perform(
        database,
        contoso.tenant_id,
        contoso.id,
        [CreateUser({"userName": "ada@example.com", "active": True}, UserId("u")), DisableUser(UserId("u"))],
        Cause(Origin.GRAPH, "r1", actor),
        now=NOW,
    )
    assert (await remembered(database, contoso)).removals_last_24h == counted
