"""On demand: one subject, found by whatever the admin typed, read alone."""

import pytest

from simulator.directory import Directory
from simulator.objects import JsonValue
from store.records import GraphId, MembershipMode
from tests.integration.graph_reading import LEAST, Reading, reading, unfinished
from worker.graph.errors import AmbiguousSubject, ConsentMissing, SubjectNotFound
from worker.graph.reader import read_subject
from worker.reconcile.snapshot import Snapshot


async def subject(run: Reading, reference: str) -> Snapshot:
    return await read_subject(run.graph, run.connection, reference)


def new_person(directory: Directory, name: str = "mara.oduya") -> str:
    mail = f"{name}@fabrikam-demo.example"
    properties: dict[str, JsonValue] = {
        "userPrincipalName": mail,
        "mail": f"{name}@mail.example",
        "mailNickname": name,
        "displayName": "Mara Oduya",
        "accountEnabled": True,
    }
    return directory.create_user(properties).id


@pytest.mark.parametrize(
    "reference",
    [
        "{id}",
        "{ID}",
        " {id} ",
        "mara.oduya@fabrikam-demo.example",
        "Mara.Oduya@Fabrikam-Demo.example",
        "mara.oduya@mail.example",
    ],
    ids=["id", "id in capitals", "id with spaces", "userPrincipalName", "in another case", "mail"],
)
async def test_a_user_is_found_by_any_name(reference: str) -> None:
    """design.md §6: `SUBJECT` is a UPN, an object id or an e-mail address."""
    async with reading() as run:
        person = new_person(run.simulator.directory)
        found = await subject(run, reference.format(id=person, ID=person.upper()))
        assert found.users.keys() == {person}
        assert unfinished(found) == []


async def test_a_user_comes_with_manager_assignments_and_groups() -> None:
    """Every assigned group has an entry, so that a membership too many can be seen; nobody else is in it."""
    async with reading() as run:
        directory = run.simulator.directory
        person = new_person(directory)
        boss = new_person(directory, "jun.abe")
        directory.set_manager(person, boss)
        directory.assign(person)
        held = GraphId(
            next(row.principal_id for row in directory.live_assignments() if row.principal_type == "Group")
        )
        directory.add_member(held, person)
        found = await subject(run, person)
        assert found.users[GraphId(person)].manager_id == boss
        assert person in {row.principal_id for row in found.assignments}
        assert found.members[held] == {person}
        others = {group: members for group, members in found.members.items() if group != held}
        assert others
        assert all(members == frozenset() for members in others.values())
        assert found.groups[held].display_name == directory.groups[held].display_name


async def test_an_assignment_through_a_group_is_not_ones_own() -> None:
    """Graph lists what comes through groups among a user's appRoleAssignments."""
    async with reading() as run:
        directory = run.simulator.directory
        person = new_person(directory)
        to_groups = [
            row.principal_id for row in directory.live_assignments() if row.principal_type == "Group"
        ]
        directory.add_member(to_groups[0], person)
        found = await subject(run, person)
        assert sorted(row.principal_id for row in found.assignments) == sorted(to_groups)


async def test_an_unassigned_user_is_read_too() -> None:
    """Issue 2: on demand "works for assigned, unassigned, disabled, soft-deleted and purged people"."""
    async with reading() as run:
        person = new_person(run.simulator.directory)
        found = await subject(run, person)
        assert person not in {row.principal_id for row in found.assignments}
        assert all(person not in members for members in found.members.values())


async def test_nested_membership_shows_where_the_policy_asks_for_it() -> None:
    async with reading() as run:
        directory = run.simulator.directory
        person = new_person(directory)
        outer, inner = (directory.create_group({"displayName": name}).id for name in ("Outer", "Inner"))
        directory.assign(outer)
        directory.add_member(outer, inner)
        directory.add_member(inner, person)
        assert (await subject(run, person)).nested_members == {}
        nested = await subject(run.under(membership=MembershipMode.TRANSITIVE), person)
        assert nested.members[GraphId(outer)] == frozenset()
        assert nested.nested_members[GraphId(outer)] == {person}


@pytest.mark.parametrize("reference", ["{id}", "mara.oduya@fabrikam-demo.example", "mara.oduya@mail.example"])
async def test_a_soft_deleted_user_is_found_too(reference: str) -> None:
    """Entra puts the object id before the userPrincipalName of a deleted user."""
    async with reading() as run:
        person = new_person(run.simulator.directory)
        run.simulator.directory.soft_delete_user(person)
        found = await subject(run, reference.format(id=person))
        assert found.users == {}
        assert found.deleted.keys() == {person}


@pytest.mark.parametrize("reference", ["{id}", "mara.oduya@fabrikam-demo.example", "Nobody's Group", ""])
async def test_who_is_nowhere_is_not_found(reference: str) -> None:
    """A purged person has no trace; the error carries the proof that Graph was asked."""
    async with reading() as run:
        person = new_person(run.simulator.directory)
        run.simulator.directory.soft_delete_user(person)
        run.simulator.directory.purge_user(person)
        with pytest.raises(SubjectNotFound, match="Give an object id") as raised:
            await subject(run, reference.format(id=person))
        assert raised.value.snapshot.users == {}
        assert unfinished(raised.value.snapshot) == []


@pytest.mark.parametrize("by", ["id", "name"])
async def test_a_group_comes_with_its_members_assigned_or_not(by: str) -> None:
    async with reading() as run:
        directory = run.simulator.directory
        group = directory.create_group({"displayName": "Ann's Team"})
        people = list(directory.users)[:25]
        nested = directory.create_group({"displayName": "Nested"}).id
        for member in (*people, nested):
            directory.add_member(group.id, member)
        found = await subject(run, group.id if by == "id" else "Ann's Team")
        assert found.groups.keys() == {group.id}
        assert found.members[GraphId(group.id)] == {*people, nested}
        assert found.users.keys() == set(people)
        assert unfinished(found) == []


async def test_members_whom_the_index_does_not_know_yet_are_read_one_by_one() -> None:
    """Graph, "Advanced queries": the index lags, so a cast list may miss a brand new member."""
    async with reading() as run:
        run.simulator.simulation.behaviour.index_lag_s = 3600
        directory = run.simulator.directory
        group = directory.create_group({"displayName": "Team"})
        people = list(directory.users)[:25]
        for person in people:
            directory.add_member(group.id, person)
        found = await subject(run, group.id)
        assert found.users.keys() == set(people)


async def test_a_name_that_several_groups_bear_is_refused() -> None:
    async with reading() as run:
        twins = [run.simulator.directory.create_group({"displayName": "Twins"}).id for _ in range(2)]
        with pytest.raises(AmbiguousSubject, match="object id") as raised:
            await subject(run, "Twins")
        assert all(twin in str(raised.value) for twin in twins)


async def test_the_least_permissions_are_enough() -> None:
    """`/users/{id}/appRoleAssignments` takes Directory.Read.All; without it the application's list serves."""
    async with reading() as run:
        run.simulator.simulation.registration.roles = LEAST
        person = new_person(run.simulator.directory)
        run.simulator.directory.assign(person)
        found = await subject(run, person)
        assert person in {row.principal_id for row in found.assignments}
        assert unfinished(found) == []


async def test_a_subject_that_may_not_be_read_is_not_taken_for_absent() -> None:
    """Invariant I1: lost consent is not absence."""
    async with reading() as run:
        run.break_down(match=r"GET /v1.0/users/", status=403)
        with pytest.raises(ConsentMissing):
            await subject(run, new_person(run.simulator.directory))


async def test_groups_that_cannot_be_read_leave_a_gap() -> None:
    async with reading() as run:
        person = new_person(run.simulator.directory)
        run.break_down(match="memberOf", status=503)
        assert [read.name for read in unfinished(await subject(run, person))] == [f"memberOf:{person}"]
