"""Before anything is taken from a person, Graph is asked about that person alone; the answer is kept."""

from collections.abc import Mapping
from typing import Any

import pytest

from simulator.directory import Directory
from simulator.registration import DEFAULT_CONSENT
from store.records import GraphId, MembershipMode, SubjectType
from tests.builders.graph_reading import LEAST, Reading, reading
from worker.graph.read.evidence import verify_absentees
from worker.reconcile.plan import Absentee, Subject
from worker.reconcile.snapshot import Evidence


def absentee(graph_id: str) -> Absentee:
    return Absentee(Subject(SubjectType.USER, GraphId(graph_id), "local", "somebody"))


def unlinked(*lookups: tuple[str, str]) -> Absentee:
    return Absentee(Subject(SubjectType.USER, None, "local", "somebody"), lookups)


def assigned_group(directory: Directory) -> GraphId:
    return GraphId(
        next(row.principal_id for row in directory.live_assignments() if row.principal_type == "Group")
    )


def unassigned_person(directory: Directory) -> str:
    return next(person for person in directory.users if not directory.assigned_via(person))


async def confirmed(run: Reading, *people: Absentee) -> Mapping[str, Evidence]:
    groups = [GraphId(row.principal_id) for row in run.simulator.directory.live_assignments()]
    return await verify_absentees(run.graph, run.connection, people, groups)


async def about(run: Reading, graph_id: str) -> Evidence:
    return (await confirmed(run, absentee(graph_id)))[graph_id]


async def test_somebody_alive_and_assigned_is_found_so() -> None:
    """Disaster 2: absentees confirmed one by one, found alive, dropped from the plan."""
    async with reading(users=200) as run:
        directory = run.simulator.directory
        person, group = unassigned_person(directory), assigned_group(directory)
        directory.assign(person)
        directory.add_member(group, person)
        found = await about(run, person)
        assert (found.readable, found.user_found, found.account_enabled) == (True, True, True)
        assert (found.assigned_directly, found.assigned_by_group) == (True, True)
        assert found.member_of == frozenset({group})


async def test_somebody_assigned_by_a_group_only_is_told_apart() -> None:
    """Graph lists what comes through groups among a user's appRoleAssignments."""
    async with reading(users=200) as run:
        directory = run.simulator.directory
        person = unassigned_person(directory)
        directory.add_member(assigned_group(directory), person)
        found = await about(run, person)
        assert (found.assigned_directly, found.assigned_by_group) == (False, True)


@pytest.mark.parametrize("roles", [DEFAULT_CONSENT, LEAST], ids=["usual", "least"])
async def test_a_group_that_the_listing_left_out_still_speaks_for_its_members(roles: frozenset[str]) -> None:
    """I1: an assignment that is missing from the list takes nobody's access away."""
    async with reading(users=200) as run:
        directory = run.simulator.directory
        run.simulator.simulation.registration.roles = roles
        person, group = unassigned_person(directory), assigned_group(directory)
        directory.add_member(group, person)
        found = (await verify_absentees(run.graph, run.connection, [absentee(person)], []))[person]
        assert (found.assigned_directly, found.assigned_by_group) == (False, True)
        assert found.member_of == frozenset({group})


async def test_a_group_that_is_no_security_group_assigns_nobody() -> None:
    """Entra provisions the members of security groups only."""
    async with reading(users=200) as run:
        directory = run.simulator.directory
        person, group = unassigned_person(directory), assigned_group(directory)
        directory.add_member(group, person)
        directory.change_group(group, {"securityEnabled": False})
        assert (await about(run, person)).assigned_by_group is False


async def test_leavers_of_every_kind_are_told_apart() -> None:
    """design.md §5: disabled, soft-deleted, purged, unassigned are different facts and recorded as such."""
    async with reading(users=200) as run:
        directory = run.simulator.directory
        outsiders = [person for person in directory.users if not directory.assigned_via(person)]
        unassigned, disabled, deleted, purged = outsiders[:4]
        directory.change_user(unassigned, {"accountEnabled": True})
        directory.change_user(disabled, {"accountEnabled": False})
        directory.soft_delete_user(deleted)
        directory.soft_delete_user(purged)
        directory.purge_user(purged)
        found = await confirmed(run, *map(absentee, (unassigned, disabled, deleted, purged)))

        assert all(evidence.readable for evidence in found.values())
        assert found[unassigned].account_enabled is True
        assert (found[unassigned].assigned_directly, found[unassigned].assigned_by_group) == (False, False)
        assert found[disabled].account_enabled is False
        assert (found[deleted].user_found, found[purged].user_found) == (False, False)
        assert found[deleted].soft_deleted_at is not None
        assert found[purged].soft_deleted_at is None


async def test_many_absentees_travel_in_batches() -> None:
    """Twenty requests to a `$batch`: 30 absentees take at most seven round trips, one for the application."""
    async with reading(users=200) as run:
        people = list(run.simulator.directory.users)[:30]
        found = await confirmed(run, *map(absentee, people))
        assert found.keys() == set(people)
        assert len(run.requests("$batch")) <= 7  # one more asks which groups hide their members
        assert run.requests("GET /v1.0/users") == []


@pytest.mark.parametrize("part", [r"users/{id}\?", "directory/deletedItems/{id}"])
@pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 503])
async def test_an_answer_other_than_found_or_not_found_is_no_evidence(part: str, status: int) -> None:
    """Invariant I1: 401, 403, 429 and 5xx say nothing about a person."""
    async with reading() as run:
        person = next(iter(run.simulator.directory.users))
        run.simulator.directory.soft_delete_user(person)
        run.break_down(match=f"GET /v1.0/{part.format(id=person)}", status=status)
        found = await about(run, person)
        assert not found.readable
        assert found.detail


@pytest.mark.parametrize("part", ["appRoleAssignments", "memberOf"])
async def test_an_assignment_that_cannot_be_read_is_no_evidence(part: str) -> None:
    async with reading() as run:
        person = next(iter(run.simulator.directory.users))
        run.break_down(match=part, status=503)
        assert not (await about(run, person)).readable


@pytest.mark.parametrize("body", [{}, {"id": 7}, {"id": "x"}, "<html>"])
async def test_a_malformed_answer_is_no_evidence(body: object) -> None:
    async with reading() as run:
        person = next(iter(run.simulator.directory.users))
        run.break_down(match=f"GET /v1.0/users/{person}\\?", body=body)
        assert not (await about(run, person)).readable


async def test_a_strangers_404_is_no_evidence() -> None:
    async with reading() as run:
        person = next(iter(run.simulator.directory.users))
        run.break_down(match=f"{person}", status=404, body="<html>404</html>")
        assert not (await about(run, person)).readable


async def test_a_404_for_a_whole_batch_says_nothing_of_what_was_in_it() -> None:
    """Only Graph's word about an object is proof: the batch was not taken, and each person exists."""
    async with reading() as run:
        person = next(iter(run.simulator.directory.users))
        group = assigned_group(run.simulator.directory)
        run.break_down(match=r"POST /v1.0/\$batch", status=404)
        found = await confirmed(run, absentee(person), absent_group(group))
        assert not found[person].readable
        assert not found[group].readable
        assert "batch" in found[person].detail


def not_found(what: str) -> dict[str, Any]:
    return {
        "match": f"GET /v1.0/{what}",
        "status": 404,
        "body": {"error": {"code": "Request_ResourceNotFound", "message": "does not exist"}},
    }


@pytest.mark.parametrize("roles", [DEFAULT_CONSENT, LEAST], ids=["usual", "least"])
async def test_who_is_called_missing_and_has_groups_is_not_taken_for_gone(roles: frozenset[str]) -> None:
    """One answer says "does not exist", another of the same reading knows the object: nothing is known."""
    async with reading() as run:
        run.simulator.simulation.registration.roles = roles
        person, group = next(iter(run.simulator.directory.users)), assigned_group(run.simulator.directory)
        run.break_down(**not_found(f"users/{person}\\?"))
        run.break_down(**not_found(f"groups/{group}\\?"))
        found = await confirmed(run, absentee(person), absent_group(group))
        assert [found[person].readable, found[group].readable] == [False, False]
        assert "answers agree" in found[person].detail
        assert "answers agree" in found[group].detail
        run.simulator.simulation.faults.clear()
        found = await confirmed(run, absentee(person), absent_group(group))
        assert [found[person].user_found, found[group].user_found] == [True, True]


@pytest.mark.parametrize("status", [429, 503])
async def test_who_is_called_missing_is_gone_only_if_the_groups_are_too(status: int) -> None:
    """A list that cannot be read says nothing of whether the person exists."""
    async with reading() as run:
        person = next(iter(run.simulator.directory.users))
        run.simulator.directory.soft_delete_user(person)
        run.simulator.directory.purge_user(person)
        run.break_down(match=f"users/{person}/memberOf", status=status)
        assert not (await about(run, person)).readable
        run.simulator.simulation.faults.clear()
        assert (await about(run, person)).readable


async def test_the_least_permissions_are_enough() -> None:
    """`/users/{id}/appRoleAssignments` takes Directory.Read.All; without it the list is read anew, once."""
    async with reading(users=200) as run:
        run.simulator.simulation.registration.roles = LEAST
        directory = run.simulator.directory
        assigned, other = [person for person in directory.users if not directory.assigned_via(person)][:2]
        directory.assign(assigned)
        found = await confirmed(run, absentee(assigned), absentee(other))
        assert (found[assigned].readable, found[assigned].assigned_directly) == (True, True)
        assert (found[other].readable, found[other].assigned_directly) == (True, False)
        assert len(run.requests("appRoleAssignedTo")) == 1


async def test_a_refusal_against_the_permission_is_no_reason_to_believe_the_list_twice() -> None:
    """The application's list lags behind: it is what seemed to leave the person out already (seed 61014)."""
    async with reading() as run:
        directory = run.simulator.directory
        person = unassigned_person(directory)
        directory.assign(person)
        run.simulator.simulation.behaviour.assignment_lag_s = 600.0
        run.break_down(match=f"users/{person}/appRoleAssignments", status=403)
        assert not (await about(run, person)).readable
        run.simulator.simulation.faults.clear()
        found = await about(run, person)
        assert (found.readable, found.assigned_directly) == (True, True)


async def test_nesting_counts_where_the_policy_says_so() -> None:
    async with reading(users=200) as run:
        directory = run.simulator.directory
        person, group = unassigned_person(directory), assigned_group(directory)
        inner = directory.create_group({"displayName": "Inner"}).id
        directory.add_member(group, inner)
        directory.add_member(inner, person)
        assert (await about(run, person)).member_of == frozenset()
        nested = await about(run.under(membership=MembershipMode.TRANSITIVE), person)
        assert nested.member_of == frozenset({group})


def absent_group(group_id: str | None, *lookups: tuple[str, str]) -> Absentee:
    return Absentee(
        Subject(SubjectType.GROUP, GraphId(group_id) if group_id else None, "local", "x"), lookups
    )


@pytest.mark.parametrize("roles", [DEFAULT_CONSENT, LEAST], ids=["usual", "least"])
async def test_groups_are_asked_for_by_themselves(roles: frozenset[str]) -> None:
    """Assigned after all, no longer assigned, gone: told apart before a group is deleted here."""
    async with reading() as run:
        run.simulator.simulation.registration.roles = roles
        directory = run.simulator.directory
        assigned = assigned_group(directory)
        other = directory.create_group({"displayName": "Other"}).id
        gone = directory.create_group({"displayName": "Gone"}).id
        directory.delete_group(gone)
        found = await confirmed(run, *map(absent_group, (assigned, other, gone)))
        assert all(evidence.readable for evidence in found.values())
        assert (found[assigned].user_found, found[assigned].assigned_directly) == (True, True)
        assert (found[other].user_found, found[other].assigned_directly) == (True, False)
        assert found[gone].user_found is False
        pushed = (await confirmed(run, absent_group(None, ("id", assigned))))["local"]
        assert (pushed.graph_id, pushed.assigned_directly) == (assigned, True)


async def test_which_groups_hold_a_group_is_asked_of_the_group() -> None:
    """A list of members may come back short; a group that cannot say where it is decides nothing."""
    async with reading() as run:
        directory = run.simulator.directory
        outer = assigned_group(directory)
        inner = directory.create_group({"displayName": "Inner"}).id
        directory.add_member(outer, inner)
        assert (await confirmed(run, absent_group(inner)))[inner].member_of == frozenset({outer})
        run.break_down(match=f"groups/{inner}/memberOf", status=503)
        assert (await confirmed(run, absent_group(inner)))[inner].member_of is None


@pytest.mark.parametrize("part", [r"groups/{id}\?", "groups/{id}/appRoleAssignments"])
@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 404, "body": "<html>"}, {"body": {}}])
async def test_a_group_that_cannot_be_read_is_no_evidence(part: str, fault: dict[str, Any]) -> None:
    """Only Graph's own "does not exist" counts as absence."""
    async with reading() as run:
        group = assigned_group(run.simulator.directory)
        run.break_down(match=part.format(id=group), **fault)
        assert not (await confirmed(run, absent_group(group)))[group].readable


async def test_who_was_never_linked_is_looked_for_by_name() -> None:
    """Pushed by Entra and gone before the first pull: only when nobody answers is the person gone."""
    async with reading() as run:
        person = next(iter(run.simulator.directory.users.values()))
        name = ("userPrincipalName", person.user_principal_name)
        found = (await confirmed(run, unlinked(("mail", "o'neill@x.example"), name)))["local"]
        assert (found.readable, found.user_found, found.graph_id) == (True, True, person.id)
        gone = (await confirmed(run, unlinked(("mail", "o'neill@x.example"))))["local"]
        assert (gone.readable, gone.user_found, gone.graph_id) == (True, False, None)


async def test_several_answers_to_a_search_are_no_evidence() -> None:
    async with reading() as run:
        one, two = list(run.simulator.directory.users.values())[:2]
        lookups = [("userPrincipalName", person.user_principal_name) for person in (one, two)]
        found = (await confirmed(run, unlinked(*lookups)))["local"]
        assert not found.readable
        assert "Several" in found.detail


async def test_who_cannot_be_looked_for_is_not_taken_for_gone() -> None:
    async with reading() as run:
        assert not (await confirmed(run, unlinked()))["local"].readable


async def test_nobody_to_confirm_asks_nothing() -> None:
    async with reading() as run:
        assert await confirmed(run) == {}
        assert run.requests("GET") == []


def hidden_member(directory: Directory) -> tuple[str, GraphId]:
    person = unassigned_person(directory)
    group = directory.create_group({"displayName": "Secret", "visibility": "HiddenMembership"}).id
    directory.assign(group)
    directory.add_member(group, person)
    return person, GraphId(group)


async def test_a_grant_through_a_hidden_membership_is_entitlement() -> None:
    """`memberOf` lacks the group, the person's own assignments list it: contradicting answers never remove."""
    async with reading(users=200) as run:
        person, group = hidden_member(run.simulator.directory)
        found = await about(run, person)
        assert (found.assigned_directly, found.assigned_by_group) == (False, True)
        assert found.unreadable_groups == {group}


async def test_without_a_sign_of_the_grant_nothing_is_known() -> None:
    """Least permissions: neither answer shows the group, and so nobody is proved unassigned."""
    async with reading(users=200) as run:
        run.simulator.simulation.registration.roles = LEAST
        person, _ = hidden_member(run.simulator.directory)
        found = await about(run, person)
        assert (found.assigned_directly, found.assigned_by_group) == (False, None)
        assert "Member.Read.Hidden" in found.detail
        other = await about(run, unassigned_person(run.simulator.directory))
        assert other.assigned_by_group is None


async def test_with_the_permission_memberships_are_what_they_are() -> None:
    async with reading(users=200) as run:
        run.simulator.simulation.registration.roles = LEAST | {"Member.Read.Hidden"}
        person, group = hidden_member(run.simulator.directory)
        assert (await about(run, person)).member_of == frozenset({group})
        other = await about(run, unassigned_person(run.simulator.directory))
        assert (other.assigned_by_group, other.unreadable_groups) == (False, frozenset())
