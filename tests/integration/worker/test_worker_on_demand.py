"""Provision on demand: five steps for every kind of person, on both databases."""

from __future__ import annotations

import re

import pytest

from simulator.faults import Fault
from store import provisioning_log
from store.records import GraphId, LogStatus, Mode, Origin, User
from tests.integration.worker.conftest import Pull
from worker.on_demand_subject import find
from worker.reports import OnDemandReport, OnDemandResult


def somebody(pull: Pull) -> str:
    """The object id of a person who is assigned by a group."""
    entitled = pull.directory.entitled()
    return next(person for person in sorted(entitled) if entitled[person] != ["direct"])


def names(report: OnDemandReport) -> list[str]:
    return [step.name for step in report.steps]


async def row(pull: Pull, person: str) -> User:
    return (await pull.users())[person]


async def test_an_assigned_person_is_created_in_five_steps(pull: Pull) -> None:
    """design.md §6: the steps are find, scope, match, evaluate, perform."""
    person = somebody(pull)
    report = await pull.provision(person)
    assert report.result is OnDemandResult.CREATED
    assert names(report) == ["find", "scope", "match", "evaluate", "perform"]
    assert all(step.status is LogStatus.SUCCESS for step in report.steps)
    assert (await row(pull, person)).active


async def test_asked_twice_the_second_time_nothing_changes(pull: Pull) -> None:
    """I6: applying twice changes nothing the second time."""
    await pull.provision(somebody(pull))
    before = await pull.users()
    report = await pull.provision(somebody(pull))
    assert report.result is OnDemandResult.UNCHANGED
    assert await pull.users() == before


async def test_a_person_is_found_by_name_as_well(pull: Pull) -> None:
    """`leaver provision CONNECTION SUBJECT`: UPN, object id or e-mail."""
    person = somebody(pull)
    report = await pull.provision(pull.directory.user(person).user_principal_name)
    assert (report.result, set(await pull.active())) == (OnDemandResult.CREATED, {person})


@pytest.mark.parametrize("fate", ["disabled", "soft_deleted", "purged", "unassigned"])
@pytest.mark.parametrize("by", ["id", "name"])
async def test_a_leaver_of_any_kind_is_disabled(pull: Pull, fate: str, by: str) -> None:
    """Works for unassigned, disabled, soft-deleted and purged people, and deprovisions where that is true."""
    await pull.cycle()
    person = somebody(pull)
    name = (await row(pull, person)).user_name
    pull.lose(person, fate)
    report = await pull.provision(person if by == "id" else name)
    assert report.result is OnDemandResult.DISABLED, report
    after = await row(pull, person)
    assert (after.active, after.deprovision_reason) == (False, fate)


async def test_a_person_renamed_in_entra_is_not_taken_for_gone(pull: Pull) -> None:
    """I1: an entitled person is never deprovisioned; the old name leads to the same object."""
    await pull.cycle()
    person = somebody(pull)
    old_name = (await row(pull, person)).user_name
    pull.directory.change_user(person, {"userPrincipalName": "renamed@fabrikam-demo.example"})
    report = await pull.provision(old_name)
    assert report.result is OnDemandResult.UPDATED
    assert (await row(pull, person)).user_name == "renamed@fabrikam-demo.example"


async def test_a_dry_run_tells_and_changes_nothing(pull: Pull) -> None:
    """Dry run first: what would be done is in the step `evaluate`."""
    report = await pull.provision(somebody(pull), is_dry_run=True)
    assert report.result is OnDemandResult.SKIPPED
    assert report.steps[3].detail == "To do: create."
    assert await pull.users() == {}


async def test_somebody_unknown_everywhere_fails_in_the_first_step(pull: Pull) -> None:
    """Bad input says what, why and what to do."""
    report = await pull.provision("nobody@fabrikam-demo.example")
    assert report.result is OnDemandResult.FAILED
    assert report.steps[0].status is LogStatus.FAILURE
    assert [step.status for step in report.steps[1:]] == [LogStatus.SKIPPED] * 4


async def test_what_graph_would_not_show_takes_nothing_away(pull: Pull) -> None:
    """Rule 1 holds for one person too: where their groups cannot be read, nothing is known (I1)."""
    await pull.cycle()
    person = somebody(pull)
    pull.lose(person, "unassigned")
    pull.simulator.simulation.faults.arm(Fault(re.compile("memberOf|getMemberGroups"), status=403))
    report = await pull.provision(person)
    assert report.result in (OnDemandResult.SKIPPED, OnDemandResult.FAILED)
    assert (await row(pull, person)).active


async def test_mode_report_does_not_hold_back_an_admin(pull: Pull) -> None:
    """The mode is for what Leaver does unasked; who is asked for is provisioned now."""
    await pull.set_policy(mode=Mode.REPORT)
    assert (await pull.provision(somebody(pull))).result is OnDemandResult.CREATED


async def test_a_protected_account_stays(pull: Pull) -> None:
    """design.md §5, rule 5: accounts marked protected are never removed, whoever asks."""
    await pull.cycle()
    person = somebody(pull)
    await pull.protect(person)
    pull.lose(person, "disabled")
    report = await pull.provision(person)
    assert report.result is OnDemandResult.SKIPPED
    assert "protected" in report.steps[3].detail
    assert (await row(pull, person)).active


async def test_a_group_comes_with_its_people(pull: Pull) -> None:
    """On demand: one user or one group."""
    group = next(
        a.principal_id for a in pull.directory.live_assignments() if a.principal_id in pull.directory.groups
    )
    people = set(pull.directory.live_members(group)) & set(pull.directory.entitled())
    report = await pull.provision(pull.directory.group(group).display_name)
    assert report.result is OnDemandResult.CREATED
    assert await pull.active() == people
    assert await pull.members() == {group: people}


@pytest.mark.parametrize("fate", ["unassigned", "deleted"])
async def test_a_group_that_is_no_longer_assigned_goes_and_its_people_stay(pull: Pull, fate: str) -> None:
    """On demand deprovisions where that is the truth, a group too; access of its people is theirs."""
    await pull.cycle()
    group = next(key for key in await pull.groups() if pull.directory.live_members(key))
    name = pull.directory.group(group).display_name
    for person in pull.directory.live_members(group):
        if person in pull.directory.users:
            pull.directory.assign(person)
    if fate == "deleted":
        pull.directory.delete_group(group)
    else:
        pull.directory.unassign(group)
    before = await pull.active()
    report = await pull.provision(name)
    assert report.result is OnDemandResult.DISABLED, report
    assert group not in await pull.groups()
    assert await pull.active() == before


async def test_the_steps_are_in_the_provisioning_log(pull: Pull) -> None:
    """One entry for each attempted change, with steps and origin."""
    report = await pull.provision(somebody(pull))
    async with pull.db.reading() as conn:
        page = await provisioning_log.search(
            conn, pull.connection.tenant_id, pull.connection.id, cycle_id=report.cycle_id
        )
    entry = page.entries[-1]
    assert [step.name for step in entry.steps][:4] == ["find", "scope", "match", "evaluate"]
    assert entry.origin is Origin.GRAPH


async def test_one_person_is_decided_on_their_own_rows(pull: Pull) -> None:
    """On demand loads the subject's state only: a large connection costs what a small one does."""
    await pull.cycle()
    person = somebody(pull)
    async with pull.services.open_graph(pull.connection) as graph:
        looked = await find(graph, pull.services, pull.connection, person)
    manager = looked.snapshot.users[GraphId(person)].manager_id
    loaded = {row.entra_object_id for row in looked.state.users.values()}
    assert loaded <= {person, manager}
    here = await pull.groups()
    of_theirs = {key for who in (person, manager) if who for key in pull.directory.groups_of(who)}
    assert {row.entra_object_id for row in looked.state.groups.values()} <= of_theirs & here.keys()
    assert looked.state.users, "the person's own row is there"
