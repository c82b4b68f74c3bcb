"""On demand: one subject, found by whatever the admin typed, read alone."""

import re
from typing import Any

import pytest

from simulator.directory import Directory
from simulator.objects import JsonValue
from store.records import GraphId, MembershipMode
from tests.builders.graph_reading import LEAST, Reading, reading, unfinished
from worker.graph.errors import AmbiguousSubject, BadRequest, ConsentMissing, ServiceFault, SubjectNotFound
from worker.graph.read.subject import start_reading
from worker.reconcile.snapshot import Snapshot


async def subject(run: Reading, reference: str) -> Snapshot:
    subject_reading = await start_reading(run.graph, run.connection)
    await subject_reading.find(reference)
    return subject_reading.snapshot()


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
    """The assigned groups that hold the person, and no others: what others hold is nothing of theirs."""
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
        assert found.members.keys() == {held}
        assert found.groups[held].display_name == directory.groups[held].display_name


async def test_an_assignment_through_a_group_is_not_ones_own() -> None:
    """Graph lists what comes through groups among a user's appRoleAssignments."""
    async with reading() as run:
        directory = run.simulator.directory
        person = new_person(directory)
        held = next(r.principal_id for r in directory.live_assignments() if r.principal_type == "Group")
        directory.add_member(held, person)
        found = await subject(run, person)
        assert {row.principal_id for row in found.assignments} == {held}


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
    """`/users/{id}/appRoleAssignments` takes Directory.Read.All; without it the application's list serves, read once."""
    async with reading() as run:
        run.simulator.simulation.registration.roles = LEAST
        directory = run.simulator.directory
        person = new_person(directory)
        directory.assign(person)
        held = next(r.principal_id for r in directory.live_assignments() if r.principal_type == "Group")
        directory.add_member(held, person)
        found = await subject(run, person)
        assert {row.principal_id for row in found.assignments} == {person, held}
        assert found.members == {held: {person}}
        assert unfinished(found) == []
        assert len(run.requests("appRoleAssignedTo")) == 1


async def requests_for_one(people: int, groups: int) -> list[str]:
    """What is asked for somebody of two groups, one of them assigned, in a company of that size."""
    async with reading(users=people, groups=groups) as run:
        directory = run.simulator.directory
        person = new_person(directory)
        for other in list(directory.users)[:people]:
            directory.assign(other)
        held = next(r.principal_id for r in directory.live_assignments() if r.principal_type == "Group")
        for group in (held, directory.create_group({"displayName": "Choir"}).id):
            directory.add_member(group, person)
        run.simulator.simulation.requests.clear()
        found = await subject(run, person)
        assert found.members == {held: {person}}
        return [re.sub("[0-9a-f]{8}-[0-9a-f-]{27}", "{id}", request) for request in run.requests("v1.0")]


async def test_one_person_costs_the_same_in_a_company_of_any_size() -> None:
    """Issue 3: nothing of a large company is read for one person: here five requests, four of them batches."""
    small = await requests_for_one(people=20, groups=4)
    assert await requests_for_one(people=2500, groups=200) == small
    assert len(small) == 4
    assert not any("appRoleAssignedTo" in request for request in small)


async def test_an_assignment_that_the_plain_list_leaves_out_is_found() -> None:
    """Graph, "List appRoleAssignments": the plain list may be incomplete for people with many groups (I1)."""
    async with reading() as run:
        directory = run.simulator.directory
        person = new_person(directory)
        held = next(r.principal_id for r in directory.live_assignments() if r.principal_type == "Group")
        directory.add_member(held, person)
        directory.assign(person)
        run.simulator.simulation.behaviour.longest_role_list = 1
        found = await subject(run, person)
        assert person in {row.principal_id for row in found.assignments}
        assert unfinished(found) == []


async def test_an_assignment_made_just_now_is_found() -> None:
    """The index lags by minutes; where it differs from the plain list the application's own list decides."""
    async with reading() as run:
        run.simulator.simulation.behaviour.index_lag_s = 3600
        person = new_person(run.simulator.directory)
        run.simulator.directory.assign(person)
        found = await subject(run, person)
        assert person in {row.principal_id for row in found.assignments}


@pytest.mark.parametrize(
    "part", ["users/[^/]+/appRoleAssignments", "groups/[^/]+/appRoleAssignments", "users/[^/]+/memberOf"]
)
@pytest.mark.parametrize(
    "fault", [{"status": 503}, {"status": 404, "body": "<html>"}, {"status": 200, "body": {}}], ids=str
)
async def test_what_a_person_is_assigned_by_is_whole_or_unfinished(part: str, fault: dict[str, Any]) -> None:
    """Invariant I1: half an answer about somebody is no answer; the proof says which list broke off."""
    async with reading() as run:
        directory = run.simulator.directory
        person = new_person(directory)
        held = next(r.principal_id for r in directory.live_assignments() if r.principal_type == "Group")
        directory.add_member(held, person)
        run.break_down(match=f"GET /v1.0/{part}", **fault)
        found = await subject(run, person)
        assert unfinished(found)
        assert all(read.detail for read in unfinished(found))


@pytest.mark.parametrize("kind", ["user", "group"])
async def test_a_404_for_a_whole_batch_finds_nobody_missing(kind: str) -> None:
    """The subject was not looked for: on demand ends with Graph's fault, and nothing is concluded."""
    async with reading() as run:
        directory = run.simulator.directory
        held = next(r.principal_id for r in directory.live_assignments() if r.principal_type == "Group")
        subjects = {"user": new_person(directory), "group": held}
        run.break_down(match=r"POST /v1.0/\$batch", status=404)
        with pytest.raises(ServiceFault, match="batch"):
            await subject(run, subjects[kind])


async def test_a_group_of_the_person_that_is_gone_assigns_nobody() -> None:
    """Graph's own "does not exist" is an answer: a group that went while it was asked for holds nobody."""
    async with reading() as run:
        person = new_person(run.simulator.directory)
        held = run.simulator.directory.create_group({"displayName": "Choir"}).id
        run.simulator.directory.add_member(held, person)
        run.break_down(match=f"groups/{held}/appRoleAssignments", status=404)
        found = await subject(run, person)
        assert (unfinished(found), found.members) == ([], {})


async def test_who_has_the_name_as_a_mail_address_is_told() -> None:
    """A userPrincipalName is unique, and meant; whose mail address it is as well is said."""
    async with reading() as run:
        directory = run.simulator.directory
        person, other = new_person(directory), new_person(directory, "jun.abe")
        directory.change_user(other, {"mail": "mara.oduya@fabrikam-demo.example"})
        reading_ = await start_reading(run.graph, run.connection)
        assert await reading_.find("mara.oduya@fabrikam-demo.example") == person
        assert [other in said for said in reading_.namesakes] == [True]


async def test_a_mail_address_of_several_people_is_refused_and_they_are_named() -> None:
    """Who matches, and what to do next: the object ids, the names, and whether they are enabled."""
    async with reading() as run:
        directory = run.simulator.directory
        twins = [new_person(directory, name) for name in ("mara.one", "mara.two")]
        for twin in twins:
            directory.change_user(twin, {"mail": "mara@mail.example"})
        directory.change_user(twins[1], {"accountEnabled": False})
        with pytest.raises(AmbiguousSubject, match="give the object id") as raised:
            await subject(run, "mara@mail.example")
        assert set(raised.value.who) == set(twins)
        assert f"{twins[0]} (mara.one@fabrikam-demo.example, enabled)" in str(raised.value)
        assert f"{twins[1]} (mara.two@fabrikam-demo.example, disabled)" in str(raised.value)


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


DOLLAR = "$shop'keeper@fabrikam-demo.example"


def with_dollar(directory: Directory) -> str:
    person = new_person(directory, "shop.keeper")
    directory.change_user(person, {"userPrincipalName": DOLLAR, "mail": DOLLAR})
    return person


async def test_a_name_that_begins_with_a_dollar_is_quoted() -> None:
    """`/users/$x` is 400; the documented form is `/users('$x')` (Graph, "Get user")."""
    async with reading() as run:
        person = with_dollar(run.simulator.directory)
        found = await subject(run, DOLLAR)
        assert found.users.keys() == {person}
        assert unfinished(found) == []


async def test_one_refused_look_up_does_not_void_the_other() -> None:
    """Found by mail, although the look-up by userPrincipalName was refused."""
    async with reading() as run:
        person = new_person(run.simulator.directory)
        run.break_down(
            match=r"GET /v1.0/users/mara", status=400, body={"error": {"code": "Request_BadRequest"}}
        )
        found = await subject(run, "mara.oduya@mail.example")
        assert found.users.keys() == {person}
        with pytest.raises(BadRequest):
            await subject(run, "mara.oduya@fabrikam-demo.example")


async def test_a_deleted_group_that_may_not_be_read_is_not_found() -> None:
    """The recycle bin of groups takes Group.Read.All (Graph, "Get deleted item"); that is nobody's fault here."""
    async with reading() as run:
        run.simulator.simulation.registration.roles = LEAST
        directory = run.simulator.directory
        group = directory.create_group({"displayName": "Gone", "groupTypes": ["Unified"]}).id
        directory.delete_group(group)
        assert group in directory.deleted_groups
        with pytest.raises(SubjectNotFound):
            await subject(run, group)


async def test_members_of_a_group_are_read_where_advanced_queries_refuse_expand() -> None:
    """Graph, "Advanced queries": `$expand` is not supported (docs#21506); managers are read apart."""
    async with reading() as run:
        run.simulator.simulation.behaviour.refuse_advanced_expand = True
        directory = run.simulator.directory
        group = directory.create_group({"displayName": "Everybody"}).id
        for person in directory.users:
            directory.add_member(group, person)
        found = await subject(run, group)
        managers = {user.id: user.manager_id for user in directory.users.values()}
        assert {user.id: user.manager_id for user in found.users.values()} == managers
        assert unfinished(found) == []
