"""Members of a HiddenMembership group are left out, status 200, without Member.Read.Hidden: that proves nothing."""

from __future__ import annotations

import pytest

from store.records import Action, CycleStatus, DriftKind, MembershipMode
from tests.builders.graph_reading import LEAST
from tests.builders.simulated_connection import Pull
from tests.databases.parameters import SQLITE
from worker.graph.read.hidden_members import READ_HIDDEN

pytestmark = pytest.mark.parametrize("database_url", [SQLITE], indirect=True)

WITH_HIDDEN = LEAST | {READ_HIDDEN}


def allow(pull: Pull, permissions: frozenset[str]) -> None:
    pull.simulator.simulation.registration.roles = permissions


def only_by(pull: Pull, *groups: str, people: int) -> list[str]:
    """Assigns these groups and nothing else, each with some people of its own."""
    directory = pull.directory
    for row in list(directory.live_assignments()):
        directory.unassign(row.principal_id)
    enabled = [u.id for u in directory.users.values() if u.properties["accountEnabled"]]
    chosen = enabled[: people * len(groups)]
    for place, group in enumerate(groups):
        directory.assign(group)
        for person in chosen[place * people : (place + 1) * people]:
            directory.add_member(group, person)
    return chosen


def hidden_group(pull: Pull) -> str:
    return pull.directory.create_group({"displayName": "Secret", "visibility": "HiddenMembership"}).id


async def seen_once(pull: Pull, people: int = 3) -> tuple[str, str, list[str]]:
    """A hidden and an open group whose people are here; then the permission is taken away."""
    hidden, plain = hidden_group(pull), pull.directory.create_group({"displayName": "Open"}).id
    chosen = only_by(pull, hidden, plain, people=people)
    allow(pull, WITH_HIDDEN)
    await pull.cycle()
    assert await pull.active() == set(chosen)
    allow(pull, LEAST)
    return hidden, plain, chosen


async def test_nobody_is_removed_through_a_group_with_hidden_members(pull: Pull) -> None:
    hidden, _, chosen = await seen_once(pull)
    members = await pull.members()
    report = await pull.cycle()
    assert report.complete
    assert report.applied == {}
    assert await pull.active() == set(chosen)
    assert await pull.members() == members
    said = " ".join(report.reasons)
    assert READ_HIDDEN in said
    assert hidden in said
    (finding,) = [each for each in await pull.findings(report) if each.kind is DriftKind.STATE_UNKNOWN]
    assert (finding.subject_id, finding.subject_label) == (hidden, "Secret")


async def test_the_rest_of_the_cycle_goes_on_and_removes(pull: Pull) -> None:
    """Disabled, deleted, and members of other groups: what is proved without the hidden list."""
    _, plain, chosen = await seen_once(pull)
    await pull.cycle()  # the lost permission is told once: "the permissions of the token changed"
    disabled, purged, *_, moved = chosen
    pull.lose(disabled, "disabled")
    pull.lose(purged, "purged")
    pull.directory.assign(moved)
    pull.directory.remove_member(plain, moved)
    report = await pull.cycle()
    assert report.applied == {Action.DISABLE: 2, Action.REMOVE_MEMBER: 1}
    assert await pull.active() == set(chosen) - {disabled, purged}


async def test_who_might_be_a_hidden_member_is_not_disabled(pull: Pull) -> None:
    """The only grant of somebody who left an open group could be the hidden one."""
    _, plain, chosen = await seen_once(pull)
    await pull.cycle()
    pull.directory.remove_member(plain, chosen[-1])
    report = await pull.cycle()
    assert Action.DISABLE not in report.applied
    assert chosen[-1] in await pull.active()
    allow(pull, WITH_HIDDEN)
    await pull.cycle()
    assert (await pull.cycle()).status in (CycleStatus.APPLIED, CycleStatus.HELD)


async def test_an_increment_takes_nothing_from_a_hidden_member(pull: Pull) -> None:
    """`memberOf` of a hidden member lacks the group, status 200."""
    _, _, chosen = await seen_once(pull)
    await pull.cycle()
    pull.directory.change_user(chosen[0], {"department": "Moved"})
    report = await pull.increment()
    assert report.applied.get(Action.DISABLE, 0) == 0
    assert await pull.active() == set(chosen)


async def test_on_demand_takes_nothing_from_a_hidden_member(pull: Pull) -> None:
    _, _, chosen = await seen_once(pull)
    members = await pull.members()
    report = await pull.provision(chosen[0])
    assert READ_HIDDEN in " ".join(step.detail for step in report.steps)
    assert await pull.active() == set(chosen)
    assert await pull.members() == members


async def test_a_nested_group_can_hide_members_too(pull: Pull) -> None:
    """`membership: transitive`: what is inside a hidden group is not in `transitiveMembers` either."""
    await pull.set_policy(membership=MembershipMode.TRANSITIVE)
    outer, inner = pull.directory.create_group({"displayName": "Outer"}).id, hidden_group(pull)
    chosen = only_by(pull, inner, people=2)
    pull.directory.unassign(inner)
    pull.directory.assign(outer)
    pull.directory.add_member(outer, inner)
    allow(pull, WITH_HIDDEN)
    await pull.cycle()
    assert await pull.active() == set(chosen)
    allow(pull, LEAST)
    for report in (await pull.cycle(), await pull.cycle()):
        assert READ_HIDDEN in " ".join(report.reasons)
        assert await pull.active() == set(chosen)
    pull.directory.change_user(chosen[0], {"department": "Moved"})
    await pull.increment()
    assert await pull.active() == set(chosen)
