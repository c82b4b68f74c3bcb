"""Applying a plan: in batches, under versions, again and again, on both databases."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from store import lifecycle
from store.database import Database
from store.directory import memberships, users
from store.records import (
    Action,
    Cause,
    ChangeUser,
    Command,
    Connection,
    CreateUser,
    DeleteUser,
    DriftKind,
    GraphId,
    GroupId,
    Origin,
    OutcomeStatus,
    SubjectType,
    User,
    UserId,
)
from store.sync import leases
from worker.apply.apply_plan import Applied, apply
from worker.errors import LeaseLost, Yielded
from worker.reconcile.mapping.attribute_paths import write_paths
from worker.reconcile.plan import Change, Subject

CAUSE = Cause(Origin.GRAPH, "cycle-1", "worker")
PUSH = Cause(Origin.SCIM, "push-1")
TEAM = Subject(SubjectType.GROUP, GraphId("g-team"), "team", "Team")

APPLIED, UNCHANGED, SKIPPED, FAILED = (
    OutcomeStatus.APPLIED,
    OutcomeStatus.UNCHANGED,
    OutcomeStatus.SKIPPED,
    OutcomeStatus.FAILED,
)


def person(number: int) -> Subject:
    return Subject(
        SubjectType.USER, GraphId(f"g-{number}"), f"person-{number}", f"person{number}@example.com"
    )


def create(subject: Subject, user_name: str | None = None) -> Change:
    return Change(
        DriftKind.MISSED_PROVISION, Action.CREATE, subject, after={"userName": user_name or subject.label}
    )


def create_team() -> Change:
    return Change(DriftKind.GROUP_MISSING, Action.CREATE, TEAM, after={"displayName": "Team"})


def add(member: Subject) -> Change:
    return Change(DriftKind.MEMBERSHIP_MISSING, Action.ADD_MEMBER, TEAM, member=member)


def change(action: Action, subject: Subject, version: int, **after: object) -> Change:
    return Change(DriftKind.ATTRIBUTE_MISMATCH, action, subject, after=after, expected_version=version)  # type: ignore[arg-type]


async def no_safe_point(_done: int) -> None:
    pass


async def applying(
    db: Database, connection: Connection, changes: Sequence[Change], batch_size: int = 100
) -> Applied:
    return await apply(db, connection, changes, CAUSE, no_safe_point, batch_size=batch_size)


async def pushed(db: Database, connection: Connection, *commands: Command) -> None:
    await lifecycle.perform(db, connection.tenant_id, connection.id, commands, PUSH)


async def people(db: Database, connection: Connection) -> dict[str, User]:
    async with db.reading() as conn:
        found = await users.load_state(conn, connection.tenant_id, connection.id)
    return {str(user_id): user for user_id, user in found.items()}


async def members(db: Database, connection: Connection) -> set[str]:
    async with db.reading() as conn:
        found = await memberships.load_state(conn, connection.tenant_id, connection.id)
    return set(found.get(GroupId("team"), ()))


FIRST_PLAN = (*(create(person(n)) for n in range(7)), create_team(), *(add(person(n)) for n in range(7)))


@pytest.mark.parametrize("batch_size", [1, 3, 100])
async def test_the_size_of_batches_makes_no_difference(
    database: Database, contoso: Connection, batch_size: int
) -> None:
    """Whatever is in one transaction, the end is the same."""
    applied = await applying(database, contoso, FIRST_PLAN, batch_size)
    assert applied.counts == {Action.CREATE: 8, Action.ADD_MEMBER: 7}
    assert await members(database, contoso) == {f"person-{n}" for n in range(7)}


async def test_applied_twice_nothing_changes_the_second_time(database: Database, contoso: Connection) -> None:
    """I6: applying a plan twice changes nothing the second time."""
    await applying(database, contoso, FIRST_PLAN)
    before = await people(database, contoso)
    again = await applying(database, contoso, FIRST_PLAN)
    assert again.counts == {}
    assert set(again.statuses) == {UNCHANGED}
    assert await people(database, contoso) == before


@pytest.mark.parametrize("done", [1, 5, 9, 12])
async def test_broken_off_and_applied_again_it_ends_where_it_should(
    database: Database, contoso: Connection, done: int
) -> None:
    """Killed in the middle and run again ends in the same state."""

    async def break_off(number: int) -> None:
        if number >= done:
            raise Yielded("broken off")

    with pytest.raises(Yielded):
        await apply(database, contoso, FIRST_PLAN, CAUSE, break_off, batch_size=2)
    await applying(database, contoso, FIRST_PLAN)
    assert set(await people(database, contoso)) == {f"person-{n}" for n in range(7)}
    assert await members(database, contoso) == {f"person-{n}" for n in range(7)}


async def test_several_changes_of_one_row_follow_each_other(database: Database, contoso: Connection) -> None:
    """One row may have several changes; each is decided on the version the one before left behind."""
    ada = person(1)
    await pushed(database, contoso, CreateUser({"userName": ada.label, "active": False}, UserId("person-1")))
    applied = await applying(
        database,
        contoso,
        [
            change(Action.LINK, ada, 1),
            change(Action.UPDATE, ada, 1, title="Boss"),
            change(Action.ENABLE, ada, 1, active=True),
        ],
    )
    assert applied.statuses == [APPLIED] * 3
    row = (await people(database, contoso))["person-1"]
    assert (row.entra_object_id, row.document["title"], row.active, row.version) == ("g-1", "Boss", True, 4)


@pytest.mark.parametrize("action", [Action.LINK, Action.UNSEAL])
async def test_people_who_swap_their_names_share_a_batch(
    database: Database, contoso: Connection, action: Action
) -> None:
    """One after the other neither could have the other's name; nothing that is known first comes between (seed 52019)."""
    trio = [person(n) for n in range(3)]
    await pushed(
        database,
        contoso,
        *(CreateUser({"userName": p.label}, UserId(f"person-{n}")) for n, p in enumerate(trio)),
    )
    renames = [trio[2].label, "somebody@example.com", trio[0].label]
    applied = await applying(
        database,
        contoso,
        [
            change(action, trio[1], 1),
            *(change(Action.UPDATE, p, 1, userName=n) for p, n in zip(trio, renames, strict=True)),
        ],
    )
    assert applied.statuses[1:] == [APPLIED] * 3
    assert [row.user_name for _, row in sorted((await people(database, contoso)).items())] == renames


async def test_a_row_that_moved_is_skipped_and_says_so(database: Database, contoso: Connection) -> None:
    """I7: a row that moved meanwhile (a push landed) is skipped and looked at again in the next cycle."""
    await pushed(database, contoso, CreateUser({"userName": "a@example.com"}, UserId("person-1")))
    title = ChangeUser(UserId("person-1"), lambda document: write_paths(document, {"title": "pushed"}))
    await pushed(database, contoso, title)
    applied = await applying(database, contoso, [change(Action.UPDATE, person(1), 1, title="planned")])
    assert applied.statuses == [SKIPPED]
    assert applied.details[0]
    assert (await people(database, contoso))["person-1"].document["title"] == "pushed"


async def test_a_group_that_a_push_changed_keeps_what_the_push_made_of_it(
    database: Database, contoso: Connection
) -> None:
    """I7 holds for memberships too: planned at the group's version, passed over at another."""
    await applying(database, contoso, FIRST_PLAN)
    stale = Change(
        DriftKind.MEMBERSHIP_EXTRA, Action.REMOVE_MEMBER, TEAM, member=person(1), expected_version=1
    )
    applied = await applying(database, contoso, [stale])
    assert applied.statuses == [SKIPPED]
    assert "person-1" in await members(database, contoso)


async def test_somebody_who_cannot_be_created_does_not_hold_up_the_others(
    database: Database, contoso: Connection
) -> None:
    """Each command stands alone: a refusal is an outcome, and the memberships of others go on."""
    await pushed(database, contoso, CreateUser({"userName": "taken@example.com"}))
    plan = [
        create(person(1)),
        create(person(2), "taken@example.com"),
        create(person(3)),
        create_team(),
        *(add(person(number)) for number in (1, 2, 3)),
    ]
    applied = await applying(database, contoso, plan)
    assert applied.statuses == [APPLIED, FAILED, APPLIED, APPLIED, APPLIED, SKIPPED, APPLIED]
    assert await members(database, contoso) == {"person-1", "person-3"}


async def test_an_unknown_member_does_not_keep_the_others_out(
    database: Database, contoso: Connection
) -> None:
    """A refused member of many: the others are added one by one."""
    applied = await applying(
        database,
        contoso,
        [create(person(1)), create(person(3)), create_team(), *map(add, map(person, (1, 2, 3)))],
    )
    assert applied.statuses[3:] == [APPLIED, FAILED, APPLIED]
    assert await members(database, contoso) == {"person-1", "person-3"}


async def test_who_returns_gets_the_old_row_and_the_memberships_planned_for_the_new(
    database: Database, contoso: Connection
) -> None:
    """I8: the same person's older row is restored, with its history; what follows in the plan goes to it."""
    known = CreateUser({"userName": "before@example.com"}, UserId("old"), person(1).graph_id)
    await pushed(database, contoso, known)
    await pushed(database, contoso, DeleteUser(UserId("old")))
    applied = await applying(database, contoso, [create(person(1)), create_team(), add(person(1))])
    assert applied.statuses == [APPLIED] * 3
    assert list(await people(database, contoso)) == ["old"]
    assert await members(database, contoso) == {"old"}


async def test_without_the_lease_nothing_is_written(database: Database, contoso: Connection) -> None:
    """A stale fence: the first batch is refused, and the run ends."""
    lease = await database.write(
        lambda conn: leases.acquire(conn, contoso.tenant_id, contoso.id, "w", contoso.created_at, 1)
    )
    assert lease is not None
    later = contoso.created_at.replace(year=contoso.created_at.year + 1)
    await database.write(lambda conn: leases.acquire(conn, contoso.tenant_id, contoso.id, "x", later, 1))
    cause = Cause(Origin.GRAPH, "cycle-1", "worker", lease.fence)
    with pytest.raises(LeaseLost):
        await apply(database, contoso, FIRST_PLAN, cause, no_safe_point)
    assert await people(database, contoso) == {}


async def test_the_safe_point_is_told_how_far_it_is(database: Database, contoso: Connection) -> None:
    """Progress: done grows to the number of changes."""
    told: list[int] = []

    async def tell(done: int) -> None:
        told.append(done)

    await apply(database, contoso, FIRST_PLAN, CAUSE, tell, batch_size=4)
    assert told == sorted(told)
    assert told[-1] == len(FIRST_PLAN)
