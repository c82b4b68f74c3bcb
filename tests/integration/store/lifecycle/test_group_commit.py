"""Pushes that come at once and are written together: one transaction, and yet each caller's own."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from sqlalchemy import func, select

from store import lifecycle, tables
from store.database import Database
from store.errors import NotFound, UniquenessConflict, UnknownMember
from store.logs import provisioning_log
from store.records import (
    AddMembers,
    Cause,
    ChangeUser,
    Connection,
    CreateUser,
    Document,
    LogStatus,
    Origin,
    Outcome,
    OutcomeStatus,
    Step,
    User,
    UserId,
)
from store.tenancy import connections, tenants
from tests.builders.store_rows import (
    create_group,
    create_user,
    member_ids,
    perform,
    person,
    read_user,
    setting,
)


async def at_once(database: Database, contoso: Connection, *commands: object) -> list[object]:
    """Performs each command for a caller of its own; gives what each is answered."""
    answers = await asyncio.gather(
        *(perform(database, contoso, command) for command in commands),  # type: ignore[arg-type]
        return_exceptions=True,
    )
    return [answer[0] if isinstance(answer, list) else answer for answer in answers]


def applied(answer: object) -> bool:
    return isinstance(answer, Outcome) and answer.status is OutcomeStatus.APPLIED


async def test_they_are_one_transaction(database: Database, contoso: Connection) -> None:
    """Of many that come at once, those that wait while the first is written share a version of the group."""
    people = [await create_user(database, contoso, f"user{number}") for number in range(30)]
    group = await create_group(database, contoso, "Everybody")

    answers = await at_once(database, contoso, *(AddMembers(group.id, (each.id,)) for each in people))

    versions = {answer.record.version for answer in answers if isinstance(answer, Outcome) and answer.record}
    assert all(map(applied, answers))
    assert await member_ids(database, contoso, group.id) == {each.id for each in people}
    assert len(versions) < len(people)


async def test_a_refusal_is_its_callers_alone(database: Database, contoso: Connection) -> None:
    """RFC 7644 §3.3: a userName that is taken is refused (409); whoever asked at the same moment gets what they asked."""
    answers = await at_once(
        database, contoso, *(CreateUser(person(name)) for name in ("ann", "bob", "ANN", "cid", "bob"))
    )

    refused = [type(answer) for answer in answers if not applied(answer)]
    assert refused == [UniquenessConflict, UniquenessConflict]
    assert [applied(answer) for answer in answers] == [True, True, False, True, False]


async def test_members_nobody_knows_refuse_one_caller(database: Database, contoso: Connection) -> None:
    """An unknown member, an unknown group: said to who named it, and the others' members are in."""
    ann, bob = [await create_user(database, contoso, name) for name in ("ann", "bob")]
    group = await create_group(database, contoso, "Staff")

    answers = await at_once(
        database,
        contoso,
        AddMembers(group.id, (ann.id,)),
        AddMembers(group.id, ("nobody",)),
        AddMembers(type(group.id)("no-such-group"), (ann.id,)),
        AddMembers(group.id, (bob.id,)),
    )

    assert [type(answer) for answer in answers] == [Outcome, UnknownMember, NotFound, Outcome]
    assert await member_ids(database, contoso, group.id) == {ann.id, bob.id}


async def test_an_error_of_a_callers_own_comes_out_at_that_caller(
    database: Database, contoso: Connection
) -> None:
    """A push decides by reading the row: what its decision raises is no business of the others."""
    people = [await create_user(database, contoso, f"user{number}") for number in range(6)]

    def no_target(_: Document) -> Document:
        raise LookupError("the path matches nothing")

    changes = [ChangeUser(each.id, setting(title="Archivist")) for each in people]
    changes[3] = ChangeUser(people[3].id, no_target)
    answers = await at_once(database, contoso, *changes)

    assert [type(answer) for answer in answers].count(LookupError) == 1
    assert isinstance(answers[3], LookupError)
    titles = [(await read_user(database, contoso, each.id)).document.get("title") for each in people]
    assert titles == ["Archivist"] * 3 + [None] + ["Archivist"] * 2


async def test_what_nobody_foresaw_undoes_all_and_each_is_done_by_itself(
    database: Database, contoso: Connection
) -> None:
    """An id another tenant has is found by the database itself, in mid-transaction: only who asked for it fails."""
    other = await database.write(lambda conn: tenants.create(conn, "Fabrikam"))
    theirs = await database.write(lambda conn: connections.create(conn, other.id, "Entra"))
    taken = await create_user(database, theirs, "eve")

    news = [CreateUser(person(f"user{number}")) for number in range(6)]
    news[2] = CreateUser(person("mallory"), id=taken.id)
    answers = await at_once(database, contoso, *news)

    assert [applied(answer) for answer in answers] == [True, True, False, True, True, True]
    assert isinstance(answers[2], Exception)
    async with database.reading() as conn:
        mine = tables.users.c.connection_id == contoso.id
        assert (await conn.execute(select(func.count()).where(mine))).scalar_one() == 5
        page = await provisioning_log.search(conn, contoso.tenant_id, contoso.id)
    assert len(page.entries) == 5, "what was undone left log entries"


async def test_the_log_says_of_each_who_wanted_it(database: Database, contoso: Connection) -> None:
    """An entry has the request id, the token and the steps of its own request."""

    async def create(number: int) -> None:
        step = Step("receive", LogStatus.SUCCESS, f"request {number}")
        cause = Cause(Origin.SCIM, f"request-{number}", f"token {number}", steps=(step,))
        command = CreateUser(person(f"user{number}"))
        await lifecycle.perform(database, contoso.tenant_id, contoso.id, [command], cause)

    await asyncio.gather(*(create(number) for number in range(12)))

    async with database.reading() as conn:
        page = await provisioning_log.search(conn, contoso.tenant_id, contoso.id)
    said = {(e.subject_label, e.correlation_id, e.actor, e.steps[0].detail) for e in page.entries}
    assert said == {
        (f"user{n}@contoso.example", f"request-{n}", f"token {n}", f"request {n}") for n in range(12)
    }


async def test_changes_of_one_person_follow_each_other(database: Database, contoso: Connection) -> None:
    """Each decides on what the one before it left, and is a version of its own: no update is lost."""
    ann = await create_user(database, contoso, "ann", title="0")

    def count(document: Document) -> Document:
        return {**document, "title": str(int(str(document["title"])) + 1)}

    answers = await at_once(database, contoso, *(ChangeUser(ann.id, count) for _ in range(25)))

    after = await read_user(database, contoso, ann.id)
    assert all(map(applied, answers))
    assert (after.document["title"], after.version) == ("25", 26)


async def test_one_command_may_be_asked_for_twice(database: Database, contoso: Connection) -> None:
    """The same value from two callers is two commands: the second finds it done (invariant I6)."""
    ann = await create_user(database, contoso, "ann")
    change = ChangeUser(ann.id, setting(title="Archivist"))

    answers = await at_once(database, contoso, change, change, change)

    statuses = [answer.status for answer in answers if isinstance(answer, Outcome)]
    assert statuses == [OutcomeStatus.APPLIED, OutcomeStatus.UNCHANGED, OutcomeStatus.UNCHANGED]


@pytest.mark.parametrize("leaving", [0, 4])
async def test_a_caller_who_leaves_leaves_the_others_alone(
    database: Database, contoso: Connection, leaving: int
) -> None:
    """Entra gives up after a while: what it asked for is done all the same, and whoever waited with it is answered."""
    tasks = [
        asyncio.create_task(perform(database, contoso, CreateUser(person(f"user{number}"))))
        for number in range(8)
    ]
    await asyncio.sleep(0)
    tasks[leaving].cancel()
    staying = [task for number, task in enumerate(tasks) if number != leaving]
    outcomes = [outcome for [outcome] in await asyncio.gather(*staying)]
    with contextlib.suppress(asyncio.CancelledError):
        await tasks[leaving]

    assert all(map(applied, outcomes))
    [again] = await at_once(database, contoso, CreateUser(person(f"user{leaving}")))
    assert isinstance(again, UniquenessConflict)


async def test_each_gets_its_own_row(database: Database, contoso: Connection) -> None:
    """The answer to a request is about whom it asked for."""
    answers = await at_once(database, contoso, *(CreateUser(person(f"user{n}")) for n in range(20)))

    users = [a.record for a in answers if isinstance(a, Outcome) and isinstance(a.record, User)]
    assert [user.external_id for user in users] == [f"user{n}" for n in range(20)]
    stored = [await read_user(database, contoso, UserId(user.id)) for user in users]
    assert stored == users
