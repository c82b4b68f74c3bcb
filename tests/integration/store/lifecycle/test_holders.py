"""Which person an account stands for: proofs, seals, changes of holder, released names (identity.md, W1-W7)."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from store import tables
from store.database import Database
from store.directory import assessment_results, sessions
from store.errors import OtherAccount, UniquenessConflict
from store.records import (
    Action,
    ChangeHolder,
    ChangeUser,
    Connection,
    CreateUser,
    DeleteUser,
    GraphId,
    HolderBasis,
    LinkUser,
    MarkUser,
    Origin,
    Reason,
    ReleaseNames,
    RetireUser,
    SealUser,
    UnsealUser,
    User,
    UserId,
)
from store.tenancy import connections
from tests.builders.store_rows import create_group, member_ids, perform, person, read_user, setting

ANN, ANN_AGAIN = GraphId("entra-ann"), GraphId("entra-another-ann")
OBJECT_ID, ANOTHER_ID = "5c1b0f0e-6f5e-4a5e-8f2d-0b3a7d9e1a01", "9b8a7c6d-5e4f-4210-8c8b-7a6d5e4f3a21"


async def test_a_name_alone_restores_no_account(database: Database, contoso: Connection) -> None:
    """W5: a POST under the name of a deleted account makes a new account: two externalIds are two people."""
    [first] = await perform(database, contoso, CreateUser(person("ann", externalId="00uA")))
    assert isinstance(first.record, User)
    await perform(database, contoso, DeleteUser(first.record.id))

    [second] = await perform(database, contoso, CreateUser(person("ann", externalId="00uB")))

    assert second.action is Action.CREATE


async def test_both_names_restore_an_account_under_a_seal(database: Database, contoso: Connection) -> None:
    """W5: the push gives access again without a proof: the history is hidden until the person is known."""
    [first] = await perform(database, contoso, CreateUser(person("ann", externalId="00uA")))
    assert isinstance(first.record, User)
    ann = first.record.id
    await database.write(lambda conn: assessment_results.add(conn, contoso.tenant_id, ann, "Reading", 97))
    await perform(database, contoso, DeleteUser(ann))

    [back] = await perform(database, contoso, CreateUser(person("ann", externalId="00uA")))

    assert isinstance(back.record, User)
    assert back.record.id == ann
    assert back.record.sealed_at is not None
    assert await titles(database, contoso, ann) == []
    await perform(database, contoso, UnsealUser(ann), origin=Origin.GRAPH)
    assert await titles(database, contoso, ann) == ["Reading"]


async def test_a_change_of_holder_ends_every_key_and_hides_the_history(
    database: Database, contoso: Connection
) -> None:
    """W3, W4: keys die, marks are dropped, memberships end but those Entra gives; who comes back has the old
    number, and with it the history."""
    [made] = await perform(database, contoso, CreateUser(person("ann"), entra_object_id=ANN))
    assert isinstance(made.record, User)
    ann = made.record.id
    kept, lost = [await create_group(database, contoso, name, ann) for name in ("Kept", "Lost")]
    await perform(database, contoso, MarkUser(ann, is_protected=True, is_admin=True))
    _, secret = await database.write(lambda conn: sessions.start(conn, contoso.tenant_id, ann))
    await database.write(lambda conn: assessment_results.add(conn, contoso.tenant_id, ann, "Hers", 97))

    change = ChangeHolder(ann, ANN_AGAIN, basis=HolderBasis.NAMES, keep_group_ids=frozenset({kept.id}))
    [outcome] = await perform(database, contoso, change, origin=Origin.GRAPH)

    after = outcome.record
    assert isinstance(after, User)
    assert (after.holder_number, after.is_protected, after.is_admin, after.active) == (2, False, False, True)
    assert await titles(database, contoso, ann) == []
    async with database.reading() as conn:
        assert await sessions.find_live(conn, secret) is None
        [hers] = await assessment_results.list_for_holder(conn, contoso.tenant_id, ann, 1)
    assert hers.title == "Hers"
    assert await member_ids(database, contoso, kept.id) == {ann}
    assert await member_ids(database, contoso, lost.id) == set()
    [back] = await perform(database, contoso, ChangeHolder(ann, ANN), origin=Origin.GRAPH)
    assert isinstance(back.record, User)
    assert back.record.holder_number == 1
    assert await titles(database, contoso, ann) == ["Hers"]


async def test_a_retired_account_gives_up_names_keys_and_person_and_keeps_its_history(
    database: Database, contoso: Connection
) -> None:
    """W1: the person's other account takes names and person; who had the retired one is kept with the number."""
    [made] = await perform(
        database, contoso, CreateUser(person("ann"), entra_object_id=ANN), origin=Origin.GRAPH
    )
    [pushed] = await perform(database, contoso, CreateUser(person("ann.lee")))
    assert isinstance(made.record, User)
    assert isinstance(pushed.record, User)
    ann = made.record.id
    _, secret = await database.write(lambda conn: sessions.start(conn, contoso.tenant_id, ann))
    await database.write(lambda conn: assessment_results.add(conn, contoso.tenant_id, ann, "Hers", 97))

    await perform(database, contoso, RetireUser(ann), origin=Origin.GRAPH)
    await perform(database, contoso, LinkUser(pushed.record.id, ANN), origin=Origin.GRAPH)

    retired = await read_user(database, contoso, ann)
    assert (retired.active, retired.external_id, retired.entra_object_id) == (False, None, None)
    assert retired.user_name.endswith("@released.invalid")
    async with database.reading() as conn:
        assert await sessions.find_live(conn, secret) is None
    assert await titles(database, contoso, ann) == ["Hers"]


async def test_a_sealed_account_keeps_access_and_no_key(database: Database, contoso: Connection) -> None:
    """W3: it is in doubt whose it is: history is hidden and marks are suspended until the person is known."""
    [made] = await perform(database, contoso, CreateUser(person("ann"), entra_object_id=ANN))
    assert isinstance(made.record, User)
    ann = made.record.id
    await perform(database, contoso, MarkUser(ann, is_protected=True))
    _, secret = await database.write(lambda conn: sessions.start(conn, contoso.tenant_id, ann))
    await database.write(lambda conn: assessment_results.add(conn, contoso.tenant_id, ann, "Hers", 97))

    [outcome] = await perform(database, contoso, SealUser(ann), origin=Origin.GRAPH)

    assert isinstance(outcome.record, User)
    assert (outcome.record.active, outcome.record.is_guarded) == (True, False)
    async with database.reading() as conn:
        assert await sessions.find_live(conn, secret) is None
    assert await titles(database, contoso, ann) == []


async def test_names_that_are_released_are_free_for_the_next_person(
    database: Database, contoso: Connection
) -> None:
    """W2: the account gives up every value that the push may match by; the old values stay in the log."""
    [made] = await perform(database, contoso, CreateUser(person("ann"), entra_object_id=ANN))
    assert isinstance(made.record, User)

    released, created = await perform(
        database,
        contoso,
        ReleaseNames(made.record.id, Reason.PURGED),
        CreateUser(person("ann"), entra_object_id=ANN_AGAIN),
        origin=Origin.GRAPH,
    )

    assert isinstance(released.record, User)
    assert (released.record.active, released.record.external_id) == (False, None)
    assert released.record.user_name.endswith("@released.invalid")
    assert "emails" not in released.record.document
    assert created.action is Action.CREATE


async def test_a_push_cannot_make_a_second_account_of_one_object_id(
    database: Database, contoso: Connection
) -> None:
    """W1: 409; never for a request that leaves the account inactive, which is applied as sent."""
    [ann] = await perform(database, contoso, CreateUser(person("ann", externalId=OBJECT_ID)))
    assert isinstance(ann.record, User)
    named = OtherAccount(ann.record.id, "ann@contoso.example", OBJECT_ID)
    [other] = await perform(database, contoso, CreateUser(person("bea", externalId="bea")))
    assert isinstance(other.record, User)
    bea = other.record.id

    with pytest.raises(UniquenessConflict, match="externalId") as refused:
        await perform(database, contoso, CreateUser(person("ann.new", externalId=OBJECT_ID.upper())))
    assert refused.value.other == named
    with pytest.raises(UniquenessConflict, match="externalId") as refused:
        await perform(database, contoso, ChangeUser(bea, setting(externalId=OBJECT_ID)))
    assert refused.value.other == named
    [outcome] = await perform(database, contoso, ChangeUser(bea, setting(externalId=OBJECT_ID, active=False)))
    assert outcome.action is Action.DISABLE
    with pytest.raises(UniquenessConflict, match="externalId"):
        await perform(database, contoso, ChangeUser(bea, setting(active=True)))


async def test_another_object_id_in_a_held_account_ends_its_keys(
    database: Database, contoso: Connection
) -> None:
    """W3: Entra may have given the account away: access stays, keys die, the history is sealed."""
    [made] = await perform(database, contoso, CreateUser(person("ann", externalId=OBJECT_ID)))
    assert isinstance(made.record, User)
    ann = made.record.id
    _, secret = await database.write(lambda conn: sessions.start(conn, contoso.tenant_id, ann))

    [outcome] = await perform(database, contoso, ChangeUser(ann, setting(externalId=ANOTHER_ID)))

    assert isinstance(outcome.record, User)
    assert outcome.record.active
    assert outcome.record.sealed_at is not None
    async with database.reading() as conn:
        assert await sessions.find_live(conn, secret) is None


async def titles(database: Database, connection: Connection, user_id: UserId) -> list[str]:
    async with database.reading() as conn:
        found = await assessment_results.list_for_user(conn, connection.tenant_id, user_id)
    return [result.title for result in found]


async def test_history_follows_a_proven_person_across_accounts_and_connections(
    database: Database, contoso: Connection
) -> None:
    """W4: by proof only; a name, another directory, or a seal shows nothing of the other account."""
    second = await database.write(lambda conn: connections.create(conn, contoso.tenant_id, "Second"))
    made: list[UserId] = []
    for connection, command in (
        (contoso, CreateUser(person("ann"), entra_object_id=ANN)),
        (second, CreateUser(person("ann"), entra_object_id=ANN)),
    ):
        [outcome] = await perform(database, connection, command, origin=Origin.GRAPH)
        assert isinstance(outcome.record, User)
        made.append(outcome.record.id)
    first, other = made

    async def known(user_id: UserId, **values: str | None) -> None:
        change = update(tables.users).where(tables.users.c.id == user_id).values(**values)
        await database.write(lambda conn: conn.execute(change))

    for user_id, title in ((first, "In the first"), (other, "In the second")):
        await known(user_id, directory_id="directory", holder_basis="proof")
        await took(database, contoso, user_id, title)

    assert set(await titles(database, contoso, first)) == {"In the first", "In the second"}
    await known(other, holder_basis="names")
    assert await titles(database, contoso, first) == ["In the first"], "a name proves nothing"
    assert await titles(database, contoso, other) == ["In the second"]
    await known(other, directory_id="another", holder_basis="proof")
    assert await titles(database, contoso, first) == ["In the first"], "nor does another directory"
    await known(other, directory_id="directory")
    await perform(database, second, SealUser(other), origin=Origin.GRAPH)
    await took(database, contoso, other, "In doubt")
    assert set(await titles(database, contoso, first)) == {"In the first", "In the second"}


async def test_what_was_recorded_under_a_seal_is_neither_holders_and_kept(
    database: Database, contoso: Connection
) -> None:
    """W4: who had the account then is not known: neither sees it, an admin does, under a number of its own."""
    [made] = await perform(
        database, contoso, CreateUser(person("ann"), entra_object_id=ANN), origin=Origin.GRAPH
    )
    assert isinstance(made.record, User)
    ann = made.record.id
    await database.write(lambda conn: assessment_results.add(conn, contoso.tenant_id, ann, "Hers", 97))
    await perform(database, contoso, SealUser(ann), origin=Origin.GRAPH)
    await database.write(lambda conn: assessment_results.add(conn, contoso.tenant_id, ann, "Not hers", 12))

    await perform(database, contoso, ChangeHolder(ann, ANN_AGAIN), origin=Origin.GRAPH)
    assert await titles(database, contoso, ann) == []
    await perform(database, contoso, ChangeHolder(ann, ANN), origin=Origin.GRAPH)
    assert await titles(database, contoso, ann) == ["Hers"]
    await perform(database, contoso, ChangeHolder(ann, GraphId("entra-third")), origin=Origin.GRAPH)
    assert (await read_user(database, contoso, ann)).holder_number == 4, "the number is not given to anybody"
    async with database.reading() as conn:
        [kept] = await assessment_results.list_for_holder(conn, contoso.tenant_id, ann, 3)
    assert kept.title == "Not hers"


async def took(database: Database, connection: Connection, user_id: UserId, title: str) -> None:
    await database.write(lambda conn: assessment_results.add(conn, connection.tenant_id, user_id, title, 97))
