"""Full cycles look closely only at who does not agree with Entra as before, on both databases."""

from __future__ import annotations

import pytest

from store import lifecycle
from store.directory import groups, memberships, users
from store.records import AddMembers, Cause, ChangeUser, Command, CreateUser, Origin, RemoveMembers
from store.sync import digests
from tests.builders.simulated_connection import Pull
from worker.cycle.load_state import load, load_unsettled
from worker.graph.read.snapshot import read_snapshot
from worker.reconcile.entitlement import entitlement_of
from worker.reconcile.plan import Plan
from worker.reconcile.planning import planner
from worker.reconcile.snapshot import Focus


async def _both_ways(pull: Pull) -> tuple[Plan, Plan, Focus | None]:
    """The plan by digests, and the plan of everything loaded."""
    connection, now = pull.connection, pull.services.clock()
    async with pull.services.open_graph(connection) as graph:
        snapshot = await read_snapshot(graph, connection)
    entitlement = entitlement_of(snapshot, connection.policy)
    part, focus = await load_unsettled(pull.db, connection, snapshot, entitlement)
    whole = await load(pull.db, connection)
    by_digests = planner.plan(snapshot, part, connection.policy, now, entitlement, focus)
    return by_digests, planner.plan(snapshot, whole, connection.policy, now, entitlement), focus


async def test_after_a_cycle_that_left_nothing_open_nobody_is_looked_at(pull: Pull) -> None:
    """What our own changes made so is agreed on as well: the first full cycle after the initial one is quick."""
    await pull.cycle()
    by_digests, whole, focus = await _both_ways(pull)
    assert focus == Focus()
    assert by_digests.changes == whole.changes == ()


async def test_rows_that_come_in_many_parts_are_compared_as_one_list(
    pull: Pull, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million rows are compared as they come and forgotten; here three at a time."""
    monkeypatch.setattr(digests, "ROWS_IN_A_PART", 3)
    await pull.cycle()
    _, _, focus = await _both_ways(pull)
    assert focus == Focus()


async def test_totals_are_counted_up_to_a_limit(pull: Pull) -> None:
    """An increment counts only as far as its ceilings depend on it."""
    await pull.cycle()
    scope = pull.connection.tenant_id, pull.connection.id
    async with pull.db.reading() as conn:
        for count in (users.count_active, groups.count, memberships.count):
            assert await count(conn, *scope) > 1
            assert await count(conn, *scope, 1) == 1


async def test_whatever_moved_since_is_planned_as_if_everything_had_been_loaded(pull: Pull) -> None:
    """The way by digests gives exactly the plan of the way without: pushes, Entra and people all had a hand."""
    await pull.cycle()
    await _life_goes_on(pull)
    by_digests, whole, focus = await _both_ways(pull)
    assert focus is not None, "so few changes need not everything loaded"
    assert by_digests == whole
    assert len({change.kind for change in whole.changes}) >= 5

    await pull.cycle()
    again, whole, focus = await _both_ways(pull)
    assert again == whole
    assert focus is not None
    assert len(focus.users) <= 1, (
        "who was repaired agrees; the account that was renamed here waits for nobody"
    )


async def _life_goes_on(pull: Pull) -> None:
    directory, connection = pull.directory, pull.connection
    here = {key: user for key, user in (await pull.users()).items() if user.active}
    members = await pull.members()
    groups = await pull.groups()
    team = next(g for g in members if len(members[g] & here.keys()) > 2)
    other = next(g for g in members if g != team)
    stranger = next(p for p in here if p not in members[other])
    edited, leaver, renamed, *_ = [p for p in here if p != stranger]
    directory.change_user(renamed, {"jobTitle": "Somebody else's"})
    pull.lose(leaver, "disabled")
    person = next(m for m in members[team] & here.keys() if m not in {edited, leaver})
    commands: list[Command] = [
        ChangeUser(here[edited].id, lambda document: {**document, "title": "As pushed"}),
        RemoveMembers(groups[team].id, (here[person].id,)),
        AddMembers(groups[other].id, (here[stranger].id,)),
        CreateUser({"userName": "made.here@example.com", "active": True}),
    ]
    cause = Cause(Origin.SCIM, "test", "test")
    await lifecycle.perform(pull.db, connection.tenant_id, connection.id, commands, cause)
    newcomer = directory.create_user(
        {"userPrincipalName": "new@contoso.example", "displayName": "New", "mailNickname": "new"}
    )
    directory.assign(newcomer.id, directory.app_role_id)
