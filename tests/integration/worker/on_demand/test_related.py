"""On demand, where names tie people together: who else was meant, who else could claim an account, who holds a name."""

from __future__ import annotations

import re

import pytest

from simulator.faults import Fault
from store import lifecycle
from store.records import (
    Cause,
    ChangeUser,
    CreateGroup,
    CreateUser,
    Document,
    Group,
    JsonValue,
    LogStatus,
    Origin,
    User,
)
from tests.builders.simulated_connection import Pull
from tests.databases.parameters import SQLITE
from worker.on_demand.report import OnDemandResult
from worker.reconcile.mapping.attribute_mapping import DEFAULT_MAPPING

pytestmark = pytest.mark.parametrize("database_url", [SQLITE], indirect=True)

CORP = "fabrikam-demo.example"


def hired(pull: Pull, name: str, *, nickname: str | None = None, assigned: bool = True) -> str:
    """A new person in Entra, assigned by themselves."""
    properties: dict[str, JsonValue] = {
        "userPrincipalName": f"{name}@{CORP}",
        "mail": f"{name}@{CORP}",
        "mailNickname": nickname or name,
        "displayName": name.title(),
        "accountEnabled": True,
    }
    person = pull.directory.create_user(dict(properties)).id
    if assigned:
        pull.directory.assign(person)
    return person


async def pushed(pull: Pull, document: Document) -> User:
    """An account as the push makes it: linked to nobody yet."""
    cause = Cause(Origin.SCIM, "a request")
    connection = pull.connection
    [outcome] = await lifecycle.perform(
        pull.db, connection.tenant_id, connection.id, [CreateUser({"active": True, **document})], cause
    )
    assert isinstance(outcome.record, User)
    return outcome.record


async def pushed_group(pull: Pull, name: str, *members: User) -> Group:
    cause = Cause(Origin.SCIM, "a request")
    connection = pull.connection
    command = CreateGroup({"displayName": name}, member_ids=tuple(user.id for user in members))
    [outcome] = await lifecycle.perform(pull.db, connection.tenant_id, connection.id, [command], cause)
    assert isinstance(outcome.record, Group)
    return outcome.record


def assigned_group(pull: Pull, name: str) -> str:
    group = pull.directory.create_group({"displayName": name, "securityEnabled": True}).id
    pull.directory.assign(group)
    return group


async def test_a_membership_too_many_is_found_though_only_the_persons_own_groups_are_listed(
    pull: Pull,
) -> None:
    """`membership_extra` of one person: the group that holds them here is asked for by itself."""
    person, group = hired(pull, "mara"), assigned_group(pull, "Choir")
    pull.directory.add_member(group, person)
    await pull.cycle()
    pull.directory.remove_member(group, person)
    assert (await pull.provision(person)).result is OnDemandResult.UPDATED
    assert (await pull.members())[group] == set()
    assert (await pull.users())[person].active


async def test_a_membership_too_many_of_a_group_known_by_its_name_only_is_found(pull: Pull) -> None:
    """A pushed group that no cycle has linked yet is found in Entra by its displayName."""
    person, group = hired(pull, "mara"), assigned_group(pull, "Choir")
    here = await pushed_group(pull, "Choir", await pushed(pull, {"userName": f"mara@{CORP}"}))
    report = await pull.provision(person)
    assert report.steps[3].status is LogStatus.SUCCESS, report.steps
    assert (await pull.members())[here.id] == set()
    assert group not in await pull.groups(), "linking the group is the business of a cycle"


async def test_a_group_of_theirs_that_is_not_assigned_any_more_is_left_to_the_cycle(pull: Pull) -> None:
    """The group goes as a whole, and by a cycle's ceilings; one person's request does not begin it."""
    person, group = hired(pull, "mara"), assigned_group(pull, "Choir")
    pull.directory.add_member(group, person)
    await pull.cycle()
    pull.directory.unassign(group)
    pull.directory.remove_member(group, person)
    assert (await pull.provision(person)).result is OnDemandResult.UNCHANGED
    assert (await pull.members())[group] == {person}


async def asked_for(pull: Pull, person: str) -> list[str]:
    """What is asked of Graph to provision somebody, without the ids."""
    pull.simulator.simulation.requests.clear()
    await pull.provision(person)
    return [re.sub("[0-9a-f]{8}-[0-9a-f-]{27}", "{id}", each) for each in pull.simulator.simulation.requests]


@pytest.mark.parametrize("fate", ["stays", "unassigned", "disabled", "soft_deleted", "purged"])
async def test_what_one_person_costs_does_not_grow_with_the_company(pull: Pull, fate: str) -> None:
    """Found, decided and confirmed: as many requests among 1,500 who are assigned as among forty."""
    # Without this permission the assigned groups are asked whether they hide their members.
    pull.simulator.simulation.registration.roles |= {"Member.Read.Hidden"}
    one, another = hired(pull, "mara"), hired(pull, "jun")
    await pull.cycle()
    for person in (one, another):
        if fate != "stays":
            pull.lose(person, fate)
    among_forty = await asked_for(pull, one)
    for number in range(1500):
        hired(pull, f"person{number}")
    assert await asked_for(pull, another) == among_forty
    assert len(among_forty) <= 9
    assert not any("appRoleAssignedTo" in request for request in among_forty)


async def test_an_account_that_two_people_could_claim_is_given_to_neither(pull: Pull) -> None:
    """design.md §5: more than one candidate is `match_conflict`, never guessed; for one person alone too."""
    here = await pushed(pull, {"userName": "old.name@elsewhere.example", "externalId": "mara"})
    one, two = hired(pull, "mara.one", nickname="mara"), hired(pull, "mara.two", nickname="mara")
    report = await pull.provision(one)
    match = report.steps[2]
    assert match.status is LogStatus.FAILURE
    assert match.data["candidates"] == [here.id]
    assert match.data["rivals"] == [two]
    assert all(said in match.detail for said in (here.id, two, f"mara.two@{CORP}", "externalId"))
    assert (await pull.users())[here.id].entra_object_id is None


async def test_who_was_rehired_as_a_new_object_has_an_account_of_their_own(pull: Pull) -> None:
    """W2: the earlier account's own object is asked for and is gone: it gives up its name and access."""
    gone = hired(pull, "mara")
    await pull.cycle()
    before = (await pull.users())[gone]
    pull.lose(gone, "purged")
    again = hired(pull, "mara")
    report = await pull.provision(f"mara@{CORP}")
    assert report.result is OnDemandResult.CREATED, report.steps
    here = await pull.users()
    assert here[again].id != before.id
    assert (here[gone].active, here[gone].external_id) == (False, None)


async def test_a_name_that_its_holder_gave_up_in_entra_is_given_up_here_first(pull: Pull) -> None:
    """The tie is settled by reading the holder by object id: renamed there, so renamed here, and nothing else."""
    holder = hired(pull, "mara")
    await pull.cycle()
    pull.directory.change_user(holder, {"userPrincipalName": f"mara.married@{CORP}", "mail": None})
    taker = hired(pull, "mara")
    report = await pull.provision(taker)
    assert report.result is OnDemandResult.CREATED, report.steps
    here = await pull.users()
    assert here[holder].user_name == f"mara.married@{CORP}"
    assert here[taker].user_name == f"mara@{CORP}"
    assert here[holder].active


async def test_whoever_left_and_has_another_name_by_now_gives_the_name_up(pull: Pull) -> None:
    """identity.md W2: the entitled person gets an account of their own; the leaver's is deprovisioned."""
    holder = hired(pull, "mara")
    await pull.cycle()
    pull.directory.change_user(holder, {"userPrincipalName": f"mara.left@{CORP}", "accountEnabled": False})
    asked = hired(pull, "mara")
    report = await pull.provision(asked)
    assert report.result is OnDemandResult.CREATED
    assert "release names" in report.steps[3].detail
    people = await pull.users()
    assert people[asked].user_name == f"mara@{CORP}"
    assert people[asked].id != people[holder].id
    assert not people[holder].active


async def test_whoever_holds_the_name_and_is_entitled_is_told_and_not_touched(pull: Pull) -> None:
    """On demand nothing is taken from anybody entitled: the holder is named, and what to do."""
    holder = hired(pull, "mara")
    await pull.cycle()
    here = (await pull.users())[holder]
    pull.directory.change_user(holder, {"userPrincipalName": f"mara.stays@{CORP}"})
    report = await pull.provision(hired(pull, "mara"))
    now = (await pull.users())[holder]
    assert (now.id, now.active) == (here.id, True)
    assert report.result in (OnDemandResult.CREATED, OnDemandResult.SKIPPED)


async def test_of_several_with_one_mail_address_the_only_one_concerned_is_meant(pull: Pull) -> None:
    """Settled by reading: for who is neither assigned nor here there is nothing to do, so it cannot be them."""
    meant, other = hired(pull, "mara.one"), hired(pull, "mara.two", assigned=False)
    for person in (meant, other):
        pull.directory.change_user(person, {"mail": f"mara@{CORP}"})
    report = await pull.provision(f"mara@{CORP}")
    assert report.result is OnDemandResult.CREATED
    assert set(await pull.active()) == {meant}
    assert other in report.steps[0].detail


@pytest.mark.parametrize("why", ["assigned", "here"])
async def test_of_several_with_one_mail_address_who_are_all_concerned_none_is_guessed(
    pull: Pull, why: str
) -> None:
    """Who matches, and what to do next."""
    people = [hired(pull, "mara.one"), hired(pull, "mara.two", assigned=why == "assigned")]
    if why == "here":
        await pushed(pull, {"userName": f"mara.two@{CORP}"})
    for person in people:
        pull.directory.change_user(person, {"mail": f"mara@{CORP}"})
    report = await pull.provision(f"mara@{CORP}")
    assert report.result is OnDemandResult.FAILED
    assert all(person in report.steps[0].detail for person in people)
    assert "give the object id" in report.steps[0].detail


async def test_of_groups_with_one_name_the_only_one_that_is_assigned_is_meant(pull: Pull) -> None:
    """Two groups of one name: the other is nothing to this application."""
    other = pull.directory.create_group({"displayName": "Choir", "securityEnabled": True}).id
    group = assigned_group(pull, "Choir")
    report = await pull.provision("Choir")
    assert report.result is OnDemandResult.CREATED
    assert group in await pull.groups()
    assert other in report.steps[0].detail


async def test_of_several_accounts_here_with_one_address_none_is_guessed(pull: Pull) -> None:
    """Nobody in Entra, two here: both are named with what they are known by."""
    mails: list[JsonValue] = [{"value": "team@elsewhere.example", "type": "work"}]
    rows = [await pushed(pull, {"userName": f"{name}@{CORP}", "emails": mails}) for name in ("one", "two")]
    report = await pull.provision("team@elsewhere.example")
    assert report.result is OnDemandResult.FAILED
    assert all(row.id in report.steps[0].detail for row in rows)
    assert "Give the id" in report.steps[0].detail
    assert {user.active for user in (await pull.users()).values()} == {True}


async def test_what_is_unique_here_settles_who_is_meant(pull: Pull) -> None:
    """A userName is unique here; that it is somebody else's externalId as well does not matter."""
    meant = await pushed(pull, {"userName": "mara@elsewhere.example"})
    await pushed(pull, {"userName": f"other@{CORP}", "externalId": "mara@elsewhere.example"})
    report = await pull.provision("mara@elsewhere.example")
    assert report.result is OnDemandResult.SKIPPED
    assert "Nobody in Entra was found for this account" in report.steps[3].detail
    assert meant.id in str(report.steps[3].data["kept"])
    assert (await pull.users())[meant.id].active, "an empty search proves nothing"


async def test_an_account_whose_person_goes_by_another_address_in_entra_is_recognised(pull: Pull) -> None:
    """An address that only we know leads to an account; its userName leads to the person, who is not gone (I1)."""
    mails: list[JsonValue] = [{"value": "old@elsewhere.example", "type": "work"}]
    await pushed(pull, {"userName": f"mara@{CORP}", "emails": mails})
    person = hired(pull, "mara")
    report = await pull.provision("old@elsewhere.example")
    assert report.result is OnDemandResult.UPDATED, report.steps
    assert "Found the user in Entra" in report.steps[0].detail
    assert (await pull.users())[person].active


async def test_where_a_list_broke_off_it_is_said_that_nothing_is_proven(pull: Pull) -> None:
    """An unfinished reading gives a clear step, and changes nothing."""
    person = hired(pull, "mara")
    await pull.cycle()
    before = await pull.users()
    pull.lose(person, "unassigned")
    pull.simulator.simulation.faults.arm(Fault(re.compile("/memberOf"), status=403))
    report = await pull.provision(person)
    assert report.result is OnDemandResult.SKIPPED
    assert (report.steps[1].status, report.steps[1].data["entitled"]) == (LogStatus.WARNING, None)
    assert report.steps[1].detail.startswith("Not proven:")
    assert "memberOf" in report.steps[1].detail
    assert await pull.users() == before


async def test_a_search_for_rivals_that_broke_off_changes_nothing(pull: Pull) -> None:
    """Who else could claim the account is not known, so it is given to nobody."""
    here = await pushed(pull, {"userName": f"mara@{CORP}", "externalId": "mara"})
    pull.simulator.simulation.faults.arm(Fault(re.compile(r"users\?.*mailNickname eq"), status=403))
    report = await pull.provision(hired(pull, "mara"))
    assert report.result is OnDemandResult.FAILED
    assert (await pull.users())[here.id] == here


async def test_on_demand_makes_no_second_account_under_a_foreign_mapping(pull: Pull) -> None:
    """W6: the push wrote the account by mail and employeeId; that it may be theirs is told, and no twin is made."""
    person = hired(pull, "mara")
    pull.directory.change_user(person, {"mail": f"mara.lund@{CORP}", "employeeId": "90001"})
    here = await pushed(pull, {"userName": f"mara.lund@{CORP}", "externalId": "90001"})

    report = await pull.provision(person)

    assert report.steps[2].data["candidates"] == [here.id]
    assert [user.id for user in (await pull.users()).values()] == [here.id]


async def test_on_demand_gives_nobody_an_account_to_which_another_answers(pull: Pull) -> None:
    """W6: one name by what Leaver assumes, and somebody else's by another mapping: given to neither."""
    one, other = hired(pull, "mara"), hired(pull, "jun")
    pull.directory.change_user(other, {"mail": f"mara@{CORP}"})
    here = await pushed(pull, {"userName": f"mara@{CORP}"})

    report = await pull.provision(one)

    assert report.steps[2].status is LogStatus.FAILURE
    assert (await pull.users())[here.id].entra_object_id is None


async def test_rivals_are_looked_for_by_what_the_mapping_reads(pull: Pull) -> None:
    """externalId from employeeId: two people with one number are both found, though only one was asked for."""
    await pull.set_policy(mapping={**DEFAULT_MAPPING, "externalId": "employeeId"}, mapping_confirmed=True)
    one, two = hired(pull, "mara.one"), hired(pull, "mara.two")
    for person in (one, two):
        pull.directory.change_user(person, {"employeeId": "90001"})
    here = await pushed(pull, {"userName": f"someone@{CORP}", "externalId": "90001"})

    report = await pull.provision(one)

    assert report.steps[2].data["rivals"] == [two]
    assert report.steps[2].data["candidates"] == [here.id]


async def test_who_is_left_as_they_are_was_skipped_though_another_account_got_its_name(pull: Pull) -> None:
    """The admin asked for a leaver who waits for a person: "updated" would say that it is done (seed 54184)."""
    mara, bo = hired(pull, "mara"), hired(pull, "bo")
    await pull.cycle()
    pull.directory.unassign(mara)
    await pull.cycle()
    leaver = (await pull.users())[mara]
    assert not leaver.active
    connection, cause = pull.connection, Cause(Origin.SCIM, "a request")
    await lifecycle.perform(
        pull.db,
        connection.tenant_id,
        connection.id,
        [ChangeUser(leaver.id, lambda document: {**document, "active": True})],
        cause,
    )
    pull.directory.change_user(bo, {"userPrincipalName": f"zoe@{CORP}"})
    pull.directory.change_user(mara, {"userPrincipalName": f"bo@{CORP}"})

    report = await pull.provision(mara)

    here = await pull.users()
    assert (report.result, here[mara].active, here[bo].user_name) == (
        OnDemandResult.SKIPPED,
        True,
        f"zoe@{CORP}",
    )
