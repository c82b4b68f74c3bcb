"""What is loaded for a focus: everything it is decided on, and never the whole connection."""

from __future__ import annotations

from store.database import Database
from store.records import (
    Connection,
    CreateUser,
    DeleteUser,
    GraphId,
    LinkGroup,
    LinkUser,
    MarkUser,
    Origin,
    Policy,
    User,
)
from tests.builders.reconcile.snapshots import person, reading
from tests.builders.store_rows import create_group, create_user, perform
from tests.builders.store_rows import person as document
from worker.cycle.load_state import load_part
from worker.reconcile.dependencies import rows_needed
from worker.reconcile.snapshot import Focus, Snapshot
from worker.reconcile.state import State, Totals

ANA, BO = GraphId("ana"), GraphId("bo")
SALES, STAFF = GraphId("sales"), GraphId("staff")


async def part(database: Database, contoso: Connection, snapshot: Snapshot, focus: Focus) -> State:
    return await load_part(database, contoso, rows_needed(contoso.id, snapshot, Policy(), focus))


async def linked(database: Database, contoso: Connection, name: str) -> User:
    user = await create_user(database, contoso, name)
    await perform(database, contoso, LinkUser(user.id, GraphId(name)))
    return user


async def test_of_a_person_the_row_the_memberships_and_their_groups_are_loaded(
    database: Database, contoso: Connection
) -> None:
    """Two groups hold her, one has others in it too: these are not loaded."""
    ana, bo = await linked(database, contoso, "ana"), await linked(database, contoso, "bo")
    both = await create_group(database, contoso, "Sales", ana.id, bo.id)
    hers = await create_group(database, contoso, "Chess", ana.id)
    await create_group(database, contoso, "Staff", bo.id)
    snapshot = reading([person("ana")], groups={"sales": ["ana"], "staff": []})
    state = await part(database, contoso, snapshot, Focus(users=frozenset({ANA})))
    assert set(state.users) == {ana.id}
    assert set(state.groups) == {both.id, hers.id}
    assert state.members == {both.id: {ana.id}, hers.id: {ana.id}}


async def test_of_a_group_all_members_are_loaded_with_their_rows(
    database: Database, contoso: Connection
) -> None:
    """Who is a member here and not in Entra can only be told where all are seen."""
    ana, bo = await linked(database, contoso, "ana"), await linked(database, contoso, "bo")
    await linked(database, contoso, "cy")
    inner = await create_group(database, contoso, "Inner")
    group = await create_group(database, contoso, "Sales", ana.id, bo.id, inner.id)
    outer = await create_group(database, contoso, "Outer", group.id)
    await perform(database, contoso, LinkGroup(group.id, SALES))
    snapshot = reading([person("ana")], groups={"sales": ["ana"]})
    state = await part(database, contoso, snapshot, Focus(groups=frozenset({SALES})))
    assert set(state.users) == {ana.id, bo.id}
    assert set(state.groups) == {group.id, inner.id, outer.id}
    assert state.members == {group.id: {ana.id, bo.id, inner.id}, outer.id: {group.id}}


async def test_rows_that_could_be_a_persons_are_loaded_the_deleted_too(
    database: Database, contoso: Connection
) -> None:
    """By link, by userName, by object id or nickname as externalId, whatever the letter case."""
    by_name = await create_user(database, contoso, "x", userName="ANA@corp.example", externalId="x")
    by_id = await create_user(database, contoso, "y", externalId="ANA")
    await create_user(database, contoso, "z")
    gone = await create_user(database, contoso, "w")
    await perform(database, contoso, LinkUser(gone.id, ANA), DeleteUser(gone.id))
    state = await part(database, contoso, reading([person("ana")]), Focus(users=frozenset({ANA})))
    assert set(state.users) == {by_name.id, by_id.id, gone.id}


async def test_a_manager_is_loaded_to_be_referred_to(database: Database, contoso: Connection) -> None:
    """The manager's row is found by its link, though the manager is not in focus."""
    boss = await linked(database, contoso, "boss")
    snapshot = reading([person("ana", manager="boss")])
    assert set((await part(database, contoso, snapshot, Focus(users=frozenset({ANA})))).users) == {boss.id}


async def test_many_values_are_asked_for_in_parts(database: Database, contoso: Connection) -> None:
    """A list of more than some hundred values takes several queries, and loses nobody."""
    names = [f"p{number}" for number in range(1201)]
    made = [CreateUser(document(name), entra_object_id=GraphId(name)) for name in names]
    await perform(database, contoso, *made, origin=Origin.GRAPH, atomic=False)
    state = await part(database, contoso, reading(), Focus(users=frozenset(map(GraphId, names))))
    assert len(state.users) == 1201


async def test_totals_are_of_the_whole_connection(database: Database, contoso: Connection) -> None:
    """A percentage is taken of what is here, not of what was loaded."""
    ana, bo = await linked(database, contoso, "ana"), await linked(database, contoso, "bo")
    await create_user(database, contoso, "cy", active=False)
    await create_group(database, contoso, "Sales", ana.id, bo.id)
    state = await part(database, contoso, reading(), Focus(users=frozenset({ANA})))
    assert state.totals == Totals(active_users=2, groups=1, memberships=2)


async def test_an_admin_who_was_not_loaded_is_one_besides(database: Database, contoso: Connection) -> None:
    """Somebody is the last admin only if nobody else in the tenant is one."""
    ana, bo = await linked(database, contoso, "ana"), await linked(database, contoso, "bo")
    await perform(database, contoso, MarkUser(ana.id, is_admin=True))
    only_ana = Focus(users=frozenset({ANA}))
    assert not (await part(database, contoso, reading(), only_ana)).has_admin_elsewhere
    await perform(database, contoso, MarkUser(bo.id, is_admin=True))
    assert (await part(database, contoso, reading(), only_ana)).has_admin_elsewhere
