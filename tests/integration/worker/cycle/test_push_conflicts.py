"""A cycle looks at once, and alone, at what the push did to two accounts of one object id (identity.md, W1, W3)."""

from __future__ import annotations

from msgspec import structs

from store import lifecycle
from store.records import (
    Action,
    Cause,
    ChangeHolder,
    ChangeUser,
    CreateUser,
    CycleKind,
    DeleteUser,
    DriftFinding,
    DriftKind,
    GraphId,
    Origin,
    User,
)
from store.records.drift import ConflictKind, PushConflict
from store.sync import push_conflicts
from tests.builders.simulated_connection import Pull


async def two_people(pull: Pull) -> tuple[User, User]:
    """Two entitled people with an account each, after a cycle that left nothing to do."""
    await pull.cycle()
    await pull.cycle()
    here = await pull.users()
    first, second = sorted(pull.directory.entitled())[:2]
    return here[first], here[second]


async def noted(pull: Pull, kind: ConflictKind, account: str, person: User) -> None:
    connection = pull.connection
    conflict = PushConflict(
        kind, account, GraphId(person.entra_object_id or ""), person.id, pull.services.clock()
    )
    await pull.db.write(lambda conn: push_conflicts.note(conn, connection.tenant_id, connection.id, conflict))


async def waiting(pull: Pull) -> tuple[PushConflict, ...]:
    async with pull.db.reading() as conn:
        return await push_conflicts.load(conn, pull.connection.tenant_id, pull.connection.id)


async def perform(pull: Pull, *commands: object, origin: Origin = Origin.SCIM) -> None:
    connection = pull.connection
    await lifecycle.perform(
        *(pull.db, connection.tenant_id, connection.id),
        list(commands),  # type: ignore[arg-type]
        Cause(origin, "a request"),
    )


def of_kind(found: object, kind: DriftKind) -> list[DriftFinding]:
    return [f for f in found if f.kind is kind]  # type: ignore[attr-defined]


async def test_a_refused_write_leaves_a_broken_anchor_with_its_remedy_until_the_push_writes_again(
    pull: Pull,
) -> None:
    """W1: the account is read by the next increment, told in every report, and over when the push gets through."""
    broken, other = await two_people(pull)
    await noted(pull, ConflictKind.ANCHOR_BROKEN, broken.id, other)

    report = await pull.increment()

    assert report.kind is CycleKind.INCREMENTAL
    [finding] = of_kind(await pull.findings(report), DriftKind.ANCHOR_BROKEN)
    assert finding.subject_label == broken.user_name
    assert other.user_name in str(finding.evidence["detail"])
    assert "full reset" in str(finding.evidence["detail"])
    assert of_kind(await pull.findings(await pull.cycle()), DriftKind.ANCHOR_BROKEN), "a full cycle too"
    await perform(pull, ChangeUser(broken.id, lambda document: {**document, "title": "Clerk"}))
    over = await pull.findings(await pull.cycle())
    assert [f.state.value for f in of_kind(over, DriftKind.ANCHOR_BROKEN)] == ["resolved"]
    assert await waiting(pull) == ()


async def test_a_refused_second_account_is_looked_at_once(pull: Pull) -> None:
    """W1: the person's account is compared alone in the next increment; nothing is left of it then."""
    _, other = await two_people(pull)
    await pull.postpone()
    await noted(pull, ConflictKind.SECOND_ACCOUNT, "", other)
    await pull.reload()
    last = pull.connection.last_cycle_at
    assert last is not None
    assert pull.connection.next_due_at is not None
    assert pull.connection.next_due_at <= last + push_conflicts.WAKE_GAP, "due at once"

    await pull.increment()

    assert await waiting(pull) == ()


async def test_a_conflict_that_comes_while_a_cycle_runs_is_not_lost(pull: Pull) -> None:
    """The cycle did not look at it: the next one is due a minute later."""
    _, other = await two_people(pull)
    await noted(pull, ConflictKind.SECOND_ACCOUNT, "", other)
    [conflict] = await waiting(pull)
    scope = pull.connection.tenant_id, pull.connection.id
    later = structs.replace(conflict, at=pull.services.clock())
    await pull.db.write(lambda conn: push_conflicts.note(conn, *scope, later))

    is_left = await pull.db.write(lambda conn: push_conflicts.settle(conn, *scope, [conflict], []))

    assert is_left
    assert await waiting(pull) == (later,)


async def test_a_delete_through_the_old_anchor_is_obeyed_and_the_present_person_is_back_at_once(
    pull: Pull,
) -> None:
    """W3, day 30: Entra purges the earlier holder and deletes the account that is another person's by now."""
    person = GraphId(sorted(pull.directory.entitled())[0])
    name = str(pull.directory.users[person].properties["userPrincipalName"])
    earlier = CreateUser({"userName": name, "active": True}, entra_object_id=GraphId("an earlier holder"))
    await perform(pull, earlier)
    account = (await pull.users())["an earlier holder"]
    await perform(pull, ChangeHolder(account.id, person), origin=Origin.GRAPH)
    await pull.cycle()
    await pull.cycle()
    await pull.postpone()

    await perform(pull, DeleteUser(account.id))

    assert not (await pull.users())[person].active, "the push is obeyed"
    report = await pull.increment()
    assert report.applied[Action.RESTORE] == 1
    assert (await pull.users())[person].active
    [finding] = of_kind(await pull.findings(report), DriftKind.SHARED_ANCHOR)
    assert "full reset" in str(finding.evidence["detail"])


async def test_an_account_that_went_back_to_its_first_holder_may_still_have_two_anchors(pull: Pull) -> None:
    """W3: the person has their old number 1 again; the one between is anchored to the account all the same."""
    first, _ = await two_people(pull)
    person = GraphId(first.entra_object_id or "")
    await perform(pull, ChangeHolder(first.id, GraphId("one between")), origin=Origin.GRAPH)
    await perform(pull, ChangeHolder(first.id, person, directory_id=first.directory_id), origin=Origin.GRAPH)
    await pull.cycle()
    await pull.postpone()
    assert (await pull.users())[person].holder_number == 1

    await perform(pull, DeleteUser(first.id))

    report = await pull.increment()
    assert (await pull.users())[person].active, "who is entitled is back at once"
    [finding] = of_kind(await pull.findings(report), DriftKind.SHARED_ANCHOR)
    assert "full reset" in str(finding.evidence["detail"])
