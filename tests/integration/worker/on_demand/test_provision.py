"""Provision on demand: five steps for every kind of person, on both databases."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from simulator.faults import Fault
from store.logs import provisioning_log
from store.records import CycleStatus, GraphId, LogStatus, Mode, Origin, ScopingClause, Step, User
from store.sync.cycles import Progress
from tests.builders.simulated_connection import Pull
from tests.databases.parameters import SQLITE
from worker.apply.apply_plan import BATCH_SIZE
from worker.errors import Yielded
from worker.jobs.queue import Job, JobKind
from worker.jobs.runner import Runner
from worker.locks.lease import for_a_command
from worker.on_demand.report import OnDemandReport, OnDemandResult
from worker.on_demand.subject import find
from worker.reconcile.mapping.attribute_mapping import DEFAULT_MAPPING


def somebody(pull: Pull) -> str:
    """The object id of a person who is assigned by a group."""
    entitled = pull.directory.entitled()
    return next(person for person in sorted(entitled) if entitled[person] != ["direct"])


def data(step: Step) -> Any:
    """What a step read and decided, as a program sees it."""
    return step.data


async def run(pull: Pull, *subjects: str) -> list[OnDemandReport]:
    job = Job(JobKind.ON_DEMAND, pull.connection.id, "request", subjects=subjects)
    done: Any = await Runner(pull.services, for_a_command(pull.services.settings)).run(job, asyncio.Event())
    return [OnDemandReport.from_json(report) for report in done["reports"]]


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


async def test_a_group_whose_people_left_is_updated_not_disabled(pull: Pull) -> None:
    """The result is the subject's: of a group only its deletion is "disabled"."""
    await pull.cycle()
    group, members = next((key, held) for key, held in (await pull.members()).items() if len(held) > 1)
    for person in members & pull.directory.users.keys():
        pull.lose(person, "disabled")
    assert (await pull.provision(group, is_dry_run=True)).would is OnDemandResult.UPDATED
    report = await pull.provision(group)
    assert report.result is OnDemandResult.UPDATED
    assert not members & await pull.active()


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


def large_group(pull: Pull, people: int) -> str:
    """A new assigned group whose members nobody has here yet."""
    directory = pull.directory
    group = directory.create_group({"displayName": "Seasonal staff", "securityEnabled": True}).id
    for number in range(people):
        name = f"season{number}"
        mail = f"{name}@fabrikam-demo.example"
        made = directory.create_user(
            {"userPrincipalName": mail, "mail": mail, "displayName": name, "mailNickname": name}
        )
        directory.add_member(group, made.id)
    directory.assign(group)
    return group


@pytest.mark.parametrize("database_url", [SQLITE], indirect=True)
async def test_a_large_group_goes_in_batches_and_goes_on_where_it_was_stopped(pull: Pull) -> None:
    """A whole group of any size: progress, batches, safe points; what is written stays, the next run does the rest."""
    people = 2 * BATCH_SIZE + 50
    group = large_group(pull, people)
    halt, told = asyncio.Event(), list[Progress]()

    def watch(how_far: Progress) -> None:
        told.append(how_far)
        if how_far.phase == "apply" and how_far.done:
            halt.set()

    job = Job(JobKind.ON_DEMAND, pull.connection.id, "request", subjects=("Seasonal staff",))
    with pytest.raises(Yielded):
        await Runner(pull.services, for_a_command(pull.services.settings), watch).run(job, halt)
    assert 0 < len(await pull.active()) < people
    assert {(each.phase, each.total) for each in told} == {("steps", 5), ("apply", 2 * people + 1)}
    assert (await pull.latest_cycle()).status is CycleStatus.YIELDED
    report = await pull.provision("Seasonal staff")
    assert report.result is OnDemandResult.CREATED
    assert len((await pull.members())[group]) == people
    assert (await pull.provision("Seasonal staff")).result is OnDemandResult.UNCHANGED


@pytest.mark.parametrize("database_url", [SQLITE], indirect=True)
async def test_what_a_large_group_tells_and_logs_stays_small(pull: Pull) -> None:
    """Data of a step is bounded, and no log entry carries the whole group."""
    group = large_group(pull, 120)
    report = await pull.provision(group)
    evaluated, performed = data(report.steps[3]), data(report.steps[4])
    assert evaluated["counts"] == {"create": 121, "add_member": 120}
    assert len(evaluated["changes"]) == 50
    assert len(performed["written"]) == 50
    async with pull.db.reading() as conn:
        page = await provisioning_log.search(
            conn, pull.connection.tenant_id, pull.connection.id, cycle_id=report.cycle_id
        )
    assert all(len(str(entry.steps)) < 5_000 for entry in page.entries)


async def test_nothing_secret_is_in_a_step(pull: Pull) -> None:
    """Each step shows what was read, safe of secrets: what is called a password is not shown, mapped or not."""
    await pull.set_policy(mapping={**DEFAULT_MAPPING, "password": "extensionAttribute7"})
    person = somebody(pull)
    pull.directory.change_user(
        person, {"onPremisesExtensionAttributes": {"extensionAttribute7": "hush-hush"}}
    )
    report = await pull.provision(person, is_dry_run=True)
    assert "hush-hush" not in str(report.steps)


@pytest.mark.parametrize("fate", ["disabled", "soft_deleted"])
async def test_who_comes_back_is_enabled_again_as_the_same_account(pull: Pull, fate: str) -> None:
    """People Entra's trigger cannot handle: restored ones get the account they had."""
    await pull.cycle()
    person = somebody(pull)
    before = await row(pull, person)
    pull.lose(person, fate)
    await pull.provision(person)
    if fate == "disabled":
        pull.directory.change_user(person, {"accountEnabled": True})
    else:
        pull.directory.restore_user(person)
    look = await pull.provision(person, is_dry_run=True)
    assert (look.result, look.would) == (OnDemandResult.SKIPPED, OnDemandResult.ENABLED)
    report = await pull.provision(person)
    assert report.result is OnDemandResult.ENABLED
    assert report.steps[2].data["deprovision_reason"] == fate
    after = await row(pull, person)
    assert (after.id, after.active) == (before.id, True)
    assert look.steps[4].data["write"] == report.steps[4].data["written"]


async def test_whom_a_filter_leaves_out_is_disabled_and_the_filter_is_named(pull: Pull) -> None:
    """Out of scope: the step says which clause does not hold, and what it met."""
    await pull.cycle()
    person = somebody(pull)
    pull.directory.change_user(person, {"department": "Circus"})
    await pull.set_policy(scoping_filters=((ScopingClause("department", "EQUALS", "Sales"),),))
    report = await pull.provision(person)
    assert report.result is OnDemandResult.DISABLED
    assert "department is 'Circus', wanted EQUALS Sales" in report.steps[1].detail
    assert report.steps[1].data["reason"] == "out_of_scope"


@pytest.mark.parametrize(("fate", "beyond"), [("disabled", True), ("purged", True), ("unassigned", False)])
async def test_it_is_said_where_entras_own_trigger_could_not_act(pull: Pull, fate: str, beyond: bool) -> None:
    """entra-scim-client: POD "cannot act on users disabled or deleted in Entra"; it can disable the unassigned."""
    await pull.cycle()
    person = somebody(pull)
    pull.lose(person, fate)
    report = await pull.provision(person)
    assert ("cannot act" in report.steps[1].detail) is beyond


async def test_every_step_says_what_was_read_and_decided(pull: Pull) -> None:
    """Each step with what was read and what was decided, as data."""
    await pull.cycle()
    person = somebody(pull)
    pull.lose(person, "disabled")
    find_, scope, match, evaluate, perform = (await pull.provision(person)).steps
    assert data(find_)["accountEnabled"] is False
    assert all(read["finished"] for read in data(find_)["read"])
    assert (data(scope)["entitled"], data(scope)["reason"]) == (False, "disabled")
    assert (data(match)["by"], data(match)["active"]) == ("Entra object id", True)
    assert data(evaluate)["counts"] == {"disable": 1}
    assert data(evaluate)["reread"][0]["account_enabled"] is False
    [written] = data(perform)["written"]
    assert written["attributes"] == {"active": {"old": True, "new": False}}


async def test_where_a_person_has_to_act_first_the_rest_of_a_list_is_not_tried(pull: Pull) -> None:
    """A refused credential is refused for everybody: asking a thousand times helps nobody."""
    registration = pull.simulator.simulation.registration
    registration.secrets.clear()
    reports = await run(pull, "a@x.example", "b@x.example", "c@x.example")
    assert [report.subject for report in reports] == ["a@x.example", "b@x.example", "c@x.example"]
    assert {report.result for report in reports} == {OnDemandResult.FAILED}
    assert len({report.cycle_id for report in reports}) == 1, "only the first was tried"
    assert reports[2].remedy


async def test_who_is_as_they_should_be_leaves_no_entry_in_the_log(pull: Pull) -> None:
    """first-days: "*Lookups that changed nothing* do not fill the provisioning log"."""
    await pull.cycle()
    person = sorted(pull.directory.entitled())[0]
    looked_up = [await pull.provision(person), await pull.provision(person, is_dry_run=True)]
    assert {report.result for report in looked_up} <= {OnDemandResult.UNCHANGED, OnDemandResult.SKIPPED}
    connection = pull.connection
    async with pull.db.reading() as conn:
        for report in looked_up:
            page = await provisioning_log.search(
                conn, connection.tenant_id, connection.id, cycle_id=report.cycle_id
            )
            assert page.entries == ()
