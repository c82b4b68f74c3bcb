"""One row that does not fit ends no list: of that object nothing is decided, and everybody else is looked after."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.faults import parse_fault
from store.records import Action, CycleKind, CycleStatus, DriftFinding, DriftKind, FindingState
from tests.builders.simulated_connection import Pull
from tests.databases.parameters import SQLITE
from worker.cycle.report import CycleReport

pytestmark = pytest.mark.parametrize("database_url", [SQLITE], indirect=True)

USERS = r"GET /v1.0//?users\?"
MEMBERS = r"GET /v1.0//?groups/[^/]+/members"
ASSIGNMENTS = "appRoleAssignedTo"


def distort(pull: Pull, match: str, **rows: Any) -> None:
    pull.simulator.simulation.faults.arm(parse_fault({"match": match, "rows": rows}))


async def unknown(pull: Pull, report: CycleReport) -> list[DriftFinding]:
    return [each for each in await pull.findings(report) if each.kind is DriftKind.STATE_UNKNOWN]


async def test_a_user_without_a_state_stops_no_removal(pull: Pull) -> None:
    """`accountEnabled: null` (docs-contrib#2410): named once, kept as it is; the leaver beside goes."""
    await pull.cycle()
    odd, leaver, *stay = sorted(pull.directory.entitled())
    distort(pull, "users", **{odd: {"accountEnabled": None, "department": "Elsewhere"}})
    pull.lose(leaver, "unassigned")
    before = (await pull.users())[odd]
    report = await pull.cycle()
    assert report.complete
    assert report.applied.get(Action.DISABLE) == 1
    assert await pull.active() == {odd, *stay}
    assert (await pull.users())[odd].version == before.version
    (finding,) = await unknown(pull, report)
    assert (finding.subject_id, finding.subject_label) == (odd, before.user_name)
    assert "accountEnabled" in str(finding.evidence)


async def test_a_user_without_a_state_is_not_created(pull: Pull) -> None:
    odd = sorted(pull.directory.entitled())[0]
    distort(pull, USERS, **{odd: {"accountEnabled": None}})
    report = await pull.cycle()
    assert report.complete
    assert odd not in await pull.users()
    assert [each.subject_id for each in await unknown(pull, report)] == [odd]


async def test_a_user_without_a_state_is_asked_for_again_by_the_next_increment(pull: Pull) -> None:
    """No delta tells when Graph answers: the person waited for the next full cycle (seed 58164)."""
    odd = sorted(pull.directory.entitled())[0]
    distort(pull, USERS, **{odd: {"accountEnabled": None}})
    await pull.cycle()
    pull.simulator.simulation.faults.clear()

    report = await pull.increment()

    assert (report.kind, report.error) == (CycleKind.INCREMENTAL, None)
    assert (await pull.users())[odd].active
    assert [each.state for each in await unknown(pull, report)] == [FindingState.RESOLVED]


async def test_all_users_without_a_state_are_a_missing_permission(pull: Pull) -> None:
    await pull.cycle()
    distort(pull, USERS, **{"*": {"accountEnabled": None}})
    report = await pull.cycle()
    assert report.status is CycleStatus.INCOMPLETE
    assert "User.Read.All" in " ".join(report.reasons)
    assert report.applied == {}


@pytest.mark.parametrize("odd_row", [{"id": None}, {"id": 7}, "nobody", None])
async def test_a_member_without_an_id_leaves_the_list_whole(pull: Pull, odd_row: Any) -> None:
    """Anybody might be that member: through this group nobody is removed, elsewhere they are."""
    await pull.cycle()
    entitled = pull.directory.entitled()
    odd = next(person for person, by in sorted(entitled.items()) if by != ["direct"])
    disabled = next(person for person in sorted(entitled) if person != odd)
    distort(pull, MEMBERS, **{odd: odd_row})
    pull.lose(disabled, "disabled")
    members = await pull.members()
    report = await pull.cycle()
    assert report.complete
    assert report.applied == {Action.DISABLE: 1}
    assert await pull.active() == set(entitled) - {disabled}
    assert await pull.members() == members
    assert {each.subject_type for each in await unknown(pull, report)} == {"group"}


async def test_a_user_without_an_id_counts_nobody_as_deleted(pull: Pull) -> None:
    await pull.cycle()
    odd, leaver, *stay = sorted(pull.directory.entitled())
    distort(pull, USERS, **{odd: "nobody"})
    pull.lose(leaver, "purged")
    report = await pull.cycle()
    assert report.complete
    assert await pull.active() == {odd, *stay}
    assert "without an object id" in " ".join(report.reasons)


@pytest.mark.parametrize("kind", [None, 7])
async def test_an_assignment_without_a_type_of_a_person_decides_nothing(pull: Pull, kind: Any) -> None:
    await pull.cycle()
    entitled = pull.directory.entitled()
    odd = next(person for person, by in sorted(entitled.items()) if by == ["direct"])
    distort(pull, ASSIGNMENTS, **{odd: {"principalType": kind}})
    report = await pull.cycle()
    assert report.complete
    assert report.applied == {}
    assert await pull.active() == set(entitled)
    assert [each.subject_id for each in await unknown(pull, report)] == [odd]


async def test_an_assignment_without_a_type_of_a_group_takes_nothing(pull: Pull) -> None:
    """What it assigns is not known: its people might lose everything otherwise."""
    await pull.cycle()
    members = await pull.members()
    active = await pull.active()
    group = next(r.principal_id for r in pull.directory.live_assignments() if r.principal_type == "Group")
    distort(pull, ASSIGNMENTS, **{group: {"principalType": None}})
    report = await pull.cycle()
    assert report.complete
    assert report.applied == {}
    assert await pull.active() == active
    assert await pull.members() == members
    assert group in " ".join(report.reasons)


async def test_a_group_without_a_name_is_kept_as_it_is(pull: Pull) -> None:
    await pull.cycle()
    names = {row.display_name for row in (await pull.groups()).values()}
    group = next(r.principal_id for r in pull.directory.live_assignments() if r.principal_type == "Group")
    distort(pull, f"groups/{group}", **{group: {"displayName": None}})
    leaver = sorted(pull.directory.entitled())[0]
    pull.lose(leaver, "disabled")
    report = await pull.cycle()
    assert report.complete
    assert report.applied.get(Action.DISABLE) == 1
    assert {row.display_name for row in (await pull.groups()).values()} == names
    assert [each.subject_id for each in await unknown(pull, report)] == [group]


async def test_a_new_group_without_a_name_is_not_created(pull: Pull) -> None:
    group = next(r.principal_id for r in pull.directory.live_assignments() if r.principal_type == "Group")
    distort(pull, f"groups/{group}", **{group: {"displayName": None}})
    report = await pull.cycle()
    assert report.complete
    assert await pull.active() == set(pull.directory.entitled()), "its members have access all the same"
    assert group not in {row.entra_object_id for row in (await pull.groups()).values()}
    assert [each.subject_id for each in await unknown(pull, report)] == [group]


async def test_a_group_on_demand_is_still_read_a_page_at_a_time(pull: Pull) -> None:
    """A member without a state made it read everybody one by one."""
    await pull.cycle()
    members = await pull.members()
    entitled = pull.directory.entitled()
    odd = next(person for person, by in sorted(entitled.items()) if by != ["direct"])
    group = pull.directory.groups_of(odd)[0]
    distort(pull, "graph.user", **{odd: {"accountEnabled": None}})
    pull.simulator.simulation.requests.clear()
    await pull.provision(group)
    assert await pull.members() == members
    assert await pull.active() == set(entitled)
