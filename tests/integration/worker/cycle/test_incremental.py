"""Incremental cycles against the simulated Graph, on both databases; each is proved by a full one."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from simulator.faults import Fault
from store import lifecycle
from store.records import (
    Action,
    Cause,
    ChangeUser,
    Command,
    CreateUser,
    CycleKind,
    CycleStatus,
    DeleteGroup,
    DeleteUser,
    DriftKind,
    FindingState,
    MarkUser,
    MembershipMode,
    Mode,
    Origin,
    PlanStatus,
    Reason,
    RemoveMembers,
    Scope,
    ScopingClause,
)
from store.sync import delta_links, held_plans
from tests.builders.people_and_accounts import perform
from tests.builders.simulated_connection import Pull
from worker.cycle.report import CycleReport
from worker.cycle.run import CycleRequest, run_cycle
from worker.locks.hold import Hold, LeaseSettings
from worker.locks.lease import holding
from worker.reconcile.mapping.attribute_mapping import DEFAULT_MAPPING
from worker.reconcile.mapping.attribute_paths import read_manager, write_paths


@dataclass(slots=True)
class Team:
    """A group of three who are entitled by it alone, and Ana, who is assigned herself."""

    pull: Pull
    group: str
    members: list[str]
    ana: str

    def hire(self, name: str, **properties: str) -> str:
        body = {
            "displayName": name.title(),
            "userPrincipalName": f"{name}@fabrikam-demo.example",
            **properties,
        }
        return self.pull.directory.create_user(body).id


@pytest.fixture
async def team(pull: Pull) -> Team:
    """The company with a team of ours; an initial cycle has read everything."""
    directory = pull.directory
    team = Team(pull, directory.create_group({"displayName": "Team", "securityEnabled": True}).id, [], "")
    team.members += [team.hire(name) for name in ("bo", "cy", "di")]
    for member in team.members:
        directory.add_member(team.group, member)
    directory.assign(team.group)
    team.ana = team.hire("ana")
    directory.assign(team.ana)
    assert (await pull.cycle()).status is CycleStatus.APPLIED
    return team


async def proved(team: Team, report: CycleReport) -> CycleReport:
    """The increment was one, and a full cycle right after it finds nothing."""
    pull = team.pull
    assert (report.kind, report.status, report.why_full) == (CycleKind.INCREMENTAL, CycleStatus.APPLIED, None)
    assert await pull.active() == set(pull.directory.entitled())
    full = await pull.cycle()
    assert (full.kind, full.drift, full.applied) == (CycleKind.FULL, {}, {})
    assert full.increments_missed == 0
    return report


def joiner_by_assignment(team: Team) -> None:
    team.pull.directory.assign(team.hire("eve"))


def joiner_by_group(team: Team) -> None:
    team.pull.directory.add_member(team.group, team.hire("eve"))


def mover(team: Team) -> None:
    team.pull.directory.change_user(team.ana, {"jobTitle": "Boss", "department": "Board"})


def renamed(team: Team) -> None:
    team.pull.directory.change_user(team.ana, {"userPrincipalName": "ann@fabrikam-demo.example"})


def names_swapped(team: Team) -> None:
    directory, bo = team.pull.directory, team.members[0]
    directory.change_user(bo, {"userPrincipalName": "aside@fabrikam-demo.example"})
    directory.change_user(team.ana, {"userPrincipalName": "bo@fabrikam-demo.example"})
    directory.change_user(bo, {"userPrincipalName": "ana@fabrikam-demo.example"})


def new_manager(team: Team) -> None:
    team.pull.directory.set_manager(team.ana, team.members[0])


def manager_arrives(team: Team) -> None:
    """Who reports to somebody refers to them from the moment they are here."""
    directory = team.pull.directory
    boss = team.hire("boss")
    directory.set_manager(team.ana, boss)
    directory.assign(boss)


def disabled(team: Team) -> None:
    team.pull.lose(team.ana, "disabled")


def soft_deleted(team: Team) -> None:
    team.pull.lose(team.members[0], "soft_deleted")


def purged(team: Team) -> None:
    team.pull.lose(team.ana, "purged")


def unassigned(team: Team) -> None:
    team.pull.directory.unassign(team.ana)


def removed_from_group(team: Team) -> None:
    team.pull.directory.remove_member(team.group, team.members[0])


def moved_from_group_to_assignment(team: Team) -> None:
    team.pull.directory.remove_member(team.group, team.members[0])
    team.pull.directory.assign(team.members[0])


def group_unassigned(team: Team) -> None:
    team.pull.directory.unassign(team.group)


def group_deleted(team: Team) -> None:
    team.pull.directory.delete_group(team.group)


def group_assigned(team: Team) -> None:
    directory = team.pull.directory
    group = directory.create_group({"displayName": "Second team", "securityEnabled": True}).id
    directory.add_member(group, team.hire("eve"))
    directory.add_member(group, team.ana)
    directory.assign(group)


def group_renamed(team: Team) -> None:
    team.pull.directory.change_group(team.group, {"displayName": "The team"})


def group_nested_in_a_group(team: Team) -> None:
    directory = team.pull.directory
    outer = next(a.principal_id for a in directory.live_assignments() if a.principal_id in directory.groups)
    directory.add_member(outer, team.group)


def rehired(team: Team) -> None:
    """A new object under the old name: the account is the person's again."""
    directory = team.pull.directory
    directory.soft_delete_user(team.ana)
    directory.purge_user(team.ana)
    directory.assign(team.hire("ana"))


LEAVERS = [disabled, soft_deleted, purged, unassigned, removed_from_group, group_unassigned, group_deleted]
RESTORABLE = [happening for happening in LEAVERS if happening not in (purged, group_deleted)]
OTHERS = [
    joiner_by_assignment, joiner_by_group, mover, renamed, names_swapped, new_manager, manager_arrives,
    moved_from_group_to_assignment, group_assigned, group_renamed, group_nested_in_a_group, rehired,
]  # fmt: skip


@pytest.mark.parametrize("happening", [*LEAVERS, *OTHERS], ids=lambda happening: happening.__name__)
async def test_an_increment_finds_what_happened(team: Team, happening: Callable[[Team], None]) -> None:
    """Issue 3: increments are proved right by full cycles, which have nothing left to do after them."""
    happening(team)
    report = await proved(team, await team.pull.increment())
    assert report.applied


async def test_a_name_of_any_length_fails_no_increment(team: Team) -> None:
    """PostgreSQL refused the key of a long one, and the cycle with it (seed 63025)."""
    team.pull.directory.assign(team.hire("eve", mailNickname="n" * 300))
    await proved(team, await team.pull.increment())


async def test_the_last_admin_who_left_goes_with_the_increment_after_another_became_one(team: Team) -> None:
    """Only the other account changed since: the checkpoint names the one that stays until then (seed 57170)."""
    pull = team.pull
    people = await pull.users()
    await perform(pull, MarkUser(people[team.ana].id, is_admin=True), origin=Origin.CONSOLE)
    pull.lose(team.ana, "soft_deleted")
    for _ in range(2):
        assert (await pull.increment()).applied == {}
        assert (await pull.users())[team.ana].active
    await perform(pull, MarkUser(people[team.members[0]].id, is_admin=True), origin=Origin.CONSOLE)

    await proved(team, await pull.increment())

    assert not (await pull.users())[team.ana].active


@pytest.mark.parametrize("how", ["restored", "restored, then pushed", "on demand"])
async def test_who_reports_to_a_manager_who_came_in_between_refers_to_the_account(
    team: Team, how: str
) -> None:
    """No delta names the reports of somebody who is restored, or who was given access by the push or on demand
    (seeds 54025, 55003, 71004).
    """
    directory = team.pull.directory
    boss = team.hire("boss")
    directory.set_manager(team.ana, boss)
    if how != "on demand":
        await team.pull.set_policy(clear_emptied_attributes=True)
        directory.assign(boss)
        await team.pull.increment()
        directory.soft_delete_user(boss)
        for _ in range(2):  # the account ends first: until then it may be referred to
            await team.pull.cycle()
        assert read_manager((await team.pull.users())[team.ana].document) is None
        directory.restore_user(boss)
        if "pushed" in how:
            row = (await team.pull.users())[boss]
            await perform(
                team.pull,
                ChangeUser(row.id, lambda document: {**document, "active": True}),
                origin=Origin.SCIM,
            )
    else:
        await team.pull.cycle()
        directory.assign(boss)
        await team.pull.provision(boss)
    await proved(team, await team.pull.increment())
    people = await team.pull.users()
    assert read_manager(people[team.ana].document) == people[boss].id


@pytest.mark.parametrize("happening", RESTORABLE, ids=lambda happening: happening.__name__)
async def test_who_comes_back_has_access_back(team: Team, happening: Callable[[Team], None]) -> None:
    """A restored person, a group assigned anew: the same rows, the same people."""
    directory = team.pull.directory
    happening(team)
    await team.pull.increment()
    for person in (team.ana, *team.members):
        if directory.find_user(person) is None:
            directory.restore_user(person)
        directory.change_user(person, {"accountEnabled": True})
    for member in team.members:
        directory.add_member(team.group, member)
    for principal in (team.ana, team.group):
        if not directory.is_assigned(principal):
            directory.assign(principal)
    await proved(team, await team.pull.increment())
    assert {team.ana, *team.members} <= await team.pull.active()


READS = ["servicePrincipals.appId", "appRoleAssignedTo", "/users/delta", "/groups/delta", "expand=manager", "memberOf",
         "/groups/[^/]+/members", "deletedItems", "appRoleAssignments"]  # fmt: skip


@pytest.mark.parametrize("read", READS)
async def test_an_increment_ends_only_when_every_answer_is_there(team: Team, read: str) -> None:
    """Design §5.1: removals only after a complete reading: no answer that was asked for is left behind."""
    removed_from_group(team)
    team.pull.lose(team.members[1], "soft_deleted")
    group_assigned(team)
    fault = Fault(re.compile(read), delay_s=0.4, times=1)
    team.pull.simulator.simulation.faults.arm(fault)
    report = await proved(team, await team.pull.increment())
    assert fault.hit == 1
    assert report.duration_s >= 0.4


async def test_nothing_happened_is_an_increment_that_does_nothing(team: Team) -> None:
    """I6: replays of what the last cycle did itself change nothing."""
    report = await proved(team, await team.pull.increment())
    assert (report.drift, report.applied) == ({}, {})


async def test_counts_go_on_from_the_last_cycle(team: Team) -> None:
    """`counts` are the entitled users, groups and memberships, told by an increment too."""
    happening = [joiner_by_group, unassigned, group_assigned]
    for each in happening:
        if each is not group_assigned:
            each(team)
    increment = await team.pull.increment()
    assert increment.counts == (await team.pull.cycle()).counts


# --- What is done here is looked at as well


async def test_what_a_push_got_wrong_is_put_right(team: Team) -> None:
    """A row that anybody but the worker changed is looked at in the next increment."""
    pull, people = team.pull, await team.pull.users()
    ana, bo = people[team.ana], people[team.members[0]]
    group = (await pull.groups())[team.group]
    cause = Cause(Origin.SCIM, "push")
    commands: list[Command] = [
        ChangeUser(ana.id, lambda document: write_paths(document, {"displayName": "Wrong"})),
        RemoveMembers(group.id, (bo.id,)),
    ]
    await lifecycle.perform(pull.db, ana.tenant_id, ana.connection_id, commands, cause)
    report = await proved(team, await pull.increment())
    assert report.drift == {DriftKind.ATTRIBUTE_MISMATCH: 1, DriftKind.MEMBERSHIP_MISSING: 1}


@dataclass(slots=True)
class PushedInto(Hold):
    """A hold whose first safe point, between the cycle's beginning and its reading, meets a push."""

    push: Callable[[], Awaitable[object]] | None = None

    async def checkpoint_or_yield(self) -> None:
        push, self.push = self.push, None
        if push is not None:
            await push()
        await Hold.checkpoint_or_yield(self)


async def pushed_into(pull: Pull, wish: CycleRequest, *commands: Command) -> CycleReport:
    """A cycle that meets a push before it reads anything."""
    connection, cause = pull.connection, Cause(Origin.SCIM, "push")
    scope = pull.db, connection.tenant_id, connection.id
    settings = LeaseSettings("test", duration_s=30)
    async with holding(pull.db, pull.services.clock, *scope[1:], settings) as held:
        hold = PushedInto(held.lease, held.settings)
        hold.push = lambda: lifecycle.perform(*scope, commands, cause)
        return await run_cycle(pull.services, connection, hold, wish)


async def test_a_push_after_an_increment_began_wins_though_nothing_was_read_yet(team: Team) -> None:
    """I7: a push that lands during a cycle is never overwritten by that cycle; the next one looks again."""
    pull, ana = team.pull, (await team.pull.users())[team.ana]
    report = await pushed_into(pull, CycleRequest(), DeleteUser(ana.id))
    assert (report.kind, report.applied) == (CycleKind.INCREMENTAL, {})
    report = await proved(team, await pull.increment())
    assert report.applied == {Action.RESTORE: 1}


@pytest.mark.parametrize("is_full", [False, True])
async def test_what_is_left_alone_for_a_push_is_looked_at_again(team: Team, *, is_full: bool) -> None:
    """A group that a push changed meanwhile keeps its members; who else joined it is not forgotten over that."""
    pull = team.pull
    bo, group = (await pull.users())[team.members[0]], (await pull.groups())[team.group]
    pull.directory.add_member(team.group, team.ana)
    report = await pushed_into(pull, CycleRequest(is_full=is_full), RemoveMembers(group.id, (bo.id,)))
    assert report.applied == {}
    report = await proved(team, await pull.increment())
    assert report.applied == {Action.ADD_MEMBER: 2}


async def test_who_was_in_a_group_that_a_push_deleted_is_looked_at(team: Team) -> None:
    """Entra deletes the group it no longer pushes, and forgets its people: whom it had is told by our own event."""
    pull, group = team.pull, (await team.pull.groups())[team.group]
    pull.directory.unassign(team.group)
    cause = Cause(Origin.SCIM, "push")
    await lifecycle.perform(pull.db, group.tenant_id, group.connection_id, [DeleteGroup(group.id)], cause)
    report = await proved(team, await pull.increment())
    assert report.applied == {Action.DISABLE: len(team.members)}


async def test_a_removal_that_was_not_confirmed_is_asked_again_by_the_next_cycle(team: Team) -> None:
    """ "The next cycle asks again": no delta would name the person a second time, so that one reads everything."""
    pull, faults = team.pull, team.pull.simulator.simulation.faults
    pull.lose(team.ana, "unassigned")
    faults.arm(Fault(re.compile("/users/[^/]+/appRoleAssignments"), status=410))
    first = await pull.cycle()
    assert (first.status, first.applied) == (CycleStatus.APPLIED, {})
    faults.clear()
    second = await pull.increment()
    assert (second.kind, second.applied) == (CycleKind.FULL, {Action.DISABLE: 1})


async def test_who_was_deleted_here_by_mistake_comes_back(team: Team) -> None:
    """The deleted row is known by its link, and the person behind it is read."""
    pull, ana = team.pull, (await team.pull.users())[team.ana]
    cause = Cause(Origin.SCIM, "push")
    await lifecycle.perform(pull.db, ana.tenant_id, ana.connection_id, [DeleteUser(ana.id)], cause)
    report = await proved(team, await pull.increment())
    assert report.applied == {Action.RESTORE: 1}


async def test_who_was_pushed_is_linked_and_an_account_of_nobody_waits_for_a_full_cycle(team: Team) -> None:
    """A pushed row is matched to whoever goes by its names; to whom nobody answers, only a reading of all tells (W9)."""
    pull = team.pull
    await pull.set_policy(mapping_confirmed=True)  # two accounts are too few to tell
    pull.directory.assign(team.hire("eve"))
    documents = [
        {"userName": f"{name}@fabrikam-demo.example", "externalId": name, "active": True}
        for name in ("eve", "nobody")
    ]
    cause = Cause(Origin.SCIM, "push")
    connection = pull.connection
    commands = [CreateUser(document) for document in documents]
    await lifecycle.perform(pull.db, connection.tenant_id, connection.id, commands, cause)
    report = await pull.increment()
    assert report.applied == {Action.LINK: 1, Action.UPDATE: 1}
    full = await pull.cycle()
    assert (full.status, full.drift) == (CycleStatus.HELD, {DriftKind.UNMATCHED_ACCOUNT: 1})
    assert (await pull.latest_cycle()).increments_missed == 0


# --- Doubts end in a full cycle, in the same run


async def full_in_the_same_run(team: Team, why: str) -> CycleReport:
    """The leaver is found all the same, by a full cycle that says why it was one."""
    disabled(team)
    report = await team.pull.increment()
    assert (report.kind, report.status) == (CycleKind.FULL, CycleStatus.APPLIED)
    assert re.search(why, report.why_full or ""), report.why_full
    assert (await team.pull.latest_cycle()).why_full == report.why_full
    assert team.ana not in await team.pull.active()
    assert (await team.pull.increment()).kind is CycleKind.INCREMENTAL
    return report


async def test_before_the_first_links_everything_is_read(team: Team) -> None:
    pull = team.pull
    await pull.db.write(lambda conn: delta_links.drop(conn, pull.connection.tenant_id, pull.connection.id))
    await full_in_the_same_run(team, "continue from")


@pytest.mark.parametrize("status", [410, 400], ids=["gone", "expired"])
async def test_a_link_that_is_no_longer_good_is_not_missed(team: Team, status: int) -> None:
    """Graph: 410 and a `Location`, or 40X with syncStateNotFound: a full resync."""
    body = {"error": {"code": "resyncRequired" if status == 410 else "SyncStateNotFound", "message": "gone"}}
    fault = Fault(re.compile("GET .*/delta.*token"), status=status, body=body, times=1)
    team.pull.simulator.simulation.faults.arm(fault)
    await full_in_the_same_run(team, "read anew")


async def test_links_of_a_week_ago_are_not_followed(team: Team) -> None:
    """Graph keeps delta tokens for seven days; after six nobody counts on them."""
    pull, links = team.pull, team.pull.connection
    week_ago = pull.services.clock() - timedelta(days=6, hours=1)

    async def age(conn: AsyncConnection) -> None:
        for name in ("users", "groups", "events"):
            link = (await delta_links.get_all(conn, links.tenant_id, links.id)).get(name)
            assert link is not None
            await delta_links.put(
                conn,
                links.tenant_id,
                links.id,
                name,
                link.link,
                context=link.context,
                now=week_ago,
            )

    await pull.db.write(age)
    await full_in_the_same_run(team, "older than 6 days")


async def test_a_changed_mapping_is_read_with(team: Team) -> None:
    """What is asked of Graph, and who is in scope, is part of what a link was taken for."""
    await team.pull.set_policy(mapping={**DEFAULT_MAPPING, "nickName": "mailNickname"})
    await full_in_the_same_run(team, "mapping")


async def test_a_changed_scope_is_judged_with_everything_read(team: Team) -> None:
    """Rule 4: a changed scope is suspicious; an increment does not even try."""
    clause = ScopingClause("displayName", "NOT EQUALS", "Nobody")
    await team.pull.set_policy(scoping_filters=((clause,),))
    unassigned(team)
    report = await team.pull.increment()
    assert (report.kind, report.status) == (CycleKind.FULL, CycleStatus.HELD)
    assert "scoping filters" in (report.why_full or "")


async def test_after_a_day_everything_is_read_anew(team: Team) -> None:
    """A rotating full cycle, at the latest after `full_every_hours`, proves the increments right."""
    await team.pull.increment()
    await team.pull.set_policy(full_every_hours=0)
    report = await team.pull.increment()
    assert (report.kind, report.why_full) == (CycleKind.FULL, "Everything is read anew every 0 h.")
    assert report.increments_missed == 0


async def test_more_than_the_ceilings_allow_is_held_by_a_full_cycle(team: Team) -> None:
    """An increment never holds: everything is read before a person is asked."""
    people = sorted(team.pull.directory.entitled())[:8]
    for person in people:
        team.pull.lose(person, "disabled")
    report = await team.pull.increment()
    assert (report.kind, report.status) == (CycleKind.FULL, CycleStatus.HELD)
    assert "above the ceiling" in (report.why_full or "")
    again = await team.pull.increment()
    assert (again.kind, again.applied) == (CycleKind.INCREMENTAL, {})
    async with team.pull.db.reading() as conn:
        [held] = await held_plans.list_for(conn, team.pull.connection.tenant_id, status=PlanStatus.HELD)
    assert report.held_plan
    assert held.id == report.held_plan.id


async def test_an_assignment_list_that_shrank_is_not_believed(team: Team) -> None:
    """Rule 4: zero results, fewer than half of the last good count."""
    lie = Fault(re.compile("appRoleAssignedTo"), status=200, body={"value": []})
    team.pull.simulator.simulation.faults.arm(lie)
    report = await team.pull.increment()
    assert (report.kind, report.applied) == (CycleKind.FULL, {})
    assert "assignments were read" in (report.why_full or "")


async def test_a_subject_that_cannot_be_read_takes_nothing_away(team: Team) -> None:
    """I1: who is not answered for is not gone."""
    unassigned(team)
    fault = Fault(re.compile("GET .*memberOf"), status=403, body={"error": {"code": "x", "message": "x"}})
    team.pull.simulator.simulation.faults.arm(fault)
    await team.pull.increment()
    assert team.ana in await team.pull.active()


# --- What is left over is told again


async def test_links_stay_where_something_was_left_over(team: Team) -> None:
    """After an increment links advance only if nothing was skipped or failed."""
    pull = team.pull
    mover(team)

    async def before() -> str:
        async with pull.db.reading() as conn:
            link = (await delta_links.get_all(conn, pull.connection.tenant_id, pull.connection.id)).get(
                "users"
            )
        return link.link if link else ""

    links = await before()
    report = await pull.cycle(CycleRequest(is_dry_run=True))
    assert (report.kind, report.drift) == (CycleKind.INCREMENTAL, {DriftKind.ATTRIBUTE_MISMATCH: 1})
    assert await before() == links
    await proved(team, await pull.increment())


# --- The report


async def test_in_report_mode_findings_of_others_stay_open(team: Team) -> None:
    """An increment speaks only of whom it looked at."""
    pull = team.pull
    await pull.set_policy(mode=Mode.REPORT)
    await pull.increment()
    disabled(team)
    first = await pull.increment()
    assert first.drift == {DriftKind.MISSED_DEPROVISION: 1}
    removed_from_group(team)
    second = await pull.increment()
    assert (second.kind, second.status) == (CycleKind.INCREMENTAL, CycleStatus.REPORTED)
    states = {f.subject_id: (f.reason, f.state) for f in await pull.findings(second)}
    assert states[team.ana] == (Reason.DISABLED, FindingState.OPEN)
    assert states[team.members[0]] == (Reason.UNASSIGNED, FindingState.OPEN)
    team.pull.directory.change_user(team.ana, {"accountEnabled": True})
    third = await pull.increment()
    states = {f.subject_id: (f.reason, f.state) for f in await pull.findings(third)}
    assert states[team.ana] == (Reason.DISABLED, FindingState.RESOLVED)
    assert states[team.members[0]] == (Reason.UNASSIGNED, FindingState.OPEN)
    full = await pull.cycle()
    assert (full.drift, full.increments_missed) == ({DriftKind.MISSED_DEPROVISION: 1}, 0)


async def test_what_increments_missed_is_counted_by_the_full_cycle(team: Team) -> None:
    """Issue 3: a rotating full cycle proves the increments right, and reports it when they were not."""
    pull = team.pull
    with pull.directory.unrecorded():
        pull.directory.change_user(team.ana, {"jobTitle": "Boss"})
    assert (await pull.increment()).drift == {}
    report = await pull.cycle()
    assert (report.drift, report.increments_missed) == ({DriftKind.ATTRIBUTE_MISMATCH: 1}, 1)
    assert (await pull.latest_cycle()).increments_missed == 1


# --- Other ways to be entitled


async def test_with_nested_groups_people_come_and_go_by_them(team: Team) -> None:
    """`transitive`: who joins a group that is nested in an assigned one is looked at."""
    pull, directory = team.pull, team.pull.directory
    inner = directory.create_group({"displayName": "Inner", "securityEnabled": True}).id
    directory.add_member(team.group, inner)
    await pull.set_policy(membership=MembershipMode.TRANSITIVE)
    assert (await pull.increment()).kind is CycleKind.FULL
    eve = team.hire("eve")
    directory.add_member(inner, eve)
    joined = await pull.increment()
    assert (joined.kind, joined.applied[Action.CREATE]) == (CycleKind.INCREMENTAL, 1)
    directory.remove_member(inner, eve)
    left = await pull.increment()
    assert (left.kind, left.applied[Action.DISABLE]) == (CycleKind.INCREMENTAL, 1)
    directory.remove_member(team.group, inner)
    moved = await pull.increment()
    assert moved.kind is CycleKind.FULL
    assert "nested group" in (moved.why_full or "")


async def test_where_everybody_is_in_scope_new_people_are(team: Team) -> None:
    """`scope: all`: an account is enough."""
    pull = team.pull
    await pull.set_policy(scope=Scope.ALL)
    await pull.increment()
    eve = team.hire("eve")
    report = await pull.increment()
    assert (report.kind, report.applied) == (CycleKind.INCREMENTAL, {Action.CREATE: 1})
    pull.lose(eve, "purged")
    report = await pull.increment()
    assert (report.kind, report.applied) == (CycleKind.INCREMENTAL, {Action.DISABLE: 1})
