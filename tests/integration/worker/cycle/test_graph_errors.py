"""Every error of Graph, in a list and in a question about one person: a named state, and nobody loses anything."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from console.documents.connections import connection_state
from simulator.faults import Fault, parse_fault
from simulator.server import Simulator, running_simulator
from store.records import Action, CycleStatus, DriftKind, FindingState
from tests.builders.graph_reading import LEAST
from tests.builders.simulated_connection import Pull
from tests.databases.parameters import SQLITE
from worker import metrics

ERRORS = [
    (400, "Request_BadRequest"),
    (400, "Request_UnsupportedQuery"),
    (400, "BadRequest"),
    (401, "InvalidAuthenticationToken"),
    (401, "Authentication_ExpiredToken"),
    (403, "Authorization_RequestDenied"),
    (403, "accessDenied"),
    (403, "Authentication_MSGraphPermissionMissing"),
    (404, "Request_ResourceNotFound"),
    (404, "itemNotFound"),
    (409, "Conflict"),
    (409, "nameAlreadyExists"),
    (410, "resyncRequired"),
    (410, "syncStateNotFound"),
    (412, "resourceModified"),
    (429, "TooManyRequests"),
    (429, "activityLimitReached"),
    (500, "generalException"),
    (501, "NotImplemented"),
    (502, "UnknownError"),
    (503, "serviceNotAvailable"),
    (504, "UnknownError"),
    (509, ""),
]
"""Statuses and codes of Microsoft's pages on errors of Graph, of the directory and of delta queries."""


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with running_simulator(users=20, groups=3, seed=3) as running:
        yield running


def fault(status: int, code: str, match: str) -> Fault:
    body = {"error": {"code": code, "message": "An armed fault.", "innerError": {"request-id": "1-2-3"}}}
    return Fault(re.compile(match), status=status, headers={"Retry-After": "0.01"}, body=body)


LISTS = (r"GET /v1.0//?servicePrincipals/[^/]+/appRoleAssignedTo", r"/members", r"GET /v1.0//?users\?")
"""Who is assigned, who is in the groups, who there is: a short answer to any of them is how others lost people."""


@pytest.mark.parametrize("database_url", [SQLITE], indirect=True)
@pytest.mark.parametrize(("status", "code"), ERRORS)
async def test_an_error_in_a_list_takes_nothing_from_anybody(pull: Pull, status: int, code: str) -> None:
    """Issue 3: every Graph error code "ends in a named state, nothing wrongly removed, and says what to do"."""
    await pull.cycle()
    leaver, *stay = sorted(pull.directory.entitled())
    pull.lose(leaver, "unassigned")
    for match in LISTS:
        pull.simulator.simulation.faults.arm(fault(status, code, match))
        report = await pull.cycle()
        assert report.status is CycleStatus.INCOMPLETE
        assert str(status) in (why := " ".join(report.reasons))
        assert code in why
        assert "1-2-3" in why, "Microsoft's support asks for the request id"
        assert ("admin consent" in why) == (status == 403)
        assert "leaver doctor" in (report.remedy or "")
        assert await pull.active() == {leaver, *stay}
        pull.simulator.simulation.faults.clear()
    assert (await pull.cycle()).status is CycleStatus.APPLIED
    assert await pull.active() == set(stay), "nothing is lost: who left is gone with the next whole reading"


@pytest.mark.parametrize("database_url", [SQLITE], indirect=True)
@pytest.mark.parametrize(("status", "code"), [error for error in ERRORS if error[0] != 404])
async def test_an_error_about_one_person_proves_nobody_gone(pull: Pull, status: int, code: str) -> None:
    """graph-api: 403 is "never to be treated as user gone", nor is any answer but Graph's own "does not exist"."""
    await pull.cycle()
    leaver, *stay = sorted(pull.directory.entitled())
    pull.lose(leaver, "unassigned")
    pull.simulator.simulation.faults.arm(fault(status, code, f"GET /v1.0//?users/{leaver}"))
    report = await pull.cycle()
    assert report.applied.get(Action.DISABLE, 0) == 0
    assert "1 removals could not be confirmed" in " ".join(report.reasons)
    assert await pull.active() == {leaver, *stay}
    (finding,) = [each for each in await pull.findings(report) if each.kind is DriftKind.MISSED_DEPROVISION]
    assert finding.state is FindingState.OPEN
    assert str(status) in str(finding.evidence)

    pull.simulator.simulation.faults.clear()
    await pull.cycle()
    assert await pull.active() == set(stay)


@pytest.mark.parametrize("database_url", [SQLITE], indirect=True)
async def test_who_is_called_missing_by_one_answer_and_known_by_another_loses_nothing(pull: Pull) -> None:
    """I1: a 404 for the object, and its own list in the same reading, contradict each other (seed 40056)."""
    await pull.cycle()
    entitled, groups = set(pull.directory.entitled()), await pull.groups()
    person, group = sorted(entitled)[0], sorted(groups)[0]
    for what in (f"users/{person}", f"groups/{group}"):
        pull.simulator.simulation.faults.arm(fault(404, "Request_ResourceNotFound", f"GET /v1.0//?{what}\\?"))
    for subject in (person, group):
        asked = await pull.provision(subject)
        assert "until its answers agree" in str(asked.steps), "it is told"
    pull.directory.change_user(person, {"department": "Elsewhere"})
    increment = await pull.increment()
    assert not increment.applied.get(Action.DISABLE)
    assert "until its answers agree" in (increment.why_full or ""), "it reads everything then"
    full = await pull.cycle()
    assert not full.applied.get(Action.DISABLE)
    assert not full.applied.get(Action.DELETE)
    assert (await pull.active(), await pull.groups()) == (entitled, groups)

    pull.simulator.simulation.faults.clear()
    assert (await pull.cycle()).status is CycleStatus.APPLIED
    assert await pull.active() == entitled


@pytest.mark.parametrize("database_url", [SQLITE], indirect=True)
async def test_a_long_pause_is_told_and_the_cycle_is_due_when_it_ends(pull: Pull) -> None:
    """429 with `Retry-After: 3600` (Microsoft365-Analytics-Insights#189) shut the tenant without a word."""
    await pull.cycle()
    pull.simulator.simulation.faults.arm(
        parse_fault({"match": "deletedItems", "refusal": "TooManyRequests", "times": 1})
    )
    report = await pull.cycle()
    assert report.status is CycleStatus.INCOMPLETE
    await pull.reload()
    due = pull.connection.next_due_at
    assert due is not None
    assert due > pull.services.clock() + timedelta(minutes=55)
    asked = await pull.provision(sorted(pull.directory.entitled())[0])
    assert "pause" in (asked.error or "")
    assert "UTC" in (asked.error or "")
    again = await pull.cycle()
    assert (again.status, again.applied) == (CycleStatus.FAILED, {})
    assert "UTC" in (again.error or "")


@pytest.mark.parametrize("database_url", [SQLITE], indirect=True)
async def test_a_deleted_group_whose_assignment_lingers_stops_no_cycle(pull: Pull) -> None:
    """`deletedItems/{group}` takes Group.Read.All; its own 404 is enough (directory-deleteditems-get)."""
    pull.simulator.simulation.registration.roles = LEAST | {"Member.Read.Hidden"}
    pull.simulator.simulation.behaviour.lingering_assignments = True
    person = next(p for p in pull.directory.users if not pull.directory.assigned_via(p))
    group = pull.directory.create_group({"displayName": "Team", "groupTypes": ["Unified"]}).id
    pull.directory.assign(group)
    pull.directory.add_member(group, person)
    await pull.cycle()
    pull.directory.delete_group(group)
    assert group in pull.directory.deleted_groups
    report = await pull.cycle()
    assert report.complete
    assert group not in {row.entra_object_id for row in (await pull.groups()).values() if not row.deleted_at}
    assert await pull.active() == set(pull.directory.entitled())
    pull.simulator.simulation.behaviour.lingering_assignments = False
    increment = await pull.increment()
    assert increment.error is None
    assert (await pull.increment()).error is None


@pytest.mark.parametrize("database_url", [SQLITE], indirect=True)
async def test_three_incomplete_cycles_in_a_row_are_loud(pull: Pull) -> None:
    """Incomplete for ever counted as success: state active, no failures, and the leaver stayed."""
    await pull.cycle()
    await pull.reload()
    last_complete = pull.connection.last_complete_at
    assert last_complete is not None
    pull.simulator.simulation.faults.arm(fault(403, "accessDenied", "deletedItems"))
    for number in (1, 2, 3):
        assert connection_state(pull.connection) == "active"
        with capture_logs() as logged:
            assert (await pull.cycle()).status is CycleStatus.INCOMPLETE
        await pull.reload()
        assert pull.connection.consecutive_incomplete == number
    assert connection_state(pull.connection) == "incomplete"
    assert "403" in (pull.connection.incomplete_reason or "")
    assert pull.connection.last_complete_at == last_complete
    assert "connection.incomplete" in {entry["event"] for entry in logged}
    (gauge,) = metrics.LAST_COMPLETE.labels(pull.connection.id).collect()
    assert 0 < gauge.samples[0].value < 600

    pull.simulator.simulation.faults.clear()
    assert (await pull.cycle()).complete
    await pull.reload()
    assert (connection_state(pull.connection), pull.connection.incomplete_reason) == ("active", None)
